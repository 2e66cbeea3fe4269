//! What the process's control group uses and may use (cgroup v2, `/sys/fs/cgroup`).
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::profile::resources::Cgroup;

/// The group this process is in; `None` where version 2 does not account memory.
pub(super) fn current() -> Option<Cgroup> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    ROOTS
        .iter()
        .find_map(|root| read(Path::new(root), path(&groups)?))
}

/// The group, of this process's and those above it, that is nearest to its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct NearestLimit {
    /// Without inactive file pages: the kernel drops them before it kills.
    pub(crate) used_bytes: u64,
    /// The lower of `memory.max` and `memory.high`; 0: no group has a limit.
    pub(crate) limit_bytes: u64,
    /// `high` of the own group's `memory.events`.
    pub(crate) throttled: u64,
    /// `some avg10` of the own group's `memory.pressure`, percent.
    pub(crate) pressure_percent: f64,
}

/// How near this process is to its limit; `None` where version 2 does not account memory.
pub(crate) fn nearest_limit() -> Option<NearestLimit> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    ROOTS
        .iter()
        .find_map(|root| nearest(Path::new(root), path(&groups)?))
}

/// Hosts that still use version 1 mount version 2 beside it, as a rule without memory.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// The path of the version 2 group: the line of hierarchy 0.
fn path(groups: &str) -> Option<&str> {
    let line = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(line.trim_start_matches('/'))
}

/// Limits hold for all that is below them, so the lowest one on the way to the root counts.
fn read(root: &Path, path: &str) -> Option<Cgroup> {
    let group = own_group(root, path);
    let lowest = |file: &str| {
        let groups = group.ancestors().take_while(|at| at.starts_with(root));
        groups.filter_map(|at| number(at, file)).min()
    };
    Some(Cgroup {
        current_bytes: number(&group, "memory.current")?,
        limit_bytes: lowest("memory.max"),
        high_bytes: lowest("memory.high"),
        swap_bytes: number(&group, "memory.swap.current"),
        oom_kills: keyed(&group, "memory.events", "oom_kill"),
    })
}

fn nearest(root: &Path, path: &str) -> Option<NearestLimit> {
    let own = own_group(root, path);
    number(&own, "memory.current")?;
    let limits = own
        .ancestors()
        .take_while(|at| at.starts_with(root))
        .filter_map(|at| {
            let limits = ["memory.max", "memory.high"];
            let limit_bytes = limits.iter().filter_map(|file| number(at, file)).min()?;
            let current = number(at, "memory.current")?;
            let inactive = keyed(at, "memory.stat", "inactive_file");
            Some((current.saturating_sub(inactive), limit_bytes.max(1)))
        });
    let share = |&(used, limit): &(u64, u64)| used as f64 / limit as f64;
    let (used_bytes, limit_bytes) = limits
        .max_by(|a, b| share(a).total_cmp(&share(b)))
        .unwrap_or_default();
    Some(NearestLimit {
        used_bytes,
        limit_bytes,
        throttled: keyed(&own, "memory.events", "high"),
        pressure_percent: text(&own, "memory.pressure")
            .and_then(|text| some_avg10(&text))
            .unwrap_or(0.0),
    })
}

fn own_group(root: &Path, path: &str) -> PathBuf {
    let group = root.join(path);
    match group.join("memory.current").exists() {
        true => group,
        // In a container the path may be the host's, and the root the container's own group.
        false => root.to_owned(),
    }
}

fn text(group: &Path, file: &str) -> Option<String> {
    fs::read_to_string(group.join(file)).ok()
}

fn number(group: &Path, file: &str) -> Option<u64> {
    text(group, file)?.trim().parse().ok()
}

/// The number behind a word at the beginning of a line; 0: there is none.
fn keyed(group: &Path, file: &str, key: &str) -> u64 {
    let text = text(group, file).unwrap_or_default();
    let mut found = text
        .lines()
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    found
        .next()
        .and_then(|rest| rest.trim().parse().ok())
        .unwrap_or(0)
}

/// `some avg10=1.23 avg60=…`, percent.
fn some_avg10(pressure: &str) -> Option<f64> {
    let some = pressure
        .lines()
        .find_map(|line| line.strip_prefix("some "))?;
    let avg10 = some
        .split_whitespace()
        .find_map(|word| word.strip_prefix("avg10="))?;
    avg10.parse().ok().filter(|share: &f64| share.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_limit_on_the_way_to_the_root_counts() {
        let root = tempfile::tempdir().unwrap();
        let pod = root.path().join("pod");
        let service = pod.join("service");
        fs::create_dir_all(&service).unwrap();
        let write = |at: &Path, file: &str, text: &str| fs::write(at.join(file), text).unwrap();
        write(&pod, "memory.max", "1000\n");
        write(&service, "memory.max", "max\n");
        write(&pod, "memory.high", "max\n");
        write(&service, "memory.current", "700\n");
        write(&service, "memory.events", "low 0\noom 4\noom_kill 3\n");
        let found = read(root.path(), "pod/service").unwrap();
        assert_eq!((found.current_bytes, found.limit_bytes), (700, Some(1000)));
        assert_eq!((found.high_bytes, found.swap_bytes), (None, None));
        assert_eq!(found.oom_kills, 3);
        // A container sees its own group as the root.
        write(root.path(), "memory.current", "5\n");
        write(root.path(), "memory.swap.current", "2\n");
        let found = read(root.path(), "not/seen/from/here").unwrap();
        assert_eq!((found.current_bytes, found.swap_bytes), (5, Some(2)));
    }

    #[test]
    fn the_nearest_limit_is_the_one_that_is_used_most() {
        let root = tempfile::tempdir().unwrap();
        let service = root.path().join("pod/service");
        fs::create_dir_all(&service).unwrap();
        let write = |at: &Path, file: &str, text: &str| fs::write(at.join(file), text).unwrap();
        let pod = root.path().join("pod");
        write(&service, "memory.current", "700\n");
        write(&service, "memory.max", "1000\n");
        write(&service, "memory.high", "max\n");
        write(
            &service,
            "memory.stat",
            "anon 500\nfile 200\ninactive_file 150\n",
        );
        write(&service, "memory.events", "low 0\nhigh 12\noom 0\n");
        write(
            &service,
            "memory.pressure",
            "some avg10=2.50 avg60=1.00 avg300=0.00 total=9\nfull avg10=7.0\n",
        );
        let found = nearest(root.path(), "pod/service").unwrap();
        assert_eq!((found.used_bytes, found.limit_bytes), (550, 1000));
        assert_eq!((found.throttled, found.pressure_percent), (12, 2.5));
        // A group above, with neighbours in it, is nearer to its own.
        write(&pod, "memory.current", "1800\n");
        write(&pod, "memory.max", "3000\n");
        write(&pod, "memory.high", "2000\n");
        let found = nearest(root.path(), "pod/service").unwrap();
        assert_eq!((found.used_bytes, found.limit_bytes), (1800, 2000));
    }

    #[test]
    fn without_memory_accounting_there_is_nothing_to_tell() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path(), ""), None);
        assert_eq!(path("9:memory:/x\n0::/user/1\n"), Some("user/1"));
        assert_eq!(path("9:memory:/x\n"), None);
    }
}
