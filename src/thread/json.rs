//! Threads as JSON, everything that is known of them: `guide::formats` describes it.
#![forbid(unsafe_code)]

use std::io::Write;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::told::{NoStack, Stack, State, Thread, Threads};
use crate::error::{Error, Result};
use crate::format::budget::Budget;
use crate::view::stacks::{
    StackTable, Stacks, check_document, is_document, referred, write_document,
};

const FORMAT: &str = "heapsite-threads";
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    version: u32,
    time_nanos: i64,
    pid: u32,
    executable: String,
    #[serde(default)]
    places_lost: u64,
    #[serde(flatten)]
    stacks: StackTable,
    threads: Vec<Row>,
}

/// Stacks are indexes into `stacks`.
#[derive(Serialize, Deserialize)]
struct Row {
    id: u32,
    name: String,
    state: State,
    cpu_nanos: u64,
    age_nanos: u64,
    #[serde(default)]
    stack: Option<usize>,
    #[serde(default)]
    no_stack: Option<NoStack>,
    #[serde(default)]
    is_cut: bool,
    #[serde(default)]
    created_from: Option<usize>,
    #[serde(default)]
    is_own: bool,
}

impl Threads {
    /// Writes everything as one JSON document.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn write_json(&self, out: &mut dyn Write) -> Result<()> {
        let mut stacks = Stacks::default();
        let rows = self.threads.iter().map(|thread| Row {
            id: thread.id,
            name: thread.name.clone(),
            state: thread.state,
            cpu_nanos: thread.cpu.as_nanos() as u64,
            age_nanos: thread.age.as_nanos() as u64,
            stack: thread.stack.as_ref().ok().map(|it| stacks.number(it)),
            no_stack: thread.stack.as_ref().err().copied(),
            is_cut: thread.is_cut,
            created_from: thread.created_from.as_ref().map(|it| stacks.number(it)),
            is_own: thread.is_own,
        });
        let document = Document {
            threads: rows.collect(),
            format: FORMAT.to_owned(),
            version: VERSION,
            time_nanos: self.time_nanos,
            pid: self.pid,
            executable: self.executable.clone(),
            places_lost: self.places_lost,
            stacks: stacks.table(),
        };
        write_document(&document, "threads", out)
    }

    /// Whether these bytes are meant to be such a document.
    pub fn is_meant_by(bytes: &[u8]) -> bool {
        is_document(bytes, FORMAT)
    }

    /// Reads what [`Threads::write_json`] wrote.
    ///
    /// # Errors
    /// It is another document, of a newer version, or contradicts itself; says what and where.
    pub fn read_json(bytes: &[u8]) -> Result<Threads> {
        let wrong = |what: String| Error::input(format!("not a whole list of threads: {what}"));
        let document: Document =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let found = (document.format.as_str(), document.version);
        check_document(found, (FORMAT, VERSION)).map_err(wrong)?;
        let budget = Budget::new(bytes.len());
        let stacks = document.stacks.stacks(&budget).map_err(wrong)?;
        let threads = document.threads.into_iter().enumerate();
        let threads = threads.map(|(place, row)| {
            thread(row, &stacks, &budget).map_err(|what| wrong(format!("thread {place}: {what}")))
        });
        Ok(Threads {
            time_nanos: document.time_nanos,
            pid: document.pid,
            executable: document.executable,
            places_lost: document.places_lost,
            threads: threads.collect::<Result<_>>()?,
        })
    }
}

fn thread(row: Row, stacks: &[Stack], budget: &Budget) -> Result<Thread, String> {
    let stack = |number: usize| referred(stacks, number, budget);
    Ok(Thread {
        id: row.id,
        name: row.name,
        state: row.state,
        cpu: Duration::from_nanos(row.cpu_nanos),
        age: Duration::from_nanos(row.age_nanos),
        stack: match row.stack {
            Some(number) => Ok(stack(number)?),
            None => Err(row.no_stack.unwrap_or(NoStack::NotSupported)),
        },
        is_cut: row.is_cut,
        created_from: row.created_from.map(stack).transpose()?,
        is_own: row.is_own,
    })
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::threads;
    use super::*;

    #[test]
    fn there_and_back() {
        let threads = threads();
        let mut bytes = Vec::new();
        threads.write_json(&mut bytes).unwrap();
        assert!(Threads::is_meant_by(&bytes));
        assert_eq!(Threads::read_json(&bytes).unwrap(), threads);
        let text = String::from_utf8(bytes).unwrap();
        for (from, to, said) in [
            ("\"stack\":0", "\"stack\":9", "thread 0: stack 9 of 2"),
            ("\"version\":1", "\"version\":7", "version 7; accepted is"),
            ("\"sleeping\"", "\"lazy\"", "unknown variant `lazy`"),
        ] {
            assert!(text.contains(from), "{text}");
            let error = Threads::read_json(text.replacen(from, to, 1).as_bytes());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
