//! One profile, or one and its base, each cut down to what is selected: for reports that compare by themselves, place by
//! place.
#![forbid(unsafe_code)]

use super::args::{self, Asked};
use super::report::selection;
use super::{Failure, about, input, json};
use crate::view::{Selection, Subject, Value};
use crate::{Error, Profile, Result};
use std::io::{self, Write};

pub(super) struct Pair {
    pub(super) profile: Profile,
    pub(super) base: Option<Profile>,
    /// 100 %; `None`: what is selected.
    pub(super) whole: Option<i64>,
    /// Why there is nothing in the profile.
    pub(super) silence: Option<&'static str>,
    /// Where the profiles come from, and what they lack.
    origin: Vec<u8>,
    pub(super) is_nameless: bool,
    /// Keys of the JSON document: the profile and its base.
    pub(super) sources: [serde_json::Value; 2],
    /// Options that matched nothing.
    pub(super) unmatched: Vec<&'static str>,
}

/// Reads what `args` ask for. With `--diff_base` shares are no others than with `--base`: the profile's.
pub(super) fn load(args: &Asked) -> std::result::Result<Pair, Failure> {
    let selection = selection(&args.selected)?;
    let base_name = args.base.as_ref().or(args.diff_base.as_ref());
    input::check_stdin(base_name.into_iter().chain([&args.profile]))?;
    let (profile, base) = match base_name {
        Some(name) => {
            let (base, profile) = input::read_both(name, &args.profile)?;
            (profile, Some(base))
        }
        None => (input::read(&args.profile)?, None),
    };
    let mut origin = Vec::new();
    if let (Some(base), Some(name)) = (&base, base_name) {
        writeln!(origin, "base {}", about::origin(name, base))?;
        about::losses("base ", base, &mut origin)?;
    }
    let prefix = if base.is_some() { "new  " } else { "" };
    writeln!(origin, "{prefix}{}", about::origin(&args.profile, &profile))?;
    about::losses(prefix, &profile, &mut origin)?;
    let source_of = |base: &Profile| base_name.map(|name| json::source(name, base));
    let sources = [
        json::source(&args.profile, &profile),
        base.as_ref().and_then(source_of).into(),
    ];
    let (silence, is_nameless) = (about::silence(&profile), about::is_nameless(&profile));
    let value = Value::find(&profile, args.value.as_deref())
        .map_err(|error| error.context(input::display(&args.profile)))?;
    let samples = profile.samples.iter();
    let sum = samples.fold(0i64, |sum, it| sum.saturating_add(value.of(it).value));
    let (profile, mut unmatched) = cut(profile, args, &selection)?;
    let base = match base {
        Some(base) => {
            let (base, in_base) =
                cut(base, args, &selection).map_err(|error| error.context("base profile"))?;
            unmatched.retain(|name| in_base.contains(name));
            Some(base)
        }
        None => None,
    };
    Ok(Pair {
        profile,
        base,
        whole: (!args.selected.relative).then_some(sum),
        silence,
        origin,
        is_nameless,
        sources,
        unmatched,
    })
}

/// What is selected of a profile, and the questions that nothing matched.
fn cut(
    profile: Profile,
    args: &Asked,
    selection: &Selection<'_>,
) -> Result<(Profile, Vec<&'static str>)> {
    let mut subject = Subject::new(profile, None)?;
    let unmatched = subject.select(selection);
    if args.selected.inlined == args::Inlined::No {
        subject.drop_inlined();
    }
    Ok((subject.profile, unmatched))
}

impl Pair {
    /// Where everything comes from.
    pub(super) fn write_origin(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.origin)
    }

    /// What an error of an empty report may come from.
    pub(super) fn explain(&self, error: Error) -> Error {
        match self.unmatched.is_empty() {
            true => error,
            false => error.context(format!("--{} matched nothing", self.unmatched.join(", --"))),
        }
    }

    /// What a report that looks odd may come from, for people.
    pub(super) fn write_notes(&self, err: &mut dyn Write) {
        if self.is_nameless {
            let _ = writeln!(
                err,
                "heapsite: note: the profile has no names; `heapsite symbolize` gives it some"
            );
        }
        for name in &self.unmatched {
            let _ = writeln!(err, "heapsite: note: --{name} matched nothing");
        }
    }
}
