//! One job at a time, and nothing that a client sends takes the server down.

use std::io::{Read, Write};
use std::net::TcpStream;

use heapsite::http::{Server, serve};
use proptest::prelude::*;

use crate::client::{get, get_patiently, parse, raw, request};

#[test]
fn one_window_at_a_time() {
    let server = serve("127.0.0.1:0").unwrap();
    // Held open: the answer would come in an hour.
    let mut window = TcpStream::connect(server.address()).unwrap();
    window
        .write_all(b"GET /debug/pprof/heap?seconds=3600 HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let busy = loop {
        // Until the first request has been read, this one is the first.
        let answer = get(server.address(), "/debug/pprof/allocs?seconds=1");
        if answer.status == 503 && answer.header("retry-after") != "1" {
            break answer;
        }
    };
    let seconds: u64 = busy.header("retry-after").parse().unwrap();
    assert!((2..=3601).contains(&seconds), "{busy:?}");
    assert_eq!(busy.header("x-go-pprof"), "1");
    assert!(
        busy.text()
            .starts_with("another ?seconds= is being waited for")
    );
    // Everything else goes on while it is open.
    get_patiently(server.address(), "/debug/pprof/heap").profile();
    assert_eq!(
        get(server.address(), "/debug/pprof/mutex?seconds=1").status,
        200
    );
    // The caller goes, and so does its window.
    drop(window);
    get_patiently(server.address(), "/debug/pprof/heap?seconds=1").profile();
}

#[test]
fn many_at_once_get_a_profile_or_are_told_when() {
    let server = serve("127.0.0.1:0").unwrap();
    let address = server.address();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = |_| {
            scope.spawn(move || {
                let answer = get(address, "/debug/pprof/heap");
                match answer.status {
                    200 => drop(answer.profile()),
                    503 => assert_eq!(answer.header("retry-after"), "1"),
                    other => panic!("{other}"),
                }
                answer.status
            })
        };
        let asked: Vec<_> = (0..16).map(ask).collect();
        asked
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(statuses.contains(&200), "{statuses:?}");
    // The gate is open again.
    get_patiently(address, "/debug/pprof/heap").profile();
}

#[test]
fn heads_and_bodies_are_bounded() {
    let server = serve("127.0.0.1:0").unwrap();
    let address = server.address();
    let long = format!(
        "GET /debug/pprof/heap?a={} HTTP/1.1\r\nHost: x\r\n\r\n",
        "a".repeat(200_000)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "a: b\r\n".repeat(100)
    );
    for bytes in [long, many] {
        let answer = raw(address, bytes.as_bytes(), true);
        let status = parse(&answer).map_or(0, |answer| answer.status);
        assert!([0, 400, 414, 431].contains(&status), "{status}");
    }
    let body = vec![b'+'; (1 << 20) + 1];
    let answer = request(address, "POST /debug/pprof/symbol HTTP/1.1", "", &body);
    assert_eq!(answer.status, 413);
    assert_eq!(answer.header("x-go-pprof"), "1");
    let body = vec![b'+'; 1 << 20];
    let answer = request(address, "POST /debug/pprof/symbol HTTP/1.1", "", &body);
    assert_eq!(answer.status, 200);
}

/// As many idle connections as there is room for, and one more: it is served when one of them goes.
#[test]
fn connections_wait_for_a_place() {
    let server = serve("127.0.0.1:0").unwrap();
    let mut idle: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(server.address()).unwrap())
        .collect();
    let mut late = TcpStream::connect(server.address()).unwrap();
    late.write_all(b"GET /debug/pprof/cmdline HTTP/1.0\r\n\r\n")
        .unwrap();
    idle.pop();
    let mut answer = Vec::new();
    late.read_to_end(&mut answer).unwrap();
    assert_eq!(parse(&answer).unwrap().status, 200);
}

fn asked(server: &Server, bytes: &[u8], is_whole: bool) {
    let answer = raw(server.address(), bytes, !is_whole);
    assert!(!is_whole || parse(&answer).is_some(), "no answer");
    if let Some(answer) = parse(&answer) {
        assert_ne!(answer.status, 500, "{}", String::from_utf8_lossy(bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A panic would be a connection that ends without a word, or a thread that is gone for the next one.
    #[test]
    fn no_request_takes_it_down(
        requests in proptest::collection::vec(
            (
                "GET|POST|HEAD|PUT|OPTIONS|[A-Z]{0,3}",
                "(/debug/pprof/(block|goroutine|symbol|cmdline|profile|x|%[0-9a-f]{0,2}|\u{e9})?|/|\\*|)",
                "(\\?(seconds|debug|gc|0x1)?=?[-+&%;0-9a-fx\u{e9}]{0,8})?",
                proptest::collection::vec(any::<u8>(), 0..40),
            ),
            1..4,
        ),
    ) {
        let server = SERVER.get_or_init(|| serve("127.0.0.1:0").unwrap());
        for (method, path, query, body) in requests {
            let head = format!(
                "{method} {path}{query} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            asked(server, &[head.as_bytes(), &body].concat(), true);
            asked(server, &body, false);
        }
        assert_eq!(get(server.address(), "/debug/pprof/cmdline").status, 200);
    }
}

static SERVER: std::sync::OnceLock<Server> = std::sync::OnceLock::new();
