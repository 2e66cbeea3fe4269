//! Await chains, told by what is in them from the leaf to the task.

use heapsite::task::{Builder, Stack, State, Task, dump};

/// What a frame is known by. The test's own functions go by their lines: what is inlined in a release build has a line, but
/// not always its function's name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// This is in its function's name.
    Name(&'static str),
    /// A line of a file of these tests.
    Line(&'static str, i64),
}

impl Part {
    fn place(self, stack: &Stack) -> Option<usize> {
        stack.iter().position(|frame| match self {
            Part::Name(name) => frame.function.contains(name),
            Part::Line(file, line) => frame.line == line && frame.file.ends_with(file),
        })
    }
}

/// Functions and lines, leaf first: for messages.
pub(crate) fn told(task: &Task) -> Vec<Vec<String>> {
    let tell = |stack: &Stack| {
        let frames = stack.iter();
        let told = frames.map(|it| format!("{} {}:{}", it.function, it.file, it.line));
        told.collect()
    };
    task.awaits.iter().map(tell).collect()
}

/// That a task waits in so many places.
pub(crate) fn count(task: &Task, count: usize) {
    assert_eq!(task.awaits.len(), count, "{:#?}", told(task));
    assert_eq!(task.more_awaits, 0);
}

/// That one of a task's await points has these parts in this order, the last at the very end: nothing beyond the task, and
/// nothing of heapsite's.
pub(crate) fn goes(task: &Task, parts: &[Part]) {
    let goes = |stack: &Stack| {
        let places: Option<Vec<usize>> = parts.iter().map(|part| part.place(stack)).collect();
        places.is_some_and(|places| {
            places.is_sorted_by(|a, b| a < b)
                && places.last() == Some(&(stack.len() - 1))
                && !stack
                    .iter()
                    .any(|frame| frame.function.starts_with("heapsite::"))
        })
    };
    let stack = task.awaits.iter().find(|stack| goes(stack));
    assert!(stack.is_some(), "not {parts:#?}: {:#?}", told(task));
}

/// That none of a task's await points has this part.
pub(crate) fn passes_nowhere(task: &Task, part: Part) {
    let has = |stack: &Stack| part.place(stack).is_some();
    assert!(!task.awaits.iter().any(has), "{part:?}: {:#?}", told(task));
}

/// The task of this name, as it is now.
pub(crate) fn look(name: &str) -> Task {
    let mut tasks = dump().tasks.into_iter();
    tasks
        .find(|task| task.name == name)
        .expect("it is in the list")
}

/// A task that waits at this place of the tests.
pub(crate) fn waits_at(task: &Task, place: Part) -> bool {
    let at = |stack: &Stack| place.place(stack).is_some();
    task.state == State::Waiting && task.awaits.iter().any(at)
}

/// Spawns a task on Tokio and lets it get to this place of the tests.
pub(crate) async fn arrives(
    name: &str,
    future: impl Future<Output = ()> + Send + 'static,
    place: Part,
) -> Task {
    spawn(name, future);
    gets_to(name, place).await
}

/// Lets the task of this name get to this place of the tests.
pub(crate) async fn gets_to(name: &str, place: Part) -> Task {
    loop {
        tokio::task::yield_now().await;
        let task = look(name);
        if waits_at(&task, place) {
            return task;
        }
    }
}

/// Spawns a task on Tokio; it is gone with its test's runtime.
pub(crate) fn spawn(name: &str, future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(Builder::new().name(name).track(future));
}
