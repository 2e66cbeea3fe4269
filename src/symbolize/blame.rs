//! Which frame of a stack is to blame: the line a developer can change.
//!
//! Walking from the leaf, frames are passed over while they only allocate on behalf of their caller. The walk
//! ends where an async runtime polls a task: what lies beyond has polled the task, it has not asked for the
//! memory, so the `main` at the root of a single-threaded runtime is not accused of every allocation.
#![forbid(unsafe_code)]

use super::find::{base_name, is_system};
use super::names;
use super::origin::{Origin, origin};
use super::path::{Parts, parts, starts_with_path};
use super::plumbing::{self, Kind};
use crate::profile::{Function, FunctionId, Line, LocationId, Profile, Sample};
use std::sync::OnceLock;

/// A frame in a sample's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlamedFrame {
    /// Index into [`Sample::locations`].
    pub location: usize,
    /// Index into [`crate::profile::Location::lines`]; 0 where the location has none.
    pub line: usize,
}

/// Blames one sample. For many samples make a [`Blamer`], which judges every function once.
///
/// `None` only if the stack is empty.
pub fn blame(profile: &Profile, sample: &Sample) -> Option<BlamedFrame> {
    Blamer::new(profile).blame(sample)
}

/// Blames samples, and judges each function once on the way.
#[derive(Debug)]
pub struct Blamer<'a> {
    profile: &'a Profile,
    /// The program's name as a crate's.
    program: String,
    /// One per function, worked out when it is asked for: most lie rootward of what is blamed.
    claims: Vec<OnceLock<Claim>>,
    /// One per mapping: the C library and its like.
    system: Vec<bool>,
}

/// How good an answer a frame is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// Application code.
    Application,
    /// Application code that derive macros write, or that copies and prints: its caller is the better answer.
    Helper,
    /// A dependency that is not in the table, or code of unknown origin.
    Library,
    /// A dependency in the table that does something recognisable (a data format, logs, a channel).
    Plumbing,
    /// Servers and runtimes, as good as other plumbing. They call the application, and never because it wants a
    /// copy of something.
    Caller,
    /// Collections and the standard library.
    Container,
    /// Polls a task: the end of the walk. As an answer no better than a container.
    TaskBoundary,
    /// The allocator, the profiler, the start of the program.
    Nobody,
}

impl Claim {
    fn rank(self) -> Claim {
        if self == Claim::Caller {
            Claim::Plumbing
        } else {
            self
        }
    }
}

impl<'a> Blamer<'a> {
    /// Of the functions of `profile`.
    pub fn new(profile: &'a Profile) -> Blamer<'a> {
        // Without file names the program's own crate is recognised by the program's name.
        let program = profile
            .mappings
            .first()
            .map_or("", |main| base_name(&main.file));
        let program = program.replace('-', "_");
        let system = profile
            .mappings
            .iter()
            .map(|mapping| is_system(&mapping.file))
            .collect();
        Blamer {
            profile,
            program,
            claims: vec![OnceLock::new(); profile.functions.len()],
            system,
        }
    }

    /// The frame to blame: the first application frame from the leaf; without one the first frame of a
    /// dependency, preferring those that are not plumbing; without names the leaf. `None` if the stack is empty.
    pub fn blame(&self, sample: &Sample) -> Option<BlamedFrame> {
        let mut best: Option<(Claim, BlamedFrame)> = None;
        'stack: for (location, &id) in sample.locations.iter().enumerate() {
            for (line, claim) in self.claims_of(id).enumerate() {
                // A body that the framework decodes for its handler: no caller further out asked for it.
                if claim == Claim::Caller && best.is_some_and(|(best, _)| best == Claim::Helper) {
                    break 'stack;
                }
                if best.is_none_or(|(best, _)| claim.rank() < best.rank()) {
                    best = Some((claim, BlamedFrame { location, line }));
                }
                if matches!(claim, Claim::Application | Claim::TaskBoundary) {
                    break 'stack;
                }
            }
        }
        let leaf = BlamedFrame {
            location: 0,
            line: 0,
        };
        best.map(|(_, frame)| frame)
            .or((!sample.locations.is_empty()).then_some(leaf))
    }

