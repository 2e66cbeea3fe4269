//! `heapsite diff`.
#![forbid(unsafe_code)]

use super::args;
use super::style::Look;
use super::{Failure, about, input, json};
use crate::profile::diff::canonical::is_one_build;
use crate::profile::told::Sampling;
use crate::view::growth::{Change, Sum};
use crate::view::significance::Verdict;
use crate::view::top::Layout;
use crate::view::{self, Growth, memory, units};
use crate::{Error, Profile};
use serde_json::{Value, json};
use std::io::Write;
use std::mem::ManuallyDrop;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Diff,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    input::check_stdin([&args.base, &args.new])?;
    if args.sort.as_deref() == Some("lifetime") {
        return Err(Error::input(
            "lifetimes cannot be subtracted: compare two `heapsite top --sort lifetime`",
        )
        .into());
    }
    if args.rows.by() == view::By::Address {
        return Err(Error::input(
            "addresses differ between processes: `heapsite top --base BASE --by address NEW` matches those of one build",
        )
        .into());
    }
    let (base, new) = input::read_both(&args.base, &args.new)?;
    // The process ends soon and gives everything back at once: taking hundreds of thousands of stacks apart would take a
    // tenth of its time.
    let (base, new) = (ManuallyDrop::new(base), ManuallyDrop::new(new));
    let (base, new) = (&*base, &*new);
    let sum = if args.cum { Sum::Cum } else { Sum::Flat };
    let growth = view::growth(
        base,
        new,
        args.sort.as_deref(),
        args.rows.by(),
        args.rows.blame(),
        sum,
    )?;
    if args.json.json {
        json::write(&document(args, (base, new), &growth), out)?;
    } else {
        writeln!(out, "base {}", about::origin(&args.base, base))?;
        writeln!(
            out,
            "new  {}{}",
            about::origin(&args.new, new),
            span(&growth)
        )?;
        if let (Some(base), Some(new)) = (base.resources(), new.resources())
            && let Some(grown) = memory::tasks_grew(&base, &new)
        {
            writeln!(out, "{grown}")?;
        }
        about::losses("base ", base, out)?;
        about::losses("new  ", new, out)?;
        let width = args.rows.width.or(look.width).unwrap_or(usize::MAX);
        let layout = Layout {
            rows: args.rows.n,
            width,
            paint: look.paint(),
        };
        view::change::write(&growth, &layout, out)?;
        if let Some(note) = about_names(args, base, new) {
            let _ = writeln!(err, "heapsite: note: {note}");
        }
        if knows_less(base, new) {
            let _ = writeln!(
                err,
                "heapsite: note: JSON dumps (HEAPSITE=format=json) of one process say more: errors that cancel, lifetimes, \
                 threads"
            );
        }
        if let [Some(length), None] | [None, Some(length)] = [base, new].map(window) {
            let _ = writeln!(
                err,
                "heapsite: note: one of these is what happened within {} (`?seconds=`), the other all since the start; \
                 `heapsite top` shows a window by itself",
                units::duration(length)
            );
        }
        if growth.span_nanos.is_some_and(|span| span < 0) {
            let _ = writeln!(
                err,
                "heapsite: note: the new profile is older than the base; are they the wrong way round?"
            );
        }
    }
    let unknown = growth
        .rows
        .iter()
        .any(|row| row.change.verdict == Verdict::Unknown);
    if args.fail_on_growth && unknown {
        // Silence would look like a pass.
        let _ = writeln!(
            err,
            "heapsite: note: --fail-on-growth cannot judge these profiles: how all of it was sampled is not known; JSON \
             dumps tell, and so does an allocator with .sample_interval(1) from the start"
        );
    }
    let found = growth.rows.iter().any(|row| is_finding(&row.change));
    Ok(if args.fail_on_growth && found {
        ExitCode::from(1)
    } else {
        ExitCode::SUCCESS
    })
}

/// The length of a profile that is a difference already.
fn window(profile: &Profile) -> Option<u64> {
    let is_difference = profile.heap.is_none() && profile.sum().is_none();
    let length = u64::try_from(profile.duration_nanos).ok()?;
    (is_difference && length > 0).then_some(length)
}

/// Two pprof files of one process, as heapsite's comments tell; exact ones lack nothing that a difference needs.
fn knows_less(base: &Profile, new: &Profile) -> bool {
    let exact = |profile: &Profile| profile.told_sampling() == Some(Sampling::Exact);
    let pid = base.pid();
    let same = pid.is_some() && pid == new.pid();
    same && base.heap.is_none() && new.heap.is_none() && !(exact(base) && exact(new))
}

/// Why rows may not match, and what to do.
fn about_names(args: &args::Diff, base: &Profile, new: &Profile) -> Option<String> {
    let (nameless, name) = match [base, new].map(about::is_nameless) {
        [true, false] => ("base", &args.base),
        [false, true] => ("new", &args.new),
        _ => return None,
    };
    let name = input::display(name);
    Some(match is_one_build(base, new) {
        true => format!(
            "the {nameless} profile has no names: they are taken from the other one, which is of the same build; \
             `heapsite symbolize {name} -o FILE` names addresses that only {name} has"
        ),
        false => format!(
            "the {nameless} profile has no names and is not of the other one's build, so no row matches: \
             `heapsite symbolize {name} -o FILE` gives it some, where the program's file is"
        ),
    })
}

fn is_finding(change: &Change) -> bool {
    change.growth > 0 && matches!(change.verdict, Verdict::Significant | Verdict::Exact)
}

fn span(growth: &Growth) -> String {
    match growth.span_nanos {
        Some(span @ 0..) => format!(", {} after the base", units::duration(span as u64)),
        Some(span) => format!(", {} before the base", units::duration(span.unsigned_abs())),
        None => String::new(),
    }
}

fn document(args: &args::Diff, (base, new): (&Profile, &Profile), growth: &Growth) -> Value {
    let change = |change: &Change| {
        json!({
            "base": json::measure(&change.base, growth.base_value.quality),
            "new": json::measure(&change.new, growth.new_value.quality),
            "growth": change.growth,
            "standard_error": (change.verdict != Verdict::Unknown).then(|| change.standard_error()),
            "p": change.p,
            "verdict": change.verdict.name(),
        })
    };
    let rows = growth.rows.iter().take(args.rows.n).map(|row| {
        let mut map = json::key(&row.key);
        if let Value::Object(numbers) = change(&row.change) {
            map.extend(numbers);
        }
        Value::Object(map)
    });
    let tasks = |profile: &Profile| profile.resources().and_then(|it| it.tasks.clone());
    let tasks = tasks(base).zip(tasks(new));
    json!({
        "heapsite": "diff",
        "version": 1,
        "base": json::source(&args.base, base),
        "new": json::source(&args.new, new),
        "span_nanos": growth.span_nanos,
        "same_process": growth.same_process,
        "sample_type": json::value_type(&growth.new_value.value_type),
        "quality": {
            "base": json::quality(growth.base_value.quality),
            "new": json::quality(growth.new_value.quality),
        },
        "tasks": tasks.map(|(base, new)| json!({ "base": base, "new": new })),
        "by": growth.by.name(),
        "total": change(&growth.total),
        "rows_in_all": growth.rows.len(),
        "rows": rows.collect::<Vec<_>>(),
    })
}
