//! Whose code a source file is: the layouts that rustc and cargo give their source trees.
#![forbid(unsafe_code)]

/// Where a source file comes from, by its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    /// The standard library: the crate (`core`, `alloc`, `std`, …).
    Toolchain(&'a str),
    /// A registry, git or vendored dependency; the package where the path has it.
    Dependency(Option<&'a str>),
    /// Neither: the application's workspace, or generated code.
    Elsewhere,
    /// No file.
    Unknown,
}

/// Reads the layouts that rustc and cargo give their source trees.
pub(super) fn origin(filename: &str) -> Origin<'_> {
    let after = |marker: &str| filename.split_once(marker).map(|(_, rest)| rest);
    let first = |rest: &str| rest.find('/');
    if filename.is_empty() {
        return Origin::Unknown;
    }
    let library = if filename.starts_with("/rustc/") {
        after("/library/")
    } else {
        None
    };
    if let Some(rest) = library.or_else(|| after("/lib/rustlib/src/rust/library/"))
        && let Some(end) = first(rest)
    {
        return Origin::Toolchain(&rest[..end]);
    }
    let in_registry = after("/registry/src/")
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, rest)| rest);
    // What the standard library itself depends on.
    let package = in_registry.or_else(|| filename.strip_prefix("/rust/deps/"));
    if let Some(rest) = package.or_else(|| after("/vendor/"))
        && let Some(end) = first(rest)
    {
        return Origin::Dependency(Some(without_version(&rest[..end])));
    }
    match after("/git/checkouts/") {
        // The repository's name is not always the package's.
        Some(_) => Origin::Dependency(None),
        None => Origin::Elsewhere,
    }
}

/// `md-5-0.10.6` → `md-5`: the version begins where numbers with two dots follow a hyphen.
fn without_version(package: &str) -> &str {
    let number = |text: Option<&str>| {
        text.is_some_and(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let is_version = |text: &str| {
        let mut numbers = text.splitn(3, '.');
        number(numbers.next()) && number(numbers.next()) && numbers.next().is_some()
    };
    package
        .match_indices('-')
        .find(|(at, _)| is_version(&package[at + 1..]))
        .map_or(package, |(at, _)| &package[..at])
}
