//! Lines that made the high-water mark: what they held then and have let go of since.
//!
//! A line is named if it held more at the mark than it does now, beyond its error, and the difference is a large share
//! of all that is live now. What it held at both moments is the same samples, so the variance of
//! the difference is at most the sum of the two. The mark moves in steps of one percent, and where sampling is on it is
//! the highest *estimate*, which of many equal peaks leans to the one that chance made look highest.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use crate::profile::growth::{bonferroni, two_sided_p};
use crate::profile::{Profile, Tally};
use crate::view::key::{Role, role};
use crate::view::measure::{Measure, Value};
use crate::view::{Blame, By, Count, Frame, Key, count};
use crate::{Error, Result};

/// A line that made the high-water mark.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Held {
    /// The line.
    pub frame: Frame,
    /// Bytes it held at the mark; an estimate unless the profile is exact.
    pub peak: i64,
    /// Bytes it holds now.
    pub live: i64,
    /// Standard error of `peak`, bytes (one σ); 0: exact.
    pub std_error: f64,
}

/// Application lines that held at the high-water mark, beyond what they hold now, at least `share` (1: as much) of all
/// that is live now; the largest first. `level` bounds how often sampling alone has any line named.
///
/// # Errors
/// Input error if the profile lacks `inuse_space`, or what heapsite's JSON dumps keep about the peak.
pub fn held_at_peak(profile: &Profile, share: f64, level: f64) -> Result<Vec<Held>> {
    if profile.samples.iter().any(|sample| sample.detail.is_none()) {
        return Err(Error::input(
            "the profile does not say what was live at the peak; heapsite's JSON dumps do",
        ));
    }
    let then = by_line(&at_peak(profile))?;
    let now = by_line(profile)?;
    let live: HashMap<&Key, Measure> = now.rows.iter().map(|row| (&row.key, row.flat)).collect();
    let mut found = Vec::new();
    for row in &then.rows {
        let Some(frame) = row.key.frame() else {
            continue;
        };
        let (peak, live) = (row.flat, live.get(&row.key).copied().unwrap_or_default());
        let excess = peak.value.saturating_sub(live.value) as f64;
        // Infinite where there is no error.
        let z = excess / (peak.variance + live.variance).sqrt();
        if excess > 0.0
            && excess >= share * now.total.value as f64
            && bonferroni(two_sided_p(z), then.rows.len()) <= level
            && role(frame) == Role::Application
        {
            found.push(Held {
                frame: frame.clone(),
                peak: peak.value,
                live: live.value,
                std_error: peak.standard_error(),
            });
        }
    }
    found.sort_by(|a, b| (b.peak, &a.frame).cmp(&(a.peak, &b.frame)));
    Ok(found)
}

fn by_line(profile: &Profile) -> Result<Count> {
    let value = Value::find(profile, Some("inuse_space"))?;
    count(profile, &value, By::Line, Blame::Application)
}

/// The profile with what was live at the high-water mark in the place of what is live now.
fn at_peak(profile: &Profile) -> Profile {
    let mut profile = profile.clone();
    let kinds: Vec<String> = profile
        .sample_types
        .iter()
        .map(|value_type| value_type.kind.clone())
        .collect();
    for sample in &mut profile.samples {
        let peak = sample
            .detail
            .as_deref()
            .map_or_else(Tally::default, |detail| detail.peak);
        for (value, kind) in sample.values.iter_mut().zip(&kinds) {
            match kind.as_str() {
                "inuse_objects" => *value = peak.objects_estimate.round() as i64,
                "inuse_space" => *value = peak.bytes_estimate.round() as i64,
                _ => {}
            }
        }
        if let Some(detail) = sample.detail.as_deref_mut() {
            detail.live = peak;
            detail.cohorts.clear();
        }
    }
    profile
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leak::testing::{Row, profile};

    fn lines(rows: &[Row]) -> Vec<i64> {
        let found = held_at_peak(&profile(1, rows), 1.0, 1e-6).unwrap();
        found.iter().map(|held| held.frame.line).collect()
    }

    fn row(function: &'static str, line: i64, peak: i64, live: i64) -> Row {
        Row {
            peak,
            live,
            ..Row::new(function, line)
        }
    }

    #[test]
    fn who_held_much_and_let_it_go() {
        let rows = [
            row("shop::open", 1, 3_000, 0),
            row("shop::lock", 2, 5_000, 0),
            row("shop::index", 3, 2_000, 2_000), // always there
            row("shop::read", 4, 1_000, 0),      // half of what is live
            row("alloc::vec::push", 5, 9_000, 0),
        ];
        assert_eq!(lines(&rows), [2, 1]);
        let found = held_at_peak(&profile(1, &rows), 1.0, 1e-6).unwrap();
        assert_eq!((found[0].peak, found[0].live), (5_000, 0));
    }

    #[test]
    fn beyond_its_error() {
        let uncertain = |variance| Row {
            variance,
            ..row("shop::open", 1, 6_000, 0)
        };
        assert_eq!(lines(&[uncertain(5e5)]), [1]); // 6 standard errors, of both ends
        assert_eq!(lines(&[uncertain(1e6)]), [0i64; 0]);
        let mut bare = profile(1, &[uncertain(0.0)]);
        bare.samples[0].detail = None;
        let error = held_at_peak(&bare, 1.0, 1e-6).unwrap_err();
        assert!(error.to_string().contains("live at the peak"));
    }
}
