//! From the arguments of a report to what it is about: reads, subtracts, selects. Every report in pprof's manner begins
//! here.
#![forbid(unsafe_code)]

use super::args::{Asked, Selected};
use super::style::Look;
use super::{Failure, about, input, json};
use crate::cli::args;
use crate::view::select::Matches;
use crate::view::subject::{Whole, WholeOf};
use crate::view::top::Layout;
use crate::view::{By, Selection, Subject, TagFilter, header, name::printable};
use crate::{Error, Profile, Result};
use serde_json::{Value, json};
use std::io::{self, Write};

/// A report's subject, and what is to be said of where it comes from.
pub(super) struct Loaded {
    pub(super) subject: Subject,
    /// Of a difference by something that only whole profiles know: what is to be subtracted.
    pub(super) base: Option<Subject>,
    /// The base's total, where shares are of that.
    pub(super) whole: Option<Whole>,
    /// Where the profiles come from, and what they lack.
    origin: Vec<u8>,
    /// There is nothing in the profile, and `origin` says why.
    pub(super) is_silent: bool,
    /// What is to say of names that are missing.
    lack_of_names: Option<String>,
    /// Keys of the JSON document.
    sources: [(&'static str, Value); 2],
    /// Options that matched nothing.
    unmatched: Vec<&'static str>,
}

/// Reads what `args` ask for; `by` says what the report has to know of it.
pub(super) fn load(args: &Asked, kind: Option<&str>, by: By) -> Result<Loaded, Failure> {
    let base_name = args.base.as_ref().or(args.diff_base.as_ref());
    let in_input = |error: Error| error.context(input::display(&args.profile));
    let selection = selection(&args.selected)?;
    let mut origin = Vec::new();
    let (profile, base) = match base_name {
        None => (input::read(&args.profile)?, None),
        Some(name) => {
            input::check_stdin([name, &args.profile])?;
            let (base, new) = input::read_both(name, &args.profile)?;
            writeln!(origin, "base {}", about::origin(name, &base))?;
            about::losses("base ", &base, &mut origin)?;
            (new, Some(base))
        }
    };
    let prefix = if base.is_some() { "new  " } else { "" };
    writeln!(origin, "{prefix}{}", about::origin(&args.profile, &profile))?;
    about::losses(prefix, &profile, &mut origin)?;
    let source_of = |base: &Profile| base_name.map(|name| json::source(name, base));
    let sources = [
        ("profile", json::source(&args.profile, &profile)),
        ("base", base.as_ref().and_then(source_of).into()),
    ];
    let (is_silent, lack_of_names) = (
        base.is_none() && about::silence(&profile).is_some(),
        about::lack_of_names(&profile),
    );
    let of = match args.diff_base {
        Some(_) => WholeOf::Base,
        None => WholeOf::Changed,
    };
    let mut whole = None;
    let (mut subject, mut base) = match base {
        None => (Subject::new(profile, kind).map_err(in_input)?, None),
        // Threads and births are of whole profiles: a difference of stacks does not have them.
        Some(base) if matches!(by, By::Thread | By::Age) => {
            let subject = Subject::new(profile, kind).map_err(in_input)?;
            let mut base = Subject::new(base, Some(subject.value.kind()))
                .map_err(|error| error.context("base profile"))?;
            base.take_shares_of_selected();
            let value = base.whole.value;
            whole = (of == WholeOf::Base && value > 0).then_some(Whole { value, of });
            (subject, Some(base))
        }
        Some(base) => (Subject::difference(&base, &profile, kind, of)?, None),
    };
    let mut unmatched = subject.select(&selection);
    if let Some(base) = &mut base {
        let in_base = base.select(&selection);
        unmatched.retain(|name| in_base.contains(name));
    }
    for subject in [Some(&mut subject), base.as_mut()].into_iter().flatten() {
        subject.value.scale = args.unit.unwrap_or_default();
        if args.selected.inlined == args::Inlined::No {
            subject.drop_inlined();
        }
        if args.selected.relative {
            subject.take_shares_of_selected();
        }
    }
    Ok(Loaded {
        subject,
        base,
        whole,
        origin,
        is_silent,
        lack_of_names,
        sources,
        unmatched,
    })
}

pub(super) fn selection(args: &Selected) -> Result<Selection<'static>> {
    let question = |name: &str, text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        text.map(|text| pattern(name, text)).transpose()
    };
    let tags = |name: &str, text: &Option<String>| {
        let text = text.as_deref().filter(|text| !text.is_empty());
        let parse = |text| {
            TagFilter::parse(text, |text| pattern(name, text))
                .map_err(|error| error.context(format!("--{name}")))
        };
        text.map(parse).transpose()
    };
    Ok(Selection {
        focus: question("focus", &args.focus)?,
        ignore: question("ignore", &args.ignore)?,
        show: question("show", &args.show)?,
        hide: question("hide", &args.hide)?,
        show_from: question("show-from", &args.show_from)?,
        tag_focus: tags("tagfocus", &args.tagfocus)?,
        tag_ignore: tags("tagignore", &args.tagignore)?,
        tag_show: question("tagshow", &args.tagshow)?,
        tag_hide: question("taghide", &args.taghide)?,
    })
}

