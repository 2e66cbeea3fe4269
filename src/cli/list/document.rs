//! `heapsite list --json`.
#![forbid(unsafe_code)]

use super::Shown;
use crate::cli::json;
use crate::cli::pair::Pair;
use crate::view::listing::{Inlined, ListedLine, Listing, Sum};
use crate::view::significance::Verdict;
use serde_json::{Value, json};

pub(super) fn document(pair: &Pair, listing: &Listing, shown: &[Shown<'_>]) -> Value {
    let [profile, base] = &pair.sources;
    let functions = shown.iter().map(|it| function(listing, it));
    json!({
        "heapsite": "list",
        "version": 1,
        "profile": profile,
        "base": base,
        "sample_type": json::value_type(&listing.value.value_type),
        "quality": json::quality(listing.value.quality),
        "base_quality": listing.base_value.as_ref().map(|value| json::quality(value.quality)),
        "total": sum(listing, &listing.total),
        "unmatched": pair.unmatched,
        "matches": listing.chosen,
        "functions_in_all": listing.functions.len(),
        "functions": functions.collect::<Vec<_>>(),
    })
}

fn function(listing: &Listing, shown: &Shown<'_>) -> Value {
    let listed = shown.listed;
    let source = match shown.source.as_deref() {
        None => json!({ "path": null, "tried": [], "warning": null }),
        Some(Ok(source)) => json!({
            "path": source.path.to_string_lossy(), "tried": [], "warning": shown.warning,
        }),
        Some(Err(missing)) => {
            let tried = missing.tried.iter().map(|path| path.to_string_lossy());
            json!({ "path": null, "tried": tried.collect::<Vec<_>>(), "warning": missing.hint })
        }
    };
    let lines = listed.lines.iter().map(|it| line(listing, shown, it));
    json!({
        "function": listed.function,
        "file": Some(&listed.file).filter(|file| !file.is_empty()),
        "start_line": json::known(listed.start_line),
        "source": source,
        "flat": sum(listing, &listed.flat),
        "cum": sum(listing, &listed.cum),
        "lines": lines.collect::<Vec<_>>(),
    })
}

fn line(listing: &Listing, shown: &Shown<'_>, line: &ListedLine) -> Value {
    let text = match shown.source.as_deref() {
        Some(Ok(source)) => usize::try_from(line.line - 1)
            .ok()
            .and_then(|at| source.lines.get(at)),
        _ => None,
    };
    let inlined = |it: &Inlined| {
        json!({
            "depth": it.depth,
            "function": it.frame.function,
            "file": Some(&it.frame.file).filter(|file| !file.is_empty()),
            "line": json::known(it.frame.line),
            "flat": sum(listing, &it.flat),
            "cum": sum(listing, &it.cum),
        })
    };
    json!({
        "line": json::known(line.line),
        "text": text,
        "flat": sum(listing, &line.flat),
        "cum": sum(listing, &line.cum),
        "inlined": line.inlined.iter().map(inlined).collect::<Vec<_>>(),
    })
}

/// A measure; over a base as in `diff`.
fn sum(listing: &Listing, sum: &Sum) -> Value {
    let quality = listing.value.quality;
    let (Some(change), Some(base)) = (&sum.change, &listing.base_value) else {
        return json::measure(&sum.here, quality);
    };
    json!({
        "base": json::measure(&change.base, base.quality),
        "new": json::measure(&change.new, quality),
        "growth": change.growth,
        "standard_error": (change.verdict != Verdict::Unknown).then(|| change.standard_error()),
        "p": change.p,
        "verdict": change.verdict.name(),
    })
}
