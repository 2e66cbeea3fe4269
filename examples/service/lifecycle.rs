//! How the service begins and ends. Whatever `start` starts, `stop` waits for.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::api::{self, App};
use crate::quotes::Quotes;
use crate::upstream::Upstream;
use crate::worker::Worker;

/// What differs between production, tests and the soak.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    pub(crate) upstream: SocketAddr,
    /// How long a request may take.
    pub(crate) deadline: Duration,
    /// How long a quote is good for.
    pub(crate) fresh_for: Duration,
    /// How long `stop` waits for requests in flight before it drops them.
    pub(crate) grace: Duration,
}

impl Settings {
    /// Any port, and the usual times.
    pub(crate) fn to(upstream: SocketAddr) -> Settings {
        Settings {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            upstream,
            deadline: Duration::from_secs(2),
            fresh_for: Duration::from_secs(2),
            grace: Duration::from_secs(10),
        }
    }
}

/// A running service.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) app: App,
    stopping: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
    worker: Worker,
    grace: Duration,
}

impl Service {
    /// Binds, starts the worker, and serves.
    pub(crate) async fn start(settings: Settings) -> Result<Service> {
        let stopping = CancellationToken::new();
        let (worker, orders) = Worker::start();
        let upstream = Upstream::new(settings.upstream);
        let app = App::new(
            Quotes::new(upstream, settings.fresh_for),
            orders,
            stopping.clone(),
        );
        let listener = TcpListener::bind(settings.address).await?;
        let address = listener.local_addr()?;
        let router = api::router(app.clone(), settings.deadline);
        let server = tokio::spawn(
            axum::serve(listener, router)
                .with_graceful_shutdown(stopping.clone().cancelled_owned())
                .into_future(),
        );
        Ok(Service {
            address,
            app,
            stopping,
            server,
            worker,
            grace: settings.grace,
        })
    }

    /// Stops accepting, ends the streams, waits for requests in flight, then for the worker to finish what was ordered.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stopping.cancel();
        let mut server = self.server;
        match timeout(self.grace, &mut server).await {
            Ok(ended) => ended??,
            Err(_) => {
                // Who has not finished by now loses the connection; waiting on is how a deployment hangs.
                server.abort();
                let _ = server.await;
            }
        }
        // The last sender goes here: the worker sees the queue's end once the requests are gone.
        drop(self.app);
        self.worker.stop(self.grace).await
    }
}

/// Waits for SIGTERM (an orchestrator) or SIGINT (Ctrl-C).
pub(crate) async fn asked_to_stop() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
