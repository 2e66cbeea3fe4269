//! Code that allocates on somebody's behalf, as a table: the standard library, collections, runtimes, codecs.
//!
//! The frames of a stack that are passed over on the way to the application also tell what kind of thing was
//! allocated there: see [`Kind`].
#![forbid(unsafe_code)]

use super::origin::{Origin, origin};
use super::path::{parts, starts_with_path};

/// A row of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// A path without generic arguments. It stands for everything below it; the longest matching row counts.
    /// A `*` at the end stands for any rest of the name, a `$` for none.
    pub pattern: &'static str,
    /// What grows when this allocates.
    pub kind: Kind,
    /// Why it is passed over.
    pub why: &'static str,
}

/// What a plumbing function is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// Between `Vec`, `Box` … and the global allocator.
    Allocator,
    /// A growable array.
    Vec,
    /// Text.
    String,
    /// A hash or tree map or set.
    Map,
    /// A ring buffer or heap.
    Queue,
    /// One value on the heap.
    Box,
    /// A shared value.
    Arc,
    /// A byte buffer that is shared by its views.
    Bytes,
    /// A channel between tasks or threads.
    Channel,
    /// The cell of an async task.
    Task,
    /// A timer.
    Timer,
    /// A lock, semaphore or notification.
    Sync,
    /// Buffers of files and sockets.
    Io,
    /// An HTTP connection, request, response or body.
    Http,
    /// Encryption.
    Tls,
    /// Reading or writing a data format.
    Serialization,
    /// Logs and spans.
    Logging,
    /// `format!` and its traits.
    Format,
    /// Glue of futures and streams.
    Future,
    /// The scheduler of an async runtime or a thread pool.
    Runtime,
    /// Stack traces and unwinding.
    Backtrace,
    /// What runs before `main`, or starts a thread.
    Start,
    /// Iterators, closures and whatever else the standard library has.
    Std,
}

const fn row(pattern: &'static str, kind: Kind, why: &'static str) -> Row {
    Row { pattern, kind, why }
}

