//! Programs that spawn known numbers of tasks on tokio at known lines. Built against more than one version of it.

use std::future::{Future, pending, ready};
use std::hint::black_box;

use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, JoinSet, LocalSet, yield_now};

use crate::told::{Program, Told};

/// Larger than what a runtime needs for itself, so that sampled runs find some.
const ROOM: usize = 2000;

async fn wait() {
    let room = [1u8; ROOM];
    pending::<()>().await;
    black_box(&room);
}

async fn answer() -> [u8; ROOM] {
    let room = [2u8; ROOM];
    yield_now().await;
    black_box(room)
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .expect("a runtime")
}

/// Every way to spawn: some tasks wait, some have ended and are gone.
fn ways(many: u64, told: &mut Told) {
    let runtime = runtime();
    let local = LocalSet::new();
    let mut set = JoinSet::new();
    local.block_on(&runtime, async {
        for _ in 0..many {
            tokio::spawn(wait());
        }
        let line = line!() - 2;
        told.planted("spawn", "tokio", line, many, 0);

        for _ in 0..many {
            set.spawn(wait());
        }
        let line = line!() - 2;
        told.planted("JoinSet::spawn", "tokio", line, many, 0);

        let handle = runtime.handle();
        for _ in 0..many {
            handle.spawn(wait());
        }
        let line = line!() - 2;
        told.planted("Handle::spawn", "tokio", line, many, 0);

        for _ in 0..many {
            runtime.spawn(wait());
        }
        let line = line!() - 2;
        told.planted("Runtime::spawn", "tokio", line, many, 0);

        for _ in 0..many {
            tokio::task::spawn_local(wait());
        }
        let line = line!() - 2;
        told.planted("spawn_local", "tokio", line, many, 0);

        for _ in 0..many {
            local.spawn_local(wait());
        }
        let line = line!() - 2;
        told.planted("LocalSet::spawn_local", "tokio", line, many, 0);

        // One thread for all of them: the first one keeps it, the others stay queued.
        let (keep, kept) = std::sync::mpsc::channel::<()>();
        std::mem::forget(keep);
        let mut kept = Some(kept);
        for _ in 0..many {
            let room = (kept.take(), [3u8; ROOM]);
            tokio::task::spawn_blocking(move || black_box(&room).0.as_ref().map(|it| it.recv()));
        }
        let line = line!() - 2;
        told.planted("spawn_blocking", "tokio", line, many, 0);

        let mut ended = Vec::new();
        for _ in 0..many {
            ended.push(tokio::spawn(answer()));
        }
        let line = line!() - 2;
        for ended in ended {
            ended.await.expect("no panic");
        }
        told.planted("spawn, awaited", "tokio", line, 0, many);
    });
    told.dump(runtime.metrics().num_alive_tasks() as u64);
    std::process::exit(0);
}

/// A moment at half time, and one at the end.
fn twice(many: u64, told: &mut Told, runtime: &Runtime, mut half: impl AsyncFnMut()) {
    for _ in 0..2 {
        runtime.block_on(async {
            half().await;
            // Whoever can end, does: a turn has at least 31 polls, and a task two.
            for _ in 0..10 + many / 10 {
                yield_now().await;
            }
        });
        told.dump(runtime.metrics().num_alive_tasks() as u64);
    }
}

fn join_set_undrained(many: u64, told: &mut Told) {
    let runtime = runtime();
    let mut set = JoinSet::new();
    twice(many, told, &runtime, async || {
        for _ in 0..many {
            set.spawn(answer());
        }
        yield_now().await;
    });
    let line = line!() - 4;
    told.planted("undrained", "tokio", line, 2 * many, 0);
    black_box(&set);
}

fn join_set_drained(many: u64, told: &mut Told) {
    let runtime = runtime();
    let mut set = JoinSet::new();
    twice(many, told, &runtime, async || {
        for _ in 0..many {
            set.spawn(answer());
        }
        while set.join_next().await.is_some() {}
    });
    let line = line!() - 4;
    told.planted("drained", "tokio", line, 0, 2 * many);
    black_box(&set);
}

fn handles_kept(many: u64, told: &mut Told) {
    let runtime = runtime();
    let mut handles: Vec<JoinHandle<_>> = Vec::new();
    twice(many, told, &runtime, async || {
        for _ in 0..many {
            handles.push(tokio::spawn(answer()));
        }
        yield_now().await;
    });
    let line = line!() - 4;
    told.planted("kept", "tokio", line, 2 * many, 0);
    black_box(&handles);
}

fn handles_awaited(many: u64, told: &mut Told) {
    let runtime = runtime();
    let mut handles: Vec<JoinHandle<_>> = Vec::new();
    twice(many, told, &runtime, async || {
        for _ in 0..many {
            handles.push(tokio::spawn(answer()));
        }
        for handle in handles.drain(..) {
            handle.await.expect("no panic");
        }
    });
    let line = line!() - 6;
    told.planted("awaited", "tokio", line, 0, 2 * many);
}

/// Many tasks that are alive: no leak of this kind.
fn handles_of_living(many: u64, told: &mut Told) {
    let runtime = runtime();
    let mut handles: Vec<JoinHandle<()>> = Vec::new();
    twice(many, told, &runtime, async || {
        for _ in 0..many {
            handles.push(tokio::spawn(wait()));
        }
        ready(()).await;
    });
    let line = line!() - 4;
    told.planted("living", "tokio", line, 2 * many, 0);
    black_box(&handles);
    std::process::exit(0);
}

/// A pool's answers come as futures too.
fn boxed(many: u64, told: &mut Told) {
    let runtime = runtime();
    let start = |future: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
        runtime.spawn(future);
    };
    for _ in 0..many {
        start(Box::pin(wait()));
    }
    let line = line!() - 5;
    told.planted("boxed", "tokio", line, many, 0);
    told.dump(runtime.metrics().num_alive_tasks() as u64);
    std::process::exit(0);
}

pub(crate) const PROGRAMS: &[Program] = &[
    ("ways", ways),
    ("boxed", boxed),
    ("join_set_undrained", join_set_undrained),
    ("join_set_drained", join_set_drained),
    ("handles_kept", handles_kept),
    ("handles_awaited", handles_awaited),
    ("handles_of_living", handles_of_living),
];
