//! Tasks seen through the heap, against the runtimes themselves: each program plants known numbers of tasks at known lines
//! and writes heap profiles, in a process of its own.
//!
//! `cargo test --test task_cells [part of a name]`. The programs are this one again, or those of another version of tokio:
//! `ci/task_cells.sh` builds them and names the file in `HEAPSITE_TASK_CELLS`.
//!
//! Odds of a false alarm. A sampled line has at least 120 expected samples, and six standard errors of the truth are 66 of
//! them: so many too many Poisson gives once in 6·10⁷, too few more rarely; there are eight lines. A fixed twin accused:
//! 10⁻⁶ by the bound that is tested, but all that its bound has to stand is living tasks, for the others have no cells. A leaky
//! one missed: of 520 samples expected in half a run, 120 would be enough. In exact mode there is no chance.

mod on_libraries;
mod on_tokio;
#[cfg(feature = "task")]
mod on_tracked;
mod told;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use heapsite::task::Tasks;
use heapsite::task::cells::{
    Alive, CellSite, Held, Moment, TaskCells, Unreaped, of_profile, piling_up, unreaped,
};

const CHILD: &str = "HEAPSITE_TASK_CELLS_CHILD";
const PROGRAM: &str = "HEAPSITE_TASK_CELLS";
/// That program's frames name the types of futures.
const TYPES: &str = "HEAPSITE_TASK_CELLS_TYPES";

/// What is left when a program has ended.
struct Outcome {
    planted: Vec<Planted>,
    moments: Vec<(TaskCells, u64, Option<Tasks>)>,
    /// The files.
    dir: tempfile::TempDir,
}

struct Planted {
    name: String,
    runtime: String,
    line: i64,
    live: i64,
    freed: i64,
}

fn programs() -> Vec<&'static [told::Program]> {
    vec![
        on_tokio::PROGRAMS,
        on_libraries::PROGRAMS,
        #[cfg(feature = "task")]
        on_tracked::PROGRAMS,
    ]
}

type Test = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if std::env::var_os(CHILD).is_some() {
        told::run(&programs(), &arguments);
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| {
        let mut parts = arguments
            .iter()
            .filter(|it| !it.starts_with('-'))
            .peekable();
        parts.peek().is_none() || parts.any(|part| name.contains(part.as_str()))
    };
    let tests = TESTS
        .iter()
        .chain(if is_foreign() { &[][..] } else { OWN_TESTS });
    let mut failed = 0;
    for (name, test) in tests.filter(|(name, _)| wanted(name)) {
        let passed = std::panic::catch_unwind(test).is_ok();
        println!("{name} ... {}", if passed { "ok" } else { "FAILED" });
        failed += u32::from(!passed);
    }
    ExitCode::from(u8::from(failed > 0))
}

/// What every version of tokio is asked.
const TESTS: &[Test] = &[
    ("every_way_to_spawn_on_tokio", || exactly("ways")),
    ("a_function_that_spawns_boxes", || exactly("boxed")),
    ("types_of_futures", || types_of_futures("ways")),
    ("estimates_of_every_way", || {
        within_errors("ways", 4000, 64 << 10)
    }),
    ("estimates_at_the_default_interval", || {
        within_errors("handles_kept", 20_000, 512 << 10)
    }),
    ("a_join_set_that_is_not_drained", || {
        accused("join_set_undrained", |held| {
            matches!(held, Held::JoinSet { .. })
        })
    }),
    ("a_join_set_that_is_drained", || {
        innocent("join_set_drained")
    }),
    ("handles_that_are_kept", || {
        accused("handles_kept", |held| matches!(held, Held::Vec { .. }))
    }),
    ("handles_that_are_awaited", || innocent("handles_awaited")),
    ("handles_of_living_tasks", || innocent("handles_of_living")),
];

/// What only this program has in it.
const OWN_TESTS: &[Test] = &[
    ("other_runtimes", || exactly("library_ways")),
    ("types_of_futures_elsewhere", || {
        types_of_futures("library_ways")
    }),
    ("a_set_that_is_never_polled", || {
        accused("set_never_polled", |held| {
            matches!(held, Held::FuturesUnordered { .. })
        })
    }),
    ("a_set_that_is_polled", || innocent("set_polled")),
    ("a_library_that_spawns", a_library_that_spawns),
    ("connections_of_a_server", connections_of_a_server),
    #[cfg(feature = "cli")]
    ("the_command_says_it", the_command_says_it),
    #[cfg(feature = "task")]
    ("tracked_tasks_by_their_lines", tracked_tasks_by_their_lines),
];

fn is_foreign() -> bool {
    std::env::var_os(PROGRAM).is_some()
}

