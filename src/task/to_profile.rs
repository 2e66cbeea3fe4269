//! Tasks as a profile in the shape of Go's goroutine profile.
#![forbid(unsafe_code)]

use super::told::{SpawnSite, Task, Tasks};
use crate::profile::named::{NamedBuilder, TASKS};
use crate::profile::{Label, LocationId, Profile};
use crate::view::Frame;

/// The value type of tasks, by Go's name.
const KIND: &str = "goroutine";

impl Tasks {
    /// The tasks as a profile that `go tool pprof` reads: a sample for each group that does the same in the same place,
    /// worth as many as there are.
    ///
    /// A sample's stack is the await point, leaf first, and then the line that spawned the task, so that tasks without an
    /// await point are told apart as well. Where a task waits for several things at once (`select!`) it is the part that
    /// their stacks have in common, and the label `waits_for` names them all. Further labels: `state`, `spawned_at`,
    /// `future`, and `task` where all of a group have one name. Counts are exact.
    pub fn to_profile(&self) -> Profile {
        let mut builder = NamedBuilder::counting(KIND);
        for group in self.groups() {
            let Some(first) = group.first() else { continue };
            let site = self.spawn_sites.get(first.spawn_site);
            let mut stack: Vec<LocationId> = common(first)
                .iter()
                .map(|frame| builder.location(&frame.function, &frame.file, frame.line))
                .collect();
            if let Some(site) = site {
                stack.push(spawned(&mut builder, site, first.spawned_from.first()));
            }
            builder.sample(stack, group.len() as u64, labels(&group, site));
        }
        for site in self.spawn_sites.iter().filter(|site| site.unlisted > 0) {
            let stack = vec![spawned(&mut builder, site, None)];
            let mut labels = vec![Label::text("state", "not listed")];
            labels.extend(of_site(site));
            builder.sample(stack, site.unlisted, labels);
        }
        let mut profile = builder.finish();
        profile.time_nanos = self.time_nanos;
        profile.comments = vec![format!(
            "{TASKS}pid {} {}, tracked by heapsite: {} alive, {} have ended (exact)",
            self.pid,
            self.executable,
            self.alive(),
            self.ended()
        )];
        profile
    }
}

/// What the stacks of all await points have in common, towards the task.
fn common(task: &Task) -> &[Frame] {
    let Some((first, others)) = task.awaits.split_first() else {
        return &[];
    };
    let shared = |other: &&super::Stack| {
        let pairs = first.iter().rev().zip(other.iter().rev());
        // Arms are polled in one function, at lines of their own.
        pairs
            .take_while(|(a, b)| a.function == b.function && a.file == b.file)
            .count()
    };
    let shared = others.iter().map(|other| shared(&other)).min();
    &first[first.len() - shared.unwrap_or(first.len())..]
}

/// The line that spawned a task, in the function that it is in.
fn spawned(builder: &mut NamedBuilder, site: &SpawnSite, function: Option<&Frame>) -> LocationId {
    let function = match function {
        Some(frame) => frame.function.clone(),
        None => format!("spawned at {}", site.place()),
    };
    builder.location(&function, &site.file, site.line.into())
}

fn labels(group: &[&Task], site: Option<&SpawnSite>) -> Vec<Label> {
    let Some(first) = group.first() else {
        return Vec::new();
    };
    let mut labels = vec![Label::text("state", first.state.name())];
    labels.extend(site.into_iter().flat_map(of_site));
    if !first.name.is_empty() && group.iter().all(|task| task.name == first.name) {
        labels.push(Label::text("task", first.name.clone()));
    }
    if first.awaits.len() > 1 {
        let leaves = first.awaits.iter().filter_map(|stack| stack.first());
        let names: Vec<&str> = leaves.map(|frame| frame.function.as_str()).collect();
        labels.push(Label::text("waits_for", names.join(" | ")));
    }
    labels
}

fn of_site(site: &SpawnSite) -> [Label; 2] {
    [
        Label::text("spawned_at", site.place()),
        Label::text("future", site.future.clone()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::tasks;
    use super::*;
    use crate::format::pprof;

    fn functions(profile: &Profile, sample: usize) -> Vec<&str> {
        let lines = profile.samples[sample]
            .locations
            .iter()
            .flat_map(|id| &profile.locations[id.0 as usize].lines);
        lines
            .map(|line| profile.functions[line.function.0 as usize].name.as_str())
            .collect()
    }

    #[test]
    fn a_sample_per_group_and_a_sum_that_is_the_number_alive() {
        let tasks = tasks();
        let profile = tasks.to_profile();
        let counts: Vec<i64> = profile.samples.iter().map(|s| s.values[0]).collect();
        assert_eq!(counts, [2, 1, 1, 7]);
        assert_eq!(counts.iter().sum::<i64>() as u64, tasks.alive());
        assert_eq!(
            functions(&profile, 0),
            ["Receiver::recv", "app::worker", "app::start"]
        );
        // Two arms: what they share, and both in a label.
        let select = (1..3)
            .find(|&at| functions(&profile, at).len() == 2)
            .unwrap();
        assert_eq!(functions(&profile, select), ["app::worker", "app::start"]);
        let waits_for = Label::text("waits_for", "Receiver::recv | Sleep::poll");
        assert!(profile.samples[select].labels.contains(&waits_for));
        assert_eq!(functions(&profile, 3), ["spawned at src/b.rs:9:5"]);
    }

    #[test]
    fn pprof_carries_all_of_it() {
        let profile = tasks().to_profile();
        let mut bytes = Vec::new();
        pprof::write(&profile, &mut bytes).unwrap();
        let read = pprof::read(&bytes).unwrap();
        assert_eq!(read.sample_types, profile.sample_types);
        assert_eq!(read.period_type, profile.period_type);
        assert_eq!(read.samples, profile.samples);
        assert_eq!(read.functions, profile.functions);
    }
}
