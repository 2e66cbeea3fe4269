//! The verdict's first cut: where the memory is, or what of it grew, in one screen.
#![forbid(unsafe_code)]

mod counts;

use std::io::{self, Write};

use super::name::printable;
use super::table::{Paint, Tone};
use super::units;
use crate::profile::resources::{HeldMemory, MemoryPart, MemoryParts, Resources};

pub(crate) use counts::has_grown;
pub use counts::tasks_grew;
use counts::{alive, count_change, counts};

/// Changes below this are not spoken of as growth, bytes.
pub(crate) const SMALL: i64 = 1 << 20;

impl MemoryPart {
    /// The name that reports show.
    pub fn name(self) -> &'static str {
        match self {
            MemoryPart::Live => "live heap",
            MemoryPart::Overhead => "in use beyond it",
            MemoryPart::Free => "free in allocators",
            MemoryPart::Stacks => "thread stacks",
            MemoryPart::Files => "files and programs",
            MemoryPart::Shared => "shared memory",
            MemoryPart::Own => "heapsite itself",
            MemoryPart::Unexplained => "unexplained",
        }
    }

    /// What growth of this part means.
    pub fn meaning(self) -> &'static str {
        match self {
            MemoryPart::Live => "the program keeps more; `heapsite diff` names the lines",
            MemoryPart::Overhead => {
                "more is in use than Rust asked for: C code's malloc, or rounding of many small blocks"
            }
            MemoryPart::Free => {
                "the allocator keeps what was freed: fragmentation, or the rest of a peak; not a leak"
            }
            MemoryPart::Stacks => "more threads, or deeper stacks",
            MemoryPart::Files => "mapped files, libraries or their data",
            MemoryPart::Shared => "shared memory, or files in memory",
            MemoryPart::Own => "heapsite's own tables, within their bound",
            MemoryPart::Unexplained => {
                "memory mapped past the allocators: C libraries, JIT code, stacks of coroutines"
            }
        }
    }
}

/// Where a part's number comes from.
pub fn source(part: MemoryPart, resources: &Resources) -> String {
    let names = || {
        let all: Vec<&str> = resources
            .allocators
            .iter()
            .map(|held| held.name.as_str())
            .collect();
        all.join(", ")
    };
    let global = || resources.allocators.iter().find(|held| held.is_global);
    match part {
        MemoryPart::Live if resources.memory.live_error_bytes == 0 => {
            "heapsite, requested bytes".into()
        }
        MemoryPart::Live => "heapsite, requested bytes (estimated)".into(),
        MemoryPart::Overhead if resources.allocators.is_empty() => "the allocator's count".into(),
        MemoryPart::Overhead => match global() {
            Some(HeldMemory {
                in_use_bytes: None,
                name,
                ..
            }) => {
                format!("{name} does not count it; of the other allocators")
            }
            _ => format!("counted by {}", names()),
        },
        MemoryPart::Free if resources.allocators.is_empty() => "resident, not in use".into(),
        MemoryPart::Free => format!("resident in {}, not in use", names()),
        MemoryPart::Stacks => "smaps (estimated)".into(),
        MemoryPart::Files | MemoryPart::Shared => "smaps".into(),
        MemoryPart::Own => "smaps of its tables".into(),
        MemoryPart::Unexplained => why(resources).into(),
    }
}

/// What the unexplained part probably is.
fn why(resources: &Resources) -> &'static str {
    let known = resources.allocators.iter().any(|held| held.is_global);
    match resources.memory.unexplained_bytes {
        bytes if bytes < -SMALL => "below zero: counted above, but never touched or swapped out",
        bytes if bytes < SMALL => {
            "the rest: the loader's, signal stacks, pages counted moments apart"
        }
        _ if !known && !resources.allocators.is_empty() => {
            "the rest; the program's allocator is not known, so what it keeps is in here"
        }
        _ => "the rest: mapped past the allocators",
    }
}

