//! The numbers that belong to no single site: what a snapshot's facts and [`stats`](crate::stats()) have in common.
#![forbid(unsafe_code)]

use super::{scaled, tally};
use crate::mem;
use crate::profile::{Cost, Footprint, HeapFacts, Loss, ProcessFacts, SiteDetail, Tally};
use crate::record::{self, clock, cost, events, local, losses, peak};
use crate::sys;

/// The sums over all sites.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) sites: u64,
    pub(super) alloc: Tally,
    pub(super) free: Tally,
    pub(super) live: Tally,
}

impl Sums {
    pub(super) fn add(&mut self, site: &SiteDetail) {
        self.sites += 1;
        self.alloc = self.alloc.plus(site.alloc);
        self.free = self.free.plus(site.free);
        self.live = self.live.plus(site.live);
    }
}

/// Facts without the process and the threads' names: reads every site's counters, and nothing else that grows with the
/// program. Variances of what is live are therefore those of all of a site's samples, by their share.
pub(crate) fn now() -> HeapFacts {
    let epoch = peak::epoch();
    let mut sums = Sums::default();
    for number in 0..record::SITES.count() {
        let Some(read) = record::SITES.read(number, epoch) else {
            continue;
        };
        if read.alloc.objects == 0 {
            continue;
        }
        let variance = (read.alloc_objects_variance, read.alloc_bytes_variance);
        let of = |part| tally(part, scaled(variance, part, read.alloc));
        sums.add(&SiteDetail {
            alloc: tally(read.alloc, variance),
            free: of(read.free),
            live: of(read.alloc.minus(read.free)),
            ..SiteDetail::default()
        });
    }
    facts(sums, ProcessFacts::default(), Vec::new())
}

/// Every reason for a loss, also where none was for it.
#[cfg(feature = "metrics")]
pub(crate) fn loss_reasons() -> impl Iterator<Item = &'static str> {
    losses::REASONS.iter().map(|(_, name, _)| *name)
}

pub(super) fn facts(sums: Sums, process: ProcessFacts, threads: Vec<String>) -> HeapFacts {
    let Sums {
        sites,
        alloc,
        free,
        live,
    } = sums;
    let losses: Vec<Loss> = losses::REASONS
        .iter()
        .map(|(reason, name, meaning)| {
            let (count, bytes) = losses::read(*reason);
            Loss {
                reason: (*name).to_owned(),
                meaning: (*meaning).to_owned(),
                count,
                bytes_estimate: bytes as f64,
            }
        })
        .filter(|loss| loss.count > 0)
        .collect();
    let missing = losses::REASONS
        .iter()
        .any(|(reason, ..)| reason.is_missing() && losses::read(*reason).0 > 0);
    let (peak_bytes, peak_nanos) = peak::read();
    let (mapped_bytes, resident_bytes) = record::own_memory();
    HeapFacts {
        interval: record::interval_or_paused(),
        exact: record::is_exact() && !missing,
        uptime_nanos: clock::nanos(),
        alloc,
        free,
        live,
        peak_bytes: (peak_bytes as f64).max(live.bytes_estimate),
        peak_nanos,
        requested_bytes: record::REQUESTED.sum().max(0) as u64,
        requested_slack_bytes: events::QUANTUM as u64 * u64::from(local::threads_numbered()),
        losses,
        footprint: Footprint {
            mapped_bytes,
            resident_bytes,
            limit_bytes: mem::limit_bytes(),
            sites,
            live_samples: live.objects,
        },
        cost: own_cost(),
        process,
        resources: None,
        threads,
    }
}

fn own_cost() -> Cost {
    let read = cost::read();
    Cost {
        sampled_nanos: read.nanos as u64,
        sampled_nanos_error: read.nanos_error as u64,
        timed_events: read.timed,
        interrupted_events: read.interrupted,
        look_ups: read.look_ups,
        process_cpu_nanos: sys::process_cpu_nanos(),
    }
}
