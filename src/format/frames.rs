//! Stacks as the JSON and text formats have them: lists of frames, each with a name, a file and a line.
//!
//! A location is an address with all functions inlined there; here each of these is a frame of its own, and places that
//! read the same are one frame, whatever their addresses.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fmt::Write as _;

use hashbrown::HashMap;

use crate::profile::{Line, Location, Profile, Sample};

/// What stands for the stack of a sample that has none.
pub(super) const NO_STACK: &str = "[no stack]";

/// A place in the source, or what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Frame<'p> {
    /// Never empty: what has no name is called by its place in its file, or by its address.
    pub(super) name: Cow<'p, str>,
    /// Source file; empty: unknown.
    pub(super) file: &'p str,
    /// Line, from 1; 0: unknown.
    pub(super) line: i64,
}

/// The frames of a profile, each once, and which of them a stack consists of.
pub(super) struct Frames<'p> {
    pub(super) table: Vec<Frame<'p>>,
    /// For each frame the program or library it was first met in; empty: unknown.
    pub(super) objects: Vec<&'p str>,
    /// For each location where its frames begin in `ids`, innermost first; one more at the end.
    starts: Vec<u32>,
    ids: Vec<u32>,
    no_stack: [u32; 1],
}

impl<'p> Frames<'p> {
    /// Of a whole profile ([`Profile::check`]). Takes memory for its locations, not for its samples.
    pub(super) fn new(profile: &'p Profile) -> Frames<'p> {
        let mut frames = Frames {
            table: Vec::new(),
            objects: Vec::new(),
            starts: Vec::with_capacity(profile.locations.len() + 1),
            ids: Vec::with_capacity(profile.locations.len()),
            no_stack: [0],
        };
        let mut known = HashMap::new();
        let mut intern = |frames: &mut Frames<'p>, frame: Frame<'p>, object: &'p str| {
            let next = frames.table.len() as u32;
            *known.entry(frame).or_insert_with_key(|frame| {
                frames.table.push(frame.clone());
                frames.objects.push(object);
                next
            })
        };
        for location in &profile.locations {
            frames.starts.push(frames.ids.len() as u32);
            let object = match location.mapping {
                Some(id) => profile.mappings[id.0 as usize].file.as_str(),
                None => "",
            };
            // A location that nothing is known of is one frame all the same.
            const UNKNOWN: &[Option<Line>] = &[None];
            let lines = location.lines.iter().copied().map(Some);
            let nothing = UNKNOWN[..usize::from(location.lines.is_empty())].iter();
            for line in lines.chain(nothing.copied()) {
                let id = intern(&mut frames, frame(profile, location, line), object);
                frames.ids.push(id);
            }
        }
        frames.starts.push(frames.ids.len() as u32);
        if profile.samples.iter().any(|it| it.locations.is_empty()) {
            let frame = Frame {
                name: NO_STACK.into(),
                file: "",
                line: 0,
            };
            frames.no_stack = [intern(&mut frames, frame, "")];
        }
        frames
    }

    /// Indexes into `table`, leaf first; at least one.
    pub(super) fn stack<'f>(
        &'f self,
        sample: &'f Sample,
    ) -> impl DoubleEndedIterator<Item = u32> + Clone + 'f {
        let none = &self.no_stack[..usize::from(sample.locations.is_empty())];
        let known = sample.locations.iter().flat_map(|id| {
            let at = id.0 as usize;
            &self.ids[self.starts[at] as usize..self.starts[at + 1] as usize]
        });
        known.chain(none).copied()
    }
}

fn frame<'p>(profile: &'p Profile, location: &'p Location, line: Option<Line>) -> Frame<'p> {
    let function = line.map(|line| &profile.functions[line.function.0 as usize]);
    let name = function.map_or("", |function| function.name.as_str());
    Frame {
        name: match name.is_empty() {
            true => unnamed(profile, location).into(),
            false => name.into(),
        },
        file: function.map_or("", |function| function.filename.as_str()),
        line: line.map_or(0, |line| line.line.max(0)),
    }
}

/// `[file]+0x1234` (the offset in the file), outside of every mapping the address.
pub(super) fn unnamed(profile: &Profile, location: &Location) -> String {
    let mapping = location.mapping.map(|id| &profile.mappings[id.0 as usize]);
    let mut name = String::new();
    // Writing to a String cannot fail.
    let _ = match mapping {
        Some(mapping) if !mapping.file.is_empty() => {
            let file = mapping.file.rsplit('/').next().unwrap_or_default();
            // `[vdso]` has its brackets already.
            let file = file.trim_start_matches('[').trim_end_matches(']');
            let offset = location
                .address
                .wrapping_sub(mapping.start)
                .wrapping_add(mapping.offset);
            write!(name, "[{file}]+{offset:#x}")
        }
        _ => write!(name, "{:#x}", location.address),
    };
    name
}

/// A text that stays on its line and in its column: control characters are spaces.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    match text.contains(char::is_control) {
        true => text.replace(char::is_control, " ").into(),
        false => text.into(),
    }
}
