//! What a check found, as data and as text.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::view::units;

/// What leaked, who is to blame, and what could not be seen. Counts and bytes are exact.
///
/// `Debug` shows the same text as `Display`, so that `check.find().unwrap()` can be read.
#[derive(Clone, Default, Serialize)]
#[non_exhaustive]
pub struct LeakReport {
    /// Why nothing was checked; then the rest is empty.
    pub not_checked: Option<Box<str>>,
    /// Memory, most bytes first.
    pub heap: Vec<LeakedSite>,
    /// Threads that have not ended.
    pub threads: Box<[LeakedThread]>,
    /// Tracked tasks that have not ended, those that do the same in one place together, the most numerous first.
    pub tasks: Box<[LeakedTasks]>,
    /// File descriptors that are still open.
    pub fds: Box<[LeakedFd]>,
    /// What was left out, what could not be judged, and what could not be seen.
    pub notes: Vec<String>,
    /// Two snapshots, if they were saved.
    pub snapshots: Option<Box<SavedPair>>,
}

/// Memory that was allocated at one place and is still there.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LeakedSite {
    /// The line to blame: the first application frame.
    pub blamed: Place,
    /// The stack's application frames from there on, leaf first.
    pub stack: Vec<Place>,
    /// Allocations.
    pub objects: u64,
    /// Requested bytes.
    pub bytes: u64,
    /// They are the cells of tasks that nobody tracks; `None`: other memory, or a runtime that is not known.
    pub task: Option<LeakedCell>,
    /// The static that holds them; only with [`Options::statics`](super::Options::statics).
    pub held_by: Option<String>,
}

/// The task that a leaked block is the cell of, as its stack tells: alive, or ended and somebody still has its handle.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LeakedCell {
    /// Whose task: a runtime of [`crate::task::cells::TABLE`].
    pub runtime: String,
    /// The type of the future, as far as names of functions tell it; may be empty.
    pub future: String,
    /// The line that spawned it.
    pub spawned_at: Place,
}

/// A thread that the check's threads started and that has not ended.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LeakedThread {
    /// As the kernel keeps it: at most 15 bytes.
    pub name: String,
    /// The kernel's id.
    pub id: u32,
    /// Where it was started; `None`: not by `std::thread`.
    pub started: Option<Place>,
    /// The stack's application frames from there on.
    pub stack: Vec<Place>,
    /// Allocations of the check that only this thread holds.
    pub holds_objects: u64,
    /// Their requested bytes.
    pub holds_bytes: u64,
}

/// Tasks of the check that have not ended: spawned by one line, from one stack, and waiting in one place.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct LeakedTasks {
    /// How many.
    pub count: u64,
    /// Names that they were given, up to five.
    pub names: Vec<String>,
    /// The type of their future; for an `async fn` its path.
    pub future: String,
    /// The line that made them, `file:line:column`.
    pub spawned_at: String,
    /// The application's frames of the stack that they were spawned from, leaf first.
    pub stack: Vec<Place>,
    /// `never polled`, `waiting`, `running` or `blocking`.
    pub state: String,
    /// Where each of them waits: one stack for each arm of a `select!`, from what is waited for to the application's
    /// frames.
    pub awaits: Vec<Vec<Place>>,
    /// Allocations of the check that only these tasks hold.
    pub holds_objects: u64,
    /// Their requested bytes.
    pub holds_bytes: u64,
}

/// A file descriptor that was not open when the check started. Where it was opened is not known.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LeakedFd {
    /// Its number.
    pub fd: i32,
    /// `file`, `tcp socket`, `unix socket`, `pipe`, `eventfd`, …
    pub kind: String,
    /// The path, or the ends of a socket; may be empty.
    pub target: String,
}

/// A function in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Place {
    /// The function's name, or the address of code without a name.
    pub function: String,
    /// The source file; empty if unknown.
    pub file: String,
    /// The line; 0: unknown.
    pub line: i64,
}

/// Two snapshots of the whole process, for `heapsite diff BEFORE AFTER`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SavedPair {
    /// As the process would be without what leaked.
    pub before: PathBuf,
    /// As it was when the leak was found.
    pub after: PathBuf,
}

/// What functions return as an error stays small.
const _: () = assert!(size_of::<LeakReport>() < 128);

