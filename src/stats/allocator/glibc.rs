//! glibc's `malloc`: `mallinfo2` says what is in use; which pages are the heap's is found among the mappings.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{AllocatorCount, Place};
use crate::stats::memory::{self, Ranges};
use crate::stats::smaps::{Area, Kind};
use crate::sys;

const ASKED: &str =
    "mallinfo2; resident pages of [heap] and arenas by smaps; mmapped blocks taken as resident";
const NOT_ASKED: &str = "resident pages of [heap] and arenas by smaps; mallinfo2 was left out: forbidden, or the last call took long";

static MAY_ASK: AtomicBool = AtomicBool::new(true);

/// See [`super::ask_glibc`].
pub(super) fn may_ask(yes: bool) {
    // Relaxed: a wish, which the next look follows.
    MAY_ASK.store(yes, Ordering::Relaxed);
}

/// `None`: another C library.
pub(super) fn place(
    areas: &[Area],
    read: &impl Fn(u64, &mut [u8]) -> bool,
    probe: u64,
) -> Option<Place> {
    static LAST: Last = Last::new();
    if !sys::malloc::has_info() {
        return None;
    }
    let may_ask = MAY_ASK.load(Ordering::Relaxed);
    let info = match may_ask && LAST.permits(sys::monotonic_nanos()) {
        true => Some(LAST.ask()?),
        false => None,
    };
    let ranges = ranges(areas, read);
    Some(Place {
        name: "glibc".to_owned(),
        source: if info.is_some() { ASKED } else { NOT_ASKED },
        is_global: memory::contains(&ranges, probe),
        count: AllocatorCount {
            in_use_bytes: info.map(|info| info.in_use + info.mapped),
            ..AllocatorCount::default()
        },
        ranges,
        elsewhere: LAST.mapped.load(Ordering::Relaxed),
    })
}

/// When `mallinfo2` was last called. It holds each arena's lock while it walks the arena's free blocks, at 170 to 270 ns for
/// each of them that is not in the cache, and the program's requests wait: so it may take a thousandth of the time at most,
/// or [`ALWAYS`](Last::ALWAYS).
struct Last {
    // Relaxed throughout: two threads that ask at once do no harm, and what was mapped need not be of the same call.
    ended: AtomicU64,
    took: AtomicU64,
    mapped: AtomicU64,
}

impl Last {
    /// Calls that take no longer may follow each other at once, nanoseconds.
    const ALWAYS: u64 = 5_000_000;

    const fn new() -> Last {
        Last {
            ended: AtomicU64::new(0),
            took: AtomicU64::new(0),
            mapped: AtomicU64::new(0),
        }
    }

    fn permits(&self, now: u64) -> bool {
        let took = self.took.load(Ordering::Relaxed);
        let since = now.saturating_sub(self.ended.load(Ordering::Relaxed));
        took <= Last::ALWAYS || since / 1000 >= took
    }

    fn ask(&self) -> Option<sys::malloc::Info> {
        let began = sys::monotonic_nanos();
        let info = sys::malloc::info()?;
        let ended = sys::monotonic_nanos();
        self.mapped.store(info.mapped, Ordering::Relaxed);
        self.took
            .store(ended.saturating_sub(began), Ordering::Relaxed);
        self.ended.store(ended, Ordering::Relaxed);
        Some(info)
    }
}

/// Where other arenas than the first have their memory: regions of this size and alignment, of which a first part is
/// accessible (glibc's `HEAP_MAX_SIZE`).
const HEAP: u64 = 64 << 20;

fn ranges(areas: &[Area], read: &impl Fn(u64, &mut [u8]) -> bool) -> Ranges {
    let main = areas.iter().filter(|area| area.kind == Kind::Break);
    let main = main.map(|area| (area.start, area.limit));
    let private = areas.iter().filter(|area| match &area.kind {
        Kind::Anonymous => area.accessible && area.rss > 0,
        // What the tunable glibc.mem.decorate_maps calls them.
        Kind::Named(name) => name.trim_start() == "glibc: malloc arena",
        _ => false,
    });
    let bases = private.flat_map(|area| {
        let first = area.start.next_multiple_of(HEAP);
        (first..area.limit).step_by(HEAP as usize)
    });
    let arenas = bases.filter_map(|base| Some((base, base + heap_size(base, read)?)));
    memory::sorted(main.chain(arenas))
}

