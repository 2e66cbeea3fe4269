//! Tokio: tasks that never end or are never reaped, queues, and servers that do it right.

use std::future::pending;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet, yield_now};

use crate::world::World;

const SIZE: usize = 2048;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// A future that holds `SIZE` bytes over an await.
async fn request() -> u8 {
    let body = [1u8; SIZE];
    yield_now().await;
    body[SIZE / 2]
}

async fn never() -> u8 {
    let body = [1u8; SIZE];
    pending::<()>().await;
    body[SIZE / 2]
}

/// Lets what was spawned run to its end.
async fn settle() {
    for _ in 0..4 {
        yield_now().await;
    }
}

pub(crate) fn join_set(world: &mut World) {
    let runtime = runtime();
    let mut tasks = JoinSet::new();
    world.run(|_, _| {
        runtime.block_on(async {
            for _ in 0..10 {
                tasks.spawn(request()); // LINE: join_set
            }
            settle().await;
        });
    });
}

pub(crate) fn join_handles(world: &mut World) {
    let runtime = runtime();
    let mut tasks: Vec<JoinHandle<u8>> = Vec::with_capacity(1 << 17);
    world.run(|_, _| {
        runtime.block_on(async {
            for _ in 0..10 {
                tasks.push(tokio::spawn(request())); // LINE: join_handles
            }
            settle().await;
        });
    });
}

pub(crate) fn detached(world: &mut World) {
    let runtime = runtime();
    world.run(|_, _| {
        runtime.block_on(async {
            for _ in 0..10 {
                tokio::spawn(never()); // LINE: detached
            }
            settle().await;
        });
    });
}

pub(crate) fn timers(world: &mut World) {
    let runtime = runtime();
    world.run(|_, _| {
        runtime.block_on(async {
            for _ in 0..10 {
                let body = [1u8; SIZE];
                let expire = async move {
                    tokio::time::sleep(Duration::from_secs(864_000)).await;
                    body[SIZE / 2]
                };
                tokio::spawn(expire); // LINE: timers
            }
            settle().await;
        });
    });
}

/// The consumer handles a few per second, and more than that come.
pub(crate) fn unbounded_channel(world: &mut World) {
    let runtime = runtime();
    let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
    world.run(|_, _| {
        runtime.block_on(async {
            for _ in 0..20 {
                sender.send(vec![1; SIZE]).unwrap(); // LINE: unbounded_channel
            }
            for _ in 0..10 {
                receiver.recv().await.unwrap();
            }
        });
    });
}

/// Each request waits for an answer that nobody sends, while its sender is kept.
pub(crate) fn unanswered(world: &mut World) {
    let runtime = runtime();
    let mut waiting: Vec<oneshot::Sender<u8>> = Vec::with_capacity(1 << 17);
    world.run(|_, _| {
        runtime.block_on(async {
            for _ in 0..10 {
                let (sender, receiver) = oneshot::channel(); // ALSO: unanswered
                let body = [1u8; SIZE];
                let task = async move { receiver.await.map(|answer| answer + body[7]) };
                tokio::spawn(task); // LINE: unanswered
                waiting.push(sender);
            }
            settle().await;
        });
    });
}

pub(crate) fn server(world: &mut World) {
    let runtime = runtime();
    world.run(|_, _| {
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..50 {
                tasks.spawn(request()); // LINE: server
            }
            while tasks.join_next().await.is_some() {}
        });
    });
}

pub(crate) fn bounded_channel(world: &mut World) {
    let runtime = runtime();
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(4000);
    world.run(|_, _| {
        runtime.block_on(async {
            for _ in 0..40 {
                if sender.capacity() == 0 {
                    receiver.recv().await.unwrap();
                }
                sender.send(vec![1; SIZE]).await.unwrap(); // LINE: bounded_channel
            }
        });
    });
}

/// Connections that last from a minute to a quarter of an hour, each a task.
pub(crate) fn connections(world: &mut World) {
    let runtime = runtime();
    let mut open: Vec<(u64, oneshot::Sender<()>)> = Vec::with_capacity(1 << 15);
    world.run(|now, random| {
        runtime.block_on(async {
            for _ in 0..10 {
                let (sender, receiver) = oneshot::channel();
                let body = [1u8; SIZE];
                let task = async move {
                    receiver.await.ok();
                    body[7]
                };
                tokio::spawn(task); // LINE: connections
                open.push((now + 60 + random.lifetime(280.0).min(840), sender));
            }
            open.retain(|connection| connection.0 > now);
            settle().await;
        });
    });
}
