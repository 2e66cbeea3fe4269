//! What becomes of tasks, and that nothing stays behind.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use heapsite::task::{Builder, SpawnSite, State, Tasks, dump, track};
use tokio::task::{JoinSet, LocalSet};

fn site(tasks: &Tasks, line: u32) -> &SpawnSite {
    let here = |site: &&SpawnSite| site.line == line && site.file.ends_with("ends.rs");
    tasks.spawn_sites.iter().find(here).expect("a spawn site")
}

#[tokio::test]
async fn every_end_is_counted_at_its_line() {
    let mut set = JoinSet::new();
    let line = line!() + 2;
    for number in 0..6 {
        set.spawn(track(async move {
            match number {
                0 | 1 => {}
                2 => panic!("on purpose"),
                _ => std::future::pending::<()>().await,
            }
        }));
    }
    for _ in 0..3 {
        let _ = set.join_next().await.unwrap();
    }
    let tasks = dump();
    let seen = site(&tasks, line);
    assert_eq!((seen.started, seen.alive), (6, 3));
    assert_eq!((seen.completed, seen.panicked, seen.cancelled), (2, 1, 0));
    assert!(
        seen.future.contains("every_end_is_counted_at_its_line"),
        "{}",
        seen.future
    );
    set.shutdown().await;
    let seen = site(&dump(), line).clone();
    assert_eq!((seen.alive, seen.cancelled), (0, 3));
}

#[tokio::test]
async fn ages_polls_and_states() {
    let task = Box::pin(
        Builder::new()
            .name("lazy")
            .track(std::future::pending::<()>()),
    );
    let look = || {
        dump()
            .tasks
            .into_iter()
            .find(|task| task.name == "lazy")
            .unwrap()
    };
    let first = look();
    assert_eq!((first.state, first.polls), (State::NeverPolled, 0));
    assert_eq!(first.since_poll, None);
    let handle = tokio::spawn(task);
    tokio::task::yield_now().await;
    let second = look();
    assert_eq!(
        (second.state, second.polls, second.id),
        (State::Waiting, 1, first.id)
    );
    assert!(second.age >= first.age && second.since_poll <= Some(second.age));
    handle.abort();
    let _ = handle.await;

    let (enter, entered) = std::sync::mpsc::channel();
    let (leave, left) = std::sync::mpsc::channel::<()>();
    let work = Builder::new().name("blocks").track_blocking(move || {
        enter.send(()).unwrap();
        let _ = left.recv();
        7
    });
    let waiting = |tasks: Tasks| tasks.tasks.into_iter().find(|task| task.name == "blocks");
    assert_eq!(waiting(dump()).unwrap().state, State::NeverPolled);
    let handle = tokio::task::spawn_blocking(work);
    entered.recv().unwrap();
    let State::Blocking(thread) = waiting(dump()).unwrap().state else {
        panic!("it runs");
    };
    assert!(std::path::Path::new(&format!("/proc/self/task/{thread}")).exists());
    drop(leave);
    assert_eq!(handle.await.unwrap(), 7);
    assert!(waiting(dump()).is_none());
}

/// Outside of Tokio, and where futures are not `Send`.
#[test]
fn any_executor() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let local = LocalSet::new();
    let not_send = std::rc::Rc::new(7);
    let sum = runtime.block_on(local.run_until(async move {
        let task = tokio::task::spawn_local(track(async move {
            tokio::task::yield_now().await;
            *not_send
        }));
        track(async { task.await.unwrap() + 1 }).await
    }));
    assert_eq!(sum, 8);
}

/// Tasks come and go on several threads, are aborted, dropped and panic, while dumps run in a loop.
#[test]
fn nothing_stays_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_time()
        .build()
        .unwrap();
    let line = line!() + 7;
    runtime.block_on(async {
        for round in 0..200_u32 {
            let mut set = JoinSet::new();
            for number in 0..100_u32 {
                let (sender, receiver) = tokio::sync::oneshot::channel::<u32>();
                // The receiver's waker goes to another task, and may outlive this one.
                set.spawn(track(async move {
                    let _ =
                        tokio::time::timeout(Duration::from_micros(u64::from(number)), receiver)
                            .await;
                    assert!(number % 10 != 9, "on purpose");
                }));
                tokio::spawn(async move { sender.send(number) });
                if number % 7 == 0 {
                    set.abort_all();
                }
            }
            if round % 20 == 0 {
                let tasks = dump();
                assert!(tasks.tasks.len() <= 2000);
            }
            match round % 3 {
                0 => drop(set),
                1 => set.shutdown().await,
                _ => while set.join_next().await.is_some() {},
            }
        }
    });
    drop(runtime);
    let tasks = dump();
    let seen = site(&tasks, line);
    assert_eq!((seen.started, seen.alive, seen.unlisted), (20_000, 0, 0));
    assert_eq!(seen.completed + seen.panicked + seen.cancelled, 20_000);
    assert!(
        !tasks
            .tasks
            .iter()
            .any(|task| tasks.spawn_sites[task.spawn_site].line == line)
    );
}

#[test]
fn a_panic_in_a_poll_passes_through() {
    let mut task = Box::pin(track(async { panic!("on purpose") }));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let poll = std::panic::catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut context)));
    assert!(poll.is_err());
}

#[tokio::test]
async fn groups_as_text() {
    let tasks: Vec<_> = (0..5)
        .map(|number| {
            let task = Builder::new().name(format!("worker {number}"));
            tokio::spawn(task.track(async {
                let (_sender, mut receiver) = tokio::sync::mpsc::channel::<u8>(1);
                receiver.recv().await;
            }))
        })
        .collect();
    tokio::task::yield_now().await;
    let text = dump().to_string();
    let block = text
        .split("\n\n")
        .find(|block| block.contains("worker 0"))
        .unwrap();
    assert!(block.starts_with("5 tasks waiting, alive for "), "{block}");
    assert!(
        block.contains("named \u{201c}worker 0\u{201d}, "),
        "{block}"
    );
    assert!(block.contains("  waits at\n"), "{block}");
    assert!(
        block.contains("spawned at") && block.contains("ends.rs:"),
        "{block}"
    );
    println!("{block}");
    for task in tasks {
        task.abort();
    }
}