/// Which functions are plumbing.
pub const TABLE: &[Row] = &[
    // The standard library.
    row("core", Kind::Std, "standard library"),
    row(
        "core::fmt",
        Kind::Format,
        "formats on behalf of format!, write! and to_string",
    ),
    row("core::future", Kind::Future, "polls"),
    row("core::str", Kind::String, "text"),
    row("alloc", Kind::Std, "standard library"),
    row(
        "alloc::alloc",
        Kind::Allocator,
        "calls the global allocator",
    ),
    row("core::alloc", Kind::Allocator, "describes allocators"),
    row(
        "alloc::raw_vec",
        Kind::Vec,
        "grows the buffer of a Vec, String or VecDeque",
    ),
    row("alloc::vec", Kind::Vec, "grows"),
    row("alloc::slice", Kind::Vec, "copies a slice into a Vec"),
    row("alloc::string", Kind::String, "grows or copies text"),
    row("alloc::str", Kind::String, "copies text"),
    row("alloc::fmt", Kind::Format, "format!"),
    row("alloc::borrow", Kind::Std, "to_owned and Cow"),
    row("alloc::boxed", Kind::Box, "puts a value on the heap"),
    row("alloc::rc", Kind::Arc, "shares a value"),
    row("alloc::sync", Kind::Arc, "shares a value"),
    row("alloc::ffi", Kind::String, "C strings"),
    row("alloc::collections::btree", Kind::Map, "tree nodes"),
    row(
        "alloc::collections::vec_deque",
        Kind::Queue,
        "grows a ring buffer",
    ),
    row(
        "alloc::collections::binary_heap",
        Kind::Queue,
        "grows a heap",
    ),
    row("alloc::collections::linked_list", Kind::Queue, "list nodes"),
    row("std", Kind::Std, "standard library"),
    row(
        "std::alloc",
        Kind::Allocator,
        "calls the system's allocator",
    ),
    row("std::collections::hash", Kind::Map, "a hash map"),
    row("std::sync::mpsc", Kind::Channel, "a channel"),
    row("std::sync::mpmc", Kind::Channel, "a channel"),
    row("std::sync", Kind::Sync, "a lock"),
    row("std::io", Kind::Io, "a buffer"),
    row("std::fs", Kind::Io, "files"),
    row("std::net", Kind::Io, "sockets"),
    row("std::path", Kind::String, "a path"),
    row("std::ffi", Kind::String, "an operating system's text"),
    row("std::thread", Kind::Start, "starts a thread"),
    row("std::rt", Kind::Start, "calls main"),
    row("std::panic", Kind::Backtrace, "catches panics"),
    row("std::panicking", Kind::Backtrace, "panics"),
    row("std::backtrace", Kind::Backtrace, "records a stack trace"),
    row(
        "std::backtrace_rs",
        Kind::Backtrace,
        "records a stack trace",
    ),
    row("std::sys", Kind::Std, "standard library"),
    row(
        "std::sys::backtrace",
        Kind::Start,
        "marks the ends of short stack traces",
    ),
    row("std::sys::thread", Kind::Start, "starts a thread"),
    row("proc_macro", Kind::Std, "toolchain"),
    row("test", Kind::Start, "the test runner"),
    row("panic_unwind", Kind::Backtrace, "panics"),
    row("__rust*", Kind::Start, "compiler's glue"),
    row("__rdl_*", Kind::Allocator, "compiler's glue"),
    row("__rg_*", Kind::Allocator, "compiler's glue"),
    row("backtrace", Kind::Backtrace, "records a stack trace"),
    row("gimli", Kind::Backtrace, "reads debug information"),
    row("addr2line", Kind::Backtrace, "reads debug information"),
    row("rustc_demangle", Kind::Backtrace, "reads names"),
    row("heapsite", Kind::Allocator, "this profiler"),
    // The system: entry points of programs and threads.
    row(
        "main$",
        Kind::Start,
        "the C entry point, which calls the Rust main",
    ),
    row("_start*", Kind::Start, "entry point"),
    row("__libc_start*", Kind::Start, "entry point"),
    row("__libc_csu_init$", Kind::Start, "entry point"),
    row("start_thread$", Kind::Start, "entry point of a thread"),
    row("thread_start$", Kind::Start, "entry point of a thread"),
    row("clone$", Kind::Start, "entry point of a thread"),
    row("clone3$", Kind::Start, "entry point of a thread"),
    row("__clone*", Kind::Start, "entry point of a thread"),
    row("_Unwind_*", Kind::Backtrace, "unwinds the stack"),
    row("call_init*", Kind::Start, "runs constructors"),
    row("_dl_*", Kind::Start, "the dynamic linker"),
    // Collections.
    row("hashbrown", Kind::Map, "grows or rehashes a hash table"),
    row("indexmap", Kind::Map, "a map with an order"),
    row("dashmap", Kind::Map, "a concurrent map"),
    row("papaya", Kind::Map, "a concurrent map"),
    row("scc", Kind::Map, "a concurrent map"),
    row("lru", Kind::Map, "a cache"),
    row("moka", Kind::Map, "a cache"),
    row("slab", Kind::Vec, "numbered slots"),
    row("sharded_slab", Kind::Vec, "numbered slots"),
    row(
        "smallvec",
        Kind::Vec,
        "a vector that has outgrown its inline room",
    ),
    row("arrayvec", Kind::Vec, "an inline vector"),
    row(
        "tinyvec",
        Kind::Vec,
        "a vector that has outgrown its inline room",
    ),
    row("either", Kind::Std, "glue of iterators"),
    row("itertools", Kind::Std, "glue of iterators"),
    row("arc_swap", Kind::Arc, "shares a value"),
    row("triomphe", Kind::Arc, "shares a value"),
    row("once_cell", Kind::Std, "makes a value at first use"),
    row("lazy_static", Kind::Std, "makes a value at first use"),
    row("smol_str", Kind::String, "text"),
    row("compact_str", Kind::String, "text"),
    row("bytes", Kind::Bytes, "a byte buffer"),
    // Locks and channels.
    row("parking_lot", Kind::Sync, "a lock"),
    row("parking_lot_core", Kind::Sync, "a lock"),
    row("crossbeam_channel", Kind::Channel, "a channel"),
    row("crossbeam_queue", Kind::Queue, "a queue"),
    row("crossbeam_deque", Kind::Queue, "a queue of work"),
    row(
        "crossbeam_epoch",
        Kind::Sync,
        "memory that waits to be freed",
    ),
    row("flume", Kind::Channel, "a channel"),
    row("async_channel", Kind::Channel, "a channel"),
    row("kanal", Kind::Channel, "a channel"),
    row("event_listener", Kind::Sync, "a notification"),
    // Runtimes.
    row("tokio", Kind::Runtime, "an async runtime"),
    row("tokio::task", Kind::Task, "makes a task"),
    row("tokio::runtime::task", Kind::Task, "makes or runs a task"),
    row("tokio::time", Kind::Timer, "a timer"),
    row("tokio::runtime::time", Kind::Timer, "a timer"),
    row("tokio::sync", Kind::Sync, "a lock or notification"),
    row(
        "tokio::sync::mpsc",
        Kind::Channel,
        "a channel, in blocks of 32 messages",
    ),
    row("tokio::sync::broadcast", Kind::Channel, "a channel"),
    row(
        "tokio::sync::oneshot",
        Kind::Channel,
        "a channel for one message",
    ),
    row(
        "tokio::sync::watch",
        Kind::Channel,
        "a channel for the newest value",
    ),
    row("tokio::io", Kind::Io, "a buffer"),
    row("tokio::net", Kind::Io, "sockets"),
    row("tokio::fs", Kind::Io, "files"),
    row("tokio_util", Kind::Runtime, "glue of an async runtime"),
    row("tokio_util::codec", Kind::Io, "a buffer of frames"),
    row("tokio_util::time", Kind::Timer, "a queue of timers"),
    row("tokio_stream", Kind::Future, "glue of streams"),
    row("mio", Kind::Runtime, "waits for sockets"),
    row("async_std", Kind::Runtime, "an async runtime"),
    row("async_executor", Kind::Runtime, "an async runtime"),
    row("async_io", Kind::Runtime, "an async runtime"),
    row("async_task", Kind::Task, "makes or runs a task"),
    row("smol", Kind::Runtime, "an async runtime"),
    row("blocking", Kind::Runtime, "a thread pool"),
    row("actix_rt", Kind::Runtime, "an async runtime"),
    row("rayon", Kind::Runtime, "a thread pool"),
    row("rayon_core", Kind::Runtime, "a thread pool"),
    row("threadpool", Kind::Runtime, "a thread pool"),
    row("futures", Kind::Future, "glue of futures"),
    row("futures_core", Kind::Future, "glue of futures"),
    row("futures_util", Kind::Future, "glue of futures"),
    row(
        "futures_util::stream::futures_unordered",
        Kind::Task,
        "holds futures until they are taken out",
    ),
    row("futures_channel", Kind::Channel, "a channel"),
    row("futures_executor", Kind::Runtime, "an async runtime"),
    row("futures_lite", Kind::Future, "glue of futures"),
    row("async_trait", Kind::Future, "boxes a future"),
    row("async_stream", Kind::Future, "glue of streams"),
    row("pin_project_lite", Kind::Future, "glue of futures"),
    // HTTP.
    row("hyper", Kind::Http, "an HTTP connection"),
    row("hyper_util", Kind::Http, "an HTTP connection"),
    row("http", Kind::Http, "requests, responses, headers"),
    row("http_body", Kind::Http, "a body"),
    row("http_body_util", Kind::Http, "a body"),
    row("httparse", Kind::Http, "reads headers"),
    row("h2", Kind::Http, "an HTTP/2 connection"),
    row("tower", Kind::Http, "layers around a service"),
    row("tower_service", Kind::Http, "layers around a service"),
    row("tower_layer", Kind::Http, "layers around a service"),
    row("tower_http", Kind::Http, "layers around a service"),
    row("axum", Kind::Http, "routes to a handler"),
    row("axum_core", Kind::Http, "routes to a handler"),
    row("axum_extra", Kind::Http, "routes to a handler"),
    row("matchit", Kind::Http, "routes to a handler"),
    row("actix_http", Kind::Http, "an HTTP connection"),
    row("actix_web", Kind::Http, "routes to a handler"),
    row("actix_service", Kind::Http, "layers around a service"),
    row("warp", Kind::Http, "routes to a handler"),
    row("rustls", Kind::Tls, "encrypted connections"),
    row("tokio_rustls", Kind::Tls, "encrypted connections"),
    row("native_tls", Kind::Tls, "encrypted connections"),
    row("openssl", Kind::Tls, "encrypted connections"),
    // Data formats.
    row("serde", Kind::Serialization, "builds values"),
    row("serde_core", Kind::Serialization, "builds values"),
    row(
        "serde_json",
        Kind::Serialization,
        "builds values, or text of them",
    ),
    row("serde_urlencoded", Kind::Serialization, "builds values"),
    row("form_urlencoded", Kind::Serialization, "reads forms"),
    row("bincode", Kind::Serialization, "builds values"),
    row("ciborium", Kind::Serialization, "builds values"),
    row("rmp_serde", Kind::Serialization, "builds values"),
    row("toml", Kind::Serialization, "builds values"),
    row("prost", Kind::Serialization, "builds messages"),
    row("base64", Kind::Serialization, "copies bytes"),
    row("itoa", Kind::Format, "formats numbers"),
    row("ryu", Kind::Format, "formats numbers"),
    row("percent_encoding", Kind::String, "copies text"),
    // Errors and logs.
    row("anyhow", Kind::Box, "boxes an error"),
    row("eyre", Kind::Box, "boxes an error"),
    row("log", Kind::Logging, "logs"),
    row("env_logger", Kind::Logging, "logs"),
    row("tracing", Kind::Logging, "spans"),
    row("tracing_core", Kind::Logging, "spans"),
    row("tracing_log", Kind::Logging, "logs"),
    row("tracing_subscriber", Kind::Logging, "spans"),
    row("tracing_appender", Kind::Logging, "logs"),
];

