//! The schema: one struct per object, one tuple struct per row. Texts that repeat are indexes into `strings`.
#![forbid(unsafe_code)]

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::profile::resources::Resources;
use crate::profile::{
    Cohort, Cost, Cut, Footprint, HeapFacts, LifetimeBucket, Loss, ProcessFacts, Tally,
};

/// The whole file, as read. The writer puts out the same keys without building this.
#[derive(Deserialize)]
pub(super) struct Document {
    pub(super) schema: String,
    pub(super) sample_types: Vec<ValueTypeRow>,
    #[serde(default)]
    pub(super) default_sample_type: String,
    #[serde(default)]
    pub(super) period_type: Option<ValueTypeRow>,
    #[serde(default)]
    pub(super) period: i64,
    #[serde(default)]
    pub(super) time_nanos: i64,
    #[serde(default)]
    pub(super) duration_nanos: i64,
    #[serde(default)]
    pub(super) drop_frames: String,
    #[serde(default)]
    pub(super) keep_frames: String,
    #[serde(default)]
    pub(super) comments: Vec<String>,
    #[serde(default)]
    pub(super) doc_url: String,
    #[serde(default)]
    pub(super) heap: Option<HeapObject>,
    pub(super) strings: Vec<String>,
    pub(super) mappings: Vec<MappingObject>,
    pub(super) functions: Vec<FunctionRow>,
    pub(super) locations: Vec<LocationObject>,
    pub(super) samples: Vec<SampleObject>,
}

/// `["inuse_space", "bytes"]`
#[derive(Serialize, Deserialize)]
pub(super) struct ValueTypeRow(pub(super) String, pub(super) String);

#[derive(Serialize, Deserialize)]
pub(super) struct MappingObject {
    pub(super) start: u64,
    pub(super) limit: u64,
    pub(super) offset: u64,
    pub(super) file: String,
    #[serde(default)]
    pub(super) build_id: String,
    #[serde(default)]
    pub(super) has_functions: bool,
    #[serde(default)]
    pub(super) has_filenames: bool,
    #[serde(default)]
    pub(super) has_line_numbers: bool,
    #[serde(default)]
    pub(super) has_inline_frames: bool,
}

/// `[name, system_name, filename, start_line]`, texts as indexes.
#[derive(Serialize, Deserialize)]
pub(super) struct FunctionRow(
    pub(super) u32,
    pub(super) u32,
    pub(super) u32,
    pub(super) i64,
);

#[derive(Serialize, Deserialize)]
pub(super) struct LocationObject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mapping: Option<u32>,
    pub(super) address: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) lines: Vec<LineRow>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) is_folded: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// `[function, line, column]`
#[derive(Serialize, Deserialize)]
pub(super) struct LineRow(pub(super) u32, pub(super) i64, pub(super) i64);

#[derive(Deserialize)]
pub(super) struct SampleObject {
    pub(super) stack: Vec<u32>,
    pub(super) values: Vec<i64>,
    #[serde(default)]
    pub(super) labels: Vec<LabelObject>,
    #[serde(default)]
    pub(super) detail: Option<Box<DetailObject>>,
}

/// `{"key": 3, "text": 4}` or `{"key": 3, "number": 64, "unit": 5}`, texts as indexes.
#[derive(Serialize, Deserialize)]
pub(super) struct LabelObject {
    pub(super) key: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unit: Option<u32>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DetailObject {
    #[serde(with = "TallyRow")]
    pub(super) alloc: Tally,
    #[serde(with = "TallyRow")]
    pub(super) free: Tally,
    #[serde(with = "TallyRow")]
    pub(super) live: Tally,
    #[serde(with = "TallyRow")]
    pub(super) peak: Tally,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) lifetimes: Vec<LifetimeRow>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) cohorts: Vec<CohortRow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) cut: Option<CutName>,
}

/// `[objects, bytes, objects_estimate, bytes_estimate, objects_variance, bytes_variance]`
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct TallyRow(u64, u64, Real, Real, Real, Real);

impl TallyRow {
    fn serialize<S: Serializer>(tally: &Tally, serializer: S) -> Result<S::Ok, S::Error> {
        Serialize::serialize(&TallyRow::from(*tally), serializer)
    }

    fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tally, D::Error> {
        <TallyRow as Deserialize>::deserialize(deserializer).map(Tally::from)
    }
}

impl From<Tally> for TallyRow {
    fn from(t: Tally) -> TallyRow {
        let estimates = (Real(t.objects_estimate), Real(t.bytes_estimate));
        let variances = (Real(t.objects_variance), Real(t.bytes_variance));
        TallyRow(
            t.objects,
            t.bytes,
            estimates.0,
            estimates.1,
            variances.0,
            variances.1,
        )
    }
}

impl From<TallyRow> for Tally {
    fn from(row: TallyRow) -> Tally {
        Tally {
            objects: row.0,
            bytes: row.1,
            objects_estimate: row.2.0,
            bytes_estimate: row.3.0,
            objects_variance: row.4.0,
            bytes_variance: row.5.0,
        }
    }
}

/// `[from_nanos, to_nanos, objects, bytes_estimate]`
#[derive(Serialize, Deserialize)]
pub(super) struct LifetimeRow(u64, u64, u64, Real);