/// The split of one moment.
///
/// # Errors
/// What `out` returns.
pub fn write_now(resources: &Resources, paint: &Paint, out: &mut dyn Write) -> io::Result<()> {
    let memory = &resources.memory;
    let resident = units::bytes(memory.rss_bytes as f64);
    match resources.virtual_bytes {
        0 => writeln!(out, "{resident} resident")?, // by a pprof file's comment
        space => writeln!(
            out,
            "{resident} resident, {} swapped, {} of address space",
            units::bytes(resources.swap_bytes as f64),
            units::bytes(space as f64)
        )?,
    }
    let rows = memory.parts().map(|(part, bytes)| {
        let share = units::percent(bytes, signed(memory.rss_bytes));
        let size = units::with_error(bytes, error_of(part, memory), "bytes");
        (
            vec![(size, Tone::Plain), (share, Tone::Plain)],
            part.name(),
            source(part, resources),
        )
    });
    table(&["bytes", "share"], &rows, paint, out)?;
    writeln!(out, "{}", largest(memory))?;
    for held in &resources.allocators {
        line(out, "allocator", &allocator(held))?;
    }
    line(out, "threads", &counts(&resources.threads))?;
    let limit = match resources.fd_limit {
        0 => String::new(),
        limit => format!(" (limit {})", units::count(signed(limit))),
    };
    line(out, "descriptors", &(counts(&resources.fds) + &limit))?;
    if let Some(tasks) = resources.tasks.as_ref().filter(|tasks| tasks.started > 0) {
        let ended = tasks.started.saturating_sub(tasks.alive);
        let ended = format!("; {} have ended", units::count(signed(ended)));
        line(out, "tasks", &(counts(&tasks.by_spawn_site) + &ended))?;
    }
    if let Some(cgroup) = &resources.cgroup {
        let of =
            |limit: Option<u64>| limit.map_or("none".into(), |bytes| units::bytes(bytes as f64));
        let text = format!(
            "{} used, limit {}, high {}, killed {} times",
            units::bytes(cgroup.current_bytes as f64),
            of(cgroup.limit_bytes),
            of(cgroup.high_bytes),
            cgroup.oom_kills
        );
        line(out, "control group", &text)?;
    }
    Ok(())
}

/// `most: free in allocators; …`: what one moment tells, and what to ask next.
fn largest(memory: &MemoryParts) -> String {
    let parts = memory.parts();
    let [(mut most, mut size), ..] = parts;
    for (part, bytes) in parts {
        if bytes > size {
            (most, size) = (part, bytes);
        }
    }
    let next = match most {
        MemoryPart::Live => "`heapsite top` names the lines that keep it",
        MemoryPart::Free => "the allocator could give it back, or it lies between live blocks",
        MemoryPart::Files => "mostly pages that the kernel can take back",
        MemoryPart::Unexplained => "not from an allocator that is known",
        _ => "not the program's own data",
    };
    format!(
        "most is {}: {next}; `heapsite info BASE NOW` tells what grows",
        most.name()
    )
}

/// What grew from one moment to another.
///
/// # Errors
/// What `out` returns.
pub fn write_change(
    base: &Resources,
    now: &Resources,
    paint: &Paint,
    out: &mut dyn Write,
) -> io::Result<()> {
    let [before, after] = [base, now].map(|of| signed(of.memory.rss_bytes));
    let growth = after.saturating_sub(before);
    let [from, to] = [before, after].map(|bytes| units::bytes(bytes as f64));
    let verdict = match largest_growth(&base.memory, &now.memory) {
        Some((part, bytes)) => format!(
            "{} {}: {}",
            part.name(),
            units::change(bytes, None, "bytes"),
            part.meaning()
        ),
        None if growth >= SMALL => {
            "no part grew by more than chance may: wait longer before the second, or sample more often".into()
        }
        None => "no part grew by 1 MiB, and by more than chance".into(),
    };
    writeln!(
        out,
        "resident {from} → {to}: {}",
        units::change(growth, None, "bytes")
    )?;
    writeln!(out, "{verdict}")?;
    let others = others(base, now);
    if !others.is_empty() {
        writeln!(out, "grew as well: {}", others.join(", "))?;
    }
    writeln!(out)?;
    let rows: Vec<_> = changes(&base.memory, &now.memory)
        .map(|(part, [before, after])| {
            let error = match part {
                MemoryPart::Live => {
                    Some(live_error(&base.memory, &now.memory)).filter(|&error| error > 0.0)
                }
                _ => None,
            };
            let growth = after.saturating_sub(before);
            let change = units::change(growth, error, "bytes");
            let tone = match growth {
                change if change >= SMALL => Tone::Alarm,
                change if change <= -SMALL => Tone::Relief,
                _ => Tone::Plain,
            };
            let [before, after] =
                [before, after].map(|bytes| (units::bytes(bytes as f64), Tone::Plain));
            (
                vec![(change, tone), before, after],
                part.name(),
                source(part, now),
            )
        })
        .collect();
    table(&["growth", "base", "now"], &rows, paint, out)?;
    count_change(out, "threads", &base.threads, &now.threads)?;
    count_change(out, "descriptors", &base.fds, &now.fds)?;
    match (&base.tasks, &now.tasks) {
        (Some(base), Some(now)) if base.started + now.started > 0 => {
            count_change(out, "tasks", &base.by_spawn_site, &now.by_spawn_site)
        }
        _ => Ok(()),
    }
}

