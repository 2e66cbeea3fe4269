//! `heapsite top`.
#![forbid(unsafe_code)]

use super::args;
use super::report::{self, Loaded};
use super::style::Look;
use super::{Failure, input, json};
use crate::Error;
use crate::view::count::Order;
use crate::view::{self, Count};
use serde_json::Value;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Top,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let by_lifetime = args.report.value.as_deref() == Some("lifetime");
    if args.cum && by_lifetime {
        return Err(Error::input(
            "--cum does not go with --sort lifetime: freed bytes and their lifetimes are known for what a row is blamed \
             for; --by function or crate adds them up",
        )
        .into());
    }
    if by_lifetime && (args.report.base.is_some() || args.report.diff_base.is_some()) {
        return Err(Error::input(
            "lifetimes cannot be subtracted: compare two `heapsite top --sort lifetime`",
        )
        .into());
    }
    let kind = args.report.value.as_deref().filter(|_| !by_lifetime);
    let (by, blame) = (args.rows.by(), args.rows.blame());
    let loaded = report::load(&args.report, kind, by)?;
    let in_input = |error: Error| error.context(input::display(&args.report.profile));
    let mut count = view::count_of(&loaded.subject, by, blame).map_err(in_input)?;
    if let Some(base) = &loaded.base {
        let base =
            view::count_of(base, by, blame).map_err(|error| error.context("base profile"))?;
        count = count.less(base);
        count.whole = loaded.whole.unwrap_or(count.whole);
    }
    if by_lifetime && !count.has_lifetimes() {
        return Err(in_input(Error::input(
            "the profile has no lifetimes; heapsite's JSON dumps have them once something was freed",
        ))
        .into());
    }
    let order = match (by_lifetime, args.cum) {
        (true, _) => Order::Lifetime,
        (false, true) => Order::Cum,
        (false, false) => Order::Flat,
    };
    count.drop_empty(by_lifetime);
    count.drop_small(args.nodefraction);
    count.sort(order);
    if args.json.json {
        json::write(&document(args, &loaded, &count), out)?;
        return Ok(ExitCode::SUCCESS);
    }
    loaded.write_origin(out)?;
    if loaded.is_silent {
        return Ok(ExitCode::SUCCESS); // a table of nothing would only hide why
    }
    let layout = report::layout(args.rows.n, args.rows.width, look);
    view::top::write(&count, order, blame, &layout, out)?;
    loaded.write_notes(err);
    Ok(ExitCode::SUCCESS)
}

fn document(args: &args::Top, loaded: &Loaded, count: &Count) -> Value {
    let quality = count.value.quality;
    let rows = count.rows.iter().take(args.rows.n).map(|row| {
        let mut map = json::key(&row.key);
        map.insert("flat".into(), json::measure(&row.flat, quality));
        map.insert("cum".into(), json::measure(&row.cum, quality));
        map.insert("freed_bytes".into(), row.freed_bytes.into());
        map.insert("mean_lifetime_nanos".into(), row.mean_lifetime().into());
        Value::Object(map)
    });
    let mut document = loaded.document("top");
    document.insert("by".into(), count.by.name().into());
    document.insert("total".into(), json::measure(&count.total, quality));
    document.insert("shares_of".into(), json::whole(count.whole));
    document.insert("rows_in_all".into(), count.rows.len().into());
    document.insert("rows".into(), rows.collect());
    Value::Object(document)
}
