//! The labelled suite: how often the judgement is right over real programs, whose leaks are known.
//!
//! `cargo test --features internals --test quality` runs a cut; with `-- --all` everything, and writes
//! `target/quality.md`; with parts of names those programs. Each program runs in a process of its own, this one again, for
//! each interval. Two hours pass in a second or two: see `world.rs`.
//!
//! What is asked of it, and the odds, is in `score.rs`.

mod child;
mod label;
mod programs;
mod score;
mod world;

use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use heapsite::Heapsite;

use child::{CHILD, Outcome};
use label::{Program, Truth};
use programs::PROGRAMS;

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

const INTERVALS: [u64; 3] = [64 << 10, 512 << 10, 2 << 20];
/// One of each kind, for every test run.
const CUT: [&str; 10] = [
    "map_values",
    "pinned_buffer",
    "join_set",
    "below_churn",
    "late",
    "closed_when_full",
    "keys_of_look_ups",
    "late_cache",
    "shifts",
    "server",
];

struct Case {
    program: &'static Program,
    interval: u64,
}

fn main() -> ExitCode {
    if let Some(name) = std::env::var_os(CHILD) {
        return child::main(&name.to_string_lossy());
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let parts: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| match parts.is_empty() {
        true => has("--all") || CUT.contains(&name),
        false => parts.iter().any(|part| name.contains(*part)),
    };
    let programs: Vec<&Program> = PROGRAMS.iter().filter(|it| is_wanted(it.name)).collect();
    if has("--list") {
        programs.iter().for_each(|it| println!("{}: test", it.name));
        return ExitCode::SUCCESS;
    }
    let case = |interval| {
        programs
            .iter()
            .map(move |&program| Case { program, interval })
    };
    let intervals = match has("--all") || !parts.is_empty() {
        true => &INTERVALS[..],
        false => &INTERVALS[1..2],
    };
    let cases: Vec<Case> = intervals.iter().copied().flat_map(case).collect();
    let (outcomes, failed) = run(&cases);
    let report = score::report(&outcomes);
    print!("{}", report.text());
    if has("--all") {
        std::fs::write(
            concat!(env!("CARGO_TARGET_TMPDIR"), "/../quality.md"),
            report.table(),
        )
        .expect("target can be written to");
    }
    let wrong = report.wrong();
    wrong.iter().for_each(|wrong| println!("FAILED: {wrong}"));
    match failed == 0 && wrong.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Two at a time. How many processes failed, too.
fn run(cases: &[Case]) -> (Vec<(&'static Program, Outcome)>, usize) {
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Vec::new(), 0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Relaxed: a ticket; nothing else is shared through it.
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcomes = case.run();
                    let mut results = results.lock().expect("nobody panics with it");
                    match outcomes {
                        Ok(outcomes) => {
                            println!("{}", score::line(case.program, &outcomes));
                            results
                                .0
                                .extend(outcomes.into_iter().map(|it| (case.program, it)));
                        }
                        Err(why) => {
                            results.1 += 1;
                            println!("{} at {}: FAILED\n{why}", case.program.name, case.interval);
                        }
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().expect("nobody panics with it");
    // In the order of the table, whoever was done first.
    results.0.sort_by_key(|(program, outcome)| {
        let at = PROGRAMS.iter().position(|it| it.name == program.name);
        (at, outcome.interval, outcome.windows)
    });
    results
}

impl Case {
    fn run(&self) -> Result<Vec<Outcome>, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new(program)
            .env(CHILD, self.program.name)
            .arg(self.interval.to_string())
            .output()
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let told = || {
            format!(
                "{}\n{text}{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )
        };
        if !output.status.success() {
            return Err(told());
        }
        serde_json::from_str(text.lines().last().unwrap_or("")).map_err(|_| told())
    }
}

impl Truth {
    fn leaks(self) -> bool {
        matches!(self, Truth::Leaks { .. } | Truth::LeaksUnsteadily)
    }
}
