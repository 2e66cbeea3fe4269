//! A program's own process: runs it, and has it judged after 1, 5 and 20 windows.

use std::process::ExitCode;
use std::time::Duration;

use heapsite::find::{self, Class, Findings, Options, Place, Suspect};
use heapsite::internals;
use heapsite::profile::Profile;
use serde::{Deserialize, Serialize};

use crate::PROGRAMS;
use crate::label::{Program, Truth};
use crate::world::{WINDOW, World};

pub(crate) const CHILD: &str = "HEAPSITE_QUALITY_PROGRAM";
pub(crate) const WINDOWS: [u64; 3] = [1, 5, 20];

/// What was said after some windows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) interval: u64,
    pub(crate) windows: u64,
    /// Of the labelled line.
    pub(crate) said: Said,
    /// Live samples there.
    pub(crate) samples: u64,
    /// The first of all that is accused or suspected is the labelled line; `None`: nobody is.
    pub(crate) is_first: Option<bool>,
    /// Other places that are accused.
    pub(crate) accused: Vec<String>,
    /// Other places that are suspected.
    pub(crate) suspected: Vec<String>,
    /// Of a steady leak whose rate is told: whether the true one lies in the 95 % interval.
    pub(crate) covered: Option<bool>,
    /// Whether the line is accused if a cache is taken to fill in no time: the control, which has to accuse caches.
    pub(crate) accused_at_once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Said {
    /// Accused.
    Leak,
    /// Filling, and looks like a leak.
    Suspected,
    Filling,
    Burst,
    StartUp,
    WorkingSet,
    /// It could not be told, or nothing was sampled.
    Nothing,
}

pub(crate) fn main(name: &str) -> ExitCode {
    let program = PROGRAMS.iter().find(|program| program.name == name);
    let interval = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let (Some(program), Some(interval)) = (program, interval) else {
        eprintln!("no program is called {name}");
        return ExitCode::FAILURE;
    };
    // The same samples on every run, and others for each program and interval.
    let seed = name.bytes().fold(interval, |seed: u64, byte| {
        seed.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    internals::set_seed(seed);
    internals::tell_time(1);
    heapsite::set_sample_interval(interval);
    let mut world = World::new(WINDOWS[2], seed);
    (program.run)(&mut world);
    heapsite::pause();
    let profiles = world.profiles();
    let outcomes = WINDOWS.map(|windows| judge(program, interval, &profiles[..windows as usize]));
    println!("{}", serde_json::to_string(&outcomes).expect("plain data"));
    ExitCode::SUCCESS
}

fn judge(program: &Program, interval: u64, profiles: &[Profile]) -> Outcome {
    let windows = profiles.len() as u64;
    let findings = find::leaks(profiles, &Options::default()).expect("profiles of one process");
    let (file, line) = program.line();
    let is_here = |place: &Place| place.file.ends_with(file) && place.line == line;
    let (said, samples) = said(&findings, is_here);
    let suspected = || findings.filling.iter().filter(|it| it.looks_like_leak);
    let also = program.also();
    let is_also = |place: &Place| {
        also.iter()
            .any(|it| place.file.ends_with(it.0) && place.line == it.1)
    };
    let elsewhere = |it: &&Suspect| !is_here(&it.place) && !is_also(&it.place);
    let name = |it: &Suspect| format!("{}:{} {:?}", it.place.file, it.place.line, it.class);
    let here = findings
        .leaks
        .iter()
        .chain(suspected())
        .find(|it| is_here(&it.place));
    let covered = match program.truth {
        Truth::Leaks { from, rate } if rate > 0.0 && windows * WINDOW > from => here
            .and_then(|suspect| suspect.rate)
            .map(|found| (found.low..=found.high).contains(&rate)),
        _ => None,
    };
    let mut at_once = Options::default();
    at_once.longest_fill = Duration::ZERO;
    let at_once = find::leaks(profiles, &at_once).expect("profiles of one process");
    Outcome {
        interval,
        windows,
        said,
        samples,
        is_first: findings
            .leaks
            .iter()
            .chain(suspected())
            .next()
            .map(|it| is_here(&it.place)),
        accused: findings.leaks.iter().filter(elsewhere).map(name).collect(),
        suspected: suspected().filter(elsewhere).map(name).collect(),
        covered,
        accused_at_once: at_once.leaks.iter().any(|it| is_here(&it.place)),
    }
}

/// What is said of a line, and how many live samples it has.
fn said(findings: &Findings, is_here: impl Fn(&Place) -> bool) -> (Said, u64) {
    let told = findings
        .leaks
        .iter()
        .chain(&findings.filling)
        .chain(&findings.others);
    if let Some(found) = told.into_iter().find(|it| is_here(&it.place)) {
        let said = match found.class {
            Class::Leak => Said::Leak,
            Class::Filling if found.looks_like_leak => Said::Suspected,
            Class::Filling => Said::Filling,
            Class::Burst => Said::Burst,
            Class::StartUp => Said::StartUp,
            Class::WorkingSet => Said::WorkingSet,
            _ => Said::Nothing,
        };
        return (said, found.samples);
    }
    let untold = findings.cannot_tell.iter().find(|it| is_here(&it.place));
    (Said::Nothing, untold.map_or(0, |it| it.samples))
}
