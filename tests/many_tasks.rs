//! Very many tasks: what they take, and that nothing of them stays.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};

use heapsite::task::{dump, spawn, track};

#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system().sample_interval(0);

/// One at a time: they look at numbers of the whole process.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// heapsite's own memory, bytes of address space.
fn mapped() -> u64 {
    heapsite::stats::heap().footprint.mapped_bytes
}

/// 256 bytes each, in chunks that double: at most twice that. Their stacks are two, whatever their number.
#[test]
fn a_hundred_thousand_live_tasks() {
    const TASKS: usize = 100_000;
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let before = mapped();
    let handles: Vec<_> = runtime.block_on(async {
        let handles = (0..TASKS)
            .map(|_| spawn(async { std::future::pending::<()>().await }))
            .collect();
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        handles
    });
    let took = mapped() - before;
    let most = 2 * 256 * TASKS as u64 + (2 << 20);
    assert!(
        took <= most,
        "{took} bytes of address space, more than {most}"
    );
    let tasks = dump();
    let here =
        |site: &&heapsite::task::SpawnSite| site.future.contains("a_hundred_thousand_live_tasks");
    let site = tasks.spawn_sites.iter().find(here).expect("the line");
    assert_eq!((site.alive, site.unlisted), (TASKS as u64, 0));
    let listed = |task: &&heapsite::task::Task| {
        let site = &tasks.spawn_sites[task.spawn_site];
        here(&site)
    };
    assert_eq!(tasks.tasks.iter().filter(listed).count(), TASKS);
    let groups = tasks.groups();
    // Some have been polled, most have not yet, and one is of another test.
    assert!(groups.len() <= 3, "{}", groups.len());
    drop((handles, runtime));
    let site = dump()
        .spawn_sites
        .into_iter()
        .find(|site| here(&site))
        .unwrap();
    assert_eq!((site.alive, site.cancelled), (0, TASKS as u64));
}

/// A million that come and go use the slots of those before them, and no more memory than the first few.
#[test]
fn a_million_cycles_leave_nothing() {
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let cycles = |count: usize| {
        runtime.block_on(async {
            for _ in 0..count / 100 {
                let handles: Vec<_> = (0..100)
                    .map(|number| spawn(async move { black_box(number) }))
                    .collect();
                for handle in handles {
                    handle.await.unwrap();
                }
            }
        });
    };
    cycles(1000);
    let before = mapped();
    cycles(1_000_000);
    assert_eq!(mapped(), before);
    let here =
        |site: &&heapsite::task::SpawnSite| site.future.contains("a_million_cycles_leave_nothing");
    let tasks = dump();
    let site = tasks.spawn_sites.iter().find(|site| here(site)).unwrap();
    assert_eq!((site.alive, site.completed), (0, 1_001_000));
}

/// A future that is forgotten is never dropped: it stays in the list, which is right, since its memory stays as well.
#[test]
fn a_forgotten_task_is_alive() {
    let _turn = turn();
    let line = line!() + 1;
    std::mem::forget(track(std::future::pending::<()>()));
    let tasks = dump();
    let here = |site: &&heapsite::task::SpawnSite| {
        site.line == line && site.file.ends_with("many_tasks.rs")
    };
    let site = tasks.spawn_sites.iter().find(here).unwrap();
    assert_eq!((site.started, site.alive), (1, 1));
}
