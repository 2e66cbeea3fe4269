//! What values are added up by, and which frame of a stack is to blame.
//!
//! Keys are text (function, file, line), so that profiles of different builds can be compared.
#![forbid(unsafe_code)]

use crate::profile::{Location, LocationId, Profile};
use crate::symbolize::{names, plumbing};

/// What a row of a view stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// A whole stack.
    Site,
    /// A function of a file.
    Function,
    /// A function by its name alone, wherever its file is: what pprof calls `functions`.
    FunctionName,
    /// A function and a line.
    Line,
    /// A crate, by the path of the function's name.
    Crate,
    /// A source file.
    File,
    /// An address of code, with the function and the line at it.
    Address,
    /// The thread that allocated.
    Thread,
    /// The labels of the samples.
    Label,
    /// How long ago what is live was allocated.
    Age,
}

impl By {
    /// The word for a row: `site`, `function`, `line`, `file`, `crate`, `thread` and so on.
    pub fn name(self) -> &'static str {
        match self {
            By::Site => "site",
            By::Function | By::FunctionName => "function",
            By::Line => "line",
            By::Crate => "crate",
            By::File => "file",
            By::Address => "address",
            By::Thread => "thread",
            By::Label => "label",
            By::Age => "age",
        }
    }

    /// Rows stand for frames, or for something that each frame has: then there are callers.
    pub fn is_frame(self) -> bool {
        !matches!(self, By::Site | By::Thread | By::Label | By::Age)
    }
}

/// Which frame of a stack owns what was allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The first application frame from the leaf: std, alloc, core, hashbrown and the like are plumbing.
    #[default]
    Application,
    /// The leaf, as pprof has it.
    Leaf,
}

/// A function at a line. Inlined functions are frames like any other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Frame {
    /// The function's name; without symbols the address and its mapping.
    pub function: String,
    /// Source file; empty: unknown.
    pub file: String,
    /// Line, from 1; 0: unknown.
    pub line: i64,
}

/// The identity of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A frame; by function its `line` is 0.
    Frame(Frame),
    /// A crate, a thread and the like.
    Name(String),
    /// The path of a source file.
    File(String),
    /// An address of code and the frame at it.
    Address(u64, Frame),
    /// A stack, leaf first, and which of its frames is blamed.
    Site(Vec<Frame>, usize),
}

impl Key {
    /// The frame to show, where the row stands for one or for a stack.
    pub fn frame(&self) -> Option<&Frame> {
        match self {
            Key::Frame(frame) | Key::Address(_, frame) => Some(frame),
            Key::Name(_) | Key::File(_) => None,
            Key::Site(frames, blamed) => frames.get(*blamed),
        }
    }

    /// The function, crate, file or thread.
    pub fn name(&self) -> &str {
        match self {
            Key::Name(name) | Key::File(name) => name,
            _ => self
                .frame()
                .map_or("(empty stack)", |frame| &frame.function),
        }
    }
}

/// The frames of a location, innermost first. An address without symbols is one frame.
pub fn frames(profile: &Profile, id: LocationId) -> Vec<Frame> {
    let Some(location) = profile.locations.get(id.0 as usize) else {
        return vec![Frame {
            function: format!("(location {} is missing)", id.0),
            ..Frame::default()
        }];
    };
    if location.lines.is_empty() {
        return vec![Frame {
            function: address(profile, location),
            ..Frame::default()
        }];
    }
    let frame = |line: &crate::profile::Line| {
        let function = profile.functions.get(line.function.0 as usize);
        let text = |get: fn(&crate::profile::Function) -> &String| {
            function.map_or_else(String::new, |f| get(f).clone())
        };
        let mut name = text(|f| &f.name);
        if name.is_empty() {
            name = text(|f| &f.system_name);
        }
        Frame {
            function: name,
            file: text(|f| &f.filename),
            line: line.line,
        }
    };
    location.lines.iter().map(frame).collect()
}

/// `shop+0x1234` (file offset, the same in every run), or the bare address outside of known mappings.
pub(super) fn address(profile: &Profile, location: &Location) -> String {
    let mapping = location
        .mapping
        .and_then(|id| profile.mappings.get(id.0 as usize));
    match mapping {
        Some(mapping) if location.address >= mapping.start => {
            let file = mapping.file.rsplit('/').next().unwrap_or("");
            let offset = (location.address - mapping.start).saturating_add(mapping.offset);
            format!("{}+{offset:#x}", if file.is_empty() { "?" } else { file })
        }
        _ => format!("{:#x}", location.address),
    }
}

/// The role of a frame in a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The allocator's own: never shown.
    Internal,
    /// std, alloc, core and the like: shown, but not blamed.
    Plumbing,
    /// Everything else.
    Application,
}

pub(crate) fn role(frame: &Frame) -> Role {
    if names::is_internal(&frame.function) {
        Role::Internal
    } else if plumbing::is_plumbing(&frame.function, &frame.file).is_some() {
        Role::Plumbing
    } else {
        Role::Application
    }
}
