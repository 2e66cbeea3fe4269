//! `/metrics`: what a Prometheus scrapes, in the format that it asks for.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::any;
use tokio::sync::Mutex;

use super::answer;
use super::jobs;
use crate::metrics::{self, Collector};

/// Whoever asks so soon after somebody else gets the same numbers.
const FRESH: Duration = Duration::from_secs(1);

/// Scrapes have a gate of their own, and it refuses nobody: a profile that is being made, or a second Prometheus, must not
/// look like a service that is down. One looks; whoever comes meanwhile waits, and gets what it has seen.
#[derive(Default)]
struct Scrapes {
    /// Held by the thread that looks, also when its caller has gone: there is never a second one.
    last: Arc<Mutex<Option<Scrape>>>,
    collector: Collector,
}

/// What was seen, in both formats.
struct Scrape {
    open: Bytes,
    plain: Bytes,
    done: Instant,
}

impl Scrape {
    fn look(collector: &Collector) -> Scrape {
        let open = metrics::open_metrics(collector);
        Scrape {
            plain: metrics::plain(&open).into(),
            open: open.into(),
            // The end, not the begin: where a look takes longer than this lasts, those who wait would look one by one.
            done: Instant::now(),
        }
    }

    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.done) < FRESH
    }

    /// Refers to the text, so that an answer from memory allocates nothing on the app's threads.
    fn text(&self, open: bool) -> Bytes {
        if open { &self.open } else { &self.plain }.clone()
    }
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
    if !answer::is_read(&method) {
        return answer::only_get();
    }
    let accepted = headers.get_all(ACCEPT).iter().map(HeaderValue::to_str);
    let accepted: Vec<&str> = accepted.filter_map(Result::ok).collect();
    let open = wants_open_metrics(&accepted.join(","));
    match scrapes.text(open).await {
        Ok(text) => told(text, open),
        Err(error) => answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

impl Scrapes {
    async fn text(&self, open: bool) -> Result<Bytes, &'static str> {
        let mut last = Arc::clone(&self.last).lock_owned().await;
        if let Some(fresh) = last.as_ref().filter(|last| last.is_fresh(Instant::now())) {
            return Ok(fresh.text(open));
        }
        let collector = self.collector.clone();
        jobs::run(move |_caller| last.insert(Scrape::look(&collector)).text(open)).await
    }
}

fn told(text: Bytes, open: bool) -> Response {
    let kind = if open {
        metrics::OPEN_METRICS
    } else {
        metrics::TEXT
    };
    let mut answer = answer::text(text);
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(VARY, HeaderValue::from_static("accept"));
    answer
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
    use super::*;

    #[test]
    fn a_text_is_as_fresh_as_it_is_said_to_be() {
        let done = Instant::now();
        let scrape = Scrape {
            open: Bytes::new(),
            plain: Bytes::new(),
            done,
        };
        assert!(scrape.is_fresh(done));
        assert!(scrape.is_fresh(done + FRESH - Duration::from_nanos(1)));
        assert!(!scrape.is_fresh(done + FRESH));
    }

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
