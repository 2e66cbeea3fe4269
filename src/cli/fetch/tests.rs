#![forbid(unsafe_code)]

use super::*;
use std::net::TcpListener;
use std::thread;

/// A server that gives one answer. Where the answer tells its end, it keeps the connection open until the client hangs
/// up, as servers do that ignore `Connection: close`.
fn serve(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap();
        assert!(
            request[..read].starts_with(b"GET /debug/pprof/heap?gc=1 HTTP/1.1\r\nHost: 127.0.0.1:")
        );
        stream.write_all(answer).unwrap();
        let is_told = |head| header(head, "content-length").is_some() || is_chunked(head);
        if head(answer).is_some_and(|(head, _)| is_told(head)) && is_whole(answer) {
            assert_eq!(stream.read(&mut request).unwrap_or(0), 0);
        }
    });
    format!("http://127.0.0.1:{port}/debug/pprof/heap?gc=1#top")
}

#[test]
fn bodies_by_length_chunks_or_end() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
    ] {
        assert_eq!(get(&serve(answer)).unwrap(), b"hello");
    }
}

#[test]
fn wrong_answers_are_explained() {
    for (answer, expected) in [
        (
            &b"HTTP/1.1 404 Not Found\r\n\r\nno such profile\nsecond line"[..],
            "the server says 404 Not Found no such profile",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n",
            "points to /login; redirects are not followed",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            "in the middle of a chunk",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhel",
            "in the middle of a chunk",
        ),
        (b"SSH-2.0\r\n\r\n", "does not speak HTTP/1.1"),
        (b"", "hung up early"),
    ] {
        let error = get(&serve(answer)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let short = body(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").unwrap_err();
    assert_eq!(short, "the answer ends after 5 of 9 bytes");
}

#[test]
fn addresses() {
    let parse = |url| Address::parse(url).map(|a| (a.host.to_owned(), a.port, a.path.clone()));
    assert_eq!(
        parse("http://[::1]:6060/x").unwrap(),
        ("::1".into(), 6060, "/x".into())
    );
    assert_eq!(
        parse("http://host?seconds=3").unwrap(),
        ("host".into(), 80, "/debug/pprof/heap?seconds=3".into())
    );
    assert_eq!(
        Address::parse("http://h/p?a=1&seconds=30")
            .unwrap()
            .seconds()
            .as_secs(),
        30
    );
    for wrong in [
        "http://",
        "http://:80/",
        "http://h:x/",
        "http://h:70000/",
        "http://u@h/",
        "http://h/a b",
        "http://h/\r\nX: y",
    ] {
        assert!(Address::parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_chunk_that_looks_like_the_end_is_none() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, whole) in [
        ("4\r\n\r\n\r\n", false),
        ("7\r\n0\r\n\r\nab\r\n", false),
        ("4\r\n\r\n\r\n\r\n0\r\n\r\n", true),
        ("0\r\n\r\n", true),
    ] {
        assert_eq!(
            is_whole(format!("{head}{body}").as_bytes()),
            whole,
            "{body:?}"
        );
    }
}

#[test]
fn a_service_without_a_path_is_asked_for_its_heap() {
    for (url, path) in [
        ("http://h:1", "/debug/pprof/heap"),
        ("http://h:1/", "/debug/pprof/heap"),
        ("http://h:1?gc=1", "/debug/pprof/heap?gc=1"),
        ("http://h:1/debug/pprof", "/debug/pprof/heap"),
        ("http://h:1/debug/pprof/?gc=1", "/debug/pprof/heap?gc=1"),
        ("http://h:1/debug/pprof/allocs", "/debug/pprof/allocs"),
        ("http://h:1/x", "/x"),
    ] {
        assert_eq!(Address::parse(url).unwrap().path, path);
    }
}

#[test]
fn who_needs_a_token_is_told_how() {
    let url = serve(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let error = get(&url).unwrap_err().to_string();
    assert!(error.contains("HEAPSITE_TOKEN"), "{error}");
}

#[test]
fn a_token_is_one_header_and_nothing_else() {
    let token = |text: &str| authorization(Some(text.to_owned()));
    assert_eq!(authorization(None).unwrap(), "");
    assert_eq!(token("").unwrap(), "");
    assert_eq!(token("s3cret").unwrap(), "Authorization: Bearer s3cret\r\n");
    for wrong in ["a b", "a\r\nHost: evil", "é"] {
        let error = token(wrong).unwrap_err().to_string();
        assert!(error.contains("HEAPSITE_TOKEN: accepted are"), "{error}");
    }
}
