//! Where does the memory of syntax trees sit? Parses every `.rs` file under a folder with `syn`, keeps the trees, and
//! shows the heap by crate, by function and by line.
//!
//! ```text
//! cargo run --release --all-features --example parse_crates [-- FOLDER] [--files N] [--seconds N]
//! ```
//!
//! The default folder holds the sources of the crates that cargo has fetched on this machine: thousands of files, and
//! about 30 bytes of tree for each byte of source. All of them are parsed, unless memory runs short, which it says.
//! `heapsite top` would blame
//! this file for all of it, because it is the application; here the question is what syn does with it, so the
//! example asks its own: a profile is plain data.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use heapsite::profile::{Profile, Sample};
use heapsite::symbolize::names::crate_of;
use heapsite::{Heapsite, Snapshot};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

type Result<T, E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn main() -> Result<()> {
    let options = Options::from_args()?;
    // Deeply nested source needs a deep stack: syn's parser recurses.
    let parsing = std::thread::Builder::new().stack_size(256 << 20);
    let parsed = parsing.spawn(move || parse(&options).map_err(|error| error.to_string()))?;
    let snapshot = parsed.join().map_err(|_| "the parsing thread panicked")??;
    show(&snapshot.to_profile());
    Ok(())
}

/// Parses, and takes the snapshot while the trees are there.
fn parse(options: &Options) -> Result<Snapshot> {
    let started = Instant::now();
    let mut files = Vec::new();
    collect(&options.folder, &mut files)?;
    files.sort();
    let mut trees = Vec::new();
    let (mut unreadable, mut unparsable, mut source_bytes) = (0, 0, 0);
    let mut end = "every file was looked at".to_owned();
    for (done, path) in files.iter().enumerate() {
        if let Some(why) = options.stops(done, started) {
            end = format!("stopped after {done} of them: {why}");
            break;
        }
        let Ok(text) = std::fs::read_to_string(path) else {
            unreadable += 1;
            continue;
        };
        match syn::parse_file(&text) {
            Ok(tree) => {
                source_bytes += text.len();
                trees.push(tree);
            }
            Err(error) => {
                unparsable += 1;
                eprintln!("{}: {error}", path.display());
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} trees of {source_bytes} bytes of source in {seconds:.1} s; of {} files {unparsable} could not be parsed, \
         {unreadable} not read; {end}",
        trees.len(),
        files.len(),
    );
    let snapshot = heapsite::snapshot();
    drop(trees);
    Ok(snapshot)
}

/// Live bytes and their variance.
type Sums = HashMap<String, (f64, f64)>;

fn show(profile: &Profile) {
    let (mut crates, mut functions, mut lines) = (Sums::new(), Sums::new(), Sums::new());
    for sample in &profile.samples {
        let Some(detail) = &sample.detail else {
            continue;
        };
        let (name, function, line) = owner(profile, sample);
        for (sums, key) in [
            (&mut crates, name),
            (&mut functions, function),
            (&mut lines, line),
        ] {
            let sum = sums.entry(key).or_default();
            sum.0 += detail.live.bytes_estimate;
            sum.1 += detail.live.bytes_variance;
        }
    }
    for (by, sums) in [("crate", crates), ("function", functions), ("line", lines)] {
        println!("\nlive MB by {by}, ± one standard error");
        let mut rows: Vec<_> = sums.into_iter().collect();
        rows.sort_by(|a, b| b.1.0.total_cmp(&a.1.0).then_with(|| a.0.cmp(&b.0)));
        for (key, (bytes, variance)) in rows.into_iter().filter(|row| row.1.0 > 0.0).take(8) {
            println!(
                "{:>9.1} ± {:<5.1} {key}",
                bytes / 1e6,
                variance.sqrt() / 1e6
            );
        }
    }
}

/// The first frame that is not the standard library's: its crate, function, and line.
fn owner(profile: &Profile, sample: &Sample) -> (String, String, String) {
    const STD: [&str; 4] = ["alloc", "core", "std", "hashbrown"];
    let locations = sample
        .locations
        .iter()
        .map(|id| &profile.locations[id.0 as usize]);
    for line in locations.flat_map(|location| &location.lines) {
        let function = &profile.functions[line.function.0 as usize];
        match crate_of(&function.name, &function.filename) {
            Some(name) if !STD.contains(&name.as_str()) => {
                let file = function.filename.rsplit('/').next().unwrap_or_default();
                let place = format!("{}  {file}:{}", function.name, line.line);
                return (name, function.name.clone(), place);
            }
            _ => {}
        }
    }
    let nobody = || "(no crate)".to_owned();
    (nobody(), nobody(), nobody())
}

/// Adds every `.rs` file below `folder`; does not follow links, so it ends.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            collect(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

struct Options {
    folder: PathBuf,
    /// `None`: all.
    files: Option<usize>,
    /// `None`: as long as it takes.
    time: Option<Duration>,
}

/// What stays free for everybody else on the machine, and for the symbols at the end; bytes.
const SPARE: u64 = 1 << 30;

impl Options {
    /// Why to stop before the next file, if so.
    fn stops(&self, done: usize, started: Instant) -> Option<String> {
        if self.files.is_some_and(|files| done >= files) {
            return Some("--files".to_owned());
        }
        if self.time.is_some_and(|time| started.elapsed() >= time) {
            return Some("--seconds".to_owned());
        }
        let available = memory_available().filter(|&bytes| bytes < SPARE)?;
        Some(format!(
            "only {} MB of memory are left (MemAvailable), and the next trees would need them",
            available / 1_000_000
        ))
    }

    fn from_args() -> Result<Options> {
        let mut folder = None;
        let (mut files, mut seconds) = (None, None);
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--files" => files = Some(args.next().ok_or("--files needs a number")?.parse()?),
                "--seconds" => {
                    seconds = Some(args.next().ok_or("--seconds needs a number")?.parse()?);
                }
                _ if folder.is_none() && !arg.starts_with('-') => folder = Some(arg.into()),
                _ => {
                    let known = "known are FOLDER, --files N, --seconds N";
                    return Err(format!("unexpected {arg}; {known}").into());
                }
            }
        }
        let folder = match folder {
            Some(folder) => folder,
            None => cargo_home()
                .ok_or("neither CARGO_HOME nor HOME is set: name a folder")?
                .join("registry/src"),
        };
        Ok(Options {
            folder,
            files,
            time: seconds.map(Duration::from_secs),
        })
    }
}

/// Bytes that can be had without swapping, as Linux estimates; `None`: it does not say.
fn memory_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(home)
}
