//! Sums of what profiles tell beside their samples. Profiles with facts and pprof files, whose comments tell, add up alike.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};

use crate::profile::resources::{Count, Resources};
use crate::profile::sum::Sum;
use crate::profile::{Loss, ProcessFacts, Profile, told, told_memory};

#[derive(Default)]
pub(super) struct Told {
    /// The only profile's, as long as there is one.
    first: Vec<String>,
    comments: Once,
    /// What symbolising could not do.
    names: Counted,
    /// How profiles with facts were sampled: they have no comment for it.
    sampling: Once,
    losses: Vec<Loss>,
    /// Without the two below: threads may be named after what they serve, and then the names are many.
    resources: Option<Resources>,
    threads: HashMap<String, u64>,
    fds: HashMap<String, u64>,
    profiles: u64,
    with_memory: u64,
    /// Each as pid, start and boot.
    processes: HashSet<(u32, u64, String)>,
    /// Of sums, which do not say whose they are.
    other_processes: u64,
    has_unknown_process: bool,
    /// The latest time.
    until: i64,
}

/// Lines without the same one twice, in their order.
#[derive(Default)]
struct Once {
    lines: Vec<String>,
    known: HashSet<String>,
}

impl Once {
    fn add(&mut self, line: &str) {
        if !self.known.contains(line) {
            self.known.insert(line.to_owned());
            self.lines.push(line.to_owned());
        }
    }
}

/// Lines that differ in their numbers only are one, with the sums.
#[derive(Default)]
struct Counted {
    lines: Vec<Vec<u64>>,
    /// By the words between the numbers.
    known: HashMap<Vec<String>, usize>,
}

impl Counted {
    fn add(&mut self, line: &str) {
        let (mut words, mut numbers) = (Vec::new(), Vec::new());
        let mut between = String::new();
        for word in line.split_inclusive(' ') {
            let digits = word.trim_start_matches('(').trim_end();
            match (digits.parse::<u64>(), word.split_once(digits)) {
                (Ok(number), Some((before, after))) => {
                    between.push_str(before);
                    words.push(std::mem::replace(&mut between, after.to_owned()));
                    numbers.push(number);
                }
                _ => between.push_str(word),
            }
        }
        words.push(between);
        match self.known.get(&words) {
            Some(&known) => {
                for (sum, number) in self.lines[known].iter_mut().zip(numbers) {
                    *sum = sum.saturating_add(number);
                }
            }
            None => {
                self.known.insert(words, self.lines.len());
                self.lines.push(numbers);
            }
        }
    }

    fn lines(self) -> Vec<String> {
        let mut lines = vec![String::new(); self.lines.len()];
        for (words, line) in self.known {
            let mut numbers = self.lines[line].iter();
            for word in words {
                lines[line].push_str(&word);
                if let Some(number) = numbers.next() {
                    lines[line].push_str(&number.to_string());
                }
            }
        }
        lines
    }
}

impl Told {
    pub(super) fn add(&mut self, profile: &Profile) {
        if self.profiles == 0 {
            self.first.clone_from(&profile.comments);
        }
        let ours = profile.heap.is_none() && profile.told_sampling().is_some();
        for line in &profile.comments {
            if line.contains(told::NAMED) {
                self.names.add(line);
            } else if !(ours && told::is_number(line)) && Sum::read(line).is_none() {
                self.comments.add(line);
            }
        }
        if let Some(heap) = &profile.heap {
            self.sampling.add(&told::sampling(heap, profile.period));
        }
        for loss in &profile.losses() {
            add_loss(&mut self.losses, loss);
        }
        let resources = profile.resources();
        let sum = profile.sum().unwrap_or_else(|| {
            let process = profile.heap.as_deref().map(|heap| &heap.process);
            Sum {
                profiles: 1,
                processes: process.and_then(|process| self.count_process(process)),
                span_nanos: 0,
                with_memory: u64::from(resources.is_some()),
            }
        });
        if let Some(resources) = resources {
            let mut resources = resources.into_owned();
            count(&mut self.threads, std::mem::take(&mut resources.threads));
            count(&mut self.fds, std::mem::take(&mut resources.fds));
            match &mut self.resources {
                Some(sum) => sum.add(&resources),
                none => *none = Some(resources),
            }
        }
        self.profiles = self.profiles.saturating_add(sum.profiles);
        self.with_memory = self.with_memory.saturating_add(sum.with_memory);
        match sum.processes {
            Some(count) => self.other_processes = self.other_processes.saturating_add(count),
            None => self.has_unknown_process = true,
        }
        if profile.time_nanos != 0 {
            let span = i64::try_from(sum.span_nanos).unwrap_or(i64::MAX);
            self.until = self.until.max(profile.time_nanos.saturating_add(span));
        }
    }

