//! A service that serves heapsite's page: where its questions are answered, and what it remembers.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use serde::Deserialize;

use super::fetch;
use crate::profile::resources::{Count, MemoryParts, Resources, TaskCounts};
use crate::verdict::Before;
use crate::{Error, Result};

/// Where the page's questions are answered.
#[derive(Clone, Debug)]
pub(super) struct Service {
    /// All that comes before `/debug/`.
    root: String,
}

impl Service {
    /// # Errors
    /// It is no address of a service.
    pub(super) fn new(url: &str) -> Result<Service> {
        let wrong = || {
            Error::input(format!(
                "{url}: accepted is the address of a service, such as http://127.0.0.1:6060"
            ))
        };
        let rest = url.strip_prefix("http://").ok_or_else(wrong)?;
        let rest = rest.split(['?', '#']).next().unwrap_or(rest);
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if host.is_empty() {
            return Err(wrong());
        }
        // The router may be nested under a path of the program's own.
        let prefix = match path.find("/debug/") {
            Some(at) => &path[..at],
            None => path.trim_end_matches('/'),
        };
        Ok(Service {
            root: format!("http://{host}{prefix}"),
        })
    }

    /// The answer to a question of the page's.
    ///
    /// # Errors
    /// The service does not answer, or not as a page of heapsite's does.
    pub(super) fn ask<T: for<'d> Deserialize<'d>>(&self, question: &str) -> Result<T> {
        let url = self.api(question);
        let bytes = fetch::get(&url)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            Error::input(format!("{url}: not the answer of a heapsite page: {error}"))
        })
    }

    /// A profile of now, as the bytes of a file of this format.
    ///
    /// # Errors
    /// As [`Service::ask`].
    pub(super) fn profile(&self, format: &str) -> Result<Vec<u8>> {
        fetch::get(&self.api(&format!("profile?format={format}")))
    }

    /// The same as pprof, after the allocator was asked to give free memory back.
    ///
    /// # Errors
    /// As [`Service::ask`].
    pub(super) fn trimmed(&self) -> Result<Vec<u8>> {
        fetch::get(&format!("{}/debug/pprof/heap?gc=1", self.root))
    }

    /// What it held earlier: at the oldest moment that it remembers beyond the first eighth of its history, since what the
    /// start made is no growth. `None`: it remembers one moment at most.
    ///
    /// # Errors
    /// As [`Service::ask`].
    pub(super) fn before(&self) -> Result<Option<Before>> {
        let history: History = self.ask("history")?;
        Ok(history.moments.before())
    }

    fn api(&self, question: &str) -> String {
        format!("{}/debug/heapsite/api/{question}", self.root)
    }
}

#[derive(Deserialize)]
struct History {
    moments: Past,
}

/// Columns, a row per moment, the oldest first.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Past {
    time_ms: Vec<i64>,
    live_error_bytes: Vec<f64>,
    resident_bytes: Vec<Option<u64>>,
    parts: HashMap<String, Vec<Option<i64>>>,
    threads: Vec<Option<u64>>,
    descriptors: Vec<Option<u64>>,
    descriptors_by_kind: HashMap<String, Vec<Option<u64>>>,
    tasks: Vec<Option<u64>>,
}

impl Past {
    fn before(&self) -> Option<Before> {
        let (first, last) = (*self.time_ms.first()?, *self.time_ms.last()?);
        let settled = first + (last - first) / 8;
        let at = self.time_ms.iter().position(|&time| time >= settled)?;
        if self.time_ms[at] == last {
            return None;
        }
        let time_nanos = self.time_ms[at].saturating_mul(1_000_000);
        Some(Before::new(time_nanos, self.resources(at)?))
    }

    fn resources(&self, at: usize) -> Option<Resources> {
        fn get<T: Copy>(column: &[Option<T>], at: usize) -> Option<T> {
            column.get(at).copied().flatten()
        }
        let part = |name: &str| {
            let column = self.parts.get(name);
            column.and_then(|column| get(column, at)).unwrap_or(0)
        };
        let size = |name: &str| u64::try_from(part(name)).unwrap_or(0);
        let memory = MemoryParts {
            rss_bytes: get(&self.resident_bytes, at)?,
            live_bytes: size("live"),
            live_error_bytes: self
                .live_error_bytes
                .get(at)
                .map_or(0, |&error| error as u64),
            overhead_bytes: part("overhead"),
            free_bytes: size("free"),
            stacks_bytes: size("stacks"),
            files_bytes: size("files"),
            shared_bytes: size("shared"),
            own_bytes: size("own"),
            unexplained_bytes: part("unexplained"),
        };
        let mut resources = Resources {
            memory,
            ..Resources::default()
        };
        let count = |name: &str, count| Count {
            name: name.to_owned(),
            count,
        };
        let total = |column| get(column, at).map(|total| count("", total));
        resources.threads.extend(total(&self.threads));
        for (kind, column) in &self.descriptors_by_kind {
            let known = get(column, at).filter(|&number| number > 0);
            resources
                .fds
                .extend(known.map(|number| count(kind, number)));
        }
        if resources.fds.is_empty() {
            resources.fds.extend(total(&self.descriptors));
        }
        resources.tasks = get(&self.tasks, at).map(|alive| {
            let mut tasks = TaskCounts::default();
            (tasks.alive, tasks.started) = (alive, alive);
            tasks
        });
        Some(resources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn addresses_lead_to_the_api() {
        for (url, api) in [
            ("http://h:1", "http://h:1/debug/heapsite/api/x"),
            ("http://h:1/", "http://h:1/debug/heapsite/api/x"),
            ("http://h/debug/heapsite/", "http://h/debug/heapsite/api/x"),
            (
                "http://h/debug/pprof/heap?gc=1",
                "http://h/debug/heapsite/api/x",
            ),
            (
                "http://h/admin/debug/heapsite/#x",
                "http://h/admin/debug/heapsite/api/x",
            ),
            ("http://h/admin", "http://h/admin/debug/heapsite/api/x"),
        ] {
            assert_eq!(Service::new(url).unwrap().api("x"), api);
        }
        for wrong in ["h:1", "https://h", "http:///debug", ""] {
            let error = Service::new(wrong).unwrap_err().to_string();
            assert!(error.contains("accepted is the address"), "{error}");
        }
    }

    #[test]
    fn the_past_begins_when_the_start_is_over() {
        let past = |times: &[i64]| -> Past {
            let column = |value: i64| vec![value; times.len()];
            serde_json::from_value(json!({
                "time_ms": times,
                "resident_bytes": column(40 << 20),
                "parts": { "live": column(10 << 20), "unexplained": column(-5) },
                "threads": column(3),
                "descriptors_by_kind": { "socket": column(2), "pipe": column(0) },
                "tasks": column(7),
            }))
            .unwrap()
        };
        let before = past(&[0, 1_000, 50_000, 80_000]).before().unwrap();
        assert_eq!(before.time_nanos, 50_000_000_000);
        let held = before.resources;
        assert_eq!(held.memory.rss_bytes, 40 << 20);
        assert_eq!(
            (held.memory.live_bytes, held.memory.unexplained_bytes),
            (10 << 20, -5)
        );
        assert_eq!((held.thread_count(), held.fd_count()), (3, 2));
        assert_eq!(held.tasks.unwrap().alive, 7);
        assert!(past(&[]).before().is_none());
        assert!(past(&[5]).before().is_none(), "one moment is no past");
        assert!(Past::default().before().is_none());
    }
}
