//! Pattern 7: text to bytes and back in a hot path. Nothing is kept, so live bytes show nothing; everything is allocated,
//! copied and freed with every request. Fixed by borrowing, and by buffers that come from a pool with their room.
#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;

use super::Form;
use super::harness::{self, Judge, Service};
use super::truth::Guilty;

/// A document that is checked and normalised.
const DOCUMENT: usize = 64 << 10;
/// Buffers in the pool: as many as there are requests at a time.
const POOL: usize = 16;

static GROWN: Guilty = Guilty::new("render", file!());
static DECODED: Guilty = Guilty::new("decode", file!());

struct Renderer {
    form: Form,
    pool: Mutex<Vec<String>>,
}

pub(crate) fn service(form: Form) -> Service {
    let renderer = Arc::new(Renderer {
        form,
        pool: Mutex::new(match form {
            Form::Leaky => Vec::new(),
            Form::Fixed => (0..POOL).map(|_| String::with_capacity(DOCUMENT)).collect(),
        }),
    });
    let router = Router::new()
        .route("/", post(normalise))
        .with_state(renderer);
    let fields = " name = value;".bytes().cycle().take(DOCUMENT);
    let document: Bytes = fields.collect();
    Service {
        request: Box::new(move |_| harness::post("/".into(), document.clone())),
        bytes_per_request: DOCUMENT as u64,
        judge: Judge::Churn,
        ..Service::new(router, &[&GROWN, &DECODED])
    }
}

async fn normalise(State(renderer): State<Arc<Renderer>>, body: Bytes) -> Result<String, String> {
    if renderer.form == Form::Leaky {
        let text = decode(&body);
        let mut out = String::new();
        render(&text, &mut out);
        return Ok(out.len().to_string());
    }
    let text = std::str::from_utf8(&body).map_err(|error| error.to_string())?;
    let pool = || {
        let pool = renderer.pool.lock();
        pool.unwrap_or_else(PoisonError::into_inner)
    };
    let mut out = pool().pop().unwrap_or_default();
    render(text, &mut out);
    let length = out.len();
    out.clear();
    pool().push(out);
    Ok(length.to_string())
}

/// A copy that only proves that the bytes are text.
#[inline(never)]
fn decode(body: &[u8]) -> String {
    let counted = DECODED.at(line!() + 1);
    let text = String::from_utf8_lossy(body).into_owned();
    drop(counted);
    text
}

/// Drops the blanks. Without room in `out` it doubles a dozen times.
#[inline(never)]
fn render(text: &str, out: &mut String) {
    let counted = GROWN.at(line!() + 2);
    for word in text.split(' ') {
        out.push_str(word);
    }
    drop(counted);
}
