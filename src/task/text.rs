//! Tasks as text, like Go's `debug=2`: one block per group of tasks that wait in the same place.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use super::told::{Task, Tasks};
use crate::view::Frame;
use crate::view::name::{fit, printable};
use crate::view::units;

/// Names are cut at about this many columns.
const WIDTH: usize = 110;

impl fmt::Display for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.groups();
        let unlisted = self.unlisted();
        writeln!(
            f,
            "{} tasks alive, in {} groups; {} have ended",
            self.alive(),
            groups.len(),
            self.ended()
        )?;
        if unlisted > 0 {
            writeln!(
                f,
                "{unlisted} of them are not listed: there was no memory for them"
            )?;
        }
        for group in &groups {
            writeln!(f)?;
            self.write_group(group, f)?;
        }
        Ok(())
    }
}

impl Tasks {
    fn write_group(&self, group: &[&Task], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, ..] = group else { return Ok(()) };
        let site = self.spawn_sites.get(first.spawn_site);
        let plural = if group.len() == 1 { "task" } else { "tasks" };
        write!(f, "{} {plural} {}", group.len(), first.state.name())?;
        let ages = span(group.iter().map(|task| task.age));
        write!(f, ", alive for {ages}")?;
        let polls = group.iter().map(|task| task.polls);
        if let (Some(least), Some(most)) = (polls.clone().min(), polls.max())
            && most > 0
        {
            let since = span(group.iter().filter_map(|task| task.since_poll));
            match least == most {
                true => {
                    let polls = if most == 1 { "poll" } else { "polls" };
                    write!(f, ", {most} {polls}, the last {since} ago")?
                }
                false => write!(f, ", {least} to {most} polls, the last {since} ago")?,
            }
        }
        writeln!(f)?;
        if let Some(site) = site {
            writeln!(f, "  {}", printable(&site.future))?;
        }
        let names: Vec<&str> = group.iter().map(|task| task.name.as_str()).collect();
        write_names(&names, f)?;
        for (number, stack) in first.awaits.iter().enumerate() {
            match (number, first.awaits_polls_ago) {
                (0, 0) => writeln!(f, "  waits at")?,
                (0, ago) => writeln!(f, "  waited, {ago} polls ago, at")?,
                _ => writeln!(f, "  or at")?,
            }
            write_stack(stack, f)?;
        }
        if first.more_awaits > 0 {
            writeln!(f, "  and {} more", first.more_awaits)?;
        }
        match site {
            Some(site) if !site.file.is_empty() => {
                writeln!(
                    f,
                    "  spawned at {}:{}:{}",
                    site.file, site.line, site.column
                )?;
            }
            _ => writeln!(f, "  spawned at")?,
        }
        write_stack(&first.spawned_from, f)
    }
}

fn write_stack(stack: &[Frame], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for frame in stack {
        writeln!(f, "    {}", fit(frame, WIDTH))?;
    }
    Ok(())
}

fn write_names(names: &[&str], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut names: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return Ok(());
    }
    let more = names.len().saturating_sub(5);
    let shown: Vec<String> = names
        .iter()
        .take(5)
        .map(|name| format!("\u{201c}{}\u{201d}", printable(name)))
        .collect();
    match more {
        0 => writeln!(f, "  named {}", shown.join(", ")),
        more => writeln!(f, "  named {} and {more} more", shown.join(", ")),
    }
}

/// `3 s`, or `1 s to 2 h`.
fn span(times: impl Iterator<Item = Duration> + Clone) -> String {
    let show = |time: Duration| units::duration(time.as_nanos().min(u128::from(u64::MAX)) as u64);
    let (Some(least), Some(most)) = (times.clone().min(), times.max()) else {
        return String::new();
    };
    let (least, most) = (show(least), show(most));
    match least == most {
        true => most,
        false => format!("{least} to {most}"),
    }
}
