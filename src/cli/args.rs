//! The command's arguments. The doc comments are what `--help` shows.
#![forbid(unsafe_code)]

use crate::config::Signal;
use crate::find::Counter;
use crate::verdict::Cause;
use crate::view;
use clap::builder::PossibleValuesParser;
use clap::{Args as Group, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

mod report;

pub(super) use report::{
    Asked, Calls, Granularity, Inlined, Peek, Selected, Tags, Top, Traces, Tree,
};

/// Why is my Rust service's memory growing? Reads, compares and converts heap profiles.
///
/// A profile is a file, `-` for stdin, or an http:// address; its format (pprof, heapsite's JSON) is found by
/// looking. Any pprof heap profile will do, Go's and jemalloc's too.
#[derive(Debug, Parser)]
#[command(name = "heapsite", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Leaks(Leaks),
    Top(Top),
    Peek(Peek),
    Tree(Tree),
    Traces(Traces),
    Tags(Tags),
    Diff(Diff),
    Flame(super::flame::Args),
    List(super::list::Args),
    Info(Info),
    Convert(Convert),
    Symbolize(Symbolize),
    Merge(Merge),
    Report(Report),
    Shell(Shell),
    Dump(Dump),
    Watch(Watch),
    /// List the async tasks that are alive: who spawned them, and where each waits
    ///
    /// Of a service (http://HOST:PORT), a list or profile that it wrote, or any pprof profile of goroutines. Of a heap
    /// profile: tasks by their cells, those that nobody tracked as well, and those that have ended and are still kept.
    Tasks(Tasks),
    /// List the threads of a process: what each does, and where it is
    ///
    /// Of a service (http://HOST:PORT), a list or profile that it wrote, or a process id (then without stacks).
    Threads(Census),
    Completions(Completions),
    Man(Man),
}

/// Write what a shell needs to complete this command's words
///
/// For bash, for instance: heapsite completions bash > ~/.local/share/bash-completion/completions/heapsite
#[derive(Debug, Group)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(super) shell: clap_complete::Shell,
}

/// Write this command's manual page, or one for each command into a folder
#[derive(Debug, Group)]
pub(super) struct Man {
    /// The folder; it is made if it is not there [default: the page of heapsite itself to stdout]
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
}

/// Tell why the memory grows: what leaks, since when, how fast, how sure that is, and what to do
///
/// One JSON dump is enough: births and lifetimes are in it. Several of one process add a trend, and what of the process
/// grew. A service (http://HOST:PORT) is asked for a dump and for its history.
#[derive(Debug, Group)]
pub(super) struct Leaks {
    /// Profiles of one process: files, folders of such, `-`, @FILE for those that FILE names; or a service's address
    #[arg(required = true)]
    pub(super) profiles: Vec<String>,
    /// Of a service: how many dumps to take
    #[arg(long, value_name = "DUMPS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) looks: u32,
    /// Of a service: time between two dumps
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(super) every: Duration,
    /// Of a service: ask the allocator to give free memory back, and tell what it did. Requests may wait meanwhile
    #[arg(long)]
    pub(super) trim: bool,
    /// Count growth by something else than time: its name, and what it stood at in each profile, such as
    /// request=1200,5100,9300
    #[arg(long, value_name = "UNIT=COUNTS", value_parser = per)]
    pub(super) per: Option<Counter>,
    /// How often a process in which nothing leaks may have any line accused
    #[arg(long, value_name = "PROBABILITY", default_value_t = 0.01, value_parser = probability)]
    pub(super) level: f64,
    /// How long a cache may take to fill, such as 10m or 2h: what has not grown for longer is suspected, and not called a leak
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = duration)]
    pub(super) longest_fill: Duration,
    /// How large a cache may be, such as 64MiB: what is larger is called a leak however short it has grown
    #[arg(long, value_name = "SIZE", value_parser = crate::config::size)]
    pub(super) largest_cache: Option<u64>,
    /// Exit with 1 if one of these is found: leak, tasks, suspicion, filling, threads, descriptors, allocator, peak, foreign, or any
    #[arg(long, value_name = "CAUSES", value_delimiter = ',', value_parser = causes())]
    pub(super) fail_on: Vec<String>,
    /// How many lines that grow to show
    #[arg(short, value_name = "LINES", default_value_t = 5)]
    pub(super) n: usize,
    /// Columns to use [default: the terminal's, or 100]
    #[arg(long, value_name = "COLUMNS")]
    pub(super) width: Option<usize>,
    #[command(flatten)]
    pub(super) json: Json,
}

