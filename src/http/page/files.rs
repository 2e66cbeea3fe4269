//! The page's files, built in.
#![forbid(unsafe_code)]

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::extract::{OriginalUri, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG};
use axum::http::header::{IF_NONE_MATCH, LOCATION, REFERRER_POLICY};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;

use super::{answer, is_read};

struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

static FILES: [File; 8] = [
    File {
        name: "",
        kind: "text/html; charset=utf-8",
        text: include_str!("assets/page.html"),
    },
    File {
        name: "page.css",
        kind: "text/css; charset=utf-8",
        text: include_str!("assets/page.css"),
    },
    File {
        name: "icon.svg",
        kind: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
    },
    script("page.js", include_str!("assets/page.js")),
    script("text.js", include_str!("assets/text.js")),
    script("chart.js", include_str!("assets/chart.js")),
    script("tables.js", include_str!("assets/tables.js")),
    script("flame.js", include_str!("assets/flame.js")),
];

const fn script(name: &'static str, text: &'static str) -> File {
    File {
        name,
        kind: "text/javascript; charset=utf-8",
        text,
    }
}

/// Only what the page brings along runs, and it talks to nobody else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Links of the page are relative to it, so it ends with a slash.
pub(super) async fn to_the_slash(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    let mut answer = answer::text("see heapsite/\n");
    *answer.status_mut() = StatusCode::PERMANENT_REDIRECT;
    let place = HeaderValue::try_from(format!("{}/", uri.path()));
    if let Ok(place) = place {
        answer.headers_mut().insert(LOCATION, place);
    }
    answer
}

pub(super) async fn page(request: Request) -> Response {
    serve("", &request)
}

pub(super) async fn file(request: Request) -> Response {
    let name = request.uri().path().strip_prefix("/debug/heapsite/");
    serve(name.unwrap_or("?"), &request)
}

fn serve(name: &str, request: &Request) -> Response {
    if !is_read(request.method()) {
        return answer::only_get();
    }
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return answer::no_such_page();
    };
    let tag = tag(file.text);
    let known = request.headers().get(IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut answer = answer::text(if is_known { "" } else { file.text });
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(file.kind));
    // Asked for again each time, and answered with 304: a new version of the program brings a new page.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    answer
}

fn tag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}
