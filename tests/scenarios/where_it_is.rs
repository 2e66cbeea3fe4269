//! Known amounts of memory in known places: each shows in its part of what is resident, and the parts add up.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use heapsite::profile::resources::{HeldMemory, MemoryParts, Resources};

use crate::checks::start;

const MIB: usize = 1 << 20;
const PAGE: usize = 4096;

/// What heapsite says of this process, after a look at whether it adds up.
fn look() -> Resources {
    let facts = heapsite::snapshot().facts;
    let resources = *facts.resources.expect("procfs");
    let parts = resources.memory;
    let sum: i64 = parts.parts().iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(sum, parts.rss_bytes as i64, "{parts:#?}");
    assert_eq!(facts.process.rss_bytes, parts.rss_bytes);
    assert_eq!(parts.live_bytes, facts.live.bytes_estimate.round() as u64);
    resources
}

/// The second of two looks: what a look itself takes from the allocator is there by then.
fn settled_look() -> Resources {
    look();
    look()
}

/// `after - before` lies within `slack` of `placed`, in MiB; other parts' numbers are shown when it does not.
fn assert_grew(
    what: &str,
    placed: f64,
    slack: f64,
    [before, after]: [i64; 2],
    all: [&Resources; 2],
) {
    let grew = (after - before) as f64 / MIB as f64;
    assert!(
        (grew - placed).abs() <= slack,
        "{what} grew by {grew:.2} MiB, not by {placed} ± {slack}: {:#?}",
        all.map(|resources| (resources.memory, &resources.allocators))
    );
}

/// The part that `of` names grew by so many MiB.
fn grew(
    what: &str,
    placed: f64,
    slack: f64,
    of: impl Fn(&MemoryParts) -> i64,
    all: [&Resources; 2],
) {
    assert_grew(what, placed, slack, all.map(|one| of(&one.memory)), all);
}

/// Blocks of `size` bytes, each of them written to.
fn fill(bytes: usize, size: usize) -> Vec<Vec<u8>> {
    (0..bytes / size).map(|_| vec![1u8; size]).collect()
}

/// New private memory past every allocator, written to.
fn map(bytes: usize, file: Option<&File>) -> *mut u8 {
    let (flags, fd) = match file {
        Some(file) => (libc::MAP_SHARED, file.as_raw_fd()),
        None => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1),
    };
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, flags, fd, 0) };
    assert_ne!(start, libc::MAP_FAILED);
    let start = start.cast::<u8>();
    for page in (0..bytes).step_by(PAGE) {
        // SAFETY: inside the new mapping, which nobody else knows.
        unsafe { start.add(page).write_volatile(1) };
    }
    start
}

fn global(resources: &Resources) -> &HeldMemory {
    let mut globals = resources.allocators.iter().filter(|held| held.is_global);
    let global = globals.next().expect("the global allocator is known");
    assert!(globals.next().is_none(), "{:#?}", resources.allocators);
    global
}

/// Live heap: 64 MiB in blocks of 1,000 bytes.
///
/// Estimates: of 64 MiB at one sample per 4 KiB the standard error is 0.5 MiB, so 4 MiB are 8 of them.
pub(crate) fn live(interval: u64) {
    start(interval);
    let before = settled_look();
    let blocks = fill(64 * MIB, 1_000);
    let after = look();
    let all = [&before, &after];
    grew("live", 64.0, 4.0, |parts| parts.live_bytes as i64, all);
    // Rounding to 1,008 or 1,024 bytes and the list of blocks (24 bytes each, 1.5 MiB, up to twice).
    grew(
        "live and held",
        68.0,
        5.0,
        |parts| parts.live_bytes as i64 + parts.held_bytes(),
        all,
    );
    // jemalloc tells an upper bound of what is resident, 1 to 2 MiB above it.
    grew(
        "unexplained",
        0.0,
        3.0,
        |parts| parts.unexplained_bytes,
        all,
    );
    drop(black_box(blocks));
}

/// Freed and kept: of 128 MiB every second block of 1,000 bytes is freed, so that no page becomes empty. A large block beside
/// them has a mapping of its own.
pub(crate) fn free(interval: u64) {
    start(interval);
    let large = vec![1u8; 80 * MIB];
    let mut blocks = fill(128 * MIB, 1_000);
    let before = settled_look();
    for block in blocks.iter_mut().step_by(2) {
        *block = Vec::new();
    }
    let after = look();
    let all = [&before, &after];
    grew("live", -64.0, 4.0, |parts| parts.live_bytes as i64, all);
    // With what the snapshot took for its copies: 32,000 live samples are copied, and mimalloc keeps the room.
    grew("held", 64.0, 12.0, MemoryParts::held_bytes, all);
    grew("resident", 0.0, 8.0, |parts| parts.rss_bytes as i64, all);
    grew(
        "unexplained",
        0.0,
        3.0,
        |parts| parts.unexplained_bytes,
        all,
    );
    drop(black_box((blocks, large)));
}

