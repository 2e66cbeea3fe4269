//! Whether a stack made a task's cell, and for whom.
#![forbid(unsafe_code)]

use hashbrown::HashMap;

use super::table::{JOIN_SET, NOT_BELOW, Row, TABLE};
use crate::profile::{FunctionId, LocationId, Profile, Sample};
use crate::symbolize::blame::{BlamedFrame, Blamer};
use crate::symbolize::names;
use crate::symbolize::plumbing::{Kind, is_plumbing};
use crate::view::key::{Frame, frames};

/// A cell, as far as it can be told from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Found {
    pub(super) row: &'static Row,
    pub(super) spawned_at: Frame,
    pub(super) library: Option<Frame>,
    pub(super) future: String,
}

/// Something that may hold tasks' handles, and the application's frame that made it.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub(super) kind: HolderKind,
    pub(super) made_at: Frame,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HolderKind {
    JoinSet,
    /// A vector; whether its type says that handles are in it.
    Vec {
        of_handles: bool,
    },
}

/// What a function is to us; worked out once.
#[derive(Clone, Debug)]
struct Known {
    path: String,
    /// The crate, where it is plumbing; `None`: the application's, or a library's that is not in the table.
    passes: Option<String>,
    kind: Option<Kind>,
}

pub(super) struct Recogniser<'a> {
    profile: &'a Profile,
    blamer: Blamer<'a>,
    known: HashMap<FunctionId, Known>,
}

/// One frame of a stack.
type Place = (BlamedFrame, LocationId, FunctionId);

impl<'a> Recogniser<'a> {
    pub(super) fn new(profile: &'a Profile) -> Recogniser<'a> {
        Recogniser {
            profile,
            blamer: Blamer::new(profile),
            known: HashMap::new(),
        }
    }

    /// The cell that a sample is of, if it is of one.
    pub(super) fn recognise(&mut self, sample: &Sample) -> Option<Found> {
        let places = self.places(sample);
        let makes = |row: &Row, path: &str| row.makes.contains(&path);
        // The allocation is the maker's own: nothing but boxes lies between.
        let made = places.iter().position(|place| {
            !matches!(
                self.known(place.2).kind,
                Some(Kind::Allocator | Kind::Box | Kind::Arc | Kind::Std)
            )
        })?;
        let path = self.known(places[made].2).path.clone();
        if !TABLE.iter().any(|row| makes(row, &path)) {
            return None;
        }
        let candidates = TABLE.iter().filter(|row| makes(row, &path));
        for row in candidates {
            let end = places[made..]
                .iter()
                .position(|place| !self.passes(row, place.2))
                .map_or(places.len(), |at| made + at);
            let way = &places[made..end];
            let is_through =
                row.through.is_empty() || way.iter().any(|place| self.is_in(place.2, row.through));
            if !is_through {
                continue;
            }
            let next = places.get(end);
            if next.is_some_and(|place| self.is_in(place.2, NOT_BELOW)) {
                return None;
            }
            return Some(self.found(row, sample, &places, end));
        }
        None
    }

    fn found(&mut self, row: &'static Row, sample: &Sample, places: &[Place], end: usize) -> Found {
        let next = places.get(end).map(|place| self.frame(place));
        let blamed = self.blamer.blame_application(sample);
        let own = blamed.and_then(|blamed| places.iter().find(|place| place.0 == blamed));
        let own = own.map(|place| self.frame(place));
        let (spawned_at, library) = match (own, next) {
            (Some(own), Some(next)) if own == next => (own, None),
            (Some(own), next) => (own, next),
            (None, Some(next)) if end + 1 < places.len() => (next, None),
            // Nobody but the runtime: its own outermost frame.
            (None, _) => {
                let last = places[..end.min(places.len())].last();
                (
                    last.map(|place| self.frame(place)).unwrap_or_default(),
                    None,
                )
            }
        };
        let names = places[..end.min(places.len())]
            .iter()
            .map(|place| self.name(place.2));
        let future = row
            .type_after
            .iter()
            .find_map(|after| names.clone().find_map(|name| type_after(name, after)));
        Found {
            row,
            spawned_at,
            library,
            future: future.map_or_else(String::new, |it| readable(&it)),
        }
    }

    /// What a sample is of that may hold handles.
    pub(super) fn holder(&mut self, sample: &Sample) -> Option<Holder> {
        let places = self.places(sample);
        let first = places.iter().position(|place| {
            let kind = self.known(place.2).kind;
            !matches!(
                kind,
                Some(Kind::Allocator | Kind::Box | Kind::Arc | Kind::Std | Kind::Vec)
            )
        })?;
        let is_join_set = JOIN_SET.contains(&self.known(places[first].2).path.as_str());
        let is_vec = (places[..first].iter()).any(|place| {
            self.known
                .get(&place.2)
                .is_some_and(|it| it.kind == Some(Kind::Vec))
        });
        let kind = match (is_join_set, is_vec) {
            (true, _) => HolderKind::JoinSet,
            (_, true) => HolderKind::Vec {
                of_handles: (places[..first].iter())
                    .any(|place| self.name(place.2).contains("JoinHandle<")),
            },
            _ => return None,
        };
        let blamed = self.blamer.blame_application(sample)?;
        let place = places.iter().find(|place| place.0 == blamed)?;
        // A runtime's own queue grows below the application as well.
        if kind != HolderKind::JoinSet && places[first].0 != blamed {
            return None;
        }
        Some(Holder {
            kind,
            made_at: self.frame(place),
        })
    }

    /// The frames of a stack, leaf first. Those without a name are not in it.
    fn places(&self, sample: &Sample) -> Vec<Place> {
        let locations = sample.locations.iter().enumerate();
        let places = locations.flat_map(|(location, &id)| {
            let found = self.profile.locations.get(id.0 as usize);
            let lines = found.map_or(&[][..], |found| &found.lines).iter();
            let frame = move |line| BlamedFrame { location, line };
            lines
                .enumerate()
                .map(move |(number, line)| (frame(number), id, line.function))
        });
        places.collect()
    }

    fn name(&self, id: FunctionId) -> &'a str {
        let function = self.profile.functions.get(id.0 as usize);
        function.map_or("", |function| &function.name)
    }

