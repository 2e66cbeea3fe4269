//! The rules themselves: each refuses what breaks it. Without these, a server that takes everything would pass the tests.

use heapsite::Profile;
use heapsite::format::Format;
use heapsite::profile::addresses::Builder;
use heapsite::profile::{Label, ValueType};

use crate::rules::{DEFAULT, Limits, Request, ingest, parse_name};

const NOW: i64 = 1_800_000_000;

fn profile() -> Profile {
    let kinds = [
        "alloc_objects",
        "alloc_space",
        "inuse_objects",
        "inuse_space",
    ];
    let kinds = kinds.map(|kind| ValueType {
        kind: kind.into(),
        unit: String::new(),
    });
    let mut builder = Builder::new(kinds.into(), Vec::new());
    builder.sample(&[1, 2], vec![1, 2, 1, 2], Vec::new(), None);
    builder.sample(&[3, 2], vec![0, 0, 1, 2], Vec::new(), None);
    let mut profile = builder.finish();
    profile.time_nanos = NOW * 1_000_000_000;
    profile
}

fn written(profile: &Profile) -> Vec<u8> {
    let mut bytes = Vec::new();
    Format::Pprof.write(profile, &mut bytes).unwrap();
    bytes
}

fn request(change: impl Fn(&mut Request), body: impl Fn(&mut Profile)) -> Request {
    let mut profile = profile();
    body(&mut profile);
    let mut request = Request {
        method: "POST".into(),
        path: "/ingest".into(),
        query: Vec::new(),
        headers: Vec::new(),
        body: written(&profile),
    };
    for (name, value) in [
        ("name", "shop{region=eu}"),
        ("from", "1799999900"),
        ("until", "1800000000"),
        ("format", "pprof"),
    ] {
        request.query.push((name.into(), value.into()));
    }
    change(&mut request);
    request
}

fn status(request: &Request, limits: &Limits) -> u16 {
    match ingest(request, limits, NOW) {
        Ok(_) => 200,
        Err((status, _)) => status,
    }
}

fn set(name: &'static str, value: impl Into<String>) -> impl Fn(&mut Request) {
    let value = value.into();
    move |request| {
        for pair in &mut request.query {
            if pair.0 == name {
                pair.1.clone_from(&value);
            }
        }
    }
}

#[test]
fn a_request_that_breaks_a_rule_is_refused() {
    let of_head = |change: &dyn Fn(&mut Request)| status(&request(change, |_| {}), &DEFAULT);
    assert_eq!(of_head(&|_| {}), 200);
    assert_eq!(of_head(&|r| r.path = "/".into()), 404);
    assert_eq!(of_head(&|r| r.method = "PUT".into()), 405);
    for name in [
        "",
        "{a=b}",
        "a b{}",
        "shop{a-b=c}",
        "shop{=c}",
        "sh\u{f6}p{}",
    ] {
        assert_eq!(of_head(&set("name", name)), 400, "{name}");
    }
    let labels = |count: usize| {
        let labels: Vec<String> = (0..count).map(|n| format!("l{n}=v")).collect();
        format!("shop{{{}}}", labels.join(","))
    };
    assert_eq!(of_head(&set("name", labels(26))), 200);
    assert_eq!(of_head(&set("name", labels(27))), 422);
    for (name, expected) in [
        (format!("shop{{{}=v}}", "n".repeat(1024)), 200),
        (format!("shop{{{}=v}}", "n".repeat(1025)), 422),
        (format!("shop{{n={}}}", "v".repeat(2048)), 200),
        (format!("shop{{n={}}}", "v".repeat(2049)), 422),
        ("s".repeat(2048), 200),
        ("s".repeat(2049), 422),
        // The labels' parser takes these, the validator does not.
        ("shop{a.b=c}".to_owned(), 422),
        ("shop{1a=c}".to_owned(), 422),
        ("shop{service_name=c}".to_owned(), 422),
        ("shop{pyroscope_spy=c}".to_owned(), 422),
    ] {
        assert_eq!(of_head(&set("name", &*name)), expected, "{name}");
    }
    for time in ["soon", "17999", "1799999900000"] {
        assert_eq!(of_head(&set("from", time)), 400, "{time}");
    }
    assert_eq!(of_head(&set("format", "")), 422);
    assert_eq!(of_head(&|r| r.body.clear()), 422);
}

