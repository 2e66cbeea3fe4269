//! Real clients read the example `http`: Go's pprof (the oldest in use and the newest), promtool, google-pprof, jeprof,
//! `heapsite` itself, Prometheus; and curl asks it and Go's own server the same questions.
//!
//! `bash ci/viewers.sh` runs these; `bash ci/setup.sh` installs the tools, which are found through `HEAPSITE_CI_TOOLS`.
#![forbid(unsafe_code)]

mod prometheus;
mod server;

use std::process::Command;

use server::{Answer, Server, binary, curl, output, tool};

const LEAK: &str = "http::leak";

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn go_pprof_fetches() {
    let example = Server::example();
    for name in ["pprof-debian", "pprof-1.27.3"] {
        let pprof = |args: &[&str]| {
            let dir = tempfile::tempdir().unwrap();
            let mut command = Command::new(tool(name));
            command.args(args).env("PPROF_TMPDIR", dir.path());
            output(command.current_dir(dir.path()))
        };
        let heap = example.url("heap");
        let whole = pprof(&["-top", &heap]);
        assert!(whole.contains("Type: inuse_space"), "{name}:\n{whole}");
        assert!(whole.contains(LEAK), "{name}:\n{whole}");
        let allocs = pprof(&["-top", &example.url("allocs")]);
        assert!(allocs.contains("Type: alloc_space"), "{name}:\n{allocs}");
        // A window, and a base from an address.
        let window = pprof(&["-top", "-seconds=2", &heap]);
        assert!(window.contains("Duration: 2"), "{name}:\n{window}");
        let grown = pprof(&["-top", "-base", &heap, &heap]);
        assert!(grown.contains("Type: inuse_space"), "{name}:\n{grown}");
        // Two windows at once: one is refused, and pprof fails with the server's words.
        let mut both = Command::new(tool(name));
        let both = both
            .args(["-top", "-seconds=3", "-base", &heap, &heap])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&both.stderr).into_owned();
        assert!(
            !both.status.success() && said.contains("another ?seconds= is being waited for"),
            "{name}:\n{said}"
        );
        // As text it has no symbols: pprof asks for them by POST.
        let text = pprof(&["-top", "-symbolize=remote", &example.url("heap?debug=1")]);
        assert!(text.contains(LEAK), "{name}:\n{text}");
        for empty in [
            "goroutine",
            "threadcreate",
            "block",
            "mutex",
            "profile?seconds=1",
            "trace",
        ] {
            pprof(&["-raw", &example.url(empty)]);
        }
        // An error is shown in the server's words.
        let mut wrong = Command::new(tool(name));
        let wrong = wrong
            .args(["-top", &example.url("heaps")])
            .output()
            .unwrap();
        assert!(!wrong.status.success());
        let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
        assert!(said.contains("Unknown profile"), "{name}:\n{said}");
    }
}

/// Where there is no terminal: a line per look, and the leak's line in it.
#[test]
#[ignore = "needs the example with its line tables: ci/viewers.sh runs this"]
fn heapsite_watches() {
    let example = Server::example();
    let url = example.url("heap");
    // The history's second moment comes after ten seconds, or later on a busy machine.
    loop {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heapsite"));
        let text = output(command.args(["watch", &url, "--every", "200ms", "--count", "2"]));
        assert_eq!(text.lines().count(), 2, "{text}");
        if text.contains(" at http.rs:16 (significant)") {
            return;
        }
    }
}

/// It gives up at the first answer that is no profile.
#[test]
#[ignore = "needs promtool: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn promtool_collects_all() {
    let example = Server::example();
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(tool("promtool"));
    command.args(["debug", "pprof", &example.base]);
    output(command.current_dir(dir.path()));
    let archive = dir.path().join("debug.tar.gz");
    let listing = output(Command::new("tar").arg("tzf").arg(archive));
    for file in [
        "heap.pb",
        "block.pb",
        "goroutine.pb",
        "mutex.pb",
        "threadcreate.pb",
        "cpu.pb",
        "trace.pb",
    ] {
        assert!(listing.contains(file), "{listing}");
    }
}

