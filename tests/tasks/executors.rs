//! Executors other than Tokio: the leaf, the chain, and nothing of the executor beyond the task.

use std::rc::Rc;
use std::time::Duration;

use futures_util::task::LocalSpawnExt;
use heapsite::task::{Builder, State, Task, Tracked};

use super::chain::{Part, count, goes, look, passes_nowhere, waits_at};

async fn runs(inner: impl Future<Output = ()>) {
    inner.await;
}
const RUNS: Part = Part::Line("executors.rs", line!() as i64 - 2);

fn named<F: Future<Output = ()>>(
    name: &str,
    leaf: F,
) -> Tracked<impl Future<Output = ()> + use<F>> {
    Builder::new().name(name).track(runs(leaf))
}

/// What of executors must not be in a chain.
const BEYOND: [&str; 4] = [
    "async_executor",
    "async_task",
    "LocalPool",
    "FuturesUnordered",
];

fn check(task: &Task, leaf: &'static str, clones: usize) {
    assert_eq!(task.state, State::Waiting);
    count(task, clones);
    goes(task, &[Part::Name(leaf), RUNS]);
    for beyond in BEYOND {
        passes_nowhere(task, Part::Name(beyond));
    }
}

async fn receives() {
    let (_sender, receiver) = smol::channel::bounded::<u8>(1);
    let _ = receiver.recv().await;
}

async fn locks() {
    let lock = smol::lock::Mutex::new(());
    let _held = lock.lock().await;
    let _never = lock.lock().await;
}

#[test]
fn async_executor() {
    let executor = async_executor::Executor::new();
    let _tasks = [
        executor.spawn(named("a channel of smol", receives())),
        executor.spawn(named("a lock of smol", locks())),
    ];
    while executor.try_tick() {}
    check(&look("a channel of smol"), "async_channel", 1);
    check(&look("a lock of smol"), "async_lock", 1);
}

/// With futures that are not `Send`.
#[test]
fn async_local_executor() {
    let executor = async_executor::LocalExecutor::new();
    let not_send = Rc::new(tokio::sync::Notify::new());
    let leaf = async move { not_send.notified().await };
    let _task = executor.spawn(named("local executor", leaf));
    while executor.try_tick() {}
    check(&look("local executor"), "tokio::sync::notify", 1);
}

/// On a thread of smol's.
#[test]
fn smol() {
    let timer = async {
        smol::Timer::after(Duration::from_secs(3600)).await;
    };
    let _task = smol::spawn(named("timer of smol", timer));
    let task = loop {
        let task = look("timer of smol");
        if waits_at(&task, RUNS) {
            break task;
        }
        std::thread::yield_now();
    };
    // It clones the waker twice, on two lines: once for itself, once for what runs out.
    check(&task, "async_io", 2);
}

#[test]
fn local_pool() {
    let mut pool = futures_executor::LocalPool::new();
    let not_send = Rc::new(tokio::sync::Notify::new());
    let leaf = async move { not_send.notified().await };
    let spawned = pool.spawner().spawn_local(named("local pool", leaf));
    spawned.unwrap();
    pool.run_until_stalled();
    check(&look("local pool"), "tokio::sync::notify", 1);
}