/// A question of a regular expression.
///
/// # Errors
/// It is none; says where it goes wrong.
pub(super) fn pattern(option: &str, text: &str) -> Result<Matches<'static>> {
    match regex::Regex::new(text) {
        Ok(regex) => Ok(Box::new(move |text: &str| regex.is_match(text))),
        Err(error) => {
            // Its text is a drawing of several lines; the last one says what is wrong.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or("").trim();
            let reason = reason.strip_prefix("error: ").unwrap_or(reason);
            Err(Error::input(format!(
                "{option}: `{text}` is no regular expression: {reason}"
            )))
        }
    }
}

impl Loaded {
    /// Where everything comes from.
    pub(super) fn write_origin(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.origin)
    }

    /// The same, and what was added up and how much there is of it; true: there is more to say.
    pub(super) fn write_header(&self, out: &mut dyn Write) -> io::Result<bool> {
        self.write_origin(out)?;
        if self.is_silent {
            return Ok(false);
        }
        let (value, whole) = (&self.subject.value, self.subject.whole);
        let total = self.subject.total();
        let lines = [
            header::describe(value, &total, whole),
            header::total(value, &total, whole),
        ];
        for line in lines {
            writeln!(out, "{}", printable(&line))?;
        }
        Ok(true)
    }

    /// What a report that looks odd may come from, for people.
    pub(super) fn write_notes(&self, err: &mut dyn Write) {
        if let Some(note) = &self.lack_of_names {
            let _ = writeln!(err, "heapsite: note: {}", printable(note));
        }
        for name in &self.unmatched {
            let _ = writeln!(err, "heapsite: note: --{name} matched nothing");
        }
    }

    /// The keys that the documents of all reports have.
    pub(super) fn document(&self, command: &str) -> serde_json::Map<String, Value> {
        let subject = &self.subject;
        let quality = subject.value.quality;
        let document = json!({
            "heapsite": command,
            "version": 1,
            "sample_type": json::value_type(&subject.value.value_type),
            "quality": json::quality(quality),
            "total": json::measure(&subject.total(), quality),
            "shares_of": json::whole(subject.whole),
            "unmatched": self.unmatched,
        });
        let Value::Object(mut map) = document else {
            return serde_json::Map::new();
        };
        for (key, source) in &self.sources {
            map.insert((*key).to_owned(), source.clone());
        }
        map
    }
}

/// How to write a report.
pub(super) fn layout(rows: usize, width: Option<usize>, look: &Look) -> Layout {
    Layout {
        rows,
        width: width.or(look.width).unwrap_or(usize::MAX),
        paint: look.paint(),
    }
}
