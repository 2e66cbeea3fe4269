//! What a profile's comments tell where its facts are gone: pprof has no place for facts, so heapsite writes them as
//! comments, and reads them here. The words stand here once, for the writer and for the reader.
#![forbid(unsafe_code)]

use super::{HeapFacts, Loss, Profile};

/// What heapsite's comments about sampling start with. A file without one is from elsewhere.
const ABOUT: &str = "heapsite: ";
pub(crate) const EXACT: &str = "heapsite: exact, every allocation was recorded";
pub(crate) const NOT_INSTALLED: &str =
    "heapsite: nothing was recorded: no heapsite allocator is installed in this program";
const LARGEST: &str = "heapsite: intervals of up to ";
const LOSS: &str = "loss: ";
const PROCESS: &str = "process ";
/// In the comment that symbolising leaves (`symbolize::Report`), whose numbers are of one process.
pub(crate) const NAMED: &str = " addresses named, ";

/// Whether a comment of a heapsite pprof file holds numbers of its one process, which mean nothing in a sum of several:
/// those that can be added up are read, the others' sums are the values of the samples.
pub(crate) fn is_number(comment: &str) -> bool {
    let starts = [
        LOSS,
        PROCESS,
        "losses: none",
        super::told_memory::MEMORY,
        "live: ",
        "allocated: ",
        "peak of live bytes: ",
        "heapsite's own memory: ",
    ];
    starts.iter().any(|start| comment.starts_with(start))
}

/// Whether a comment says how well was recorded: how it was sampled, or what was lost.
pub(crate) fn is_quality(comment: &str) -> bool {
    comment.starts_with(ABOUT) || comment.starts_with(LOSS)
}

/// How a heapsite recorder says it sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampling {
    /// Everything since the start was recorded, and nothing was lost.
    Exact,
    /// Values are estimates. `largest`: an interval above [`Profile::period`] was in force at some time.
    Estimated { largest: Option<u64> },
}

/// How `heap` was sampled, and that values are estimates; `period` is the profile's.
pub(crate) fn sampling(heap: &HeapFacts, period: i64) -> String {
    let known = "values are estimates";
    match (heap.interval, heap.exact) {
        (_, true) => EXACT.to_owned(),
        (0, _) if heap.is_not_installed() => NOT_INSTALLED.to_owned(),
        (0, _) => format!("heapsite: recording is off: {known}"),
        (1, _) => {
            format!(
                "heapsite: every allocation is recorded now, but some are missing, from before or as losses: {known}"
            )
        }
        (interval, _) if period > interval as i64 => format!(
            "heapsite: one allocation sampled per {interval} bytes on average now, and per up to {period} of what is \
             live: {known}"
        ),
        (interval, _) => {
            format!("heapsite: one allocation sampled per {interval} bytes on average: {known}")
        }
    }
}

/// The comment that the interval has changed: values of what was freed may be estimates of this interval.
pub(crate) fn largest_interval(bytes: u64) -> String {
    format!("{LARGEST}{bytes} bytes were in force earlier")
}

/// `loss: 2 x live-map-full (about 128.0 KiB): these allocations …`
pub(crate) fn loss(loss: &Loss) -> String {
    let size = match loss.bytes_estimate > 0.0 {
        true => format!(" (about {})", bytes(loss.bytes_estimate)),
        false => String::new(),
    };
    let (count, reason, meaning) = (loss.count, &loss.reason, &loss.meaning);
    format!("{LOSS}{count} x {reason}{size}: {meaning}")
}

/// `process 4711`
pub(crate) fn process(pid: u32) -> String {
    format!("{PROCESS}{pid}")
}

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// `12.3 MiB`
pub(crate) fn bytes(value: f64) -> String {
    let mut scaled = value;
    let mut unit = 0;
    while scaled.abs() >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let digits = if unit == 0 { 0 } else { 1 };
    format!("{scaled:.digits$} {}", UNITS[unit])
}

fn read_bytes(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ')?;
    let power = UNITS.iter().position(|known| *known == unit)?;
    let number: f64 = number.parse().ok()?;
    Some(number * 1024f64.powi(power as i32))
}

fn read_loss(comment: &str) -> Option<Loss> {
    let (head, meaning) = comment.strip_prefix(LOSS)?.split_once(": ")?;
    let (count, reason) = head.split_once(" x ")?;
    let (reason, size) = match reason.split_once(" (about ") {
        Some((reason, size)) => (reason, size.strip_suffix(')')?),
        None => (reason, "0 B"),
    };
    Some(Loss {
        reason: reason.to_owned(),
        meaning: meaning.to_owned(),
        count: count.parse().ok()?,
        bytes_estimate: read_bytes(size)?,
    })
}

impl HeapFacts {
    pub(crate) fn is_not_installed(&self) -> bool {
        // Every program requests something: the allocator was never asked.
        self.interval == 0 && self.requested_bytes == 0
    }
}

