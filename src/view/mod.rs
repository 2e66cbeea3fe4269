//! Views over a [`Profile`](crate::Profile): pure functions from profiles to numbers and text.
//!
//! [`count()`] adds samples up by site, function, line, crate or thread; [`growth()`] compares two profiles and
//! says what is more than chance. [`memory`] says what of a process's memory did. [`top`] and [`table`] make text of it. Nothing here does I/O of its own.
//!
//! Reports in pprof's manner have one engine: a [`Subject`] is a sample type of a profile or of a difference, cut down by a
//! [`Selection`]; [`count_of`], [`graph()`], [`traces()`] and [`tags()`] are what can be asked of it, and any frame, file,
//! crate or address can be a row ([`By`]). Stacks with their values, for a picture, are [`traces()`].
#![forbid(unsafe_code)]

mod age;
pub mod change;
mod comparable;
pub mod count;
pub mod flame;
pub mod graph;
pub mod growth;
pub mod header;
pub mod key;
pub mod labels;
pub mod listing;
pub mod measure;
pub mod memory;
pub mod name;
pub mod scale;
pub mod select;
mod sides;
pub mod significance;
pub(crate) mod stacks;
pub mod subject;
pub mod table;
pub mod tag_filter;
pub mod tags;
#[cfg(test)]
pub(crate) mod testing;
pub mod top;
pub mod traces;
pub mod tree;
pub mod units;

pub use count::{Count, Row, count, count_of};
pub use graph::{Edge, Graph, graph};
pub use growth::{Growth, GrowthRow, growth};
pub use key::{Blame, By, Frame, Key};
pub use labels::{Tag, tags};
pub use measure::{Measure, Quality, Value};
pub use scale::Scale;
pub use select::Selection;
pub use subject::Subject;
pub use tag_filter::TagFilter;
pub use traces::{Traces, traces};