#[test]
fn a_profile_that_breaks_a_rule_is_refused() {
    let of =
        |change: &dyn Fn(&mut Profile), limits: &Limits| status(&request(|_| {}, change), limits);
    let later = |seconds: i64| move |p: &mut Profile| p.time_nanos += seconds * 1_000_000_000;
    assert_eq!(of(&later(599), &DEFAULT), 200);
    assert_eq!(of(&later(600), &DEFAULT), 422);
    assert_eq!(of(&later(-3599), &DEFAULT), 200);
    assert_eq!(of(&later(-3600), &DEFAULT), 422);
    // No time: that of the request.
    assert_eq!(of(&|p| p.time_nanos = 0, &DEFAULT), 200);
    let without_time = request(set("from", "1700000000"), |p| p.time_nanos = 0);
    assert_eq!(status(&without_time, &DEFAULT), 422);

    assert_eq!(
        of(
            &|_| {},
            &Limits {
                samples: 1,
                ..DEFAULT
            }
        ),
        422
    );
    assert_eq!(
        of(
            &|_| {},
            &Limits {
                profile_bytes: 50,
                ..DEFAULT
            }
        ),
        422
    );
    assert_eq!(
        of(
            &|_| {},
            &Limits {
                burst_bytes: 50,
                ..DEFAULT
            }
        ),
        429
    );
    assert_eq!(of(&|p| p.samples[0].values[0] = -1, &DEFAULT), 422);
    assert_eq!(of(&|p| p.samples[1].values = vec![0; 4], &DEFAULT), 422);
    assert_eq!(
        of(
            &|p| p.sample_types[0].kind = "alloc-objects".into(),
            &DEFAULT
        ),
        422
    );
    let labels = |count: usize| -> Vec<Label> {
        (0..count)
            .map(|n| Label::text(format!("l{n}"), "v"))
            .collect()
    };
    assert_eq!(of(&|p| p.samples[0].labels = labels(100), &DEFAULT), 200);
    assert_eq!(of(&|p| p.samples[0].labels = labels(101), &DEFAULT), 422);
}

#[test]
fn forms_are_read_and_old_ones_refused() {
    let form = |parts: &[&str]| {
        request(
            |r| {
                r.query.retain(|(name, _)| name != "format");
                r.headers = vec![(
                    "content-type".into(),
                    "multipart/form-data; boundary=x".into(),
                )];
                let content = std::mem::take(&mut r.body);
                for name in parts {
                    let head =
                        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
                    r.body.extend_from_slice(head.as_bytes());
                    r.body.extend_from_slice(&content);
                    r.body.extend_from_slice(b"\r\n");
                }
                r.body.extend_from_slice(b"--x--\r\n");
            },
            |_| {},
        )
    };
    assert_eq!(status(&form(&["profile"]), &DEFAULT), 200);
    assert_eq!(
        status(&form(&["profile", "sample_type_config"]), &DEFAULT),
        200
    );
    assert_eq!(status(&form(&["profile", "prev_profile"]), &DEFAULT), 422);
    assert_eq!(status(&form(&["other"]), &DEFAULT), 422);
}

#[test]
fn names_are_parsed_as_the_server_does() {
    let parsed = |text: &str| {
        let (name, labels) = parse_name(text).unwrap();
        let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}:{v}")).collect();
        format!("{name} {}", labels.join(" "))
    };
    assert_eq!(parsed("shop"), "shop ");
    assert_eq!(parsed(" shop { a = b , c = d=e } rest"), "shop a:b c:d=e");
    // No escapes: a brace ends a value, and what follows is taken for a name.
    assert_eq!(parsed("shop{a=b\\}"), "shop a:b\\");
    assert!(parse_name("shop{a=b}c=d}").is_ok());
}
