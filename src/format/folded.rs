//! Folded stacks, root first: `main;serve;parse 4096`, a line per stack. What flame graph tools read.
#![forbid(unsafe_code)]

use std::cmp::Ordering;
use std::io::{self, Write};

use super::frames::{NO_STACK, unnamed};
use crate::error::{Error, Result};
use crate::profile::{Location, LocationId, Profile};

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

    // Numbers of samples are sorted, not the lines, which would take many times the memory of the profile.
    let mut order: Vec<u32> = Vec::new();
    order.extend(
        (0u32..)
            .zip(&profile.samples)
            .filter_map(|(index, sample)| (sample.values[column] != 0).then_some(index)),
    );
    let stack = |index: u32| profile.samples[index as usize].locations.as_slice();
    order.sort_unstable_by(|&a, &b| compare(stack(a), stack(b), &names));

    let failed = |error| Error::io("cannot write folded stacks", error);
    let mut out = io::BufWriter::new(out);
    for same in order.chunk_by(|&a, &b| compare(stack(a), stack(b), &names).is_eq()) {
        let values = same
            .iter()
            .map(|&index| profile.samples[index as usize].values[column]);
        let sum = values.fold(0, i64::saturating_add);
        if sum == 0 {
            continue;
        }
        line(stack(same[0]), &names, sum, &mut out).map_err(failed)?;
    }
    out.flush().map_err(failed)
}

fn line(stack: &[LocationId], names: &[String], sum: i64, out: &mut impl Write) -> io::Result<()> {
    for (number, id) in stack.iter().rev().enumerate() {
        if number > 0 {
            out.write_all(b";")?;
        }
        out.write_all(names[id.0 as usize].as_bytes())?;
    }
    if stack.is_empty() {
        out.write_all(NO_STACK.as_bytes())?;
    }
    writeln!(out, " {sum}")
}

/// The order of their lines.
fn compare(a: &[LocationId], b: &[LocationId], names: &[String]) -> Ordering {
    // Callers that both have are most of a stack, and need no look at their names.
    let shared = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .take_while(|(a, b)| a == b);
    let shared = shared.count();
    text(a, shared, names).cmp(text(b, shared, names))
}

/// The bytes of a stack's line, without the first `skipped` frames.
fn text<'a>(
    stack: &'a [LocationId],
    skipped: usize,
    names: &'a [String],
) -> impl Iterator<Item = &'a u8> {
    let empty = stack.is_empty().then_some(NO_STACK.as_bytes());
    let frames = stack.iter().rev().enumerate().skip(skipped);
    let frames = frames.flat_map(|(number, id)| {
        let separator: &[u8] = if number > 0 { b";" } else { b"" };
        [separator, names[id.0 as usize].as_bytes()]
    });
    empty.into_iter().chain(frames).flatten()
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
            true => push_name(&unnamed(profile, location), &mut frames),
            false => push_name(name, &mut frames),
        }
    }
    if frames.is_empty() {
        push_name(&unnamed(profile, location), &mut frames);
    }
    frames
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Names that begin alike, and characters on either side of the separator.
        #[test]
        fn stacks_are_ordered_as_their_lines(
            names in prop::collection::vec("[a !;<]{0,3}", 4),
            stacks in prop::collection::vec(prop::collection::vec(0u32..4, 0..5), 2),
        ) {
            let stacks: Vec<Vec<LocationId>> = stacks
                .into_iter()
                .map(|stack| stack.into_iter().map(LocationId).collect())
                .collect();
            let text = |stack: &[LocationId]| {
                let mut text = Vec::new();
                line(stack, &names, 0, &mut text).unwrap();
                text.truncate(text.len() - " 0\n".len());
                text
            };
            let expected = text(&stacks[0]).cmp(&text(&stacks[1]));
            prop_assert_eq!(compare(&stacks[0], &stacks[1], &names), expected);
        }
    }
}