/// Show what grew from one profile to another, with its error and whether it is more than chance
#[derive(Debug, Group)]
pub(super) struct Diff {
    /// The earlier profile
    pub(super) base: String,
    /// The later profile
    pub(super) new: String,
    /// What to compare: alloc_objects, alloc_space, inuse_objects, inuse_space, or another sample type that both
    /// have [default: the new profile's own]
    #[arg(short, long, value_name = "VALUE")]
    pub(super) sort: Option<String>,
    /// Compare what passed through a row instead of what it is blamed for
    #[arg(long)]
    pub(super) cum: bool,
    /// Exit with 1 if something grew significantly (or at all, where both profiles are exact)
    #[arg(long)]
    pub(super) fail_on_growth: bool,
    #[command(flatten)]
    pub(super) rows: Rows,
    #[command(flatten)]
    pub(super) json: Json,
}

/// Tell where the memory is, and everything about a profile but its samples; of two profiles, what grew
#[derive(Debug, Group)]
pub(super) struct Info {
    /// The profile: a file, `-` or an http:// address; of two, the earlier one
    pub(super) profile: String,
    /// The later profile
    #[arg(conflicts_with = "base")]
    pub(super) now: Option<String>,
    /// The earlier profile, another way
    #[arg(long, value_name = "PROFILE")]
    pub(super) base: Option<String>,
    #[command(flatten)]
    pub(super) json: Json,
}

/// Write a profile in another format
#[derive(Debug, Group)]
pub(super) struct Convert {
    /// The profile: a file, `-` or an http:// address
    pub(super) profile: String,
    #[command(flatten)]
    pub(super) output: Output,
    /// Write the difference to this earlier profile instead
    #[arg(long, value_name = "PROFILE")]
    pub(super) base: Option<String>,
    /// The sample type to write, where the format does not hold them all (folded, dhat) [default: the profile's own]
    #[arg(long, value_name = "TYPE")]
    pub(super) sample_type: Option<String>,
    #[command(flatten)]
    pub(super) json: Said,
}

/// Give names to a profile of addresses, from binaries of the same build
#[derive(Debug, Group)]
pub(super) struct Symbolize {
    /// The profile: a file, `-` or an http:// address
    pub(super) profile: String,
    /// A binary to take names from; its build id must be that of the profile
    #[arg(long, value_name = "PATH")]
    pub(super) binary: Vec<PathBuf>,
    /// A directory to look for binaries in; those of PPROF_BINARY_PATH come after
    #[arg(long, value_name = "DIR")]
    pub(super) search: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) json: Said,
}

/// Add profiles up
#[derive(Debug, Group)]
pub(super) struct Merge {
    /// Profiles: files, folders of such, `-` or http:// addresses; @FILE for those that FILE names, one a line (@- for stdin)
    #[arg(required = true)]
    pub(super) profiles: Vec<String>,
    /// Leave out what cannot be read or added, say so, and exit with 1
    #[arg(long)]
    pub(super) keep_going: bool,
    #[command(flatten)]
    pub(super) output: Output,
    #[command(flatten)]
    pub(super) json: Said,
}

/// Write one HTML file with everything, to attach to a ticket: verdict, memory, lines, flame graph, trend
///
/// The file needs no network and no server. Several profiles are of one process, in any order.
#[derive(Debug, Group)]
pub(super) struct Report {
    /// Profiles: files, folders of such, `-` or http:// addresses; @FILE for those that FILE names
    #[arg(required = true)]
    pub(super) profiles: Vec<String>,
    /// The file to write, or `-` for stdout
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub(super) output: PathBuf,
    #[command(flatten)]
    pub(super) json: Said,
}