/// What grew besides the largest part: other parts by the same rule, and threads, descriptors and tasks by four and by a
/// tenth.
fn others(base: &Resources, now: &Resources) -> Vec<String> {
    let mut parts: Vec<(MemoryPart, i64)> = grown(&base.memory, &now.memory).collect();
    parts.sort_by_key(|&(_, growth)| std::cmp::Reverse(growth));
    let parts = parts.into_iter().skip(1).map(|(part, growth)| {
        let change = units::change(growth, None, "bytes");
        format!("{} {change}", part.name())
    });
    let counts = [
        ("threads", base.thread_count(), now.thread_count()),
        ("descriptors", base.fd_count(), now.fd_count()),
        ("tasks", alive(base), alive(now)),
    ];
    let counts = counts.into_iter().filter_map(|(name, before, after)| {
        let more = signed(after.saturating_sub(before));
        has_grown(before, after).then(|| format!("{name} {}", units::change(more, None, "count")))
    });
    parts.chain(counts).collect()
}

/// The part that grew most, if one grew by 1 MiB, and by more than chance where it depends on an estimate: by twice the
/// standard error of what is live.
pub fn largest_growth(base: &MemoryParts, now: &MemoryParts) -> Option<(MemoryPart, i64)> {
    grown(base, now).max_by_key(|&(_, growth)| growth)
}

/// By how much a part grew, by the same rule.
pub(crate) fn grew(base: &MemoryParts, now: &MemoryParts, part: MemoryPart) -> Option<i64> {
    let same = |&(grown, _): &(MemoryPart, i64)| grown == part;
    grown(base, now).find(same).map(|(_, growth)| growth)
}

fn grown(base: &MemoryParts, now: &MemoryParts) -> impl Iterator<Item = (MemoryPart, i64)> {
    let chance = (2.0 * live_error(base, now)) as i64;
    let least = move |part| match part {
        MemoryPart::Live | MemoryPart::Overhead | MemoryPart::Free => SMALL.max(chance),
        _ => SMALL,
    };
    changes(base, now)
        .map(|(part, [before, after])| (part, after.saturating_sub(before)))
        .filter(move |&(part, growth)| growth >= least(part))
}

fn changes(base: &MemoryParts, now: &MemoryParts) -> impl Iterator<Item = (MemoryPart, [i64; 2])> {
    let both = base.parts().into_iter().zip(now.parts());
    both.map(|((part, before), (_, after))| (part, [before, after]))
}

/// The standard error of the growth of what is live: an upper bound where both are of one process, since what is live in both
/// is the same there.
fn live_error(base: &MemoryParts, now: &MemoryParts) -> f64 {
    (base.live_error_bytes as f64).hypot(now.live_error_bytes as f64)
}

fn error_of(part: MemoryPart, memory: &MemoryParts) -> Option<f64> {
    (part == MemoryPart::Live && memory.live_error_bytes > 0)
        .then_some(memory.live_error_bytes as f64)
}

