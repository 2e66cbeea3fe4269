//! The file that belongs to a mapping, and the file with its debug information.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::elf::{self, Facts};
use super::{Options, Problem, mappings};
use crate::profile::Mapping;

/// A file that agrees with its mapping.
#[derive(Debug)]
pub(super) struct Found {
    /// What is mapped (or, if only that was found, its debug file).
    pub(super) binary: PathBuf,
    pub(super) facts: Facts,
    /// Where the debug information is: `binary` itself or a separate file.
    pub(super) debug: PathBuf,
    /// The file that several debug files share.
    pub(super) alternate: Option<PathBuf>,
}

/// Looks in the order of [`Options`]: named files, directories, the mapped or recorded path, debug directories.
pub(super) fn find(mapping: &Mapping, is_main: bool, options: &Options) -> Result<Found, Problem> {
    let mut problem = Problem::Missing;
    for path in candidates(mapping, is_main, options) {
        match elf::facts(&path) {
            Ok(facts) if agrees(&mapping.build_id, &facts.build_id) => {
                return Ok(with_debug_file(path, facts, mapping, options));
            }
            Ok(facts) => {
                problem = Problem::BuildIdMismatch {
                    path,
                    found: facts.build_id,
                }
            }
            Err(reason) => {
                if problem == Problem::Missing && path.exists() {
                    problem = Problem::Unreadable { path, reason };
                }
            }
        }
    }
    Err(problem)
}

/// Whether a file with build id `found` may stand for a mapping with build id `wanted`. Without an id to
/// compare, the path decides alone.
pub(super) fn agrees(wanted: &str, found: &str) -> bool {
    wanted.is_empty() || wanted.eq_ignore_ascii_case(found)
}

/// Whether a file that the user named is meant for this mapping, its build id not yet considered.
pub(super) fn may_be(binary: &Path, mapping: &Mapping, is_main: bool) -> bool {
    let same_name = binary.file_name() == Some(OsStr::new(base_name(&mapping.file)));
    !mapping.build_id.is_empty() || is_main || same_name
}

/// The last part of a path.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn candidates(mapping: &Mapping, is_main: bool, options: &Options) -> Vec<PathBuf> {
    let id = &mapping.build_id;
    let recorded = mapping
        .file
        .strip_suffix(" (deleted)")
        .unwrap_or(&mapping.file);
    let (name, path) = (base_name(recorded), recorded.trim_start_matches('/'));
    let mut paths: Vec<PathBuf> = options
        .binaries
        .iter()
        .filter(|binary| may_be(binary, mapping, is_main))
        .cloned()
        .collect();
    if id.is_empty() {
        // The main binary may have been renamed, but who has its name is the better guess.
        paths.sort_by_key(|path| path.file_name() != Some(OsStr::new(name)));
    }
    for directory in &options.directories {
        if !id.is_empty() {
            let by_id = directory.join(id);
            if !name.is_empty() {
                paths.push(by_id.join(name));
            }
            let mut others: Vec<_> = fs::read_dir(&by_id)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .collect();
            others.sort();
            paths.extend(others);
            if !path.is_empty() {
                paths.push(directory.join(path).join(id));
            }
            paths.extend(by_build_id(directory, id));
        }
        for place in [path, name].into_iter().filter(|place| !place.is_empty()) {
            paths.push(directory.join(place));
            paths.push(directory.join(format!("{place}.debug")));
        }
    }
    if recorded.starts_with('/') {
        if options.self_process {
            paths.extend(mapped_here(mapping, recorded));
        } else {
            paths.push(PathBuf::from(recorded));
        }
    }
    for directory in &options.debug_directories {
        paths.extend(by_build_id(directory, id));
    }
    paths
}

/// The file that this process has mapped, best first.
fn mapped_here(mapping: &Mapping, recorded: &str) -> Vec<PathBuf> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let exe = Path::new("/proc/self/exe");
    if recorded == mappings::main_binary() {
        // Its own path is better while it leads to the same file: .dwp and debug files lie beside it.
        return match identity(exe) {
            mapped if mapped == identity(Path::new(recorded)) => vec![PathBuf::from(recorded)],
            _ => vec![exe.to_owned()],
        };
    }
    // Open only to privileged processes; the others go by the path, and the build id tells a replaced file.
    let (start, limit) = (mapping.start, mapping.limit);
    vec![
        PathBuf::from(format!("/proc/self/map_files/{start:x}-{limit:x}")),
        PathBuf::from(recorded),
    ]
}

/// `ab/cdef….debug` under a directory and under its `.build-id`.
fn by_build_id(directory: &Path, id: &str) -> Vec<PathBuf> {
    let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let Some((first, rest)) = id
        .split_at_checked(2)
        .filter(|(_, rest)| hex && !rest.is_empty())
    else {
        return Vec::new();
    };
    let file = format!("{first}/{rest}.debug");
    vec![
        directory.join(".build-id").join(&file),
        directory.join(file),
    ]
}

