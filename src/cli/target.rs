//! The process that is to dump, as `/proc` shows it.
#![forbid(unsafe_code)]

use crate::config::Signal;
use crate::{Error, Result};
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
    /// Value of its `HEAPSITE`; empty: none.
    settings: String,
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
        let environment = read(&proc, "environ", pid)?;
        let settings = environment
            .split('\0')
            .find_map(|variable| variable.strip_prefix("HEAPSITE="));
        Ok(Target {
            pid,
            own_pid: field("NSpid")
                .and_then(|ids| ids.split_whitespace().last()?.parse().ok())
                .unwrap_or(pid),
            name: field("Name").unwrap_or("?").to_owned(),
            caught,
            ignored: mask("SigIgn").unwrap_or(0),
            settings: settings.unwrap_or("").to_owned(),
        })
    }

    /// The signal it dumps on, by its settings.
    ///
    /// # Errors
    /// It was told to dump on none, or its setting is no signal.
    pub(super) fn signal(&self) -> Result<Signal> {
        match self.setting("signal") {
            None => Ok(Signal::USR2),
            Some("none") => Err(Error::input(format!(
                "process {self} was started with signal=none in HEAPSITE: it dumps on no signal",
            ))),
            Some(name) => name
                .parse()
                .map_err(|error: Error| error.context(format!("HEAPSITE of process {self}"))),
        }
    }

    /// Refuses unless the process has a handler for the signal: the default action of every signal that
    /// dumps is to end the process.
    ///
    /// # Errors
    /// There is none; says what to do.
    pub(super) fn check(&self, signal: Signal) -> Result<()> {
        let bit = 1u64
            .checked_shl(signal.number().unsigned_abs().saturating_sub(1))
            .unwrap_or(0);
        if self.caught & bit != 0 {
            return Ok(());
        }
        let why = if self.ignored & bit != 0 {
            "ignores it, so nothing would happen"
        } else {
            "has no handler for it and would die of it"
        };
        Err(Error::input(format!(
            "{signal} was not sent: process {self} {why}; is heapsite::init() running there, and on this signal?"
        )))
    }

    /// The directory of its dumps, by its settings: as a path that we can open.
    ///
    /// # Errors
    /// Its working directory may not be looked at.
    pub(super) fn dir(&self) -> Result<PathBuf> {
        let pid = self.pid;
        let cwd = fs::read_link(format!("/proc/{pid}/cwd")).map_err(|error| {
            Error::io(
                format!("cannot tell the directory of process {pid}; --dir names it"),
                error,
            )
        })?;
        let dir = self
            .setting("dir")
            .map_or_else(|| cwd.clone(), |dir| cwd.join(dir));
        let rest = dir.strip_prefix("/").unwrap_or(&dir);
        // In a container the same path means another place; its root is reached through /proc.
        Ok(if self.own_pid == pid {
            dir
        } else {
            Path::new(&format!("/proc/{pid}/root")).join(rest)
        })
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

    /// Only the keys asked for are read: a newer heapsite may have keys that this one does not know.
    fn setting(&self, key: &str) -> Option<&str> {
        let pairs = self
            .settings
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(name, value)| (name.trim(), value.trim()))
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.pid, self.name)
    }
}

fn parse_field<'s>(status: &'s str, name: &str) -> Option<&'s str> {
    let mut lines = status.lines().filter_map(|line| line.split_once(':'));
    lines
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim())
}

fn read(proc: &Path, file: &str, pid: u32) -> Result<String> {
    match fs::read(proc.join(file)) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        // ESRCH: it has ended, but nobody has waited for it.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(libc::ESRCH) =>
        {
            Err(Error::io(format!("there is no process {pid}"), error))
        }
        Err(error) => Err(Error::io(
            format!("process {pid} may not be looked at (whose is it?)"),
            error,
        )),
    }
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
            settings: settings.into(),
        }
    }

    #[test]
    fn settings_are_found_among_unknown_ones() {
        let target = target("new=1, signal=SIGUSR1 ,dir=/var/tmp,http=x=y", 0);
        assert_eq!(target.signal().unwrap(), Signal::USR1);
        assert_eq!(target.setting("dir"), Some("/var/tmp"));
        assert_eq!(self::target("", 0).signal().unwrap(), Signal::USR2);
        assert!(self::target("signal=none", 0).signal().is_err());
        assert!(self::target("signal=SIGKILL", 0).signal().is_err());
    }

    #[test]
    fn only_caught_signals_pass() {
        // SIGUSR1 is 10 and SIGUSR2 is 12 on every Linux that records.
        assert!(target("", 1 << 9).check(Signal::USR1).is_ok());
        let ignored = target("", 1 << 9)
            .check(Signal::USR2)
            .unwrap_err()
            .to_string();
        assert!(ignored.contains("process 7 (shop) ignores it"), "{ignored}");
        let deadly = target("", 0).check(Signal::USR1).unwrap_err().to_string();
        assert!(deadly.contains("would die of it"), "{deadly}");
        let last = Signal::from_number(64).unwrap();
        assert!(target("", 1 << 63).check(last).is_ok());
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
