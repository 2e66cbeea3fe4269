//! Profiles as large services leave them: what a handful of stacks does not show.
#![forbid(unsafe_code)]

use heapsite::format::{self, Format};
use heapsite::profile::{LocationId, diff};

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

/// Counts, and keeps the largest piece only.
#[derive(Default)]
struct Sink {
    bytes: usize,
    largest: usize,
}

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes += bytes.len();
        self.largest = self.largest.max(bytes.len());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The formats for other viewers go out as they are made: nobody holds the whole file.
#[test]
fn a_hundred_thousand_stacks_are_written_in_pieces() {
    // No two alike: a number in digits of 100, and twice the same callers.
    let mut profile = one(Shape::of(1));
    let model = profile.samples[0].clone();
    let stack = |number: u32| {
        [
            number % 100,
            100 + number / 100 % 100,
            200 + number / 10_000,
            500,
            600,
            501,
            601,
        ]
    };
    for number in 0..100_000 {
        let mut sample = model.clone();
        sample.locations = stack(number).map(LocationId).to_vec();
        profile.samples.push(sample);
    }
    for format in [
        Format::Speedscope,
        Format::Dhat,
        Format::Callgrind,
        Format::Legacy,
    ] {
        let mut sink = Sink::default();
        format.write(&profile, &mut sink).unwrap();
        assert!(sink.bytes > 256 << 10, "{format}: {} bytes", sink.bytes);
        assert!(
            sink.largest <= 64 << 10,
            "{format}: {} at once",
            sink.largest
        );
    }
}
