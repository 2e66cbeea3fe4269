//! `HEAPSITE=push=…`: the pusher lives as long as the handle, in the process that made it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use crate::fork::in_child;
use crate::harness::{Scenario, until};
use crate::signals::threads;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "push_lives_as_long_as_the_handle",
        settings: None,
        program: |_| {
            let (url, requests) = server("200 OK");
            let handle = init(&format!("push={url},push_name=shop,push_interval=1h"));
            // A thread gives itself its name.
            until("the thread is there", || {
                (threads("heapsite-push").len() == 1).then_some(())
            });
            let _kept = std::hint::black_box(vec![1; 1000]);
            handle.push().unwrap().flush().unwrap();
            assert!(
                requests
                    .recv()
                    .unwrap()
                    .starts_with("POST /ingest?name=shop%7B%7D&")
            );
            drop(handle);
            // The last one.
            requests.recv().unwrap();
            until("the thread is gone", || {
                threads("heapsite-push").is_empty().then_some(())
            });
            requests.try_recv().unwrap_err();
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.told(&[]);
        },
    },
    Scenario {
        name: "push_once_more_at_exit",
        settings: None,
        program: |dir| {
            let place = dir.join("pushed");
            let url = answer("200 OK", move |request| {
                std::fs::write(&place, request).unwrap()
            });
            std::mem::forget(init(&format!("push={url},push_interval=1h")));
            std::mem::forget(std::hint::black_box(vec![1; 1000]));
            std::process::exit(0);
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.told(&[]);
            let pushed = std::fs::read(outcome.dir.join("pushed")).unwrap();
            assert!(pushed.starts_with(b"POST /ingest?"));
        },
    },
    Scenario {
        name: "push_fork_child_pushes_nothing",
        settings: None,
        program: |_| {
            let (url, requests) = server("200 OK");
            let mut handle = Some(init(&format!("push={url},push_interval=1h")));
            in_child(|| {
                assert!(threads("heapsite-push").is_empty());
                let pusher = handle.as_ref().unwrap().push().unwrap();
                assert!(pusher.flush().unwrap_err().is_unsupported());
                assert_eq!(pusher.status(), Default::default());
                // Neither this nor the child's exit is the parent's business.
                drop(handle.take());
            });
            requests.try_recv().unwrap_err();
            // Where nothing is live and nothing was allocated, nothing is sent.
            let _kept = std::hint::black_box(vec![1; 1000]);
            handle.as_ref().unwrap().push().unwrap().flush().unwrap();
            requests.recv().unwrap();
        },
        check: |outcome| {
            outcome.succeeded();
            // Nor does the child complain of a push that does not end.
            outcome.told(&[]);
        },
    },
    Scenario {
        name: "push_tells_of_failures_once_and_of_secrets_never",
        settings: None,
        program: |_| {
            // A gateway that quotes what it was sent.
            let (url, _requests) = server("401 no hush here, nor bWU6aHVzaA==");
            let handle = init(&format!(
                "push={url},push_interval=1h,push_user=me,push_password=hush"
            ));
            let pusher = handle.push().unwrap();
            let _kept = std::hint::black_box(vec![1; 1000]);
            for _ in 0..3 {
                let error = format!("{:#} {:?}", pusher.flush().unwrap_err(), pusher.status());
                assert!(error.contains("401") && !error.contains("hush"), "{error}");
                assert!(!error.contains("bWU6"), "{error}");
            }
            assert!(!format!("{handle:?} {pusher:?}").contains("hush"));
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.told(&["a profile could not be pushed to http://127.0.0.1:"]);
            assert!(!outcome.stderr.contains("hush") && !outcome.stderr.contains("bWU6"));
        },
    },
    Scenario {
        name: "push_bad_settings_fail_init",
        settings: Some("push=http://me:hush@localhost"),
        program: |_| {
            let error = heapsite::init().unwrap_err();
            assert!(error.is_config());
            let error = error.to_string();
            assert!(
                error.contains("key `push`") && !error.contains("hush"),
                "{error}"
            );
        },
        check: |outcome| outcome.succeeded(),
    },
];

fn init(settings: &str) -> heapsite::Handle {
    let config: heapsite::Config = format!("signal=none,interval=1,{settings}")
        .parse()
        .unwrap();
    config.init().unwrap()
}

/// A server that answers every request with this status; what it was asked for comes out of the channel.
fn server(status: &'static str) -> (String, Receiver<String>) {
    let (requested, requests) = channel();
    let url = answer(status, move |request| {
        let _ = requested.send(request.to_owned());
    });
    (url, requests)
}

/// Has `f` called with each request before it is answered. A server with rules is in tests/push.
fn answer(status: &'static str, f: impl Fn(&str) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            while !is_whole(&request) {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).unwrap();
                assert_ne!(read, 0, "a request breaks off");
                request.extend_from_slice(&part[..read]);
            }
            let answer = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{status}",
                status.len()
            );
            f(&String::from_utf8_lossy(&request));
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    url
}

fn is_whole(request: &[u8]) -> bool {
    let Some(end) = request.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap();
    let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
    request.len() >= end + 4 + length
}
