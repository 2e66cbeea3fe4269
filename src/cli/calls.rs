//! `heapsite tree` and `heapsite peek`.
#![forbid(unsafe_code)]

use super::args::{self, Asked, Calls};
use super::report::{self, Loaded};
use super::style::Look;
use super::{Failure, input, json};
use crate::Error;
use crate::view::count::Order;
use crate::view::graph::{Cut, Edge};
use crate::view::{self, By, Graph, Key};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::process::ExitCode;

pub(super) fn tree(
    args: &args::Tree,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let cut = Cut {
        order: order(&args.calls),
        rows: args.cuts.n,
        node_fraction: args.cuts.nodefraction,
        edge_fraction: args.cuts.edgefraction,
    };
    let (loaded, graph) = make(&args.report, &args.calls, &cut)?;
    let layout = report::layout(args.cuts.n, args.calls.width, look);
    if args.json.json {
        json::write(&document("tree", &loaded, &graph, |_| true), out)?;
    } else if loaded.write_header(out)? {
        view::tree::write(&graph, |_| true, &layout, out)?;
        loaded.write_notes(err);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn peek(
    args: &args::Peek,
    look: &Look,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    let matches = report::pattern("REGEX", &args.pattern)?;
    let cut = Cut::nothing(order(&args.calls));
    let (loaded, graph) = make(&args.report, &args.calls, &cut)?;
    let wanted = |key: &Key| matches(&name(key));
    if !loaded.is_silent && !graph.shown().any(|(_, row)| wanted(&row.key)) {
        let name = input::display(&args.report.profile);
        return Err(Error::input(format!(
            "{name}: no {} matches `{}`; `heapsite top` lists them",
            graph.count.by.name(),
            args.pattern
        ))
        .into());
    }
    let layout = report::layout(usize::MAX, args.calls.width, look);
    if args.json.json {
        json::write(&document("peek", &loaded, &graph, wanted), out)?;
    } else if loaded.write_header(out)? {
        view::tree::write(&graph, wanted, &layout, out)?;
        loaded.write_notes(err);
    }
    Ok(ExitCode::SUCCESS)
}

fn make(args: &Asked, calls: &Calls, cut: &Cut) -> Result<(Loaded, Graph), Failure> {
    let by = calls.granularity.or(By::Function);
    let loaded = report::load(args, args.value.as_deref(), by)?;
    let graph = view::graph(&loaded.subject, by, args::blame(calls.leaf), cut)?;
    Ok((loaded, graph))
}

fn order(calls: &Calls) -> Order {
    match calls.cum {
        true => Order::Cum,
        false => Order::Flat,
    }
}

/// As pprof prints a row, which is what its patterns are matched with: `[address] function file[:line]`.
fn name(key: &Key) -> String {
    let Some(frame) = key.frame() else {
        return key.name().to_owned();
    };
    let mut name = match key {
        Key::Address(address, _) => format!("{address:016x} {}", frame.function),
        _ => frame.function.clone(),
    };
    if !frame.file.is_empty() {
        name = format!("{name} {}", frame.file);
    }
    match frame.line {
        0 => name,
        line => format!("{name}:{line}"),
    }
}

fn document(command: &str, loaded: &Loaded, graph: &Graph, wanted: impl Fn(&Key) -> bool) -> Value {
    let rows = &graph.count.rows;
    let quality = graph.count.value.quality;
    let call = |edge: &Edge, other: usize| {
        let mut map: Map<String, Value> = json::key(&rows[other].key);
        map.insert("weight".into(), json::measure(&edge.weight, quality));
        map.insert("inlined".into(), edge.inlined.into());
        map.insert("residual".into(), edge.residual.into());
        Value::Object(map)
    };
    let shown = graph.shown().filter(|(_, row)| wanted(&row.key));
    let shown = shown.map(|(at, row)| {
        let mut map = json::key(&row.key);
        map.insert("flat".into(), json::measure(&row.flat, quality));
        map.insert("cum".into(), json::measure(&row.cum, quality));
        let callers = graph.callers(at).map(|edge| call(edge, edge.caller));
        map.insert("callers".into(), callers.collect());
        let callees = graph.callees(at).map(|edge| call(edge, edge.callee));
        map.insert("callees".into(), callees.collect());
        Value::Object(map)
    });
    let mut document = loaded.document(command);
    document.insert("by".into(), graph.count.by.name().into());
    document.insert("rows_in_all".into(), json!(graph.rows_in_all));
    document.insert("calls_cut".into(), json!(graph.cut_edges));
    document.insert("rows".into(), shown.collect());
    Value::Object(document)
}