/// The row for a path without generic arguments.
pub fn find(path: &str) -> Option<&'static Row> {
    let matches = |row: &&Row| match row.pattern.split_at(row.pattern.len() - 1) {
        (start, "*") => path.starts_with(start),
        (whole, "$") => path == whole,
        _ => starts_with_path(path, row.pattern),
    };
    TABLE
        .iter()
        .filter(matches)
        .max_by_key(|row| row.pattern.len())
}

/// What a function is plumbing of; `None` if it is not plumbing.
///
/// The file decides where it tells whose code it is: `<app::Order as alloc::string::ToString>::to_string` is
/// the standard library's, `<alloc::vec::Vec<T> as app::Extension>::add` is the application's.
pub fn is_plumbing(name: &str, filename: &str) -> Option<Kind> {
    let parts = parts(name);
    let by_trait = || parts.of_trait.as_deref().and_then(find);
    let kind = |row: &Row| row.kind;
    match origin(filename) {
        Origin::Toolchain(_) => {
            // The trait's row where the type's says no more than "somewhere in the standard library".
            let rows = [find(&parts.path), by_trait()];
            let known = rows
                .into_iter()
                .flatten()
                .map(kind)
                .find(|&kind| kind != Kind::Std);
            Some(known.unwrap_or(Kind::Std))
        }
        Origin::Dependency(Some(package)) => {
            let package = package.replace('-', "_");
            let here = |row: &&Row| starts_with_path(row.pattern, &package);
            let named = [find(&parts.path), by_trait()]
                .into_iter()
                .flatten()
                .find(here);
            named.or_else(|| find(&package)).map(kind)
        }
        // Whoever implements a trait here does it for the application's ends.
        Origin::Elsewhere if parts.of_trait.is_some() => None,
        Origin::Dependency(None) | Origin::Elsewhere | Origin::Unknown => {
            find(&parts.path).map(kind)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_distinct_and_say_why() {
        let mut patterns: Vec<_> = TABLE.iter().map(|row| row.pattern).collect();
        patterns.sort_unstable();
        assert!(patterns.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(
            TABLE
                .iter()
                .all(|row| !row.pattern.is_empty() && !row.why.is_empty())
        );
    }

    #[test]
    fn the_file_decides_whose_code_it_is() {
        let registry = "/home/me/.cargo/registry/src/index-1949cf8c6b5b557f";
        let std = "/rustc/59807616e1/library";
        let app = "/home/me/app/src/main.rs".to_owned();
        let rows = [
            (
                "alloc::raw_vec::RawVec<T,A>::grow_one",
                String::new(),
                Some(Kind::Vec),
            ),
            (
                "<alloc::raw_vec::RawVecInner>::finish_grow",
                format!("{std}/alloc/src/raw_vec/mod.rs"),
                Some(Kind::Vec),
            ),
            (
                "<app::Order as alloc::string::ToString>::to_string",
                format!("{std}/alloc/src/string.rs"),
                Some(Kind::String),
            ),
            (
                "<app::F as core::ops::function::FnOnce<()>>::call_once",
                format!("{std}/core/src/ops/function.rs"),
                Some(Kind::Std),
            ),
            (
                "<alloc::vec::Vec<T> as app::Extension>::add",
                app.clone(),
                None,
            ),
            (
                "<alloc::vec::Vec<u8> as core::convert::From<app::Order>>::from",
                app.clone(),
                None,
            ),
            ("app::main::{closure#0}", app.clone(), None),
            ("main", String::new(), Some(Kind::Start)),
            ("main::run", app, None),
            (
                "hashbrown::raw::RawTable<T,A>::reserve_rehash",
                "/rust/deps/hashbrown-0.15.4/src/raw/mod.rs".into(),
                Some(Kind::Map),
            ),
            (
                "tokio::sync::mpsc::chan::Tx<T,S>::send",
                format!("{registry}/tokio-1.40.0/src/sync/mpsc/chan.rs"),
                Some(Kind::Channel),
            ),
            (
                "<app::X as tokio::io::AsyncRead>::poll_read",
                format!("{registry}/tokio-1.40.0/src/io/mod.rs"),
                Some(Kind::Io),
            ),
            (
                "<bytes::BytesMut as redis::Write>::put",
                format!("{registry}/redis-0.25.0/src/x.rs"),
                None,
            ),
            (
                "redis::parse",
                format!("{registry}/redis-0.25.0/src/x.rs"),
                None,
            ),
            ("tokio_postgres::connect", String::new(), None),
        ];
        for (name, file, kind) in rows {
            assert_eq!(is_plumbing(name, &file), kind, "{name} in {file}");
        }
    }
}
