//! The page's files and answers; tests/browser opens them in a real browser. Apart from tests/http, because a process has one
//! history, with the pace of its first server.
#![forbid(unsafe_code)]

#[path = "../http/client.rs"]
#[allow(dead_code, reason = "what only the tests of http call")]
mod client;

use std::time::Duration;

use heapsite::http::{Options, Server};
use serde_json::{Value, json};

use client::{Answer, get, get_patiently, request};

/// Everything is recorded, so that what an answer should say is known to the byte.
#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system().sample_interval(1);

fn server() -> Server {
    let pace = Duration::from_millis(50);
    Options::new().history(pace).serve("127.0.0.1:0").unwrap()
}

fn api(server: &Server, question: &str) -> Answer {
    get_patiently(server.address(), &format!("/debug/heapsite/api/{question}"))
}

fn value(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_slice(&answer.body).unwrap()
}

/// Asks until there are two moments after `first`; how long that takes does not matter.
fn until_two_after(server: &Server, first: u64) -> Value {
    loop {
        let history = value(&api(server, "history"));
        if history["taken"].as_u64().unwrap() >= first + 2 {
            return history;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn files_are_whole_and_strict() {
    let server = server();
    let page = get(server.address(), "/debug/heapsite/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"));
    assert_eq!(page.header("cache-control"), "no-cache");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let known = format!("If-None-Match: {}\r\n", page.header("etag"));
    let again = request(
        server.address(),
        "GET /debug/heapsite/ HTTP/1.1",
        &known,
        b"",
    );
    assert_eq!((again.status, again.body.len()), (304, 0));
    let head = request(server.address(), "HEAD /debug/heapsite/ HTTP/1.1", "", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    let posted = request(server.address(), "POST /debug/heapsite/ HTTP/1.1", "", b"");
    assert_eq!(posted.status, 405);

    // Nothing is asked for from elsewhere, nothing is inline, and every file that one names is there.
    let mut seen = vec![String::new()];
    let names =
        regex::Regex::new(r#"(?:href|src|from) ?=? ?["'](?:\./)?([a-z]+\.[a-z]+)["']"#).unwrap();
    for turn in 0.. {
        let Some(name) = seen.get(turn).cloned() else {
            break;
        };
        let answer = get(server.address(), &format!("/debug/heapsite/{name}"));
        assert_eq!(answer.status, 200, "{name}");
        let text = answer.text();
        for bad in [
            "https://",
            "innerHTML",
            " style=",
            " onclick=",
            "eval(",
            "document.write",
        ] {
            assert!(!text.contains(bad), "{name}: {bad}");
        }
        for found in names.captures_iter(text) {
            let found = found[1].to_owned();
            if !seen.contains(&found) {
                seen.push(found);
            }
        }
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
    for unknown in ["x", "page.html", "../pprof", "assets/page.js", "page.js/x"] {
        let answer = get(server.address(), &format!("/debug/heapsite/{unknown}"));
        assert_eq!(answer.status, 404, "{unknown}");
    }
    let slashless = get(server.address(), "/debug/heapsite");
    assert_eq!(
        (slashless.status, slashless.header("location")),
        (308, "/debug/heapsite/")
    );
}

#[test]
fn two_moments_are_compared_to_the_byte() {
    let server = server();
    let history = until_two_after(&server, 0);
    let base = history["moments"]["id"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .as_u64()
        .unwrap();
    let kept = keep_more(3 << 20);
    // The next one may have begun before.
    let history = until_two_after(&server, history["taken"].as_u64().unwrap());
    let now = history["moments"]["id"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .as_u64()
        .unwrap();
    let diff = value(&api(&server, &format!("diff?base={base}&now={now}")));
    let line = |name: &str| {
        let lines = diff["lines"].as_array().unwrap();
        lines
            .iter()
            .find(|line| line["function"].as_str().unwrap().contains(name))
            .cloned()
    };
    let grown = line("page::keep_more").unwrap_or_else(|| panic!("{diff}"));
    assert_eq!(grown["growth"], 3 << 20, "{diff}");
    assert_eq!(
        (&grown["error"], &grown["verdict"]),
        (&json!(0.0), &json!("exact"))
    );
    assert!(
        grown["file"]
            .as_str()
            .unwrap()
            .ends_with("tests/page/main.rs")
    );
    assert_eq!(diff["base"]["id"], base);
    let memory = &diff["memory"];
    let parts = memory["parts"].as_array().unwrap();
    for at in ["base", "now", "growth"] {
        let sum: i64 = parts.iter().map(|part| part[at].as_i64().unwrap()).sum();
        assert_eq!(memory["resident"][at], sum, "{at}");
    }
    assert!(diff["threads"]["now"].as_u64().unwrap() >= 2);
    // Column by column: what a kind has at each moment, and all kinds together.
    let column = |value: &Value| -> Vec<u64> {
        let numbers = value.as_array().unwrap().iter();
        numbers.map(|number| number.as_u64().unwrap()).collect()
    };
    let moments = &history["moments"];
    let mut sum = vec![0; column(&moments["id"]).len()];
    for kind in moments["descriptors_by_kind"].as_object().unwrap().values() {
        for (sum, count) in sum.iter_mut().zip(column(kind)) {
            *sum += count;
        }
    }
    assert_eq!(sum, column(&moments["descriptors"]));
    if cfg!(feature = "task") {
        assert_eq!(diff["tasks"]["now"], 0, "{diff}");
        assert_eq!(column(&moments["tasks"]).len(), sum.len());
    } else {
        assert!(diff["tasks"].is_null() && moments["tasks"][0].is_null());
    }
    assert!(history["bytes"].as_u64().unwrap() < history["limit_bytes"].as_u64().unwrap());
    assert_eq!(history["failed"], 0);
    drop(kept);
}

/// Of one test only: others run meanwhile.
#[inline(never)]
fn keep_more(bytes: usize) -> Vec<u8> {
    std::hint::black_box(vec![2; bytes])
}

#[inline(never)]
fn keep(bytes: usize) -> Vec<u8> {
    std::hint::black_box(vec![1; bytes])
}

#[test]
fn bad_questions_hear_what_would_be_good() {
    let server = server();
    until_two_after(&server, 0);
    for (question, status, part) in [
        (
            "diff?base=x",
            400,
            "invalid value for \"base\": accepted is the number of a moment, 1 to ",
        ),
        ("diff?base=0", 400, "1 to "),
        (
            "diff?now=99999999999999999999",
            400,
            "invalid value for \"now\"",
        ),
        ("diff?base=2&now=1", 400, "the base comes first"),
        ("flame?value=peak", 400, "accepted are live and allocated"),
        (
            "profile?format=svg",
            400,
            "one of pprof, json, folded, speedscope, dhat, callgrind, legacy is accepted",
        ),
        (
            "nothing",
            404,
            "overview, history, diff, flame, profile, threads and",
        ),
        ("diff/x", 404, "unknown question"),
    ] {
        let answer = api(&server, question);
        assert_eq!(answer.status, status, "{question}: {}", answer.text());
        assert!(
            answer.text().contains(part),
            "{question}: {}",
            answer.text()
        );
    }
    for question in ["overview", "history", "diff", "flame", "profile"] {
        let line = |method: &str| format!("{method} /debug/heapsite/api/{question} HTTP/1.1");
        let posted = request(server.address(), &line("POST"), "", b"");
        assert_eq!(
            (posted.status, posted.header("allow")),
            (405, "GET, HEAD"),
            "{question}"
        );
    }
    let head = request(
        server.address(),
        "HEAD /debug/heapsite/api/history HTTP/1.1",
        "",
        b"",
    );
    assert_eq!(
        (head.status, head.body.len(), head.header("cache-control")),
        (200, 0, "no-store")
    );
}

#[test]
fn jobs_make_trees_and_files() {
    let server = server();
    let kept = keep(1 << 20);
    let tree = value(&api(&server, "flame"));
    let functions = tree["functions"].as_array().unwrap();
    let here = functions
        .iter()
        .position(|it| it[0].as_str().unwrap().contains("page::keep"));
    let here = here.unwrap_or_else(|| panic!("{tree}"));
    let nodes = tree["nodes"].as_array().unwrap();
    let bytes: f64 = nodes
        .iter()
        .filter(|node| node[1] == here)
        .map(|node| node[4].as_f64().unwrap())
        .sum();
    assert!(bytes >= f64::from(1 << 20));
    assert_eq!(tree["exact"], true);
    for (format, end) in [("pprof", "pb.gz"), ("json", "json")] {
        let file = api(&server, &format!("profile?format={format}"));
        file.profile().check().unwrap();
        assert!(
            file.header("content-disposition")
                .ends_with(&format!(".{end}\""))
        );
    }
    let folded = api(&server, "profile?format=folded");
    assert!(folded.text().contains("page::keep"));
    drop(kept);
}

/// The page itself is the same for everybody; what it asks is not.
#[test]
fn a_token_protects_the_answers() {
    let pace = Duration::from_millis(50);
    let options = Options::new().token("s3cret").history(pace);
    let server = options.serve("127.0.0.1:0").unwrap();
    for open in ["", "page.js", "page.css", "icon.svg"] {
        assert_eq!(
            get(server.address(), &format!("/debug/heapsite/{open}")).status,
            200
        );
    }
    for closed in ["overview", "history", "diff", "flame", "profile", "nothing"] {
        let path = format!("/debug/heapsite/api/{closed}");
        let refused = get(server.address(), &path);
        assert_eq!(refused.status, 401, "{closed}");
        assert!(!refused.text().contains("s3cret"));
    }
    let line = "GET /debug/heapsite/api/overview HTTP/1.1";
    let known = request(
        server.address(),
        line,
        "Authorization: Bearer s3cret\r\n",
        b"",
    );
    assert_eq!(value(&known)["installed"], true);
    assert_eq!(value(&known)["interval"], 1);
}
