//! `overview`: which process this is, how its numbers come about, what was lost, and what else there is to ask.
#![forbid(unsafe_code)]

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use serde_json::{Value, json};

use super::{Page, answer, is_read};
use crate::helper;
use crate::http::{census, heap, nothing};
use crate::record;
use crate::stats::heap as heap_stats;
use crate::view::name::printable;

pub(super) async fn answer(State(page): State<Page>, method: Method) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    let _own_work = helper::own_work();
    // The totals only: some 130 ns per site. The process is looked at by the history's thread.
    let stats = heap_stats();
    let program = std::env::args_os().next().unwrap_or_default();
    let program = program.to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or_default();
    super::json(&json!({
        "heapsite": env!("CARGO_PKG_VERSION"),
        "program": printable(name),
        "pid": std::process::id(),
        "installed": record::is_installed(),
        "interval": stats.interval,
        "exact": stats.exact,
        "uptime_nanos": stats.uptime_nanos,
        "live": stats.live,
        "allocated": stats.allocated,
        "peak_bytes": stats.peak_bytes,
        "peak_nanos": stats.peak_nanos,
        "requested_bytes": stats.requested_bytes,
        "requested_slack_bytes": stats.requested_slack_bytes,
        "losses": stats.losses,
        "footprint": stats.footprint,
        "cost": stats.cost,
        "share_of_cpu": stats.cost.share_of_cpu(),
        "leak_watch": stats.leak_watch,
        "links": links(page.metrics),
    }))
}

/// Relative to the page.
fn links(metrics: bool) -> Value {
    let mut links = vec![json!({
        "href": "../pprof/", "name": "/debug/pprof/", "about": "Everything a Go client asks for, as a list.",
    })];
    let mut add = |name: &str, href: &str, about: &str| {
        links.push(json!({ "name": name, "href": format!("../{href}"), "about": about }));
    };
    for kind in [heap::Kind::Heap, heap::Kind::Allocs] {
        let name = kind.name();
        add(name, &format!("pprof/{name}"), kind.about());
    }
    add(
        "heap?debug=1",
        "pprof/heap?debug=1",
        "Text that google-pprof and jeprof read.",
    );
    add(
        "heap?seconds=30",
        "pprof/heap?seconds=30",
        "What happens in the next 30 s.",
    );
    add(
        "heap?gc=1",
        "pprof/heap?gc=1",
        "After asking the allocator to give free memory back.",
    );
    for kind in census::ALL {
        let name = kind.name();
        add(name, &format!("pprof/{name}"), kind.about());
        add(
            &format!("{name}?debug=2"),
            &format!("pprof/{name}?debug=2"),
            "The same as text, a block for each place.",
        );
    }
    for nothing in nothing::ALL {
        add(
            nothing.name,
            &format!("pprof/{}", nothing.name),
            nothing.about,
        );
    }
    add(
        "cmdline",
        "pprof/cmdline",
        "The command line, arguments separated by NUL.",
    );
    add(
        "symbol",
        "pprof/symbol",
        "Function names for addresses, by GET or POST.",
    );
    if metrics {
        add("/metrics", "../metrics", "For Prometheus.");
    }
    links.into()
}
