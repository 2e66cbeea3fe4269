//! Each thing that a Tokio task may wait for: its own frame is there, and the whole chain of `async fn`s above it, and nothing
//! beyond the task.

use std::sync::Arc;
use std::time::Duration;

use heapsite::task::{Builder, State, Task, dump};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};

/// Functions of an await point, leaf first.
fn functions(task: &Task) -> Vec<Vec<String>> {
    let names =
        |stack: &heapsite::task::Stack| stack.iter().map(|frame| frame.function.clone()).collect();
    task.awaits.iter().map(names).collect()
}

/// Told by their lines: what is inlined in a release build has a line, but not always its function's name.
async fn outer(inner: impl Future<Output = ()>) {
    middle(inner).await;
}
const OUTER: i64 = line!() as i64 - 2;

async fn middle(inner: impl Future<Output = ()>) {
    inner.await;
}
const MIDDLE: i64 = line!() as i64 - 2;

/// Spawns a task with this name that waits in `leaf`, lets it get there, and looks.
async fn waits(
    name: &str,
    leaf_name: &str,
    leaf: impl Future<Output = ()> + Send + 'static,
) -> Task {
    let task = tokio::spawn(Builder::new().name(name).track(outer(leaf)));
    let found = loop {
        tokio::task::yield_now().await;
        let tasks = dump().tasks;
        let found = tasks.into_iter().find(|task| task.name == name);
        let found = found.expect("it is in the list");
        // On the test's own thread: when it is not being polled it waits. Some first wait for something else.
        let arrived = |part: &String| part.contains(leaf_name);
        if found.state == State::Waiting && functions(&found).iter().flatten().any(arrived) {
            break found;
        }
    };
    task.abort();
    let _ = task.await;
    assert!(
        !dump().tasks.iter().any(|task| task.name == name),
        "{name} is gone"
    );
    found
}

/// A part of the leaf's own name, and that the chain is whole.
fn check(task: &Task, leaf: &str) {
    let stacks = functions(task);
    assert_eq!(stacks.len(), 1, "{leaf}: {stacks:#?}");
    let stack = &stacks[0];
    let at = |part: &str| stack.iter().position(|name| name.contains(part));
    let line = |line: i64| {
        let is_there =
            |frame: &heapsite::view::Frame| frame.line == line && frame.file.ends_with("leaves.rs");
        task.awaits[0].iter().position(is_there)
    };
    let (leaf_at, middle, outer) = (at(leaf), line(MIDDLE), line(OUTER));
    assert!(leaf_at.is_some(), "{leaf} is not in {stack:#?}");
    assert!(leaf_at < middle && middle < outer, "{leaf}: {stack:#?}");
    assert_eq!(outer, Some(stack.len() - 1), "{leaf}: {stack:#?}");
    for foreign in [
        "heapsite::",
        "tokio::runtime::task::core",
        "tokio::runtime::scheduler",
    ] {
        assert_eq!(at(foreign), None, "{leaf}: {stack:#?}");
    }
}

macro_rules! leaves {
    ($($name:ident: $leaf:literal, $what:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            #[allow(clippy::redundant_closure_call)]
            let task = waits(stringify!($name), $leaf, $what).await;
            check(&task, $leaf);
        }
    )*};
}