fn run(name: &str, many: u64, interval: u64) -> Outcome {
    let dir = tempfile::tempdir().expect("a folder");
    let program = match std::env::var_os(PROGRAM) {
        Some(program) => PathBuf::from(program),
        None => std::env::current_exe().expect("this program has a path"),
    };
    let output = Command::new(program)
        .env(CHILD, "1")
        .args([name, &many.to_string(), &interval.to_string()])
        .arg(dir.path())
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{name}: {}\n{text}{error}",
        output.status
    );
    let mut told = Outcome {
        planted: Vec::new(),
        moments: Vec::new(),
        dir,
    };
    for line in text.lines() {
        let words: Vec<&str> = line.split('\t').collect();
        let number = |at: usize| words[at].parse::<i64>().expect("a number");
        match words[0] {
            "planted" => told.planted.push(Planted {
                name: words[1].to_owned(),
                runtime: words[2].to_owned(),
                line: number(3),
                live: number(4),
                freed: number(5),
            }),
            _ => {
                let moment = told.moments.len();
                let profile = read(told.dir.path(), &format!("{moment}.pb.gz")).expect("a profile");
                let profile = heapsite::format::read(&profile).expect("a heap profile");
                let cells = of_profile(&profile).expect("it counts objects");
                let tasks = read(told.dir.path(), &format!("{moment}.tasks.json"));
                let tasks = tasks.map(|it| Tasks::read_json(&it).expect("a list of tasks"));
                told.moments.push((cells, number(1) as u64, tasks));
            }
        }
    }
    told
}

fn read(dir: &Path, name: &str) -> Option<Vec<u8>> {
    std::fs::read(dir.join(name)).ok()
}

impl Outcome {
    fn last(&self) -> &TaskCells {
        &self.moments.last().expect("a moment").0
    }

    /// The cells of a planted line, whichever way they were made.
    fn at(&self, planted: &Planted) -> Vec<&CellSite> {
        let here = |site: &&CellSite| {
            site.spawned_at.line == planted.line
                && site.spawned_at.file.contains("task_cells")
                && site.runtime.starts_with(&planted.runtime)
        };
        self.last().sites.iter().filter(here).collect()
    }

    fn unreaped(&self) -> Vec<Unreaped> {
        let (cells, alive, _) = self.moments.last().expect("a moment");
        let alive = Alive::Counted(*alive);
        unreaped(Moment { cells, alive })
    }

    fn piling_up(&self) -> Vec<Unreaped> {
        let moment = |at: usize| Moment {
            cells: &self.moments[at].0,
            alive: Alive::Counted(self.moments[at].1),
        };
        piling_up(moment(0), moment(1))
    }
}

/// To the cell, and nothing else in the programs' files.
fn exactly(name: &str) {
    let outcome = run(name, 40, 1);
    assert!(outcome.last().is_exact(), "{:?}", outcome.last().quality);
    for planted in &outcome.planted {
        let sites = outcome.at(planted);
        let live: i64 = sites.iter().map(|site| site.live.value).sum();
        let freed: i64 = sites.iter().map(|site| site.freed()).sum();
        let name = &planted.name;
        assert_eq!(
            (live, freed),
            (planted.live, planted.freed),
            "{name}: {:#?}",
            outcome.last().sites
        );
    }
    let is_ours = |site: &&CellSite| {
        let file = &site.spawned_at.file;
        file.contains("task_cells/") && file.contains("/on_")
    };
    let ours = outcome.last().sites.iter().filter(is_ours);
    let all: i64 = ours.map(|site| site.allocated.value).sum();
    let planted: i64 = outcome.planted.iter().map(|it| it.live + it.freed).sum();
    assert_eq!(all, planted, "{:#?}", outcome.last().sites);
}

/// Where names have type arguments: in every optimised build with line tables, and with the newer mangling.
fn types_of_futures(name: &str) {
    let has_types = match is_foreign() {
        true => std::env::var_os(TYPES).is_some(),
        false => cfg!(not(debug_assertions)),
    };
    let outcome = run(name, 40, 1);
    for planted in &outcome.planted {
        for site in outcome.at(planted) {
            let ends = [
                "::wait",
                "::answer",
                "::{closure#0}",
                "Ready<()>",
                "Ready<[u8; 2000]>",
            ];
            let is_right = ends.iter().any(|end| site.future.ends_with(end));
            let is_unknown = site.future.is_empty() && !has_types;
            assert!(is_right || is_unknown, "{}: {}", planted.name, site.future);
        }
    }
}

fn within_errors(name: &str, many: u64, interval: u64) {
    let outcome = run(name, many, interval);
    assert!(!outcome.last().is_exact());
    for planted in outcome.planted.iter().filter(|it| it.live > 0) {
        let sites = outcome.at(planted);
        let live: i64 = sites.iter().map(|site| site.live.value).sum();
        let weight = sites.iter().map(|site| site.weight).fold(1.0, f64::max);
        // Of the truth, not of the estimate.
        let error = (planted.live as f64 * (weight - 1.0)).sqrt();
        let off = (live - planted.live) as f64;
        assert!(
            off.abs() <= 6.0 * error,
            "{}: {live}, not {}",
            planted.name,
            planted.live
        );
    }
}

