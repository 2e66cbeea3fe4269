//! `/metrics`: what a scraper asks for and what it gets.

use std::collections::HashSet;

use heapsite::http::{Options, serve};

use crate::client::{Answer, get, request};

/// What Prometheus 2.42 sends.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

fn asked(server: std::net::SocketAddr, method: &str, accept: &str) -> Answer {
    let accept = match accept {
        "" => String::new(),
        accept => format!("Accept: {accept}\r\n"),
    };
    request(server, &format!("{method} /metrics HTTP/1.1"), &accept, b"")
}

#[test]
fn the_format_is_the_one_that_is_asked_for() {
    let server = serve("127.0.0.1:0").unwrap();
    let address = server.address();
    for (accept, kind) in [
        (PROMETHEUS, OPEN),
        ("application/openmetrics-text", OPEN),
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/plain;version=0.0.4", PLAIN),
        (
            "application/openmetrics-text;q=0.1, text/plain;q=0.2",
            PLAIN,
        ),
        ("text/html", PLAIN),
    ] {
        let answer = asked(address, "GET", accept);
        assert_eq!(answer.status, 200, "{accept}");
        assert_eq!(answer.header("content-type"), kind, "{accept}");
        assert_eq!(answer.header("vary"), "accept");
        let text = answer.text();
        assert!(text.contains("\nheapsite_live_bytes "), "{text}");
        assert_eq!(text.ends_with("# EOF\n"), kind == OPEN);
        let counter = match kind {
            OPEN => {
                "# TYPE heapsite_allocated_bytes counter\n# UNIT heapsite_allocated_bytes bytes\n"
            }
            _ => "# TYPE heapsite_allocated_bytes_total counter\nheapsite_allocated_bytes_total ",
        };
        assert!(text.contains(counter), "{text}");
    }
}

#[test]
fn only_reading_is_allowed() {
    let address_of = serve("127.0.0.1:0").unwrap();
    let address = address_of.address();
    let head = asked(address, "HEAD", PROMETHEUS);
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), OPEN);
    assert!(head.body.is_empty());
    for method in ["POST", "PUT", "DELETE"] {
        let answer = asked(address, method, "");
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), "GET, HEAD");
    }
    assert_eq!(get(address, "/metrics/").status, 404);
}

/// As many at once as the server has connections for: none is told to come again. A profile is made meanwhile, which is
/// another job.
#[test]
fn nobody_is_refused() {
    let server = serve("127.0.0.1:0").unwrap();
    let address = server.address();
    let texts: Vec<(u16, String)> = std::thread::scope(|scope| {
        let profile = scope.spawn(move || get(address, "/debug/pprof/heap").status);
        let asked: Vec<_> = (0..48)
            .map(|_| {
                scope.spawn(move || {
                    let answer = get(address, "/metrics");
                    (answer.status, answer.text().to_owned())
                })
            })
            .collect();
        let texts = asked.into_iter().map(|thread| thread.join().unwrap());
        let texts = texts.collect();
        profile.join().unwrap();
        texts
    });
    let statuses: HashSet<u16> = texts.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, HashSet::from([200]));
    for (_, text) in &texts {
        assert!(text.contains("\nheapsite_live_bytes "));
    }
}

#[test]
fn a_token_guards_it() {
    let server = Options::new().token("secret").serve("127.0.0.1:0").unwrap();
    let address = server.address();
    assert_eq!(get(address, "/metrics").status, 401);
    let with = "Authorization: Bearer secret\r\n";
    let answer = request(address, "GET /metrics HTTP/1.1", with, b"");
    assert_eq!(answer.status, 200);
}
