//! Whose the resident pages are: each mapping goes to its kind, and pages of it to the owners that are known.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::FileExt;

use super::allocator::{self, Place};
use super::smaps::{self, Area, Kind};
use crate::{record, sys};

/// Resident bytes by owner, and sums over all mappings. Every resident byte is in exactly one of the first six.
#[derive(Clone, Debug, Default)]
pub(super) struct Split {
    /// What no other owner was found for, private and anonymous.
    pub(super) rest: u64,
    pub(super) stacks: u64,
    pub(super) files: u64,
    pub(super) shared: u64,
    pub(super) own: u64,
    /// By the allocators' order in [`allocator::known`].
    pub(super) allocators: Vec<u64>,
    pub(super) rss: u64,
    pub(super) swap: u64,
    pub(super) virtual_bytes: u64,
    pub(super) mappings: u64,
}

/// Address ranges `[start, limit)` that have an owner: whole pages, sorted, without overlaps.
pub(super) type Ranges = Vec<(u64, u64)>;

/// Everything in a mapping that does not tell by its own kind whose it is.
#[derive(Debug, Default)]
struct Owners {
    own: Ranges,
    /// Static data behind the end of a program's or library's file.
    statics: Ranges,
    stacks: Ranges,
}

/// Looks at every mapping; `None` where there is no `smaps`.
///
/// The kernel walks the page tables for it: some 30 ms for each GiB of small pages, during which the process can go on
/// but not map or unmap.
pub(super) fn split(threads: &[u32], probe: u64) -> Option<(Split, Vec<Place>)> {
    let file = File::open("/proc/self/smaps").ok()?;
    let areas = smaps::read(BufReader::with_capacity(64 << 10, file)).ok()?;
    let owners = Owners {
        own: sorted(record::own_regions()),
        statics: sorted(sys::static_data()),
        stacks: stacks(&areas, own_data(threads)),
    };
    let memory = File::open("/proc/self/mem").ok();
    let read = |at: u64, into: &mut [u8]| {
        let memory = memory.as_ref();
        memory.is_some_and(|memory| memory.read_exact_at(into, at).is_ok())
    };
    let places = allocator::places(&areas, &read, probe);
    Some((assign(&areas, &owners, &places, sys_resident), places))
}

fn sys_resident(start: u64, limit: u64) -> u64 {
    sys::resident_bytes(start as usize, (limit - start) as usize).unwrap_or(0)
}

/// Assigns each resident byte to one owner. `resident` counts the resident bytes of a part of a mapping.
fn assign(
    areas: &[Area],
    owners: &Owners,
    places: &[Place],
    resident: impl Fn(u64, u64) -> u64,
) -> Split {
    let mut split = Split {
        allocators: vec![0; places.len()],
        ..Split::default()
    };
    for area in areas {
        split.rss += area.rss;
        split.swap += area.swap;
        split.virtual_bytes += area.len();
        split.mappings += 1;
        let mut left = Left {
            area,
            bytes: area.rss,
            resident: &resident,
        };
        // heapsite's tables first: some are static data.
        split.own += left.take(&owners.own);
        match &area.kind {
            Kind::File => split.files += left.bytes,
            Kind::Shared => split.shared += left.bytes,
            Kind::MainStack => split.stacks += left.bytes,
            Kind::Anonymous | Kind::Named(_) | Kind::Break => {
                // Before the heap, which follows without a gap where addresses are not randomised.
                split.files += left.take(&owners.statics);
                for (sum, place) in split.allocators.iter_mut().zip(places) {
                    *sum += left.take(&place.ranges);
                }
                split.stacks += left.take(&owners.stacks);
                split.rest += left.bytes;
            }
        }
    }
    split
}

/// What of a mapping has no owner yet.
struct Left<'a, R> {
    area: &'a Area,
    bytes: u64,
    resident: &'a R,
}

impl<R: Fn(u64, u64) -> u64> Left<'_, R> {
    /// Takes what lies in `ranges`: all that is left where they cover the mapping; otherwise counted page by page, and
    /// never more than is left.
    fn take(&mut self, ranges: &Ranges) -> u64 {
        if self.bytes == 0 {
            return 0;
        }
        let (from, to) = (self.area.start, self.area.limit);
        let first = ranges.partition_point(|&(_, limit)| limit <= from);
        let parts = ranges[first..]
            .iter()
            .take_while(|&&(start, _)| start < to)
            .map(|&(start, limit)| (start.max(from), limit.min(to)));
        let covered: u64 = parts.clone().map(|(start, limit)| limit - start).sum();
        let taken = match covered {
            0 => 0,
            all if all >= self.area.len() => self.bytes,
            _ => parts
                .map(|(start, limit)| (self.resident)(start, limit))
                .sum::<u64>()
                .min(self.bytes),
        };
        self.bytes -= taken;
        taken
    }
}

/// Whether one of the ranges holds the address.
pub(super) fn contains(ranges: &Ranges, address: u64) -> bool {
    let at = ranges.partition_point(|&(_, limit)| limit <= address);
    ranges.get(at).is_some_and(|&(start, _)| start <= address)
}

