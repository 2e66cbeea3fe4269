//! The process as `/proc` describes it. Parsers take text; one function reads the files.
#![forbid(unsafe_code)]

use std::fs;

use crate::profile::ProcessFacts;

/// What `/proc/self` says now. A file that cannot be read leaves its fields at zero.
pub(crate) fn current(forked_from: Option<u32>) -> ProcessFacts {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let stat = read("/proc/self/stat");
    // The kernel's running count, which lags behind (proc(5)).
    let rss_bytes = kib_bytes(&status, "VmRSS:").unwrap_or(0);
    ProcessFacts {
        pid: std::process::id(),
        forked_from,
        start_time_nanos: start_time_nanos(&stat, &read("/proc/stat")).unwrap_or(0),
        start_ticks: start_ticks(&stat).unwrap_or(0),
        boot_id: read("/proc/sys/kernel/random/boot_id").trim().to_owned(),
        command: command(&fs::read("/proc/self/cmdline").unwrap_or_default()),
        executable: fs::read_link("/proc/self/exe")
            .map(|path| path.to_string_lossy().into_owned())
            .unwrap_or_default(),
        rss_bytes,
        // The two are counted differently, and a peak below what is there would be odd.
        peak_rss_bytes: kib_bytes(&status, "VmHWM:").unwrap_or(0).max(rss_bytes),
    }
}

/// Resident memory by the kernel's running count, bytes; 0: it cannot be read.
pub(crate) fn rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    kib_bytes(&status, "VmRSS:").unwrap_or(0)
}

/// Arguments, which end in zero bytes, joined by spaces.
fn command(cmdline: &[u8]) -> String {
    let text = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    String::from_utf8_lossy(text).replace('\0', " ")
}

/// A `kB` line of `/proc/self/status` or `smaps_rollup`, in bytes.
fn kib_bytes(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The process's start in clock ticks since boot (proc(5): field 22 of `stat`).
pub(crate) fn start_ticks(stat: &str) -> Option<u64> {
    // The command in parentheses may hold anything, so fields are counted from its end.
    let after_command = stat.rsplit_once(')')?.1;
    after_command.split_whitespace().nth(19)?.parse().ok()
}

/// Boot time plus the process's start, nanoseconds since 1970.
fn start_time_nanos(stat: &str, system_stat: &str) -> Option<i64> {
    let ticks = i64::try_from(start_ticks(stat)?).ok()?;
    let boot: i64 = system_stat
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .trim()
        .parse()
        .ok()?;
    // USER_HZ is 100 on every Linux architecture heapsite runs on.
    let boot = boot.checked_mul(1_000_000_000)?;
    boot.checked_add(ticks.checked_mul(10_000_000)?)
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
            kib_bytes("Name:\tx\nVmRSS:\t  12 kB\n", "VmRSS:"),
            Some(12_288)
        );
        assert_eq!(kib_bytes("", "VmRSS:"), None);
    }

    #[test]
    fn setting_the_clock_makes_no_other_process() {
        let process = |boot_id: &str, start_ticks, start_time_nanos| ProcessFacts {
            pid: 7,
            start_ticks,
            start_time_nanos,
            boot_id: boot_id.into(),
            ..ProcessFacts::default()
        };
        let one = process("a", 5, 100);
        assert!(one.is_same(&process("a", 5, 101)));
        assert!(!one.is_same(&process("a", 6, 100)));
        assert!(!one.is_same(&process("b", 5, 100)));
        // Without ids the time has to do, if there is one.
        assert!(one.is_same(&process("", 0, 100)) && !one.is_same(&process("", 0, 101)));
        assert!(!process("", 0, 0).is_same(&process("", 0, 0)));
        assert!(!ProcessFacts::default().is_same(&ProcessFacts::default()));
    }

    #[test]
    fn this_process_is_known() {
        let facts = current(None);
        assert_eq!(facts.pid, std::process::id());
        assert!(facts.rss_bytes > 100_000 && facts.peak_rss_bytes >= facts.rss_bytes);
        assert!(facts.is_same(&current(None)) && facts.start_ticks > 0);
        assert_eq!(facts.boot_id.len(), 36, "{}", facts.boot_id);
        assert!(!facts.command.is_empty() && facts.start_time_nanos > 0);
        assert_eq!(command(b"a\0b c\0"), "a b c");
    }
}
