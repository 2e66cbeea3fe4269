//! A profile as plain data, in pprof's words. Verbs live in a file each: [`merge`], [`diff`], [`filter`],
//! [`prune`]. Nothing here does I/O or knows where the data came from.
#![forbid(unsafe_code)]

pub mod addresses;
pub(crate) mod builder;
mod check;
#[cfg(any(feature = "push", test))]
mod condense;
#[cfg(any(feature = "http", test))]
pub(crate) mod delta;
pub mod diff;
pub mod filter;
pub mod growth;
pub mod merge;
pub(crate) mod named;
pub mod prune;
pub mod resources;
pub mod sum;
pub(crate) mod told;
pub(crate) mod told_memory;

/// Index into [`Profile::mappings`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct MappingId(pub u32);
/// Index into [`Profile::locations`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LocationId(pub u32);
/// Index into [`Profile::functions`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FunctionId(pub u32);

/// Samples with their stacks, and what is needed to read them.
///
/// The field names are those of `profile.proto`; `heap` holds what pprof has no place for.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Profile {
    /// What each entry of [`Sample::values`] means. heapsite writes the four of a heap profile, in pprof's
    /// order: `alloc_objects/count alloc_space/bytes inuse_objects/count inuse_space/bytes`.
    pub sample_types: Vec<ValueType>,
    /// Name of the sample type shown first; empty: the last one.
    pub default_sample_type: String,
    /// One per (stack, labels).
    pub samples: Vec<Sample>,
    /// Executable mappings; the main binary first.
    pub mappings: Vec<Mapping>,
    /// Code addresses, each with the functions inlined there.
    pub locations: Vec<Location>,
    /// Functions by name and file.
    pub functions: Vec<Function>,
    /// What `period` counts (`space/bytes` for a heap profile).
    pub period_type: Option<ValueType>,
    /// Mean bytes between sampled allocations; where intervals were mixed the largest one behind what is live, so
    /// that errors worked out from it are rather too large.
    pub period: i64,
    /// When the profile was taken, nanoseconds since the Unix epoch; 0: unknown.
    pub time_nanos: i64,
    /// The time span of a difference, nanoseconds; 0: a point in time.
    pub duration_nanos: i64,
    /// pprof's regular expression of frames to drop, with everything leafward of them.
    pub drop_frames: String,
    /// pprof's regular expression of frames to keep in spite of `drop_frames`.
    pub keep_frames: String,
    /// Free text lines.
    pub comments: Vec<String>,
    /// An absolute link to documentation.
    pub doc_url: String,
    /// What a heapsite recorder knows beyond pprof's format. `None` for profiles from elsewhere.
    pub heap: Option<Box<HeapFacts>>,
}

/// The meaning and unit of a value, e.g. `inuse_space` in `bytes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ValueType {
    /// What is counted.
    pub kind: String,
    /// `count`, `bytes`, `nanoseconds`, …
    pub unit: String,
}

/// Values of one stack.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// Leaf first.
    pub locations: Vec<LocationId>,
    /// One per [`Profile::sample_types`]; already scaled up to the whole program (estimates unless exact).
    pub values: Vec<i64>,
    /// Further keys of the sample.
    pub labels: Vec<Label>,
    /// Counts, variances, lifetimes and cohorts behind the values, where a heapsite recorder made them.
    pub detail: Option<Box<SiteDetail>>,
}

/// A key with a text or a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Label {
    /// The key.
    pub key: String,
    /// The value.
    pub value: LabelValue,
}

impl Label {
    /// A label with a text.
    pub fn text(key: impl Into<String>, text: impl Into<String>) -> Label {
        Label {
            key: key.into(),
            value: LabelValue::Str(text.into()),
        }
    }

    /// A label with a number in `unit`.
    pub fn number(key: impl Into<String>, number: i64, unit: impl Into<String>) -> Label {
        Label {
            key: key.into(),
            value: LabelValue::Num(number, unit.into()),
        }
    }
}

/// The value of a [`Label`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LabelValue {
    /// A text.
    Str(String),
    /// A number with its unit; the unit may be empty.
    Num(i64, String),
}

/// Code loaded from a file into memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// One past the last address.
    pub limit: u64,
    /// Offset of `start` in the file.
    pub offset: u64,
    /// Path as the process knew it, or a name in brackets such as `[vdso]`.
    pub file: String,
    /// GNU build id in hex; empty: none.
    pub build_id: String,
    /// Locations here have been given functions.
    pub has_functions: bool,
    /// Functions here have file names.
    pub has_filenames: bool,
    /// Lines have numbers.
    pub has_line_numbers: bool,
    /// Inlined frames are included.
    pub has_inline_frames: bool,
}

/// A code address: for a caller the return address minus one, so that it lies inside the call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Location {
    /// Where the address lies; `None`: outside of every known mapping.
    pub mapping: Option<MappingId>,
    /// The address in the process.
    pub address: u64,
    /// Innermost inlined function first, the real function last; empty: not symbolised.
    pub lines: Vec<Line>,
    /// Identical code folding: the names may be those of a twin.
    pub is_folded: bool,
}

