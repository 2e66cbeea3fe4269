//! What is known of each program, and what the judgement may say of it.

use heapsite::find::Class;

use super::world::World;

pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut World),
    pub(crate) truth: Truth,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Truth {
    /// Leaks at its line, from this second on, so many bytes a second where that is steady; 0: it is not.
    Leaks { from: u64, rate: f64 },
    /// Leaks at its line, but in bursts, by day, in a block that doubles, or in a queue whose items are taken late: one snapshot
    /// does not tell, and no less than all twenty need to.
    LeaksUnsteadily,
    /// What its line is after two hours.
    Innocent(&'static [Class]),
    /// Innocent, but it breaks the assumption that an innocent place does not grow for longer than an hour. Nobody can
    /// tell; it is shown, and not counted.
    Beyond,
}

impl Program {
    /// The source file and the line that ends with `// LINE: name`.
    pub(crate) fn line(&self) -> (&'static str, i64) {
        let marker = format!("// LINE: {}", self.name);
        let found = marked(&marker).next();
        found.unwrap_or_else(|| panic!("no line is marked with {marker}"))
    }

    /// Other lines that leak along with it, marked with `// ALSO: name`.
    pub(crate) fn also(&self) -> Vec<(&'static str, i64)> {
        marked(&format!("// ALSO: {}", self.name)).collect()
    }
}

fn marked(marker: &str) -> impl Iterator<Item = (&'static str, i64)> {
    SOURCES.iter().flat_map(move |&(file, text)| {
        let lines = text.lines().enumerate();
        let found = lines.filter(move |(_, line)| line.ends_with(marker));
        found.map(move |(at, _)| (file, at as i64 + 1))
    })
}

const SOURCES: &[(&str, &str)] = &[
    (
        "quality/programs/collections.rs",
        include_str!("programs/collections.rs"),
    ),
    (
        "quality/programs/ownership.rs",
        include_str!("programs/ownership.rs"),
    ),
    (
        "quality/programs/tasks.rs",
        include_str!("programs/tasks.rs"),
    ),
    (
        "quality/programs/shapes.rs",
        include_str!("programs/shapes.rs"),
    ),
    (
        "quality/programs/caches.rs",
        include_str!("programs/caches.rs"),
    ),
    (
        "quality/programs/churn.rs",
        include_str!("programs/churn.rs"),
    ),
    (
        "quality/programs/lives.rs",
        include_str!("programs/lives.rs"),
    ),
];
