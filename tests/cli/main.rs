//! The command as users meet it: what it prints, what it answers to mistakes, and how it ends.
//!
//! Expected output lies in `tests/golden`; `HEAPSITE_BLESS=1 cargo test --all-features --test cli` writes it anew.
//! Read the difference before committing it.
#![cfg(feature = "cli")]

mod census;
mod converts;
mod dump;
mod errors;
mod fixtures;
mod flames;
mod foreign;
mod golden;
mod interrupted;
mod killed;
mod lists;
mod machine;
mod merges;
mod outputs;
mod reports;
mod shell;
mod shells;
mod sources;

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// For the process that `dump` asks: see `dump::service`.
#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();

/// A directory with all fixtures in it.
struct Scene {
    dir: TempDir,
}

/// What a command did.
struct Done {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        fixtures::write_all(dir.path());
        lists::write_all(dir.path());
        Scene { dir }
    }

    fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_heapsite"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
            .env_remove("PPROF_BINARY_PATH")
            .env_remove("CLICOLOR_FORCE")
            .env("NO_COLOR", "1")
            // Folders that are not there, whoever runs this.
            .env("CARGO_HOME", "cargo")
            .env("RUSTUP_HOME", "rustup");
        command
    }

    fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Done {
        Done::new(self.command(args).output().unwrap())
    }

    /// Runs with this file as stdin.
    fn pipe(&self, args: &[&str], file: &str) -> Done {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let bytes = std::fs::read(self.dir.path().join(file)).unwrap();
        child.stdin.take().unwrap().write_all(&bytes).unwrap();
        Done::new(child.wait_with_output().unwrap())
    }
}

impl Done {
    fn new(output: Output) -> Done {
        let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
        Done {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Success; returns stdout.
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "stderr: {}", self.stderr);
        self.stdout
    }

    /// Bad usage or input; returns stderr, which is one line.
    fn refused(self) -> String {
        assert_eq!(
            (self.code, self.stdout.as_str()),
            (Some(2), ""),
            "stderr: {}",
            self.stderr
        );
        assert!(
            self.stderr.starts_with("heapsite: ") && self.stderr.lines().count() == 1,
            "{}",
            self.stderr
        );
        self.stderr
    }
}
