//! What heapsite writes keeps the rules of [`backends`](crate::backends), and those find what breaks them.
#![forbid(unsafe_code)]

use heapsite::format::Format;
use proptest::prelude::*;

use crate::backends::{check_file, check_snapshot};
use crate::generate::{by_hand, wild};
use crate::round_trip::written;

proptest! {
    #![proptest_config(crate::generate::cases(300))]

    #[test]
    fn every_file_keeps_the_rules(profile in wild()) {
        check_file(&written(Format::Pprof, &profile));
    }
}

#[test]
fn a_snapshot_keeps_the_rules() {
    check_snapshot(&written(Format::Pprof, &by_hand()));
}

#[test]
fn the_rules_find_what_breaks_them() {
    let breaks = |change: &dyn Fn(&mut heapsite::Profile)| {
        let mut profile = by_hand();
        change(&mut profile);
        let bytes = written(Format::Pprof, &profile);
        std::panic::catch_unwind(|| check_snapshot(&bytes)).is_err()
    };
    assert!(!breaks(&|_| {}));
    assert!(breaks(&|p| p.locations[1].address = p.locations[0].address));
    assert!(breaks(&|p| p.locations[1].address = 1));
    assert!(breaks(&|p| p.samples.push(p.samples[0].clone())));
    assert!(breaks(&|p| p.period_type = None));
    assert!(breaks(&|p| p.sample_types.swap(0, 1)));
}
