//! The arguments of the reports in pprof's manner: one profile, one sample type, a selection, and what a row stands for.
#![forbid(unsafe_code)]

use super::{Json, Rows};
use crate::view::{self, Scale};
use clap::{Args as Group, ValueEnum};

/// Show where memory was allocated, the most first
#[derive(Debug, Group)]
pub(in crate::cli) struct Top {
    #[command(flatten)]
    pub(in crate::cli) report: Asked,
    /// Sort by what passed through a row instead of what it is blamed for
    #[arg(long)]
    pub(in crate::cli) cum: bool,
    #[command(flatten)]
    pub(in crate::cli) rows: Rows,
    /// Leave out rows through which less than this share of the total passes, such as 0.005
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(in crate::cli) nodefraction: f64,
    #[command(flatten)]
    pub(in crate::cli) json: Json,
}

/// Show the rows that match with those that call them and those that they call
#[derive(Debug, Group)]
pub(in crate::cli) struct Peek {
    /// What names to look for: a regular expression over `function file:line`
    #[arg(value_name = "REGEX")]
    pub(in crate::cli) pattern: String,
    #[command(flatten)]
    pub(in crate::cli) report: Asked,
    #[command(flatten)]
    pub(in crate::cli) calls: Calls,
    #[command(flatten)]
    pub(in crate::cli) json: Json,
}

/// Show the largest rows, each with those that call it and those that it calls
#[derive(Debug, Group)]
pub(in crate::cli) struct Tree {
    #[command(flatten)]
    pub(in crate::cli) report: Asked,
    #[command(flatten)]
    pub(in crate::cli) calls: Calls,
    #[command(flatten)]
    pub(in crate::cli) cuts: Cuts,
    #[command(flatten)]
    pub(in crate::cli) json: Json,
}

/// What of a call graph is left out, as in pprof.
#[derive(Debug, Group)]
pub(in crate::cli) struct Cuts {
    /// How many rows to show; calls through others are shown as if these called each other
    #[arg(short, value_name = "ROWS", default_value_t = 80)]
    pub(in crate::cli) n: usize,
    /// Leave out rows through which less than this share of the total passes
    #[arg(long, value_name = "SHARE", default_value_t = 0.005, value_parser = share)]
    pub(in crate::cli) nodefraction: f64,
    /// Leave out calls through which less than this share of the total passes
    #[arg(long, value_name = "SHARE", default_value_t = 0.001, value_parser = share)]
    pub(in crate::cli) edgefraction: f64,
}

/// List the stacks, the largest first
#[derive(Debug, Group)]
pub(in crate::cli) struct Traces {
    #[command(flatten)]
    pub(in crate::cli) report: Asked,
    #[command(flatten)]
    pub(in crate::cli) granularity: Granularity,
    /// How many stacks to show
    #[arg(short, value_name = "STACKS", default_value_t = 20)]
    pub(in crate::cli) n: usize,
    /// Show whole stacks, also the frames of std, alloc and the like
    #[arg(long)]
    pub(in crate::cli) leaf: bool,
    /// Columns to use [default: the terminal's; no limit where there is none]
    #[arg(long, value_name = "COLUMNS")]
    pub(in crate::cli) width: Option<usize>,
    #[command(flatten)]
    pub(in crate::cli) json: Json,
}

/// List the labels of the samples, and how much has which
#[derive(Debug, Group)]
pub(in crate::cli) struct Tags {
    #[command(flatten)]
    pub(in crate::cli) report: Asked,
    /// How many values of a label to show
    #[arg(short, value_name = "VALUES", default_value_t = 20)]
    pub(in crate::cli) n: usize,
    /// Columns to use [default: the terminal's; no limit where there is none]
    #[arg(long, value_name = "COLUMNS")]
    pub(in crate::cli) width: Option<usize>,
    #[command(flatten)]
    pub(in crate::cli) json: Json,
}

/// Rows that call each other.
#[derive(Debug, Group)]
pub(in crate::cli) struct Calls {
    #[command(flatten)]
    pub(in crate::cli) granularity: Granularity,
    /// Sort by what passed through a row instead of what it is blamed for
    #[arg(long)]
    pub(in crate::cli) cum: bool,
    /// Blame the leaf of each stack, as pprof does, and show all frames, also those of std, alloc and the like
    #[arg(long)]
    pub(in crate::cli) leaf: bool,
    /// Columns to use [default: the terminal's; no limit where there is none]
    #[arg(long, value_name = "COLUMNS")]
    pub(in crate::cli) width: Option<usize>,
}

