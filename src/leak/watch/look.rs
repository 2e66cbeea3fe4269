//! One look: a snapshot by place, judged together with the looks before.
//!
//! ```text
//! snapshot ─▶ groups (equal begins of stacks) ─▶ the places that hold most ─▶ profile ─┐
//!                 ▲                                        │                           ├─▶ find::leaks
//!               names                                    ring ─▶ profile per look ─────┘
//! ```
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::names::{self, Named, Names};
use super::ring::{Look, Ring};
use crate::Result;
use crate::find::{self, Findings, Suspect};
use crate::profile::{
    Function, FunctionId, HeapFacts, Line, Location, LocationId, MappingId, Profile, Sample,
    SiteDetail, ValueType,
};
use crate::snapshot::Snapshot;

/// Stacks that one look has named at most; the next look goes on.
const NEW_NAMES: usize = 256;

/// Of fewer live samples [`find`] tells nothing: [`find::Why::FewSamples`].
const FEWEST_SAMPLES: u64 = 16;

/// The file that places without a name are in, so that they are told from others.
const NAMELESS: &str = "(stack)";

/// Sites whose stacks are the same up to the blamed line.
#[derive(Clone, Debug)]
struct Group<'s> {
    stack: &'s [u64],
    named: Option<Arc<Named>>,
    /// Of the place, in the ring.
    key: u64,
    detail: SiteDetail,
}

/// A snapshot by groups.
pub(super) struct Groups<'s> {
    snapshot: &'s Snapshot,
    groups: Vec<Group<'s>>,
}

impl<'s> Groups<'s> {
    /// Needs no name of anything.
    pub(super) fn new(snapshot: &'s Snapshot, names: &Names) -> Groups<'s> {
        let mut index: HashMap<u64, usize> = HashMap::new();
        let mut groups: Vec<Group<'s>> = Vec::new();
        for site in &snapshot.sites {
            let stack = snapshot.stack(site);
            let (named, whole) = names.find(stack);
            let begin = named.map_or(whole, |named| named.begin);
            match index.get(&begin) {
                Some(&at) => groups[at].detail.add(&site.detail),
                None => {
                    index.insert(begin, groups.len());
                    groups.push(Group {
                        stack,
                        named: named.cloned(),
                        key: named.map_or(whole, |named| named.key),
                        detail: site.detail.clone(),
                    });
                }
            }
        }
        Groups { snapshot, groups }
    }

    /// Stacks that may come to be accused and have no name: they hold what came after the start of the program and was
    /// there at the last look. The largest first.
    pub(super) fn candidates(&self, last_look: Option<u64>) -> Vec<&'s [u64]> {
        let Some(last_look) = last_look else {
            return Vec::new();
        };
        // What `find` sets aside as the start.
        let start = self.snapshot.facts.uptime_nanos / 8;
        let survives = |group: &&Group<'s>| {
            let mut born = group.detail.cohorts.iter();
            born.any(|cohort| cohort.from_nanos <= last_look && cohort.to_nanos >= start)
        };
        let nameless = |group: &&Group<'s>| group.named.is_none() && !group.stack.is_empty();
        let found = self.groups.iter().filter(nameless).filter(survives);
        let mut found: Vec<&Group<'s>> = found.collect();
        found.sort_by(|a, b| live(b).total_cmp(&live(a)));
        found.truncate(NEW_NAMES);
        found.into_iter().map(|group| group.stack).collect()
    }

    /// Names that this look needs.
    pub(super) fn begins(&self) -> HashSet<u64> {
        let named = self.groups.iter().filter_map(|group| group.named.as_ref());
        named.map(|named| named.begin).collect()
    }

    /// Stacks of this look, by their keys while they had no name, whose names are known now.
    pub(super) fn renamed(&self, names: &Names) -> HashMap<u64, u64> {
        let nameless = self.groups.iter().filter(|group| group.named.is_none());
        let known = nameless.filter_map(|group| Some((group.key, names.find(group.stack).0?.key)));
        known.collect()
    }

    /// The places that hold most, and what they hold.
    pub(super) fn levels(&self, places: usize, time_nanos: u64) -> Look {
        let mut sums: HashMap<u64, f64> = HashMap::new();
        for group in &self.groups {
            *sums.entry(group.key).or_default() += live(group);
        }
        let mut levels: Vec<(u64, f64)> = sums.into_iter().filter(|sum| sum.1 > 0.0).collect();
        levels.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let left_out = levels.get(places).map_or(0.0, |level| level.1);
        levels.truncate(places);
        levels.sort_unstable_by_key(|level| level.0);
        levels.shrink_to_fit();
        Look {
            time_nanos,
            levels,
            left_out,
        }
    }

    /// Judges the places of the newest look. Those that have no name yet are apart: their stacks.
    ///
    /// # Errors
    /// Those of [`find::leaks`]: none are expected.
    pub(super) fn judge(
        &self,
        ring: &Ring,
        options: &find::Options,
    ) -> Result<(Findings, Vec<&'s [u64]>)> {
        let Some(now) = ring.newest() else {
            return Ok((Findings::default(), Vec::new()));
        };
        let mut index: HashMap<u64, (usize, u64)> = HashMap::new();
        for (at, group) in self.groups.iter().enumerate() {
            index.entry(group.key).or_insert((at, 0)).1 += group.detail.live.objects;
        }
        let earlier = ring.looks().take(ring.looks().len() - 1);
        let earlier = earlier.map(|look| self.before(look, now, &index));
        let mut profiles: Vec<Profile> = earlier.collect();
        profiles.push(self.now(now));
        let mut findings = find::leaks(&profiles, options)?;
        let nameless = |suspect: &Suspect| suspect.place.file == NAMELESS;
        let stacks = findings.leaks.iter().filter(|leak| nameless(leak));
        let at = |leak: &Suspect| usize::try_from(leak.place.line - 1).ok();
        let stacks = stacks.filter_map(|leak| Some(self.groups.get(at(leak)?)?.stack));
        let stacks = stacks.collect();
        findings.leaks.retain(|leak| !nameless(leak));
        findings.filling.retain(|filling| !nameless(filling));
        Ok((findings, stacks))
    }

    /// The places of the newest look, with all that is known of them.
    fn now(&self, now: &Look) -> Profile {
        let mut profile = self.bare(now.time_nanos);
        profile.mappings.clone_from(&self.snapshot.mappings);
        profile.period = i64::try_from(self.snapshot.facts.interval).unwrap_or(i64::MAX);
        let facts = &self.snapshot.facts;
        profile.heap = Some(Box::new(HeapFacts {
            interval: facts.interval,
            exact: facts.exact,
            uptime_nanos: facts.uptime_nanos,
            process: facts.process.clone(),
            ..HeapFacts::default()
        }));
        for (at, group) in self.groups.iter().enumerate() {
            if now
                .levels
                .binary_search_by_key(&group.key, |level| level.0)
                .is_err()
            {
                continue;
            }
            let locations = match &group.named {
                Some(named) => add_frames(&mut profile, named),
                None => vec![add_nameless(&mut profile, at)],
            };
            profile.samples.push(Sample {
                locations,
                values: vec![live(group) as i64],
                detail: Some(Box::new(group.detail.clone())),
                ..Sample::default()
            });
        }
        profile
    }

    /// What the places of the newest look held at an earlier one.
    fn before(&self, look: &Look, now: &Look, index: &HashMap<u64, (usize, u64)>) -> Profile {
        let mut profile = self.bare(look.time_nanos);
        for &(key, level) in &now.levels {
            let Some(&(at, samples)) = index.get(&key) else {
                continue;
            };
            // Places of fewer samples are not judged. For them all levels are the same, because the odds of different ones
            // take long to count out.
            let level = if samples < FEWEST_SAMPLES {
                level
            } else {
                look.level(key)
            };
            let location = match self.groups[at]
                .named
                .as_ref()
                .and_then(|it| it.frames.last())
            {
                // Which of the frames there is blamed does not matter for those that are not: they have other keys.
                Some((address, lines)) => {
                    let blamed = lines.iter().filter(|&frame| names::key(frame) == key);
                    add_location(&mut profile, *address, None, blamed)
                }
                None => add_nameless(&mut profile, at),
            };
            profile.samples.push(Sample {
                locations: vec![location],
                values: vec![level as i64],
                ..Sample::default()
            });
        }
        profile
    }

    fn bare(&self, time_nanos: u64) -> Profile {
        Profile {
            sample_types: vec![ValueType {
                kind: "inuse_space".to_owned(),
                unit: "bytes".to_owned(),
            }],
            // A clock that never goes back.
            time_nanos: i64::try_from(time_nanos).unwrap_or(i64::MAX),
            ..Profile::default()
        }
    }
}

