//! Interval 1 equals `dhat` to the byte and the block, per site, on a real workload: syn parses source files
//! of this crate and the trees are kept, serde_json reads and writes a document.
//!
//! Both watch the same work in the same process, one after the other, so that a site is the same addresses
//! in both. A realloc is made an alloc and a free here (the default of `GlobalAlloc`): dhat leaves a grown
//! block with the site that first made it, heapsite gives it to the one that grew it, which is the point of
//! heapsite and not of this test.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};

use heapsite::Heapsite;

const NOBODY: u8 = 0;
const HEAPSITE: u8 = 1;
const DHAT: u8 = 2;

static WATCHING: AtomicU8 = AtomicU8::new(NOBODY);
static EXACT: Heapsite = Heapsite::system().sample_interval(1);
static ORACLE: dhat::Alloc = dhat::Alloc;

/// Passes requests to whoever watches. All three take their memory from the system's allocator, so a block
/// may be freed by another than gave it out.
struct Switch;

/// Never inlined, so that a request made by the same code has the same return address whoever watches.
#[inline(never)]
fn ask_whoever_watches(layout: Layout) -> *mut u8 {
    // SAFETY: only called by `Switch::alloc`, whose caller promises a layout of some size.
    unsafe {
        match WATCHING.load(Ordering::Relaxed) {
            HEAPSITE => EXACT.alloc(layout),
            DHAT => ORACLE.alloc(layout),
            _ => System.alloc(layout),
        }
    }
}

// SAFETY: every request goes to one allocator over `System`, unchanged.
unsafe impl GlobalAlloc for Switch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ask_whoever_watches(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises, passed on unchanged.
        unsafe {
            match WATCHING.load(Ordering::Relaxed) {
                HEAPSITE => EXACT.dealloc(block, layout),
                DHAT => ORACLE.dealloc(block, layout),
                _ => System.dealloc(block, layout),
            }
        }
    }
}

/// Whether a function lies between the program and the allocators: whatever is left of the way there, where the
/// optimiser inlines some of it and makes tail calls of the rest.
fn is_way_to_the_allocator(function: &str) -> bool {
    [
        "__rust_alloc",
        "__rust_realloc",
        "ask_whoever_watches",
        "exact::Switch",
    ]
    .iter()
    .any(|part| function.contains(part))
}

#[global_allocator]
static SWITCH: Switch = Switch;

/// What one site allocated, and what of it was live at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    total_blocks: u64,
    total_bytes: u64,
    live_blocks: u64,
    live_bytes: u64,
}

impl Counts {
    fn add(&mut self, other: Counts) {
        self.total_blocks += other.total_blocks;
        self.total_bytes += other.total_bytes;
        self.live_blocks += other.live_blocks;
        self.live_bytes += other.live_bytes;
    }
}

/// Return addresses from the caller of the allocation to the root, repetitions left out.
type Sites = BTreeMap<Vec<u64>, Counts>;

const SOURCES: [&str; 3] = [
    include_str!("../src/alloc.rs"),
    include_str!("../src/error.rs"),
    include_str!("../src/profile/mod.rs"),
];

