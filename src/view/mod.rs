//! Views over a [`Profile`](crate::Profile): pure functions from profiles to numbers and text.
//!
//! [`count()`] adds samples up by site, function, line, crate or thread; [`growth()`] compares two profiles and
//! says what is more than chance. [`memory`] says what of a process's memory did. [`top`] and [`table`] make text of it. Nothing here does I/O of its own.
#![forbid(unsafe_code)]

pub mod change;
mod comparable;
pub mod count;
pub mod flame;
pub mod growth;
pub mod key;
pub mod listing;
pub mod measure;
pub mod memory;
pub mod name;
mod sides;
pub mod significance;
pub(crate) mod stacks;
pub mod table;
#[cfg(test)]
pub(crate) mod testing;
pub mod top;
pub mod units;

pub use count::{Count, Row, count};
pub use growth::{Growth, GrowthRow, growth};
pub use key::{Blame, By, Frame, Key};
pub use measure::{Measure, Quality, Value};