impl From<&LifetimeBucket> for LifetimeRow {
    fn from(bucket: &LifetimeBucket) -> LifetimeRow {
        let LifetimeBucket {
            from_nanos,
            to_nanos,
            objects,
            bytes_estimate,
        } = *bucket;
        LifetimeRow(from_nanos, to_nanos, objects, Real(bytes_estimate))
    }
}

impl From<LifetimeRow> for LifetimeBucket {
    fn from(row: LifetimeRow) -> LifetimeBucket {
        LifetimeBucket {
            from_nanos: row.0,
            to_nanos: row.1,
            objects: row.2,
            bytes_estimate: row.3.0,
        }
    }
}

/// `[from_nanos, to_nanos, thread, tally]`
#[derive(Serialize, Deserialize)]
pub(super) struct CohortRow(u64, u64, u32, TallyRow);

impl From<&Cohort> for CohortRow {
    fn from(cohort: &Cohort) -> CohortRow {
        CohortRow(
            cohort.from_nanos,
            cohort.to_nanos,
            cohort.thread,
            cohort.live.into(),
        )
    }
}

impl From<CohortRow> for Cohort {
    fn from(row: CohortRow) -> Cohort {
        Cohort {
            from_nanos: row.0,
            to_nanos: row.1,
            thread: row.2,
            live: row.3.into(),
        }
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(remote = "Cut", rename_all = "kebab-case")]
enum CutNames {
    Depth,
    NoUnwindInfo,
    UnknownRule,
    BadStack,
}

/// `"depth"`, `"no-unwind-info"`, …
#[derive(Serialize, Deserialize)]
pub(super) struct CutName(#[serde(with = "CutNames")] pub(super) Cut);

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct HeapObject(#[serde(with = "HeapFields")] pub(super) HeapFacts);

#[derive(Serialize, Deserialize)]
#[serde(remote = "HeapFacts")]
struct HeapFields {
    interval: u64,
    exact: bool,
    uptime_nanos: u64,
    #[serde(with = "TallyRow")]
    alloc: Tally,
    #[serde(with = "TallyRow")]
    free: Tally,
    #[serde(with = "TallyRow")]
    live: Tally,
    #[serde(with = "real")]
    peak_bytes: f64,
    peak_nanos: u64,
    requested_bytes: u64,
    requested_slack_bytes: u64,
    #[serde(with = "losses")]
    losses: Vec<Loss>,
    #[serde(with = "FootprintFields")]
    footprint: Footprint,
    #[serde(with = "CostFields", default, skip_serializing_if = "is_no_cost")]
    cost: Cost,
    #[serde(with = "ProcessFields")]
    process: ProcessFacts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resources: Option<Box<Resources>>,
    threads: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Footprint")]
struct FootprintFields {
    mapped_bytes: u64,
    resident_bytes: u64,
    limit_bytes: u64,
    sites: u64,
    live_samples: u64,
}

/// Absent from files of versions that did not measure it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Cost")]
struct CostFields {
    sampled_nanos: u64,
    sampled_nanos_error: u64,
    timed_events: u64,
    interrupted_events: u64,
    look_ups: u64,
    process_cpu_nanos: u64,
}

fn is_no_cost(cost: &Cost) -> bool {
    *cost == Cost::default()
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProcessFacts")]
struct ProcessFields {
    pid: u32,
    forked_from: Option<u32>,
    start_time_nanos: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    start_ticks: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    boot_id: String,
    command: String,
    executable: String,
    rss_bytes: u64,
    peak_rss_bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Loss")]
struct LossFields {
    reason: String,
    meaning: String,
    count: u64,
    #[serde(with = "real")]
    bytes_estimate: f64,
}

mod losses {
    use super::{Deserialize, Deserializer, Loss, LossFields, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Row(#[serde(with = "LossFields")] Loss);

    pub(super) fn serialize<S: Serializer>(losses: &[Loss], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(losses.iter().cloned().map(Row))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Loss>, D::Error> {
        Ok(Vec::<Row>::deserialize(from)?
            .into_iter()
            .map(|row| row.0)
            .collect())
    }
}

mod real {
    use super::{Deserialize, Deserializer, Real, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        Real(*value).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Real::deserialize(from).map(|real| real.0)
    }
}

/// A number that may be infinite or none, which JSON has no way to write: then it is a text, `"inf"`, `"-inf"`
/// or `"NaN"`.
#[derive(Clone, Copy)]
pub(super) struct Real(pub(super) f64);

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0.is_finite() {
            true => to.serialize_f64(self.0),
            false => to.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Real, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Real;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, \"inf\", \"-inf\" or \"NaN\"")
            }
            fn visit_f64<E>(self, value: f64) -> Result<Real, E> {
                Ok(Real(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Real, E> {
                Ok(Real(value as f64))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Real, E> {
                Ok(Real(value as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Real, E> {
                match text {
                    "inf" => Ok(Real(f64::INFINITY)),
                    "-inf" => Ok(Real(f64::NEG_INFINITY)),
                    "NaN" => Ok(Real(f64::NAN)),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        from.deserialize_any(Visitor)
    }
}
