//! The error of one stack's growth, as [`crate::profile::growth`] derives it.
#![forbid(unsafe_code)]

use crate::profile::growth::{Basis, Growth, guess_variance};
use crate::profile::told::Sampling;
use crate::profile::{Profile, Sample, SiteDetail, Tally};

/// One stack in one sample type.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    pub(super) base: i64,
    pub(super) new: i64,
    /// Variances of both ends added up; after [`Cell::settle`] the variance of the difference.
    variance: f64,
    /// The bound that holds within one process: what both ends have seen cancels.
    since_base: f64,
    basis: Basis,
}

impl Cell {
    /// Chooses the bound, once all samples have been added.
    pub(super) fn settle(&mut self, same_process: bool) {
        // Only recorded variances cancel; rounding may leave a trace below 0.
        if same_process && self.basis <= Basis::Recorded {
            self.variance = self.variance.min(self.since_base.max(0.0));
        }
    }

    pub(super) fn growth(&self) -> Growth {
        Growth::new(self.base, self.new, self.variance, self.basis)
    }
}

/// The sample types whose error can be told.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    AllocObjects,
    AllocSpace,
    InuseObjects,
    InuseSpace,
    Other,
}

impl Kind {
    fn of(name: &str) -> Kind {
        match name {
            "alloc_objects" => Kind::AllocObjects,
            "alloc_space" => Kind::AllocSpace,
            // Profiles that hold live memory only may call it plainly so.
            "inuse_objects" | "objects" => Kind::InuseObjects,
            "inuse_space" | "space" => Kind::InuseSpace,
            _ => Kind::Other,
        }
    }

    fn is_objects(self) -> bool {
        matches!(self, Kind::AllocObjects | Kind::InuseObjects)
    }

    fn is_alloc(self) -> bool {
        matches!(self, Kind::AllocObjects | Kind::AllocSpace)
    }
}

/// Where one profile's variances come from.
pub(super) struct Variances {
    kinds: Vec<Kind>,
    exact: bool,
    /// Mean bytes between samples; `None`: the profile does not tell.
    period: Option<f64>,
}

impl Variances {
    pub(super) fn new(profile: &Profile) -> Variances {
        let counts_bytes = profile
            .period_type
            .as_ref()
            .is_some_and(|t| t.kind == "space" && t.unit == "bytes");
        let period = (counts_bytes && profile.period > 0).then_some(profile.period);
        Variances {
            kinds: profile
                .sample_types
                .iter()
                .map(|kind| Kind::of(&kind.kind))
                .collect(),
            exact: match &profile.heap {
                Some(heap) => heap.exact,
                None => {
                    period == Some(1)
                        && matches!(profile.told_sampling(), None | Some(Sampling::Exact))
                }
            },
            // An interval of 1 that was not in force since the start says nothing about what is missing.
            period: period
                .filter(|&period| period > 1)
                .map(|period| period as f64),
        }
    }

    /// Adds a sample's value in `column` to its side of the cell.
    pub(super) fn add(&self, cell: &mut Cell, sample: &Sample, column: usize, is_new: bool) {
        let value = sample.values[column];
        let side = if is_new {
            &mut cell.new
        } else {
            &mut cell.base
        };
        *side = side.saturating_add(value);

        let kind = self.kinds[column];
        let basis = match &sample.detail {
            _ if self.exact => Basis::Exact,
            Some(detail) if kind != Kind::Other => {
                let (ends, since_base) = recorded(detail, kind, is_new);
                cell.variance += ends;
                cell.since_base += since_base;
                Basis::Recorded
            }
            _ => match self.guess(sample, kind) {
                Some(variance) => {
                    cell.variance += variance;
                    Basis::Approximate
                }
                None => Basis::Unknown,
            },
        };
        cell.basis = cell.basis.max(basis);
    }

    fn guess(&self, sample: &Sample, kind: Kind) -> Option<f64> {
        let value = |kind| Some(sample.values[self.kinds.iter().position(|&k| k == kind)?]);
        let period = self.period?;
        let (objects, bytes) = match kind {
            Kind::Other => return None,
            kind if kind.is_alloc() => (value(Kind::AllocObjects), value(Kind::AllocSpace)),
            _ => (value(Kind::InuseObjects), value(Kind::InuseSpace)),
        };
        let (of_objects, of_bytes) = guess_variance(objects, bytes, period);
        if kind.is_objects() {
            of_objects
        } else {
            of_bytes
        }
    }
}

/// What one side adds to the variance of both ends, and to the variance since the base.
fn recorded(detail: &SiteDetail, kind: Kind, is_new: bool) -> (f64, f64) {
    let of = |tally: &Tally| match kind.is_objects() {
        true => tally.objects_variance,
        false => tally.bytes_variance,
    };
    let (ends, ever) = match kind.is_alloc() {
        true => (of(&detail.alloc), of(&detail.alloc)),
        false => (of(&detail.live), of(&detail.alloc) + of(&detail.free)),
    };
    (ends, if is_new { ever } else { -ever })
}
