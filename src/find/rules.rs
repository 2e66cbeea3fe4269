//! Named findings: which evidence says what is wrong, why, and what to do. The table is [`RULES`].
//!
//! A rule is a row: a name that stays, a test over [`Evidence`], two paragraphs, and how sure one may be. To add one, add
//! a row to `rules/table.rs` and a case to its test.
#![forbid(unsafe_code)]

use super::{Class, Place, Thing};

mod table;

pub use table::RULES;

/// A row of [`RULES`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Rule {
    /// Short and stable, such as `unbounded-map`.
    pub name: &'static str,
    /// The finding in a few words.
    pub title: &'static str,
    /// What goes on.
    pub why: &'static str,
    /// What to do.
    pub fix: &'static str,
    /// How often this is the cause where the evidence is there, 0 to 1: a judgement, not a measurement.
    pub confidence: f64,
    /// Whether the evidence is there.
    pub when: fn(&Evidence<'_>) -> bool,
}

/// What a rule may look at.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// The place; `None` for the process as a whole.
    pub place: Option<&'a Place>,
    /// How it behaves; `None`: it could not be told.
    pub class: Option<Class>,
    /// What was allocated.
    pub thing: Thing,
    /// The functions between the place and the allocator.
    pub functions: &'a [String],
    /// Mean bytes of a live allocation, estimated.
    pub mean_size: f64,
    /// The part of all live bytes, 0 to 1, estimated.
    pub live_share: f64,
    /// The part of all bytes ever allocated.
    pub alloc_share: f64,
    /// The part of all bytes at the high-water mark.
    pub peak_share: f64,
    /// What is live here by what was live here at the high-water mark.
    pub left_of_peak: f64,
    /// The process as a whole.
    pub process: Process,
}

/// What the caller knows of the process between the first and the last profile. `None`: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Process {
    /// The number of tasks that are alive grows.
    pub tasks_grow: Option<bool>,
    /// The number of threads grows.
    pub threads_grow: Option<bool>,
    /// The number of open file descriptors grows.
    pub descriptors_grow: Option<bool>,
    /// Live heap bytes grow.
    pub heap_grows: Option<bool>,
    /// The resident memory grows.
    pub resident_grows: Option<bool>,
    /// Freed memory that the allocator holds, as a part of the resident memory.
    pub held_share: Option<f64>,
    /// Memory that is not from the Rust heap (C, mmap), as a part of the resident memory.
    pub unexplained_share: Option<f64>,
}

/// A rule that fired.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Advice {
    /// [`Rule::name`].
    pub rule: &'static str,
    /// [`Rule::title`].
    pub title: &'static str,
    /// [`Rule::why`].
    pub why: &'static str,
    /// [`Rule::fix`].
    pub fix: &'static str,
    /// [`Rule::confidence`].
    pub confidence: f64,
}

impl Evidence<'_> {
    /// It grows: a leak, or perhaps one.
    pub fn grows(&self) -> bool {
        self.place.is_some() && matches!(self.class, Some(Class::Leak | Class::Filling))
    }

    /// One of the functions passed over, or the place's own, has one of these in its name.
    pub fn passes(&self, parts: &[&str]) -> bool {
        let own = self.place.map(|place| place.function.as_str());
        let has = |function: &str| parts.iter().any(|part| function.contains(part));
        own.is_some_and(has) || self.functions.iter().any(|function| has(function))
    }
}

/// The rules that fire, the surest first.
pub fn advise(evidence: &Evidence<'_>) -> Vec<Advice> {
    let fires = |rule: &&Rule| (rule.when)(evidence);
    let mut advice: Vec<Advice> = RULES.iter().filter(fires).map(Rule::advice).collect();
    advice.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    advice
}

/// The rules that fire for a process as a whole, the surest first.
pub fn advise_process(process: Process) -> Vec<Advice> {
    advise(&Evidence {
        place: None,
        class: None,
        thing: Thing::Other,
        functions: &[],
        mean_size: 0.0,
        live_share: 0.0,
        alloc_share: 0.0,
        peak_share: 0.0,
        left_of_peak: 1.0,
        process,
    })
}

impl Rule {
    fn advice(&self) -> Advice {
        let Rule {
            name: rule,
            title,
            why,
            fix,
            confidence,
            ..
        } = *self;
        Advice {
            rule,
            title,
            why,
            fix,
            confidence,
        }
    }
}
