//! `HEAPSITE=http=…`: the server lives as long as the handle, in the process that made it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::fork::in_child;
use crate::harness::{Scenario, until};
use crate::signals::threads;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "http_lives_as_long_as_the_handle",
        settings: Some("signal=none,http=127.0.0.1:0"),
        program: |_| {
            let handle = heapsite::init().unwrap();
            let address = handle.http().unwrap().address();
            assert!(asked(address).starts_with("HTTP/1.1 200"));
            // A thread gives itself its name.
            until("the thread is there", || {
                (threads("heapsite-http").len() == 1).then_some(())
            });
            drop(handle);
            gone("heapsite-http");
            TcpStream::connect(address).unwrap_err();
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.told(&["profiles at http://127.0.0.1:"]);
        },
    },
    Scenario {
        name: "http_fork_child_has_no_server",
        settings: Some("signal=none,http=127.0.0.1:0"),
        program: |_| {
            let mut handle = Some(heapsite::init().unwrap());
            let address = handle.as_ref().unwrap().http().unwrap().address();
            in_child(|| {
                assert!(threads("heapsite-http").is_empty());
                // Neither this nor the child's exit is the parent's business.
                drop(handle.take());
                let own: heapsite::Config = "signal=none,http=127.0.0.1:0".parse().unwrap();
                let own = own.init().unwrap();
                let profile = asked(own.http().unwrap().address());
                assert!(profile.starts_with("HTTP/1.1 200"), "{profile}");
            });
            assert!(asked(address).starts_with("HTTP/1.1 200"));
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.told(&["profiles at http://127.0.0.1:"; 2]);
        },
    },
    Scenario {
        name: "http_fork_child_leaves_the_port",
        settings: Some("signal=none,http=127.0.0.1:0"),
        program: |_| {
            let handle = heapsite::init().unwrap();
            let address = handle.http().unwrap().address();
            // The program's own socket is its own business.
            let own = TcpListener::bind("127.0.0.1:0").unwrap();
            let (mut end, child_end) = std::os::unix::net::UnixStream::pair().unwrap();
            std::thread::scope(|scope| {
                // A child that outlives the parent's server.
                let child = scope.spawn(|| {
                    in_child(|| {
                        let byte = &mut [0];
                        (&child_end).write_all(byte).unwrap();
                        own.accept().unwrap();
                    })
                });
                end.read_exact(&mut [0]).unwrap();
                drop(handle);
                drop(TcpListener::bind(address).expect("the port is free"));
                TcpStream::connect(own.local_addr().unwrap()).unwrap();
                child.join().unwrap();
            });
        },
        check: |outcome| outcome.succeeded(),
    },
    Scenario {
        name: "http_taken_address_leaves_nothing_running",
        settings: None,
        program: |_| {
            let taken = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = taken.local_addr().unwrap().to_string();
            let config = || heapsite::Config::new().no_signal();
            let error = config().http(&address).init().unwrap_err();
            assert!(error.is_io());
            let parts = ["key `http`", &address, "in use"];
            assert!(
                parts.iter().all(|part| error.to_string().contains(part)),
                "{error}"
            );
            gone("heapsite");
            // The next one may start.
            drop(config().http("127.0.0.1:0").init().unwrap());
        },
        check: |outcome| outcome.succeeded(),
    },
];

/// A thread that has been joined is still listed for a moment.
fn gone(name: &str) {
    until("the thread is gone", || {
        threads(name).is_empty().then_some(())
    });
}

fn asked(server: SocketAddr) -> String {
    let mut stream = TcpStream::connect(server).unwrap();
    stream
        .write_all(b"GET /debug/pprof/heap HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
