//! Holds what was found while a file is open.
//!
//! Names that outlive the millions of small allocations made for debug information, and lie among them, keep
//! nearly every page of those from being given back. So they are gathered in a few large buffers, and become
//! a profile's strings after the file has been closed, in memory of the program's.
#![forbid(unsafe_code)]

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::profile::addresses::FunctionIndex;
use crate::profile::{Function, Line, Profile};

/// Frames of locations, innermost first within each.
#[derive(Default)]
pub(super) struct Gathered {
    frames: Vec<Frame>,
    text: String,
    /// Every part of `text` that is in use, once.
    parts: HashTable<Range<usize>>,
    hasher: DefaultHashBuilder,
}

struct Frame {
    location: u32,
    name: Range<usize>,
    system_name: Range<usize>,
    filename: Range<usize>,
    line: i64,
    column: i64,
}

impl Gathered {
    /// Adds a frame around those that the location (an index) has.
    pub(super) fn push(
        &mut self,
        location: u32,
        name: &str,
        system_name: &str,
        filename: &str,
        (line, column): (i64, i64),
    ) {
        let [name, system_name, filename] =
            [name, system_name, filename].map(|text| self.part(text));
        self.frames.push(Frame {
            location,
            name,
            system_name,
            filename,
            line,
            column,
        });
    }

    fn part(&mut self, new: &str) -> Range<usize> {
        let Gathered {
            text,
            parts,
            hasher,
            ..
        } = self;
        let hash = hasher.hash_one(new);
        if let Some(part) = parts.find(hash, |part| &text[part.clone()] == new) {
            return part.clone();
        }
        let start = text.len();
        text.push_str(new);
        let part = start..text.len();
        parts.insert_unique(hash, part.clone(), |part| {
            hasher.hash_one(&text[part.clone()])
        });
        part
    }

    /// Replaces the lines of the locations that have frames here.
    pub(super) fn write_to(&self, profile: &mut Profile, functions: &mut FunctionIndex) {
        for frame in &self.frames {
            profile.locations[frame.location as usize].lines.clear();
        }
        for frame in &self.frames {
            let parts = [&frame.name, &frame.system_name, &frame.filename];
            let [name, system_name, filename] =
                parts.map(|part| self.text[part.clone()].to_owned());
            let function = Function {
                name,
                system_name,
                filename,
                start_line: 0,
            };
            let function = functions.intern(&mut profile.functions, function);
            let lines = &mut profile.locations[frame.location as usize].lines;
            lines.push(Line {
                function,
                line: frame.line,
                column: frame.column,
            });
        }
    }
}
