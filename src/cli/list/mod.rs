//! `heapsite list`.
#![forbid(unsafe_code)]

mod args;
mod document;
mod source;
mod text;

use super::style::Look;
use super::{Failure, about, input, json, pair};
use crate::view::listing::{Listed, Options, listing};
use crate::view::{Blame, units};
use crate::{Error, Profile, Result};
use regex::Regex;
use source::{Missing, Places, Source};
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(super) use args::List as Args;

pub(super) fn run(
    args: &Args,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::result::Result<ExitCode, Failure> {
    let regex = regex(&args.regex)?;
    let pair = pair::load(&args.report)?;
    let (profile, base) = (&pair.profile, pair.base.as_ref());
    let in_input = |error: Error| error.context(input::display(&args.report.profile));
    let options = Options {
        kind: args.report.value.as_deref(),
        blame: match args.leaf {
            true => Blame::Leaf,
            false => Blame::Application,
        },
    };
    let matches = |name: &str| regex.is_match(name);
    let mut listing = listing(profile, base, &matches, options).map_err(in_input)?;
    listing.value.scale = args.report.unit.unwrap_or_default();
    if listing.chosen == 0 && pair.silence.is_none() {
        let error = nothing_matches(args, profile);
        return Err(in_input(pair.explain(error)).into());
    }
    let places = Places::new(&args.source_root, &args.trim_path);
    let times = Times::new(profile);
    // Functions share files.
    let mut files: HashMap<&str, Rc<Found>> = HashMap::new();
    let mut shown: Vec<Shown<'_>> = Vec::new();
    for listed in listing.functions.iter().take(args.n) {
        let file = listed.file.as_str();
        let source = (!file.is_empty()).then(|| {
            let found = files.entry(file);
            Rc::clone(found.or_insert_with(|| Rc::new(places.find(file))))
        });
        shown.push(Shown::new(listed, source, &times));
    }
    if args.json.json {
        let document = document::document(&pair, &listing, &shown);
        json::write(&document, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    pair.write_origin(out)?;
    if pair.silence.is_some() {
        return Ok(ExitCode::SUCCESS); // a list of nothing would only hide why
    }
    text::write(args, look, &listing, pair.whole, &shown, out)?;
    pair.write_notes(err);
    Ok(ExitCode::SUCCESS)
}

fn regex(text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|error| {
        // The whole message draws the place, over several lines.
        let error = error.to_string();
        let why = error.lines().last().unwrap_or_default();
        let why = why.trim_start_matches("error: ");
        Error::input(format!("`{text}` is no regular expression: {why}"))
    })
}

fn nothing_matches(args: &Args, profile: &Profile) -> Error {
    let regex = &args.regex;
    let hint = match Regex::new(&format!("(?i){regex}")) {
        _ if about::is_nameless(profile) => {
            "; it has no names: `heapsite symbolize` gives it some".to_owned()
        }
        Ok(either) => {
            let names = profile.functions.iter().map(|function| &function.name);
            let found = names.filter(|name| either.is_match(name)).count();
            match found {
                0 => String::new(),
                1 => format!("; with (?i){regex} one does"),
                _ => format!("; with (?i){regex} {} do", units::count(found as i64)),
            }
        }
        Err(_) => String::new(),
    };
    Error::input(format!("no function's name matches `{regex}`{hint}"))
}

/// A file's source, or why there is none.
type Found = std::result::Result<Source, Missing>;

/// A function with its source.
struct Shown<'l> {
    listed: &'l Listed,
    /// `None`: the profile does not tell the file.
    source: Option<Rc<Found>>,
    /// Why lines may not be where they were.
    warning: Option<String>,
}

impl<'l> Shown<'l> {
    fn new(listed: &'l Listed, source: Option<Rc<Found>>, times: &Times) -> Shown<'l> {
        let warning = match source.as_deref() {
            Some(Ok(source)) => times.warning(source).or_else(|| too_short(listed, source)),
            _ => None,
        };
        Shown {
            listed,
            source,
            warning,
        }
    }
}

fn too_short(listed: &Listed, source: &Source) -> Option<String> {
    let last = listed.lines.last()?.line;
    let have = source.lines.len();
    (usize::try_from(last).is_ok_and(|last| last > have)).then(|| {
        format!("the file has {have} lines, and line {last} is asked for: it is not what the program was built from")
    })
}

/// When the program was built and the profile taken, as far as this machine knows.
struct Times {
    built: Option<SystemTime>,
    taken: Option<SystemTime>,
}

impl Times {
    fn new(profile: &Profile) -> Times {
        let nanos = u64::try_from(profile.time_nanos).ok().filter(|&it| it > 0);
        let taken = nanos.map(|nanos| UNIX_EPOCH + Duration::from_nanos(nanos));
        let main = profile.mappings.first().map(|main| main.file.as_str());
        let built = main
            .filter(|file| file.starts_with('/'))
            .and_then(|file| fs::metadata(file).ok())
            .and_then(|known| known.modified().ok())
            // Built anew since: of the program that ran nothing is known.
            .filter(|&built| taken.is_none_or(|taken| built <= taken));
        Times { built, taken }
    }

    fn warning(&self, source: &Source) -> Option<String> {
        let newer = |than: Option<SystemTime>| source.modified > than && than.is_some();
        let than = match (newer(self.built), newer(self.taken)) {
            (true, _) => "program",
            (false, true) => "profile",
            (false, false) => return None,
        };
        Some(format!(
            "the file is newer than the {than}: lines may have moved"
        ))
    }
}
