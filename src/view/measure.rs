//! One number of a profile and what is known of its error.
#![forbid(unsafe_code)]

use super::scale::Scale;
use crate::profile::growth::guess_variance;
use crate::profile::named::TASKS;
use crate::profile::told::Sampling;
use crate::profile::{Profile, Sample, SiteDetail, Tally, ValueType};
use crate::{Error, Result};

/// A sum of sample values, with the variance of its estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measure {
    /// The sum, in the unit of its sample type. An estimate unless the profile is exact.
    pub value: i64,
    /// Variance of `value`, unit²; 0 where the value is exact or nothing is known (see [`Quality`]).
    pub variance: f64,
    /// Sampled allocations behind the value; itself an estimate where the profile has no raw counts.
    pub sampled: f64,
}

impl Measure {
    /// The square root of the variance.
    pub fn standard_error(&self) -> f64 {
        self.variance.max(0.0).sqrt()
    }

    /// The same below zero, as what is subtracted; its error stays.
    pub(crate) fn negative(self) -> Measure {
        Measure {
            value: self.value.saturating_neg(),
            ..self
        }
    }

    pub(crate) fn add(&mut self, other: Measure) {
        self.value = self.value.saturating_add(other.value);
        self.variance += other.variance;
        self.sampled += other.sampled;
    }
}

/// How far the values of a profile can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// Every allocation was recorded.
    Exact,
    /// Estimated; the recorder kept the variance of each stack.
    Recorded {
        /// Mean bytes between sampled allocations.
        interval: u64,
    },
    /// Estimated; the variance is worked out here from the mean size of each stack and the interval. Right
    /// where a stack allocates one size, too small where it mixes sizes. Where the profile counts no objects, a bound
    /// that holds for every size: bytes × interval.
    Derived {
        /// Mean bytes between sampled allocations.
        interval: u64,
    },
    /// The profile does not say how it was sampled: no error can be given.
    Unknown,
}

impl Quality {
    /// The mean bytes between sampled allocations, where values are estimates.
    pub fn interval(self) -> Option<u64> {
        match self {
            Quality::Recorded { interval } | Quality::Derived { interval } => Some(interval),
            Quality::Exact | Quality::Unknown => None,
        }
    }

    /// A standard error can be given (it is 0 for exact values).
    pub fn has_error(self) -> bool {
        self != Quality::Unknown
    }

    /// `exact`, `recorded`, `derived` or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Quality::Exact => "exact",
            Quality::Recorded { .. } => "recorded",
            Quality::Derived { .. } => "derived",
            Quality::Unknown => "unknown",
        }
    }
}

/// One of a profile's sample types, chosen for a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// What is counted and in which unit.
    pub value_type: ValueType,
    /// Whether values are exact, and where their errors come from.
    pub quality: Quality,
    /// The unit to write them in.
    pub scale: Scale,
    /// What a profile counts that has each of them, such as `tasks`.
    things: Option<&'static str>,
    index: usize,
    facet: Facet,
    /// Indices of the objects (if they are counted) and the bytes that belong together, for derived variances.
    pair: Option<(Option<usize>, usize)>,
}

/// The part of a [`SiteDetail`] that stands behind a sample type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Facet {
    AllocObjects,
    AllocSpace,
    InuseObjects,
    InuseSpace,
    Other,
}

impl Facet {
    fn of(kind: &str) -> Facet {
        match kind {
            "alloc_objects" => Facet::AllocObjects,
            "alloc_space" => Facet::AllocSpace,
            "inuse_objects" | "objects" => Facet::InuseObjects,
            "inuse_space" | "space" => Facet::InuseSpace,
            _ => Facet::Other,
        }
    }

    /// Only what is live; the recorder knows birth times and threads for it.
    pub(crate) fn is_live(self) -> bool {
        matches!(self, Facet::InuseObjects | Facet::InuseSpace)
    }

    pub(crate) fn is_objects(self) -> bool {
        matches!(self, Facet::AllocObjects | Facet::InuseObjects)
    }

    fn tally(self, detail: &SiteDetail) -> Option<&Tally> {
        match self {
            Facet::AllocObjects | Facet::AllocSpace => Some(&detail.alloc),
            Facet::InuseObjects | Facet::InuseSpace => Some(&detail.live),
            Facet::Other => None,
        }
    }
}

