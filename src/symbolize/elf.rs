//! What is read from an ELF file besides its debug information: build id, segments, links to separate debug
//! files, and symbols for given addresses.
//!
//! Reads the few parts it needs into memory instead of mapping the file, and keeps nothing.
#![forbid(unsafe_code)]

use std::fs::File;
use std::path::Path;

use object::read::{ReadCache, ReadRef};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SegmentFlags, SymbolKind};

/// The facts about a file that decide whether and how it can name addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Hex; empty: none.
    pub(super) build_id: String,
    /// The loadable segments.
    pub(super) segments: Vec<Segment>,
    /// Has DWARF line or function information.
    pub(super) has_debug_info: bool,
    /// Names its debug information in an own file, or keeps it in `.dwo` files.
    pub(super) debug_link: Option<(Vec<u8>, u32)>,
    /// The file shared by several debug files (made by `dwz`), and its build id in hex.
    pub(super) alternate_link: Option<(Vec<u8>, String)>,
}

/// A `PT_LOAD` program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) vaddr: u64,
    pub(super) memory_size: u64,
    pub(super) offset: u64,
    /// 0 in files that hold only debug information.
    pub(super) file_size: u64,
    pub(super) executable: bool,
}

/// Reads the facts. The error is a phrase such as `not an ELF file: …`.
pub(super) fn facts(path: &Path) -> Result<Facts, String> {
    let cache = open(path)?;
    let file = parse(&cache)?;
    let build_id = match file.build_id() {
        Ok(id) => id.map(hex).unwrap_or_default(),
        Err(error) => return Err(format!("damaged notes: {error}")),
    };
    let segments = file
        .segments()
        .map(|segment| {
            let (offset, file_size) = segment.file_range();
            let executable = match segment.flags() {
                SegmentFlags::Elf { p_flags, .. } => p_flags.0 & object::elf::PF_X.0 != 0,
                _ => false,
            };
            Segment {
                vaddr: segment.address(),
                memory_size: segment.size(),
                offset,
                file_size,
                executable,
            }
        })
        .collect();
    Ok(Facts {
        build_id,
        segments,
        has_debug_info: file
            .section_by_name(".debug_info")
            .is_some_and(|s| s.size() > 0),
        debug_link: file
            .gnu_debuglink()
            .ok()
            .flatten()
            .map(|(name, crc)| (name.to_vec(), crc)),
        alternate_link: file
            .gnu_debugaltlink()
            .ok()
            .flatten()
            .map(|(name, id)| (name.to_vec(), hex(id))),
    })
}

/// The GNU build id of a file in hex.
pub(super) fn build_id_of_file(path: &Path) -> Option<String> {
    let cache = open(path).ok()?;
    let file = parse(&cache).ok()?;
    file.build_id().ok().flatten().map(hex)
}

/// The linker's names of `addresses` (virtual addresses of the file, ascending): the function symbol whose
/// extent holds the address. A symbol that merely precedes the address is not its name.
pub(super) fn symbols(path: &Path, addresses: &[u64]) -> Result<Vec<Option<String>>, String> {
    let cache = open(path)?;
    let file = parse(&cache)?;
    let mut best: Vec<Option<Candidate>> = vec![None; addresses.len()];
    for symbol in file.symbols().chain(file.dynamic_symbols()) {
        let (start, size) = (symbol.address(), symbol.size());
        let code = matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown);
        let Some(end) = start.checked_add(size) else {
            continue;
        };
        if size == 0 || !code || symbol.is_undefined() {
            continue;
        }
        let first = addresses.partition_point(|&address| address < start);
        let last = addresses.partition_point(|&address| address < end);
        if first >= last {
            continue;
        }
        let Ok(name) = symbol.name() else { continue };
        // Aliases share an address: the narrower, the exported, the plainer name wins.
        let underscores = name.len() - name.trim_start_matches('_').len();
        let candidate = Candidate {
            size,
            local: symbol.is_local(),
            underscores,
            name,
        };
        for best in &mut best[first..last] {
            if best.as_ref().is_none_or(|best| candidate < *best) {
                *best = Some(candidate.clone());
            }
        }
    }
    Ok(best
        .into_iter()
        .map(|found| found.map(|found| found.name.to_owned()))
        .collect())
}

/// Ordered from the best name to the worst.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<'a> {
    size: u64,
    local: bool,
    underscores: usize,
    name: &'a str,
}