/// Look at a profile from a prompt: `top10`, `list f`, `web`, `focus=…`, `sample_index=…`, as in pprof's
///
/// Lines come from the terminal, with completion and a history, or from a pipe; then the exit code is 2 if one of them was
/// wrong. `help` lists the commands.
#[derive(Debug, Group)]
pub(super) struct Shell {
    /// The profile: a file or an http:// address
    pub(super) profile: String,
}

/// Ask a running process for a dump, wait for the file and print its path
///
/// Sends the signal that the process dumps on. A process in which heapsite::init() does not run is left alone: to it
/// the signal means something else, often the end.
#[derive(Debug, Group)]
pub(super) struct Dump {
    /// The process
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(i32::MAX)))]
    pub(super) pid: u32,
    /// The signal [default: that of the process's HEAPSITE variable, else SIGUSR2]
    #[arg(long)]
    pub(super) signal: Option<Signal>,
    /// Where the process puts its dumps [default: that of its HEAPSITE variable, else where it runs]
    #[arg(long)]
    pub(super) dir: Option<PathBuf>,
    /// How long to wait for the file, such as 500ms, 10s or 2m
    #[arg(long, default_value = "10s", value_parser = duration)]
    pub(super) timeout: Duration,
    #[command(flatten)]
    pub(super) json: Json,
}

/// Follow a running service in the terminal: its memory as a chart, and the lines that grow
///
/// The service serves its profiles (HEAPSITE=http=127.0.0.1:6060, or http::router). Where the output is no terminal, a line
/// per look is written. HEAPSITE_TOKEN holds the token, if the service wants one.
#[derive(Debug, Group)]
pub(super) struct Watch {
    /// The service: http://HOST:PORT, or the address of its page
    pub(super) url: String,
    /// Time between two looks; what there is to see is as old as the service's own history lets it be
    #[arg(long, default_value = "5s", value_parser = duration)]
    pub(super) every: Duration,
    /// End after so many looks
    #[arg(long, value_name = "LOOKS")]
    pub(super) count: Option<u64>,
}

/// Tasks that are alive, or their cells.
#[derive(Debug, Group)]
pub(super) struct Tasks {
    #[command(flatten)]
    pub(super) census: Census,
    /// A heap profile taken with the list: shows task cells as well, and which of them belong to tasks that have ended
    #[arg(long, value_name = "PROFILE", conflicts_with_all = ["alive", "stacks"])]
    pub(super) heap: Option<String>,
    /// How many tasks were alive when the heap profile was taken, as tokio's `num_alive_tasks` has it
    #[arg(long, value_name = "TASKS")]
    pub(super) alive: Option<u64>,
    /// The same at an earlier time, a list or a heap profile: what piled up since is shown
    #[arg(long, value_name = "FILE")]
    pub(super) base: Option<String>,
    /// The heap profile that was taken with the list --base
    #[arg(long, value_name = "PROFILE", requires_all = ["base", "heap"])]
    pub(super) base_heap: Option<String>,
    /// How many tasks were alive when the heap profile --base was taken
    #[arg(long, value_name = "TASKS", requires_all = ["base", "alive"])]
    pub(super) base_alive: Option<u64>,
}

