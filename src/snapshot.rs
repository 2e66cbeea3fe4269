//! The only door through the wall: copies the recorder's counters out and lends nothing.
#![forbid(unsafe_code)]

mod address_profile;
#[cfg(any(feature = "http", feature = "metrics", test))]
pub(crate) mod lines;
mod live;
mod names;
pub(crate) mod scope;
pub(crate) mod totals;

use crate::profile::{Cohort, HeapFacts, LifetimeBucket, Mapping, Profile, SiteDetail, Tally};
use crate::record::local::Ignore;
use crate::record::sampler::objects_from_fixed;
use crate::record::scratch::Scratch;
use crate::record::site::{CountsRead, SiteRead};
use crate::record::{self, intervals, lifetimes, peak};
use crate::stats::{process, resources};
use crate::symbolize;
use crate::unwind;
use live::LiveBySite;
use names::ThreadNames;

/// The recorder's counters at one moment: addresses only, no symbols.
///
/// Taking one stops nobody: sites are read one after another while other threads go on allocating, so two
/// sites may differ by the microseconds between their readings. Within a site frees are read before
/// allocations, so live counts never fall below zero.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// When it was taken, nanoseconds since the Unix epoch.
    pub time_nanos: i64,
    /// Executable mappings, the main binary first.
    pub mappings: Vec<Mapping>,
    /// Sites in the order they were first seen.
    pub sites: Vec<Site>,
    /// Totals, losses, own footprint and the process.
    pub facts: HeapFacts,
    /// The largest interval at which something live was sampled, bytes; 0: nothing is live.
    live_interval: u64,
    /// The largest interval that was ever in force, bytes, as far as it left a trace.
    largest_interval: u64,
    /// All stacks, one after another; [`Snapshot::stack`] finds a site's part.
    frames: Vec<u64>,
}

/// One stack and what was allocated there.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Site {
    /// Counts, estimates, lifetimes, cohorts.
    pub detail: SiteDetail,
    /// Allocations that found no room in the site table, all together and without a stack.
    pub is_overflow: bool,
    first_frame: usize,
    frame_count: usize,
}

/// Live samples are grouped by birth into this many windows of the time since the recorder's start.
const COHORT_WINDOWS: u64 = 64;

/// Copies the recorder's counters out, and looks at the process as a whole (`facts.resources`). No thread waits for the
/// copy; several threads may call this at once.
///
/// The copy takes some milliseconds per million live samples. The look takes some 30 ms per GiB that is resident, during
/// which the program goes on, but waits where it maps memory; and glibc's `mallinfo2` makes an arena's requests wait for some
/// 170 to 270 ns per free block in it, so it is left out where that took more than a thousandth of the time, and altogether
/// after [`ask_glibc(false)`](crate::stats::ask_glibc).
///
/// Where no [`Heapsite`](crate::Heapsite) allocator is installed the snapshot has no sites and
/// `facts.interval` is 0.
pub fn snapshot() -> Snapshot {
    let _own_work = Ignore::new();
    // Before the copies are made, which are memory, too.
    let measured = resources::measure();
    let mut snapshot = without(&[]);
    if let Some(measured) = measured {
        measured.tell(&mut snapshot.facts);
    }
    snapshot
}

/// The counters alone: a snapshot without the look at the process as a whole, for profiles that are made all day.
pub(crate) fn of_counters() -> Snapshot {
    without(&[])
}

/// A snapshot in which these blocks, sorted by site, were never allocated. All of them are exact.
fn without(blocks: &[scope::Block]) -> Snapshot {
    let _own_work = Ignore::new();
    record::note_loaded_code();
    let mut snapshot = Snapshot {
        time_nanos: crate::helper::now_nanos(),
        mappings: symbolize::mappings::current(),
        ..Snapshot::default()
    };
    // Live samples first: one that is freed while the sites are read is then counted as live by both.
    let mut live = LiveBySite::collect(blocks);
    (snapshot.live_interval, snapshot.largest_interval) = largest_intervals(&live);
    let epoch = peak::epoch();
    let count = record::SITES.count();
    snapshot.sites.reserve(count as usize);
    let mut threads = ThreadNames::new();
    let mut sums = totals::Sums::default();
    for number in 0..count {
        let Some(mut read) = record::SITES.read(number, epoch) else {
            continue;
        };
        read.alloc = read.alloc.minus(scope::counts_at(blocks, number));
        if read.alloc.objects > 0 {
            let cohorts = live.cohorts(number, &mut threads);
            sums.add(snapshot.add_site(number, &read, cohorts));
        }
    }
    let process = process::current(record::forked_from());
    snapshot.facts = totals::facts(sums, process, threads.names);
    snapshot
}

