//! Names of stacks, looked up once, and for few of them.
//!
//! Stacks that differ only in who called the blamed line have the same addresses from the leaf up to it. So one name is good
//! for all of them, and most stacks get theirs without a symboliser.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::profile::addresses::Builder;
use crate::profile::{
    Function, FunctionId, Label, LabelValue, Line, Location, LocationId, Mapping, Profile, Sample,
    ValueType,
};
use crate::symbolize::blame::Blamer;
use crate::sys;
use crate::view::key::{self, Frame};

/// Begins of stacks that are remembered; each takes about as much as its names, half a KiB to 2 KiB.
pub(super) const MOST_NAMES: usize = 1024;

/// A stack from its leaf to the blamed line.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// Of the begin of the stack; equal begins have equal ones.
    pub(super) begin: u64,
    /// Addresses that `begin` is of; `None`: of all, and of no longer stack.
    length: Option<usize>,
    /// Of the blamed line, in [`Look::levels`](super::ring::Look::levels).
    pub(super) key: u64,
    /// Leaf first: an address, and the frames there, innermost first.
    pub(super) frames: Vec<(u64, Vec<Frame>)>,
}

/// What turns a profile of addresses into one with names.
pub(super) type Namer<'a> = dyn Fn(Profile) -> Profile + 'a;

/// All names that are known.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<u64, Arc<Named>>,
    longest: usize,
    /// Libraries that had been unloaded: afterwards addresses may mean something else.
    unloaded: u64,
    /// Stacks that were looked up.
    pub(super) looked_up: u64,
}

impl Names {
    /// Forgets everything if code has been unloaded.
    pub(super) fn refresh(&mut self) {
        let unloaded = sys::objects::unload_count();
        if self.unloaded != unloaded {
            *self = Names {
                unloaded,
                looked_up: self.looked_up,
                ..Names::default()
            };
        }
    }

    /// The name of a stack, and the hash of it as a whole.
    pub(super) fn find(&self, stack: &[u64]) -> (Option<&Arc<Named>>, u64) {
        let mut hasher = DefaultHasher::new();
        for (at, address) in stack.iter().enumerate() {
            address.hash(&mut hasher);
            if at < self.longest
                && let Some(named) = self.known.get(&hasher.finish())
            {
                return (Some(named), whole(hasher, stack[at + 1..].iter()));
            }
        }
        let whole = whole(hasher, [].iter());
        (self.known.get(&whole), whole)
    }

    /// Takes names in. Where there is no room, those go that `is_used` does not want.
    pub(super) fn add(&mut self, named: Vec<Named>, is_used: impl Fn(u64) -> bool) {
        if self.known.len() + named.len() > MOST_NAMES {
            self.known.retain(|&begin, _| is_used(begin));
        }
        self.looked_up += named.len() as u64;
        for one in named {
            if self.known.len() >= MOST_NAMES {
                return;
            }
            self.longest = self.longest.max(one.length.unwrap_or(0));
            self.known.insert(one.begin, Arc::new(one));
        }
    }

    /// What they take, bytes.
    pub(super) fn bytes(&self) -> usize {
        let text =
            |frame: &Frame| size_of::<Frame>() + frame.function.capacity() + frame.file.capacity();
        let one = |named: &Arc<Named>| {
            let frames = named.frames.iter();
            let frames = frames.map(|(_, lines)| 32 + lines.iter().map(text).sum::<usize>());
            size_of::<Named>() + frames.sum::<usize>()
        };
        self.known.capacity() * size_of::<(u64, Arc<Named>)>()
            + self.known.values().map(one).sum::<usize>()
    }
}

/// The hash of a whole stack, which is that of no stack's begin.
fn whole<'a>(mut hasher: DefaultHasher, rest: impl Iterator<Item = &'a u64>) -> u64 {
    rest.for_each(|address| address.hash(&mut hasher));
    u64::MAX.hash(&mut hasher);
    hasher.finish()
}

/// What a line is known by: as [`find`](crate::find) tells places apart.
pub(super) fn key(frame: &Frame) -> u64 {
    let mut hasher = DefaultHasher::new();
    match frame.line > 0 && !frame.file.is_empty() {
        true => (&frame.file, frame.line).hash(&mut hasher),
        false => (&frame.function, 0).hash(&mut hasher),
    }
    hasher.finish()
}

const NUMBER: &str = "stack";

/// Looks up the names of these stacks, all at once: a symboliser reads each file once.
pub(super) fn look_up(stacks: &[&[u64]], mappings: &[Mapping], namer: &Namer<'_>) -> Vec<Named> {
    // A profile without a sample type contradicts itself, and keeps the recorder's own frames.
    let count = ValueType {
        kind: "stacks".to_owned(),
        unit: "count".to_owned(),
    };
    let mut builder = Builder::new(vec![count], mappings.to_vec());
    for (number, stack) in (0..).zip(stacks) {
        // Samples that become equal once they have names would be added up, but for this.
        let label = Label::number(NUMBER, number, "");
        builder.sample(stack, vec![1], vec![label], None);
    }
    let mut profile = namer(builder.finish());
    let application = add_application(&mut profile);
    let blamer = Blamer::new(&profile);
    let named = |sample: &Sample| {
        let number = sample.labels.iter().find_map(|label| match label.value {
            LabelValue::Num(number, _) if label.key == NUMBER => usize::try_from(number).ok(),
            _ => None,
        })?;
        name(&profile, &blamer, sample, stacks.get(number)?, application)
    };
    profile.samples.iter().filter_map(named).collect()
}

