//! Answers as Go's `net/http/pprof` gives them: status, headers, text.
#![forbid(unsafe_code)]

use axum::body::Body;
use axum::http::header::{
    ALLOW, CONTENT_DISPOSITION, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// pprof shows the text of an error only if this header is there.
const X_GO_PPROF: HeaderName = HeaderName::from_static("x-go-pprof");

/// 200 and a text.
pub(super) fn text(body: impl Into<Body>) -> Response {
    answer(StatusCode::OK, TEXT, body)
}

/// 200 and a page.
pub(super) fn page(html: String) -> Response {
    answer(
        StatusCode::OK,
        HeaderValue::from_static("text/html; charset=utf-8"),
        html,
    )
}

/// 200 and numbers for a program.
pub(super) fn json(text: String) -> Response {
    let kind = HeaderValue::from_static("application/json");
    answer(StatusCode::OK, kind, text)
}

/// 200 and a file to keep. A profile is compressed as a file, not for the way: there is no `Content-Encoding`.
pub(super) fn file(name: &str, body: Vec<u8>) -> Response {
    let mut answer = answer(
        StatusCode::OK,
        HeaderValue::from_static("application/octet-stream"),
        body,
    );
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    answer
}

/// An error that pprof shows to its user.
pub(super) fn refusal(status: StatusCode, why: &str) -> Response {
    let mut answer = answer(status, TEXT, format!("{why}\n"));
    answer
        .headers_mut()
        .insert(X_GO_PPROF, HeaderValue::from_static("1"));
    answer
}

/// 503: what somebody else has asked for is in the way. Worth another try in so many seconds.
pub(super) fn busy(what: &str, seconds: u64) -> Response {
    let mut answer = refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        &format!("{what}; try again in {seconds} s"),
    );
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}

/// For [`busy`]: one works and one waits.
pub(super) const ANOTHER_PROFILE: &str = "another profile is being made";

/// For [`busy`]: there is one window at a time.
pub(super) const ANOTHER_WINDOW: &str =
    "another ?seconds= is being waited for, and there is one at a time";

/// Whether a request asks for what can only be read.
pub(super) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// 405 for what can only be read.
pub(super) fn only_get() -> Response {
    let mut answer = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Allowed\n");
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    answer
}

/// 404 outside of everything that is served.
pub(super) fn no_such_page() -> Response {
    answer(StatusCode::NOT_FOUND, TEXT, "404 page not found\n")
}

fn answer(status: StatusCode, kind: HeaderValue, body: impl Into<Body>) -> Response {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
