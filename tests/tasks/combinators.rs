//! Several futures in one task: arms are told apart, and where a combinator has wakers of its own the task waits in it.

use futures_util::future::{join_all, select_all};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use heapsite::task::{Builder, Task};
use tokio::sync::mpsc;

use super::chain::{Part, arrives, count, goes, look, passes_nowhere};

async fn first(mut channel: mpsc::Receiver<u8>) {
    channel.recv().await;
}
const FIRST: Part = here(line!() - 2);

async fn second(mut channel: mpsc::Receiver<u8>) {
    channel.recv().await;
}
const SECOND: Part = here(line!() - 2);

const fn here(line: u32) -> Part {
    Part::Line("combinators.rs", line as i64)
}

const CHANNEL: Part = Part::Name("sync::mpsc");

/// A channel without messages; leaked, so that it stays open.
fn quiet() -> mpsc::Receiver<u8> {
    let (sender, receiver) = mpsc::channel(1);
    std::mem::forget(sender);
    receiver
}

async fn selects_functions() {
    tokio::select! { () = first(quiet()) => {} () = second(quiet()) => {} }
}
const SELECTS_FUNCTIONS: Part = here(line!() - 2);

/// The same leaf at the end of two chains.
#[tokio::test]
async fn arms_of_one_primitive() {
    let task = arrives("two functions", selects_functions(), FIRST).await;
    count(&task, 2);
    goes(&task, &[CHANNEL, FIRST, SELECTS_FUNCTIONS]);
    goes(&task, &[CHANNEL, SECOND, SELECTS_FUNCTIONS]);
}

async fn selects_directly() {
    let (mut one, mut two) = (quiet(), quiet());
    tokio::select! {
        _ = one.recv() => {}
        _ = two.recv() => {}
    }
}
const SELECTS_DIRECTLY: Part = here(line!() - 5);

/// Nothing tells these two apart: what polls an arm is a line of Tokio's macro, the same for all. They are shown as one.
#[tokio::test]
async fn bare_arms_of_one_primitive() {
    let task = arrives("two channels", selects_directly(), SELECTS_DIRECTLY).await;
    count(&task, 1);
    goes(&task, &[CHANNEL, SELECTS_DIRECTLY]);
}

async fn waits_for_all<F: Future>(futures: Vec<F>) {
    join_all(futures).await;
}
const WAITS_FOR_ALL: Part = here(line!() - 2);

/// Up to thirty it polls itself, all of them, each time.
#[tokio::test]
async fn join_all_of_few() {
    let futures = vec![first(quiet()).boxed(), second(quiet()).boxed()];
    let task = arrives("join_all of two", waits_for_all(futures), WAITS_FOR_ALL).await;
    count(&task, 2);
    goes(&task, &[CHANNEL, FIRST, WAITS_FOR_ALL]);
    goes(&task, &[CHANNEL, SECOND, WAITS_FOR_ALL]);
}

#[tokio::test]
async fn select_all_of_two() {
    async fn selects() {
        select_all([first(quiet()).boxed(), second(quiet()).boxed()]).await;
    }
    const SELECTS: Part = here(line!() - 2);
    let task = arrives("select_all", selects(), SELECTS).await;
    count(&task, 2);
    goes(&task, &[CHANNEL, FIRST, SELECTS]);
    goes(&task, &[CHANNEL, SECOND, SELECTS]);
}

/// More have wakers of their own: the task waits in `join_all`.
#[tokio::test]
async fn join_all_of_many() {
    let futures = (0..31).map(|_| first(quiet())).collect();
    let task = arrives("join_all of many", waits_for_all(futures), WAITS_FOR_ALL).await;
    blocked_in_unordered(&task, WAITS_FOR_ALL);
}

async fn waits_for_next<F: Future>(mut futures: FuturesUnordered<F>) {
    while futures.next().await.is_some() {}
}
const WAITS_FOR_NEXT: Part = here(line!() - 2);

/// The task waits in it; the futures inside are found by being tracked themselves.
#[tokio::test]
async fn futures_unordered() {
    let names = ["inside, one", "inside, two"];
    let [one, two] = names.map(|name| Builder::new().name(name));
    let futures = FuturesUnordered::new();
    futures.push(one.track(first(quiet())));
    futures.push(two.track(first(quiet())));
    let task = arrives("unordered", waits_for_next(futures), WAITS_FOR_NEXT).await;
    blocked_in_unordered(&task, WAITS_FOR_NEXT);
    for inside in names.map(look) {
        count(&inside, 1);
        goes(&inside, &[CHANNEL, FIRST]);
    }
}

/// One await point, in the combinator; nothing is known of what is inside.
fn blocked_in_unordered(task: &Task, last: Part) {
    count(task, 1);
    goes(task, &[Part::Name("futures_unordered"), last]);
    passes_nowhere(task, FIRST);
    passes_nowhere(task, CHANNEL);
}