/// A source position in a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The function.
    pub function: FunctionId,
    /// Line, from 1; 0: unknown.
    pub line: i64,
    /// Column, from 1; 0: unknown.
    pub column: i64,
}

/// A function as the source names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Function {
    /// Demangled, without the hash: `<alloc::vec::Vec<T> as core::clone::Clone>::clone`.
    pub name: String,
    /// The linker's name. Never equal to `name` (pprof would then shorten it); empty: the same.
    pub system_name: String,
    /// Source file, absolute where the debug information tells.
    pub filename: String,
    /// First line of the function; 0: unknown.
    pub start_line: i64,
}

/// Counts of allocations: what was seen, and what it stands for.
///
/// With interval 1 (exact) the estimates equal the counts and the variances are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Sampled allocations, as counted.
    pub objects: u64,
    /// Their requested bytes, as counted.
    pub bytes: u64,
    /// Estimated allocations: the sum of the weights.
    pub objects_estimate: f64,
    /// Estimated requested bytes: the sum of weight × size.
    pub bytes_estimate: f64,
    /// Variance of `objects_estimate`; its square root is the standard error.
    pub objects_variance: f64,
    /// Variance of `bytes_estimate`, bytes².
    pub bytes_variance: f64,
}

/// What a heapsite recorder keeps for one site.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SiteDetail {
    /// Everything ever allocated here.
    pub alloc: Tally,
    /// What has been freed of it.
    pub free: Tally,
    /// What is live: `alloc - free`.
    pub live: Tally,
    /// What was live at the program's high-water mark.
    pub peak: Tally,
    /// Lifetimes of freed allocations.
    pub lifetimes: Vec<LifetimeBucket>,
    /// Live allocations by time of birth and thread.
    pub cohorts: Vec<Cohort>,
    /// Why the stack ends early; `None`: it is whole.
    pub cut: Option<Cut>,
}

/// Freed allocations whose lifetime lay in `[from_nanos, to_nanos)`; buckets double.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LifetimeBucket {
    /// Shortest lifetime.
    pub from_nanos: u64,
    /// One past the longest; `u64::MAX`: no end.
    pub to_nanos: u64,
    /// Sampled allocations, as counted.
    pub objects: u64,
    /// Estimated bytes.
    pub bytes_estimate: f64,
}

/// Live allocations born in `[from_nanos, to_nanos]` (time since the recorder's start) on one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cohort {
    /// Birth of the oldest, nanoseconds since the recorder started.
    pub from_nanos: u64,
    /// Birth of the youngest.
    pub to_nanos: u64,
    /// Index into [`HeapFacts::threads`].
    pub thread: u32,
    /// What is live of them.
    pub live: Tally,
}

/// Why a stack ends before its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Cut {
    /// More frames than are kept.
    Depth,
    /// Code without unwind information (JIT, assembler).
    NoUnwindInfo,
    /// Unwind information that the unwinder does not understand.
    UnknownRule,
    /// The next frame's address cannot be read, or does not lie above the last one.
    BadStack,
}

/// What a recorder knows about itself and its process.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HeapFacts {
    /// Mean bytes between sampled allocations now, or when a pause ends; 1: exact, 0: off, or no heapsite allocator is
    /// installed.
    pub interval: u64,
    /// Every allocation since the start was recorded with interval 1, and nothing was lost.
    pub exact: bool,
    /// Time since the recorder's first event, nanoseconds.
    pub uptime_nanos: u64,
    /// All sites together; `alloc`, `free`, `live`.
    pub alloc: Tally,
    /// Freed, all sites together.
    pub free: Tally,
    /// Live, all sites together.
    pub live: Tally,
    /// Estimated live bytes at the high-water mark.
    pub peak_bytes: f64,
    /// When the high-water mark was reached, nanoseconds since the recorder's start.
    pub peak_nanos: u64,
    /// Bytes requested by all threads, each up to its last look-up: exact, but for up to
    /// [`HeapFacts::requested_slack_bytes`] more.
    pub requested_bytes: u64,
    /// How much may have been requested beyond `requested_bytes`, bytes: 64 KiB for every thread there has been.
    pub requested_slack_bytes: u64,
    /// What could not be recorded, by reason.
    pub losses: Vec<Loss>,
    /// The recorder's own memory.
    pub footprint: Footprint,
    /// The recorder's own time.
    pub cost: Cost,
    /// The process.
    pub process: ProcessFacts,
    /// What the process holds: memory by parts, threads, descriptors. `None` in dumps of older versions and of systems
    /// without `/proc`.
    pub resources: Option<Box<resources::Resources>>,
    /// Names of threads, indexed by [`Cohort::thread`].
    pub threads: Vec<String>,
}

/// Something that could not be recorded.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Loss {
    /// A short stable name such as `live-map-full`.
    pub reason: String,
    /// What it means for the numbers, in a sentence.
    pub meaning: String,
    /// How often.
    pub count: u64,
    /// Estimated bytes concerned; 0 where the reason has none.
    pub bytes_estimate: f64,
}