/// What a report is about.
#[derive(Debug, Group)]
pub(in crate::cli) struct Asked {
    /// The profile: a file, `-` or an http:// address
    pub(in crate::cli) profile: String,
    /// What to add up and sort by: alloc_objects, alloc_space, inuse_objects, inuse_space, or another sample type of the
    /// profile; in `top` also lifetime: most freed bytes first, with their mean lifetime [default: the profile's own, for
    /// a heap profile inuse_space]
    #[arg(
        short = 's',
        long = "sort",
        visible_alias = "value",
        alias = "sample_index",
        value_name = "VALUE"
    )]
    pub(in crate::cli) value: Option<String>,
    /// Show what is more than in this profile; shares are of all that changed
    #[arg(long, value_name = "PROFILE")]
    pub(in crate::cli) base: Option<String>,
    /// The same; shares are of this profile
    #[arg(
        long,
        alias = "diff_base",
        value_name = "PROFILE",
        conflicts_with = "base"
    )]
    pub(in crate::cli) diff_base: Option<String>,
    /// The unit of values, such as B, KiB or MiB [default: for each value the one that fits]
    #[arg(long, value_parser = Scale::parse)]
    pub(in crate::cli) unit: Option<Scale>,
    #[command(flatten)]
    pub(in crate::cli) selected: Selected,
}

const SELECTION: &str = "Selection";

/// Which samples, and which of their frames. Names are matched as pprof does: functions, source files and binaries.
#[derive(Debug, Group)]
pub(in crate::cli) struct Selected {
    /// Only stacks with a frame that matches
    #[arg(long, help_heading = SELECTION, value_name = "REGEX")]
    pub(in crate::cli) focus: Option<String>,
    /// No stacks with a frame that matches
    #[arg(long, help_heading = SELECTION, value_name = "REGEX")]
    pub(in crate::cli) ignore: Option<String>,
    /// Only frames that match
    #[arg(long, help_heading = SELECTION, value_name = "REGEX")]
    pub(in crate::cli) show: Option<String>,
    /// No frames that match
    #[arg(long, help_heading = SELECTION, value_name = "REGEX")]
    pub(in crate::cli) hide: Option<String>,
    /// No frames that lead to the outermost one that matches, and no stacks without one
    #[arg(long, help_heading = SELECTION, alias = "show_from", value_name = "REGEX")]
    pub(in crate::cli) show_from: Option<String>,
    /// Only samples whose labels match: REGEX over `key:value`, KEY=REGEX, or a range such as 4kb:1mb
    #[arg(long, help_heading = SELECTION, value_name = "TAGS")]
    pub(in crate::cli) tagfocus: Option<String>,
    /// No samples whose labels match
    #[arg(long, help_heading = SELECTION, value_name = "TAGS")]
    pub(in crate::cli) tagignore: Option<String>,
    /// Only labels whose key matches
    #[arg(long, help_heading = SELECTION, value_name = "REGEX")]
    pub(in crate::cli) tagshow: Option<String>,
    /// No labels whose key matches
    #[arg(long, help_heading = SELECTION, value_name = "REGEX")]
    pub(in crate::cli) taghide: Option<String>,
    /// Whether inlined functions are frames of their own, or part of the function that the code lies in
    #[arg(long, help_heading = SELECTION, value_enum, default_value_t = Inlined::Yes)]
    pub(in crate::cli) inlined: Inlined,
    /// Shares are of what is selected, not of all
    #[arg(long, help_heading = SELECTION, alias = "relative_percentages")]
    pub(in crate::cli) relative: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Inlined {
    Yes,
    No,
}

/// What a row stands for, by name or by pprof's options.
#[derive(Debug, Group)]
#[group(multiple = false)]
pub(in crate::cli) struct Granularity {
    /// What a row stands for [default: line; in peek and tree function]
    #[arg(long, value_enum)]
    pub(in crate::cli) by: Option<By>,
    /// The same as --by line
    #[arg(long)]
    pub(in crate::cli) lines: bool,
    /// By function name alone, as pprof does; --by function tells those of two files apart
    #[arg(long)]
    pub(in crate::cli) functions: bool,
    /// The same as --by file
    #[arg(long)]
    pub(in crate::cli) files: bool,
    /// The same as --by address
    #[arg(long)]
    pub(in crate::cli) addresses: bool,
}

impl Granularity {
    /// What was asked for; rows stand for `default` otherwise.
    pub(in crate::cli) fn or(&self, default: view::By) -> view::By {
        let flags = [
            (self.lines, view::By::Line),
            (self.functions, view::By::FunctionName),
            (self.files, view::By::File),
            (self.addresses, view::By::Address),
        ];
        let flag = flags.into_iter().find_map(|(on, by)| on.then_some(by));
        self.by.map(view::By::from).or(flag).unwrap_or(default)
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum By {
    Site,
    Function,
    Line,
    File,
    Address,
    Crate,
    Thread,
    Label,
    Age,
}

impl From<By> for view::By {
    fn from(by: By) -> view::By {
        match by {
            By::Site => view::By::Site,
            By::Function => view::By::Function,
            By::Line => view::By::Line,
            By::File => view::By::File,
            By::Address => view::By::Address,
            By::Crate => view::By::Crate,
            By::Thread => view::By::Thread,
            By::Label => view::By::Label,
            By::Age => view::By::Age,
        }
    }
}

/// A share of a whole.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "a share from 0 to 1 is accepted, such as 0.005".to_owned())
}
