//! A server for programs that have none: one thread, one small runtime, bounds on everything.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, oneshot};

use super::access::Options;
use super::answer;
use super::patient::Patient;
use crate::error::{Error, Result};
use crate::{helper, sys};

/// People and scrapers come by ones and twos. More have to wait until the kernel's queue is full as well.
const CONNECTIONS: usize = 64;

/// For a request's head to arrive, and for an idle connection.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);

/// For a request with a body, and its answer.
const POST_PATIENCE: Duration = Duration::from_secs(60);

/// Without a byte of the answer getting through.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// A request's head: `symbol` may be asked for some thousand addresses in its query.
const HEAD_BYTES: usize = 64 << 10;

const HEADERS: usize = 64;

/// How long nothing is accepted after an error such as too many open files.
const BREATH: Duration = Duration::from_millis(100);

impl Options {
    /// Serves `/debug/pprof/` and `/debug/heapsite/` on `address` from a thread named `heapsite-http` until the [`Server`] is
    /// dropped; port 0: any that is free. A forked child has no such thread, and serves nothing; its copy of the listening socket is closed by
    /// `fork`, so that the port is free when the parent ends.
    ///
    /// # Errors
    /// The address cannot be listened on, or is not of the loopback and [`Options::remote`] does not allow it; the token
    /// cannot be used; the system refuses a thread or a file descriptor.
    pub fn serve(&self, address: impl ToSocketAddrs) -> Result<Server> {
        let _own_work = helper::own_work();
        self.validate()?;
        let failed = |error| Error::io("cannot serve profiles over http", error);
        let addresses: Vec<SocketAddr> = address.to_socket_addrs().map_err(failed)?.collect();
        addresses
            .iter()
            .try_for_each(|&address| self.allow(address))?;
        let listener = TcpListener::bind(&addresses[..]).map_err(|error| {
            let names: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
            failed(error).context(names.join(", "))
        })?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        // Declared after it, so given up before it is closed. Without it a child keeps the port: no reason not to serve.
        let closed_in_children = sys::fork::close_in_children(&listener);
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed)?;
        let routes = self
            .everything()
            .fallback(|| async { answer::no_such_page() })
            .layer(middleware::from_fn(hurry));
        let (stop, stopped) = oneshot::channel();
        let thread = helper::spawn("heapsite-http", move || {
            run(&runtime, listener, routes, stopped);
        })
        .map_err(failed)?;
        Ok(Server {
            pid: std::process::id(),
            address,
            closed_in_children,
            running: Some((stop, thread)),
        })
    }
}

/// A running server. Dropping it closes its connections and ends its thread.
///
/// In a forked child it is a memory only: the server goes on in the parent, and dropping it does nothing.
#[must_use = "dropping the server stops it: keep it until the end of `main`"]
pub struct Server {
    pid: u32,
    address: SocketAddr,
    closed_in_children: Option<sys::fork::ClosedInChildren>,
    /// `None` only while dropping.
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Server {
    /// Where it listens; the port is the real one.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:6060`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _own_work = helper::own_work();
        let Some((stop, thread)) = self.running.take() else {
            return;
        };
        if std::process::id() != self.pid {
            // Both are the parent's; even to detach a thread that does not exist here would touch memory that may be gone.
            std::mem::forget((stop, thread));
            return;
        }
        drop(self.closed_in_children.take()); // before the number can be another file's
        let _has_ended = stop.send(());
        // The thread itself only hands work on, so this takes no time. An error is a panic, which the hook has told.
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

/// The whole life of the thread.
fn run(runtime: &Runtime, listener: TcpListener, routes: Router, stopped: oneshot::Receiver<()>) {
    runtime.block_on(async {
        match tokio::net::TcpListener::from_std(listener) {
            // Ends with the runtime, and so does what it has spawned.
            Ok(listener) => tokio::spawn(accept(listener, routes)),
            Err(_) => return,
        };
        // A server that was forgotten instead of dropped serves until the process ends.
        let _ = stopped.await;
    });
}

async fn accept(listener: tokio::net::TcpListener, routes: Router) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return; // nobody closes it
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = serve_connection(stream, routes.clone());
                tokio::spawn(async move {
                    // An error is the other end's: it hung up, was too slow, or did not speak HTTP.
                    let _ = connection.await;
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}

/// A body that never ends is not waited for. Nothing else takes long but `seconds`, which nobody posts.
async fn hurry(request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return next.run(request).await;
    }
    match tokio::time::timeout(POST_PATIENCE, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => answer::refusal(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
    }
}

async fn serve_connection(stream: TcpStream, routes: Router) -> hyper::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(
            TokioIo::new(Patient::new(stream, WRITE_PATIENCE)),
            TowerToHyperService::new(routes),
        )
        .await
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
