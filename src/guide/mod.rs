//! The long texts: how it works, why, and how to read what it says.
#![forbid(unsafe_code)]

#[doc = include_str!("architecture.md")]
pub mod architecture {}

#[doc = include_str!("sampling.md")]
pub mod sampling {}

#[doc = include_str!("performance.md")]
#[doc = include_str!("scaling-sites.svg")]
#[doc = ""]
#[doc = include_str!("scaling-live-samples.svg")]
#[doc = ""]
#[doc = include_str!("scaling-threads.svg")]
pub mod performance {}

#[doc = include_str!("formats.md")]
pub mod formats {}

#[doc = include_str!("triggers.md")]
pub mod triggers {}

#[doc = include_str!("leak_checks.md")]
pub mod leak_checks {}

#[doc = include_str!("cli.md")]
pub mod cli {}

#[doc = include_str!("changelog.md")]
pub mod changelog {}
