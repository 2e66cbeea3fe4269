//! Every scenario in a process of its own: the test binary starts itself again with the scenario's name in the
//! environment, waits for it, and looks at what it left behind.
#![forbid(unsafe_code)]

use std::fmt::Debug;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use heapsite::Profile;

/// A program that uses heapsite, and what has to be true when it has ended.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// `HEAPSITE`, with `DIR` standing for the scenario's directory; `None`: unset.
    pub(crate) settings: Option<&'static str>,
    /// The program: all of `main`, in its own process, in its own directory.
    pub(crate) program: fn(&Path),
    pub(crate) check: fn(&Outcome),
}

/// What a program left behind.
pub(crate) struct Outcome {
    pub(crate) dir: PathBuf,
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

/// Long enough for the slowest machine: nothing is measured with it, it only ends what hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(60);

const NAME: &str = "HEAPSITE_SCENARIO";

pub(crate) fn main(scenarios: &[&Scenario]) -> ExitCode {
    if let Ok(name) = std::env::var(NAME) {
        let scenario = scenarios
            .iter()
            .find(|scenario| scenario.name == name)
            .expect("a known scenario");
        (scenario.program)(&std::env::current_dir().expect("the scenario's directory"));
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--ignored") {
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let chosen: Vec<&Scenario> = scenarios
        .iter()
        .copied()
        .filter(|scenario| {
            filters.is_empty()
                || filters
                    .iter()
                    .any(|&part| scenario.name.contains(part.as_str()))
        })
        .collect();
    if arguments.iter().any(|argument| argument == "--list") {
        chosen
            .iter()
            .for_each(|scenario| println!("{}: test", scenario.name));
        return ExitCode::SUCCESS;
    }
    let queue = Mutex::new(chosen.iter());
    let failed = Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(scenario) = { queue.lock().unwrap().next() } {
                    let passed = catch_unwind(AssertUnwindSafe(|| run(scenario))).is_ok();
                    println!(
                        "test {} ... {}",
                        scenario.name,
                        if passed { "ok" } else { "FAILED" }
                    );
                    *failed.lock().unwrap() += usize::from(!passed);
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    println!(
        "\ntest result: {} scenarios, {failed} failed\n",
        chosen.len()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(scenario: &Scenario) {
    let home = tempfile::tempdir().unwrap();
    // A program that drops its privileges still has to get here.
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let dir = home.path().join("dumps");
    fs::create_dir(&dir).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .current_dir(&dir)
        .env(NAME, scenario.name)
        .env_remove("HEAPSITE");
    if let Some(settings) = scenario.settings {
        command.env("HEAPSITE", settings.replace("DIR", dir.to_str().unwrap()));
    }
    command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).map(|_| text)
    });
    let status = wait(&mut child, scenario.name);
    let stderr = reader.join().unwrap().unwrap();
    let outcome = Outcome {
        dir,
        status,
        stderr,
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (scenario.check)(&outcome))) {
        let Outcome { status, stderr, .. } = &outcome;
        eprintln!(
            "{}: {status}, files {:?}, stderr:\n{stderr}",
            scenario.name,
            outcome.files()
        );
        std::panic::resume_unwind(panic);
    }
}

fn wait(child: &mut Child, name: &str) -> ExitStatus {
    let deadline = Instant::now() + WATCHDOG * 2;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{name}: hung");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Outcome {
    /// All names in the directory, hidden ones too, sorted by number.
    pub(crate) fn files(&self) -> Vec<String> {
        files(&self.dir)
    }

    /// The program ended as programs should.
    pub(crate) fn succeeded(&self) {
        assert!(self.status.success(), "{}", self.status);
    }

    /// There are `n` files, all of them whole dumps with mode 0600 of one process; returns their numbers.
    pub(crate) fn whole_dumps(&self, n: usize) -> Vec<u64> {
        let files = self.files();
        assert_eq!(files.len(), n, "{files:?}");
        let seqs = files.iter().map(|name| whole_dump(&self.dir.join(name)).1);
        seqs.collect()
    }

    /// Nothing on stderr but these lines, each given by a part of it.
    pub(crate) fn told(&self, parts: &[&str]) {
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), parts.len(), "{lines:?}");
        for (line, part) in lines.iter().zip(parts) {
            assert!(
                line.starts_with("heapsite: ") && line.contains(part),
                "{line:?} should have {part:?}"
            );
        }
    }
}

pub(crate) fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort_by_key(|name| {
        (
            name.split('.')
                .nth(2)
                .and_then(|seq| seq.parse::<u64>().ok()),
            name.clone(),
        )
    });
    names
}

/// Reads a dump back; the process id and the number that its name says.
pub(crate) fn whole_dump(path: &Path) -> (u32, u64, Profile) {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600, "{}", path.display());
    let profile = heapsite::format::read(&fs::read(path).unwrap()).expect("a whole profile");
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut parts = name.splitn(4, '.');
    assert_eq!(parts.next(), Some("heapsite"));
    let pid = parts.next().unwrap().parse().unwrap();
    let seq = parts.next().unwrap().parse().unwrap();
    assert!(["pb.gz", "json"].contains(&parts.next().unwrap()), "{name}");
    (pid, seq, profile)
}

/// Waits for something that has to come true.
pub(crate) fn until<T: Debug>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WATCHDOG;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until there are `n` dumps under their final names (at least).
pub(crate) fn until_dumps(dir: &Path, n: usize) {
    until(&format!("{n} dumps"), || {
        let dumps = files(dir)
            .iter()
            .filter(|name| name.starts_with("heapsite."))
            .count();
        (dumps >= n).then_some(())
    });
}