impl LeakReport {
    pub(super) fn not_checked(why: &str) -> LeakReport {
        LeakReport {
            not_checked: Some(why.into()),
            ..LeakReport::default()
        }
    }

    /// Nothing leaked, and everything was checked.
    pub(super) fn is_clean(&self) -> bool {
        self.not_checked.is_none()
            && self.heap.is_empty()
            && self.threads.is_empty()
            && self.tasks.is_empty()
            && self.fds.is_empty()
    }

    /// Tracked tasks that have not ended.
    pub fn task_count(&self) -> u64 {
        self.tasks.iter().map(|tasks| tasks.count).sum()
    }

    /// Leaked allocations and their bytes, without what leaked threads and tasks hold.
    pub fn heap_total(&self) -> (u64, u64) {
        self.heap.iter().fold((0, 0), |(objects, bytes), site| {
            (objects + site.objects, bytes + site.bytes)
        })
    }

    fn verdict(&self) -> String {
        if let Some(why) = &self.not_checked {
            return format!("nothing was checked for leaks: {why}");
        }
        let leaks = self.heap.len() + self.threads.len() + self.tasks.len() + self.fds.len();
        let mut parts = Vec::new();
        if !self.heap.is_empty() {
            let (objects, bytes) = self.heap_total();
            parts.push(amount(objects, bytes));
        }
        if !self.threads.is_empty() {
            parts.push(plural(self.threads.len() as u64, "thread"));
        }
        if !self.tasks.is_empty() {
            parts.push(plural(self.task_count(), "task"));
        }
        if !self.fds.is_empty() {
            parts.push(plural(self.fds.len() as u64, "file descriptor"));
        }
        match leaks {
            0 => "no leaks".to_owned(),
            _ => format!("{}: {}", plural(leaks as u64, "leak"), parts.join("; ")),
        }
    }
}

/// `3 objects, 4,128 bytes`.
pub(super) fn amount(objects: u64, bytes: u64) -> String {
    format!("{}, {}", plural(objects, "object"), plural(bytes, "byte"))
}

/// `1 thread`, `2 threads`.
pub(super) fn plural(count: u64, word: &str) -> String {
    let number = units::count(i64::try_from(count).unwrap_or(i64::MAX));
    match count {
        1 => format!("{number} {word}"),
        _ => format!("{number} {word}s"),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match (self.file.as_str(), self.line) {
            ("", _) => Ok(()),
            (file, 0) => write!(f, "  {file}"),
            (file, line) => write!(f, "  {file}:{line}"),
        }
    }
}

/// Frames below the one that the line above shows.
fn write_rest(f: &mut fmt::Formatter<'_>, stack: &[Place], shown: Option<&Place>) -> fmt::Result {
    for place in stack.iter().filter(|place| Some(*place) != shown) {
        write!(f, "\n      {place}")?;
    }
    Ok(())
}