impl Value {
    /// All samples of the profile together.
    pub(crate) fn total(&self, profile: &Profile) -> Measure {
        let mut total = Measure::default();
        for sample in &profile.samples {
            total.add(self.of(sample));
        }
        total
    }

    /// The sample type named `kind`, or the profile's default where `kind` is `None`.
    ///
    /// # Errors
    /// Input error that lists the sample types there are, if `kind` is none of them.
    pub fn find(profile: &Profile, kind: Option<&str>) -> Result<Value> {
        let types = &profile.sample_types;
        let have = || {
            let names: Vec<&str> = types.iter().map(|t| t.kind.as_str()).collect();
            names.join(", ")
        };
        if types.is_empty() {
            return Err(Error::input(
                "the profile has no sample types, so it holds no values",
            ));
        }
        let default = Some(profile.default_sample_type.as_str()).filter(|name| !name.is_empty());
        let index = match kind {
            Some(kind) => find(types, kind).ok_or_else(|| {
                Error::input(format!(
                    "no sample type `{kind}` in this profile; it has: {}",
                    have()
                ))
            })?,
            None => default
                .and_then(|name| find(types, name))
                .unwrap_or(types.len() - 1),
        };
        let value_type = types[index].clone();
        let facet = Facet::of(&value_type.kind);
        let pair = pair(types, facet);
        let quality = quality(profile, facet, pair.is_some());
        Ok(Value {
            value_type,
            quality,
            scale: Scale::default(),
            things: is_census(profile).then(|| things(profile)),
            index,
            facet,
            pair,
        })
    }

    /// The name of the sample type, such as `inuse_space`.
    pub fn kind(&self) -> &str {
        &self.value_type.kind
    }

    /// What a profile counts that has each of them: `tasks`, `threads`, `goroutines`. `None`: allocations are measured.
    pub fn things(&self) -> Option<&'static str> {
        self.things
    }

    /// The unit of the sample type, such as `bytes`.
    pub fn unit(&self) -> &str {
        &self.value_type.unit
    }

    pub(crate) fn facet(&self) -> Facet {
        self.facet
    }

    /// This value of one sample.
    pub fn of(&self, sample: &Sample) -> Measure {
        let value = sample.values.get(self.index).copied().unwrap_or(0);
        let tally = sample
            .detail
            .as_deref()
            .and_then(|detail| self.facet.tally(detail));
        match (self.quality, tally) {
            (_, Some(tally)) => Measure {
                value,
                ..self.of_tally(tally)
            },
            (Quality::Recorded { interval } | Quality::Derived { interval }, None) => {
                let (variance, sampled) = self.derive(sample, interval);
                Measure {
                    value,
                    variance,
                    sampled,
                }
            }
            (Quality::Exact, None) => Measure {
                value,
                variance: 0.0,
                sampled: self.objects(sample),
            },
            (Quality::Unknown, None) => Measure {
                value,
                variance: 0.0,
                sampled: 0.0,
            },
        }
    }

    /// This value of a tally, such as a cohort's. Only for the sample types a recorder keeps.
    pub(crate) fn of_tally(&self, tally: &Tally) -> Measure {
        let (value, variance) = if self.facet.is_objects() {
            (tally.objects_estimate, tally.objects_variance)
        } else {
            (tally.bytes_estimate, tally.bytes_variance)
        };
        Measure {
            value: value.round() as i64,
            variance,
            sampled: tally.objects as f64,
        }
    }

    fn objects(&self, sample: &Sample) -> f64 {
        let objects = self
            .pair
            .and_then(|(objects, _)| sample.values.get(objects?));
        objects.map_or(0.0, |objects| objects.unsigned_abs() as f64)
    }

    /// Variance and number of sampled allocations for a stack of which only estimates are known: with mean
    /// size s and interval R each allocation was chosen with p = 1 − exp(−s/R), so n̂ estimated allocations
    /// come from n̂·p sampled ones and Var(n̂) ≈ n̂·(1/p − 1).
    fn derive(&self, sample: &Sample, interval: u64) -> (f64, f64) {
        let Some((objects, bytes)) = self.pair else {
            return (0.0, 0.0);
        };
        let get = |index: usize| sample.values.get(index).copied().unwrap_or(0);
        let (objects, bytes) = (objects.map(get), get(bytes));
        let period = interval.max(1) as f64;
        let (of_objects, of_bytes) = guess_variance(objects, Some(bytes), period);
        let variance = if self.facet.is_objects() {
            of_objects
        } else {
            of_bytes
        };
        let bytes = bytes.unsigned_abs() as f64;
        let sampled = match objects.map_or(0.0, |objects| objects.unsigned_abs() as f64) {
            // Not counted: as many as if all were small.
            0.0 => bytes / period,
            objects => -objects * (-bytes / objects / period).exp_m1(),
        };
        (variance.unwrap_or(0.0), sampled)
    }
}

