//! The process that is to dump, as `/proc` shows it.
#![forbid(unsafe_code)]

use crate::config::Signal;
use crate::{Error, Result};
use std::cell::OnceCell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What has to be known before a signal may be sent.
#[derive(Debug)]
pub(super) struct Target {
    /// Its id, as we see it.
    pub(super) pid: u32,
    /// Its id as it sees itself, which is the one in its files' names.
    own_pid: u32,
    name: String,
    /// Bit n − 1: signal n has a handler.
    caught: u64,
    /// Bit n − 1: signal n is ignored.
    ignored: u64,
    /// Bit n − 1: every thread blocks signal n.
    blocked: u64,
    /// One of its threads is heapsite's helper.
    has_helper: bool,
    /// Its paths mean other places than ours: another mount namespace (a container), or another root.
    elsewhere: bool,
    /// Value of its `HEAPSITE`; empty: none. Read when it is asked for: to read another process's environment takes
    /// more rights than to signal it.
    settings: OnceCell<String>,
}

impl Target {
    /// Looks at process `pid`.
    ///
    /// # Errors
    /// There is no such process, or it may not be looked at.
    pub(super) fn find(pid: u32) -> Result<Target> {
        let proc = PathBuf::from(format!("/proc/{pid}"));
        let status = read(&proc, "status", pid)?;
        let field = |name: &str| parse_field(&status, name);
        let mask = |name: &str| field(name).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        let Some(caught) = mask("SigCgt") else {
            return Err(Error::unsupported(format!(
                "/proc/{pid}/status does not tell which signals it catches"
            )));
        };
        let (has_helper, blocked) = threads(&proc, pid)?;
        Ok(Target {
            pid,
            own_pid: field("NSpid")
                .and_then(|ids| ids.split_whitespace().last()?.parse().ok())
                .unwrap_or(pid),
            name: field("Name").unwrap_or("?").to_owned(),
            caught,
            ignored: mask("SigIgn").unwrap_or(0),
            blocked,
            has_helper,
            elsewhere: is_elsewhere(&proc),
            settings: OnceCell::new(),
        })
    }

    /// The signal it dumps on, by its settings.
    ///
    /// # Errors
    /// It was told to dump on none, its setting is no signal, or its environment may not be read.
    pub(super) fn signal(&self) -> Result<Signal> {
        match self.setting("signal", "--signal")? {
            None => Ok(Signal::USR2),
            Some("none") => Err(Error::input(format!(
                "process {self} was started with signal=none in HEAPSITE: it dumps on no signal",
            ))),
            Some(name) => name
                .parse()
                .map_err(|error: Error| error.context(format!("HEAPSITE of process {self}"))),
        }
    }

    /// Refuses unless heapsite's helper thread runs in the process: to any other program the signal means something
    /// else, whether it handles it (a log rotation, an upgrade) or dies of it.
    ///
    /// # Errors
    /// There is no such thread; says what to do.
    pub(super) fn check_helper(&self) -> Result<()> {
        if self.has_helper {
            return Ok(());
        }
        Err(Error::input(format!(
            "no signal was sent: no thread of process {self} is called `heapsite`, so nothing there would dump; \
             heapsite::init() has to run in it, and its handle has to live"
        )))
    }

    /// Refuses unless the signal arrives: the default action of every signal that dumps is to end the process.
    ///
    /// # Errors
    /// There is no handler for it, or every thread blocks it; says what to do.
    pub(super) fn check_signal(&self, signal: Signal) -> Result<()> {
        let bit = 1u64
            .checked_shl(signal.number().unsigned_abs().saturating_sub(1))
            .unwrap_or(0);
        let why = if self.ignored & bit != 0 {
            "ignores it, so nothing would happen"
        } else if self.caught & bit == 0 {
            "has no handler for it and would die of it"
        } else if self.blocked & bit != 0 {
            "blocks it in every thread, so it would not arrive"
        } else {
            return Ok(());
        };
        Err(Error::input(format!(
            "{signal} was not sent: process {self} {why}; does heapsite::init() use another signal there? --signal \
             names it"
        )))
    }

    /// The directory of its dumps, by its settings: as a path that we can open.
    ///
    /// # Errors
    /// Its environment or its working directory may not be looked at.
    pub(super) fn dir(&self) -> Result<PathBuf> {
        let proc = PathBuf::from(format!("/proc/{}", self.pid));
        let dir = Path::new(self.setting("dir", "--dir")?.unwrap_or(""));
        if self.elsewhere {
            return Ok(match dir.strip_prefix("/") {
                Ok(below_root) => proc.join("root").join(below_root),
                Err(_) => proc.join("cwd").join(dir),
            });
        }
        if dir.is_absolute() {
            return Ok(dir.to_owned());
        }
        let cwd = fs::read_link(proc.join("cwd")).map_err(|error| {
            Error::io(
                format!("cannot tell the directory of process {self}; --dir names it"),
                error,
            )
        })?;
        Ok(cwd.join(dir))
    }

    /// The number of a dump file of this process: 3 for `heapsite.4711.3.pb.gz`.
    pub(super) fn sequence(&self, file_name: &str) -> Option<u64> {
        let rest = file_name
            .strip_prefix("heapsite.")?
            .strip_prefix(&self.own_pid.to_string())?
            .strip_prefix('.')?;
        let (number, extension) = rest.split_once('.')?;
        if !matches!(extension, "pb.gz" | "json")
            || !number.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        number.parse().ok()
    }

    /// What its dump files are called, for messages.
    pub(super) fn pattern(&self) -> String {
        format!("heapsite.{}.*.pb.gz or .json", self.own_pid)
    }

