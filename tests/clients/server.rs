//! The example `http` as a process of its own, and the programs that ask it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::LEAK;

/// A program that prints where it listens, first.
pub(crate) struct Server {
    child: Child,
    pub(crate) base: String,
}

impl Server {
    pub(crate) fn example() -> Server {
        let mut command = Command::new(binary("examples/http"));
        // Longer than any of this takes; dropping ends it. A short interval: a few seconds are enough for the leak to show.
        command
            .args(["--seconds", "3600"])
            .env("HEAPSITE", "interval=4KiB,signal=none");
        let server = Server::start(command);
        // Until the leak is there to be found: it grows ten times a second.
        loop {
            let body = curl(&server.url("heap"), &[]).body;
            let profile = heapsite::format::read(&body).unwrap();
            if profile
                .functions
                .iter()
                .any(|function| function.name == LEAK)
            {
                return server;
            }
        }
    }

    pub(crate) fn start(mut command: Command) -> Server {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let base = line.trim().strip_prefix("listening on ");
        let base = base.unwrap_or_else(|| panic!("{line}")).to_owned();
        Server { child, base }
    }

    /// Of a path below `/debug/pprof/`, or next to it: `../pprof`.
    pub(crate) fn url(&self, path: &str) -> String {
        match path.strip_prefix("../") {
            Some(path) => format!("{}/debug/{path}", self.base),
            None => format!("{}/debug/pprof/{path}", self.base),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Answer {
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn curl(url: &str, args: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--show-error",
        "--include",
        "--path-as-is",
        "--globoff",
    ]);
    let output = command.args(args).arg(url).output().unwrap();
    let end = output
        .stdout
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("{url}: {output:?}"));
    let head = String::from_utf8_lossy(&output.stdout[..end]);
    Answer {
        head: head.split("\r\n").map(str::to_owned).collect(),
        body: output.stdout[end + 4..].to_vec(),
    }
}

pub(crate) fn tool(name: &str) -> PathBuf {
    let tools = std::env::var_os("HEAPSITE_CI_TOOLS");
    let tools = tools.expect("HEAPSITE_CI_TOOLS is not set; see ci/viewers.sh");
    PathBuf::from(tools).join(name)
}

/// Something that cargo has built next to the command.
pub(crate) fn binary(name: &str) -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_heapsite")).with_file_name(name)
}

pub(crate) fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}\n{stderr}",
        output.status
    );
    stdout
}
