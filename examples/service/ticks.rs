//! A stream of ticks to a client, on a timer that ends with the client.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

/// A task that ends when this is dropped. Dropping a `JoinHandle` alone lets the task run on.
pub(crate) struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Answers with a tick every `period` until the client goes away or the service stops.
pub(crate) fn stream(period: Duration, stopping: CancellationToken) -> Response {
    let (sender, receiver) = mpsc::channel::<Bytes>(4);
    let timer = AbortOnDrop(tokio::spawn(async move {
        let mut interval = tokio::time::interval(period);
        for tick in 0u64.. {
            tokio::select! {
                _ = interval.tick() => {}
                () = stopping.cancelled() => return,
            }
            if sender.send(format!("tick {tick}\n").into()).await.is_err() {
                return;
            }
        }
    }));
    // The timer belongs to the body: hyper drops the body when the connection is gone.
    let frames = ReceiverStream::new(receiver).map(move |bytes| {
        let _ = &timer;
        Ok::<_, Infallible>(http_body::Frame::data(bytes))
    });
    Response::new(Body::new(BoxBody::new(StreamBody::new(frames))))
}
