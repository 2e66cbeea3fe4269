//! The allocators in the process: what they count themselves, and which memory is theirs.
#![forbid(unsafe_code)]

mod glibc;
#[cfg(feature = "jemalloc")]
mod jemalloc;
mod mimalloc;

use std::sync::OnceLock;

use super::memory::{self, Ranges};
use super::smaps::{Area, Kind};
use crate::error::{Error, Result};
use crate::profile::resources::HeldMemory;
use crate::sys;

/// An allocator that can say what it holds. glibc's is known; jemalloc and mimalloc are with the features of their names;
/// others are [registered](register_allocator).
///
/// Called when a snapshot is taken, on heapsite's helper thread or the caller's; never inside `malloc`.
pub trait Allocator: Sync {
    /// A short name, such as `snmalloc`.
    fn name(&self) -> &str;

    /// What it holds now, by its own count.
    fn count(&self) -> AllocatorCount;

    /// Whether the byte at this address is in a block of this allocator. Any address may be asked for, also one where
    /// nothing is mapped. `None`: it cannot tell.
    fn holds(&self, address: usize) -> Option<bool>;

    /// What its mappings are called (`prctl(PR_SET_VMA)`), where they are: the text behind `[anon:` in `/proc/self/maps`.
    fn mapping_name(&self) -> Option<&str> {
        None
    }

    /// Gives free memory back to the system, as far as it can: see [`give_memory_back`]. `false`: it cannot.
    fn give_back(&self) -> bool {
        false
    }
}

/// What an allocator says of itself, bytes; `None`: it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllocatorCount {
    /// In blocks that are not freed, rounding included.
    pub in_use_bytes: Option<u64>,
    /// Resident in all. Where the allocator does not say, heapsite counts the pages of its mappings, if
    /// [`holds`](Allocator::holds) or [`mapping_name`](Allocator::mapping_name) tells which they are.
    pub resident_bytes: Option<u64>,
    /// Address space kept for later and not resident.
    pub retained_bytes: Option<u64>,
    /// Its own tables.
    pub metadata_bytes: Option<u64>,
}

static REGISTERED: [OnceLock<&'static dyn Allocator>; 8] = [const { OnceLock::new() }; 8];

/// Lets heapsite tell what this allocator holds, from now on. Once per allocator and process.
///
/// ```
/// use heapsite::stats::{Allocator, AllocatorCount, register_allocator};
///
/// struct Pool; // over memory that it maps for itself
/// impl Allocator for Pool {
///     fn name(&self) -> &str { "pool" }
///     fn count(&self) -> AllocatorCount {
///         AllocatorCount { in_use_bytes: Some(4096), resident_bytes: Some(8192), ..AllocatorCount::default() }
///     }
///     fn holds(&self, _address: usize) -> Option<bool> { None }
/// }
/// register_allocator(&Pool)?;
/// # Ok::<(), heapsite::Error>(())
/// ```
///
/// # Errors
/// Eight have been registered already.
pub fn register_allocator(allocator: &'static dyn Allocator) -> Result<()> {
    match REGISTERED.iter().any(|slot| slot.set(allocator).is_ok()) {
        true => Ok(()),
        false => Err(Error::unsupported(format!(
            "cannot register the allocator {}: there are 8 already",
            allocator.name()
        ))),
    }
}

/// Whether glibc may be asked by `mallinfo2` what is in use, when a snapshot or [`stats`](crate::stats()) looks at the process.
/// Default: yes. It makes the program's requests wait while it walks an arena's free blocks, some 0.2 µs for each: a service
/// with millions of them that must never wait says no. Blocks with a mapping of their own (128 KiB and more) are then
/// *unexplained*, and what is in use beyond the live heap is not told apart from what is free.
pub fn ask_glibc(yes: bool) {
    glibc::may_ask(yes);
}

/// Asks every allocator in the process to give free memory back to the system, and returns the names of those that can:
/// glibc (`malloc_trim`), jemalloc and mimalloc with the features of their names (`arena.<all>.purge`, `mi_collect`), and those
/// that were [registered](register_allocator) and have [`give_back`](Allocator::give_back).
///
/// What stays resident afterwards is in use, lies between blocks that are, or in caches of threads. For experiments, such as
/// whether a resident set that does not fall is kept by the allocator, not for a schedule: requests may wait meanwhile, and
/// pages that are needed again cost a fault each.
pub fn give_memory_back() -> Vec<String> {
    let _guard = crate::helper::own_work();
    let mut asked = Vec::new();
    if sys::trim::trim() {
        asked.push("glibc".to_owned());
    }
    for (allocator, _) in known() {
        if allocator.give_back() {
            asked.push(allocator.name().to_owned());
        }
    }
    asked
}

/// Those of other people, with a source each.
fn known() -> impl Iterator<Item = (&'static dyn Allocator, &'static str)> {
    let built_in: &[(&'static dyn Allocator, &'static str)] = &[
        (&mimalloc::MiMalloc, mimalloc::SOURCE),
        #[cfg(feature = "jemalloc")]
        (&jemalloc::Jemalloc, jemalloc::SOURCE),
    ];
    let registered = REGISTERED
        .iter()
        .filter_map(|slot| Some((*slot.get()?, "as registered")));
    built_in.iter().copied().chain(registered)
}

/// An allocator's memory and its own count.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) ranges: Ranges,
    name: String,
    source: &'static str,
    count: AllocatorCount,
    /// Resident outside of `ranges`.
    elsewhere: u64,
    is_global: bool,
}

