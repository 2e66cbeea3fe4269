//! Threads as a profile in the shape of Go's threadcreate profile.
#![forbid(unsafe_code)]

use super::told::{Threads, family};
use crate::profile::named::NamedBuilder;
use crate::profile::{Label, Profile};
use crate::symbolize::plumbing::is_plumbing;
use crate::view::Frame;

/// The value type of threads, by Go's name.
const KIND: &str = "threadcreate";

impl Threads {
    /// The threads as a profile that `go tool pprof` reads: a sample for each group in the same place, worth as many as
    /// there are.
    ///
    /// A sample's stack is where the threads are, leaf first; without one a frame says why. Labels: `state`, `thread` (the
    /// name without the number of a worker) and `created_at`, where that is known. Counts are exact.
    pub fn to_profile(&self) -> Profile {
        let mut builder = NamedBuilder::counting(KIND);
        for group in self.groups() {
            let Some(first) = group.first() else { continue };
            let stack = match &first.stack {
                Ok(stack) => stack
                    .iter()
                    .map(|frame| builder.location(&frame.function, &frame.file, frame.line))
                    .collect(),
                Err(why) => vec![builder.location(&format!("(no stack: {why})"), "", 0)],
            };
            let mut labels = vec![
                Label::text("state", first.state.name()),
                Label::text("thread", family(&first.name)),
            ];
            let created = first.created_from.as_deref().and_then(creator);
            if let Some(frame) = created {
                let place = format!("{} {}:{}", frame.function, frame.file, frame.line);
                labels.push(Label::text("created_at", place));
            }
            builder.sample(stack, group.len() as u64, labels);
        }
        let mut profile = builder.finish();
        profile.time_nanos = self.time_nanos;
        profile.comments = vec![format!(
            "threads of pid {} {}, asked by heapsite: {} (exact)",
            self.pid,
            self.executable,
            self.threads.len()
        )];
        profile
    }
}

/// Of the stack that created a thread, the frame that wanted one: the first of the application.
pub(crate) fn creator(stack: &[Frame]) -> Option<&Frame> {
    let own = |frame: &&Frame| is_plumbing(&frame.function, &frame.file).is_none();
    stack.iter().find(own).or(stack.first())
}

#[cfg(test)]
mod tests {
    use super::super::told::tests::threads;
    use crate::format::pprof;
    use crate::profile::Label;

    #[test]
    fn pprof_carries_all_of_it() {
        let profile = threads().to_profile();
        let mut bytes = Vec::new();
        pprof::write(&profile, &mut bytes).unwrap();
        let read = pprof::read(&bytes).unwrap();
        assert_eq!(read.samples, profile.samples);
        assert_eq!(read.samples.iter().map(|s| s.values[0]).sum::<i64>(), 3);
        let label = Label::text("created_at", "app::start src/a.rs:40");
        assert!(read.samples[0].labels.contains(&label));
    }
}
