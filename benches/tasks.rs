//! What tracking adds to a task: per poll, per registration of a waker, per task; and a list of very many.
//!
//! Side by side in one run: the same future bare, tracked, and tracked with its await points taken down.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use criterion::{Criterion, criterion_group, criterion_main};
use heapsite::Heapsite;
use heapsite::task::{dump, track, watch_await_points};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

/// Waits for ever, and asks to be woken `wakers` times in each poll, as so many arms of a `select!` do.
async fn waits(wakers: usize) {
    poll_fn(|context| {
        for _ in 0..wakers {
            drop(black_box(context.waker().clone()));
        }
        Poll::Pending
    })
    .await
}

async fn middle(wakers: usize) {
    waits(wakers).await;
}

async fn outer(wakers: usize) {
    middle(wakers).await;
}

fn poll(future: &mut Pin<Box<dyn Future<Output = ()>>>) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
}

fn polls(c: &mut Criterion) {
    for wakers in [0, 1, 3] {
        let mut group = c.benchmark_group(format!("poll, {wakers} wakers"));
        let mut bare: Pin<Box<dyn Future<Output = ()>>> = Box::pin(outer(wakers));
        group.bench_function("bare", |b| b.iter(|| poll(&mut bare)));
        let mut tracked: Pin<Box<dyn Future<Output = ()>>> = Box::pin(track(outer(wakers)));
        for (name, one_in) in [
            ("tracked", 0),
            ("tracked, one in 16", 16),
            ("tracked, each", 1),
        ] {
            watch_await_points(one_in);
            group.bench_function(name, |b| b.iter(|| poll(&mut tracked)));
        }
        group.finish();
    }
}

fn lives(c: &mut Criterion) {
    let mut group = c.benchmark_group("made and over");
    let run = |mut future: Pin<Box<dyn Future<Output = u8>>>| {
        let mut context = Context::from_waker(Waker::noop());
        black_box(future.as_mut().poll(&mut context).is_ready())
    };
    group.bench_function("bare", |b| b.iter(|| run(Box::pin(async { black_box(1) }))));
    group.bench_function("tracked", |b| {
        b.iter(|| run(Box::pin(track(async { black_box(1) }))))
    });
    group.finish();
}

fn lists(c: &mut Criterion) {
    let mut group = c.benchmark_group("list");
    group.sample_size(10);
    let mut tasks: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
    for number in [1_000, 100_000] {
        tasks.resize_with(number, || Box::pin(track(outer(1))));
        tasks.iter_mut().for_each(poll);
        group.bench_function(format!("{number} tasks"), |b| b.iter(dump));
    }
    group.finish();
}

criterion_group!(benches, polls, lives, lists);
criterion_main!(benches);