/// Adds the separate debug file if the binary has no debug information of its own, and what that one shares
/// with others. How debuggers look for them: "Debugging Information in Separate Files" in GDB's manual.
fn with_debug_file(binary: PathBuf, facts: Facts, mapping: &Mapping, options: &Options) -> Found {
    let mut found = Found {
        debug: binary.clone(),
        alternate: None,
        facts,
        binary,
    };
    let mut debug_facts = None;
    if !found.facts.has_debug_info
        && let Some((path, facts)) = separate_debug_file(&found, mapping, options)
    {
        found.debug = path;
        debug_facts = Some(facts);
    }
    let linked = debug_facts
        .as_ref()
        .unwrap_or(&found.facts)
        .alternate_link
        .as_ref();
    found.alternate = linked.and_then(|(name, id)| {
        let beside = found
            .debug
            .parent()
            .unwrap_or(Path::new("/"))
            .join(OsStr::from_bytes(name));
        let installed = options
            .debug_directories
            .iter()
            .flat_map(|dir| by_build_id(dir, id));
        std::iter::once(beside)
            .chain(installed)
            .find(|path| elf::build_id_of_file(path).is_some_and(|found| found == *id))
    });
    found
}

fn separate_debug_file(
    found: &Found,
    mapping: &Mapping,
    options: &Options,
) -> Option<(PathBuf, Facts)> {
    let id = &found.facts.build_id;
    let directories = options.directories.iter().chain(&options.debug_directories);
    let by_id = directories
        .flat_map(|directory| by_build_id(directory, id))
        .filter_map(|path| {
            let facts = elf::facts(&path).ok()?;
            (facts.has_debug_info && facts.build_id == *id).then_some((path, facts))
        });
    let by_link = found.facts.debug_link.iter().flat_map(|(name, crc)| {
        // /proc/self/exe has no neighbours: look beside the path the file once had.
        let beside = [Path::new(&mapping.file), &found.binary].map(|path| path.parent());
        let mut places = Vec::new();
        for directory in beside.into_iter().flatten() {
            places.extend([directory.to_owned(), directory.join(".debug")]);
            if let Ok(inside) = directory.strip_prefix("/") {
                places.extend(
                    options
                        .debug_directories
                        .iter()
                        .map(|debug| debug.join(inside)),
                );
            }
        }
        places.into_iter().filter_map(move |place| {
            let path = place.join(OsStr::from_bytes(name));
            let facts = elf::facts(&path).ok()?;
            let same = match id.is_empty() || facts.build_id.is_empty() {
                true => crc32(&path) == Some(*crc),
                false => facts.build_id == *id,
            };
            (facts.has_debug_info && same).then_some((path, facts))
        })
    });
    by_id.chain(by_link).next()
}

/// The checksum that `.gnu_debuglink` holds: the one of gzip.
fn crc32(path: &Path) -> Option<u32> {
    let mut file = File::open(path).ok()?;
    let mut crc = flate2::Crc::new();
    let mut block = vec![0; 1 << 16];
    loop {
        match file.read(&mut block).ok()? {
            0 => return Some(crc.sum()),
            read => crc.update(&block[..read]),
        }
    }
}

/// The C library and the dynamic linker: with debug packages installed their functions have lines too.
pub(super) fn is_system(file: &str) -> bool {
    const NAMES: [&str; 9] = [
        "ld-",
        "libc.",
        "libc-",
        "libpthread",
        "libm.",
        "libgcc_s",
        "libdl",
        "librt",
        "libstdc++",
    ];
    let name = base_name(file);
    name == "[vdso]" || NAMES.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(file: &str, build_id: &str) -> Mapping {
        Mapping {
            file: file.into(),
            build_id: build_id.into(),
            ..Mapping::default()
        }
    }

    #[test]
    fn places_in_the_order_they_are_tried() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path();
        let by_id = dir.join("abcdef");
        fs::create_dir(&by_id).unwrap();
        fs::write(by_id.join("other"), b"").unwrap();
        let options = Options::offline().binary("named").directory(dir);
        let paths = candidates(&mapping("/srv/server (deleted)", "abcdef"), false, &options);
        let debug = Path::new("/usr/lib/debug");
        let expected = [
            PathBuf::from("named"),
            by_id.join("server"),
            by_id.join("other"),
            dir.join("srv/server/abcdef"),
            dir.join(".build-id/ab/cdef.debug"),
            dir.join("ab/cdef.debug"),
            dir.join("srv/server"),
            dir.join("srv/server.debug"),
            dir.join("server"),
            dir.join("server.debug"),
            PathBuf::from("/srv/server"),
            debug.join(".build-id/ab/cdef.debug"),
            debug.join("ab/cdef.debug"),
        ];
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_named_file_without_an_id_to_compare_goes_by_name() {
        let library = mapping("/usr/lib/libx.so", "");
        assert!(!may_be(Path::new("build/server"), &library, false));
        assert!(may_be(Path::new("build/libx.so"), &library, false));
        assert!(
            may_be(Path::new("build/server"), &library, true),
            "the main binary may be renamed"
        );
        assert!(may_be(
            Path::new("build/server"),
            &mapping("/usr/lib/libx.so", "ab"),
            false
        ));
    }

    #[test]
    fn without_an_id_the_file_of_the_same_name_comes_first() {
        let options = Options::offline()
            .binary("a/renamed")
            .binary("b/server")
            .binary("c/server");
        let named =
            |id: &str| candidates(&mapping("/srv/server", id), true, &options)[..3].to_vec();
        assert_eq!(
            named(""),
            ["b/server", "c/server", "a/renamed"].map(PathBuf::from)
        );
        assert_eq!(
            named("abcdef")[0],
            PathBuf::from("a/renamed"),
            "the id will tell"
        );
    }

    #[test]
    fn odd_build_ids_make_no_paths() {
        for id in ["", "a", "ab", "/../x", "äbcd"] {
            assert!(by_build_id(Path::new("/d"), id).is_empty(), "{id}");
        }
    }
}
