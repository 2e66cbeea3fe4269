//! `/metrics`: what a Prometheus scrapes, in the format that it asks for.
#![forbid(unsafe_code)]

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;

use super::answer;
use super::jobs::{self, Busy, Jobs};
use crate::metrics::{self, Collector};

/// Scrapes have a gate of their own: a profile that is being made must not look like a service that is down.
#[derive(Default)]
struct Scrapes {
    jobs: Arc<Jobs>,
    collector: Collector,
}

pub(super) fn routes() -> Router {
    Router::new()
        .route("/metrics", any(scrape))
        .with_state(Arc::new(Scrapes::default()))
}

async fn scrape(
    State(scrapes): State<Arc<Scrapes>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return answer::only_get();
    }
    let next = match scrapes.jobs.next() {
        Ok(next) => next,
        Err(Busy(seconds)) => return answer::busy(seconds),
    };
    let accepted = headers.get_all(ACCEPT).iter().map(HeaderValue::to_str);
    let accepted: Vec<&str> = accepted.filter_map(Result::ok).collect();
    let open = wants_open_metrics(&accepted.join(","));
    let collector = scrapes.collector.clone();
    let made = jobs::run(move |_caller| {
        let _turn = next.turn();
        match open {
            true => metrics::open_metrics(&collector),
            false => metrics::text(&collector),
        }
    });
    let kind = if open {
        metrics::OPEN_METRICS
    } else {
        metrics::TEXT
    };
    match made.await {
        Ok(text) => {
            let mut answer = answer::text(text);
            let headers = answer.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            headers.insert(VARY, HeaderValue::from_static("accept"));
            answer
        }
        Err(error) => answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

/// Whether an `Accept` header asks for OpenMetrics 1.0.0 at least as much as for the older text. Without a word of it the
/// answer is the older one, which everybody reads.
fn wants_open_metrics(accept: &str) -> bool {
    let (mut open, mut plain) = (0.0_f32, 0.0_f32);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut version) = (1.0, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = value.parse().unwrap_or(0.0),
                "version" => version = Some(value),
                _ => {}
            }
        }
        match kind.as_str() {
            "application/openmetrics-text" if version.is_none_or(|it| it == "1.0.0") => {
                open = open.max(quality);
            }
            "text/plain" | "text/*" | "*/*" => plain = plain.max(quality),
            _ => {}
        }
    }
    open > 0.0 && open >= plain
}

#[cfg(test)]
mod tests {
    use super::wants_open_metrics;

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for accept in [
            prometheus,
            "application/openmetrics-text",
            "text/plain;q=0.5, Application/OpenMetrics-Text; Version=\"1.0.0\"; q=0.5",
        ] {
            assert!(wants_open_metrics(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/openmetrics-text;q=0.4,text/plain;q=0.5",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;version=2.0.0, */*",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=x",
            ";;,=,q",
        ] {
            assert!(!wants_open_metrics(accept), "{accept}");
        }
    }
}
