//! What several scenarios ask of a snapshot.
#![forbid(unsafe_code)]

use std::thread::ScopedJoinHandle;

use heapsite::internals;
use heapsite::profile::Tally;

use crate::inner;

/// Allocates what the runtime keeps for ever (thread handles, output buffers) before recording begins.
pub(crate) fn warm_up() {
    println!("scenario");
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(vec![1u8; 3]))
        .join()
        .unwrap()
        .unwrap();
    drop(receiver);
    drop(heapsite::snapshot());
}

/// Switches recording on, after [`warm_up`].
pub(crate) fn start(interval: u64) {
    warm_up();
    internals::set_seed(0x5eed);
    heapsite::set_sample_interval(interval);
}

/// Waits until the threads are gone. The end of a scope does not: it waits for their closures only, and a
/// thread frees its handle after that.
pub(crate) fn join_all<'a>(threads: impl IntoIterator<Item = ScopedJoinHandle<'a, ()>>) {
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

/// Every sampled allocation has been freed, at every site, and nothing was lost on the way.
pub(crate) fn assert_all_settled() {
    assert_settled_but_for(&[]);
}

/// Every sampled allocation has been freed, at every site; only losses of these kinds happened (and cuts).
pub(crate) fn assert_settled_but_for(allowed: &[&str]) {
    heapsite::set_sample_interval(0);
    let snapshot = heapsite::snapshot();
    for site in &snapshot.sites {
        let detail = &site.detail;
        assert_eq!(
            detail.live,
            Tally::default(),
            "live at {:x?}",
            snapshot.stack(site)
        );
        assert_eq!(
            (detail.alloc.objects, detail.alloc.bytes),
            (detail.free.objects, detail.free.bytes)
        );
        assert_eq!(
            detail.alloc.bytes_estimate, detail.free.bytes_estimate,
            "weights of birth and death"
        );
        assert_eq!(detail.alloc.objects_estimate, detail.free.objects_estimate);
        let ended: u64 = detail.lifetimes.iter().map(|bucket| bucket.objects).sum();
        assert_eq!(ended, detail.free.objects, "each free has a lifetime");
    }
    assert_eq!(internals::live_samples(), 0);
    for loss in &snapshot.facts.losses {
        let is_cut = loss.reason.starts_with("cut-");
        assert!(
            is_cut || loss.reason == "own-work" || allowed.contains(&loss.reason.as_str()),
            "{} lost: {}",
            loss.count,
            loss.reason
        );
    }
}

/// What was granted since `before`, in exact mode: recorded, or counted as lost for one of these reasons.
///
/// Call with nothing else running.
pub(crate) fn assert_adds_up(before: (u64, u64), whole_losses: &[&str]) {
    let now = inner::granted();
    let facts = heapsite::snapshot().facts;
    let lost = whole_losses
        .iter()
        .flat_map(|name| facts.losses.iter().filter(move |loss| loss.reason == *name))
        .fold((0, 0.0), |(count, bytes), loss| {
            (count + loss.count, bytes + loss.bytes_estimate)
        });
    assert_eq!(
        facts.alloc.objects + lost.0,
        now.0 - before.0,
        "objects: recorded + lost = granted"
    );
    assert_eq!(
        facts.alloc.bytes + lost.1 as u64,
        now.1 - before.1,
        "bytes: recorded + lost = granted"
    );
}

/// How often something of this kind was lost.
pub(crate) fn lost(name: &str) -> u64 {
    internals::loss(name).expect("a known reason")
}

/// Resident bytes of this process, counted page by page: `statm` may lag behind by some pages per thread.
pub(crate) fn resident_bytes() -> u64 {
    memory_line("smaps_rollup", "Rss:")
}

/// A `kB` line of a file about this process, bytes.
pub(crate) fn memory_line(file: &str, key: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).expect("procfs");
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .expect("a number")
        * 1024
}

/// Numbers that look random and are the same every time (Knuth's 64-bit linear congruence).
pub(crate) struct Numbers(pub u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// Mostly small, sometimes up to 64 KiB: from 1.
    pub(crate) fn size(&mut self) -> usize {
        let bits = self.below(17);
        1 + self.below(1 << bits) as usize
    }
}
