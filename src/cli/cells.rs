//! `heapsite tasks` of a heap profile: tasks by their cells, and those that have ended and are still kept.
#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::args;
use super::style::Look;
use super::{Failure, about, input, json};
use crate::task::Tasks;
use crate::task::cells::{self, Alive, CellSite, Moment, TaskCells, Unreaped};
use crate::view::name::printable;
use crate::{Error, Profile};

/// Whether tasks can be looked for by their cells.
pub(super) fn are_in(profile: &Profile) -> bool {
    let has = |kind: &str| profile.sample_types.iter().any(|it| it.kind == kind);
    has("inuse_objects") && has("alloc_objects")
}

/// The command for a heap profile, which is the main input.
pub(super) fn of_heap(
    args: &args::Tasks,
    profile: &Profile,
    look: &Look,
    out: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let name = &args.census.profile;
    let cells = of_profile(name, profile)?;
    if args.heap.is_some() {
        let why = format!(
            "--heap goes with a list of tasks, and {} is a heap profile",
            input::display(name)
        );
        return Err(Error::input(why).into());
    }
    let alive = args.alive.map(Alive::Counted);
    let base = match (&args.base, args.base_alive) {
        (Some(name), Some(alive)) => Some((
            of_profile(name, &input::read(name)?)?,
            Alive::Counted(alive),
        )),
        (Some(_), None) => {
            let why = "--base needs --base-alive, the number of living tasks at that time";
            return Err(Error::input(why).into());
        }
        _ => None,
    };
    let found = findings(&cells, alive, base.as_ref());
    if args.census.json.json {
        let document = json!({
            "heapsite": "task cells",
            "version": 1,
            "profile": json::source(name, profile),
            "cells": document(&cells, args.census.n),
            "unreaped": found.iter().map(finding).collect::<Vec<_>>(),
        });
        json::write(&document, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{}", about::origin(name, profile))?;
    about::losses("", profile, out)?;
    if about::is_nameless(profile) {
        writeln!(
            out,
            "no names in it: `heapsite symbolize` gives them, and cells are known by name"
        )?;
    }
    text(&cells, &found, args, look, out)?;
    if alive.is_none() && !cells.sites.is_empty() {
        writeln!(
            out,
            "\n--alive N (tokio: Handle::metrics().num_alive_tasks()) tells ended tasks that are still kept from living ones"
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a heap profile adds to a list of tasks that was taken with it.
pub(super) fn beside_list(
    args: &args::Tasks,
    tasks: &Tasks,
    look: &Look,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some((cells, found)) = compared(args, tasks)? else {
        return Ok(());
    };
    writeln!(out)?;
    text(&cells, &found, args, look, out)
}

/// The same for `--json`: the keys that are added.
pub(super) fn beside_list_document(
    args: &args::Tasks,
    tasks: &Tasks,
) -> Result<Option<(Value, Value)>, Failure> {
    let compared = compared(args, tasks)?;
    Ok(compared.map(|(cells, found)| {
        let found = found.iter().map(finding).collect::<Vec<_>>();
        (document(&cells, args.census.n), json!(found))
    }))
}

fn compared(
    args: &args::Tasks,
    tasks: &Tasks,
) -> Result<Option<(TaskCells, Vec<Unreaped>)>, Failure> {
    let Some(heap) = &args.heap else {
        return Ok(None);
    };
    let cells = of_profile(heap, &input::read(heap)?)?;
    let base = match (&args.base, &args.base_heap) {
        (Some(list), Some(heap)) => {
            let bytes = input::bytes(list)?;
            let tasks = Tasks::read_json(&bytes).map_err(|it| it.context(input::display(list)))?;
            Some((of_profile(heap, &input::read(heap)?)?, tasks))
        }
        (Some(_), None) => {
            let why = "--base needs --base-heap, the heap profile that was taken with that list";
            return Err(Error::input(why).into());
        }
        _ => None,
    };
    let base = base
        .as_ref()
        .map(|(cells, tasks)| (cells, Alive::Tasks(tasks)));
    let now = Moment {
        cells: &cells,
        alive: Alive::Tasks(tasks),
    };
    let found = match base {
        Some((cells, alive)) => cells::piling_up(Moment { cells, alive }, now),
        None => cells::unreaped(now),
    };
    Ok(Some((cells, found)))
}

fn findings(
    cells: &TaskCells,
    alive: Option<Alive<'_>>,
    base: Option<&(TaskCells, Alive<'_>)>,
) -> Vec<Unreaped> {
    let Some(alive) = alive else {
        return Vec::new();
    };
    let now = Moment { cells, alive };
    match base {
        Some((cells, alive)) => {
            let alive = *alive;
            cells::piling_up(Moment { cells, alive }, now)
        }
        None => cells::unreaped(now),
    }
}

fn of_profile(name: &str, profile: &Profile) -> Result<TaskCells, Failure> {
    let cells = cells::of_profile(profile);
    Ok(cells.map_err(|error| error.context(input::display(name)))?)
}

fn text(
    cells: &TaskCells,
    found: &[Unreaped],
    args: &args::Tasks,
    look: &Look,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let width = args.census.width.or(look.width).unwrap_or(usize::MAX);
    match cells.sites.is_empty() {
        true => writeln!(out, "no task cells of a known runtime in the heap")?,
        false => write!(out, "{}", cells.text(args.census.n, width))?,
    }
    let (alarm, end) = &look.paint().alarm;
    for found in found {
        writeln!(out, "\n{alarm}{}{end}", printable(&found.to_string()))?;
    }
    Ok(())
}

fn document(cells: &TaskCells, most: usize) -> Value {
    json!({
        "quality": json::quality(cells.quality),
        "live": json::measure(&cells.live(), cells.quality),
        "rows_in_all": cells.sites.len(),
        "rows": cells.sites.iter().take(most).map(|it| site(it, cells)).collect::<Vec<_>>(),
    })
}

fn site(site: &CellSite, cells: &TaskCells) -> Value {
    let measure = |it| json::measure(&it, cells.quality);
    json!({
        "runtime": site.runtime,
        "function": site.spawned_at.function,
        "file": site.spawned_at.file,
        "line": site.spawned_at.line,
        "library": site.library.as_ref().map(|it| &it.function),
        "future": site.future,
        "live": measure(site.live),
        "live_bytes": measure(site.live_bytes),
        "allocated": measure(site.allocated),
        "freed": site.freed(),
    })
}

fn finding(found: &Unreaped) -> Value {
    json!({
        "file": found.site.spawned_at.file,
        "line": found.site.spawned_at.line,
        "function": found.site.spawned_at.function,
        "alive": found.alive,
        "of_all_lines": found.of_all,
        "left_over": found.left_over,
        "at_least": found.at_least,
        "growth": found.growth,
        "text": found.to_string(),
    })
}