fn live(group: &Group<'_>) -> f64 {
    group.detail.live.bytes_estimate
}

/// A stack from its leaf to the blamed line: `find` skips the same frames as it did with the whole of it.
fn add_frames(profile: &mut Profile, named: &Named) -> Vec<LocationId> {
    let mapping_of = |mappings: &[crate::profile::Mapping], address: u64| {
        let mut all = (0..).zip(mappings);
        let found = all.find(|(_, it)| (it.start..it.limit).contains(&address));
        found.map(|(number, _)| MappingId(number))
    };
    let frames = named.frames.iter();
    frames
        .map(|(address, lines)| {
            let mapping = mapping_of(&profile.mappings, *address);
            add_location(profile, *address, mapping, lines.iter())
        })
        .collect()
}

fn add_location<'f>(
    profile: &mut Profile,
    address: u64,
    mapping: Option<MappingId>,
    frames: impl Iterator<Item = &'f crate::view::Frame>,
) -> LocationId {
    let mut lines = Vec::new();
    for frame in frames {
        lines.push(Line {
            function: FunctionId(profile.functions.len() as u32),
            line: frame.line,
            column: 0,
        });
        profile.functions.push(Function {
            name: frame.function.clone(),
            filename: frame.file.clone(),
            ..Function::default()
        });
    }
    profile.locations.push(Location {
        mapping,
        address,
        lines,
        ..Location::default()
    });
    LocationId(profile.locations.len() as u32 - 1)
}

/// A place of its own for a stack without a name: its line is the group's number, from 1.
fn add_nameless(profile: &mut Profile, group: usize) -> LocationId {
    let frame = crate::view::Frame {
        function: NAMELESS.to_owned(),
        file: NAMELESS.to_owned(),
        line: group as i64 + 1,
    };
    add_location(profile, 0, None, [&frame].into_iter())
}
