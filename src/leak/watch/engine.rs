//! What a watch knows, and how a look changes it.
#![forbid(unsafe_code)]

use super::change::{Change, place};
use super::look::Groups;
use super::names::{self, Named, Namer, Names};
use super::ring::Ring;
use super::tracks::Tracks;
use crate::Result;
use std::time::Duration;

use crate::find::{self, Suspect};
use crate::helper::Scratch;
use crate::snapshot::Snapshot;
use crate::stats::{GrowingSite, LeakWatch};

/// Of what is filling, so many places are shown.
const FILLING_SHOWN: usize = 10;

/// How a watch is to look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) looks: usize,
    pub(super) places: usize,
    pub(super) level: f64,
    pub(super) longest_fill: Duration,
    pub(super) hold: u32,
    pub(super) clear: u32,
}

#[derive(Debug)]
pub(super) struct Engine {
    places: usize,
    options: find::Options,
    names: Names,
    ring: Ring,
    tracks: Tracks,
    filling: Vec<Suspect>,
    /// When the last snapshot was taken, nanoseconds since the recorder's start.
    last_uptime: Option<u64>,
    looks: u64,
    judged: usize,
}

impl Engine {
    pub(super) fn new(settings: Settings) -> Engine {
        let options = find::Options {
            level: settings.level,
            longest_fill: settings.longest_fill,
            ..find::Options::default()
        };
        Engine {
            places: settings.places,
            options,
            names: Names::default(),
            ring: Ring::new(settings.looks),
            tracks: Tracks::new(settings.hold, settings.clear),
            filling: Vec::new(),
            last_uptime: None,
            looks: 0,
            judged: 0,
        }
    }

    /// Takes a snapshot and judges it, in memory apart from the program's. `now`: what the history takes for the time since
    /// the recorder's start; `None`: what it is.
    ///
    /// # Errors
    /// Those of [`find::leaks`]: none are expected.
    pub(super) fn look(
        &mut self,
        take: impl FnOnce() -> Snapshot,
        now: Option<u64>,
        namer: &Namer<'_>,
    ) -> Result<Vec<Change>> {
        let scratch = Scratch::new();
        let snapshot = take();
        let uptime = snapshot.facts.uptime_nanos;
        // Moments have to ascend.
        let after = self.ring.newest().map_or(0, |look| look.time_nanos + 1);
        let now = now.unwrap_or(uptime).max(after);
        self.names.refresh();

        let mut groups = Groups::new(&snapshot, &self.names);
        let candidates = groups.candidates(self.last_uptime);
        if self.learn(&scratch, &groups, &candidates, &snapshot, namer) {
            groups = Groups::new(&snapshot, &self.names);
        }
        let levels = scratch.keep(groups.levels(self.places, now));
        let outside = scratch.outside();
        self.ring.push(levels);
        drop(outside);
        let (mut findings, nameless) = groups.judge(&self.ring, &self.options)?;
        // What is accused is named in any case; with its name it may belong to a line that is not.
        if self.learn(&scratch, &groups, &nameless, &snapshot, namer) {
            groups = Groups::new(&snapshot, &self.names);
            findings = groups.judge(&self.ring, &self.options)?.0;
        }
        findings
            .filling
            .sort_by_key(|filling| !filling.looks_like_leak);
        findings.filling.truncate(FILLING_SHOWN);
        let [leaks, filling] = [findings.leaks, findings.filling].map(|list| scratch.keep(list));
        let _outside = scratch.outside();
        self.filling = filling;
        self.judged = findings.judged;
        self.last_uptime = Some(uptime);
        self.looks += 1;
        Ok(self.tracks.look(leaks, uptime))
    }

    /// Names these stacks; `false`: there was nothing to do.
    fn learn(
        &mut self,
        scratch: &Scratch,
        groups: &Groups<'_>,
        stacks: &[&[u64]],
        snapshot: &Snapshot,
        namer: &Namer<'_>,
    ) -> bool {
        if stacks.is_empty() {
            return false;
        }
        let named: Vec<Named> = names::look_up(stacks, &snapshot.mappings, namer);
        let used = groups.begins();
        let named = scratch.keep(named);
        {
            let _outside = scratch.outside();
            self.names.add(named, |begin| used.contains(&begin));
        }
        let renamed = groups.renamed(&self.names);
        self.ring.rename(&renamed);
        true
    }

    /// In numbers; without what the thread counts.
    pub(super) fn status(&self) -> LeakWatch {
        LeakWatch {
            looks: self.looks,
            suspects: self.tracks.announced().into_iter().map(site).collect(),
            filling: self.filling.iter().map(site).collect(),
            judged: self.judged,
            kept_looks: self.ring.looks().len(),
            named_stacks: self.names.looked_up,
            own_bytes: self.ring.bytes() + self.names.bytes() + self.tracks.bytes(),
            ..LeakWatch::default()
        }
    }
}

fn site(suspect: &Suspect) -> GrowingSite {
    let rate = suspect.rate.unwrap_or_default();
    GrowingSite {
        site: place(suspect),
        bytes_per_second: rate.bytes,
        bytes_per_second_error: rate.std_error,
        live_bytes: suspect.live_bytes,
        since_nanos: suspect.since_nanos,
        confidence: suspect.confidence,
        looks_like_leak: suspect.looks_like_leak,
    }
}