/// The workload: what it returns is live at the end.
#[inline(never)]
fn work() -> (Vec<syn::File>, serde_json::Value, String) {
    let trees: Vec<syn::File> = SOURCES
        .iter()
        .map(|source| syn::parse_file(source).expect("this crate's own source"))
        .collect();
    let document: String = format!(
        "[{}]",
        (0..300)
            .map(|n| format!(r#"{{"id":{n},"name":"user {n}","tags":["a","b{n}"]}}"#))
            .collect::<Vec<_>>()
            .join(",")
    );
    let value: serde_json::Value = serde_json::from_str(&document).expect("written just above");
    let text = serde_json::to_string_pretty(&value).expect("a value has no way to fail");
    (trees, value, text)
}

fn main() -> ExitCode {
    println!("running 1 test");
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let mut seen: Vec<Sites> = Vec::new();
    // One call site of `work` for both, so that stacks are equal down to `main`; and a first round for what is
    // only made once.
    for watcher in black_box(vec![NOBODY, HEAPSITE, DHAT]) {
        let oracle = (watcher == DHAT).then(|| {
            dhat::Profiler::builder()
                .trim_backtraces(None)
                .file_name(file.path())
                .build()
        });
        WATCHING.store(watcher, Ordering::SeqCst);
        // syn's positions live in a table that would otherwise grow from round to round.
        proc_macro2::extra::invalidate_current_thread_spans();
        let kept = black_box(work());
        WATCHING.store(NOBODY, Ordering::SeqCst);
        match watcher {
            HEAPSITE => seen.push(by_heapsite()),
            DHAT => {
                drop(oracle);
                seen.push(by_dhat(
                    &std::fs::read_to_string(file.path()).expect("dhat's output"),
                ));
            }
            _ => {}
        }
        // Freed while nobody watches: live at the end for both.
        drop(kept);
    }
    compare(&seen[0], &seen[1]);
    println!("test exact_mode_equals_dhat_per_site ... ok\n\ntest result: ok. 1 passed; 0 failed");
    ExitCode::SUCCESS
}

fn compare(ours: &Sites, theirs: &Sites) {
    let mut total = Counts::default();
    for (stack, counts) in theirs {
        assert_eq!(ours.get(stack), Some(counts), "dhat's site {stack:x?}");
        total.add(*counts);
    }
    assert_eq!(ours.len(), theirs.len(), "sites that dhat does not have");
    println!("{} sites, {total:?}: equal to dhat's", ours.len());
    assert!(
        ours.len() > 500 && total.total_blocks > 10_000,
        "the workload is too small to mean much"
    );
    assert!(total.live_bytes > 100_000 && total.live_bytes < total.total_bytes);
}

fn by_heapsite() -> Sites {
    let snapshot = heapsite::snapshot();
    assert!(
        snapshot.facts.exact,
        "every allocation was recorded: {:?}",
        snapshot.facts.losses
    );
    assert!(
        snapshot
            .facts
            .losses
            .iter()
            .all(|loss| !loss.reason.starts_with("cut-"))
    );
    // Names are only needed to find where the allocator's own frames end.
    let profile = snapshot.to_profile();
    let mut sites = Sites::new();
    for sample in &profile.samples {
        // Return addresses: one past what a profile keeps.
        let locations: Vec<_> = sample
            .locations
            .iter()
            .map(|id| &profile.locations[id.0 as usize])
            .collect();
        let between = |location: &&heapsite::profile::Location| {
            location.lines.last().is_some_and(|line| {
                is_way_to_the_allocator(&profile.functions[line.function.0 as usize].name)
            })
        };
        let first = locations
            .iter()
            .rposition(between)
            .map_or(0, |last| last + 1);
        let mut stack: Vec<u64> = locations[first..]
            .iter()
            .map(|location| location.address + 1)
            .collect();
        // As below, where inlined frames repeat an address and cannot be told from a recursion.
        stack.dedup();
        let detail = sample.detail.as_ref().expect("made by a recorder");
        sites.entry(stack).or_default().add(Counts {
            total_blocks: detail.alloc.objects,
            total_bytes: detail.alloc.bytes,
            live_blocks: detail.live.objects,
            live_bytes: detail.live.bytes,
        });
        // Exact: estimates are the counts.
        assert_eq!(detail.live.bytes as f64, detail.live.bytes_estimate);
        assert_eq!(sample.values[3], detail.live.bytes as i64);
        assert_eq!(detail.live.bytes_variance, 0.0);
    }
    sites
}

/// dhat's file: program points `pps` whose frames `fs` index `ftbl`; a frame reads `0xADDRESS: name (file:line:column)`.
fn by_dhat(text: &str) -> Sites {
    let output: serde_json::Value = serde_json::from_str(text).expect("dhat writes JSON");
    let frames: Vec<&str> = output["ftbl"]
        .as_array()
        .expect("a table")
        .iter()
        .map(|f| f.as_str().expect("a text"))
        .collect();
    let mut sites = Sites::new();
    for point in output["pps"].as_array().expect("a list") {
        let number = |key: &str| point[key].as_u64().expect(key);
        let stack: Vec<&str> = point["fs"]
            .as_array()
            .expect("frames")
            .iter()
            .map(|index| frames[index.as_u64().expect("an index") as usize])
            .collect();
        // Rootward of the last allocator frame, dhat's own included.
        let first = stack
            .iter()
            .rposition(|frame| is_way_to_the_allocator(frame) || frame.contains("(dhat-"))
            .map_or(0, |last| last + 1);
        let mut addresses: Vec<u64> = stack[first..].iter().map(|frame| address(frame)).collect();
        // Inlined frames repeat their address.
        addresses.dedup();
        sites.entry(addresses).or_default().add(Counts {
            total_blocks: number("tbk"),
            total_bytes: number("tb"),
            live_blocks: number("ebk"),
            live_bytes: number("eb"),
        });
    }
    sites
}

fn address(frame: &str) -> u64 {
    let hex = frame
        .split(':')
        .next()
        .and_then(|text| text.strip_prefix("0x"))
        .expect(frame);
    u64::from_str_radix(hex, 16).expect(frame)
}
