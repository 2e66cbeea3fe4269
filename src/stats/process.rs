//! The process as `/proc` describes it. Parsers take text; one function reads the files.
#![forbid(unsafe_code)]

use std::fs;

use crate::profile::ProcessFacts;

/// What `/proc/self` says now. A file that cannot be read leaves its fields at zero.
pub(crate) fn current(forked_from: Option<u32>) -> ProcessFacts {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    ProcessFacts {
        pid: std::process::id(),
        forked_from,
        start_time_nanos: start_time_nanos(&read("/proc/self/stat"), &read("/proc/stat"))
            .unwrap_or(0),
        command: command(&fs::read("/proc/self/cmdline").unwrap_or_default()),
        executable: fs::read_link("/proc/self/exe")
            .map(|path| path.to_string_lossy().into_owned())
            .unwrap_or_default(),
        rss_bytes: status_bytes(&status, "VmRSS:"),
        peak_rss_bytes: status_bytes(&status, "VmHWM:"),
    }
}

/// Arguments, which end in zero bytes, joined by spaces.
fn command(cmdline: &[u8]) -> String {
    let text = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    String::from_utf8_lossy(text).replace('\0', " ")
}

/// A `kB` line of `/proc/self/status`, in bytes.
fn status_bytes(status: &str, key: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

/// Boot time plus the process's start in clock ticks (proc(5): field 22 of `stat`), nanoseconds since 1970.
fn start_time_nanos(stat: &str, system_stat: &str) -> Option<i64> {
    // The command in parentheses may hold anything, so fields are counted from its end.
    let after_command = stat.rsplit_once(')')?.1;
    let ticks: i64 = after_command.split_whitespace().nth(19)?.parse().ok()?;
    let boot: i64 = system_stat
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    // USER_HZ is 100 on every Linux architecture heapsite runs on.
    Some(boot * 1_000_000_000 + ticks * 10_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let fields: Vec<String> = (3..53).map(|field| field.to_string()).collect();
        let stat = format!("17 (odd ) name) {}", fields.join(" "));
        assert_eq!(
            start_time_nanos(&stat, "cpu 1\nbtime 1000\n"),
            Some(1_000_220_000_000)
        );
        assert_eq!(start_time_nanos("", ""), None);
    }

    #[test]
    fn status_lines_are_kibibytes() {
        assert_eq!(
            status_bytes("Name:\tx\nVmRSS:\t  12 kB\n", "VmRSS:"),
            12_288
        );
        assert_eq!(status_bytes("", "VmRSS:"), 0);
    }

    #[test]
    fn this_process_is_known() {
        let facts = current(None);
        assert_eq!(facts.pid, std::process::id());
        assert!(facts.rss_bytes > 100_000 && facts.peak_rss_bytes >= facts.rss_bytes / 2);
        assert!(!facts.command.is_empty() && facts.start_time_nanos > 0);
        assert_eq!(command(b"a\0b c\0"), "a b c");
    }
}
