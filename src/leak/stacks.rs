//! The stacks of sites, with names.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use super::report::{LeakedCell, Place};
use crate::snapshot::scope;
use crate::symbolize::blame::Blamer;
use crate::symbolize::names;
use crate::task::cells::{Cell, of_stacks};
use crate::view::key::{self, Role};

/// Frames that a report shows.
const SHOWN: usize = 16;
/// Rootward of this, nothing is the program's.
const START: &str = "std::sys::backtrace::__rust_begin_short_backtrace";

/// One site's stack, leaf first.
#[derive(Clone, Debug, Default)]
pub(super) struct Stack {
    frames: Vec<Frame>,
    /// Which of them is to blame.
    blamed: usize,
    /// The task whose cell it made; `None`: other memory.
    cell: Option<Cell>,
}

/// A frame, and whether it is code of an application.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    place: Place,
    is_application: bool,
}

impl Frame {
    /// Whether it is the function with this path, or below the module or crate.
    pub(super) fn is_in(&self, path: &str) -> bool {
        names::is_in(&self.place.function, path)
    }

    /// Whether it is std's test harness, and not somebody's `tests/test.rs`.
    pub(super) fn is_harness(&self) -> bool {
        is_harness(&self.place)
    }
}

fn is_harness(place: &Place) -> bool {
    names::is_in(&place.function, "test") && place.file.contains("library/test/")
}

/// The application's frames of a named stack.
pub(super) fn application(frames: &[key::Frame]) -> Vec<Place> {
    let places = frames.iter().map(|frame| (frame, place(frame)));
    places
        .take_while(|(_, place)| !names::is_in(&place.function, START) && !is_harness(place))
        .filter(|(frame, _)| key::role(frame) == Role::Application)
        .map(|(_, place)| place)
        .take(SHOWN)
        .collect()
}

pub(super) fn place(frame: &key::Frame) -> Place {
    Place {
        function: frame.function.clone(),
        file: frame.file.clone(),
        line: frame.line,
    }
}

impl Stack {
    /// From the leaf to the frame that is to blame; all frames if no application is among them.
    pub(super) fn to_blamed(&self) -> &[Frame] {
        match self.frames.get(self.blamed) {
            Some(frame) if frame.is_application => &self.frames[..=self.blamed],
            _ => &self.frames,
        }
    }

    /// Whether any frame lies in this function, module or crate.
    pub(super) fn passes(&self, path: &str) -> bool {
        self.frames.iter().any(|frame| frame.is_in(path))
    }

    /// The function that allocates, for itself: the first one outside the standard library and collections.
    pub(super) fn owner(&self) -> Option<&Frame> {
        let helpers = ["alloc", "core", "std", "hashbrown", "indexmap", "smallvec"];
        self.frames
            .iter()
            .find(|frame| !helpers.iter().any(|helper| frame.is_in(helper)))
    }

    pub(super) fn blamed(&self) -> Place {
        let frame = self.frames.get(self.blamed);
        frame.map_or_else(
            || Place {
                function: "(no stack)".to_owned(),
                ..Place::default()
            },
            |frame| frame.place.clone(),
        )
    }

    /// The task whose cell was allocated here.
    pub(super) fn task(&self) -> Option<LeakedCell> {
        let cell = self.cell.as_ref()?;
        Some(LeakedCell {
            runtime: cell.runtime.to_owned(),
            future: cell.future.clone(),
            spawned_at: place(&cell.spawned_at),
        })
    }

    /// The application's frames from the blamed one on.
    pub(super) fn application(&self) -> Vec<Place> {
        let from = self.frames.get(self.blamed..).unwrap_or(&[]);
        from.iter()
            .take_while(|frame| !frame.is_in(START) && !frame.is_harness())
            .filter(|frame| frame.is_application)
            .take(SHOWN)
            .map(|frame| frame.place.clone())
            .collect()
    }
}

/// Sites that have been named: what a test binary leaks, it leaks in test after test.
static NAMED: Mutex<BTreeMap<u32, Stack>> = Mutex::new(BTreeMap::new());
/// A forked child may have been born while its parent's other threads had the lock.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads the program's debug information for sites that are new: milliseconds to a second.
pub(super) fn of(sites: &[u32]) -> HashMap<u32, Stack> {
    if sites.is_empty() {
        return HashMap::new();
    }
    let Some(mut named) = lock() else {
        return name(sites);
    };
    let mut new = sites.to_vec();
    new.retain(|site| !named.contains_key(site));
    named.extend(name(&new));
    let known = sites
        .iter()
        .filter_map(|site| Some((*site, named.get(site)?.clone())));
    known.collect()
}

fn lock() -> Option<MutexGuard<'static, BTreeMap<u32, Stack>>> {
    let start = Instant::now();
    loop {
        match NAMED.try_lock() {
            Ok(named) => return Some(named),
            Err(TryLockError::Poisoned(named)) => return Some(named.into_inner()),
            Err(TryLockError::WouldBlock) if start.elapsed() > PATIENCE => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn name(sites: &[u32]) -> HashMap<u32, Stack> {
    if sites.is_empty() {
        return HashMap::new();
    }
    let profile = scope::stacks(sites);
    let blamer = Blamer::new(&profile);
    let mut stacks = HashMap::new();
    for (sample, cell) in profile.samples.iter().zip(of_stacks(&profile)) {
        let blamed = blamer.blame(sample);
        let mut stack = Stack {
            cell,
            ..Stack::default()
        };
        for (location, &id) in sample.locations.iter().enumerate() {
            if let Some(blamed) = blamed.filter(|blamed| blamed.location == location) {
                stack.blamed = stack.frames.len() + blamed.line;
            }
            for frame in key::frames(&profile, id) {
                stack.frames.push(Frame {
                    is_application: key::role(&frame) == Role::Application,
                    place: Place {
                        function: frame.function,
                        file: frame.file,
                        line: frame.line,
                    },
                });
            }
        }
        if let Some(site) = scope::site_of(&sample.labels) {
            stacks.insert(site, stack);
        }
    }
    stacks
}
