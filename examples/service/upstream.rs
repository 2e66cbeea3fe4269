//! Calls to another service, and that service. The client keeps few idle connections, and for a short time; a response
//! that it does not want is dropped, which closes its connection; one that it wants is read to its end.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use axum::routing::get;
use http_body_util::{BodyExt, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Result;
use crate::deadline::Call;

/// Longest quote accepted, bytes.
const LONGEST: usize = 64 << 10;
/// Idle connections are closed after this long.
const IDLE: Duration = Duration::from_secs(1);

/// A client of the quote service.
pub(crate) struct Upstream {
    address: SocketAddr,
    client: Client<HttpConnector, Body>,
}

impl Upstream {
    pub(crate) fn new(address: SocketAddr) -> Upstream {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(8)
            .build_http();
        Upstream { address, client }
    }

    /// The quote of a symbol, within the call's time.
    pub(crate) async fn quote(&self, call: &Call, symbol: &str) -> Result<String> {
        let fetched = call.run(self.fetch(symbol)).await;
        fetched.map_err(|stopped| format!("quote service: {stopped:?}"))?
    }

    async fn fetch(&self, symbol: &str) -> Result<String> {
        let uri: Uri = format!("http://{}/price/{symbol}", self.address).parse()?;
        let response = self.client.get(uri).await?;
        if response.status() != StatusCode::OK {
            // Not worth reading: dropped here, and the connection with it.
            return Err(format!("quote service: {}", response.status()).into());
        }
        // Without a bound, the other side decides on our memory.
        let body = Limited::new(response.into_body(), LONGEST)
            .collect()
            .await?;
        Ok(String::from_utf8(body.to_bytes().to_vec())?)
    }
}

/// The quote service itself. Some symbols it does not know, and for some it takes longer than anybody waits.
pub(crate) struct Remote {
    pub(crate) address: SocketAddr,
    stopping: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

impl Remote {
    pub(crate) async fn start() -> Result<Remote> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let stopping = CancellationToken::new();
        let router = axum::Router::new().route("/price/{symbol}", get(price));
        let server = tokio::spawn(
            axum::serve(listener, router)
                .with_graceful_shutdown(stopping.clone().cancelled_owned())
                .into_future(),
        );
        Ok(Remote {
            address,
            stopping,
            server,
        })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.stopping.cancel();
        self.server.await??;
        Ok(())
    }
}

async fn price(Path(symbol): Path<String>) -> std::result::Result<String, StatusCode> {
    match symbol.as_str() {
        "UNKNOWN" => Err(StatusCode::NOT_FOUND),
        "SLOW" => std::future::pending().await,
        _ => {
            let cents = symbol
                .bytes()
                .fold(17u64, |sum, byte| sum * 31 % 99_991 + u64::from(byte));
            Ok(format!("{symbol} {}.{:02}", cents / 100, cents % 100))
        }
    }
}
