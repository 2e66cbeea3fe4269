//! `heapsite leaks` of running services whose fault is known: the cause, the line, and what the report says.
//!
//! Each program is this test binary again, with `programs::serve` as its only test. A program works in rounds, and is asked
//! after so many of them; how long a round takes does not matter.
#![forbid(unsafe_code)]

mod programs;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system().sample_interval(4 << 10);

/// A program that serves its page; killed when dropped.
struct Service {
    child: Child,
    url: String,
}

impl Service {
    fn start(program: &str) -> Service {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "programs::serve", "--nocapture"])
            .env(programs::NAME, program)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .map(|line| line.unwrap())
            .find_map(|line| line.strip_prefix(programs::READY).map(str::to_owned));
        Service {
            url: url.expect("it says when it is ready"),
            child,
        }
    }

    fn run(&self, options: &[&str]) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_heapsite"))
            .args(["leaks", &self.url])
            .args(options)
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    /// Asks until the service remembers a second; how long that takes does not matter.
    fn leaks(&self, options: &[&str]) -> Value {
        loop {
            let (code, out, err) = self.run(&[&["--json"], options].concat());
            assert_eq!(code, Some(0), "{err}");
            let verdict: Value = serde_json::from_str(&out).unwrap();
            if verdict["span_nanos"].as_u64().unwrap() > 1_000_000_000 {
                return verdict;
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn causes(verdict: &Value) -> Vec<&str> {
    let causes = verdict["causes"].as_array().unwrap().iter();
    causes.map(|it| it["cause"].as_str().unwrap()).collect()
}

fn sentence(verdict: &Value) -> &str {
    verdict["sentence"].as_str().unwrap()
}

/// The odds that chance hides a leak of thousands of samples at its own line are those of the binomial tests: below 1e-9.
#[test]
fn a_map_that_is_never_trimmed() {
    let service = Service::start("leak");
    let verdict = service.leaks(&["--longest-fill", "200ms"]);
    assert_eq!(verdict["cause"], "leak", "{}", sentence(&verdict));
    let suspect = &verdict["findings"]["leaks"][0];
    assert_eq!(
        suspect["place"]["line"],
        programs::line("leaks here"),
        "{suspect:#}"
    );
    assert!(
        sentence(&verdict).contains("tests/verdict/programs.rs:"),
        "{}",
        sentence(&verdict)
    );
    // An hour would have to pass.
    let early = service.leaks(&["--longest-fill", "1h", "--fail-on", "leak"]);
    assert_eq!(early["cause"], "suspicion", "{}", sentence(&early));
    let (code, text, _) = service.run(&["--fail-on", "leak", "--longest-fill", "200ms"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.starts_with("Leaking: "), "{text}");
    for part in [
        "live heap",
        "by birth",
        "survival",
        "growth by crate",
        "A map that only grows",
        "Fix: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (code, text, _) = service.run(&["--fail-on", "peak,foreign"]);
    assert_eq!(code, Some(0), "{text}");
}

/// The keys of `src/guide/verdict.md`: scripts rely on them.
#[test]
fn the_document_keeps_its_keys() {
    let verdict = Service::start("leak").leaks(&[]);
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let sorted = |keys: &str| {
        let mut keys: Vec<String> = keys.split_whitespace().map(str::to_owned).collect();
        keys.sort();
        keys
    };
    assert_eq!(
        keys(&verdict),
        sorted(
            "heapsite version cause sentence causes profiles notes findings crates process before now span_nanos longest_fill_nanos live_bytes \
             live_error exact peak_bytes peak_nanos trim"
        )
    );
    assert_eq!(
        keys(&verdict["causes"][0]),
        sorted("cause bytes rule sentence")
    );
    let findings = &verdict["findings"];
    for list in ["leaks", "filling", "others", "cannot_tell", "advice"] {
        assert!(findings[list].is_array(), "{list}");
    }
    let suspect = findings["leaks"]
        .get(0)
        .or(findings["filling"].get(0))
        .unwrap();
    for key in sorted(
        "place class thing rate confidence since_nanos share survival cohorts trend advice live_bytes live_error samples \
         may_be_filling looks_like_leak",
    ) {
        assert!(suspect.get(&key).is_some(), "{key}");
    }
}

#[test]
fn a_cache_of_the_start_and_churn() {
    let service = Service::start("flat");
    let verdict = service.leaks(&["--fail-on", "any"]);
    assert_eq!(verdict["cause"], "none", "{:#}", verdict["causes"]);
    assert!(
        sentence(&verdict).starts_with("No leak found: "),
        "{}",
        sentence(&verdict)
    );
}

#[test]
fn freed_memory_that_the_allocator_keeps() {
    let service = Service::start("kept");
    let verdict = service.leaks(&["--trim"]);
    assert_eq!(verdict["cause"], "peak", "{:#}", verdict["causes"]);
    assert!(
        sentence(&verdict).starts_with("Not a leak: glibc holds "),
        "{}",
        sentence(&verdict)
    );
    assert!(
        sentence(&verdict).contains("it was kept for later"),
        "{}",
        sentence(&verdict)
    );
    let [before, after] =
        ["before", "after"].map(|when| verdict["trim"][when]["rss_bytes"].as_u64().unwrap());
    assert!(before - after > 60 << 20, "{before} {after}");
}

#[test]
fn freed_memory_between_live_blocks() {
    let service = Service::start("fragments");
    let verdict = service.leaks(&["--trim"]);
    assert!(
        ["peak", "allocator"].contains(&verdict["cause"].as_str().unwrap()),
        "{:#}",
        verdict["causes"]
    );
    assert!(
        sentence(&verdict).contains("between live blocks"),
        "{}",
        sentence(&verdict)
    );
}

#[test]
fn threads_and_files_that_pile_up() {
    let service = Service::start("counts");
    let verdict = service.leaks(&[]);
    let causes = causes(&verdict);
    assert!(
        causes.contains(&"threads") && causes.contains(&"descriptors"),
        "{causes:?}"
    );
    let (_, text, _) = service.run(&[]);
    assert!(
        text.contains("Threads pile up: ") && text.contains("Open files pile up: "),
        "{text}"
    );
}

#[test]
fn several_dumps_have_a_trend() {
    let service = Service::start("leak");
    let verdict = service.leaks(&[
        "--looks",
        "4",
        "--every",
        "300ms",
        "--per",
        "request=10,20,30,40",
    ]);
    let findings = &verdict["findings"];
    assert_eq!(findings["per"], "request");
    let suspects = ["leaks", "filling"]
        .map(|kind| findings[kind].as_array().unwrap().clone())
        .concat();
    assert!(
        suspects[0]["trend"]["slope"]["bytes"].as_f64().unwrap() > 0.0,
        "{suspects:#?}"
    );
    assert_eq!(verdict["profiles"].as_array().unwrap().len(), 4);
}

#[test]
fn what_cannot_be_asked_is_said() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_heapsite"))
            .arg("leaks")
            .args(args)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (args, said) in [
        (&["Cargo.toml", "--trim"][..], "Cargo.toml"),
        (&["http://127.0.0.1:1"], "cannot fetch http://127.0.0.1:1"),
        (
            &["x.json", "--level", "2"],
            "a number between 0 and 1 is accepted",
        ),
        (
            &["x.json", "--fail-on", "leek"],
            "possible values: leak, tasks",
        ),
        (
            &["x.json", "--per", "request"],
            "a name and a count for each profile",
        ),
    ] {
        let (code, err) = run(args);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(said), "{args:?}: {err}");
    }
}
