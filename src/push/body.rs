//! A push's body: named, and within the server's limits.
#![forbid(unsafe_code)]

use super::names::Names;
use crate::error::Result;
use crate::format::pprof;
use crate::profile::Profile;
use crate::symbolize;

/// `max-profile-stacktrace-samples` of a Pyroscope server as it is installed.
pub(super) const MOST_SAMPLES: usize = 16_000;

/// What is sent.
pub(super) struct Body {
    /// pprof, compressed.
    pub(super) bytes: Vec<u8>,
    /// How many stacks were merged into one, to stay within the limits.
    pub(super) merged: usize,
    /// What its addresses are called.
    pub(super) names: Names,
}

/// Of a profile of this process's addresses, some of which are known: at most `most_samples` samples and `most_bytes` bytes
/// before compression.
///
/// # Errors
/// The profile contradicts itself.
pub(super) fn encode(
    profile: &Profile,
    known: &Names,
    most_bytes: u64,
    most_samples: usize,
) -> Result<Body> {
    // First of all, so that nothing is named that is not sent.
    let (mut named, merged) = profile.condense(most_samples)?;
    let (names, report) = known.complete(&mut named);
    let comments = named.comments.clone();
    let mut named = symbolize::finish(named, &report);
    // Without how many names were looked up: only those that are new.
    named.comments = comments;
    let (mut bytes, mut unpacked) = pprof::to_vec(&named)?;
    let (mut keep, mut also_merged) = (named.samples.len(), 0);
    while unpacked > most_bytes && keep > 1 {
        let share = most_bytes as f64 / unpacked as f64;
        // A little less than should do: samples that stay are not smaller than those that go.
        keep = ((keep as f64 * share * 0.9) as usize).max(1);
        let (smaller, merged) = named.condense(keep)?;
        (bytes, unpacked) = pprof::to_vec(&smaller)?;
        also_merged = merged;
    }
    Ok(Body {
        bytes,
        merged: merged + also_merged,
        names,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ValueType;
    use crate::profile::addresses::Builder;

    #[test]
    fn a_body_fits_and_its_sums_stay() {
        let kind = ValueType {
            kind: "inuse_space".into(),
            unit: "bytes".into(),
        };
        let mut builder = Builder::new(vec![kind], Vec::new());
        for n in 1..=5_000 {
            builder.sample(
                &[10 * n, 10 * n + 1, 7 + n % 100],
                vec![n as i64],
                Vec::new(),
                None,
            );
        }
        let profile = builder.finish();
        let sum = |profile: &Profile| -> i64 { profile.samples.iter().map(|s| s.values[0]).sum() };
        for (most_bytes, most_samples) in [
            (u64::MAX, 5_000),
            (u64::MAX, 4_999),
            (50_000, 5_000),
            (50_000, 100),
            (1_000, 3),
            (0, 9),
        ] {
            let body = encode(&profile, &Names::default(), most_bytes, most_samples).unwrap();
            let read = pprof::read(&body.bytes).unwrap();
            assert_eq!(sum(&read), sum(&profile));
            assert!(read.samples.len() <= most_samples);
            let size = pprof::to_vec(&read).unwrap().1;
            // There is always one sample, whatever the bound.
            assert!(size <= most_bytes || read.samples.len() == 1, "{size}");
            assert_eq!(body.merged == 0, read.samples.len() == 5_000);
            assert!(body.merged >= 5_000 - read.samples.len());
        }
    }
}