/// The build id of the ELF image whose header lies at `base`, read through `read(address, into) -> done`.
///
/// Only the native word size and byte order: it is an image of this process.
pub(super) fn build_id_in_memory(
    base: u64,
    read: impl Fn(u64, &mut [u8]) -> bool,
) -> Option<String> {
    const PT_LOAD: u32 = 1;
    const PT_NOTE: u32 = 4;
    let mut header = [0; 64];
    read(base, &mut header).then_some(())?;
    if !cfg!(target_pointer_width = "64") || header[..5] != *b"\x7fELF\x02" {
        return None;
    }
    let half = |bytes: &[u8], at: usize| Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let word = |bytes: &[u8], at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    let wide = |bytes: &[u8], at: usize| Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
    // Elf64_Ehdr: e_phoff at 32, e_phentsize at 54, e_phnum at 56. Elf64_Phdr: 56 bytes.
    if half(&header, 54)? != 56 {
        return None;
    }
    let mut programs = vec![0; usize::from(half(&header, 56)?) * 56];
    read(base.checked_add(wide(&header, 32)?)?, &mut programs).then_some(())?;
    let (programs, _) = programs.as_chunks::<56>();
    // Elf64_Phdr: p_type at 0, p_offset at 8, p_vaddr at 16, p_memsz at 40.
    let first = programs.iter().find(|p| word(*p, 0) == Some(PT_LOAD))?;
    let bias = base.wrapping_sub(wide(first, 16)?.wrapping_sub(wide(first, 8)?));
    programs
        .iter()
        .filter(|p| word(*p, 0) == Some(PT_NOTE))
        .find_map(|p| {
            // Notes are some dozen bytes; a size beyond this is not one.
            let size = wide(p, 40).filter(|&size| size <= 1 << 16)?;
            let mut notes = vec![0; size as usize];
            read(bias.wrapping_add(wide(p, 16)?), &mut notes).then_some(())?;
            build_id_in_notes(&notes)
        })
}

/// Searches `Elf64_Nhdr {namesz, descsz, type}` records, name and content padded to four bytes.
fn build_id_in_notes(mut notes: &[u8]) -> Option<String> {
    const NT_GNU_BUILD_ID: u32 = 3;
    loop {
        let word = |at: usize| Some(u32::from_ne_bytes(*notes.get(at..)?.first_chunk()?));
        let (name_size, size, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let content = 12usize.checked_add(name_size.checked_next_multiple_of(4)?)?;
        let name = notes.get(12..12usize.checked_add(name_size)?)?;
        let bytes = notes.get(content..content.checked_add(size)?)?;
        if kind == NT_GNU_BUILD_ID && name == b"GNU\0" {
            return Some(hex(bytes));
        }
        notes = notes.get(content.checked_add(size.checked_next_multiple_of(4)?)?..)?;
    }
}

fn open(path: &Path) -> Result<ReadCache<File>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    // Opening a directory succeeds, and reading a FIFO would wait for ever.
    if !file
        .metadata()
        .map_err(|error| error.to_string())?
        .is_file()
    {
        return Err("not a regular file".to_owned());
    }
    Ok(ReadCache::new(file))
}

fn parse<'data, R: ReadRef<'data>>(data: R) -> Result<object::File<'data, R>, String> {
    let file = object::File::parse(data).map_err(|error| format!("not an ELF file: {error}"))?;
    match file.format() {
        object::BinaryFormat::Elf => Ok(file),
        other => Err(format!("not an ELF file but {other:?}")),
    }
}

/// Lower-case hex, as build ids are written everywhere.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_searched_without_trusting_their_sizes() {
        let note = |name: &[u8], kind: u32, content: &[u8]| {
            let mut bytes = Vec::new();
            bytes.extend((name.len() as u32).to_ne_bytes());
            bytes.extend((content.len() as u32).to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            for part in [name, content] {
                bytes.extend(part);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            bytes
        };
        let mut notes = note(b"GNU\0", 1, &[9; 6]);
        notes.extend(note(b"GNU\0", 3, &[0xab, 0x0c, 0xff]));
        assert_eq!(build_id_in_notes(&notes).as_deref(), Some("ab0cff"));
        for cut in 0..notes.len() - 1 {
            assert_eq!(build_id_in_notes(&notes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(build_id_in_notes(&[0xff; 40]), None);
    }

    #[test]
    fn what_is_no_elf_file_says_so() {
        assert!(
            facts(Path::new("/"))
                .unwrap_err()
                .contains("not a regular file")
        );
        assert!(
            facts(Path::new("/proc/version_that_is_not"))
                .unwrap_err()
                .contains("No such file")
        );
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(facts(&manifest).unwrap_err().contains("not an ELF file"));
    }
}
