//! From an address in the process to the virtual address in the file.
#![forbid(unsafe_code)]

use super::elf::Segment;
use crate::profile::Mapping;

const PAGE: u64 = 4096;

/// The file's virtual address of `address`, which lies in `mapping`; `None`: the file has nothing there.
///
/// Three shapes of mappings occur in profiles:
/// - real ones: part of the file from `offset` on (Linux, perf, Go, heapsite);
/// - the whole image as one, although the segments lie at other distances in memory than in the file;
/// - everything from 0 on: the addresses are virtual addresses of the file already (`jemalloc_pprof`).
pub(super) fn in_file(segments: &[Segment], mapping: &Mapping, address: u64) -> Option<u64> {
    if mapping.start == 0 && mapping.offset == 0 && mapping.limit >= 1 << 47 {
        return Some(address);
    }
    let distance = address.checked_sub(mapping.start)?;
    let lowest = segments
        .iter()
        .map(|segment| segment.vaddr / PAGE * PAGE)
        .min()?;
    let mut code = segments.iter().filter(|segment| segment.executable);
    let real = code
        .clone()
        .any(|segment| segment.offset / PAGE * PAGE == mapping.offset);
    if mapping.offset == 0 && !real {
        let highest = code
            .clone()
            .map(|s| s.vaddr.saturating_add(s.memory_size))
            .max()?;
        if mapping.limit.saturating_sub(mapping.start) >= highest.checked_sub(lowest)? {
            return lowest.checked_add(distance);
        }
    }
    let offset = mapping.offset.checked_add(distance)?;
    let holds = |segment: &&Segment| {
        offset
            .checked_sub(segment.offset)
            .is_some_and(|into| into < segment.file_size)
    };
    if let Some(segment) = code.clone().find(holds) {
        return segment.vaddr.checked_add(offset - segment.offset);
    }
    // A file of debug information alone keeps the segments' addresses but not their places in the file.
    // If there is one code segment, this mapping is its beginning.
    match (code.next(), code.next()) {
        (Some(only), None) if only.file_size == 0 => {
            let vaddr = (only.vaddr / PAGE * PAGE).checked_add(distance)?;
            vaddr
                .checked_sub(only.vaddr)
                .is_some_and(|into| into < only.memory_size)
                .then_some(vaddr)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(start: u64, limit: u64, offset: u64) -> Mapping {
        Mapping {
            start,
            limit,
            offset,
            ..Mapping::default()
        }
    }

    /// What lld makes of a position-independent program: code at file offset 0x5f70, address 0x15f70.
    fn program(bias: u64) -> [Segment; 2] {
        let data = Segment {
            vaddr: bias,
            memory_size: 0x5000,
            offset: 0,
            file_size: 0x5000,
            executable: false,
        };
        let code = Segment {
            vaddr: bias + 0x15f70,
            memory_size: 0x9000,
            offset: 0x5f70,
            file_size: 0x9000,
            executable: true,
        };
        [data, code]
    }

    #[test]
    fn real_mappings() {
        let pie = mapping(0x5555_0000_5000, 0x5555_0000_f000, 0x5000);
        assert_eq!(in_file(&program(0), &pie, 0x5555_0000_5f71), Some(0x15f71));
        // In the padding in front of the segment there is no code.
        assert_eq!(in_file(&program(0), &pie, 0x5555_0000_5f00), None);
        assert_eq!(in_file(&program(0), &pie, 0x5555_0000_4000), None);
        // Not position-independent: mapped at its own addresses.
        let fixed = mapping(0x41_5000, 0x41_f000, 0x5000);
        assert_eq!(
            in_file(&program(0x40_0000), &fixed, 0x41_5f71),
            Some(0x41_5f71)
        );
        // The second half, after someone changed the protection of the first.
        let half = mapping(0x5555_0000_8000, 0x5555_0000_f000, 0x8000);
        assert_eq!(in_file(&program(0), &half, 0x5555_0000_8001), Some(0x18001));
    }

    #[test]
    fn whole_image_and_virtual_addresses() {
        let whole = mapping(0x5555_0000_0000, 0x5555_0002_0000, 0);
        assert_eq!(
            in_file(&program(0), &whole, 0x5555_0001_5f71),
            Some(0x15f71)
        );
        assert_eq!(
            in_file(
                &program(0x40_0000),
                &mapping(0x40_0000, 0x42_0000, 0),
                0x41_5f71
            ),
            Some(0x41_5f71)
        );
        assert_eq!(
            in_file(&program(0), &mapping(0, u64::MAX, 0), 0x15f71),
            Some(0x15f71)
        );
    }

    #[test]
    fn debug_information_alone() {
        let mut segments = program(0);
        segments[1].file_size = 0;
        segments[1].offset = 0x1000;
        let pie = mapping(0x5555_0000_5000, 0x5555_0000_f000, 0x5000);
        assert_eq!(in_file(&segments, &pie, 0x5555_0000_5f71), Some(0x15f71));
        assert_eq!(in_file(&segments, &pie, 0x5555_0001_f000), None);
    }

    #[test]
    fn absurd_headers_do_not_overflow() {
        let absurd = Segment {
            vaddr: u64::MAX,
            memory_size: u64::MAX,
            offset: 1,
            file_size: u64::MAX,
            executable: true,
        };
        assert_eq!(
            in_file(&[absurd], &mapping(0x1000, 0x2000, u64::MAX), 0x1800),
            None
        );
        assert_eq!(
            in_file(&[absurd], &mapping(0x1000, 0x2000, 1), 0x1800),
            None
        );
        assert_eq!(in_file(&[], &mapping(0x1000, 0x2000, 0), 0x1800), None);
        let ends_before_it_starts = mapping(0x2000, 0x1000, 0);
        assert_eq!(in_file(&program(0), &ends_before_it_starts, 0x2800), None);
    }
}
