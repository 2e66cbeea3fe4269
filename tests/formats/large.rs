//! Profiles as large services leave them: what a handful of stacks does not show.
#![forbid(unsafe_code)]

use heapsite::format::{self, Format};
use heapsite::profile::diff;

use crate::call_tree::{Shape, one, pair};
use crate::round_trip::written;

#[test]
fn thousands_of_stacks_come_back() {
    let profile = one(Shape::of(3_000));
    for format in [Format::Pprof, Format::Json] {
        let back = format::read(&written(format, &profile)).unwrap();
        assert_eq!(back.samples, profile.samples, "{format}");
        assert_eq!(back.locations, profile.locations, "{format}");
        assert_eq!(back.functions, profile.functions, "{format}");
    }
}

#[test]
fn half_of_the_stacks_of_a_pair_are_in_both() {
    let (base, new) = pair(Shape::of(2_000));
    let diff = diff::diff(&base, &new, &diff::Options::default()).unwrap();
    assert_eq!(diff.profile.samples.len(), 3_000);
    let sum = |profile: &heapsite::profile::Profile| -> i64 {
        profile.samples.iter().map(|sample| sample.values[3]).sum()
    };
    assert_eq!(sum(&diff.profile), sum(&new) - sum(&base));
}
