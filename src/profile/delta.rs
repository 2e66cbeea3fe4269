//! What happened between two moments of one process, stack by stack.
//!
//! Unlike [`diff`](super::diff), which compares any two profiles by name, this is of one recorder: a stack is its
//! addresses, sites are never forgotten, and the first moment is kept as numbers only.
#![forbid(unsafe_code)]

use hashbrown::HashMap;

use super::{Label, Profile, Sample, told};

/// The values at the first moment.
pub(crate) struct Base {
    time_nanos: i64,
    values: HashMap<(Vec<u64>, Vec<Label>), Vec<i64>>,
}

impl Base {
    /// Of a profile of addresses.
    pub(crate) fn new(profile: &Profile) -> Base {
        let values = profile.samples.iter();
        Base {
            time_nanos: profile.time_nanos,
            values: values
                .map(|sample| (key(profile, sample), sample.values.clone()))
                .collect(),
        }
    }
}

impl Profile {
    /// The difference to `base`, with the time between as its duration; stacks where nothing happened are left out.
    /// Values may be negative. As estimates are rounded before they are subtracted, sums of many may be off by half an
    /// object each.
    ///
    /// What the recorder told of the whole time (variances, facts) goes; comments say how it sampled, and what was lost
    /// since the start.
    pub(crate) fn since(mut self, base: &Base) -> Profile {
        let mut samples = std::mem::take(&mut self.samples);
        for sample in &mut samples {
            if let Some(before) = base.values.get(&key(&self, sample)) {
                for (value, before) in sample.values.iter_mut().zip(before) {
                    *value = value.saturating_sub(*before);
                }
            }
            sample.detail = None;
        }
        self.samples = samples;
        self.duration_nanos = self.time_nanos.saturating_sub(base.time_nanos);
        if let Some(heap) = self.heap.take() {
            let comments = &mut self.comments;
            comments.push(told::sampling(&heap, self.period));
            comments.push(format!(
                "the difference over {:.1} s: what is negative was freed",
                self.duration_nanos as f64 / 1e9
            ));
            comments.push(told::process(heap.process.pid));
            comments.extend(heap.losses.iter().map(told::loss));
        }
        // Fails only for a profile that contradicts itself, and then there is nothing to leave out.
        match self.drop_zeros() {
            Ok(without_zeros) => without_zeros,
            Err(_) => self,
        }
    }
}

fn key(profile: &Profile, sample: &Sample) -> (Vec<u64>, Vec<Label>) {
    let address = |id: &super::LocationId| profile.locations[id.0 as usize].address;
    let stack = sample.locations.iter().map(address).collect();
    (stack, sample.labels.clone())
}

#[cfg(test)]
mod tests {
    use super::super::addresses::Builder;
    use super::super::{HeapFacts, ValueType};
    use super::*;

    fn profile(time_nanos: i64, samples: &[(&[u64], [i64; 2])]) -> Profile {
        let kinds = ["alloc_space", "inuse_space"].map(|kind| ValueType {
            kind: kind.into(),
            unit: "bytes".into(),
        });
        let mut builder = Builder::new(kinds.into(), Vec::new());
        for (stack, values) in samples {
            builder.sample(stack, values.to_vec(), Vec::new(), None);
        }
        let mut profile = builder.finish();
        profile.time_nanos = time_nanos;
        profile.period = 4096;
        profile.heap = Some(Box::new(HeapFacts {
            interval: 4096,
            ..HeapFacts::default()
        }));
        profile
    }

    #[test]
    fn only_what_happened_is_left() {
        let base = Base::new(&profile(
            1_000,
            &[(&[1, 9], [10, 10]), (&[2, 9], [5, 5]), (&[3], [7, 7])],
        ));
        // Another order, and other ids for the same addresses.
        let now = profile(
            4_000,
            &[
                (&[3], [7, 0]),
                (&[4, 9], [2, 1]),
                (&[1, 9], [30, 15]),
                (&[2, 9], [5, 5]),
            ],
        );
        let delta = now.since(&base);
        delta.check().unwrap();
        let rows: Vec<_> = delta
            .samples
            .iter()
            .map(|sample| (key(&delta, sample).0, sample.values.clone()))
            .collect();
        assert_eq!(
            rows,
            [
                (vec![3], vec![0, -7]),
                (vec![4, 9], vec![2, 1]),
                (vec![1, 9], vec![20, 5])
            ]
        );
        assert_eq!((delta.time_nanos, delta.duration_nanos), (4_000, 3_000));
        assert!(delta.heap.is_none());
        assert!(delta.told_sampling().is_some());
        // The stack that is gone has taken its location with it.
        assert!(delta.locations.iter().all(|location| location.address != 2));
    }

    #[test]
    fn labels_tell_stacks_apart() {
        let labelled = |label: &str, value: i64| {
            let mut labelled = profile(1, &[(&[1], [value, 0])]);
            labelled.samples[0].labels = vec![Label::text("thread", label)];
            labelled
        };
        let base = Base::new(&labelled("a", 1));
        assert_eq!(labelled("a", 3).since(&base).samples[0].values, [2, 0]);
        assert_eq!(labelled("b", 3).since(&base).samples[0].values, [3, 0]);
    }
}