    /// How many processes this one adds to [`Told::processes`], which is counted apart: none. `None`: nobody knows which it is.
    fn count_process(&mut self, process: &ProcessFacts) -> Option<u64> {
        let start = match process.start_ticks {
            0 => process.start_time_nanos as u64,
            ticks => ticks,
        };
        if process.pid == 0 || start == 0 {
            return None;
        }
        self.processes
            .insert((process.pid, start, process.boot_id.clone()));
        Some(0)
    }

    pub(super) fn finish(mut self, merged: &mut Profile) {
        if let Some(resources) = &mut self.resources {
            resources.threads = counts(self.threads);
            resources.fds = counts(self.fds);
        }
        if self.profiles == 1 {
            merged.comments = self.first;
        } else {
            let sum = Sum {
                profiles: self.profiles,
                processes: (!self.has_unknown_process).then(|| {
                    self.other_processes
                        .saturating_add(self.processes.len() as u64)
                }),
                span_nanos: match merged.time_nanos {
                    0 => 0,
                    from => self.until.saturating_sub(from).max(0) as u64,
                },
                with_memory: self.with_memory,
            };
            merged.comments = self.comments.lines;
            merged.comments.append(&mut self.names.lines());
            if merged.heap.is_none() {
                let mut sampling = self.sampling;
                merged
                    .comments
                    .retain(|line| !sampling.known.contains(line));
                merged.comments.append(&mut sampling.lines);
                merged
                    .comments
                    .extend(self.resources.as_ref().map(told_memory::memory));
                merged.comments.extend(self.losses.iter().map(told::loss));
            }
            merged.comments.push(sum.comment());
        }
        if let Some(heap) = &mut merged.heap {
            heap.losses = self.losses;
            heap.resources = self.resources.map(Box::new);
        }
    }
}

fn count(sums: &mut HashMap<String, u64>, counts: Vec<Count>) {
    for part in counts {
        let sum = sums.entry(part.name).or_default();
        *sum = sum.saturating_add(part.count);
    }
}

fn counts(sums: HashMap<String, u64>) -> Vec<Count> {
    let counts = sums.into_iter().map(|(name, count)| Count { name, count });
    let mut counts: Vec<Count> = counts.collect();
    Count::sort(&mut counts);
    counts
}

fn add_loss(sum: &mut Vec<Loss>, loss: &Loss) {
    match sum.iter_mut().find(|known| known.reason == loss.reason) {
        Some(known) => {
            known.count = known.count.saturating_add(loss.count);
            known.bytes_estimate += loss.bytes_estimate;
        }
        None => sum.push(loss.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::Counted;

    #[test]
    fn lines_that_differ_in_numbers_are_added_up() {
        let mut counted = Counted::default();
        for line in [
            "51 of 52 addresses named, 48 with source lines; a.so (1 addresses): file not found",
            "9 of 9 addresses named, 9 with source lines",
            "10 of 12 addresses named, 8 with source lines; a.so (2 addresses): file not found",
            "",
        ] {
            counted.add(line);
        }
        assert_eq!(
            counted.lines(),
            [
                "61 of 64 addresses named, 56 with source lines; a.so (3 addresses): file not found",
                "9 of 9 addresses named, 9 with source lines",
                "",
            ]
        );
    }
}
