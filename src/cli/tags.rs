//! `heapsite tags`.
#![forbid(unsafe_code)]

use super::args;
use super::report;
use super::style::Look;
use super::{Failure, json};
use crate::view::{self, By};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Tags,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let loaded = report::load(&args.report, args.report.value.as_deref(), By::Label)?;
    let tags = view::tags(&loaded.subject);
    let value = &loaded.subject.value;
    let layout = report::layout(args.n, args.width, look);
    if args.json.json {
        let tags = tags.iter().map(|tag| {
            let values = tag.values.iter().take(args.n).map(|(text, measure)| {
                let mut map = json::label_value(text);
                map.insert("flat".into(), json::measure(measure, value.quality));
                Value::Object(map)
            });
            json!({
                "key": tag.key,
                "total": json::measure(&tag.total, value.quality),
                "values_in_all": tag.values.len(),
                "values": values.collect::<Vec<_>>(),
            })
        });
        let mut document = loaded.document("tags");
        document.insert("tags".into(), tags.collect());
        json::write(&Value::Object(document), out)?;
    } else if loaded.write_header(out)? {
        if tags.is_empty() {
            writeln!(out, "no sample has a label")?;
        }
        view::tags::write(&tags, value, &layout, out)?;
        loaded.write_notes(err);
    }
    Ok(ExitCode::SUCCESS)
}
