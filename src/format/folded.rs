//! Folded stacks, root first: `main;serve;parse 4096`, a line per stack. What flame graph tools read.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::io::{self, Write};

use hashbrown::HashMap;

use crate::error::{Error, Result};
use crate::profile::{Location, Profile};

/// Writes the values of one sample type: that called `sample_type`, or the one shown first
/// ([`Profile::sample_type_index`]).
///
/// Inlined functions are frames of their own. A location without a function shows as `[file]+0x1234`
/// (the offset in the file), outside of every mapping as its address. In names `;` becomes `:`, and line
/// breaks become spaces. Stacks that read the same are one line; lines are sorted, sums of 0 left out. The
/// negative values of a difference are written as such: few tools take them.
///
/// # Errors
/// The profile is not whole ([`Profile::check`]), it has no such sample type, or `out` fails.
pub fn write(profile: &Profile, sample_type: Option<&str>, out: &mut dyn io::Write) -> Result<()> {
    profile.check()?;
    if profile.samples.is_empty() && sample_type.is_none() {
        return Ok(());
    }
    let column = profile.sample_type_index(sample_type)?;
    let names: Vec<String> = profile
        .locations
        .iter()
        .map(|location| frames(profile, location))
        .collect();

    let mut sums: HashMap<String, i64> = HashMap::new();
    let mut line = String::new();
    for sample in &profile.samples {
        let value = sample.values[column];
        if value == 0 {
            continue;
        }
        line.clear();
        for id in sample.locations.iter().rev() {
            if !line.is_empty() {
                line.push(';');
            }
            line.push_str(&names[id.0 as usize]);
        }
        if line.is_empty() {
            line.push_str("[no stack]");
        }
        let sum = sums.entry_ref(line.as_str()).or_insert(0);
        *sum = sum.saturating_add(value);
    }
    let mut lines: Vec<(String, i64)> = sums.into_iter().filter(|&(_, sum)| sum != 0).collect();
    lines.sort_unstable();

    let failed = |error| Error::io("cannot write folded stacks", error);
    let mut out = io::BufWriter::new(out);
    for (stack, sum) in &lines {
        writeln!(out, "{stack} {sum}").map_err(failed)?;
    }
    out.flush().map_err(failed)
}

/// The frames of one location, outermost first, joined by `;`.
fn frames(profile: &Profile, location: &Location) -> String {
    let mut frames = String::new();
    for line in location.lines.iter().rev() {
        let name = &profile.functions[line.function.0 as usize].name;
        if !frames.is_empty() {
            frames.push(';');
        }
        match name.is_empty() {
            true => unnamed(profile, location, &mut frames),
            false => push_name(name, &mut frames),
        }
    }
    if frames.is_empty() {
        unnamed(profile, location, &mut frames);
    }
    frames
}

fn unnamed(profile: &Profile, location: &Location, frames: &mut String) {
    let mapping = location.mapping.map(|id| &profile.mappings[id.0 as usize]);
    // Writing to a String cannot fail.
    let _ = match mapping {
        Some(mapping) if !mapping.file.is_empty() => {
            let file = mapping.file.rsplit('/').next().unwrap_or_default();
            let offset = location
                .address
                .wrapping_sub(mapping.start)
                .wrapping_add(mapping.offset);
            frames.push('[');
            // `[vdso]` has its brackets already.
            push_name(file.trim_start_matches('[').trim_end_matches(']'), frames);
            write!(frames, "]+{offset:#x}")
        }
        _ => write!(frames, "{:#x}", location.address),
    };
}

fn push_name(name: &str, frames: &mut String) {
    frames.extend(name.chars().map(|c| match c {
        ';' => ':',
        '\n' | '\r' => ' ',
        other => other,
    }));
}

/// Whether the first line looks like a folded stack: text, a space, a whole number.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(64 << 10)];
    let Some(end) = head.iter().position(|&byte| byte == b'\n') else {
        return false;
    };
    let line = head[..end].trim_ascii_end();
    let Ok(line) = std::str::from_utf8(line) else {
        return false;
    };
    match line.rsplit_once(' ') {
        Some((stack, number)) => {
            !stack.is_empty()
                && !stack.contains(|c: char| c.is_control())
                && number.parse::<i64>().is_ok()
        }
        None => false,
    }
}
