//! The arguments of `heapsite flame`. The doc comments are what `--help` shows.
#![forbid(unsafe_code)]

use super::super::args::{Asked, Said};
use clap::Args as Group;
use std::path::PathBuf;

/// Draw a flame graph: one file that any browser opens, to zoom, search and point at
///
/// Over --base red is what grew since, and blue is what shrank, as wide as it is now.
#[derive(Debug, Group)]
pub(in super::super) struct Flame {
    #[command(flatten)]
    pub(super) report: Asked,
    /// The file to write, or `-` for stdout [default: on a terminal the profile's name with .svg, otherwise stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// The root at the top
    #[arg(long)]
    pub(super) icicle: bool,
    /// Begin with what allocated; its callers follow
    #[arg(long)]
    pub(super) reversed: bool,
    /// Keep the frames of the standard library, of runtimes and of collections, which are folded away
    #[arg(long)]
    pub(super) plumbing: bool,
    #[command(flatten)]
    pub(super) json: Said,
}
