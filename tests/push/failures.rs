//! What does not arrive: told later, told once, or given up and counted.

use std::net::TcpListener;
use std::time::Duration;

use heapsite::push::{Options, Pusher};

use crate::delivery::NEVER;
use crate::server::{Manner, Server};

fn quiet(url: impl Into<String>) -> Pusher {
    Options::new(url).interval(NEVER).start().unwrap()
}

planted!(planted_under_refusals);

#[test]
fn what_is_not_taken_comes_with_the_next_one() {
    let server = Server::start();
    let pusher = quiet(server.url());
    let answers = [
        (500, "", "broken"),
        (429, "Retry-After: 7\r\n", "push rate limit"),
        (
            422,
            "",
            "pushing IngestInput-pprof failed resource_exhausted: push rate limit (0 B) exceeded",
        ),
        (503, "Retry-After: soon\r\n", ""),
        (401, "", "who are you?"),
        (302, "Location: http://elsewhere/\r\n", ""),
        (502, "", "Bad Gateway"),
    ];
    server.behave(answers.map(|(status, headers, text)| Manner::Say(status, headers, text)));
    let mut kept = Vec::new();
    for (status, _, text) in answers {
        kept.push(planted_under_refusals(1_000));
        let error = format!("{:#}", pusher.flush().unwrap_err());
        let expected = format!("the push was not taken: the server answered {status}");
        assert!(
            error.starts_with(&expected) && error.ends_with(text),
            "{error}"
        );
        assert_eq!(
            pusher.status().last_error.unwrap(),
            error["the push was not taken: ".len()..]
        );
    }
    let status = pusher.status();
    assert_eq!(
        (status.accepted, status.failed, status.failures_in_a_row),
        (0, 7, 7)
    );
    pusher.flush().unwrap();
    assert_eq!(server.allocated("planted_under_refusals"), [7, 7_000]);
    assert_eq!(server.live("planted_under_refusals"), [7, 7_000]);
    let status = pusher.status();
    assert_eq!(
        (status.accepted, status.failed, status.failures_in_a_row),
        (1, 7, 0)
    );
    assert_eq!(status.last_error, None);
    // One sender, one request at a time: a redirection was not followed, and nothing was sent twice.
    assert_eq!(server.requests().len(), 8);
}

planted!(planted_in_doubt);

#[test]
fn what_may_have_been_taken_is_not_sent_again() {
    let server = Server::start();
    let pusher = quiet(server.url());
    // It was taken, and the answer got lost.
    server.behave([Manner::IngestAndHangUp]);
    let mut kept = vec![planted_in_doubt(1_000)];
    let error = pusher.flush().unwrap_err().to_string();
    assert!(
        error.starts_with("nobody knows whether the push was taken"),
        "{error}"
    );
    kept.push(planted_in_doubt(2_000));
    pusher.flush().unwrap();
    assert_eq!(
        server.allocated("planted_in_doubt"),
        [2, 3_000],
        "once each"
    );
    // It was not taken, and nobody knows: a gap of what was allocated, and none in what is live.
    server.behave([
        Manner::Say(504, "", "Gateway Time-out"),
        Manner::Say(
            422,
            "",
            "pushing IngestInput-pprof failed deadline_exceeded: context deadline exceeded",
        ),
        Manner::HangUpEarly,
    ]);
    for _ in 0..3 {
        kept.push(planted_in_doubt(4_000));
        pusher.flush().unwrap_err();
    }
    kept.push(planted_in_doubt(8_000));
    pusher.flush().unwrap();
    assert_eq!(server.allocated("planted_in_doubt"), [3, 11_000]);
    assert_eq!(server.live("planted_in_doubt"), [6, 23_000]);
    let status = pusher.status();
    assert_eq!((status.accepted, status.failed, status.unknown), (2, 0, 4));
}

planted!(planted_while_down);

/// Nobody listens for a while: the pushes go on by themselves.
#[test]
fn a_server_that_comes_back_is_told_everything_once() {
    // An address of this test's own, so that nobody else takes the port meanwhile.
    let listener = TcpListener::bind("127.7.1.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let pusher = Options::new(format!("http://{address}"))
        .interval(Duration::from_millis(5))
        .start()
        .unwrap();
    let mut kept = Vec::new();
    while pusher.status().failed < 3 {
        kept.push(planted_while_down(1_000));
        std::thread::sleep(Duration::from_millis(1));
    }
    let status = pusher.status();
    assert_eq!((status.accepted, status.unknown), (0, 0));
    assert!(status.last_error.unwrap().contains("refused"));
    let server = Server::on(TcpListener::bind(address).unwrap());
    server.wait_for_ingested(1);
    kept.push(planted_while_down(1_000));
    pusher.flush().unwrap();
    drop(pusher);
    let count = kept.len() as i64;
    assert_eq!(
        server.allocated("planted_while_down"),
        [count, 1_000 * count]
    );
    assert_eq!(server.live("planted_while_down"), [count, 1_000 * count]);
    assert_eq!(server.refused(), []);
}

/// Of two pushers that push every five milliseconds one is told to wait for an hour, and is not heard of while the other
/// one pushes four times.
#[test]
fn a_server_that_asks_for_patience_gets_it() {
    let (busy, idle) = (Server::start(), Server::start());
    busy.behave((0..1000).map(|_| Manner::Say(429, "Retry-After: 3600\r\n", "")));
    let start = |server: &Server| {
        let options = Options::new(server.url()).interval(Duration::from_millis(5));
        options.start().unwrap()
    };
    let asked = start(&busy);
    busy.wait_for_requests(1);
    let other = start(&idle);
    idle.wait_for_ingested(4);
    assert_eq!(busy.requests().len(), 1);
    // Whoever asks is heard all the same.
    asked.flush().unwrap_err();
    assert_eq!(busy.requests().len(), 2);
    drop((asked, other));
}

planted!(planted_meanwhile);

/// The server has the request and says nothing: the service does not notice.
#[test]
fn a_slow_server_stops_nobody() {
    let server = Server::start();
    server.behave([Manner::Hold]);
    let pusher = quiet(server.url());
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| pusher.flush());
        server.wait_for_requests(1);
        // All of this happens while the push is under way: the server is not let go before its end.
        for _ in 0..10_000 {
            drop(planted_meanwhile(100));
        }
        assert_eq!(pusher.status().accepted, 0);
        let profile = heapsite::snapshot().to_profile();
        assert!(crate::server::values(&profile, "planted_meanwhile")[0] >= 10_000);
        let other = Server::start();
        quiet(other.url()).flush().unwrap();
        server.let_go();
        waits.join().unwrap().unwrap_err();
    });
    pusher.flush().unwrap();
    assert_eq!(pusher.status().unknown, 1);
}

#[test]
fn names_that_nobody_has_and_answers_that_are_none_are_failures() {
    let pusher = quiet("http://no-such-host.invalid:4040");
    pusher.flush().unwrap_err();
    assert_eq!(pusher.status().failed, 1);
    // Not HTTP.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 1 << 20]);
        let _ = stream.write_all(b"220 mail.example ESMTP\r\n");
    });
    let pusher = quiet(format!("http://{address}"));
    pusher.flush().unwrap_err();
    let status = pusher.status();
    assert_eq!(status.failed + status.unknown, 1, "{status:?}");
    server.join().unwrap();
}
