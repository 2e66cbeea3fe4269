//! Stacks as trees, small enough for a file: what is live, what was ever allocated, and what became of it since the first
//! profile.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::view::flame::{Flame, Options, flame};
use crate::view::key::Frame;
use crate::view::name::printable;
use crate::{Profile, Result};

/// Frames of a tree that are written, the largest. Of the others their caller tells how much they hold together.
const MOST_FRAMES: usize = 6000;

pub(super) fn flames(last: &Profile, first: Option<&Profile>) -> Result<Vec<Value>> {
    let has = |kind: &str| last.sample_types.iter().any(|it| it.kind == kind);
    let kinds: Vec<&str> = match has("inuse_space") {
        true => vec!["inuse_space", "alloc_space"],
        false => last
            .sample_types
            .iter()
            .map(|it| it.kind.as_str())
            .collect(),
    };
    let mut views = Vec::new();
    let options = |kind| Options {
        kind: Some(kind),
        ..Options::default()
    };
    for &kind in kinds.iter().filter(|kind| has(kind)) {
        let (title, what) = match kind {
            "inuse_space" => ("Live", "live"),
            "alloc_space" => ("Ever allocated", "allocated"),
            kind => (kind, kind),
        };
        let about = "Root on top; the frames of collections and runtimes are folded away.";
        views.push(view(title, what, about, &flame(last, None, options(kind))?));
    }
    if let (Some(first), Some(kind)) = (first, kinds.first())
        && let Ok(flame) = flame(last, Some(first), options(kind))
    {
        let about = "Red grew since the first profile, blue shrank; as wide as it is now.";
        views.push(view("Growth", "live", about, &flame));
    }
    Ok(views)
}

/// `nodes`: `[parent, function, first line, last line, value, standard error, samples, [growth, its error]]`, parents before their
/// children; the first is the whole. `functions`: `[name, file]`.
fn view(title: &str, what: &str, about: &str, flame: &Flame) -> Value {
    let nodes = &flame.nodes;
    // A caller holds no less than its callee and comes first, so what is kept is still a tree.
    let mut kept: Vec<usize> = (0..nodes.len()).collect();
    kept.sort_by_key(|&at| (std::cmp::Reverse(nodes[at].here.value), at));
    kept.truncate(MOST_FRAMES);
    kept.sort_unstable();
    let mut places = vec![0; nodes.len()];
    let mut functions: Vec<Value> = Vec::new();
    let mut known: HashMap<&Frame, usize> = HashMap::new();
    let mut rows: Vec<Value> = Vec::with_capacity(kept.len());
    let has_error = flame.value.quality.has_error();
    for (place, &at) in kept.iter().enumerate() {
        places[at] = place;
        let node = &nodes[at];
        let function = (at > 0).then(|| {
            *known.entry(&node.frame).or_insert_with(|| {
                let frame = &node.frame;
                functions.push(json!([printable(&frame.function), printable(&frame.file)]));
                functions.len() - 1
            })
        });
        let lines = node.lines.iter().map(|line| line.0);
        let change = node.change.as_ref();
        rows.push(json!([
            places[node.parent],
            function,
            lines.clone().min().unwrap_or(0),
            lines.max().unwrap_or(0),
            node.here.value,
            has_error.then(|| node.here.standard_error().round()),
            node.here.sampled.round(),
            change.map(|it| json!([it.growth, it.standard_error().round()])),
        ]));
    }
    json!({
        "title": title,
        "what": what,
        "about": about,
        "unit": flame.value.unit(),
        "growth": flame.base_value.is_some(),
        "tree": {
            "exact": !has_error,
            "functions": functions,
            "nodes": rows,
            "left_out": nodes.len() - kept.len(),
        },
    })
}