/// 32 MiB that somebody maps past every allocator are nobody's, wherever the kernel puts them.
pub(crate) fn unexplained(interval: u64) {
    start(interval);
    let kept = fill(8 * MIB, 1_000);
    let before = settled_look();
    map(32 * MIB, None);
    let after = look();
    let all = [&before, &after];
    grew(
        "unexplained",
        32.0,
        1.0,
        |parts| parts.unexplained_bytes,
        all,
    );
    // mimalloc takes and gives back 2 MiB now and then while a snapshot is made.
    let rest = |parts: &MemoryParts| parts.rss_bytes as i64 - parts.unexplained_bytes;
    grew("the rest", 0.0, 5.0, rest, all);
    drop(black_box(kept));
}

/// A thread that has used 16 MiB of its stack, right below somebody's mapping.
pub(crate) fn stacks(interval: u64) {
    start(interval);
    let before = settled_look();
    map(8 * MIB, None);
    let (deep, is_deep) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    let thread = thread::Builder::new()
        .name("deep".into())
        .stack_size(64 * MIB);
    let thread = thread.spawn(move || {
        let page = [1u8; 16 * MIB];
        black_box(&page);
        deep.send(()).unwrap();
        let _ = ends.recv();
        black_box(&page);
    });
    is_deep.recv().unwrap();
    let after = look();
    let all = [&before, &after];
    // An unoptimised build may copy the array once more, on the same stack.
    let grown = (after.memory.stacks_bytes - before.memory.stacks_bytes) as f64 / MIB as f64;
    let placed = if grown > 24.0 { 32.0 } else { 16.0 };
    grew(
        "stacks",
        placed,
        0.5,
        |parts| parts.stacks_bytes as i64,
        all,
    );
    grew(
        "unexplained",
        8.0,
        1.0,
        |parts| parts.unexplained_bytes,
        all,
    );
    let names: Vec<&str> = after
        .threads
        .iter()
        .map(|part| part.name.as_str())
        .collect();
    assert!(names.contains(&"deep"), "{names:?}");
    assert_eq!(after.thread_count(), before.thread_count() + 1);
    drop(end);
    thread.unwrap().join().unwrap();
}

/// A mapped file, shared memory, and open descriptors.
pub(crate) fn files(interval: u64) {
    start(interval);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![7; 16 * MIB]).unwrap();
    // SAFETY: a new file in memory, with a name that ends in zero.
    let memory = unsafe { libc::memfd_create(c"heapsite".as_ptr(), 0) };
    assert!(memory >= 0);
    // SAFETY: ours, and open.
    let memory = unsafe { <File as std::os::fd::FromRawFd>::from_raw_fd(memory) };
    memory.set_len(4 * MIB as u64).unwrap();
    let before = settled_look();
    map(16 * MIB, Some(&file));
    map(4 * MIB, Some(&memory));
    let pipes: Vec<_> = (0..5).map(|_| std::io::pipe().unwrap()).collect();
    let after = look();
    let all = [&before, &after];
    grew("files", 16.0, 0.5, |parts| parts.files_bytes as i64, all);
    grew("shared", 4.0, 0.5, |parts| parts.shared_bytes as i64, all);
    grew(
        "unexplained",
        0.0,
        1.0,
        |parts| parts.unexplained_bytes,
        all,
    );
    let kind = |of: &Resources, kind: &str| {
        let found = of.fds.iter().find(|part| part.name == kind);
        found.map_or(0, |part| part.count)
    };
    assert_eq!(kind(&after, "pipe"), kind(&before, "pipe") + 10);
    assert_eq!(
        (kind(&after, "memfd"), after.fd_count()),
        (1, before.fd_count() + 10)
    );
    drop(pipes);
}

/// Blocks that were asked for and never written to: live, not resident, and below zero in what is unexplained.
pub(crate) fn untouched(interval: u64) {
    start(interval);
    let before = settled_look();
    let mut block: Vec<u8> = Vec::with_capacity(256 * MIB);
    black_box(&mut block);
    let after = look();
    let all = [&before, &after];
    grew("resident", 0.0, 2.0, |parts| parts.rss_bytes as i64, all);
    grew("live", 256.0, 0.1, |parts| parts.live_bytes as i64, all);
    grew(
        "live and unexplained",
        0.0,
        3.0,
        |p| p.live_bytes as i64 + p.unexplained_bytes,
        all,
    );
}