    /// Only the keys asked for are read: a newer heapsite may have keys that this one does not know. `option` is
    /// what the user may say instead.
    fn setting(&self, key: &str, option: &str) -> Result<Option<&str>> {
        if self.settings.get().is_none() {
            let bytes = fs::read(format!("/proc/{}/environ", self.pid)).map_err(|error| {
                let what = format!(
                    "cannot read the HEAPSITE variable of process {self}; {option} does without"
                );
                Error::io(what, error)
            })?;
            let environment = String::from_utf8_lossy(&bytes);
            let settings = environment
                .split('\0')
                .find_map(|variable| variable.strip_prefix("HEAPSITE="));
            let _ = self.settings.set(settings.unwrap_or("").to_owned());
        }
        let pairs = self.settings.get().map_or("", String::as_str).split(',');
        Ok(pairs
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim(), value.trim()))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.pid, self.name)
    }
}

/// Whether one of the threads is heapsite's helper, and the signals that all of them block.
fn threads(proc: &Path, pid: u32) -> Result<(bool, u64)> {
    let (mut has_helper, mut blocked) = (false, u64::MAX);
    let tasks = fs::read_dir(proc.join("task")).map_err(|error| failed(error, pid))?;
    for task in tasks {
        let task = task.map_err(|error| failed(error, pid))?;
        // A thread that ends meanwhile neither helps nor receives.
        let Ok(status) = fs::read_to_string(task.path().join("status")) else {
            continue;
        };
        // The first thread bears the program's name, and a program may be called anything.
        let first = task.file_name().to_string_lossy() == pid.to_string();
        has_helper |= !first && parse_field(&status, "Name") == Some("heapsite");
        let mask = parse_field(&status, "SigBlk").and_then(|hex| u64::from_str_radix(hex, 16).ok());
        blocked &= mask.unwrap_or(0);
    }
    Ok((has_helper, blocked))
}

/// Links that may not be read are no difference: then nothing else about the process can be looked at either.
fn is_elsewhere(proc: &Path) -> bool {
    ["ns/mnt", "root"].iter().any(|link| {
        let ours = fs::read_link(Path::new("/proc/self").join(link));
        let theirs = fs::read_link(proc.join(link));
        matches!((ours, theirs), (Ok(ours), Ok(theirs)) if ours != theirs)
    })
}

fn parse_field<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim())
}

fn read(proc: &Path, file: &str, pid: u32) -> Result<String> {
    let bytes = fs::read(proc.join(file)).map_err(|error| failed(error, pid))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn failed(error: io::Error, pid: u32) -> Error {
    // ESRCH: it has ended, but nobody has waited for it.
    let gone = error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH);
    let what = match gone {
        true => format!("there is no process {pid}"),
        false => format!("process {pid} may not be looked at (whose is it?)"),
    };
    Error::io(what, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(settings: &str, caught: u64) -> Target {
        Target {
            pid: 7,
            own_pid: 1,
            name: "shop".into(),
            caught,
            ignored: 1 << 11,
            blocked: 1,
            has_helper: true,
            elsewhere: false,
            settings: OnceCell::from(settings.to_owned()),
        }
    }

    #[test]
    fn settings_are_found_among_unknown_ones() {
        let target = target("new=1, signal=SIGUSR1 ,dir=/var/tmp,http=x=y", 0);
        assert_eq!(target.signal().unwrap(), Signal::USR1);
        assert_eq!(target.dir().unwrap(), Path::new("/var/tmp"));
        assert_eq!(self::target("", 0).signal().unwrap(), Signal::USR2);
        assert!(self::target("signal=none", 0).signal().is_err());
        assert!(self::target("signal=SIGKILL", 0).signal().is_err());
    }

    #[test]
    fn only_signals_that_arrive_pass() {
        // SIGUSR1 is 10 and SIGUSR2 is 12 on every Linux that records.
        let check = |caught, signal| target("", caught).check_signal(signal);
        let refused = |caught, signal| check(caught, signal).unwrap_err().to_string();
        assert!(check(1 << 9, Signal::USR1).is_ok());
        let ignored = refused(1 << 9, Signal::USR2);
        assert!(ignored.contains("process 7 (shop) ignores it"), "{ignored}");
        let deadly = refused(0, Signal::USR1);
        assert!(deadly.contains("would die of it"), "{deadly}");
        let blocked = refused(1, Signal::HUP);
        assert!(blocked.contains("in every thread"), "{blocked}");
        let last = Signal::from_number(64).unwrap();
        assert!(check(1 << 63, last).is_ok());
    }

    #[test]
    fn paths_of_another_root_lead_through_proc() {
        let dir = |settings| {
            let target = Target {
                elsewhere: true,
                ..target(settings, 0)
            };
            target.dir().unwrap()
        };
        let root = Path::new("/proc/7").join("root");
        assert_eq!(dir("dir=/var/tmp"), root.join("var/tmp"));
        assert_eq!(dir("dir=dumps"), Path::new("/proc/7/cwd/dumps"));
        assert_eq!(dir(""), Path::new("/proc/7/cwd/"));
    }

    #[test]
    fn only_this_processes_dumps_count() {
        let target = target("", 0);
        assert_eq!(target.sequence("heapsite.1.12.pb.gz"), Some(12));
        assert_eq!(target.sequence("heapsite.1.3.json"), Some(3));
        for other in [
            "heapsite.7.3.json",
            "heapsite.11.3.json",
            "heapsite.1.x.json",
            "heapsite.1.3.tmp",
            ".heapsite.1.3.json",
        ] {
            assert_eq!(target.sequence(other), None, "{other}");
        }
    }
}