/// Memory the recorder took for itself, outside of the program's heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Footprint {
    /// Address space taken, bytes (an upper bound of the resident memory): mapped tables, and 2.3 MiB of static ones.
    /// Not in it: about 2.2 KiB per thread.
    pub mapped_bytes: u64,
    /// Resident, bytes, as `mincore` tells.
    pub resident_bytes: u64,
    /// The bound that the mapped tables keep to, bytes.
    pub limit_bytes: u64,
    /// Sites in the table.
    pub sites: u64,
    /// Live sampled allocations in the map.
    pub live_samples: u64,
}

/// Time the recorder took from the program's threads, as it measured itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Cost {
    /// Time spent recording sampled allocations and their frees, all threads together, nanoseconds. Estimated: one event
    /// in 4 is timed, in exact mode one in 256, each chosen at random. Not in it: `look_ups`, at some 10 ns each, and
    /// snapshots.
    pub sampled_nanos: u64,
    /// Standard error of `sampled_nanos`.
    pub sampled_nanos_error: u64,
    /// Events that were timed.
    pub timed_events: u64,
    /// Events that were chosen and left out of `sampled_nanos`, because their thread lost its processor in between (more
    /// than 2^20 cycles of the time-stamp counter).
    pub interrupted_events: u64,
    /// How often a thread had used up its countdown and looked whether to sample: once in 64 KiB of requests, in exact mode
    /// at each. Complete like `requested_bytes`.
    pub look_ups: u64,
    /// Processor time of the whole process, nanoseconds; 0: unknown.
    pub process_cpu_nanos: u64,
}

impl Cost {
    /// `sampled_nanos` as a share of the process's processor time; 0 where either is unknown.
    pub fn share_of_cpu(&self) -> f64 {
        self.sampled_nanos as f64 / self.process_cpu_nanos.max(1) as f64
            * f64::from(self.process_cpu_nanos != 0)
    }
}

/// The process a snapshot was taken from.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ProcessFacts {
    /// Process id.
    pub pid: u32,
    /// The process that recorded the first event, if this is a forked child of it.
    pub forked_from: Option<u32>,
    /// Start of the process, nanoseconds since the Unix epoch (from `/proc`, to a clock tick). For display: the
    /// kernel moves the time of boot when the clock is set.
    pub start_time_nanos: i64,
    /// Start of the process in clock ticks since boot; with `boot_id` and `pid` it says which process this is. 0: unknown.
    pub start_ticks: u64,
    /// The kernel's random id of this boot; empty: unknown.
    pub boot_id: String,
    /// Command line, arguments joined by a space.
    pub command: String,
    /// Path of the program.
    pub executable: String,
    /// Resident set size, bytes: counted page by page (`smaps`), or where the kernel has no such file, approximate.
    pub rss_bytes: u64,
    /// Peak resident set size, bytes; approximate (`VmHWM`: the kernel's own counters lag behind by some pages per
    /// thread).
    pub peak_rss_bytes: u64,
}

impl ProcessFacts {
    /// Whether both are of one process; false where they do not say which they are of.
    pub(crate) fn is_same(&self, other: &ProcessFacts) -> bool {
        if self.pid == 0 || self.pid != other.pid {
            return false;
        }
        let known =
            |process: &ProcessFacts| !process.boot_id.is_empty() && process.start_ticks != 0;
        match known(self) && known(other) {
            true => (&self.boot_id, self.start_ticks) == (&other.boot_id, other.start_ticks),
            // Dumps of older versions.
            false => self.start_time_nanos != 0 && self.start_time_nanos == other.start_time_nanos,
        }
    }
}

impl Tally {
    /// Both together; of independent samples, so variances add up too.
    pub fn plus(self, other: Tally) -> Tally {
        Tally {
            objects: self.objects + other.objects,
            bytes: self.bytes + other.bytes,
            objects_estimate: self.objects_estimate + other.objects_estimate,
            bytes_estimate: self.bytes_estimate + other.bytes_estimate,
            objects_variance: self.objects_variance + other.objects_variance,
            bytes_variance: self.bytes_variance + other.bytes_variance,
        }
    }
}

impl SiteDetail {
    /// Adds another site's counts to this one's: of the same stack, from the same recorder.
    pub(crate) fn add(&mut self, other: &SiteDetail) {
        self.alloc = self.alloc.plus(other.alloc);
        self.free = self.free.plus(other.free);
        self.live = self.live.plus(other.live);
        self.peak = self.peak.plus(other.peak);
        for bucket in &other.lifetimes {
            match self
                .lifetimes
                .iter_mut()
                .find(|own| own.from_nanos == bucket.from_nanos)
            {
                Some(own) => {
                    own.objects += bucket.objects;
                    own.bytes_estimate += bucket.bytes_estimate;
                }
                None => self.lifetimes.push(*bucket),
            }
        }
        self.lifetimes.sort_by_key(|bucket| bucket.from_nanos);
        self.cohorts.extend_from_slice(&other.cohorts);
        self.cohorts
            .sort_by_key(|cohort| (cohort.from_nanos, cohort.thread));
    }
}
