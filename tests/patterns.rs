//! The seven leak patterns of `examples/patterns`: each leaky program is blamed at its guilty line, with the right
//! number of bytes, and no fixed one is accused of anything, at three intervals.
//!
//! `cargo test --test patterns [part of a name]`. Each program is a process of its own: this one again, with
//! `HEAPSITE_PATTERN` set. Traffic is counted in requests.
//!
//! Odds of a false alarm. Missed: `exp(−20)` for each of 11 windows, 2·10⁻⁸ (`examples/patterns/harness.rs`). Off the
//! truth by more than 7 standard errors: at least 220 samples are expected, and 7 errors too few are 127 at most,
//! which Poisson gives once in 10¹¹; too many is rarer. (Pattern 6 has 16 blocks a line at each of 24 equal peaks, of which the
//! highest estimate counts: at 512 KiB 98 % of the files' blocks are sampled and 86 % of the locks', so even all 16 are less than 2
//! errors too many, and 7 too few would have to happen 24 times.) The second line before the first: they are at least 6 errors
//! apart, once in 10⁹. A fixed program accused: 10⁻⁶, the level that is asked for. For 11 patterns at two sampled intervals
//! that is 4·10⁻⁷ for all leaky programs together. In exact mode there is no chance but in the order of
//! requests.

#[path = "../examples/patterns/main.rs"]
mod program;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

const CHILD: &str = "HEAPSITE_PATTERN";
const PATTERNS: [&str; 11] = ["1a", "1b", "1c", "1at", "1ct", "2", "3", "4", "5", "6", "7"];
const INTERVALS: [u64; 3] = [1, 64 << 10, 512 << 10];
/// How far an estimate may be off, in standard errors.
const ERRORS: f64 = 7.0;

struct Case {
    pattern: &'static str,
    form: &'static str,
    interval: u64,
}

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        return match program::main() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wanted: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let is_wanted =
        |case: &Case| wanted.is_empty() || wanted.iter().any(|part| case.title().contains(*part));
    let cases: Vec<Case> = cases().filter(is_wanted).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        cases
            .iter()
            .for_each(|case| println!("{}: test", case.title()));
        return ExitCode::SUCCESS;
    }
    let failed = run(&cases);
    println!(
        "\npatterns: {} passed, {failed} failed",
        cases.len() - failed
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn cases() -> impl Iterator<Item = Case> {
    PATTERNS.into_iter().flat_map(|pattern| {
        ["leaky", "fixed"].into_iter().flat_map(move |form| {
            INTERVALS.into_iter().map(move |interval| Case {
                pattern,
                form,
                interval,
            })
        })
    })
}

/// Two at a time.
fn run(cases: &[Case]) -> usize {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                // Relaxed: a ticket; nothing else is shared through it.
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = case.run();
                    // Held while printing: outputs of two cases do not mix.
                    let mut failed = failed.lock().unwrap();
                    match result {
                        Ok(()) => println!("{} ... ok", case.title()),
                        Err(why) => {
                            *failed += 1;
                            println!("{} ... FAILED\n{why}", case.title());
                        }
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}

impl Case {
    fn title(&self) -> String {
        format!("{}/{}/{}", self.pattern, self.form, self.interval)
    }

    fn run(&self) -> Result<(), String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let output = Command::new(program)
            .env(CHILD, "1")
            .args([self.pattern, self.form, "--seconds", "0", "--interval"])
            .arg(self.interval.to_string())
            .output()
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        let told = || format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(format!("{}\n{}", output.status, told()));
        }
        let last = text.lines().last().unwrap_or("");
        let said: Value = serde_json::from_str(last).map_err(|error| format!("{error}: {last}"))?;
        self.judge(&said)
            .map_err(|why| format!("{why}\n{}", told()))
    }

    fn judge(&self, said: &Value) -> Result<(), String> {
        let accused = said["accused"].as_array().ok_or("no list of accused")?;
        if self.form == "fixed" {
            return match accused.is_empty() && said["blamed"].is_null() {
                true => Ok(()),
                false => Err("a program that does not leak is accused".into()),
            };
        }
        // The worst first, by function, file and line.
        let blamed = &said["blamed"];
        if *blamed != accused[..].first().cloned().unwrap_or_default() {
            return Err("blamed is not the first of the accused".into());
        }
        is_at(blamed, &said["truth"])?;
        for truth in said["truths"].as_array().ok_or("no truths")? {
            let found = accused.iter().find(|accused| is_at(accused, truth).is_ok());
            let found = found.ok_or_else(|| format!("nobody is accused at {truth}"))?;
            self.is_right(found, truth)?;
            self.is_on_its_page(truth)?;
        }
        self.counts(&said["truth"])
    }

    /// Within the error; without one, to the byte.
    fn is_right(&self, found: &Value, truth: &Value) -> Result<(), String> {
        let number = |value: &Value| value.as_f64().ok_or("not a number");
        let off = number(&found["bytes"])? - number(&truth["bytes"])?;
        let error = number(&found["error_bytes"])?;
        if self.interval == 1 && error != 0.0 {
            return Err(format!("an exact run has an error of {error} bytes"));
        }
        match off.abs() <= ERRORS * error {
            true => Ok(()),
            false => Err(format!("{off} bytes off, error {error}, at {truth}")),
        }
    }

    /// The output that the guide shows is of the program as it is now.
    fn is_on_its_page(&self, truth: &Value) -> Result<(), String> {
        // Of pattern 1 the page shows one program.
        if matches!(self.pattern, "1b" | "1c" | "1at" | "1ct") {
            return Ok(());
        }
        let path = Path::new(truth["file"].as_str().unwrap_or("-"));
        let page = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/guide/patterns")
            .join(path.with_extension("md").file_name().unwrap_or_default());
        let text = std::fs::read_to_string(&page)
            .map_err(|error| format!("{}: {error}", page.display()))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let place = format!("{file}:{}", truth["line"]);
        match text.contains(&place) {
            true => Ok(()),
            false => Err(format!("{} does not show {place}", page.display())),
        }
    }

    /// What else the pattern leaks, as the program counted it.
    fn counts(&self, truth: &Value) -> Result<(), String> {
        let count = |what: &str| truth[what].as_u64().unwrap_or(0);
        let leaks = match self.pattern {
            "1a" | "1b" | "1c" | "5" => count("tasks") > 0,
            "1at" | "1ct" => count("threads") > 0,
            "2" => count("fds") > 0,
            // All at the same time, where the fixed one has one.
            "6" => count("objects") == 16,
            _ => true,
        };
        match leaks {
            true => Ok(()),
            false => Err(format!("not what pattern {} leaks: {truth}", self.pattern)),
        }
    }
}

fn is_at(accused: &Value, truth: &Value) -> Result<(), String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let (file, wanted) = (text(&accused["file"]), text(&truth["file"]));
    // `file!()` is relative, debug information absolute.
    let same = accused["line"] == truth["line"]
        && file.ends_with(wanted.trim_start_matches("tests/../"))
        && text(&accused["function"]).contains(&text(&truth["function"]));
    match same {
        true => Ok(()),
        false => Err(format!("blamed {accused}, not {truth}")),
    }
}
