//! Open file descriptors by kind (`/proc/self/fd`).
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use crate::profile::resources::Count;

/// How many descriptors of which kind are open. The one that reads the list is not counted.
pub(super) fn by_kind() -> Vec<Count> {
    let Ok(open) = fs::read_dir("/proc/self/fd") else {
        return Vec::new();
    };
    let numbers: Vec<_> = open.filter_map(|entry| Some(entry.ok()?.path())).collect();
    // The directory is closed by now: its own descriptor has no link any more.
    let links = numbers.iter().filter_map(|path| fs::read_link(path).ok());
    Count::of(links.map(|link| kind(&link).to_owned()))
}

/// What a descriptor's link says it is: `socket:[17]`, `pipe:[4]`, `anon_inode:[eventpoll]`, a path.
fn kind(link: &Path) -> &'static str {
    let text = link.to_string_lossy();
    if let Some(kind) = text.strip_prefix("anon_inode:") {
        return match kind.trim_matches(['[', ']']) {
            "eventpoll" => "epoll",
            "eventfd" => "eventfd",
            "timerfd" => "timerfd",
            "signalfd" => "signalfd",
            "inotify" => "inotify",
            "io_uring" => "io_uring",
            "pidfd" => "pidfd",
            _ => "other",
        };
    }
    match () {
        () if text.starts_with("socket:") => "socket",
        () if text.starts_with("pipe:") => "pipe",
        () if text.starts_with("pidfd:") => "pidfd",
        () if text.starts_with("/memfd:") => "memfd",
        () if text.starts_with("/dev/") => "device",
        () if text.starts_with('/') => "file",
        () => "other",
    }
}

/// The soft limit of open files, from the text of `/proc/self/limits`; 0: unknown or unlimited.
pub(super) fn limit(limits: &str) -> u64 {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.and_then(|soft| soft.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_counted_by_kind() {
        let link = |text: &str| kind(Path::new(text)).to_owned();
        assert_eq!(link("anon_inode:[eventpoll]"), "epoll");
        assert_eq!(link("anon_inode:inotify"), "inotify");
        assert_eq!(link("anon_inode:[perf_event]"), "other");
        assert_eq!(link("socket:[17]"), "socket");
        assert_eq!(link("/memfd:x (deleted)"), "memfd");
        assert_eq!(link("/dev/null"), "device");
        assert_eq!(link("/srv/a b"), "file");
        // Other tests open and close; a thousand pairs are more than they do.
        let pipes = || {
            let all = by_kind();
            all.iter()
                .find(|part| part.name == "pipe")
                .map_or(0, |p| p.count)
        };
        let before = pipes();
        let made: Vec<_> = (0..100).map(|_| std::io::pipe().unwrap()).collect();
        let now = pipes();
        assert!((180..=260).contains(&(now - before)), "{before} {now}");
        drop(made);
    }

    #[test]
    fn the_soft_limit_is_the_first_number() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
                    Max open files            1024                 524288               files\n";
        assert_eq!(limit(text), 1024);
        assert_eq!(limit("Max open files unlimited unlimited files"), 0);
        assert_eq!(limit(""), 0);
    }
}
