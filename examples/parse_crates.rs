//! Where does the memory of syntax trees sit? Parses every `.rs` file under a folder with `syn`, keeps the trees, and
//! shows the heap by crate, by function and by line.
//!
//! ```text
//! cargo run --release --all-features --example parse_crates [-- FOLDER] [--files N] [--seconds N]
//! ```
//!
//! The default folder holds the sources of the crates that cargo has fetched on this machine. `heapsite top` would blame
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
    let mut end = "every file was looked at";
    for path in &files {
        if trees.len() >= options.files {
            end = "stopped at --files";
            break;
        }
        if started.elapsed() >= options.time {
            end = "stopped at --seconds";
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
            Err(_) => unparsable += 1,
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
    files: usize,
    time: Duration,
}

impl Options {
    fn from_args() -> Result<Options> {
        let mut folder = None;
        // About 1 GB of trees.
        let (mut files, mut seconds) = (2_000, 60);
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--files" => files = args.next().ok_or("--files needs a number")?.parse()?,
                "--seconds" => seconds = args.next().ok_or("--seconds needs a number")?.parse()?,
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
            time: Duration::from_secs(seconds),
        })
    }
}

fn cargo_home() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(home)
}
