//! Programs whose tasks belong to other runtimes, or are spawned by libraries.

use std::future::{pending, ready};
use std::hint::black_box;

use async_executor::{Executor, LocalExecutor};
use futures_executor::LocalPool;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::task::LocalSpawnExt;
use tokio::task::yield_now;

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

fn ways(many: u64, told: &mut Told) {
    let executor = Executor::new();
    let local = LocalExecutor::new();
    for _ in 0..many {
        executor.spawn(wait()).detach();
    }
    let line = line!() - 2;
    told.planted("Executor::spawn", "async-task", line, many, 0);

    for _ in 0..many {
        local.spawn(wait()).detach();
    }
    let line = line!() - 2;
    told.planted("LocalExecutor::spawn", "async-task", line, many, 0);

    let ended: Vec<_> = (0..many)
        .map(|_| executor.spawn(ready([3u8; ROOM])))
        .collect();
    let line = line!() - 2;
    while executor.try_tick() {}
    drop(ended);
    told.planted("Executor::spawn, ended", "async-task", line, 0, many);

    let mut pool = LocalPool::new();
    let spawner = pool.spawner();
    for _ in 0..many {
        spawner.spawn_local(wait()).expect("the pool is there");
    }
    let line = line!() - 2;
    told.planted("LocalPool", "futures pool", line, many, 0);
    pool.run_until_stalled();

    let set = FuturesUnordered::new();
    for _ in 0..many {
        set.push(wait());
    }
    let line = line!() - 2;
    told.planted("push", "FuturesUnordered", line, many, 0);

    let mut drained = FuturesUnordered::new();
    for _ in 0..many {
        drained.push(ready(()));
    }
    let line = line!() - 2;
    futures_executor::block_on(async { while drained.next().await.is_some() {} });
    told.planted("push, drained", "FuturesUnordered", line, 0, many);

    told.dump(4 * many);
    std::process::exit(0);
}

/// Handles in a set: polled in the end, or never.
fn set_of_handles(many: u64, told: &mut Told, drain: bool) -> u32 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut set = FuturesUnordered::new();
    let mut line = 0;
    for _ in 0..2 {
        runtime.block_on(async {
            for _ in 0..many {
                set.push(tokio::spawn(answer()));
            }
            line = line!() - 2;
            for _ in 0..10 + many / 10 {
                yield_now().await;
            }
            while drain && set.next().await.is_some() {}
        });
        told.dump(runtime.metrics().num_alive_tasks() as u64);
    }
    line
}

fn set_never_polled(many: u64, told: &mut Told) {
    let line = set_of_handles(many, told, false);
    told.planted("never polled", "tokio", line, 2 * many, 0);
}

fn set_polled(many: u64, told: &mut Told) {
    let line = set_of_handles(many, told, true);
    told.planted("polled", "tokio", line, 0, 2 * many);
}

/// hyper-util's executor spawns on behalf of the server.
fn server(many: u64, told: &mut Told) {
    use hyper::rt::Executor;
    use hyper_util::rt::TokioExecutor;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let executor = TokioExecutor::new();
        for _ in 0..many {
            executor.execute(wait());
        }
        let line = line!() - 2;
        told.planted("TokioExecutor", "tokio", line, many, 0);
        yield_now().await;
    });
    told.dump(runtime.metrics().num_alive_tasks() as u64);
    std::process::exit(0);
}

/// axum's server spawns a task for each connection; the application has no line in it but the one that serves.
fn connections(many: u64, told: &mut Told) {
    use tokio::net::{TcpListener, TcpStream};
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let router = axum::Router::<()>::new();
            axum::serve(listener, router).await.expect("served");
        });
        let mut held = Vec::new();
        let metrics = runtime.metrics();
        for _ in 0..many {
            held.push(TcpStream::connect(address).await.expect("connected"));
        }
        // Their tasks, and the one that accepts.
        while metrics.num_alive_tasks() as u64 != many + 1 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        // No line of this file: the task that serves has spawned them.
        told.planted("axum::serve", "tokio", 0, many, 0);
        told.dump(metrics.num_alive_tasks() as u64);
        std::process::exit(0);
    });
}

pub(crate) const PROGRAMS: &[Program] = &[
    ("library_ways", ways),
    ("set_never_polled", set_never_polled),
    ("set_polled", set_polled),
    ("server", server),
    ("connections", connections),
];