type Row = (Vec<(String, Tone)>, &'static str, String);

/// Columns of numbers, the part's name, and its source.
fn table(titles: &[&str], rows: &[Row], paint: &Paint, out: &mut dyn Write) -> io::Result<()> {
    let width = |text: &str| text.chars().count();
    let column = |at: usize| {
        let cells = rows.iter().map(|(cells, ..)| width(&cells[at].0));
        cells.chain([width(titles[at])]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..titles.len()).map(column).collect();
    let mut heading = String::new();
    for (title, width) in titles.iter().zip(&widths) {
        heading += &format!("{title:>width$}  ");
    }
    heading += &format!("{:<18}  source", "part");
    writeln!(out, "{}", paint.apply(Tone::Heading, &heading))?;
    for (cells, name, source) in rows {
        for ((text, tone), &to) in cells.iter().zip(&widths) {
            let padding = " ".repeat(to.saturating_sub(width(text)));
            write!(out, "{padding}{}  ", paint.apply(*tone, text))?;
        }
        writeln!(
            out,
            "{name:<18}  {}",
            paint.apply(Tone::Faint, &printable(source))
        )?;
    }
    Ok(())
}

fn allocator(held: &HeldMemory) -> String {
    let bytes = |bytes: u64| units::bytes(bytes as f64);
    let mut text = format!("{}: {} resident", held.name, bytes(held.resident_bytes));
    for (size, what) in [
        (held.in_use_bytes, "in use"),
        (held.metadata_bytes, "tables"),
        (held.retained_bytes, "retained (not resident)"),
    ] {
        if let Some(size) = size {
            text += &format!(", {} {what}", bytes(size));
        }
    }
    let role = if held.is_global { "; Rust's" } else { "" };
    format!("{text}{role} ({})", held.source)
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn line(out: &mut dyn Write, name: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{name:<14}  {}", printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::resources::Count;

    fn parts(live: u64, free: u64, unexplained: i64) -> Resources {
        let mut resources = Resources::default();
        let memory = &mut resources.memory;
        (memory.live_bytes, memory.free_bytes) = (live << 20, free << 20);
        memory.unexplained_bytes = unexplained << 20;
        memory.rss_bytes = (((live + free) as i64 + unexplained) << 20) as u64;
        resources
    }

    #[test]
    fn the_largest_growth_is_named() {
        let grown = |base: &Resources, now: &Resources| largest_growth(&base.memory, &now.memory);
        let base = parts(10, 5, 1);
        assert_eq!(
            grown(&base, &parts(10, 65, 1)),
            Some((MemoryPart::Free, 60 << 20))
        );
        assert_eq!(
            grown(&base, &parts(5, 5, 3)),
            Some((MemoryPart::Unexplained, 2 << 20))
        );
        assert_eq!(grown(&base, &base), None);
        // Twice the standard error is chance.
        let mut noisy = parts(14, 5, 1);
        noisy.memory.live_error_bytes = 3 << 20;
        assert_eq!(grown(&base, &noisy), None);
        noisy.memory.live_error_bytes = 1 << 20;
        assert_eq!(grown(&base, &noisy), Some((MemoryPart::Live, 4 << 20)));
    }

    #[test]
    fn what_else_grew_is_told() {
        let count = |count| {
            let name = String::new();
            vec![Count { name, count }]
        };
        let (mut base, mut now) = (parts(10, 5, 1), parts(30, 45, 4));
        (base.threads, now.threads) = (count(100), count(109));
        (base.fds, now.fds) = (count(1), count(5));
        assert_eq!(
            others(&base, &now),
            [
                "live heap +20.0 MiB",
                "unexplained +3.0 MiB",
                "descriptors +4"
            ]
        );
        assert!(others(&now, &base).is_empty() && others(&base, &base).is_empty());
    }

    #[test]
    fn the_unexplained_part_says_why() {
        let mut resources = parts(10, 0, -8);
        assert!(why(&resources).contains("never touched"));
        resources.memory.unexplained_bytes = 40 << 20;
        assert_eq!(why(&resources), "the rest: mapped past the allocators");
        resources.allocators = vec![HeldMemory::default()];
        assert!(why(&resources).contains("not known"));
    }
}
