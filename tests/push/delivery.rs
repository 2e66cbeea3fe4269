//! What arrives: allocated as differences, live as it is.

use std::time::Duration;

use heapsite::push::Options;

use crate::backends::check_file;
use crate::server::{Server, values};

/// No push of its own accord comes while a test runs.
pub(crate) const NEVER: Duration = Duration::from_secs(24 * 3600);

planted!(planted_for_sums);

/// Exact mode: to the byte and to the object.
#[test]
fn many_pushes_sum_up_to_what_was_allocated() {
    let server = Server::start();
    // Before it starts: not told as allocated, but live.
    let old = planted_for_sums(1_000_000);
    let pusher = Options::new(server.url()).interval(NEVER).start().unwrap();
    let (mut kept, mut objects, mut bytes) = (Vec::new(), 0, 0);
    for round in 1..=6_usize {
        for n in 0..round {
            let block = planted_for_sums(1_000 + n);
            objects += 1;
            bytes += 1_000 + n as i64;
            if n % 3 == 0 {
                kept.push(block);
            }
        }
        if round % 3 == 0 {
            kept.drain(..kept.len() / 2);
        }
        pusher.flush().unwrap();
        assert_eq!(
            server.allocated("planted_for_sums"),
            [objects, bytes],
            "{round}"
        );
        let live: usize = kept.iter().map(Vec::len).sum();
        let live = [kept.len() as i64 + 1, live as i64 + 1_000_000];
        assert_eq!(server.live("planted_for_sums"), live, "{round}");
    }
    // Where nothing happens nothing is told as allocated, and what is live is told again.
    pusher.flush().unwrap();
    let last = &server.ingested()[6].profile;
    assert_eq!(values(last, "planted_for_sums")[..2], [0, 0]);
    assert_eq!(values(last, "planted_for_sums")[2], kept.len() as i64 + 1);
    drop((old, kept));
    pusher.flush().unwrap();
    assert_eq!(
        values(&server.ingested()[7].profile, "planted_for_sums"),
        [0; 4]
    );

    assert_eq!(server.refused(), []);
    let status = pusher.status();
    assert_eq!((status.accepted, status.failed, status.unknown), (8, 0, 0));
    let sent: usize = server.ingested().iter().map(|one| one.body.len()).sum();
    assert_eq!(status.sent_bytes, sent as u64);
    assert_eq!(status.last_error, None);
}

planted!(planted_for_labels);

#[test]
fn a_push_is_what_the_server_expects() {
    let server = Server::start();
    let pusher = Options::new(server.url() + "/")
        .application("shop/cart-1.2")
        .label("region", "eu west=1 & more")
        .label("city", "Kraków")
        .tenant("team-a")
        .basic_auth("me", "hush")
        .interval(NEVER)
        .start()
        .unwrap();
    let kept = planted_for_labels(5_000);
    pusher.flush().unwrap();
    pusher.flush().unwrap();
    drop(kept);
    assert_eq!(server.refused(), []);
    let requests = server.requests();
    let request = &requests[1];
    assert_eq!(request.get("format"), "pprof");
    assert_eq!(request.header("x-scope-orgid"), "team-a");
    assert_eq!(request.header("authorization"), "Basic bWU6aHVzaA==");
    assert_eq!(request.header("connection"), "close");
    assert!(request.header("user-agent").starts_with("heapsite/"));
    assert_eq!(requests[0].get("until"), request.get("from"));
    assert!(request.get("from") <= request.get("until"));

    let ingested = &server.ingested()[1];
    let label = |name: &str| ingested.labels[name].as_str();
    assert_eq!(label("__name__"), "memory");
    assert_eq!(label("__delta__"), "false");
    assert_eq!(label("service_name"), "shop/cart-1.2");
    assert_eq!(label("pyroscope_spy"), "heapsite");
    assert_eq!(label("region"), "eu west=1 & more");
    assert_eq!(label("city"), "Kraków");

    check_file(&ingested.body);
    let profile = &ingested.profile;
    let kinds: Vec<String> = profile
        .sample_types
        .iter()
        .map(|kind| format!("{}/{}", kind.kind, kind.unit))
        .collect();
    assert_eq!(
        kinds,
        [
            "alloc_objects/count",
            "alloc_space/bytes",
            "inuse_objects/count",
            "inuse_space/bytes"
        ]
    );
    assert_eq!(profile.default_sample_type, "inuse_space");
    let period_type = profile.period_type.as_ref().unwrap();
    assert_eq!(
        (period_type.kind.as_str(), period_type.unit.as_str()),
        ("space", "bytes")
    );
    assert_eq!(profile.period, 1);
    assert!(profile.duration_nanos > 0);
    // The command line may hold what is nobody's business there.
    assert!(
        profile
            .comments
            .iter()
            .any(|line| line.starts_with("heapsite: exact"))
    );
    assert!(
        !profile
            .comments
            .iter()
            .any(|line| line.starts_with("process"))
    );
    // Neither the recorder's frames nor the threads of heapsite's own.
    let mut names = profile.functions.iter().map(|function| &function.name);
    let own = [
        "heapsite::record",
        "heapsite::push::worker",
        "heapsite::push::wire",
        "ureq::",
        "__rust_alloc",
    ];
    assert_eq!(
        names.find(|name| own.iter().any(|own| name.contains(own))),
        None
    );
}

/// Pushes that come by themselves.
#[test]
fn nobody_has_to_ask() {
    let server = Server::start();
    let pusher = Options::new(server.url())
        .interval(Duration::from_millis(10))
        .bearer("s3cret")
        .start()
        .unwrap();
    let kept = planted_for_labels(7_777);
    server.wait_for_ingested(2);
    drop(pusher);
    drop(kept);
    assert_eq!(server.refused(), []);
    let request = &server.requests()[1];
    assert_eq!(request.header("authorization"), "Bearer s3cret");
}