/// Threads have arenas of their own in glibc; what is free in them is glibc's, not unexplained.
pub(crate) fn arenas(interval: u64) {
    start(interval);
    let before = settled_look();
    let (end, ends) = mpsc::channel::<()>();
    let ends = std::sync::Mutex::new(ends);
    thread::scope(|scope| {
        let (full, is_full) = mpsc::channel();
        for _ in 0..3 {
            let (full, ends) = (full.clone(), &ends);
            scope.spawn(move || {
                let mut blocks = fill(80 * MIB, 1_000); // more than one heap of 64 MiB
                for block in blocks.iter_mut().step_by(2) {
                    *block = Vec::new();
                }
                full.send(()).unwrap();
                let _ = ends.lock().unwrap().recv();
                drop(black_box(blocks));
            });
        }
        (0..3).for_each(|_| is_full.recv().unwrap());
        let after = look();
        let all = [&before, &after];
        grew("live", 120.0, 10.0, |p| p.live_bytes as i64, all);
        grew("held", 120.0, 14.0, MemoryParts::held_bytes, all);
        grew("unexplained", 0.0, 1.0, |p| p.unexplained_bytes, all);
        drop(end);
    });
}

/// The global allocator is recognised, and only it.
pub(crate) fn global_is_known(interval: u64) {
    start(interval);
    let kept = fill(8 * MIB, 1_000);
    // Also where heapsite's own work has its memory from an arena, as in a dump.
    for resources in [look(), heapsite::internals::in_scratch(look)] {
        is_known(&resources);
    }
    drop(black_box(kept));
}

fn is_known(resources: &Resources) {
    let inner = std::env::var("HEAPSITE_SCENARIO_INNER").unwrap();
    let name = if inner == "system" { "glibc" } else { &inner };
    assert_eq!(global(resources).name, name);
    let now = heapsite::stats();
    let process = now.process.expect("procfs");
    assert_eq!(global(&process).name, name);
    let sum: i64 = process.memory.parts().iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(sum, process.memory.rss_bytes as i64);
    assert_eq!(process.memory.live_bytes, now.live.bytes.round() as u64);
    assert_eq!(heapsite::stats::heap().process, None);
    assert!(global(resources).resident_bytes >= 8 * MIB as u64);
}

/// What is freed and kept goes back when the allocator is asked, by whatever thread: 128 MiB in blocks of 1,000 bytes, of
/// which only the last one, the highest, stays.
///
/// How much is kept until then is the allocator's choice: jemalloc lets go of all within ten seconds, mimalloc within
/// milliseconds of its next request. So what is asked of the test is what is left.
pub(crate) fn given_back(interval: u64) {
    start(interval);
    let inner = std::env::var("HEAPSITE_SCENARIO_INNER").unwrap();
    let empty = settled_look();
    let mut blocks = fill(128 * MIB, 1_000);
    let last = blocks.pop();
    drop(blocks);
    let kept = look();
    let asked = thread::spawn(heapsite::stats::give_memory_back);
    let asked = asked.join().unwrap();
    let after = look();
    let rss = [&empty, &kept, &after].map(|look| look.memory.rss_bytes / MIB as u64);
    println!("{asked:?} asked: MiB at first, kept, left {rss:?}");
    let wanted = if inner == "system" { "glibc" } else { &inner };
    let of_features = [
        ("jemalloc", cfg!(feature = "jemalloc")),
        ("mimalloc", cfg!(feature = "mimalloc")),
    ];
    let can = of_features.iter().all(|(name, on)| *on || *name != wanted);
    assert_eq!(asked.iter().any(|name| name == wanted), can, "{asked:?}");
    if can {
        let all = [&empty, &after];
        grew("resident", 0.0, 12.0, |parts| parts.rss_bytes as i64, all);
        grew("held", 0.0, 12.0, MemoryParts::held_bytes, all);
    }
    drop(black_box(last));
}

/// A program's own allocator is asked, too, as heapsite's own work.
pub(crate) fn registered_is_asked(interval: u64) {
    static ASKED: AtomicBool = AtomicBool::new(false);
    struct Pool;
    impl heapsite::stats::Allocator for Pool {
        fn name(&self) -> &str {
            "pool"
        }
        fn count(&self) -> heapsite::stats::AllocatorCount {
            heapsite::stats::AllocatorCount::default()
        }
        fn holds(&self, _address: usize) -> Option<bool> {
            None
        }
        fn give_back(&self) -> bool {
            black_box(vec![1u8; MIB]);
            ASKED.store(true, Ordering::Relaxed);
            true
        }
    }
    start(interval);
    let live = || heapsite::snapshot().facts.alloc.objects;
    heapsite::stats::register_allocator(&Pool).unwrap();
    let before = live();
    let asked = heapsite::stats::give_memory_back();
    assert_eq!(live(), before);
    assert!(asked.iter().any(|name| name == "pool") && ASKED.load(Ordering::Relaxed));
}
