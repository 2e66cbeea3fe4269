//! Which file is mapped where in this process: `/proc/self/maps`, and build ids from the mapped notes.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::elf;
use crate::profile::Mapping;

/// The executable mappings of this process, the main binary first, with build ids.
///
/// Build ids are read from the memory itself, so a file replaced on disk after it was mapped does not lend
/// its id to the old code; where the memory cannot be read, from the file. Empty if there is no `/proc`.
pub fn current() -> Vec<Mapping> {
    let Ok(text) = fs::read_to_string("/proc/self/maps") else {
        return Vec::new();
    };
    let areas = parse(&text);
    let main = main_binary();
    let memory = File::open("/proc/self/mem").ok();
    // The ELF header of a file is where its offset 0 is mapped, usually in front of the code.
    let header_of = |area: &Area| {
        areas
            .iter()
            .rfind(|other| {
                other.inode == area.inode
                    && other.file == area.file
                    && other.offset == 0
                    && other.start <= area.start
            })
            .map(|header| header.start)
    };
    let mut mappings = Vec::new();
    for area in areas.iter().filter(|area| area.executable) {
        let is_main = area.file == main;
        let from_memory = || {
            elf::build_id_in_memory(header_of(area)?, |at, into| {
                memory
                    .as_ref()
                    .is_some_and(|memory| memory.read_exact_at(into, at).is_ok())
            })
        };
        let from_file = || {
            let path = if is_main {
                Path::new("/proc/self/exe")
            } else {
                Path::new(&area.file)
            };
            (!area.deleted || is_main).then(|| elf::build_id_of_file(path))?
        };
        let mapping = Mapping {
            start: area.start,
            limit: area.limit,
            offset: area.offset,
            file: area.file.clone(),
            build_id: from_memory().or_else(from_file).unwrap_or_default(),
            ..Mapping::default()
        };
        mappings.push((!is_main, mapping));
    }
    mappings.sort_by_key(|&(other, _)| other); // stable: the rest stays in order of addresses
    mappings.into_iter().map(|(_, mapping)| mapping).collect()
}

/// The path of the program, as `/proc/self/maps` shows it; empty if unknown.
pub(super) fn main_binary() -> String {
    let link = fs::read_link("/proc/self/exe").unwrap_or_default();
    let text = link.to_string_lossy();
    text.strip_suffix(DELETED).unwrap_or(&text).to_owned()
}

const DELETED: &str = " (deleted)";

/// A line of `/proc/PID/maps` that shows a mapped file or `[vdso]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) start: u64,
    pub(crate) limit: u64,
    pub(crate) executable: bool,
    pub(crate) offset: u64,
    pub(crate) inode: u64,
    /// Without the ` (deleted)` that follows the path of a file that has no name any more.
    pub(crate) file: String,
    pub(crate) deleted: bool,
}

/// The mapped files in the text of `/proc/PID/maps` (format: proc_pid_maps(5)), in its order. Lines that do
/// not look like it are left out.
pub(crate) fn parse(maps: &str) -> Vec<Area> {
    maps.lines().filter_map(parse_line).collect()
}

/// `start-limit perms offset dev inode   path`; the path is the rest of the line, blanks and all.
fn parse_line(line: &str) -> Option<Area> {
    let mut rest = line;
    let mut field = || {
        let (field, after) = rest.trim_start().split_once(' ')?;
        rest = after;
        Some(field)
    };
    let (start, limit) = field()?.split_once('-')?;
    let permissions = field()?;
    let offset = field()?;
    let _device = field()?;
    let inode = field()?;
    let path = rest.trim_start();
    if !path.starts_with('/') && path != "[vdso]" {
        return None;
    }
    let (path, deleted) = match path.strip_suffix(DELETED) {
        Some(path) => (path, true),
        None => (path, false),
    };
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some(Area {
        start: hex(start)?,
        limit: hex(limit)?,
        executable: permissions.as_bytes().get(2) == Some(&b'x'),
        offset: hex(offset)?,
        inode: inode.parse().ok()?,
        // The kernel writes a newline in a path as an octal escape, and escapes nothing else.
        file: path.replace("\\012", "\n"),
        deleted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
5581c0a00000-5581c0a02000 r--p 00000000 fd:01 131 /srv/my app/server (deleted)
5581c0a02000-5581c0a09000 r-xp 00002000 fd:01 131 /srv/my app/server (deleted)
5581c0b00000-5581c0b21000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000001000 r-xp 00000000 00:00 0 
7f1000000000-7f1000150000 r-xp 00026000 fd:01 77                         /usr/lib/libc.so.6
7f2000000000-7f2000001000 r-xp 00000000 fd:01 78                         /srv/a\\012b
7ffd00000000-7ffd00002000 r-xp 00000000 00:00 0                          [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
nonsense
7f3-7f4 r-xp zz fd:01 78 /x
7f3
";

    #[test]
    fn reads_the_kernels_text() {
        let areas = parse(MAPS);
        let files: Vec<_> = areas
            .iter()
            .map(|a| (a.file.as_str(), a.executable, a.deleted))
            .collect();
        assert_eq!(
            files,
            [
                ("/srv/my app/server", false, true),
                ("/srv/my app/server", true, true),
                ("/usr/lib/libc.so.6", true, false),
                ("/srv/a\nb", true, false),
                ("[vdso]", true, false),
            ]
        );
        assert_eq!(
            (
                areas[2].start,
                areas[2].limit,
                areas[2].offset,
                areas[2].inode
            ),
            (0x7f1000000000, 0x7f1000150000, 0x26000, 77)
        );
    }

    #[test]
    fn this_process_comes_first_and_has_its_build_id() {
        let mappings = current();
        let main = std::env::current_exe().unwrap();
        assert_eq!(Path::new(&mappings[0].file), main);
        // The linker of this toolchain writes build ids, and the file must agree with the memory.
        assert!(!mappings[0].build_id.is_empty());
        assert_eq!(
            elf::build_id_of_file(&main).as_ref(),
            Some(&mappings[0].build_id)
        );
        let here = current as fn() -> _ as usize as u64;
        assert!((mappings[0].start..mappings[0].limit).contains(&here));
        let libc = mappings
            .iter()
            .find(|m| m.file.contains("libc.so"))
            .expect("libc is mapped");
        assert_eq!(
            elf::build_id_of_file(Path::new(&libc.file)).as_ref(),
            Some(&libc.build_id)
        );
        assert!(
            mappings
                .iter()
                .any(|m| m.file == "[vdso]" && !m.build_id.is_empty())
        );
        assert!(mappings.iter().all(|m| !m.has_functions));
    }
}
