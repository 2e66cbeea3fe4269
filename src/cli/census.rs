//! `heapsite tasks` and `heapsite threads`: how many there are, what they do, where, and who made them.
#![forbid(unsafe_code)]

mod profiles;

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args::{self, CensusBy};
use super::style::Look;
use super::{Failure, cells, input, json};
use crate::Error;
use crate::symbolize::plumbing::is_plumbing;
use crate::task::Tasks;
use crate::view::name::{fit, fit_function, printable};
use crate::view::{Frame, units};
pub(super) use profiles::of_profile;

/// What is counted.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// `tasks`
    pub(super) command: &'static str,
    /// `task`
    pub(super) one: &'static str,
    pub(super) many: &'static str,
    /// The value type that a profile has it under.
    pub(super) sample_type: &'static str,
    /// The path below `/debug/` where a service tells everything it knows.
    pub(super) question: &'static str,
    /// `spawned at`
    pub(super) made: &'static str,
}

pub(super) const TASKS: Kind = Kind {
    command: "tasks",
    one: "task",
    many: "tasks",
    sample_type: "goroutine",
    question: "heapsite/api/tasks",
    made: "spawned at",
};

/// Columns of a row's second line that come before its text.
const INDENT: usize = 42;

pub(super) fn tasks(
    all: &args::Tasks,
    look: &Look,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let args = &all.census;
    let bytes = input::ask(&args.profile, TASKS.question, TASKS.sample_type)?;
    let name = input::display(&args.profile).to_owned();
    let in_input = |error: Error| error.context(&name);
    if !Tasks::is_meant_by(&bytes) {
        let profile = input::parse(&args.profile, &bytes)?;
        if cells::are_in(&profile) {
            return cells::of_heap(all, &profile, look, out);
        }
        return of_profile(TASKS, args, &profile, look, out);
    }
    let tasks = Tasks::read_json(&bytes).map_err(in_input)?;
    if all.alive.is_some() || all.base.is_some() && all.heap.is_none() {
        let why = "a list of tasks is compared with --heap (and --base with --base-heap); --alive goes with a heap profile";
        return Err(in_input(Error::input(why)).into());
    }
    if args.stacks {
        write!(out, "{tasks}")?;
        return Ok(ExitCode::SUCCESS);
    }
    let head = format!(
        "{}: pid {}, {}, {}",
        printable(&name),
        tasks.pid,
        printable(tasks.executable.rsplit('/').next().unwrap_or_default()),
        units::time(tasks.time_nanos)
    );
    let ended = Some(tasks.ended());
    let mut census = Census {
        kind: TASKS,
        head,
        ended,
        unlisted: tasks.unlisted(),
        items: of_tasks(&tasks),
    };
    if args.json.json {
        census.items = together(census.items, args.by);
        let mut document = census.document(args);
        if let Some((cells, unreaped)) = cells::beside_list_document(all, &tasks)? {
            document["cells"] = cells;
            document["unreaped"] = unreaped;
        }
        json::write(&document, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    census.show(args, look, out)?;
    cells::beside_list(all, &tasks, look, out)?;
    Ok(ExitCode::SUCCESS)
}

/// Some that are alike.
#[derive(Clone, Default)]
pub(super) struct Item {
    pub(super) count: u64,
    pub(super) state: String,
    /// Empty: none, or different ones.
    pub(super) name: String,
    /// Of the oldest and the youngest, nanoseconds; `None`: not known.
    pub(super) ages: Option<(u64, u64)>,
    /// Where it is: the application's frame that is nearest to the leaf.
    pub(super) place: Option<Frame>,
    /// What that frame called, as a rule what is being waited for.
    pub(super) within: Vec<String>,
    pub(super) made_at: String,
}

/// All of them, and where they come from.
pub(super) struct Census {
    pub(super) kind: Kind,
    pub(super) head: String,
    pub(super) ended: Option<u64>,
    /// Those of `items` of which nothing is known but who made them.
    pub(super) unlisted: u64,
    pub(super) items: Vec<Item>,
}

/// The frame to show of a stack, leaf first, and what it called.
pub(super) fn place(stack: &[Frame]) -> (Option<Frame>, Option<String>) {
    // Distributions build the C library in its own folder.
    let of_c = |frame: &&Frame| frame.file.starts_with("./") || frame.file.contains("/sysdeps/");
    let own = |frame: &&Frame| !of_c(frame) && is_plumbing(&frame.function, &frame.file).is_none();
    // Without one, as in a runtime's idle worker: what the C library was called by.
    let at = stack.iter().position(|frame| own(&frame));
    let at = at.or_else(|| stack.iter().position(|frame| !of_c(&frame)));
    let within = at.map_or(stack.len(), |at| at).checked_sub(1);
    let within = within.and_then(|at| stack.get(at));
    (
        at.or_else(|| stack.len().checked_sub(1))
            .and_then(|at| stack.get(at).cloned()),
        within.map(|frame| frame.function.clone()),
    )
}

fn of_tasks(tasks: &Tasks) -> Vec<Item> {
    let groups = tasks.groups();
    let items = groups.iter().filter_map(|group| {
        let first = group.first()?;
        let ages = || group.iter().map(|task| task.age.as_nanos() as u64);
        let same_name = group.iter().all(|task| task.name == first.name);
        let places: Vec<_> = first.awaits.iter().map(|stack| place(stack)).collect();
        let site = tasks.spawn_sites.get(first.spawn_site);
        Some(Item {
            count: group.len() as u64,
            state: first.state.name().to_owned(),
            name: if same_name {
                first.name.clone()
            } else {
                String::new()
            },
            ages: ages().max().zip(ages().min()),
            place: places.first().and_then(|(place, _)| place.clone()),
            within: places
                .into_iter()
                .filter_map(|(_, within)| within)
                .collect(),
            made_at: site.map_or_else(String::new, |site| site.place()),
        })
    });
    let unlisted = tasks.spawn_sites.iter().filter(|site| site.unlisted > 0);
    let unlisted = unlisted.map(|site| Item {
        count: site.unlisted,
        state: "not listed".to_owned(),
        made_at: site.place(),
        ..Item::default()
    });
    items.chain(unlisted).collect()
}

fn counted(count: u64, kind: Kind) -> String {
    let number = units::count(i64::try_from(count).unwrap_or(i64::MAX));
    let word = if count == 1 { kind.one } else { kind.many };
    format!("{number} {word}")
}

impl Census {
    pub(super) fn show(
        mut self,
        args: &args::Census,
        look: &Look,
        out: &mut dyn Write,
    ) -> Result<ExitCode, Failure> {
        self.items = together(self.items, args.by);
        match args.json.json {
            true => json::write(&self.document(args), out)?,
            false => self.text(args, look, out)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    fn total(&self) -> u64 {
        self.items.iter().map(|item| item.count).sum()
    }

    fn text(&self, args: &args::Census, look: &Look, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.head)?;
        let ended = self.ended.map_or(String::new(), |ended| {
            let ended = units::count(i64::try_from(ended).unwrap_or(i64::MAX));
            format!("; {ended} have ended")
        });
        writeln!(
            out,
            "{} alive (exact){ended}",
            counted(self.total(), self.kind)
        )?;
        if self.unlisted > 0 {
            let unlisted = units::count(i64::try_from(self.unlisted).unwrap_or(i64::MAX));
            writeln!(
                out,
                "{unlisted} of them are not listed: there was no memory for them"
            )?;
        }
        writeln!(out)?;
        let width = args.width.or(look.width).unwrap_or(usize::MAX);
        let paint = look.paint();
        let (heading, end) = &paint.heading;
        writeln!(
            out,
            "{heading}{:>8}  {:<13} {:>7}  {:>7}{end}",
            "count", "state", "oldest", "newest"
        )?;
        for item in self.items.iter().take(args.n) {
            self.row(item, width, out)?;
        }
        let rest: u64 = self.items.iter().skip(args.n).map(|item| item.count).sum();
        if rest > 0 {
            let groups = self.items.len() - args.n;
            writeln!(
                out,
                "{} more in {groups} groups (-n shows them)",
                counted(rest, self.kind)
            )?;
        }
        Ok(())
    }

    fn row(&self, item: &Item, width: usize, out: &mut dyn Write) -> io::Result<()> {
        let (oldest, newest) = item.ages.map_or_else(Default::default, |(oldest, newest)| {
            (units::duration(oldest), units::duration(newest))
        });
        let count = units::count(i64::try_from(item.count).unwrap_or(i64::MAX));
        let room = width.saturating_sub(INDENT).max(20);
        let place = match &item.place {
            Some(frame) => fit(frame, room),
            None => {
                let name = match item.name.is_empty() {
                    true => format!("{} {}", self.kind.made, printable(&item.made_at)),
                    false => format!("\u{201c}{}\u{201d}", printable(&item.name)),
                };
                // Without a place, why there is none.
                let why = item.within.first().filter(|why| why.starts_with('('));
                why.map_or_else(|| name.clone(), |why| format!("{name} {}", printable(why)))
            }
        };
        let state = printable(&item.state);
        writeln!(
            out,
            "{count:>8}  {state:<13} {oldest:>7}  {newest:>7}  {place}"
        )?;
        let mut more = Vec::new();
        if item.place.is_some() {
            let within = item.within.iter().take(4);
            let each = (room / within.len().max(1)).saturating_sub(4).clamp(20, 90);
            let names: Vec<String> = within
                .map(|name| fit_function(&of_its_type(name), each))
                .collect();
            if !names.is_empty() {
                more.push(format!("in {}", names.join(" | ")));
            }
            if !item.name.is_empty() {
                more.push(format!("\u{201c}{}\u{201d}", printable(&item.name)));
            }
            if !item.made_at.is_empty() {
                more.push(format!("{} {}", self.kind.made, printable(&item.made_at)));
            }
        }
        // A line that is too long is two.
        let mut line = String::new();
        for part in more {
            if !line.is_empty() && line.len() + part.len() + 2 > room {
                writeln!(out, "{:INDENT$}{line},", "")?;
                line.clear();
            }
            if !line.is_empty() {
                line += ", ";
            }
            line += &part;
        }
        if !line.is_empty() {
            writeln!(out, "{:INDENT$}{line}", "")?;
        }
        Ok(())
    }

    fn document(&self, args: &args::Census) -> Value {
        let rows = self.items.iter().take(args.n).map(|item| {
            let place = item.place.as_ref();
            json!({
                "count": item.count,
                "state": item.state,
                "name": item.name,
                "oldest_nanos": item.ages.map(|(oldest, _)| oldest),
                "youngest_nanos": item.ages.map(|(_, youngest)| youngest),
                "function": place.map(|frame| &frame.function),
                "file": place.map(|frame| &frame.file),
                "line": place.map(|frame| frame.line),
                "within": item.within,
                "made_at": item.made_at,
            })
        });
        json!({
            "heapsite": self.kind.command,
            "version": 1,
            "profile": { "name": input::display(&args.profile) },
            "alive": self.total(),
            "ended": self.ended,
            "unlisted": self.unlisted,
            "exact": true,
            "by": args.by.name(),
            "rows_in_all": self.items.len(),
            "rows": rows.collect::<Vec<_>>(),
        })
    }
}

/// `<Sleep as Future>::poll` as `Sleep::poll`, without the closure that an `async fn` is: who waits for what is one line.
fn of_its_type(name: &str) -> String {
    let name = name.trim_end_matches("::{{closure}}");
    let parts = name
        .strip_prefix('<')
        .and_then(|inner| inner.split_once(" as "))
        .zip(name.rsplit_once(">::"));
    match parts {
        Some(((of, _), (_, method))) if !of.starts_with('<') => format!("{of}::{method}"),
        _ => name.to_owned(),
    }
}

/// Adds items up that have the chosen thing in common, the most first; what differs within a row is left out.
fn together(items: Vec<Item>, by: CensusBy) -> Vec<Item> {
    let key = |item: &Item| match by {
        CensusBy::Group => (
            item.place.clone(),
            vec![item.state.clone(), item.name.clone(), item.made_at.clone()],
            item.within.clone(),
        ),
        CensusBy::Made => (None, vec![item.made_at.clone()], Vec::new()),
        CensusBy::Place => (item.place.clone(), Vec::new(), Vec::new()),
        CensusBy::State => (None, vec![item.state.clone()], Vec::new()),
        CensusBy::Name => (None, vec![item.name.clone()], Vec::new()),
    };
    let mut rows: Vec<Item> = Vec::new();
    let mut places: HashMap<_, usize> = HashMap::new();
    for item in items {
        let next = rows.len();
        match *places.entry(key(&item)).or_insert(next) {
            at if at == next => rows.push(item),
            at => add(&mut rows[at], item),
        }
    }
    rows.sort_by_key(|item| std::cmp::Reverse(item.count));
    rows
}

fn add(row: &mut Item, item: Item) {
    row.count += item.count;
    row.ages = row
        .ages
        .zip(item.ages)
        .map(|(a, b)| (a.0.max(b.0), a.1.min(b.1)))
        .or(row.ages)
        .or(item.ages);
    let keep = |own: &mut String, other: &String| {
        if own != other {
            own.clear();
        }
    };
    keep(&mut row.state, &item.state);
    keep(&mut row.name, &item.name);
    keep(&mut row.made_at, &item.made_at);
    if row.place != item.place {
        row.place = None;
    }
    if row.within != item.within {
        row.within.clear();
    }
}
