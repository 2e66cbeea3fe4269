//! A process at a glance: cheap enough for every second.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use crate::helper::own_work;
use crate::stats;

/// The process's memory at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Look {
    /// When, nanoseconds since the Unix epoch.
    pub time_nanos: i64,
    /// Resident memory, bytes; the kernel's running count, which lags behind by some pages per thread.
    pub rss_bytes: u64,
    /// Live heap, bytes; estimated unless everything is recorded.
    pub live_bytes: f64,
    /// Standard error of `live_bytes`.
    pub live_error_bytes: f64,
    /// What the control group that is nearest to its limit uses, bytes, without file pages that the kernel drops when
    /// it needs room.
    pub group_bytes: u64,
    /// That group's limit, bytes: the lower of `memory.max` and `memory.high`; 0: there is none.
    pub group_limit_bytes: u64,
    /// How often the kernel has held processes of the group back at `memory.high`, up to then.
    pub throttled: u64,
    /// Share of the last ten seconds in which some thread of the group waited for memory, percent (PSI's `some avg10`).
    pub pressure_percent: f64,
}

impl Look {
    /// Used share of the limit; `None`: there is no limit.
    pub fn share(&self) -> Option<f64> {
        let limit = self.group_limit_bytes;
        (limit > 0).then(|| self.group_bytes as f64 / limit as f64)
    }

    /// Bytes left below the limit; `None`: there is no limit.
    pub fn room(&self) -> Option<u64> {
        let limit = self.group_limit_bytes;
        (limit > 0).then(|| limit.saturating_sub(self.group_bytes))
    }
}

/// Looks. What cannot be read is zero.
pub(super) fn take() -> Look {
    let _own_work = own_work();
    let live = stats::heap().live;
    let group = stats::nearest_limit().unwrap_or_default();
    Look {
        time_nanos: crate::helper::now_nanos(),
        rss_bytes: stats::process::rss_bytes(),
        live_bytes: live.bytes,
        live_error_bytes: live.bytes_error,
        group_bytes: group.used_bytes,
        group_limit_bytes: group.limit_bytes,
        throttled: group.throttled,
        pressure_percent: group.pressure_percent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        let look = take();
        assert!(look.rss_bytes > 1 << 20, "{look:?}");
        assert!(look.time_nanos > 1_700_000_000_000_000_000);
    }

    #[test]
    fn shares_and_room_need_a_limit() {
        let mut look = Look {
            group_bytes: 750,
            ..Look::default()
        };
        assert_eq!((look.share(), look.room()), (None, None));
        look.group_limit_bytes = 1000;
        assert_eq!((look.share(), look.room()), (Some(0.75), Some(250)));
        look.group_bytes = 1200;
        assert_eq!(look.room(), Some(0));
    }
}
