//! Runs scenarios, each in a child process under a watchdog.
#![forbid(unsafe_code)]

use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Far above what any scenario takes: a child that is still there hangs.
const PATIENCE: Duration = Duration::from_secs(120);
const NAME: &str = "HEAPSITE_SCENARIO";
const INTERVAL: &str = "HEAPSITE_SCENARIO_INTERVAL";
/// Read by the inner allocator at its first call.
const INNER: &str = "HEAPSITE_SCENARIO_INNER";

/// How a scenario's process is to end.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Ends {
    Code(i32),
    Signal(i32),
}

/// A function of the interval that panics if something is wrong.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    name: &'static str,
    body: fn(u64),
    inners: &'static [&'static str],
    intervals: &'static [u64],
    ends: Ends,
}

impl Scenario {
    pub(crate) fn new(
        name: &'static str,
        body: fn(u64),
        inners: &'static [&'static str],
        intervals: &'static [u64],
    ) -> Scenario {
        Scenario {
            name,
            body,
            inners,
            intervals,
            ends: Ends::Code(0),
        }
    }

    pub(crate) fn ends(self, ends: Ends) -> Scenario {
        Scenario { ends, ..self }
    }
}

/// One scenario over one allocator at one interval.
struct Case {
    title: String,
    scenario: Scenario,
    inner: &'static str,
    interval: u64,
}

pub(crate) fn run(scenarios: &[Scenario]) -> ExitCode {
    if let Ok(name) = std::env::var(NAME) {
        let interval = std::env::var(INTERVAL)
            .ok()
            .and_then(|text| text.parse().ok())
            .expect("an interval");
        let scenario = scenarios
            .iter()
            .find(|scenario| scenario.name == name)
            .expect("a known scenario");
        (scenario.body)(interval);
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let cases: Vec<Case> = cases(scenarios)
        .filter(|case| wanted.is_empty() || wanted.iter().any(|part| case.title.contains(*part)))
        .collect();
    if arguments.iter().any(|argument| argument == "--list") {
        cases
            .iter()
            .for_each(|case| println!("{}: test", case.title));
        return ExitCode::SUCCESS;
    }
    let failed = run_cases(&cases);
    println!(
        "\nscenarios: {} passed, {failed} failed",
        cases.len() - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn cases(scenarios: &[Scenario]) -> impl Iterator<Item = Case> {
    scenarios.iter().flat_map(|&scenario| {
        scenario.inners.iter().flat_map(move |&inner| {
            scenario.intervals.iter().map(move |&interval| Case {
                title: format!("{}/{inner}/{interval}", scenario.name),
                scenario,
                inner,
                interval,
            })
        })
    })
}

/// Two at a time: most scenarios keep more than one processor busy by themselves.
fn run_cases(cases: &[Case]) -> usize {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let result = run_case(case);
                    // Held while printing: outputs of two cases do not mix.
                    let mut failed = failed.lock().unwrap();
                    let took = began.elapsed().as_secs_f64();
                    match result {
                        Ok(()) => println!("{} ... ok ({took:.2} s)", case.title),
                        Err(why) => {
                            *failed += 1;
                            println!("{} ... FAILED ({took:.2} s)\n{why}", case.title);
                        }
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

fn run_case(case: &Case) -> Result<(), String> {
    let mut output = tempfile::tempfile().map_err(|error| error.to_string())?;
    let stream = || {
        output
            .try_clone()
            .map(Stdio::from)
            .map_err(|error| error.to_string())
    };
    let mut child = Command::new(std::env::current_exe().map_err(|error| error.to_string())?)
        .env(NAME, case.scenario.name)
        .env(INTERVAL, case.interval.to_string())
        .env(INNER, case.inner)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(stream()?)
        .stderr(stream()?)
        .spawn()
        .map_err(|error| error.to_string())?;
    let end = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break Some(status),
            None if Instant::now() > end => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    if status.is_some_and(|status| is_end(status, case.scenario.ends)) {
        return Ok(());
    }
    let mut said = String::new();
    let _ = output
        .rewind()
        .and_then(|()| output.read_to_string(&mut said));
    let how = status.map_or("it hung".to_owned(), |status| status.to_string());
    Err(format!(
        "expected {:?}, but: {how}\n{said}",
        case.scenario.ends
    ))
}

fn is_end(status: ExitStatus, ends: Ends) -> bool {
    match ends {
        Ends::Code(code) => status.code() == Some(code),
        Ends::Signal(signal) => status.signal() == Some(signal),
    }
}