fn find(types: &[ValueType], kind: &str) -> Option<usize> {
    let position = |kind: &str| types.iter().position(|t| t.kind == kind);
    // jemalloc's and older profiles hold live memory only and call it plainly `objects` and `space`.
    let alias = match kind {
        "inuse_objects" => "objects",
        "inuse_space" => "space",
        _ => return position(kind),
    };
    position(kind).or_else(|| position(alias))
}

fn pair(types: &[ValueType], facet: Facet) -> Option<(Option<usize>, usize)> {
    let (objects, bytes) = match facet {
        Facet::AllocObjects | Facet::AllocSpace => ("alloc_objects", "alloc_space"),
        Facet::InuseObjects | Facet::InuseSpace => ("inuse_objects", "inuse_space"),
        Facet::Other => return None,
    };
    let objects = find(types, objects);
    // Without the objects the bytes still have a bound; without the bytes nothing is known of the objects.
    Some((objects, find(types, bytes)?))
}

/// A profile that counts each thing there is, as those of goroutines, tasks and threads do: one in one.
fn is_census(profile: &Profile) -> bool {
    let counts = |of: &ValueType| of.unit == "count" && profile.period_type.as_ref() == Some(of);
    profile.period == 1
        && profile.sample_types.len() == 1
        && profile.sample_types.iter().all(counts)
}

/// heapsite's tasks have Go's name for goroutines, and say what they are in a comment.
fn things(profile: &Profile) -> &'static str {
    let kind = profile
        .sample_types
        .first()
        .map_or("", |of| of.kind.as_str());
    let is_ours = || profile.comments.iter().any(|it| it.starts_with(TASKS));
    match kind {
        "goroutine" if is_ours() => "tasks",
        "goroutine" => "goroutines",
        "threadcreate" => "threads",
        _ => "things",
    }
}

fn quality(profile: &Profile, facet: Facet, paired: bool) -> Quality {
    if facet == Facet::Other {
        return match is_census(profile) {
            true => Quality::Exact,
            false => Quality::Unknown,
        };
    }
    let by_space = profile
        .period_type
        .as_ref()
        .is_some_and(|t| t.kind == "space" && t.unit == "bytes");
    let period = profile.period.max(0) as u64;
    if let Some(heap) = &profile.heap {
        if heap.exact {
            return Quality::Exact;
        }
        if profile.samples.iter().all(|sample| sample.detail.is_some()) {
            // The period is the larger one where intervals were mixed.
            let interval = if by_space {
                heap.interval.max(period)
            } else {
                heap.interval
            };
            return Quality::Recorded { interval };
        }
    }
    let told = profile.told_sampling();
    let is_exact = profile.heap.is_none() && matches!(told, None | Some(Sampling::Exact));
    match (period, told) {
        _ if !by_space => Quality::Unknown,
        (1, _) if is_exact => Quality::Exact,
        // Every allocation is recorded now, but not since the start: no interval says what is missing.
        (0 | 1, _) => Quality::Unknown,
        _ if !paired => Quality::Unknown,
        // What was freed may have been sampled at another interval than what is live.
        (
            period,
            Some(Sampling::Estimated {
                largest: Some(largest),
            }),
        ) if !facet.is_live() => {
            let interval = period.max(largest);
            Quality::Derived { interval }
        }
        (interval, _) => Quality::Derived { interval },
    }
}
