//! Lines that allocate over and over and keep nothing.
//!
//! Every service allocates per request, so allocating is no fault by itself. A line is named if it makes a large
//! share of everything that was allocated between two snapshots, beyond its error, and at most a tenth of that is still
//! live. It has to be a line of the application (or of a dependency unknown to the plumbing table): what a runtime or
//! codec allocates for its own ends is not for the reader to change.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use crate::profile::Profile;
use crate::view::growth::{Growth, Sum, growth};
use crate::view::key::{Role, role};
use crate::view::measure::Value;
use crate::view::significance::Verdict;
use crate::view::{Blame, By, Frame, Key, count};
use crate::{Error, Result};

/// The most that may still be live of what is called churn.
const KEPT: f64 = 0.1;

/// A line that allocates over and over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Churn {
    /// The line.
    pub frame: Frame,
    /// Bytes it allocated between the snapshots; an estimate unless both are exact.
    pub bytes: i64,
    /// Standard error of `bytes` (one σ); 0: exact.
    pub std_error: f64,
    /// Its share of all bytes allocated between the snapshots, from 0 to 1.
    pub share: f64,
    /// Mean lifetime of what it has freed since the start, nanoseconds; approximate. `None`: the profile has no
    /// lifetimes.
    pub mean_lifetime_nanos: Option<f64>,
}

/// Lines with at least `share` (from 0 to 1) of all bytes allocated from `base` to `new`, the largest first. `level`
/// bounds how often sampling alone has any line named that allocated nothing.
///
/// # Errors
/// Input error if the profiles are not of one process in order, or lack `alloc_space` or `inuse_space`.
pub fn churn(base: &Profile, new: &Profile, share: f64, level: f64) -> Result<Vec<Churn>> {
    let compare = |kind| -> Result<Growth> {
        growth(
            base,
            new,
            Some(kind),
            By::Line,
            Blame::Application,
            Sum::Flat,
        )
    };
    let (allocated, live) = (compare("alloc_space")?, compare("inuse_space")?);
    if !allocated.same_process {
        return Err(Error::input(
            "churn is told from two profiles of one process in order",
        ));
    }
    let kept: HashMap<&Key, i64> = live
        .rows
        .iter()
        .map(|row| (&row.key, row.change.growth))
        .collect();
    let value = Value::find(new, Some("alloc_space"))?;
    let counted = count(new, &value, By::Line, Blame::Application)?;
    let lifetimes: HashMap<&Key, Option<f64>> = counted
        .rows
        .iter()
        .map(|row| (&row.key, row.mean_lifetime()))
        .collect();

    let total = allocated.total.growth as f64;
    let mut found = Vec::new();
    for row in &allocated.rows {
        let Some(frame) = row.key.frame() else {
            continue;
        };
        let change = &row.change;
        let beyond = match change.verdict {
            Verdict::Exact => change.growth > 0,
            _ => change.growth > 0 && change.p.is_some_and(|p| p <= level),
        };
        let bytes = change.growth as f64;
        let kept = kept.get(&row.key).copied().unwrap_or(0) as f64;
        if beyond
            && bytes >= share * total
            && kept <= KEPT * bytes
            && role(frame) == Role::Application
        {
            found.push(Churn {
                frame: frame.clone(),
                bytes: change.growth,
                std_error: change.standard_error(),
                share: bytes / total,
                mean_lifetime_nanos: lifetimes.get(&row.key).copied().flatten(),
            });
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leak::testing::{Row, profile};

    fn lines(base: &[Row], new: &[Row]) -> Vec<i64> {
        let found = churn(&profile(1, base), &profile(2, new), 0.1, 1e-6).unwrap();
        found.iter().map(|churn| churn.frame.line).collect()
    }

    fn row(function: &'static str, line: i64, allocated: i64, live: i64) -> Row {
        Row {
            allocated,
            live,
            ..Row::new(function, line)
        }
    }

    #[test]
    fn much_allocated_and_little_kept() {
        let new = [
            row("shop::decode", 1, 2_000, 0),
            row("shop::render", 2, 5_000, 100),
            row("shop::cache", 3, 3_000, 3_000),   // kept
            row("shop::log", 4, 50, 0),            // little
            row("alloc::vec::clone", 5, 9_000, 0), // not the application's
        ];
        assert_eq!(lines(&[], &new), [2, 1]);
        // What came before the base does not count.
        assert_eq!(lines(&new[..2], &new), [0i64; 0]);
        let found = churn(&profile(1, &[]), &profile(2, &new[..2]), 0.1, 1e-6).unwrap();
        assert_eq!((found[0].bytes, found[0].share), (5_000, 5.0 / 7.0));
        // The mean of 1 to 2 µs, spread evenly over its logarithm.
        let mean = found[0].mean_lifetime_nanos.unwrap();
        assert!((mean - 1000.0 / 2f64.ln()).abs() < 1.0, "{mean}");
    }

    #[test]
    fn beyond_its_error() {
        let uncertain = |variance| Row {
            variance,
            ..row("shop::decode", 1, 6_000, 0)
        };
        assert_eq!(lines(&[], &[uncertain(1e6)]), [1]); // 6 standard errors
        assert_eq!(lines(&[], &[uncertain(2e6)]), [0i64; 0]);
        let error = churn(&profile(2, &[]), &profile(1, &[]), 0.1, 1e-6).unwrap_err();
        assert!(error.to_string().contains("one process in order"));
    }
}
