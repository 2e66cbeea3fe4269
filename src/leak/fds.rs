//! File descriptors: which there are, and what they are.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;

/// Descriptors by number, each with what `/proc/self/fd` says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fds(BTreeMap<i32, String>);

impl Fds {
    /// Those that are open now.
    pub(super) fn now() -> Fds {
        const DIRECTORY: &str = "/proc/self/fd";
        let Ok(entries) = fs::read_dir(DIRECTORY) else {
            return Fds::default();
        };
        // What this and other checks read, and nobody leaks.
        let own = format!("/proc/{}/", std::process::id());
        let open = entries.flatten().filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            let target = target.to_string_lossy().into_owned();
            (!target.starts_with(&own)).then_some((number, target))
        });
        Fds(open.collect())
    }

    /// Those that were not there before, or were something else.
    pub(super) fn since(&self, before: &Fds) -> Vec<(i32, String)> {
        let is_new = |(number, target): &(&i32, &String)| before.0.get(number) != Some(target);
        let new = self.0.iter().filter(is_new);
        new.map(|(number, target)| (*number, target.clone()))
            .collect()
    }

    /// Adds all of `other`.
    pub(super) fn add(&mut self, other: Fds) {
        self.0.extend(other.0);
    }
}

/// What kind of thing a descriptor is, and which one.
pub(super) fn describe(target: &str) -> (String, String) {
    if let Some(inode) = bracketed(target, "socket:") {
        let (kind, ends) = socket(inode).unwrap_or(("socket", String::new()));
        return (kind.to_owned(), ends);
    }
    if bracketed(target, "pipe:").is_some() {
        return ("pipe".to_owned(), target.to_owned());
    }
    if let Some(kind) = target.strip_prefix("anon_inode:") {
        let kind = kind.trim_matches(['[', ']']);
        return (kind.to_owned(), String::new());
    }
    ("file".to_owned(), target.to_owned())
}

fn bracketed<'a>(target: &'a str, kind: &str) -> Option<&'a str> {
    target
        .strip_prefix(kind)?
        .strip_prefix('[')?
        .strip_suffix(']')
}

/// Kind and ends of a socket, by its inode (proc(5): /proc/net).
fn socket(inode: &str) -> Option<(&'static str, String)> {
    for (kind, file) in [
        ("tcp socket", "tcp"),
        ("tcp socket", "tcp6"),
        ("udp socket", "udp"),
        ("udp socket", "udp6"),
    ] {
        let table = fs::read_to_string(format!("/proc/self/net/{file}")).unwrap_or_default();
        for line in table.lines() {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            if fields.get(9) == Some(&inode) {
                let end = |at: usize| address(fields[at]).unwrap_or_else(|| fields[at].to_owned());
                return Some((kind, format!("{} -> {}", end(1), end(2))));
            }
        }
    }
    let table = fs::read_to_string("/proc/self/net/unix").unwrap_or_default();
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let path = fields.get(7).copied().unwrap_or("unnamed");
        (fields.get(6) == Some(&inode)).then(|| ("unix socket", path.to_owned()))
    })
}

/// `0100007F:1F90` as `127.0.0.1:8080`: words in the machine's order, the port in the usual one.
fn address(text: &str) -> Option<String> {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(host.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_le_bytes())
    };
    let host: IpAddr = match host.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(host, port).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them() {
        assert_eq!(address("0100007F:1F90").unwrap(), "127.0.0.1:8080");
        assert_eq!(
            address("00000000000000000000000001000000:0050").unwrap(),
            "[::1]:80"
        );
        assert_eq!(address("0100007F"), None);
        assert_eq!(address("01:02"), None);
    }

    #[test]
    fn kinds() {
        let kind = |target: &str| describe(target).0;
        assert_eq!(kind("/etc/hosts"), "file");
        assert_eq!(kind("pipe:[77]"), "pipe");
        assert_eq!(kind("anon_inode:[eventpoll]"), "eventpoll");
        assert_eq!(kind("socket:[99999999999999]"), "socket");
    }

    #[test]
    fn an_open_file_is_new() {
        let before = Fds::now();
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        let new = Fds::now().since(&before);
        assert!(new.iter().any(|(_, target)| *target == path), "{new:?}");
    }
}