impl fmt::Display for LeakedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", plural(self.count, "task"))?;
        for (number, name) in self.names.iter().enumerate() {
            write!(f, "{} `{name}`", if number == 0 { "" } else { "," })?;
        }
        if self.count > 1 && self.names.len() as u64 > 1 && (self.names.len() as u64) < self.count {
            write!(f, ", …")?;
        }
        let s = if self.count == 1 { "s" } else { "" };
        write!(
            f,
            " spawned at {}, {} ({})",
            self.spawned_at, self.state, self.future
        )?;
        if self.holds_objects > 0 {
            let amount = amount(self.holds_objects, self.holds_bytes);
            write!(f, ", hold{s} {amount}")?;
        }
        for (number, stack) in self.awaits.iter().enumerate() {
            let word = if number == 0 { "waits" } else { "or" };
            for (depth, place) in stack.iter().enumerate() {
                match depth {
                    0 => write!(f, "\n      {word} at {place}")?,
                    _ => write!(f, "\n         {place}")?,
                }
            }
        }
        for (depth, place) in self.stack.iter().enumerate() {
            match depth {
                0 => write!(f, "\n      spawned by {place}")?,
                _ => write!(f, "\n         {place}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.verdict())?;
        for site in &self.heap {
            let amount = amount(site.objects, site.bytes);
            match &site.task {
                Some(task) => {
                    let kind = if site.objects == 1 { "a task" } else { "tasks" };
                    write!(f, "\n  {amount}: {kind} of {}", task.runtime)?;
                    if !task.future.is_empty() {
                        write!(f, " ({})", task.future)?;
                    }
                    write!(f, ", spawned at {}", task.spawned_at)?;
                }
                None => write!(f, "\n  {amount} at {}", site.blamed)?,
            }
            if let Some(holder) = &site.held_by {
                write!(f, ", kept by {holder}")?;
            }
            let shown = site.task.as_ref().map(|task| &task.spawned_at);
            write_rest(f, &site.stack, shown.or(Some(&site.blamed)))?;
        }
        for thread in &self.threads {
            write!(f, "\n  thread `{}` (id {})", thread.name, thread.id)?;
            match &thread.started {
                Some(place) => write!(f, " started at {place}")?,
                None => write!(f, ", not started by std::thread")?,
            }
            if thread.holds_objects > 0 {
                let amount = amount(thread.holds_objects, thread.holds_bytes);
                write!(f, ", holds {amount}")?;
            }
            write_rest(f, &thread.stack, thread.started.as_ref())?;
        }
        for tasks in &self.tasks {
            write!(f, "\n  {tasks}")?;
        }
        for fd in &self.fds {
            write!(f, "\n  fd {}: {} {}", fd.fd, fd.kind, fd.target)?;
        }
        for note in &self.notes {
            write!(f, "\n  note: {note}")?;
        }
        if let Some(pair) = &self.snapshots {
            let (before, after) = (pair.before.display(), pair.after.display());
            write!(
                f,
                "\n  the process without and with what leaked: heapsite diff {before} {after}"
            )?;
        }
        Ok(())
    }
}

impl fmt::Debug for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for LeakReport {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_verdict() {
        let place = |function: &str, line| Place {
            function: function.to_owned(),
            file: "src/a.rs".to_owned(),
            line,
        };
        let report = LeakReport {
            heap: vec![LeakedSite {
                blamed: place("shop::leak", 7),
                stack: vec![place("shop::leak", 7), place("shop::main", 9)],
                objects: 3,
                bytes: 4128,
                held_by: None,
                task: None,
            }],
            threads: Box::new([LeakedThread {
                name: "worker".to_owned(),
                id: 12,
                started: Some(place("shop::start", 3)),
                stack: Vec::new(),
                holds_objects: 1,
                holds_bytes: 64,
            }]),
            tasks: Box::new([LeakedTasks {
                count: 3,
                names: vec!["a".to_owned(), "b".to_owned()],
                future: "shop::run::{{closure}}".to_owned(),
                spawned_at: "src/a.rs:5:9".to_owned(),
                stack: vec![place("shop::start", 5), place("shop::main", 9)],
                state: "waiting".to_owned(),
                awaits: vec![
                    vec![place("Receiver::recv", 70), place("shop::run", 71)],
                    vec![place("Sleep::poll", 80)],
                ],
                holds_objects: 2,
                holds_bytes: 640,
            }]),
            notes: vec!["something".to_owned()],
            ..LeakReport::default()
        };
        let text = report.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "3 leaks: 3 objects, 4,128 bytes; 1 thread; 3 tasks",
                "  3 objects, 4,128 bytes at shop::leak  src/a.rs:7",
                "      shop::main  src/a.rs:9",
                "  thread `worker` (id 12) started at shop::start  src/a.rs:3, holds 1 object, 64 bytes",
                "  3 tasks `a`, `b`, … spawned at src/a.rs:5:9, waiting (shop::run::{{closure}}), hold 2 objects, 640 bytes",
                "      waits at Receiver::recv  src/a.rs:70",
                "         shop::run  src/a.rs:71",
                "      or at Sleep::poll  src/a.rs:80",
                "      spawned by shop::start  src/a.rs:5",
                "         shop::main  src/a.rs:9",
                "  note: something",
            ]
        );
        assert_eq!(format!("{report:?}"), text);
        assert!(!report.is_clean());
        let blind = LeakReport::not_checked("because");
        assert_eq!(blind.to_string(), "nothing was checked for leaks: because");
        assert!(!blind.is_clean() && LeakReport::default().is_clean());
    }
}
