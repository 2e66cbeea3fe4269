//! The planted leak: latency histograms keyed by request id, which nobody ever removes.
//!
//! It is the commonest leak of Rust services: a map that looks like a cache, keyed by something that never
//! repeats. The fix would be a bound (`moka`, `lru`) or a key that repeats, such as the route.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Mutex;

/// Buckets of a latency histogram.
const BUCKETS: usize = 64;

/// Latency histograms by request id.
#[derive(Default)]
pub(crate) struct MetricsCache {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    by_request: HashMap<String, Vec<u64>>,
    truth: Truth,
}

/// What the planted line holds, counted by hand: the demo's own bookkeeping, independent of heapsite.
#[derive(Clone, Copy, Default)]
pub(crate) struct Truth {
    /// The line that allocates; 0 before the first request.
    pub(crate) line: u32,
    /// Requested bytes that are live: keys, histograms and the map's table.
    pub(crate) bytes: u64,
    /// Live allocations.
    pub(crate) objects: u64,
}

impl MetricsCache {
    /// Remembers how long each part of a request took.
    // Not inlined, so that the function is named in every build.
    #[inline(never)]
    pub(crate) fn record(&self, request_id: &str, parts_micros: &[u64]) {
        let mut histogram = [0u64; BUCKETS];
        for &micros in parts_micros {
            histogram[(micros as usize).min(BUCKETS - 1)] += 1;
        }
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let state = &mut *state;
        let map = &mut state.by_request;
        // Key, histogram and the map's own growth, on one line: the leak is that nothing ever removes them.
        state.truth.line = line!() + 1;
        map.insert(request_id.to_owned(), histogram.to_vec());
        state.truth.bytes += (request_id.len() + size_of::<[u64; BUCKETS]>()) as u64;
        state.truth.objects += 2;
    }

    /// Everything that [`MetricsCache::record`]'s line holds now.
    pub(crate) fn truth(&self) -> Truth {
        let state = self
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut truth = state.truth;
        if let Some(table) = table_bytes(&state.by_request) {
            truth.bytes += table;
            truth.objects += 1;
        }
        truth
    }
}

/// Size of the one allocation behind a `HashMap`: `buckets` entries, then a control byte for each, then one more
/// group of control bytes (16, with SSE2), the entries rounded up to that group's alignment. Buckets are a power of
/// two, of which 7/8 can be used. `HashMap` does not promise this; it is how hashbrown lays its table out.
fn table_bytes<K, V>(map: &HashMap<K, V>) -> Option<u64> {
    const GROUP: usize = if cfg!(target_feature = "sse2") { 16 } else { 8 };
    let buckets = match map.capacity() {
        0 => return None,
        usable @ 1..=7 => (usable + 1).next_power_of_two(),
        usable => usable / 7 * 8,
    };
    Some(((buckets * size_of::<(K, V)>()).next_multiple_of(GROUP) + buckets + GROUP) as u64)
}
