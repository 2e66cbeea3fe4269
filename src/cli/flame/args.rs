//! The arguments of `heapsite flame`. The doc comments are what `--help` shows.
#![forbid(unsafe_code)]

use super::super::args::Said;
use clap::Args as Group;
use std::path::PathBuf;

/// Draw a flame graph: one file that any browser opens, to zoom, search and point at
#[derive(Debug, Group)]
pub(in super::super) struct Flame {
    /// The profile: a file, `-` or an http:// address
    pub(super) profile: String,
    /// The file to write, or `-` for stdout [default: on a terminal the profile's name with .svg, otherwise stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// What to draw: alloc_objects, alloc_space, inuse_objects, inuse_space, or another sample type of the profile
    /// [default: the profile's own, for a heap profile inuse_space]
    #[arg(short, long, value_name = "VALUE", alias = "sample-type")]
    pub(super) sort: Option<String>,
    /// An earlier profile: red is what grew since, blue is what shrank, as wide as it is now
    #[arg(long, value_name = "PROFILE")]
    pub(super) base: Option<String>,
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