/// Sorted by address, in whole pages, without overlaps.
pub(super) fn sorted(ranges: impl IntoIterator<Item = (u64, u64)>) -> Ranges {
    let pages = |(start, limit): (u64, u64)| (start & !4095, limit.saturating_add(4095) & !4095);
    let mut all: Ranges = ranges
        .into_iter()
        .map(pages)
        .filter(|r| r.0 < r.1)
        .collect();
    all.sort_unstable();
    let mut merged = Ranges::new();
    for (start, limit) in all {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(limit),
            _ => merged.push((start, limit)),
        }
    }
    merged
}

/// Where the threads but the first keep their own data.
///
/// The C library puts it at the very top of a thread's stack; in it is the list of the thread's robust mutexes, whose address
/// the kernel tells.
fn own_data(threads: &[u32]) -> impl Iterator<Item = u64> {
    let main = std::process::id();
    let others = threads.iter().filter(move |&&thread| thread != main);
    others.filter_map(|&thread| sys::robust_list(thread))
}

/// From each stack's lowest page to the page of the thread's own data at its top.
///
/// Below a stack is a guard page, so the mapping begins with the stack; above it other memory may follow in the same mapping.
fn stacks(areas: &[Area], own_data: impl Iterator<Item = u64>) -> Ranges {
    sorted(own_data.filter_map(|top| {
        let area = areas.get(areas.partition_point(|area| area.limit <= top))?;
        // A stack in memory from malloc is somebody's live block.
        let is_stack = area.start <= top && area.kind != Kind::Break;
        is_stack.then_some((area.start, top + 1))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    fn area(start: u64, limit: u64, kind: Kind, rss: u64) -> Area {
        Area {
            start: start * PAGE,
            limit: limit * PAGE,
            accessible: true,
            kind,
            rss: rss * PAGE,
            swap: 0,
        }
    }

    fn pages(ranges: &[(u64, u64)]) -> Ranges {
        sorted(ranges.iter().map(|&(a, b)| (a * PAGE, b * PAGE)))
    }

    /// Every page of a part is resident.
    fn full(start: u64, limit: u64) -> u64 {
        limit - start
    }

    #[test]
    fn every_resident_page_has_one_owner() {
        let areas = [
            area(0, 10, Kind::File, 6),
            area(10, 20, Kind::Anonymous, 10), // static data, with tables of ours
            area(30, 40, Kind::Break, 8),
            area(50, 60, Kind::Anonymous, 10), // a stack below somebody's mapping
            area(70, 80, Kind::Anonymous, 7),  // an arena
            area(90, 95, Kind::Shared, 2),
            area(96, 99, Kind::MainStack, 3),
        ];
        let owners = Owners {
            own: pages(&[(12, 15)]),
            statics: pages(&[(10, 20)]),
            stacks: pages(&[(50, 54)]),
        };
        let place = |ranges: &[(u64, u64)]| {
            let mut place = Place::default();
            place.ranges = pages(ranges);
            place
        };
        let places = [place(&[(30, 40), (70, 80)]), place(&[])];
        let split = assign(&areas, &owners, &places, full);
        assert_eq!(split.own, 3 * PAGE);
        assert_eq!(split.files, (6 + 7) * PAGE);
        assert_eq!(split.stacks, (4 + 3) * PAGE);
        assert_eq!(split.allocators, [15 * PAGE, 0]);
        assert_eq!((split.shared, split.rest), (2 * PAGE, 6 * PAGE));
        let sum = split.own + split.files + split.stacks + split.shared + split.rest;
        assert_eq!(sum + split.allocators[0], split.rss);
        assert_eq!(split.rss, 46 * PAGE);
    }

    #[test]
    fn a_stack_ends_where_its_thread_keeps_its_own_data() {
        let areas = [
            area(10, 30, Kind::Anonymous, 20), // somebody's memory follows from page 15 on
            area(40, 50, Kind::Anonymous, 10),
            area(60, 90, Kind::Break, 30),
        ];
        let tops = [14 * PAGE + 700, 49 * PAGE + 8, 70 * PAGE, 99 * PAGE];
        assert_eq!(
            stacks(&areas, tops.into_iter()),
            pages(&[(10, 15), (40, 50)])
        );
    }

    #[test]
    fn pages_that_came_meanwhile_take_nothing_from_others() {
        // The kernel said 2 pages are resident; by the time the parts are counted there are more.
        let areas = [area(0, 10, Kind::Anonymous, 2)];
        let owners = Owners {
            stacks: pages(&[(0, 5)]),
            ..Owners::default()
        };
        let split = assign(&areas, &owners, &[], full);
        assert_eq!((split.stacks, split.rest), (2 * PAGE, 0));
    }

    #[test]
    fn this_process_is_split() {
        let (split, places) = split(&super::super::threads::ids(), 0).unwrap();
        assert!(split.rss > 0 && split.files > 0 && split.stacks > 0);
        let held: u64 = split.allocators.iter().sum();
        let parts = [
            split.rest,
            split.stacks,
            split.files,
            split.shared,
            split.own,
        ];
        assert_eq!(parts.iter().sum::<u64>() + held, split.rss);
        assert_eq!(places.len(), split.allocators.len());
    }
}
