//! The heap as Prometheus metrics, by the [`prometheus_client`] crate: feature `metrics`.
//!
//! A program that has a registry adds heapsite to it:
//!
//! ```
//! use prometheus_client::registry::Registry;
//!
//! let mut registry = Registry::default();
//! heapsite::metrics::register(&mut registry);
//! let mut text = String::new();
//! prometheus_client::encoding::text::encode(&mut text, &registry)?;
//! assert!(text.contains("heapsite_live_bytes"));
//! # Ok::<(), std::fmt::Error>(())
//! ```
//!
//! A program that has none gets `/metrics` from [`http`](crate::http) (features `http` and `metrics`), or as text:
//! [`text`], [`open_metrics`]. [`guide::metrics`](crate::guide::metrics) lists what is exported.
#![forbid(unsafe_code)]

mod collector;
mod families;
mod leaks;
mod lines;
mod plain;
mod shown;
mod tasks;
mod threads;

use prometheus_client::encoding::text as format;
use prometheus_client::registry::Registry;

pub use collector::{Collector, Options};

/// What `Content-Type` says of [`open_metrics`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What `Content-Type` says of [`text`].
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Adds heapsite's metrics to a registry, with the default [`Options`]. Their names begin with `heapsite_`, after the
/// registry's prefix if it has one.
pub fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Options::new().collector()));
}

/// All metrics in the OpenMetrics text format, version 1.0.0.
pub fn open_metrics(collector: &Collector) -> String {
    let mut text = encode(collector);
    text.push_str("# EOF\n");
    text
}

/// All metrics in Prometheus' text format, version 0.0.4.
pub fn text(collector: &Collector) -> String {
    plain::from_open_metrics(&encode(collector))
}

/// The same as [`text`], of what [`open_metrics`] said.
#[cfg(feature = "http")]
pub(crate) fn plain(open: &str) -> String {
    plain::from_open_metrics(open)
}

fn encode(collector: &Collector) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(collector.clone()));
    let mut text = String::new();
    // Writing to a string fails never, and heapsite's collector does so only where the writer does.
    let _ = format::encode_registry(&mut text, &registry);
    text
}