/// The size of the heap that begins at `base`, if one does: glibc's `heap_info` is
/// `{ arena, previous heap, size, accessible size }`. An arena lies behind the header of its first heap.
fn heap_size(base: u64, read: &impl Fn(u64, &mut [u8]) -> bool) -> Option<u64> {
    let mut header = [0u8; 32];
    if !read(base, &mut header) {
        return None;
    }
    let word = |at: usize| {
        let bytes = header[at..at + 8].try_into();
        bytes.map_or(0, u64::from_ne_bytes)
    };
    let [arena, previous, size, accessible] = [word(0), word(8), word(16), word(24)];
    let first = arena & !(HEAP - 1);
    let is_heap = (32..4096).contains(&(arena - first))
        && arena % 16 == 0
        && previous % HEAP == 0
        && (previous == 0) == (first == base)
        && (4096..=HEAP).contains(&size)
        && size <= accessible
        && accessible <= HEAP
        && accessible % 4096 == 0;
    is_heap.then_some(accessible)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x7f12_3400_0000;

    fn reader(headers: &[(u64, [u64; 4])]) -> impl Fn(u64, &mut [u8]) -> bool {
        move |at, into| {
            let found = headers.iter().find(|(base, _)| *base == at);
            let bytes = found.map(|(_, words)| words.map(u64::to_ne_bytes).concat());
            bytes.is_some_and(|bytes| {
                into.copy_from_slice(&bytes);
                true
            })
        }
    }

    #[test]
    fn a_heap_is_known_by_its_header() {
        let next = BASE + 4 * HEAP;
        let good = [BASE + 0x30, 0, 0x21000, 0x22000];
        let second = [BASE + 0x30, BASE, 0x1000, 0x1000];
        let size = |base, words| heap_size(base, &reader(&[(base, words)]));
        assert_eq!(size(BASE, good), Some(0x22000));
        assert_eq!(size(next, second), Some(0x1000));
        for wrong in [
            [0, 0, 0, 0],
            [BASE + 0x30, 0, 0x23000, 0x22000],
            [BASE + 0x30, 0, 0x21000, 0x22008],
            [BASE + 0x31, 0, 0x21000, 0x22000],
            [BASE + 0x30, BASE, 0x21000, 0x22000],
            [u64::MAX; 4],
        ] {
            assert_eq!(size(BASE, wrong), None, "{wrong:x?}");
        }
        assert_eq!(heap_size(BASE, &reader(&[])), None);
    }

    #[test]
    fn a_call_that_took_long_is_not_made_again_soon() {
        let last = Last::new();
        assert!(last.permits(1));
        last.ended.store(1_000, Ordering::Relaxed);
        last.took.store(Last::ALWAYS, Ordering::Relaxed);
        assert!(last.permits(1_000));
        last.took.store(60_000_000, Ordering::Relaxed);
        assert!(!last.permits(1_000 + 59_999_000_000) && last.permits(1_000 + 60_000_000_000));
    }

    #[test]
    fn heaps_are_found_in_mappings_that_begin_before_them() {
        let area = |start, limit, kind| Area {
            start,
            limit,
            accessible: true,
            kind,
            rss: 4096,
            swap: 0,
        };
        let areas = [
            area(0x1000, 0x3000, Kind::Break),
            area(BASE - 0x10000, BASE + 0x22000, Kind::Anonymous),
            area(BASE + HEAP, BASE + HEAP + 0x5000, Kind::File),
        ];
        let headers = [(BASE, [BASE + 0x30, 0, 0x22000, 0x22000])];
        assert_eq!(
            ranges(&areas, &reader(&headers)),
            [(0x1000, 0x3000), (BASE, BASE + 0x22000)]
        );
    }
}
