//! What a server's limits do to a profile.

use std::hint::black_box;

use heapsite::push::Options;

use crate::backends::check_file;
use crate::delivery::NEVER;
use crate::rules::{DEFAULT, Limits};
use crate::server::Server;
use crate::walker::unpack;

const DEPTH: u32 = 9;
/// 2^9 stacks, a block each.
const STACKS: usize = 1 << DEPTH;

#[inline(never)]
fn left(way: u32, depth: u32, bytes: usize) -> Vec<u8> {
    black_box(go(black_box(way), depth, bytes))
}

#[inline(never)]
fn right(way: u32, depth: u32, bytes: usize) -> Vec<u8> {
    black_box(go(black_box(way), depth, bytes))
}

fn go(way: u32, depth: u32, bytes: usize) -> Vec<u8> {
    match (depth, way & 1) {
        (0, _) => vec![0; bytes],
        (_, 0) => left(way >> 1, depth - 1, bytes),
        (_, _) => right(way >> 1, depth - 1, bytes),
    }
}

/// The first are large, and the last as small as anything.
fn in_many_places() -> impl Iterator<Item = Vec<u8>> {
    (0..STACKS as u32).map(|way| go(way, DEPTH, 8_000_000 / (way as usize + 1)))
}

#[inline(never)]
fn planted_once() -> Vec<Vec<u8>> {
    black_box(in_many_places().collect())
}

#[inline(never)]
fn planted_for_a_strict_server() -> Vec<Vec<u8>> {
    black_box(in_many_places().collect())
}

/// Of the server's last profile: blocks told apart, blocks told together with others.
fn told(server: &Server, planted: &str) -> (i64, i64) {
    (server.live(planted)[0], server.live("[other")[0])
}

#[test]
fn small_stacks_are_merged_and_their_sums_stay() {
    let kept = planted_once();
    let whole = Server::start();
    let pusher = Options::new(whole.url()).interval(NEVER).start().unwrap();
    pusher.flush().unwrap();
    assert_eq!(
        told(&whole, "planted_once"),
        (STACKS as i64 + 1, 0),
        "a block each, and the list"
    );
    assert_eq!(pusher.status().merged_stacks, 0);

    let small = Server::start();
    const BYTES: usize = 100 << 10;
    small.limit(Limits {
        profile_bytes: BYTES,
        ..DEFAULT
    });
    let options = Options::new(small.url())
        .interval(NEVER)
        .max_bytes(BYTES as u64);
    let pusher = options.start().unwrap();
    pusher.flush().unwrap();
    let body = &small.ingested()[0].body;
    check_file(body);
    assert!(unpack(body).len() <= BYTES, "{}", unpack(body).len());
    // A good part of the room is used.
    assert!(unpack(body).len() > BYTES / 2, "{}", unpack(body).len());
    let (apart, together) = told(&small, "planted_once");
    assert!(apart > 0 && apart < STACKS as i64, "{apart}");
    // Other tests' blocks may be among them.
    assert!(apart + together > STACKS as i64, "{apart} {together}");
    assert!(pusher.status().merged_stacks >= (STACKS as i64 - apart) as u64);
    drop(kept);
}

/// A server that is stricter than the default: found out by being refused.
#[test]
fn a_server_that_takes_less_gets_less() {
    let kept = planted_for_a_strict_server();
    let server = Server::start();
    server.limit(Limits {
        profile_bytes: 50 << 10,
        ..DEFAULT
    });
    let pusher = Options::new(server.url()).interval(NEVER).start().unwrap();
    // 1.5 MiB, halved each time.
    let mut tries = 1;
    while pusher.flush().is_err() {
        tries += 1;
        assert!(tries < 10, "{:?}", pusher.status());
    }
    assert!(
        server
            .refused()
            .iter()
            .all(|(_, why)| why.contains("max_profile_size_byte"))
    );
    let (apart, together) = told(&server, "planted_for_a_strict_server");
    assert!(apart + together > STACKS as i64, "{apart} {together}");
    // It remembers.
    pusher.flush().unwrap();
    assert_eq!(server.refused().len() as u64, pusher.status().failed);
    drop(kept);
}
