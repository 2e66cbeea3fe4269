//! Statuses, headers and texts. What is here was measured on a server of Go 1.27; tests/clients asks both again.

use heapsite::http::{Server, serve};

use crate::client::{Answer, get, get_patiently, request};

const OCTETS: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";

fn server() -> Server {
    serve("127.0.0.1:0").unwrap()
}

fn has(answer: &Answer, status: u16, kind: &str, file: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), kind);
    let disposition = match file {
        "" => String::new(),
        file => format!("attachment; filename=\"{file}\""),
    };
    assert_eq!(answer.header("content-disposition"), disposition);
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("content-encoding"), "");
    let is_error = status >= 400 && status != 405;
    assert_eq!(answer.header("x-go-pprof"), if is_error { "1" } else { "" });
}

#[test]
fn profiles_are_files_or_texts() {
    let server = server();
    for name in [
        "heap",
        "allocs",
        "goroutine",
        "threadcreate",
        "block",
        "mutex",
    ] {
        let path = format!("/debug/pprof/{name}");
        let answer = get(server.address(), &path);
        has(&answer, 200, OCTETS, name);
        answer.profile().check().unwrap();
        let delta = get(server.address(), &format!("{path}?seconds=1"));
        has(&delta, 200, OCTETS, &format!("{name}-delta"));
        for debug in [1, 2] {
            let text = get(server.address(), &format!("{path}?debug={debug}"));
            has(&text, 200, TEXT, "");
            assert!(!text.text().is_empty());
        }
        has(
            &get(server.address(), &format!("{path}?debug=x")),
            200,
            OCTETS,
            name,
        );
        has(
            &get(server.address(), &format!("{path}?gc=1")),
            200,
            OCTETS,
            name,
        );
    }
    // These two know no errors.
    for name in ["profile", "trace"] {
        for query in ["", "?seconds=30", "?seconds=x", "?debug=1"] {
            let answer = get(server.address(), &format!("/debug/pprof/{name}{query}"));
            has(&answer, 200, OCTETS, name);
            assert!(answer.profile().samples.is_empty());
        }
    }
}

#[test]
fn refusals() {
    let server = server();
    let positive = "invalid value for \"seconds\" - must be a positive integer\n";
    for (path, status, text) in [
        ("heap?seconds=0", 400, positive),
        ("heap?seconds=x", 400, positive),
        ("mutex?seconds=-1&debug=1", 400, positive),
        (
            "heap?seconds=1&debug=1",
            400,
            "seconds and debug params are incompatible\n",
        ),
        (
            "block?seconds=1&debug=1",
            400,
            "seconds and debug params are incompatible\n",
        ),
        (
            "heap?seconds=3601",
            400,
            "profile duration exceeds server's WriteTimeout\n",
        ),
        ("heaps", 404, "Unknown profile\n"),
        ("heap/1", 404, "Unknown profile\n"),
        ("nothing?seconds=x", 404, "Unknown profile\n"),
    ] {
        let answer = get(server.address(), &format!("/debug/pprof/{path}"));
        has(&answer, status, TEXT, "");
        assert_eq!(answer.text(), text, "{path}");
    }
    for name in ["heap", "block", "cmdline", "profile", ""] {
        let answer = request(
            server.address(),
            &format!("POST /debug/pprof/{name} HTTP/1.1"),
            "",
            b"",
        );
        has(&answer, 405, TEXT, "");
        assert_eq!(answer.header("allow"), "GET, HEAD");
        assert_eq!(answer.text(), "Method Not Allowed\n");
    }
    let elsewhere = get(server.address(), "/debug");
    assert_eq!(
        (elsewhere.status, elsewhere.text()),
        (404, "404 page not found\n")
    );
}

#[test]
fn index_and_command_line() {
    let server = server();
    let slash = get(server.address(), "/debug/pprof?a=1");
    assert_eq!(
        (slash.status, slash.header("location")),
        (307, "/debug/pprof/?a=1")
    );
    let index = get(server.address(), "/debug/pprof/");
    has(&index, 200, "text/html; charset=utf-8", "");
    for name in [
        "heap",
        "allocs",
        "goroutine",
        "threadcreate",
        "block",
        "mutex",
        "cmdline",
        "symbol",
        "profile",
        "trace",
    ] {
        assert!(index.text().contains(&format!("href=\"{name}\"")), "{name}");
        // The page promises nothing that is not there.
        let page = get_patiently(server.address(), &format!("/debug/pprof/{name}"));
        assert_eq!(page.status, 200, "{name}");
    }
    let cmdline = get(server.address(), "/debug/pprof/cmdline");
    has(&cmdline, 200, TEXT, "");
    let arguments: Vec<String> = std::env::args().collect();
    assert_eq!(cmdline.text(), arguments.join("\0"));
    let head = request(server.address(), "HEAD /debug/pprof/heap HTTP/1.1", "", b"");
    has(&head, 200, OCTETS, "heap");
    assert!(head.body.is_empty());
}

#[test]
fn symbols_by_get_and_by_post() {
    let server = server();
    let here = symbols_by_get_and_by_post as fn() as usize;
    let by_get = get(
        server.address(),
        &format!("/debug/pprof/symbol?{here:#x}+0x1+x"),
    );
    let list = format!("{here:#x}+0x1+x");
    let by_post = request(
        server.address(),
        "POST /debug/pprof/symbol HTTP/1.1",
        "",
        list.as_bytes(),
    );
    for answer in [by_get, by_post] {
        has(&answer, 200, TEXT, "");
        let lines: Vec<&str> = answer.text().lines().collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[0], "num_symbols: 1");
        assert!(lines[1].starts_with(&format!("{here:#x} ")), "{lines:?}");
        assert!(
            lines[1].ends_with("symbols_by_get_and_by_post"),
            "{lines:?}"
        );
    }
    let none = get(server.address(), "/debug/pprof/symbol");
    assert_eq!(none.text(), "num_symbols: 1\n");
}