/// A list of what is alive.
#[derive(Debug, Group)]
pub(super) struct Census {
    /// A file, `-`, or the http:// address of a service
    pub(super) profile: String,
    /// What a row has in common
    #[arg(long, value_enum, default_value_t = CensusBy::Group)]
    pub(super) by: CensusBy,
    /// How many rows to show
    #[arg(short, value_name = "ROWS", default_value_t = 20)]
    pub(super) n: usize,
    /// Show whole stacks, a block for each group
    #[arg(long, conflicts_with = "json")]
    pub(super) stacks: bool,
    /// Columns to use [default: the terminal's; no limit where there is none]
    #[arg(long, value_name = "COLUMNS")]
    pub(super) width: Option<usize>,
    #[command(flatten)]
    pub(super) json: Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum CensusBy {
    /// Everything: place, state, name and where it was made
    Group,
    /// The line that made it
    #[value(name = "spawn", alias = "made")]
    Made,
    /// The application's line at which it is
    #[value(name = "place", alias = "await")]
    Place,
    State,
    Name,
}

impl CensusBy {
    pub(super) fn name(self) -> &'static str {
        match self {
            CensusBy::Group => "group",
            CensusBy::Made => "spawn",
            CensusBy::Place => "place",
            CensusBy::State => "state",
            CensusBy::Name => "name",
        }
    }
}

/// Which rows to show, and how.
#[derive(Debug, Group)]
pub(super) struct Rows {
    #[command(flatten)]
    pub(super) granularity: Granularity,
    /// How many rows to show
    #[arg(short, value_name = "ROWS", default_value_t = 20)]
    pub(super) n: usize,
    /// Blame the leaf of each stack, as pprof does, not the first frame of the application
    #[arg(long)]
    pub(super) leaf: bool,
    /// Columns to use [default: the terminal's; no limit where there is none]
    #[arg(long, value_name = "COLUMNS")]
    pub(super) width: Option<usize>,
}

impl Rows {
    pub(super) fn blame(&self) -> view::Blame {
        blame(self.leaf)
    }

    pub(super) fn by(&self) -> view::By {
        self.granularity.or(view::By::Line)
    }
}

pub(super) fn blame(leaf: bool) -> view::Blame {
    match leaf {
        true => view::Blame::Leaf,
        false => view::Blame::Application,
    }
}

#[derive(Debug, Group)]
pub(super) struct Json {
    /// Write JSON for machines
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Group)]
pub(super) struct Said {
    /// Say on stdout, as JSON for machines, what was read, written and left out
    #[arg(long)]
    pub(super) json: bool,
}

/// Where to write a profile.
#[derive(Debug, Group)]
pub(super) struct Output {
    /// The file to write, or `-` for stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// The format [default: by the file's name: .pb.gz or .pprof, .json, .folded, .speedscope.json, .dhat.json,
    /// .callgrind, .heap]
    #[arg(long, value_enum)]
    pub(super) to: Option<Target>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Target {
    Pprof,
    Json,
    Folded,
    Speedscope,
    Dhat,
    Callgrind,
    /// The text that pprof's was before: gperftools', and Go's `debug=1`
    Legacy,
}

fn causes() -> PossibleValuesParser {
    let names = Cause::FOUND.iter().map(|cause| cause.name());
    names.chain(["any"]).into()
}

fn probability(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number
        .filter(|&level| level > 0.0 && level < 1.0)
        .ok_or_else(|| "a number between 0 and 1 is accepted, such as 0.01".to_owned())
}

fn per(text: &str) -> Result<Counter, String> {
    let accepted = "a name and a count for each profile are accepted, such as request=1200,5100";
    let (unit, values) = text.split_once('=').ok_or(accepted)?;
    let values = values.split(',').map(|value| value.trim().parse::<f64>());
    let values: Result<Vec<f64>, _> = values.collect();
    match (unit.trim(), values) {
        ("", _) | (_, Err(_)) => Err(accepted.to_owned()),
        (unit, Ok(values)) => Ok(Counter {
            unit: unit.to_owned(),
            values,
        }),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let accepted = "a whole number above 0 with ms, s, m or h is accepted, such as 10s";
    let number: u32 = text[..digits].parse().map_err(|_| accepted.to_owned())?;
    let unit = match &text[digits..] {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err(accepted.to_owned()),
    };
    unit.checked_mul(number)
        .filter(|wait| !wait.is_zero())
        .ok_or_else(|| accepted.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "10", "s", "1.5s", "-1s", "0s", "1d", "99999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
