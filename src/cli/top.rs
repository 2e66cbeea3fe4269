//! `heapsite top`.
#![forbid(unsafe_code)]

use super::args;
use super::style::Look;
use super::{Failure, about, input, json};
use crate::view::count::Order;
use crate::view::top::Layout;
use crate::view::{self, Count, Value};
use crate::{Error, Profile};
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Top,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    if args.cum && args.sort.as_deref() == Some("lifetime") {
        return Err(Error::input(
            "--cum does not go with --sort lifetime: freed bytes and their lifetimes are known for what a row is blamed \
             for; --by function or crate adds them up",
        )
        .into());
    }
    let profile = input::read(&args.profile)?;
    let in_input = |error: Error| error.context(input::display(&args.profile));
    let by_lifetime = args.sort.as_deref() == Some("lifetime");
    let kind = args.sort.as_deref().filter(|_| !by_lifetime);
    let value = Value::find(&profile, kind).map_err(in_input)?;
    let mut count =
        view::count(&profile, &value, args.rows.by.into(), args.rows.blame()).map_err(in_input)?;
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
    count.sort(order);
    if args.json.json {
        json::write(&document(args, &profile, &count), out)?;
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(out, "{}", about::origin(&args.profile, &profile))?;
    about::losses("", &profile, out)?;
    if about::silence(&profile).is_some() {
        return Ok(ExitCode::SUCCESS); // a table of nothing would only hide why
    }
    let width = args.rows.width.or(look.width).unwrap_or(usize::MAX);
    let layout = Layout {
        rows: args.rows.n,
        width,
        paint: look.paint(),
    };
    view::top::write(&count, order, args.rows.blame(), &layout, out)?;
    if about::is_nameless(&profile) {
        let _ = writeln!(
            err,
            "heapsite: note: the profile has no names; `heapsite symbolize` gives it some"
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn document(args: &args::Top, profile: &Profile, count: &Count) -> serde_json::Value {
    let quality = count.value.quality;
    let rows = count.rows.iter().take(args.rows.n).map(|row| {
        let mut map = json::key(&row.key);
        map.insert("flat".into(), json::measure(&row.flat, quality));
        map.insert("cum".into(), json::measure(&row.cum, quality));
        map.insert("freed_bytes".into(), row.freed_bytes.into());
        map.insert("mean_lifetime_nanos".into(), row.mean_lifetime().into());
        serde_json::Value::Object(map)
    });
    json!({
        "heapsite": "top",
        "version": 1,
        "profile": json::source(&args.profile, profile),
        "sample_type": json::value_type(&count.value.value_type),
        "quality": json::quality(quality),
        "by": count.by.name(),
        "total": json::measure(&count.total, quality),
        "rows_in_all": count.rows.len(),
        "rows": rows.collect::<Vec<_>>(),
    })
}
