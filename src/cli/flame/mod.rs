//! `heapsite flame`.
#![forbid(unsafe_code)]

mod args;
mod colour;
mod draw;

use super::pair::{self, Pair};
use super::style::Look;
use super::{Failure, about, input, json, output};
use crate::view::flame::{Flame, Options, flame};
use crate::view::header::describe_value;
use crate::view::name::printable;
use crate::view::units;
use crate::{Error, Profile, Result};
use draw::{Drawn, Picture, draw};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) use args::Flame as Args;

pub(super) fn run(
    args: &Args,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> std::result::Result<ExitCode, Failure> {
    let output = place(args, look)?;
    let pair = pair::load(&args.report)?;
    let profile = &pair.profile;
    let options = Options {
        kind: args.report.value.as_deref(),
        plumbing: args.plumbing,
        reversed: args.reversed,
    };
    let in_input = |error: Error| error.context(input::display(&args.report.profile));
    if let Some(why) = pair.silence {
        return Err(in_input(Error::input(format!("nothing to draw: {why}"))).into());
    }
    let mut flame = flame(profile, pair.base.as_ref(), options).map_err(in_input)?;
    flame.value.scale = args.report.unit.unwrap_or_default();
    let drawn = draw(&Picture {
        flame: &flame,
        title: title(&flame, profile),
        subtitle: subtitle(args, &flame),
        icicle: args.icicle,
    })
    .map_err(|error| in_input(pair.explain(error)))?;
    match &output {
        Some(path) => output::replace(path, drawn.svg.as_bytes(), out)?,
        None => out.write_all(drawn.svg.as_bytes())?,
    }
    if args.json.json {
        json::write(&document(&pair, &flame, &drawn, &output), out)?;
        return Ok(ExitCode::SUCCESS);
    }
    // The picture is written: a note that cannot be shown is no reason to fail.
    let _ = about::losses("heapsite: note: ", profile, err);
    for note in notes(&flame, &drawn) {
        let _ = writeln!(err, "heapsite: note: {note}");
    }
    pair.write_notes(err);
    if let Some(path) = output.filter(|path| args.output.as_ref() != Some(path)) {
        writeln!(out, "{}", printable(&path.to_string_lossy()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where the picture goes; `None`: to stdout.
fn place(args: &Args, look: &Look) -> Result<Option<PathBuf>> {
    let asked = args.output.as_deref();
    let to_stdout = match asked {
        Some(path) => output::is_stdout_or_dash(path),
        // A terminal can do nothing with it.
        None => look.width.is_none() && !args.json.json,
    };
    match (to_stdout, asked) {
        (true, _) if args.json.json => Err(Error::input(
            "--json writes its report to stdout, where the picture would go, too: -o FILE takes the picture elsewhere",
        )),
        (true, _) => Ok(None),
        (false, Some(path)) => Ok(Some(path.to_owned())),
        (false, None) => beside(&args.report.profile).map(Some),
    }
}

/// `heap.svg` beside `heap.pb.gz`; nothing but an older picture is replaced without being told so.
fn beside(profile: &str) -> Result<PathBuf> {
    let path = match input::is_file(profile) {
        true => {
            let path = Path::new(profile);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let endings = [".gz", ".pb", ".pprof", ".json", ".heap", ".prof", ".txt"];
            let mut stem = &*name;
            for ending in endings {
                stem = stem.strip_suffix(ending).unwrap_or(stem);
            }
            let stem = if stem.is_empty() { &name } else { stem };
            path.with_file_name(format!("{stem}.svg"))
        }
        false => PathBuf::from("heapsite.svg"),
    };
    let is_ours =
        |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("a flame graph of heapsite");
    match std::fs::read(&path) {
        Ok(bytes) if !is_ours(&bytes[..bytes.len().min(2000)]) => Err(Error::input(format!(
            "{} is there and is no flame graph of heapsite: -o FILE says where to write",
            path.display()
        ))),
        _ => Ok(path),
    }
}

/// `shop: inuse_space 74.0 ± 2.1 MiB, 2026-11-23 23:48:09 UTC`
fn title(flame: &Flame, profile: &Profile) -> String {
    let (root, unit, scale) = (&flame.nodes[0], flame.value.unit(), flame.value.scale);
    let kind = flame.value.things().unwrap_or(flame.value.kind());
    let error = Some(root.here.standard_error()).filter(|&error| error > 0.0);
    let total = scale.with_error(root.here.value, error, unit);
    let mut title = match &root.change {
        Some(change) => {
            let error = change.p.map(|_| change.standard_error());
            let base = scale.quantity(change.base.value, unit);
            let growth = scale.change(change.growth, error, unit);
            format!("{kind} {total}, {growth} since {base}")
        }
        None => format!("{kind} {total}"),
    };
    if let Some(program) = about::program(profile) {
        title = format!("{program}: {title}");
    }
    if profile.time_nanos != 0 {
        title = format!("{title}, {}", units::time(profile.time_nanos));
    }
    printable(&title).into_owned()
}

fn subtitle(args: &Args, flame: &Flame) -> String {
    let mut facts = vec![input::display(&args.report.profile).to_owned()];
    if let Some(base) = args.report.base.as_ref().or(args.report.diff_base.as_ref()) {
        facts.push(format!("since {}", input::display(base)));
    }
    let sampled = flame.nodes[0].here.sampled;
    let how = describe_value(&flame.value, sampled);
    // What comes first there is in the title.
    facts.push(
        how.split_once(", ")
            .map_or(&*how, |(_, how)| how)
            .to_owned(),
    );
    if args.reversed {
        facts.push("leaf first".to_owned());
    }
    printable(&facts.join("; ")).into_owned()
}

fn notes(flame: &Flame, drawn: &Drawn) -> Vec<String> {
    let quantity = |value| flame.value.scale.quantity(value, flame.value.unit());
    let mut notes = Vec::new();
    if flame.negative < 0 {
        notes.push(format!(
            "{} is below 0 and cannot be drawn",
            quantity(flame.negative)
        ));
    }
    if drawn.gone > 0 {
        notes.push(format!(
            "{} of the base was in frames that hold nothing any more, and are not drawn",
            quantity(drawn.gone)
        ));
    }
    if drawn.narrow > 0 {
        notes.push(format!(
            "{} frames of less than 0.01% are not drawn; their callers hold what they hold",
            units::count(drawn.narrow as i64)
        ));
    }
    notes
}

fn document(pair: &Pair, flame: &Flame, drawn: &Drawn, output: &Option<PathBuf>) -> Value {
    let root = &flame.nodes[0];
    let [profile, base] = &pair.sources;
    json!({
        "heapsite": "flame",
        "version": 1,
        "profile": profile,
        "base": base,
        "unmatched": pair.unmatched,
        "sample_type": json::value_type(&flame.value.value_type),
        "quality": json::quality(flame.value.quality),
        "total": json::measure(&root.here, flame.value.quality),
        "growth": root.change.as_ref().map(|change| change.growth),
        "frames": drawn.frames,
        "too_narrow": drawn.narrow,
        "gone": drawn.gone,
        "below_zero": flame.negative,
        "output": {
            "path": output.as_ref().map(|path| path.to_string_lossy()),
            "bytes": drawn.svg.len(),
        },
    })
}
