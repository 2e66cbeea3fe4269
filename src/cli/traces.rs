//! `heapsite traces`.
#![forbid(unsafe_code)]

use super::args;
use super::report;
use super::style::Look;
use super::{Failure, json};
use crate::view::table::Tone;
use crate::view::{self, By, Traces, units};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Traces,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let by = args.granularity.or(By::Line);
    let loaded = report::load(&args.report, args.report.value.as_deref(), by)?;
    let traces = view::traces(&loaded.subject, by, args::blame(args.leaf))?;
    let layout = report::layout(args.n, args.width, look);
    if args.json.json {
        let mut document = loaded.document("traces");
        document.insert("by".into(), by.name().into());
        document.insert("traces_in_all".into(), traces.traces.len().into());
        document.insert("traces".into(), list(&traces, args.n));
        json::write(&Value::Object(document), out)?;
    } else if loaded.write_header(out)? {
        view::traces::write(&traces, &layout, out)?;
        let in_all = traces.traces.len();
        if in_all > args.n {
            let more = units::count((in_all - args.n) as i64);
            let text = format!("\n{more} more; -n {in_all} shows them");
            writeln!(out, "{}", layout.paint.apply(Tone::Faint, &text))?;
        }
        loaded.write_notes(err);
    }
    Ok(ExitCode::SUCCESS)
}

fn list(traces: &Traces, n: usize) -> Value {
    let quality = traces.value.quality;
    let shown = traces.traces.iter().take(n).map(|trace| {
        let labels = trace.labels.iter().map(json::label);
        let stack = trace.stack.iter().map(|frame| {
            let mut map = json::key(&traces.keys[frame.key]);
            map.insert("inlined".into(), frame.inlined.into());
            Value::Object(map)
        });
        json!({
            "flat": json::measure(&trace.measure, quality),
            "labels": labels.collect::<Vec<_>>(),
            "blamed": trace.blamed,
            "stack": stack.collect::<Vec<_>>(),
        })
    });
    shown.collect()
}