/// The largest interval of what is live, and of all that were in force. Trivial where everything is exact: then the
/// table's other entries were set before the first allocation.
fn largest_intervals(live: &LiveBySite) -> (u64, u64) {
    let all = 0..=u8::MAX;
    let largest = |numbers: &mut dyn Iterator<Item = u8>| numbers.map(intervals::interval).max();
    let of_live = largest(&mut all.clone().filter(|&number| live.uses_interval(number)));
    let ever = match record::is_exact() {
        true => None,
        false => largest(&mut all.clone()),
    };
    (of_live.unwrap_or(0), ever.unwrap_or(0))
}

impl Snapshot {
    /// The site's addresses, leaf first: callers' return addresses minus one, so that each lies in its call.
    pub fn stack(&self, site: &Site) -> &[u64] {
        &self.frames[site.first_frame..site.first_frame + site.frame_count]
    }

    /// A profile with functions, files and lines, without the allocator's own frames.
    ///
    /// Reads the binaries' debug information and frees it again; takes from milliseconds to a second, so
    /// call it on a thread that has the time. What cannot be named stays an address.
    pub fn to_profile(&self) -> Profile {
        // A profile is built up, rebuilt and cut: only the last one is made of the program's memory.
        let scratch = Scratch::new();
        let profile = symbolize::in_process(self.to_address_profile());
        scratch.keep(profile)
    }

    /// A profile of addresses, for `heapsite symbolize` on a machine that has the binaries.
    pub fn to_address_profile(&self) -> Profile {
        let _own_work = Ignore::new();
        address_profile::build(self)
    }

    /// Adds a site's stack, without its counts.
    #[cfg(any(feature = "http", feature = "metrics", test))]
    pub(crate) fn add_bare(&mut self, site: &Site, stack: &[u64]) {
        let first_frame = self.frames.len();
        self.frames.extend_from_slice(stack);
        self.sites.push(Site {
            detail: SiteDetail {
                cut: site.detail.cut,
                ..SiteDetail::default()
            },
            is_overflow: site.is_overflow,
            first_frame,
            frame_count: stack.len(),
        });
    }

    fn add_site(&mut self, number: u32, read: &SiteRead, cohorts: Vec<Cohort>) -> &SiteDetail {
        let first_frame = self.frames.len();
        let (frames, cut) = record::SITES.stack(number).unwrap_or((&[], 0));
        // Relaxed: the site's number was read with Acquire, and its frames with it.
        self.frames.extend(
            frames
                .iter()
                .map(|f| f.load(std::sync::atomic::Ordering::Relaxed)),
        );
        let live_variance = cohorts.iter().fold((0.0, 0.0), |(objects, bytes), cohort| {
            (
                objects + cohort.live.objects_variance,
                bytes + cohort.live.bytes_variance,
            )
        });
        let alloc_variance = (read.alloc_objects_variance, read.alloc_bytes_variance);
        let live_counts = read.alloc.minus(read.free);
        let detail = SiteDetail {
            alloc: tally(read.alloc, alloc_variance),
            // Live and freed samples are disjoint parts of the allocated ones: variances add up.
            free: tally(
                read.free,
                (
                    (alloc_variance.0 - live_variance.0).max(0.0),
                    (alloc_variance.1 - live_variance.1).max(0.0),
                ),
            ),
            live: tally(live_counts, live_variance),
            peak: tally(read.peak, scaled(alloc_variance, read.peak, read.alloc)),
            lifetimes: read
                .lifetimes
                .iter()
                .enumerate()
                .filter(|(_, (objects, _))| *objects > 0)
                .map(|(bucket, &(objects, bytes))| {
                    let (from_nanos, to_nanos) = lifetimes::bounds_nanos(bucket);
                    LifetimeBucket {
                        from_nanos,
                        to_nanos,
                        objects,
                        bytes_estimate: bytes as f64,
                    }
                })
                .collect(),
            cohorts,
            cut: unwind::cut_from_code(cut),
        };
        self.sites.push(Site {
            detail,
            is_overflow: number == record::site_table::OVERFLOW,
            first_frame,
            frame_count: frames.len(),
        });
        &self.sites[self.sites.len() - 1].detail
    }
}

/// The share of a site's variance that a part of its samples has, by number: the samples of one stack are
/// mostly of one size, and only their sum was kept.
fn scaled((objects, bytes): (f64, f64), part: CountsRead, whole: CountsRead) -> (f64, f64) {
    let share = if whole.objects == 0 {
        0.0
    } else {
        part.objects as f64 / whole.objects as f64
    };
    (objects * share, bytes * share)
}

fn tally(counts: CountsRead, (objects_variance, bytes_variance): (f64, f64)) -> Tally {
    Tally {
        objects: counts.objects,
        bytes: counts.bytes,
        objects_estimate: objects_from_fixed(counts.objects_estimate),
        bytes_estimate: counts.bytes_estimate as f64,
        objects_variance,
        bytes_variance,
    }
}
