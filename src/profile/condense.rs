//! Fits a profile into a number of samples: the smallest become one.
#![forbid(unsafe_code)]

use super::filter::rebuild;
use super::{Function, FunctionId, Line, Location, LocationId, Profile, Sample};
use crate::error::Result;

/// What the small ones are called together.
const OTHER: &str = "[other: stacks too small to be told apart]";

/// Where no code can be, and none of the notes of an address profile is.
const OTHER_ADDRESS: u64 = 7;

impl Profile {
    /// The same profile with at most `most` samples (at least 1), and how many were merged into one, which has one frame
    /// in words for a stack. Sums stay.
    ///
    /// The smallest by share: of each sample type's sum, all types together. So what is large by any measure stays.
    ///
    /// # Errors
    /// The profile is not whole ([`Profile::check`]).
    pub(crate) fn condense(&self, most: usize) -> Result<(Profile, usize)> {
        self.check()?;
        let kept = most.max(1) - 1;
        if self.samples.len() <= kept + 1 {
            return Ok((self.clone(), 0));
        }
        let mut stays = vec![false; self.samples.len()];
        for index in by_share(self).into_iter().take(kept) {
            stays[index] = true;
        }
        let mut with_other = self.clone();
        let other = add_other(&mut with_other);
        let cuts = stays.iter().zip(&self.samples).map(|(&stays, sample)| {
            // One of the two is empty.
            let own: &[LocationId] = if stays { &sample.locations } else { &[] };
            let merged: &[LocationId] = if stays { &[] } else { &other };
            Some(own.iter().chain(merged).copied())
        });
        let condensed = rebuild(&with_other, &with_other.locations, cuts, true);
        Ok((condensed, self.samples.len() - kept))
    }
}

/// Indexes of samples, the largest share first; of equal ones the first.
fn by_share(profile: &Profile) -> Vec<usize> {
    let mut sums = vec![0.0; profile.sample_types.len()];
    for sample in &profile.samples {
        for (sum, &value) in sums.iter_mut().zip(&sample.values) {
            *sum += (value as f64).abs();
        }
    }
    let share = |sample: &Sample| -> f64 {
        let of_sum = |(&value, &sum): (&i64, &f64)| match sum > 0.0 {
            true => (value as f64).abs() / sum,
            false => 0.0,
        };
        sample.values.iter().zip(&sums).map(of_sum).sum()
    };
    let mut shares: Vec<(f64, usize)> = profile.samples.iter().map(share).zip(0..).collect();
    shares.sort_by(|(a, a_index), (b, b_index)| b.total_cmp(a).then(a_index.cmp(b_index)));
    shares.into_iter().map(|(_, index)| index).collect()
}

fn add_other(profile: &mut Profile) -> [LocationId; 1] {
    let function = FunctionId(profile.functions.len() as u32);
    profile.functions.push(Function {
        name: OTHER.to_owned(),
        ..Function::default()
    });
    let location = LocationId(profile.locations.len() as u32);
    profile.locations.push(Location {
        address: OTHER_ADDRESS,
        lines: vec![Line {
            function,
            line: 0,
            column: 0,
        }],
        ..Location::default()
    });
    [location]
}

#[cfg(test)]
mod tests {
    use super::super::addresses::Builder;
    use super::super::{ValueType, told};
    use super::*;

    /// Stack number `n` has `n` objects and, the other way round, `100 - n` bytes.
    fn profile(stacks: i64) -> Profile {
        let kinds = ["objects", "space"].map(|kind| ValueType {
            kind: kind.into(),
            unit: kind.into(),
        });
        let mut builder = Builder::new(kinds.into(), Vec::new());
        for n in 1..=stacks {
            let stack = [1000 + n as u64, 99];
            builder.sample(&stack, vec![n, 100 - n], Vec::new(), None);
        }
        let mut profile = builder.finish();
        profile.comments.push(told::EXACT.to_owned());
        profile
    }

    fn sums(profile: &Profile) -> Vec<i64> {
        let of = |kind| profile.samples.iter().map(|s| s.values[kind]).sum();
        vec![of(0), of(1)]
    }

    fn leaves(profile: &Profile) -> Vec<u64> {
        let leaf = |s: &Sample| profile.locations[s.locations[0].0 as usize].address;
        let mut leaves: Vec<u64> = profile.samples.iter().map(leaf).collect();
        leaves.sort_unstable();
        leaves
    }

    #[test]
    fn sums_stay_whatever_is_merged() {
        let whole = profile(50);
        for most in 0..60 {
            let (condensed, merged) = whole.condense(most).unwrap();
            condensed.check().unwrap();
            assert_eq!(sums(&condensed), sums(&whole), "{most}");
            let left = condensed.samples.len();
            assert_eq!(left, most.clamp(1, 50));
            let expected = if most >= 50 { 0 } else { 50 - left + 1 };
            assert_eq!(merged, expected);
            assert_eq!(condensed.comments, whole.comments);
        }
    }

    #[test]
    fn the_largest_stay_and_the_names_of_the_others_go() {
        let mut whole = profile(4);
        // One is large in objects, another one in bytes.
        whole.samples[0].values = vec![1000, 0];
        whole.samples[2].values = vec![0, 1_000_000];
        let (condensed, merged) = whole.condense(3).unwrap();
        assert_eq!(merged, 2);
        assert_eq!(leaves(&condensed), [OTHER_ADDRESS, 1001, 1003]);
        // What nobody refers to has gone: addresses 1002 and 1004.
        assert_eq!(condensed.locations.len(), 4);
        assert_eq!(condensed.functions.len(), 1);
        // And again, as it happens when the result is still too large.
        let (again, _) = condensed.condense(2).unwrap();
        again.check().unwrap();
        assert_eq!(sums(&again), sums(&whole));
        assert_eq!(again.samples.len(), 2);
    }
}