/// A frame of the application that every stack could have at its root.
fn add_application(profile: &mut Profile) -> LocationId {
    profile.functions.push(Function {
        name: "app::main".to_owned(),
        filename: "app/src/main.rs".to_owned(),
        ..Function::default()
    });
    profile.locations.push(Location {
        lines: vec![Line {
            function: FunctionId(profile.functions.len() as u32 - 1),
            line: 1,
            column: 0,
        }],
        ..Location::default()
    });
    LocationId(profile.locations.len() as u32 - 1)
}

fn name(
    profile: &Profile,
    blamer: &Blamer<'_>,
    sample: &Sample,
    stack: &[u64],
    application: LocationId,
) -> Option<Named> {
    let blamed = blamer.blame(sample)?;
    let locations = sample.locations.get(..=blamed.location)?;
    let frames: Vec<(u64, Vec<Frame>)> = locations
        .iter()
        .map(|&id| {
            let location = profile.locations.get(id.0 as usize)?;
            Some((location.address, key::frames(profile, id)))
        })
        .collect::<Option<_>>()?;
    let (address, lines) = frames.last()?;
    let key = key(lines.get(blamed.line)?);
    // The line is to blame whoever called it, if it still is when the application did. Otherwise it was only the best of
    // this very stack.
    let mut called = sample.clone();
    called.locations.truncate(blamed.location + 1);
    called.locations.push(application);
    let length = match blamer.blame(&called) == Some(blamed) {
        true => stack
            .iter()
            .position(|frame| frame == address)
            .map(|at| at + 1),
        false => None,
    };
    let mut hasher = DefaultHasher::new();
    let begin = match length {
        Some(length) => {
            stack[..length]
                .iter()
                .for_each(|frame| frame.hash(&mut hasher));
            hasher.finish()
        }
        None => whole(hasher, stack.iter()),
    };
    Some(Named {
        begin,
        length,
        key,
        frames,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Stands for a symboliser: an address below 100 is a function of the application, others are a library's.
    pub(in crate::leak::watch) fn namer(mut profile: Profile) -> Profile {
        for at in 0..profile.locations.len() {
            let address = profile.locations[at].address;
            let (name, filename) = match address {
                0..100 => (format!("shop::f{address}"), "src/shop.rs".to_owned()),
                _ => (
                    format!("lib::f{address}"),
                    "/home/dev/.cargo/registry/src/x/lib-1.0.0/src/lib.rs".to_owned(),
                ),
            };
            profile.functions.push(Function {
                name,
                filename,
                ..Function::default()
            });
            profile.locations[at].lines = vec![Line {
                function: FunctionId(at as u32),
                line: address as i64,
                column: 0,
            }];
        }
        profile
    }

    #[test]
    fn one_name_is_good_for_all_callers() {
        let stacks: [&[u64]; 2] = [&[200, 7, 8, 9], &[200, 300]];
        let named = look_up(&stacks, &[], &namer);
        let mut names = Names::default();
        names.add(named, |_| true);
        let line = |stack: &[u64]| {
            let named = names.find(stack).0?;
            named.frames.last()?.1.first().map(|frame| frame.line)
        };
        assert_eq!(line(&[200, 7, 8, 9]), Some(7));
        assert_eq!(line(&[200, 7, 5]), Some(7), "another caller");
        assert_eq!(line(&[200, 8]), None);
        // A library's line is to blame where nobody else is, and not where the application called it.
        assert_eq!(line(&[200, 300]), Some(200));
        assert_eq!(line(&[200, 300, 5]), None);
        assert_eq!(line(&[200]), None);
        assert_eq!(names.looked_up, 2);
        assert_ne!(names.find(&[1, 2]).1, names.find(&[1, 2, 3]).1);
        assert_eq!(
            names.find(&[200, 7, 5]).1,
            Names::default().find(&[200, 7, 5]).1
        );
    }

    #[test]
    fn there_is_room_for_so_many() {
        let mut names = Names::default();
        let stacks: Vec<Vec<u64>> = (0..3000).map(|n| vec![1000 + n, n % 100]).collect();
        for part in stacks.chunks(100) {
            let part: Vec<&[u64]> = part.iter().map(Vec::as_slice).collect();
            names.add(look_up(&part, &[], &namer), |begin| begin % 8 == 0);
            assert!(names.known.len() <= MOST_NAMES);
        }
        assert!(names.bytes() < MOST_NAMES * 2048, "{}", names.bytes());
        assert!(
            names.find(stacks.last().unwrap()).0.is_some(),
            "the newest are there"
        );
    }
}
