//! Every request has a deadline, and everything done for it ends with it: the handler's future is dropped when the time is
//! up, when the client goes away, and what it has handed to other tasks hears of it by a token.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// What a call may take, and whether anybody still waits for it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) deadline: Instant,
    pub(crate) cancelled: CancellationToken,
}

/// Why a call ended early.
#[derive(Debug)]
pub(crate) enum Stopped {
    Deadline,
    Cancelled,
}

impl Call {
    /// Until `time` from now.
    pub(crate) fn lasting(time: Duration) -> Call {
        Call {
            deadline: Instant::now() + time,
            cancelled: CancellationToken::new(),
        }
    }

    /// Runs `work` for as long as the call lasts, and drops it then.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::select! {
            done = timeout_at(self.deadline, work) => done.map_err(|_| Stopped::Deadline),
            () = self.cancelled.cancelled() => Err(Stopped::Cancelled),
        }
    }
}

/// Gives the request its [`Call`]. The guard cancels it however the request ends: answered, late, or its client gone.
pub(crate) async fn layer(
    State(time): State<Duration>,
    mut request: Request,
    next: Next,
) -> Response {
    let call = Call::lasting(time);
    let _ends_with_the_request = call.cancelled.clone().drop_guard();
    request.extensions_mut().insert(call.clone());
    match call.run(next.run(request)).await {
        Ok(response) => response,
        Err(_) => StatusCode::GATEWAY_TIMEOUT.into_response(),
    }
}