fn accused(name: &str, by: fn(&Held) -> bool) {
    for (many, interval) in [(40, 1), (4 * 4000, 64 << 10)] {
        let outcome = run(name, many, interval);
        let planted = &outcome.planted[0];
        for found in [outcome.unreaped(), outcome.piling_up()] {
            assert_eq!(found.len(), 1, "{found:#?}\n{:#?}", outcome.last().sites);
            let found = &found[0];
            assert_eq!(found.site.spawned_at.line, planted.line, "{found}");
            // A `Vec` of 32,000 handles is one block of 256 KiB, which is not sampled once in 55 times.
            let held = found.site.held.first();
            assert!(held.map_or(interval > 1, by), "{found:#?}");
            let text = found.to_string();
            assert!(text.contains(&format!(".rs:{}", planted.line)), "{text}");
            if interval == 1 {
                let (left, growth) = (found.left_over, found.growth.unwrap_or(planted.live / 2));
                assert_eq!((left, growth), (planted.live, planted.live / 2), "{text}");
            }
        }
    }
}

fn innocent(name: &str) {
    for (many, interval) in [(40, 1), (4 * 4000, 64 << 10)] {
        let outcome = run(name, many, interval);
        for found in [outcome.unreaped(), outcome.piling_up()] {
            assert!(found.is_empty(), "{}", found[0]);
        }
    }
}

fn a_library_that_spawns() {
    exactly("server");
    let outcome = run("server", 40, 1);
    let site = outcome.at(&outcome.planted[0])[0];
    let library = site.library.as_ref().expect("hyper-util's frame");
    assert!(library.file.contains("hyper-util"), "{library:?}");
}

fn connections_of_a_server() {
    let outcome = run("connections", 40, 1);
    let sites = outcome.last().sites.iter();
    let of_axum = |site: &&CellSite| {
        let library = site.library.as_ref().unwrap_or(&site.spawned_at);
        library.file.contains("/axum-") && site.live.value == 40
    };
    let found: Vec<_> = sites.filter(of_axum).collect();
    assert_eq!(found.len(), 1, "{:#?}", outcome.last().sites);
}

/// Each line's cells are compared with that line's tasks.
#[cfg(feature = "task")]
fn tracked_tasks_by_their_lines() {
    for (many, interval) in [(40, 1), (4 * 4000, 64 << 10)] {
        let outcome = run("tracked", many, interval);
        let moment = |at: usize| {
            let (cells, _, tasks) = &outcome.moments[at];
            let alive = Alive::Tasks(tasks.as_ref().expect("a list of tasks"));
            Moment { cells, alive }
        };
        let planted = &outcome.planted[0];
        for found in [unreaped(moment(1)), piling_up(moment(0), moment(1))] {
            assert_eq!(found.len(), 1, "{found:#?}");
            let found = &found[0];
            assert_eq!(found.site.spawned_at.line, planted.line, "{found}");
            assert_eq!(found.alive, 0, "{found}");
            if interval == 1 {
                assert_eq!(found.left_over, planted.live, "{found}");
            }
        }
    }
}

/// `heapsite tasks` of the files, by a count and by lists.
#[cfg(feature = "cli")]
fn the_command_says_it() {
    let command = |dir: &Path, arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_heapsite"))
            .arg("tasks")
            .args(arguments)
            .current_dir(dir)
            .output()
            .expect("the command runs");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(
            output.status.success(),
            "{text}{output:?}",
            output = output.stderr
        );
        text
    };
    let kept = run("handles_kept", 40, 1);
    let (dir, line) = (kept.dir.path(), kept.planted[0].line);
    let text = command(dir, &["1.pb.gz"]);
    assert!(text.contains("80 task cells in the heap"), "{text}");
    assert!(text.contains(&format!("on_tokio.rs:{line}")), "{text}");
    assert!(
        !text.contains("reaped"),
        "nobody knows what is alive: {text}"
    );
    let piled = [
        "1.pb.gz",
        "--alive",
        "0",
        "--base",
        "0.pb.gz",
        "--base-alive",
        "0",
    ];
    let text = command(dir, &piled);
    assert!(
        text.contains("Completed but never reaped: 40 more"),
        "{text}"
    );
    let json = command(dir, &[&piled[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["cells"]["rows"][0]["live"]["value"], 80);
    assert_eq!(json["unreaped"][0]["growth"], 40);
    assert_eq!(json["unreaped"][0]["line"], line);

    #[cfg(feature = "task")]
    {
        let tracked = run("tracked", 40, 1);
        let (dir, line) = (tracked.dir.path(), tracked.planted[0].line);
        let lists = [
            "1.tasks.json",
            "--heap",
            "1.pb.gz",
            "--base",
            "0.tasks.json",
            "--base-heap",
            "0.pb.gz",
        ];
        let text = command(dir, &lists);
        assert!(
            text.contains("Completed but never reaped: 40 more"),
            "{text}"
        );
        assert!(text.contains(&format!("on_tracked.rs:{line}")), "{text}");
        let json = command(dir, &[&lists[..], &["--json"]].concat());
        let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["alive"], 80);
        assert_eq!(json["unreaped"][0]["left_over"], 80);
    }
}
