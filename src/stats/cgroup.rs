//! What the process's control group uses and may use (cgroup v2, `/sys/fs/cgroup`).
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use crate::profile::resources::Cgroup;

/// The group this process is in; `None` where version 2 does not account memory.
pub(super) fn current() -> Option<Cgroup> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    // Hosts that still use version 1 mount version 2 beside it, as a rule without memory.
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .iter()
        .find_map(|root| read(Path::new(root), path(&groups)?))
}

/// The path of the version 2 group: the line of hierarchy 0.
fn path(groups: &str) -> Option<&str> {
    let line = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    Some(line.trim_start_matches('/'))
}

/// Limits hold for all that is below them, so the lowest one on the way to the root counts.
fn read(root: &Path, path: &str) -> Option<Cgroup> {
    let mut group = root.join(path);
    if !group.join("memory.current").exists() {
        // In a container the path may be the host's, and the root the container's own group.
        group = root.to_owned();
    }
    let text = |group: &Path, file: &str| fs::read_to_string(group.join(file)).ok();
    let number = |group: &Path, file: &str| text(group, file)?.trim().parse::<u64>().ok();
    let lowest = |file: &str| {
        let groups = group.ancestors().take_while(|at| at.starts_with(root));
        groups.filter_map(|at| number(at, file)).min()
    };
    let events = text(&group, "memory.events").unwrap_or_default();
    let kills = events
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "));
    Some(Cgroup {
        current_bytes: number(&group, "memory.current")?,
        limit_bytes: lowest("memory.max"),
        high_bytes: lowest("memory.high"),
        swap_bytes: number(&group, "memory.swap.current"),
        oom_kills: kills.and_then(|kills| kills.parse().ok()).unwrap_or(0),
    })
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
    fn without_memory_accounting_there_is_nothing_to_tell() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path(), ""), None);
        assert_eq!(path("9:memory:/x\n0::/user/1\n"), Some("user/1"));
        assert_eq!(path("9:memory:/x\n"), None);
    }
}
