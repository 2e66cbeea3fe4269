//! Threads as text, like Go's `debug=2`: one block per group in the same place.
#![forbid(unsafe_code)]

use std::fmt;

use super::told::{Thread, Threads};
use crate::view::name::{fit, printable};
use crate::view::units;

/// Names are cut at about this many columns.
const WIDTH: usize = 110;

impl fmt::Display for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups();
        let (threads, places) = (self.threads.len(), groups.len());
        writeln!(f, "{threads} threads, in {places} groups")?;
        if self.places_lost > 0 {
            writeln!(
                f,
                "of {} threads it is not known where they were created: there was no memory for it",
                self.places_lost
            )?;
        }
        for group in &groups {
            writeln!(f)?;
            write_group(group, f)?;
        }
        Ok(())
    }
}

fn write_group(group: &[&Thread], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [first, ..] = group else { return Ok(()) };
    let plural = if group.len() == 1 {
        "thread"
    } else {
        "threads"
    };
    let nanos = |time: std::time::Duration| units::duration(time.as_nanos() as u64);
    let oldest = group
        .iter()
        .map(|thread| thread.age)
        .max()
        .unwrap_or_default();
    let cpu = group.iter().map(|thread| thread.cpu).sum();
    writeln!(
        f,
        "{} {plural} {}, alive for up to {}, {} of processor time",
        group.len(),
        first.state.name(),
        nanos(oldest),
        nanos(cpu)
    )?;
    let mut names: Vec<&str> = group.iter().map(|thread| thread.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(5);
    let names: Vec<_> = names.iter().take(5).map(|name| printable(name)).collect();
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let own = if first.is_own {
        " (heapsite's own)"
    } else {
        ""
    };
    writeln!(f, "  named {}{more}{own}", names.join(", "))?;
    match &first.stack {
        Ok(stack) => {
            for frame in stack.iter() {
                writeln!(f, "    {}", fit(frame, WIDTH))?;
            }
            if first.is_cut {
                writeln!(f, "    … (the stack is cut here)")?;
            }
        }
        Err(why) => writeln!(f, "    no stack: {why}")?,
    }
    if let Some(created) = &first.created_from {
        writeln!(f, "  created at")?;
        for frame in created.iter() {
            writeln!(f, "    {}", fit(frame, WIDTH))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::threads;

    #[test]
    fn a_block_for_each_place() {
        let text = threads().to_string();
        let blocks: Vec<&str> = text.trim_end().split("\n\n").collect();
        assert_eq!(blocks.len(), 3);
        assert_eq!(
            blocks[1],
            "2 threads sleeping, alive for up to 9.0 s, 170.0 ms of processor time\n  named worker-1, worker-2\n    \
             std::park  src/a.rs:3\n    app::work  src/a.rs:8\n  created at\n    app::start  src/a.rs:40"
        );
        assert!(
            blocks[2].contains("no stack: it blocks the signal"),
            "{text}"
        );
    }
}
