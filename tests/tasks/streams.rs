//! Streams: a function that goes over one, and functions that one is made of.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::{IntervalStream, ReceiverStream, UnboundedReceiverStream};
use tokio_stream::{Stream, StreamExt, StreamMap};

use super::chain::{Part, arrives, count, goes, passes_nowhere};

async fn goes_over<T>(stream: impl Stream<Item = T>) {
    let mut stream = std::pin::pin!(stream);
    while stream.next().await.is_some() {}
}
const GOES_OVER: Part = here(line!() - 2);

async fn makes(notify: Arc<Notify>) -> Option<(u8, Arc<Notify>)> {
    notify.notified().await;
    Some((0, notify))
}
const MAKES: Part = here(line!() - 3);

async fn handles(_: u8) {
    Notify::new().notified().await;
}
const HANDLES: Part = here(line!() - 2);

const fn here(line: u32) -> Part {
    Part::Line("streams.rs", line as i64)
}

const CHANNEL: Part = Part::Name("sync::mpsc");
const NOTIFY: Part = Part::Name("sync::notify");

/// A channel without messages; leaked, so that it stays open.
fn quiet() -> ReceiverStream<u8> {
    let (sender, receiver) = mpsc::channel(1);
    std::mem::forget(sender);
    ReceiverStream::new(receiver)
}

#[tokio::test]
async fn of_a_channel() {
    let task = arrives("channel stream", goes_over(quiet()), GOES_OVER).await;
    count(&task, 1);
    goes(&task, &[CHANNEL, GOES_OVER]);
}

#[tokio::test]
async fn of_ticks() {
    let mut ticks = tokio::time::interval(Duration::from_secs(3600));
    ticks.tick().await;
    let stream = IntervalStream::new(ticks);
    let task = arrives("tick stream", goes_over(stream), GOES_OVER).await;
    count(&task, 1);
    goes(&task, &[Part::Name("time::interval"), GOES_OVER]);
}

/// Through adapters and a box.
#[tokio::test]
async fn in_layers() {
    let even = quiet().map(u32::from).filter(|number| number % 2 == 0);
    let boxed: Pin<Box<dyn Stream<Item = u32> + Send>> = Box::pin(even);
    let task = arrives("layers", goes_over(boxed), GOES_OVER).await;
    count(&task, 1);
    goes(&task, &[CHANNEL, GOES_OVER]);
}

/// The function that makes the next item is below the one that asks for it.
#[tokio::test]
async fn by_an_async_fn() {
    let stream = futures_util::stream::unfold(Arc::default(), makes);
    let task = arrives("unfold", goes_over(stream), MAKES).await;
    count(&task, 1);
    goes(&task, &[NOTIFY, MAKES, GOES_OVER]);
}

/// It waits for an item to be handled, no longer for one to come.
#[tokio::test]
async fn with_an_async_fn() {
    let one = tokio_stream::once(1).chain(quiet());
    let stream = tokio_stream::StreamExt::then(one, handles);
    let task = arrives("then", goes_over(stream), HANDLES).await;
    count(&task, 1);
    goes(&task, &[NOTIFY, HANDLES, GOES_OVER]);
    passes_nowhere(&task, CHANNEL);
}

/// Each of two that are merged.
#[tokio::test]
async fn of_two() {
    let (_sender, receiver) = mpsc::unbounded_channel::<u8>();
    let made = futures_util::stream::unfold(Arc::default(), makes);
    let merged = UnboundedReceiverStream::new(receiver).merge(made);
    let task = arrives("merged", goes_over(merged), MAKES).await;
    count(&task, 2);
    goes(&task, &[CHANNEL, GOES_OVER]);
    goes(&task, &[NOTIFY, MAKES, GOES_OVER]);
}

/// The same line for all: one await point.
#[tokio::test]
async fn of_a_map() {
    let streams: StreamMap<u32, _> = (0..5).map(|key| (key, quiet())).collect();
    let task = arrives("stream map", goes_over(streams), GOES_OVER).await;
    count(&task, 1);
    goes(&task, &[CHANNEL, GOES_OVER]);
}
