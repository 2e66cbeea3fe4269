//! `/debug/heapsite/`: a page for a person with a browser, and the answers that it is drawn from.
//!
//! ```text
//! browser ──▶ files   HTML, CSS, JavaScript: the same for everybody, no token
//!         ──▶ api     numbers as JSON: from the history at once, or by a job (flame graph, downloads)
//! ```
//!
//! The page loads nothing from elsewhere, and its `Content-Security-Policy` would not let it. Its links are relative, so a
//! router may be nested anywhere.
#![forbid(unsafe_code)]

mod api;
mod compare;
mod files;
mod flame;
mod overview;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use axum::response::Response;
use axum::routing::any;

use super::answer::{self, is_read};
use super::jobs::Jobs;
use crate::history::Keeper;

/// What the answers need.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) jobs: Arc<Jobs>,
    pub(super) keeper: Keeper,
    /// Whether `/metrics` is served beside the page.
    pub(super) metrics: bool,
}

/// What everybody may have: it tells nothing of the process.
pub(super) fn files() -> Router {
    Router::new()
        .route("/debug/heapsite", any(files::to_the_slash))
        .route("/debug/heapsite/", any(files::page))
        .route("/debug/heapsite/{*name}", any(files::file))
}

/// What a token protects, where there is one.
pub(super) fn api(page: Page) -> Router {
    let routes = Router::new();
    #[cfg(feature = "task")]
    let routes = routes.route("/debug/heapsite/api/tasks", any(api::tasks));
    routes
        .route("/debug/heapsite/api/threads", any(api::threads))
        .route("/debug/heapsite/api/overview", any(overview::answer))
        .route("/debug/heapsite/api/history", any(api::history))
        .route("/debug/heapsite/api/diff", any(api::diff))
        .route("/debug/heapsite/api/flame", any(api::flame))
        .route("/debug/heapsite/api/profile", any(api::profile))
        .route("/debug/heapsite/api/{*name}", any(api::unknown))
        .with_state(page)
}

/// 200 and JSON, of this moment.
fn json(value: &serde_json::Value) -> Response {
    let mut answer = answer::json(value.to_string());
    let headers = answer.headers_mut();
    headers.insert("cache-control", HeaderValue::from_static("no-store"));
    answer
}
