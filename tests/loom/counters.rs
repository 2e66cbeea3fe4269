//! A site's counters: each thread's own set, and the one for everybody else.

use loom::sync::Arc;
use loom::thread;

use crate::check;
use crate::mem::Zeroable;
use crate::record::counters::Spare;
use crate::record::sampler::Weight;
use crate::record::site::Site;
use crate::sync::lane::{self, Lane};

fn alloc(spare: &Spare, site: &Site, lane: u32, exact: bool) {
    let weight = weight(exact);
    let mine = site
        .counters(spare, Lane::from_number(lane), weight)
        .expect("room for all");
    site.count_alloc(spare, mine, 8, weight, 0);
}

fn free(spare: &Spare, site: &Site, lane: u32, exact: bool) {
    assert!(site.count_free(spare, Lane::from_number(lane), 8, weight(exact), 1, 0));
}

fn weight(exact: bool) -> Weight {
    Weight::new(8, if exact { 1 } else { 64 })
}

/// Two threads that record everything count at once; nothing is lost.
#[test]
fn each_counts_in_its_own() {
    check(|| {
        let both = Arc::new((Spare::new(), Site::zeroed()));
        let other = {
            let both = both.clone();
            thread::spawn(move || alloc(&both.0, &both.1, 1, true))
        };
        alloc(&both.0, &both.1, 0, true);
        other.join().unwrap();
        let read = both.1.read(&both.0, 0);
        assert_eq!((read.alloc.objects, read.alloc.bytes), (2, 16));
    });
}

/// A thread with counters of its own, and two without: those add to the same ones, which one of them made, and nothing
/// is lost.
#[test]
fn everybody_else_shares() {
    check(|| {
        let both = Arc::new((Spare::new(), Site::zeroed()));
        alloc(&both.0, &both.1, 0, true);
        let other = {
            let both = both.clone();
            thread::spawn(move || alloc(&both.0, &both.1, lane::OWN as u32, true))
        };
        alloc(&both.0, &both.1, lane::OWN as u32 + 1, true);
        other.join().unwrap();
        let read = both.1.read(&both.0, 0);
        assert_eq!((read.alloc.objects, read.alloc.bytes), (3, 24));
    });
}

/// One thread allocates and another frees, each in its own counters: a reader never sees a free without its allocation.
#[test]
fn a_free_is_not_seen_before_its_allocation() {
    check(|| {
        let both = Arc::new((Spare::new(), Site::zeroed()));
        let writer = {
            let both = both.clone();
            thread::spawn(move || {
                alloc(&both.0, &both.1, 0, true);
                let freeing = both.clone();
                thread::spawn(move || free(&freeing.0, &freeing.1, 1, true))
                    .join()
                    .unwrap();
            })
        };
        let read = both.1.read(&both.0, 0);
        assert!(read.free.objects <= read.alloc.objects, "{read:?}");
        writer.join().unwrap();
        let read = both.1.read(&both.0, 0);
        assert_eq!((read.alloc.objects, read.free.objects), (1, 1));
    });
}

/// Sampling threads and one that records everything meet at a new site.
#[test]
fn sampled_and_exact_meet() {
    check(|| {
        let both = Arc::new((Spare::new(), Site::zeroed()));
        let other = {
            let both = both.clone();
            thread::spawn(move || alloc(&both.0, &both.1, 1, false))
        };
        alloc(&both.0, &both.1, 0, true);
        free(&both.0, &both.1, 0, true);
        other.join().unwrap();
        let read = both.1.read(&both.0, 0);
        assert_eq!((read.alloc.objects, read.free.objects), (2, 1));
    });
}
