//! Profiles over HTTP, at Go's paths and with Go's manners: feature `http`.
//!
//! ```no_run
//! # fn main() -> Result<(), heapsite::Error> {
//! // A thread and a small runtime of its own: any program can have it. Dropping the server stops it.
//! let server = heapsite::http::serve("127.0.0.1:6060")?;
//! println!("go tool pprof {}/debug/pprof/heap", server.url());
//! # Ok(())
//! # }
//! ```
//!
//! `/debug/heapsite/` is a page for people; as long as a server or a router lives a thread keeps its history.
//! `HEAPSITE=http=127.0.0.1:6060` makes [`init`](crate::init) do the same. A program with an axum app mounts
//! [`router`] instead.
//!
//! ```text
//! connection ─▶ server ─▶ access ─▶ router ─▶ pprof ──cheap──▶ answer
//!               (bounds)  (token)              └─ jobs ─▶ a thread of heapsite's own: heap, symbol ─▶ answer
//! ```
//!
//! A group of routes is a file with a `routes()`, merged in [`Options::router`]; what costs more than a moment asks
//! `Jobs` for its turn. [`guide::http`](crate::guide::http) describes the endpoints.
#![forbid(unsafe_code)]

mod access;
mod answer;
mod census;
mod heap;
mod jobs;
#[cfg(feature = "metrics")]
mod metrics;
mod nothing;
mod page;
mod patient;
mod pprof;
mod query;
mod server;
mod symbol;

use std::net::ToSocketAddrs;
use std::sync::Arc;

use axum::Router;

use crate::error::Result;
use crate::history::Keeper;
use jobs::Jobs;

pub use access::Options;
pub(crate) use access::{TOKENS, address};
pub use server::Server;

/// Reads a query as the endpoints do; for heapsite's own tests.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub fn read_query(text: &str) {
    query::seconds(text);
    query::number(text, "debug");
}

/// Serves `/debug/pprof/` on `address`, which has to be of this machine's loopback; port 0: any that is free.
///
/// # Errors
/// As [`Options::serve`].
pub fn serve(address: impl ToSocketAddrs) -> Result<Server> {
    Options::new().serve(address)
}

/// The routes under `/debug/pprof/` and `/debug/heapsite/`, for an axum app: `app.merge(heapsite::http::router())`.
///
/// Whoever reaches the app reaches them: [`Options::token`] asks for a token, and the app's own layers work as for any
/// other route. Profiles are made on threads of heapsite's own, so the app's runtime never waits for them. A router
/// makes one profile at a time; make one and clone it.
pub fn router() -> Router {
    Options::new().router()
}

/// The route `/metrics`, for an axum app that has none of this path: `app.merge(heapsite::http::metrics_router())`. An app
/// with metrics of its own adds heapsite's to its registry instead: [`metrics::register`](crate::metrics::register).
#[cfg(feature = "metrics")]
pub fn metrics_router() -> Router {
    Options::new().metrics_router()
}

impl Options {
    /// [`router`], with a token if one is set. [`Options::remote`] has no say here: the app listens, not heapsite.
    pub fn router(&self) -> Router {
        self.routes(false)
    }

    /// `/debug/pprof/` and `/debug/heapsite/`.
    fn routes(&self, metrics: bool) -> Router {
        let jobs = Arc::new(Jobs::default());
        let keeper = Keeper::new(self.history);
        let api = page::api(page::Page {
            jobs: Arc::clone(&jobs),
            keeper,
            metrics,
        });
        // The page's files are no secret: a browser has no token until the page has asked for it.
        page::files().merge(self.guarded(pprof::routes().with_state(jobs).merge(api)))
    }

    /// [`metrics_router`], with a token if one is set.
    #[cfg(feature = "metrics")]
    pub fn metrics_router(&self) -> Router {
        self.guarded(metrics::routes())
    }

    /// All that [`Options::serve`] serves.
    fn everything(&self) -> Router {
        let routes = self.routes(cfg!(feature = "metrics"));
        #[cfg(feature = "metrics")]
        let routes = routes.merge(self.metrics_router());
        routes
    }

    fn guarded(&self, routes: Router) -> Router {
        match self.token.clone() {
            Some(token) => access::guarded(routes, token),
            None => routes,
        }
    }
}
