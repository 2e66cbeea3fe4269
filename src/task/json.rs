//! Tasks as JSON, everything that is known of them: `guide::formats` describes it.
#![forbid(unsafe_code)]

use std::io::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::told::{SpawnSite, Stack, State, Task, Tasks};
use crate::error::{Error, Result};
use crate::format::budget::Budget;
use crate::view::stacks::{
    StackTable, Stacks, check_document, is_document, referred, write_document,
};

const FORMAT: &str = "heapsite-tasks";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    version: u32,
    time_nanos: i64,
    pid: u32,
    executable: String,
    spawn_sites: Vec<SpawnSite>,
    #[serde(flatten)]
    stacks: StackTable,
    tasks: Vec<Row>,
}

/// Stacks are indexes into `stacks`.
#[derive(Serialize, Deserialize)]
struct Row {
    id: u64,
    #[serde(default)]
    name: String,
    spawn_site: usize,
    spawned_from: usize,
    state: String,
    #[serde(default)]
    thread: Option<u32>,
    age_nanos: u64,
    polls: u64,
    #[serde(default)]
    since_poll_nanos: Option<u64>,
    awaits: Vec<usize>,
    #[serde(default)]
    more_awaits: u32,
    #[serde(default)]
    awaits_polls_ago: u64,
}

impl Tasks {
    /// Writes everything as one JSON document.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn write_json(&self, out: &mut dyn Write) -> Result<()> {
        let mut stacks = Stacks::default();
        let rows = self.tasks.iter().map(|task| Row {
            id: task.id,
            name: task.name.clone(),
            spawn_site: task.spawn_site,
            spawned_from: stacks.number(&task.spawned_from),
            state: task.state.name().to_owned(),
            thread: task.state.thread(),
            age_nanos: nanos(task.age),
            polls: task.polls,
            since_poll_nanos: task.since_poll.map(nanos),
            awaits: task.awaits.iter().map(|it| stacks.number(it)).collect(),
            more_awaits: task.more_awaits,
            awaits_polls_ago: task.awaits_polls_ago,
        });
        let document = Document {
            tasks: rows.collect(),
            format: FORMAT.to_owned(),
            version: VERSION,
            time_nanos: self.time_nanos,
            pid: self.pid,
            executable: self.executable.clone(),
            spawn_sites: self.spawn_sites.clone(),
            stacks: stacks.table(),
        };
        write_document(&document, "tasks", out)
    }

    /// Whether these bytes are meant to be such a document.
    pub fn is_meant_by(bytes: &[u8]) -> bool {
        is_document(bytes, FORMAT)
    }

    /// Reads what [`Tasks::write_json`] wrote.
    ///
    /// # Errors
    /// It is another document, of a newer version, or contradicts itself; says what and where.
    pub fn read_json(bytes: &[u8]) -> Result<Tasks> {
        let wrong = |what: String| Error::input(format!("not a whole list of tasks: {what}"));
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let found = (document.format.as_str(), document.version);
        check_document(found, (FORMAT, VERSION)).map_err(wrong)?;
        let budget = Budget::new(bytes.len());
        let stacks = document.stacks.stacks(&budget).map_err(wrong)?;
        let sites = document.spawn_sites.len();
        let tasks = document.tasks.into_iter().enumerate();
        let tasks = tasks.map(|(place, row)| {
            task(row, sites, &stacks, &budget)
                .map_err(|what| wrong(format!("task {place}: {what}")))
        });
        Ok(Tasks {
            time_nanos: document.time_nanos,
            pid: document.pid,
            executable: document.executable,
            tasks: tasks.collect::<Result<_>>()?,
            spawn_sites: document.spawn_sites,
        })
    }
}

fn task(row: Row, sites: usize, stacks: &[Stack], budget: &Budget) -> Result<Task, String> {
    let stack = |number: usize| referred(stacks, number, budget);
    if row.spawn_site >= sites {
        return Err(format!("spawn site {} of {sites}", row.spawn_site));
    }
    let thread = row.thread.unwrap_or(0);
    let states = [
        State::NeverPolled,
        State::Waiting,
        State::Running(thread),
        State::Blocking(thread),
    ];
    let state = states.into_iter().find(|state| state.name() == row.state);
    Ok(Task {
        id: row.id,
        name: row.name,
        spawn_site: row.spawn_site,
        spawned_from: stack(row.spawned_from)?,
        state: state.ok_or_else(|| format!("unknown state {:?}", row.state))?,
        age: Duration::from_nanos(row.age_nanos),
        polls: row.polls,
        since_poll: row.since_poll_nanos.map(Duration::from_nanos),
        awaits: row
            .awaits
            .into_iter()
            .map(stack)
            .collect::<Result<_, _>>()?,
        more_awaits: row.more_awaits,
        awaits_polls_ago: row.awaits_polls_ago,
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::tasks;
    use super::*;

    fn written(tasks: &Tasks) -> String {
        let mut bytes = Vec::new();
        tasks.write_json(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn there_and_back() {
        let tasks = tasks();
        let text = written(&tasks);
        assert!(Tasks::is_meant_by(text.as_bytes()));
        assert_eq!(Tasks::read_json(text.as_bytes()).unwrap(), tasks);
        // As `jq .` writes it.
        let spaced = text.replacen("{\"format\":", "{\n  \"format\": ", 1);
        assert!(Tasks::is_meant_by(spaced.as_bytes()));
        assert!(!Tasks::is_meant_by(
            spaced.replacen("tasks", "thread", 1).as_bytes()
        ));
        // Each stack once.
        assert_eq!(text.matches("Receiver::recv").count(), 1, "{text}");
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_place() {
        let text = written(&tasks());
        for (from, to, said) in [
            (
                "\"spawn_site\":0",
                "\"spawn_site\":9",
                "task 0: spawn site 9 of 2",
            ),
            (
                "\"state\":\"running\"",
                "\"state\":\"lazy\"",
                "task 3: unknown state \"lazy\"",
            ),
            ("\"awaits\":[1]", "\"awaits\":[77]", "task 0: stack 77 of "),
            ("\"version\":1", "\"version\":2", "version 2; accepted is"),
            (
                "heapsite-tasks",
                "heapsite-threads",
                "accepted is \"heapsite-tasks\"",
            ),
            ("\"stacks\":[[", "\"stacks\":[[99,", "frame 99 of "),
        ] {
            assert!(text.contains(from), "{from} in {text}");
            let error = Tasks::read_json(text.replacen(from, to, 1).as_bytes());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(Tasks::read_json(&text.as_bytes()[..text.len() / 2]).is_err());
    }
}