leaves! {
    bounded: "tokio::sync::mpsc", async {
        let (_sender, mut receiver) = mpsc::channel::<u8>(1);
        receiver.recv().await;
    };
    unbounded: "tokio::sync::mpsc", async {
        let (_sender, mut receiver) = mpsc::unbounded_channel::<u8>();
        receiver.recv().await;
    };
    bounded_send: "tokio::sync::", async {
        let (sender, _receiver) = mpsc::channel::<u8>(1);
        sender.send(1).await.unwrap();
        sender.send(2).await.unwrap();
    };
    one_shot: "tokio::sync::oneshot", async {
        let (_sender, receiver) = oneshot::channel::<u8>();
        let _ = receiver.await;
    };
    watches: "tokio::sync::watch", async {
        let (_sender, mut receiver) = watch::channel(1);
        let _ = receiver.changed().await;
    };
    broadcasts: "tokio::sync::broadcast", async {
        let (_sender, mut receiver) = broadcast::channel::<u8>(1);
        let _ = receiver.recv().await;
    };
    mutex: "tokio::sync::mutex", async {
        let mutex = Mutex::new(());
        let _held = mutex.lock().await;
        let _never = mutex.lock().await;
    };
    rw_lock: "tokio::sync::rwlock", async {
        let lock = RwLock::new(());
        let _held = lock.read().await;
        let _never = lock.write().await;
    };
    semaphore: "tokio::sync::semaphore", async {
        let semaphore = Semaphore::new(0);
        let _never = semaphore.acquire().await;
    };
    notify: "tokio::sync::notify", async { Notify::new().notified().await };
    barrier: "tokio::sync::barrier", async { let _ = Barrier::new(2).wait().await; };
    sleep: "tokio::time::sleep", async { tokio::time::sleep(Duration::from_secs(3600)).await };
    interval: "tokio::time::interval", async {
        let mut ticks = tokio::time::interval(Duration::from_secs(3600));
        ticks.tick().await;
        ticks.tick().await;
    };
    accept: "tokio::net::tcp::listener", async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _never = listener.accept().await;
    };
    tcp_read: "tokio::io::util::read", async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 8]).await;
    };
    join_handle: "tokio::runtime::task::join", async {
        let _ = tokio::spawn(std::future::pending::<()>()).await;
    };
    blocking: "tokio::runtime::task::join", async {
        let (_sender, receiver) = std::sync::mpsc::channel::<()>();
        let _ = tokio::task::spawn_blocking(move || {
            // Ends with its sender.
            let _ = receiver.recv_timeout(Duration::from_secs(60));
        }).await;
    };
    boxed: "tokio::sync::notify", async {
        let inner: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(async { Notify::new().notified().await });
        inner.await;
    };
}

/// Every arm, also when some of them had been polled before.
#[tokio::test]
async fn all_arms_of_a_select() {
    let poked = Arc::new(Notify::new());
    let poke = Arc::clone(&poked);
    let arms = async move {
        let (_sender, mut channel) = mpsc::channel::<u8>(1);
        let (mutex, semaphore) = (Mutex::new(()), Semaphore::new(0));
        let _held = mutex.lock().await;
        let mut lock = std::pin::pin!(mutex.lock());
        let mut permit = std::pin::pin!(semaphore.acquire());
        loop {
            tokio::select! {
                _ = channel.recv() => {}
                _ = &mut lock => {}
                _ = &mut permit => {}
                () = poked.notified() => {}
            }
        }
    };
    let task = tokio::spawn(Builder::new().name("arms").track(arms));
    let awaits = |parts: [&str; 4]| {
        let found = dump()
            .tasks
            .into_iter()
            .find(|task| task.name == "arms")
            .unwrap();
        let stacks = functions(&found);
        assert_eq!(stacks.len(), 4, "{stacks:#?}");
        for part in parts {
            let has = |stack: &Vec<String>| stack.iter().any(|name| name.contains(part));
            assert!(stacks.iter().any(has), "{part} is in none of {stacks:#?}");
        }
        found.polls
    };
    let parts = [
        "sync::mpsc",
        "sync::mutex",
        "sync::semaphore",
        "sync::notify",
    ];
    tokio::task::yield_now().await;
    let first = awaits(parts);
    for _ in 0..5 {
        poke.notify_one();
        tokio::task::yield_now().await;
    }
    // The lock and the permit would say "I have that waker already", and not clone it.
    assert!(awaits(parts) >= first + 5);
    task.abort();
    let _ = task.await;
}