    /// The same, if it is the application's; `None` where only libraries and plumbing are to be blamed.
    pub(crate) fn blame_application(&self, sample: &Sample) -> Option<BlamedFrame> {
        let found = self.blame(sample)?;
        let id = *sample.locations.get(found.location)?;
        let claim = self.claims_of(id).nth(found.line)?;
        matches!(claim, Claim::Application | Claim::Helper).then_some(found)
    }

    fn claims_of(&self, id: LocationId) -> impl Iterator<Item = Claim> + '_ {
        let location = self.profile.locations.get(id.0 as usize);
        let mapping = location.and_then(|location| location.mapping);
        let system =
            mapping.is_some_and(|m| self.system.get(m.0 as usize).copied().unwrap_or(false));
        let lines: &[Line] = location.map_or(&[], |location| &location.lines);
        lines.iter().map(move |line| match system {
            true => Claim::Nobody,
            false => self.claim(line.function),
        })
    }

    fn claim(&self, id: FunctionId) -> Claim {
        let index = id.0 as usize;
        let (Some(known), Some(function)) =
            (self.claims.get(index), self.profile.functions.get(index))
        else {
            return Claim::Nobody;
        };
        *known.get_or_init(|| claim(function, &self.program))
    }
}

fn claim(function: &Function, program: &str) -> Claim {
    let Function { name, filename, .. } = function;
    let (parts, origin) = (&parts(name), origin(filename));
    if is_task_boundary(name, parts) {
        return Claim::TaskBoundary;
    }
    if names::judge(name, parts) {
        return Claim::Nobody;
    }
    if let Some(kind) = plumbing::judge(parts, filename, origin) {
        return match kind {
            Kind::Allocator | Kind::Start | Kind::Backtrace => Claim::Nobody,
            Kind::Http | Kind::Runtime => Claim::Caller,
            Kind::Tls | Kind::Serialization | Kind::Logging => Claim::Plumbing,
            Kind::Task | Kind::Timer | Kind::Channel => Claim::Plumbing,
            _ => Claim::Container,
        };
    }
    let ours = match origin {
        Origin::Elsewhere => true,
        // The program itself, checked out below a folder called `vendor`.
        Origin::Dependency(Some(package)) if filename.contains("/vendor/") => {
            package.replace('-', "_") == program
        }
        Origin::Unknown => names::crate_of(name, filename).is_some_and(|name| name == program),
        Origin::Dependency(_) | Origin::Toolchain(_) => false,
    };
    match ours {
        true if is_helper(name, parts) => Claim::Helper,
        true => Claim::Application,
        false => Claim::Library,
    }
}

/// Where a runtime hands control to a task.
fn is_task_boundary(name: &str, parts: &Parts) -> bool {
    const BOUNDARIES: [&str; 8] = [
        "tokio::runtime::task::raw::poll",
        "tokio::runtime::task::raw::RawTask::poll",
        "tokio::runtime::task::harness::poll_future",
        "tokio::runtime::task::harness::Harness::poll",
        "tokio::runtime::task::LocalNotified::run",
        "tokio::runtime::task::UnownedTask::run",
        "async_task::raw::RawTask::run",
        "async_task::runnable::Runnable::run",
    ];
    // The cheap question first: this is asked of every function.
    (name.contains("::task::") || name.contains("async_task"))
        && BOUNDARIES.contains(&parts.path.as_str())
}

/// Trait methods that are mostly derived, and allocate because their caller wants a copy or a text.
fn is_helper(name: &str, parts: &Parts) -> bool {
    const TRAITS: [&str; 7] = [
        "core::clone::Clone",
        "core::fmt",
        "alloc::string::ToString",
        "serde::ser",
        "serde::de",
        "serde_core::ser",
        "serde_core::de",
    ];
    // Derive macros of data formats put their code into `const _: () = { … }`.
    name.contains("::_::")
        || parts
            .of_trait
            .as_deref()
            .is_some_and(|of_trait| TRAITS.iter().any(|start| starts_with_path(of_trait, start)))
}

#[cfg(test)]
mod tests;
