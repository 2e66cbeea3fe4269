//! `heapsite leaks`: the verdict.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::inputs::Inputs;
use super::service::Service;
use super::style::Look;
use super::{Failure, about, args, input, json};
use crate::verdict::{self, Cause, Layout, Trim, Verdict};
use crate::view::name::printable;
use crate::view::units;
use crate::{Error, Profile, Result};

/// Profiles with their names, the oldest first, and the service that the last one is of.
#[derive(Default)]
struct Series {
    names: Vec<String>,
    profiles: Vec<Profile>,
    service: Option<Service>,
    /// What is missing, for people.
    notes: Vec<String>,
}

pub(super) fn run(
    args: &args::Leaks,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let mut series = Series::read(args, err)?;
    let mut options = verdict::Options::default();
    options.find.level = args.level;
    options.find.longest_fill = args.longest_fill;
    options.find.largest_cache = args.largest_cache.map(|bytes| bytes as f64);
    options.find.per.clone_from(&args.per);
    if let Some(service) = &series.service
        && series.profiles.len() == 1
    {
        match service.before() {
            Ok(before) => options.before = before,
            Err(error) => series
                .notes
                .push(format!("without the service's history: {error}")),
        }
    }
    if args.trim {
        options.trim = Some(series.trim()?);
    }
    let verdict = verdict::judge(&series.profiles, &options)?;
    let fails = fails(args, &verdict);
    if args.json.json {
        json::write(&document(&series, &verdict)?, out)?;
    } else {
        let layout = Layout {
            findings: args.n,
            width: args.width.or(look.width).unwrap_or(100),
            paint: look.paint(),
        };
        verdict.write_answer(&layout, out)?;
        writeln!(out)?;
        for (name, profile) in series.names.iter().zip(&series.profiles) {
            writeln!(out, "{}", about::origin(name, profile))?;
            about::losses("  ", profile, out)?;
        }
        verdict.write_evidence(&layout, out)?;
        for note in &series.notes {
            let _ = writeln!(err, "heapsite: note: {}", printable(note));
        }
    }
    if !args.fail_on.is_empty() && verdict.cause() == Cause::Unknown {
        // Silence would look like a pass.
        let _ = writeln!(
            err,
            "heapsite: note: --fail-on has nothing to judge by: {}",
            verdict.sentence()
        );
    }
    Ok(if fails {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

fn fails(args: &args::Leaks, verdict: &Verdict) -> bool {
    let is_named = |cause: Cause| {
        let mut names = args.fail_on.iter();
        names.any(|name| name == "any" || name == cause.name())
    };
    verdict.causes.iter().any(|finding| is_named(finding.cause))
}

impl Series {
    fn read(args: &args::Leaks, err: &mut dyn Write) -> Result<Series> {
        let inputs = Inputs::expand(&args.profiles, Path::new(""))?;
        let mut series = Series {
            notes: inputs.notes,
            ..Series::default()
        };
        for name in inputs.names {
            let Ok(service) = Service::new(&name) else {
                series.add(name.clone(), input::read(&name)?);
                continue;
            };
            if series.service.is_some() {
                return Err(Error::input("one service can be asked at a time"));
            }
            for at in 0..args.looks {
                if at > 0 {
                    std::thread::sleep(args.every);
                    let _ = writeln!(
                        err,
                        "heapsite: dump {} of {} after {}",
                        at + 1,
                        args.looks,
                        units::duration(args.every.as_nanos() as u64)
                    );
                }
                series.look(&service, &name)?;
            }
            series.service = Some(service);
        }
        if series.service.is_none() && (args.trim || args.looks > 1) {
            return Err(Error::input(
                "--trim and --looks ask a running service: give its address, such as http://127.0.0.1:6060",
            ));
        }
        series.in_order()
    }

    /// A dump with births and lifetimes, or where there is none whatever the address has.
    fn look(&mut self, service: &Service, name: &str) -> Result<()> {
        let profile = match dump(service, name) {
            Ok(profile) => profile?,
            Err(error) => {
                let profile = input::read(name)?;
                self.notes.push(format!(
                    "not the dump of a heapsite service, so births are not known: {error}"
                ));
                profile
            }
        };
        self.add(name.to_owned(), profile);
        Ok(())
    }

    fn add(&mut self, name: String, profile: Profile) {
        self.names.push(name);
        self.profiles.push(profile);
    }

    /// Names of files need not be in the order of time.
    fn in_order(mut self) -> Result<Series> {
        let mut both: Vec<(String, Profile)> =
            self.names.drain(..).zip(self.profiles.drain(..)).collect();
        both.sort_by_key(|(_, profile)| profile.time_nanos);
        (self.names, self.profiles) = both.into_iter().unzip();
        Ok(self)
    }

    fn trim(&self) -> Result<Trim> {
        let missing = || Error::input("--trim: the service does not say where its memory is");
        let (Some(service), Some(last)) = (&self.service, self.profiles.last()) else {
            return Err(missing());
        };
        let before = last.resources().ok_or_else(missing)?;
        let name = self.names.last().map_or("", String::as_str);
        let after = input::parse(name, &service.trimmed()?)?;
        let after = after.resources().ok_or_else(missing)?;
        Ok(Trim::new(&before, &after))
    }
}

/// A dump; `Err`: this is no service of heapsite's.
fn dump(service: &Service, name: &str) -> Result<Result<Profile>> {
    const PAUSE: Duration = Duration::from_millis(500);
    let mut profile = input::parse(name, &service.profile("json")?);
    // While stacks are named for the first time debug information is in memory, tens of megabytes that are nobody's leak.
    for _ in 0..4 {
        let own = |profile: &Profile| profile.resources().map_or(0, |it| it.memory.own_bytes);
        match &profile {
            Ok(profile) if own(profile) > 8 << 20 => std::thread::sleep(PAUSE),
            _ => break,
        }
        profile = input::parse(name, &service.profile("json")?);
    }
    Ok(profile)
}

/// The schema is described in `src/guide/verdict.md`.
fn document(series: &Series, verdict: &Verdict) -> Result<Value> {
    let sources = series.names.iter().zip(&series.profiles);
    let mut document = json!({
        "heapsite": "leaks",
        "version": 1,
        "cause": verdict.cause(),
        "sentence": verdict.sentence(),
        "profiles": sources.map(|(name, profile)| json::source(name, profile)).collect::<Vec<_>>(),
        "notes": series.notes,
    });
    let facts = serde_json::to_value(verdict)
        .map_err(|error| Error::input(format!("the verdict does not fit into JSON: {error}")))?;
    if let (Value::Object(document), Value::Object(facts)) = (&mut document, facts) {
        document.extend(facts);
    }
    Ok(document)
}