impl Profile {
    /// How the profile was sampled, by its comments; `None`: they do not say. Of a sum of profiles (whose comments are
    /// kept once each) the least exact one counts.
    pub(crate) fn told_sampling(&self) -> Option<Sampling> {
        let mut lines = self.comments.iter().filter(|line| line.starts_with(ABOUT));
        let first = lines.clone().next()?;
        if first == EXACT && lines.all(|line| line == EXACT) {
            return Some(Sampling::Exact);
        }
        let largest = |line: &String| {
            let rest = line.strip_prefix(LARGEST)?;
            rest.split(' ').next()?.parse().ok()
        };
        let largest = self.comments.iter().filter_map(largest).max();
        Some(Sampling::Estimated { largest })
    }

    /// No heapsite allocator was installed in the program, so the profile is empty.
    pub fn is_not_installed(&self) -> bool {
        match &self.heap {
            Some(heap) => heap.is_not_installed(),
            None => self.comments.iter().any(|line| line == NOT_INSTALLED),
        }
    }

    /// What could not be recorded: the facts', or where there are none what the comments tell (their sizes are
    /// rounded). Empty: nothing, or nobody says.
    pub fn losses(&self) -> Vec<Loss> {
        let losses = match &self.heap {
            Some(heap) => heap.losses.clone(),
            None if self.told_sampling().is_none() => Vec::new(),
            None => self
                .comments
                .iter()
                .filter_map(|line| read_loss(line))
                .collect(),
        };
        losses.into_iter().filter(|loss| loss.count > 0).collect()
    }

    /// Nanoseconds since the Unix epoch when recording began, to a tenth of a second: by the facts or by the comments of one
    /// heapsite pprof file. `None`: nobody says, or it is a sum of several.
    pub(crate) fn recording_since(&self) -> Option<i64> {
        self.pid().filter(|_| self.time_nanos != 0)?;
        let nanos = match &self.heap {
            Some(heap) => heap.uptime_nanos as f64,
            None => self.comments.iter().find_map(|line| {
                let (_, rest) = line.strip_prefix(PROCESS)?.split_once(", up ")?;
                let seconds: f64 = rest.split_once(" s")?.0.parse().ok()?;
                Some(seconds * 1e9)
            })?,
        };
        Some(self.time_nanos.saturating_sub(nanos as i64))
    }

    /// The process, by the facts or by the comments of one heapsite pprof file; `None`: nobody says, or it is a sum of
    /// several.
    pub fn pid(&self) -> Option<u32> {
        if let Some(heap) = &self.heap {
            return Some(heap.process.pid).filter(|&pid| pid != 0);
        }
        self.told_sampling()?;
        let mut ids = self.comments.iter().filter_map(|line| {
            let rest = line.strip_prefix(PROCESS)?;
            let pid = rest.split([',', ' ']).next()?.parse().ok();
            pid.filter(|&pid| pid != 0)
        });
        // A sum of processes has several, and is none of them.
        ids.next().filter(|_| ids.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(comments: &[&str]) -> Profile {
        Profile {
            comments: comments.iter().map(|&line| line.to_owned()).collect(),
            ..Profile::default()
        }
    }

    #[test]
    fn only_exact_and_nothing_else_is_exact() {
        let estimated =
            "heapsite: one allocation sampled per 64 bytes on average: values are estimates";
        let changed = largest_interval(4096);
        assert_eq!(
            with(&["made by Go", "loss: 1 x a: b"]).told_sampling(),
            None
        );
        assert_eq!(with(&["x", EXACT]).told_sampling(), Some(Sampling::Exact));
        assert_eq!(
            with(&[EXACT, estimated]).told_sampling(),
            Some(Sampling::Estimated { largest: None })
        );
        assert_eq!(
            with(&[&changed, EXACT]).told_sampling(),
            Some(Sampling::Estimated {
                largest: Some(4096)
            })
        );
    }

    #[test]
    fn losses_and_process_are_read_back() {
        let full = Loss {
            reason: "live-map-full".into(),
            meaning: "these: never freed".into(),
            count: 2,
            bytes_estimate: 131_072.0,
        };
        let cut = Loss {
            reason: "cut-depth".into(),
            meaning: "deep".into(),
            count: 7,
            bytes_estimate: 0.0,
        };
        let lines = [loss(&full), loss(&cut), process(4711) + ", up 3 s: shop"];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let profile = with(&[&[EXACT], lines.as_slice()].concat());
        assert_eq!(profile.losses(), [full, cut]);
        assert_eq!(profile.pid(), Some(4711));
        assert_eq!(profile.recording_since(), None);
        let at = |time_nanos| Profile {
            time_nanos,
            ..profile.clone()
        };
        assert_eq!(at(5_000_000_000).recording_since(), Some(2_000_000_000));
        // Nobody of ours wrote these.
        assert_eq!(with(&lines).losses(), []);
        assert_eq!(with(&lines).pid(), None);
        assert_eq!(with(&[EXACT, "process 1: a", "process 2: b"]).pid(), None);
    }
}
