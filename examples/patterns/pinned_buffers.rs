//! Pattern 3: a few bytes that keep many. A slice of a `Bytes` keeps the whole buffer; a `Vec` keeps its capacity.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::routing::post;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;

use super::Form;
use super::harness::{self, Service};
use super::truth::Guilty;

/// A line of a device's log.
const LINE: usize = 100 << 10;
/// What is kept of it at its start: a serial number.
const SERIAL: usize = 32;
/// Where its trailer begins, of which a checksum is kept.
const TRAILER: usize = 40 << 10;
/// More than there are requests.
const DEVICES: u64 = 4_000;
/// What a device says when it has nothing to say.
const HELLO: &[u8] = b"serial 0000-0000-0000-0000-0000; hello";

static SLICED: Guilty = Guilty::new("room_for", file!());
static TRUNCATED: Guilty = Guilty::new("checksum_of", file!());

/// What is known of each device. Both caches are full from the start: every device has said hello.
struct Devices {
    form: Form,
    serials: Mutex<HashMap<u64, Bytes>>,
    checksums: Mutex<HashMap<u64, Vec<u8>>>,
}

pub(crate) fn service(form: Form) -> Service {
    let hello = |device| (device, copy_of(HELLO));
    let devices = Arc::new(Devices {
        form,
        serials: Mutex::new((0..DEVICES).map(|n| (n, copy_of(HELLO).into())).collect()),
        checksums: Mutex::new((0..DEVICES).map(hello).collect()),
    });
    let router = Router::new().route("/", post(report)).with_state(devices);
    let line = Bytes::from(vec![b'x'; LINE]);
    Service {
        request: Box::new(move |n| harness::post(format!("/?n={n}"), line.clone())),
        bytes_per_request: (LINE - TRAILER) as u64,
        ..Service::new(router, &[&SLICED, &TRUNCATED])
    }
}

/// Takes a device's line in.
async fn report(
    State(devices): State<Arc<Devices>>,
    request: Request<Body>,
) -> Result<&'static str, String> {
    let query = request.uri().query().unwrap_or("");
    let device: u64 = query
        .trim_start_matches("n=")
        .parse()
        .map_err(|_| "no device")?;
    let mut line = room_for(LINE);
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| error.to_string())?;
        if let Some(data) = frame.data_ref() {
            line.extend_from_slice(&data[..data.len().min(LINE - line.len())]);
        }
    }
    let line = line.freeze();
    let serial = match devices.form {
        // 32 bytes to look at, 100 KiB to keep.
        Form::Leaky => line.slice(..SERIAL),
        Form::Fixed => copy_of(&line).into(),
    };
    let checksum = match devices.form {
        Form::Leaky => checksum_of(&line),
        Form::Fixed => copy_of(&line[TRAILER..]),
    };
    let (serials, checksums) = (devices.serials.lock(), devices.checksums.lock());
    serials
        .unwrap_or_else(PoisonError::into_inner)
        .insert(device, serial);
    checksums
        .unwrap_or_else(PoisonError::into_inner)
        .insert(device, checksum);
    Ok("noted")
}

/// The first 32 bytes, and no more.
fn copy_of(line: &[u8]) -> Vec<u8> {
    line[..SERIAL].to_vec()
}

#[inline(never)]
fn room_for(length: usize) -> BytesMut {
    let counted = SLICED.at(line!() + 1);
    let buffer = BytesMut::with_capacity(length);
    drop(counted);
    buffer
}

#[inline(never)]
fn checksum_of(line: &[u8]) -> Vec<u8> {
    let counted = TRUNCATED.at(line!() + 1);
    let mut trailer = line[TRAILER..].to_vec();
    drop(counted);
    trailer.truncate(SERIAL); // its length is 32, its capacity still 60 KiB
    trailer
}
