//! The arguments of `heapsite list`. The doc comments are what `--help` shows.
#![forbid(unsafe_code)]

use super::super::args::{Asked, Json};
use clap::Args as Group;
use std::path::PathBuf;

/// Show the source of functions, with what each line holds
///
/// Files are looked for where the profile says, below --source-root, and where cargo and rustup keep the sources of
/// dependencies and of the standard library.
#[derive(Debug, Group)]
pub(in super::super) struct List {
    /// The functions: a regular expression that is looked for in their names
    pub(super) regex: String,
    #[command(flatten)]
    pub(super) report: Asked,
    /// Blame the leaf of each stack, as pprof does, not the first frame of the application
    #[arg(long)]
    pub(super) leaf: bool,
    /// How many functions to show
    #[arg(short, value_name = "FUNCTIONS", default_value_t = 20)]
    pub(super) n: usize,
    /// A folder to look for source files in: below it, a path loses one folder after the other from its beginning
    #[arg(long, value_name = "DIR")]
    pub(super) source_root: Vec<PathBuf>,
    /// The beginning of paths where the program was built, to be left off before they are looked for
    #[arg(long, value_name = "PREFIX")]
    pub(super) trim_path: Vec<String>,
    /// Lines to show around those that hold something
    #[arg(short = 'C', long, value_name = "LINES", default_value_t = 3)]
    pub(super) context: usize,
    /// Show the lines between as well, and all that is inlined
    #[arg(long)]
    pub(super) all_lines: bool,
    /// Columns to use [default: the terminal's; no limit where there is none]
    #[arg(long, value_name = "COLUMNS")]
    pub(super) width: Option<usize>,
    #[command(flatten)]
    pub(super) json: Json,
}
