//! Profiles that Go has and heapsite does not: valid, and empty. Clients that fetch all of them (promtool, Parca) take one
//! missing profile for a broken service.
#![forbid(unsafe_code)]

use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use crate::format::pprof;
use crate::profile::{Profile, ValueType};

/// A profile without samples.
pub(super) struct Nothing {
    pub(super) name: &'static str,
    /// For the index.
    pub(super) about: &'static str,
    /// What `debug=1` shows, in Go's words; empty: that profile knows no `debug`.
    pub(super) text: &'static str,
    /// Kinds and units, as Go has them; the last one is that of the period.
    kinds: &'static [(&'static str, &'static str)],
}

const CONTENTION: &[(&str, &str)] = &[("delay", "nanoseconds"), ("contentions", "count")];

pub(super) static ALL: &[Nothing] = &[
    #[cfg(not(feature = "task"))]
    Nothing {
        name: "goroutine",
        about: "Empty: tasks are known in programs built with heapsite's feature `task`.",
        text: "goroutine profile: total 0\n",
        kinds: &[("goroutine", "count")],
    },
    Nothing {
        name: "block",
        about: "Always empty: heapsite does not measure waiting.",
        text: "--- contention:\ncycles/second=1000000000\n",
        kinds: CONTENTION,
    },
    Nothing {
        name: "mutex",
        about: "Always empty: heapsite does not measure waiting.",
        text: "--- mutex:\ncycles/second=1000000000\nsampling period=0\n",
        kinds: CONTENTION,
    },
    Nothing {
        name: "profile",
        about: "Always empty, and at once: heapsite is no profiler of processor time.",
        text: "",
        kinds: &[("samples", "count"), ("cpu", "nanoseconds")],
    },
    Nothing {
        name: "trace",
        about: "Always empty, and at once; a profile without samples, since there is nothing to trace.",
        text: "",
        kinds: &[("events", "count")],
    },
];

pub(super) fn find(name: &str) -> Option<&'static Nothing> {
    ALL.iter().find(|nothing| nothing.name == name)
}

impl Nothing {
    /// The profile, as a file of this name. Made at once: nothing is gained by waiting for `seconds`.
    pub(super) fn answer(&self, name: &str) -> Response {
        let mut body = Vec::new();
        match pprof::write(&self.profile(), &mut body) {
            Ok(()) => answer::file(name, body),
            Err(error) => answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    fn profile(&self) -> Profile {
        let kinds = self.kinds.iter().map(|&(kind, unit)| ValueType {
            kind: kind.to_owned(),
            unit: unit.to_owned(),
        });
        let sample_types: Vec<ValueType> = kinds.collect();
        Profile {
            default_sample_type: self.kinds[0].0.to_owned(),
            period_type: sample_types.last().cloned(),
            sample_types,
            period: 1,
            time_nanos: crate::helper::now_nanos(),
            comments: vec![format!("{} profile of heapsite. {}", self.name, self.about)],
            ..Profile::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_whole_profile() {
        for nothing in ALL {
            let mut bytes = Vec::new();
            pprof::write(&nothing.profile(), &mut bytes).unwrap();
            let read = pprof::read(&bytes).unwrap();
            assert!(read.samples.is_empty());
            assert_eq!(read.sample_types.len(), nothing.kinds.len());
            // Not taken for a heap profile that lost its samples.
            assert_eq!(read.told_sampling(), None, "{}", nothing.name);
        }
    }
}
