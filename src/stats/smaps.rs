//! The mappings of this process with what is resident of each: the text of `/proc/self/smaps` (format: proc_pid_smaps(5)).
#![forbid(unsafe_code)]

use std::io::{self, BufRead};

/// One mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) start: u64,
    pub(super) limit: u64,
    /// Can be read or written; false for guard pages and address space that is only reserved.
    pub(super) accessible: bool,
    pub(super) kind: Kind,
    /// Resident, bytes.
    pub(super) rss: u64,
    /// Swapped out, bytes.
    pub(super) swap: u64,
}

/// What is mapped, as far as the kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Private memory of nobody known.
    Anonymous,
    /// The same, with the name that its owner gave it.
    Named(String),
    /// What `brk` has grown: `[heap]`.
    Break,
    /// The main thread's stack.
    MainStack,
    /// A file's pages, copies that were written to included; and what the kernel itself maps (`[vdso]`).
    File,
    /// Shared memory that is no file on a disk.
    Shared,
}

impl Area {
    pub(super) fn len(&self) -> u64 {
        self.limit - self.start
    }
}

/// Reads area by area, so that the text, some 700 bytes for each, is never in memory as a whole.
pub(super) fn read(mut text: impl BufRead) -> io::Result<Vec<Area>> {
    let mut areas: Vec<Area> = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if text.read_until(b'\n', &mut line)? == 0 {
            return Ok(areas);
        }
        // Names need not be UTF-8; keys and numbers are ASCII.
        let line = String::from_utf8_lossy(&line);
        if let Some(area) = header(&line) {
            areas.push(area);
        } else if let (Some(area), Some((key, value))) = (areas.last_mut(), line.split_once(':')) {
            let slot = match key {
                "Rss" => &mut area.rss,
                "Swap" => &mut area.swap,
                _ => continue,
            };
            let kib = value.split_whitespace().next();
            *slot = kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024;
        }
    }
}

/// `start-limit perms offset dev inode   name`; `None` for the lines in between, whose keys have a colon.
fn header(line: &str) -> Option<Area> {
    let (range, mut rest) = line.trim_end_matches('\n').split_once(' ')?;
    let (start, limit) = range.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    let (start, limit) = (hex(start)?, hex(limit)?);
    let mut field = || {
        let (field, after) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
        rest = after;
        field
    };
    let permissions = field().as_bytes();
    let [_offset, _device, _inode] = [field(), field(), field()];
    let shared = permissions.get(3) == Some(&b's');
    Some(Area {
        start,
        limit: limit.max(start),
        accessible: permissions.starts_with(b"r") || permissions.get(1) == Some(&b'w'),
        kind: kind(rest.trim_start(), shared),
        rss: 0,
        swap: 0,
    })
}

fn kind(name: &str, shared: bool) -> Kind {
    // "/dev/zero (deleted)" is what the kernel calls shared anonymous memory.
    const SHARED: [&str; 5] = ["/dev/shm/", "/dev/zero", "/memfd:", "/SYSV", "[anon_shmem:"];
    match name {
        _ if SHARED.iter().any(|known| name.starts_with(known)) => Kind::Shared,
        "" if shared => Kind::Shared,
        "" => Kind::Anonymous,
        "[heap]" => Kind::Break,
        "[stack]" => Kind::MainStack,
        _ => match name.strip_prefix("[anon:") {
            Some(given) => Kind::Named(given.trim_end_matches(']').to_owned()),
            None => Kind::File,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
5581c0a00000-5581c0a02000 r--p 00000000 fd:01 131                        /srv/my app/server (deleted)
Size:                  8 kB
Rss:                   4 kB
Swap:                  0 kB
VmFlags: rd mr mw me 
5581c0b00000-5581c0b21000 rw-p 00000000 00:00 0                          [heap]
Rss:                 132 kB
Swap:                 12 kB
7f0000000000-7f0000001000 ---p 00000000 00:00 0 
Rss:                   0 kB
7f0000001000-7f0000003000 rw-p 00000000 00:00 0 
Rss:                   8 kB
7f0000003000-7f0000004000 rw-s 00000000 00:01 9                          /dev/zero (deleted)
Rss:                   4 kB
7f0000005000-7f0000006000 rw-p 00000000 00:00 0                          [anon:mimalloc]
7f0000006000-7f0000007000 rw-p 00000000 00:00 0                          [stack]
7f0000008000-7f0000009000 r-xp 00000000 00:00 0                          [vdso]
7f000000a000-7f000000b000 rw-s 00000000 fd:01 7                          /srv/data
";

    #[test]
    fn kinds_and_sizes_are_read() {
        let areas = read(TEXT.as_bytes()).unwrap();
        let kinds: Vec<Kind> = areas.iter().map(|area| area.kind.clone()).collect();
        let named = Kind::Named("mimalloc".into());
        use Kind::*;
        assert_eq!(
            kinds,
            [
                File, Break, Anonymous, Anonymous, Shared, named, MainStack, File, File
            ]
        );
        assert_eq!((areas[1].rss, areas[1].swap), (132 << 10, 12 << 10));
        assert_eq!((areas[3].start, areas[3].len()), (0x7f00_0000_1000, 0x2000));
        let accessible: Vec<bool> = areas.iter().map(|area| area.accessible).collect();
        assert_eq!(accessible.iter().filter(|yes| !**yes).count(), 1);
        assert!(!accessible[2]);
    }

    #[test]
    fn nonsense_is_left_out() {
        let areas =
            read(&b"Rss: 4 kB\n\xff\xfe\nzz-yy rw-p\n2000-1000 rw-p\nRss: x\n"[..]).unwrap();
        assert_eq!(areas.len(), 1);
        assert_eq!((areas[0].len(), areas[0].rss), (0, 0));
    }
}