    fn frame(&self, place: &Place) -> Frame {
        let mut all = frames(self.profile, place.1);
        match place.0.line < all.len() {
            true => all.swap_remove(place.0.line),
            false => Frame::default(),
        }
    }

    fn known(&mut self, id: FunctionId) -> &Known {
        let function = self.profile.functions.get(id.0 as usize);
        self.known.entry(id).or_insert_with(|| {
            let (name, file) = function.map_or(("", ""), |it| (&it.name, &it.filename));
            let kind = is_plumbing(name, file);
            let passes = kind.and_then(|_| names::crate_of(name, file));
            Known {
                path: names::path_of(name),
                passes,
                kind,
            }
        })
    }

    /// Whether a frame only hands on what its caller spawns.
    fn passes(&mut self, row: &Row, id: FunctionId) -> bool {
        let known = self.known(id);
        let is_std = |name: &str| matches!(name, "core" | "alloc" | "std");
        let passes = known.passes.as_deref();
        passes.is_some_and(|name| row.passes.contains(&name) || is_std(name))
    }

    fn is_in(&mut self, id: FunctionId, modules: &[&str]) -> bool {
        let path = &self.known(id).path;
        modules.iter().any(|module| {
            let rest = path.strip_prefix(module);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    }
}

/// The first type in angle brackets after `after`, unless it is a parameter's name.
fn type_after(name: &str, after: &str) -> Option<String> {
    let start = name.find(after)? + after.len();
    let mut depth = 0usize;
    let mut previous = ' ';
    let mut end = None;
    for (at, c) in name[start..].char_indices() {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' if previous == '-' => {}
            '>' | ',' | ')' | ']' if depth == 0 => {
                end = Some(at);
                break;
            }
            '>' | ')' | ']' => depth -= 1,
            _ => {}
        }
        previous = c;
    }
    let found = name[start..start + end?].trim();
    // `Cell<T,S>` is all that the older mangling has.
    let says_something = found.contains("::") || found.len() > 3;
    says_something.then(|| found.to_owned())
}

/// `shop::order::{async_fn_env#0}` → `shop::order`; what the runtime puts around a future goes as well.
fn readable(name: &str) -> String {
    const AROUND: [&str; 2] = [
        "tokio::runtime::blocking::task::BlockingTask<",
        "async_executor::AsyncCallOnDrop<",
    ];
    let around = AROUND.iter().find(|around| name.starts_with(**around));
    let inner = around.and_then(|around| type_after(name, around));
    let name = inner.unwrap_or_else(|| name.to_owned());
    name.replace("::{async_fn_env#0}", "").replace("_env#", "#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_from_names() {
        let rows = [
            (
                "alloc::boxed::new<tokio::runtime::task::core::Cell<shop::order::{async_fn_env#0}, alloc::sync::Arc<H, A>>>",
                "task::core::Cell<",
                Some("shop::order"),
            ),
            (
                "tokio::runtime::task::core::Cell<T,S>::new",
                "task::core::Cell<",
                None,
            ),
            (
                "tokio::runtime::task::raw::RawTask::new::<shop::main::{closure#0}, S>",
                "raw::RawTask::new::<",
                Some("shop::main::{closure#0}"),
            ),
            (
                "tokio::runtime::task::raw::new<tokio::runtime::blocking::task::BlockingTask<shop::work::{closure_env#1}>, S>",
                "raw::new<",
                Some("shop::work::{closure#1}"),
            ),
            (
                "raw::new<core::pin::Pin<alloc::boxed::Box<dyn F<Output=(u8, u8)>>>, S>",
                "raw::new<",
                Some("core::pin::Pin<alloc::boxed::Box<dyn F<Output=(u8, u8)>>>"),
            ),
            (
                "async_task::raw::allocate<async_executor::AsyncCallOnDrop<shop::order::{async_fn_env#0}, F>, S>",
                "raw::allocate<",
                Some("shop::order"),
            ),
            ("raw::new<never closed", "raw::new<", None),
            ("raw::new<)]>", "raw::new<", None),
        ];
        for (name, after, expected) in rows {
            let found = type_after(name, after).map(|it| readable(&it));
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn every_row_says_what_it_was_verified_with() {
        for row in TABLE {
            assert!(!row.verified.is_empty() && !row.makes.is_empty(), "{row:?}");
            // What makes a cell is on the way to it.
            for path in row.makes {
                let name = path.split("::").next().expect("a crate");
                assert!(row.passes.contains(&name), "{path}");
            }
        }
    }
}
