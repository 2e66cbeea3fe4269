//! Go's `/debug/pprof/`: what a path and its query mean. Paths, headers and texts are those of `net/http/pprof` of
//! Go 1.27, so that whatever reads a Go service reads this one.
#![forbid(unsafe_code)]

use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, RawQuery, Request, State};
use axum::http::header::{LOCATION, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use axum::routing::any;

use super::answer::{self, is_read};
use super::census;
use super::heap::{self, Kind};
use super::jobs::Jobs;
use super::nothing::{self, Nothing};
use super::query::{self, Seconds};
use super::symbol;

const ROOT: &str = "/debug/pprof/";

/// The longest window. Whoever wants more takes two profiles.
const LONGEST_SECONDS: u64 = 3600;

pub(super) fn routes() -> Router<Arc<Jobs>> {
    Router::new()
        .route("/debug/pprof", any(to_the_slash))
        .route("/debug/pprof/", any(index))
        .route("/debug/pprof/cmdline", any(cmdline))
        .route("/debug/pprof/symbol", any(symbols))
        .route("/debug/pprof/{*name}", any(profile))
}

/// Links of the page are relative to it, so it ends with a slash.
async fn to_the_slash(OriginalUri(uri): OriginalUri) -> Response {
    let mut answer = answer::page("<a href=\"pprof/\">Temporary Redirect</a>.\n\n".to_owned());
    *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    answer.headers_mut().remove(X_CONTENT_TYPE_OPTIONS); // Go has none here
    let query = uri.query().map(|query| format!("?{query}"));
    let place = format!("{}/{}", uri.path(), query.unwrap_or_default());
    if let Ok(place) = HeaderValue::try_from(place) {
        answer.headers_mut().insert(LOCATION, place);
    }
    answer
}

async fn cmdline(method: Method) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    let arguments: Vec<_> = std::env::args_os().map(OsStringExt::into_vec).collect();
    answer::text(arguments.join(&0))
}

async fn symbols(State(jobs): State<Arc<Jobs>>, request: Request) -> Response {
    match *request.method() {
        // Go's own server refuses POST since 1.22, and then its own pprof gives up where names are missing.
        Method::POST => match axum::body::to_bytes(request.into_body(), symbol::MOST_BYTES).await {
            Ok(body) => symbol::answer(&jobs, &body).await,
            Err(_) => answer::refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the list of addresses is cut short, or longer than 1 MiB",
            ),
        },
        ref method if is_read(method) => {
            symbol::answer(&jobs, request.uri().query().unwrap_or_default().as_bytes()).await
        }
        _ => answer::only_get(),
    }
}

async fn profile(
    State(jobs): State<Arc<Jobs>>,
    method: Method,
    uri: Uri,
    RawQuery(query): RawQuery,
) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    let query = query.unwrap_or_default();
    let name = uri.path().strip_prefix(ROOT).unwrap_or_default();
    let refuse = |why| answer::refusal(StatusCode::BAD_REQUEST, why);
    let what = match (Kind::from_name(name), census::Kind::from_name(name)) {
        (Some(kind), _) => What::Heap(kind),
        (None, Some(kind)) => What::Census(kind),
        (None, None) => match nothing::find(name) {
            // Go's CPU profile and trace take no notice of what they do not understand.
            Some(nothing) if nothing.text.is_empty() => return nothing.answer(name),
            Some(nothing) => What::Nothing(nothing),
            None => return answer::refusal(StatusCode::NOT_FOUND, "Unknown profile"),
        },
    };
    let debug = query::number(&query, "debug") != 0;
    match (query::seconds(&query), what) {
        (Seconds::Wrong, _) => refuse("invalid value for \"seconds\" - must be a positive integer"),
        (Seconds::Window(_), _) if debug => refuse("seconds and debug params are incompatible"),
        (Seconds::Window(seconds), _) if seconds > LONGEST_SECONDS => {
            refuse("profile duration exceeds server's WriteTimeout")
        }
        (Seconds::Window(seconds), What::Heap(kind)) => heap::delta(&jobs, kind, seconds).await,
        (Seconds::Window(seconds), What::Census(kind)) => census::delta(&jobs, kind, seconds).await,
        (Seconds::Window(_), What::Nothing(nothing)) => nothing.answer(&format!("{name}-delta")),
        (Seconds::Unset, What::Heap(kind)) => {
            let trim = kind == Kind::Heap && query::number(&query, "gc") > 0;
            heap::whole(&jobs, kind, debug, trim).await
        }
        (Seconds::Unset, What::Census(kind)) => {
            let form = match query::number(&query, "debug") {
                0 => census::Form::Pprof,
                2.. => census::Form::Blocks,
                _ => census::Form::Counts,
            };
            census::whole(&jobs, kind, form).await
        }
        (Seconds::Unset, What::Nothing(nothing)) if debug => answer::text(nothing.text),
        (Seconds::Unset, What::Nothing(nothing)) => nothing.answer(name),
    }
}

enum What {
    Heap(Kind),
    Census(census::Kind),
    Nothing(&'static Nothing),
}

async fn index(method: Method) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    let mut rows = String::new();
    let heaps = [Kind::Heap, Kind::Allocs].map(|kind| (kind.name(), kind.about().to_owned(), "1"));
    let nothings = nothing::ALL
        .iter()
        .map(|nothing| (nothing.name, nothing.about.to_owned(), ""));
    // As Go's index, it says how many there are.
    let census = census::ALL.iter().map(|kind| {
        let about = format!("{} {} now.", kind.about(), kind.alive());
        (kind.name(), about, "2")
    });
    for (name, about, debug) in heaps.into_iter().chain(census).chain(nothings) {
        let text = match debug {
            "" => String::new(),
            debug => format!(" (<a href=\"{name}?debug={debug}\">as text</a>)"),
        };
        rows += &format!("<tr><td><a href=\"{name}\">{name}</a>{text}</td><td>{about}</td></tr>\n");
    }
    answer::page(PAGE.replace("ROWS", &rows))
}

const PAGE: &str = r#"<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8">
<title>/debug/pprof/</title>
<style>td { padding: 0.2em 1em 0.2em 0; vertical-align: top }</style>
</head>
<body>
<h1>/debug/pprof/</h1>
<p>Profiles of this process, by heapsite, where a Go service has its own. <code>go tool pprof</code> and
<code>heapsite top</code> take their addresses.</p>
<table>
ROWS<tr><td><a href="cmdline">cmdline</a></td><td>The command line, arguments separated by NUL.</td></tr>
<tr><td><a href="symbol">symbol</a></td><td>Function names for addresses, by GET or POST.</td></tr>
</table>
<ul>
<li><code>debug=1</code>: as text that google-pprof and jeprof read; <code>debug=2</code>: for people.</li>
<li><code>seconds=N</code>: what happens during the next N seconds.</li>
<li><code>gc=1</code> (heap): the allocator is asked to give free memory back first.</li>
</ul>
</body>
</html>
"#;