/// Every allocator that holds something. `probe`: the address of a block from the global allocator. `read` copies bytes of
/// this process.
pub(super) fn places(
    areas: &[Area],
    read: &impl Fn(u64, &mut [u8]) -> bool,
    probe: u64,
) -> Vec<Place> {
    let mut places: Vec<Place> = glibc::place(areas, read, probe).into_iter().collect();
    for (allocator, source) in known() {
        let count = allocator.count();
        let ranges = match count.resident_bytes {
            Some(_) => Ranges::new(),
            None => ranges(allocator, areas),
        };
        let is_global =
            memory::contains(&ranges, probe) || allocator.holds(probe as usize).unwrap_or(false);
        let place = Place {
            name: allocator.name().to_owned(),
            source,
            is_global,
            count,
            ranges,
            elsewhere: 0,
        };
        let says_nothing = count == AllocatorCount::default();
        if is_global || !place.ranges.is_empty() || !says_nothing {
            places.push(place);
        }
    }
    places
}

/// Mappings of the allocator's name; where there are none, of each mapping that has a block of it, the part from there on.
fn ranges(allocator: &dyn Allocator, areas: &[Area]) -> Ranges {
    let named = areas.iter().filter(|area| match &area.kind {
        Kind::Named(name) => Some(name.as_str()) == allocator.mapping_name(),
        _ => false,
    });
    let named = memory::sorted(named.map(|area| (area.start, area.limit)));
    if !named.is_empty() || allocator.holds(0).is_none() {
        return named;
    }
    /// No allocator gets smaller pieces from the system.
    const STEP: u64 = 64 << 10;
    /// Lower in front of the first block there may be free ones and tables. Not all of the mapping: the kernel puts new
    /// mappings below old ones, and makes one of two that touch.
    const ALIGN: u64 = 32 << 20;
    let private = areas
        .iter()
        .filter(|area| area.kind == Kind::Anonymous && area.accessible && area.rss > 0);
    memory::sorted(private.filter_map(|area| {
        let first = (area.start..area.limit)
            .step_by(STEP as usize)
            .find(|&address| allocator.holds(address as usize) == Some(true))?;
        Some(((first & !(ALIGN - 1)).max(area.start), area.limit))
    }))
}

/// What they hold, given how much of each one's ranges is resident.
///
/// An allocator's own bound is taken as it is. Cutting it down to the private memory without an owner would move the cut-off
/// part into the allocator as soon as somebody maps memory.
pub(super) fn held(places: Vec<Place>, resident: &[u64]) -> Vec<HeldMemory> {
    places
        .into_iter()
        .zip(resident)
        .map(|(place, resident)| HeldMemory {
            name: place.name,
            is_global: place.is_global,
            in_use_bytes: place.count.in_use_bytes,
            resident_bytes: match place.count.resident_bytes {
                Some(told) => told,
                None => resident + place.elsewhere,
            },
            retained_bytes: place.count.retained_bytes,
            metadata_bytes: place.count.metadata_bytes,
            source: place.source.to_owned(),
        })
        .collect()
}