/// The live bytes of the text are the same to both, and about what the profile itself says.
#[test]
#[ignore = "needs google-pprof and jeprof: ci/setup.sh installs them, ci/viewers.sh runs this"]
fn perl_reads_the_text() {
    let example = Server::example();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("heap.txt");
    std::fs::write(&file, curl(&example.url("heap?debug=1"), &[]).body).unwrap();
    let ours = heapsite::format::read(&std::fs::read(&file).unwrap()).unwrap();
    let total: i64 = ours.samples.iter().map(|sample| sample.values[3]).sum();
    let program = binary("examples/http");
    for name in ["google-pprof", "jeprof"] {
        let mut command = Command::new(tool(name));
        command.args(["--text", "--inuse_space", "--show_bytes"]);
        let said = output(command.arg(&program).arg(&file).current_dir(dir.path()));
        // `Total: 1234 B`
        let theirs = said
            .lines()
            .find_map(|line| line.strip_prefix("Total: ")?.strip_suffix(" B"));
        let theirs: i64 = theirs
            .unwrap_or_else(|| panic!("{name}:\n{said}"))
            .parse()
            .unwrap();
        // Each stack is rounded to whole bytes on its own.
        let slack = ours.samples.len() as i64;
        assert!(
            (theirs - total).abs() <= slack,
            "{name}: {theirs}, not {total}"
        );
        assert!(total > 0 && said.contains("leak"), "{name}:\n{said}");
    }
}

#[test]
#[ignore = "needs curl: ci/viewers.sh runs this"]
fn heapsite_reads_itself() {
    let example = Server::example();
    let heapsite = |args: &[&str]| output(Command::new(env!("CARGO_BIN_EXE_heapsite")).args(args));
    let heap = example.url("heap");
    let top = heapsite(&["top", &heap]);
    assert!(top.contains(LEAK), "{top}");
    assert!(heapsite(&["top", &example.url("heap?debug=1")]).contains(LEAK));
    heapsite(&["top", &example.url("heap?seconds=1")]);
    heapsite(&["diff", &heap, &heap]);
    heapsite(&["info", &example.url("allocs")]);
}

/// The same questions to heapsite and to Go 1.27: status, headers and error texts agree, but for what is listed.
#[test]
#[ignore = "needs Go's server: ci/setup.sh builds it, ci/viewers.sh runs this"]
fn answers_as_go_does() {
    let example = Server::example();
    let go = Server::start(Command::new(tool("pprof-server-1.27.3")));
    let mut differing = Vec::new();
    for (args, path) in questions() {
        let [ours, theirs] = [&example, &go].map(|server| curl(&server.url(&path), &args));
        let question = format!("{} {path}", args.join(" "));
        let (ours, theirs) = (ours.comparable(), theirs.comparable());
        if ours != theirs {
            differing.push(format!(
                "{question}\n  heapsite {ours:?}\n  Go       {theirs:?}"
            ));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// What to ask: options of curl, and the path below `/debug/pprof/`.
fn questions() -> Vec<(Vec<&'static str>, String)> {
    let mut questions = Vec::new();
    let names = [
        "heap",
        "allocs",
        "goroutine",
        "threadcreate",
        "block",
        "mutex",
    ];
    let queries = [
        "",
        "?debug=0",
        "?debug=1",
        "?debug=2",
        "?debug=x",
        "?gc=1",
        "?gc=x",
        "?seconds=1",
        "?seconds=0",
        "?seconds=-1",
        "?seconds=x",
        "?seconds=1.5",
        "?seconds=",
        "?seconds=1&debug=1",
        "?seconds=x&debug=1",
        "?seconds=%31",
        "?debug=1&debug=0",
        "?unknown=1",
        "?;",
    ];
    for name in names {
        questions.extend(queries.map(|query| (vec![], format!("{name}{query}"))));
        questions.push((vec!["--head"], name.to_owned()));
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            questions.push((vec!["-X", method], name.to_owned()));
        }
    }
    for path in [
        "",
        "?a=1",
        "cmdline",
        "cmdline?debug=1",
        "symbol",
        "symbol?",
        "symbol?x",
        "symbol?0x1",
        "symbol?0x1+0x2",
        "profile?seconds=1",
        "trace?seconds=1",
        "trace?seconds=0.1",
        "heaps",
        "heap/",
        "heap/x",
        "unknown?seconds=1",
        "unknown?debug=1",
    ] {
        questions.push((vec![], path.to_owned()));
    }
    for path in ["", "cmdline", "profile", "trace", "unknown"] {
        questions.push((vec!["-X", "POST"], path.to_owned()));
    }
    questions.push((vec![], "../pprof?a=1".to_owned()));
    questions.push((vec![], "../pprof".to_owned()));
    questions
}

impl Answer {
    /// The status line, the headers but for time and framing, and the text of an error.
    fn comparable(&self) -> (Vec<String>, String) {
        let (status, headers) = self.head.split_first().unwrap();
        let mut head: Vec<String> = headers
            .iter()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()))
            .filter(|line| {
                let framing = [
                    "date:",
                    "content-length:",
                    "transfer-encoding:",
                    "connection:",
                ];
                !framing.iter().any(|name| line.starts_with(name))
            })
            .collect();
        head.sort();
        let code = status.split(' ').nth(1).unwrap();
        head.insert(0, code.to_owned());
        let is_error = code.starts_with('4');
        let text = is_error.then(|| String::from_utf8_lossy(&self.body).into_owned());
        (head, text.unwrap_or_default())
    }
}
