//! Hysteresis: what so many looks in a row say is announced, and withdrawn when so many no longer say it.
//!
//! ```text
//!  unknown ──leak──▶ suspected ──leak, `hold` in a row──▶ announced ──no leak, `clear` in a row──▶ unknown
//!     ▲                  │                                   ▲ │
//!     └─────no leak──────┘                                   └─┴ leak
//! ```
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::change::{Change, Kind};
use crate::find::{Place, Suspect};

#[derive(Debug)]
struct Track {
    suspect: Suspect,
    /// Looks that called it a leak.
    looks: u64,
    /// Looks in a row that did not.
    silent: u32,
    /// When it was announced, and what was live of it when that was last told.
    announced: Option<(u64, f64)>,
}

/// All places that the last looks called leaks.
#[derive(Debug)]
pub(super) struct Tracks {
    hold: u32,
    clear: u32,
    places: BTreeMap<(String, i64), Track>,
}

impl Tracks {
    pub(super) fn new(hold: u32, clear: u32) -> Tracks {
        Tracks {
            hold,
            clear,
            places: BTreeMap::new(),
        }
    }

    /// Takes in what a look calls leaks; returns what is to be told.
    pub(super) fn look(&mut self, leaks: Vec<Suspect>, at_nanos: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut change = |kind, track: &Track| {
            let since = track.announced.map_or(at_nanos, |(since, _)| since);
            changes.push(Change {
                kind,
                suspect: track.suspect.clone(),
                looks: track.looks,
                announced_nanos: at_nanos.saturating_sub(since),
                at_nanos,
            });
        };
        for track in self.places.values_mut() {
            track.silent += 1;
        }
        for suspect in leaks {
            let live = suspect.live_bytes;
            let track = self.places.entry(key(&suspect.place)).or_insert(Track {
                suspect: suspect.clone(),
                looks: 0,
                silent: 0,
                announced: None,
            });
            track.suspect = suspect;
            track.looks += 1;
            track.silent = 0;
            match &mut track.announced {
                None if track.looks >= u64::from(self.hold) => {
                    track.announced = Some((at_nanos, live));
                    change(Kind::Begin, track);
                }
                Some((_, told)) if live >= 2.0 * *told => {
                    *told = live;
                    change(Kind::Still, track);
                }
                _ => {}
            }
        }
        let clear = self.clear;
        self.places.retain(|_, track| {
            let patience = if track.announced.is_some() { clear } else { 1 };
            let stays = track.silent < patience;
            if !stays && track.announced.is_some() {
                change(Kind::End, track);
            }
            stays
        });
        changes
    }

    /// What is announced, the fastest first.
    pub(super) fn announced(&self) -> Vec<&Suspect> {
        let tracks = self.places.values();
        let announced = tracks.filter(|track| track.announced.is_some());
        let mut suspects: Vec<&Suspect> = announced.map(|track| &track.suspect).collect();
        let speed = |suspect: &Suspect| suspect.rate.map_or(0.0, |rate| rate.bytes);
        suspects.sort_by(|a, b| speed(b).total_cmp(&speed(a)));
        suspects
    }

    /// What it takes, bytes, about.
    pub(super) fn bytes(&self) -> usize {
        let one = |(key, track): (&(String, i64), &Track)| {
            let suspect = &track.suspect;
            let place = &suspect.place;
            let lists = size_of_val(&*suspect.survival) + size_of_val(&*suspect.cohorts);
            let texts = key.0.len() + place.function.len() + place.file.len();
            size_of::<Track>() + texts + place.crate_name.len() + lists
        };
        self.places.iter().map(one).sum()
    }
}

/// File and line, or the function where they are not known.
fn key(place: &Place) -> (String, i64) {
    match place.line > 0 && !place.file.is_empty() {
        true => (place.file.clone(), place.line),
        false => (place.function.clone(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leak::watch::testing;

    fn leak(live_bytes: f64) -> Vec<Suspect> {
        vec![Suspect {
            live_bytes,
            ..testing::suspect()
        }]
    }

    /// What is told when looks say leak (live bytes) or nothing (0).
    fn told(hold: u32, clear: u32, looks: &[u32]) -> Vec<(u64, Kind)> {
        let mut tracks = Tracks::new(hold, clear);
        let mut told = Vec::new();
        for (at, &live) in (0..).zip(looks) {
            let leaks = if live > 0 {
                leak(live.into())
            } else {
                Vec::new()
            };
            told.extend(tracks.look(leaks, at).into_iter().map(|it| (at, it.kind)));
        }
        told
    }

    #[test]
    fn looks_in_a_row_announce_and_withdraw() {
        use Kind::{Begin, End, Still};
        assert_eq!(
            told(3, 2, &[9, 9, 0, 9, 9, 0, 9, 9]),
            [],
            "never three in a row"
        );
        assert_eq!(
            told(3, 2, &[9, 9, 9, 9, 0, 9, 0, 9, 0, 0, 9, 9, 9]),
            [(2, Begin), (9, End), (12, Begin)]
        );
        assert_eq!(told(1, 1, &[9, 0]), [(0, Begin), (1, End)]);
        assert_eq!(
            told(1, 1, &[10, 19, 20, 39, 40]),
            [(0, Begin), (2, Still), (4, Still)]
        );
    }

    #[test]
    fn the_end_tells_what_was_last_known() {
        let mut tracks = Tracks::new(1, 2);
        tracks.look(leak(10.0), 100);
        tracks.look(leak(12.0), 200);
        assert_eq!(tracks.announced().len(), 1);
        assert!(tracks.look(Vec::new(), 300).is_empty());
        let end = tracks.look(Vec::new(), 400).remove(0);
        assert_eq!(
            (end.kind, end.looks, end.announced_nanos),
            (Kind::End, 2, 300)
        );
        assert_eq!(end.suspect.live_bytes, 12.0);
        assert!(tracks.announced().is_empty() && tracks.bytes() == 0);
    }
}
