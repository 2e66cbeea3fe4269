//! Code that allocates on somebody's behalf, as a table: the standard library, collections, runtimes, codecs.
//!
//! The frames of a stack that are passed over on the way to the application also tell what kind of thing was
//! allocated there: see [`Kind`].
#![forbid(unsafe_code)]

use super::origin::{Origin, is_versioned, origin};
use super::path::{Parts, parts, starts_with_path};

mod table;

pub use table::TABLE;

/// A row of [`TABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// A path without generic arguments. It stands for everything below it; the longest matching row counts.
    /// A crate alone does not stand for a bare name: an inlined `log` of the application's is no logger.
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

/// The row for a path without generic arguments.
pub fn find(path: &str) -> Option<&'static Row> {
    // The cheap question first: this is asked of every function, and the table is long.
    let begins = |row: &&Row| row.pattern.as_bytes().first() == path.as_bytes().first();
    let matches = |row: &&Row| match row.pattern.split_at(row.pattern.len() - 1) {
        (start, "*") => path.starts_with(start),
        (whole, "$") => path == whole,
        _ => starts_with_path(path, row.pattern) && path.contains("::"),
    };
    TABLE
        .iter()
        .filter(begins)
        .filter(matches)
        .max_by_key(|row| row.pattern.len())
}

/// The row for all of a crate.
fn find_crate(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.pattern == name)
}

/// What a function is plumbing of; `None` if it is not plumbing.
///
/// The file decides where it tells whose code it is: `<app::Order as alloc::string::ToString>::to_string` is
/// the standard library's, `<alloc::vec::Vec<T> as app::Extension>::add` is the application's, and so is
/// all of a workspace's own crate called `http`.
pub fn is_plumbing(name: &str, filename: &str) -> Option<Kind> {
    judge(&parts(name), filename, origin(filename))
}

/// The same of a name that was taken apart, in a file whose origin is known.
pub(super) fn judge(parts: &Parts, filename: &str, origin: Origin<'_>) -> Option<Kind> {
    let by_trait = || parts.of_trait.as_deref().and_then(find);
    let kind = |row: &Row| row.kind;
    match origin {
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
            named.or_else(|| find_crate(&package)).map(kind)
        }
        // Whoever implements a trait here does it for the application's ends.
        Origin::Elsewhere if parts.of_trait.is_some() => None,
        // The application's file, unless it says that it is the crate's. The table's C functions have other files.
        Origin::Elsewhere if filename.ends_with(".rs") => {
            let row = find(&parts.path)?;
            let (crate_name, _) = parts.path.split_once("::")?;
            let is_theirs = is_versioned(filename, crate_name)
                // A toolchain built by hand, its paths not rewritten.
                || filename.contains(&format!("/library/{crate_name}/src/"))
                // A path that lost its beginning may be anybody's; the name at least is no application's.
                || !filename.starts_with('/') && matches!(crate_name, "core" | "alloc" | "std");
            is_theirs.then(|| kind(row))
        }
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
            ("main::run", app.clone(), None),
            // Bare names, as line tables have them for what is inlined.
            ("bytes", app.clone(), None),
            ("log", app.clone(), None),
            ("main", app.clone(), None),
            ("clone", app.clone(), None),
            ("_start_engine", app.clone(), None),
            ("http", String::new(), None),
            ("test", String::new(), None),
            (
                "grow_one",
                format!("{std}/alloc/src/raw_vec/mod.rs"),
                Some(Kind::Std),
            ),
            (
                "start_thread",
                "./nptl/pthread_create.c".into(),
                Some(Kind::Start),
            ),
            (
                "get",
                format!("{registry}/bytes-1.7.0/src/lib.rs"),
                Some(Kind::Bytes),
            ),
            // Crates of the workspace, called like famous ones.
            (
                "http::client::send",
                "/home/me/shop/crates/http/src/client.rs".into(),
                None,
            ),
            (
                "lru::Cache::insert",
                "/build/shop-1.2.0/lru/src/lib.rs".into(),
                None,
            ),
            (
                "http::client::send",
                "/usr/share/cargo/registry/http-1.1.0/src/c.rs".into(),
                Some(Kind::Http),
            ),
            (
                "alloc::raw_vec::RawVec::grow_one",
                "/home/me/rust/library/alloc/src/raw_vec.rs".into(),
                Some(Kind::Vec),
            ),
            // Toolchains that distributions build.
            (
                "alloc::raw_vec::RawVec::grow_one",
                "/usr/src/rustc-1.85.0/library/alloc/src/raw_vec.rs".into(),
                Some(Kind::Vec),
            ),
            (
                "shop::push",
                "/srv/vendor/acme/shop/src/lib.rs".into(),
                None,
            ),
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
