//! Reading function names: demangling, the crate a function belongs to, and the allocator's own frames.
#![forbid(unsafe_code)]

pub use super::plumbing;

/// The readable form of a Rust symbol, legacy or v0, without hashes; `None` if it is no Rust symbol.
pub fn demangle(symbol: &str) -> Option<String> {
    let name = rustc_demangle::try_demangle(symbol).ok()?;
    Some(format!("{name:#}")).filter(|name| name != symbol)
}

/// Frames between the caller of an allocation and the recorder. They lie at the leaf of every stack, say
/// nothing, and must not show there.
pub fn is_internal(name: &str) -> bool {
    const SYMBOLS: [&str; 4] = ["__rust_", "__rdl_", "__rg_", "__rustc::"];
    const MODULES: [&str; 6] = [
        "heapsite::alloc",
        "heapsite::mem",
        "heapsite::record",
        "heapsite::sync",
        "heapsite::sys",
        "heapsite::unwind",
    ];
    const GLOBAL_ALLOC: &str = "core::alloc::global::GlobalAlloc";
    if SYMBOLS.iter().any(|symbol| name.starts_with(symbol)) {
        // __rust_begin_short_backtrace and the like are no allocator's.
        return name.contains("alloc");
    }
    let parts = parts(name);
    // Whoever implements GlobalAlloc is an allocator or a wrapper around one.
    parts
        .of_trait
        .as_deref()
        .is_some_and(|of_trait| starts_with_path(of_trait, GLOBAL_ALLOC))
        || MODULES
            .iter()
            .any(|module| starts_with_path(&parts.path, module))
}

/// The crate whose source holds a function: by the file's path where that tells, else by the name.
///
/// `<a::B as c::D>::e` belongs to `a`; if the type has no path (`&str`, `[T]`, a generic parameter), to the
/// crate of the trait. Hyphens are written as underscores. `None` for C functions and bare names.
pub fn crate_of(name: &str, filename: &str) -> Option<String> {
    match origin(filename) {
        Origin::Toolchain(name) | Origin::Dependency(Some(name)) => Some(name.replace('-', "_")),
        _ => crate_of_name(name),
    }
}

fn crate_of_name(name: &str) -> Option<String> {
    let parts = parts(name);
    let (first, _) = parts.path.split_once("::")?;
    let is_word = first
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_word && !first.is_empty()).then(|| first.to_owned())
}

/// Puts crate and modules in front of a bare function name, where the file tells them:
/// `push<u8>` in `/rustc/…/library/alloc/src/vec/mod.rs` becomes `alloc::vec::push<u8>`. The type is not known.
pub(super) fn qualify(name: &str, filename: &str) -> Option<String> {
    let bare = without_generics(name);
    if bare.is_empty() || bare.contains("::") || name.starts_with('_') {
        return None;
    }
    let (Origin::Toolchain(package) | Origin::Dependency(Some(package))) = origin(filename) else {
        return None;
    };
    let (_, modules) = filename.rsplit_once("/src/")?;
    let modules = modules.strip_suffix(".rs")?;
    let mut path = package.replace('-', "_");
    for module in modules
        .split('/')
        .filter(|module| !matches!(*module, "mod" | "lib" | "main"))
    {
        path.push_str("::");
        path.push_str(module);
    }
    Some(format!("{path}::{name}"))
}

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

/// A function name without its generic arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// `alloc::vec::Vec::extend` for `<alloc::vec::Vec<T,A> as core::iter::Extend<T>>::extend`; begins with the
    /// trait if the type has no path.
    pub(super) path: String,
    /// `core::iter::Extend::extend` there.
    pub(super) of_trait: Option<String>,
}

/// Takes a demangled name apart. Never fails: what it does not understand is a path.
pub(super) fn parts(name: &str) -> Parts {
    // Legacy mangling puts an underscore in front of `<`.
    let name = name
        .strip_prefix('_')
        .filter(|rest| rest.starts_with('<'))
        .unwrap_or(name);
    if name.starts_with('<')
        && let Some(end) = closing(name)
    {
        let (inner, rest) = (&name[1..end], without_generics(&name[end + 1..]));
        let (own, of_trait) = match split_outside(inner, " as ") {
            Some((own, of_trait)) => (own, Some(of_trait)),
            None => match inner
                .strip_prefix("impl ")
                .and_then(|inner| split_outside(inner, " for "))
            {
                Some((of_trait, own)) => (own, Some(of_trait)),
                None => (inner, None),
            },
        };
        let of_trait = of_trait.map(|of_trait| format!("{}{rest}", without_generics(of_trait)));
        let path = match (type_path(own), &of_trait) {
            (Some(path), _) => format!("{path}{rest}"),
            (None, Some(of_trait)) => of_trait.clone(),
            // Only the standard library implements methods of types without a path.
            (None, None) => format!("core{rest}"),
        };
        return Parts { path, of_trait };
    }
    // `a::_::<impl c::D for a::B>::e`
    let of_trait = name.find("<impl ").and_then(|at| {
        let end = closing(&name[at..])?;
        let (of_trait, _) = split_outside(&name[at + 6..at + end], " for ")?;
        Some(format!(
            "{}{}",
            without_generics(of_trait),
            without_generics(&name[at + end + 1..])
        ))
    });
    Parts {
        path: without_generics(name),
        of_trait,
    }
}

/// The path of a type, if it has one.
fn type_path(mut own: &str) -> Option<String> {
    loop {
        own = own.trim_start();
        let inner = ["&", "mut ", "dyn "]
            .iter()
            .find_map(|prefix| own.strip_prefix(prefix));
        match inner {
            Some(inner) => own = inner,
            None => break,
        }
    }
    if own.starts_with('<') {
        return Some(parts(own).path);
    }
    let path = without_generics(own);
    let word = |c: char| c.is_alphanumeric() || "_:{}#$".contains(c);
    let end = path.find(|c| !word(c)).unwrap_or(path.len());
    path[..end].contains("::").then(|| path[..end].to_owned())
}

/// Drops everything in angle brackets, and the `::` in front of them.
fn without_generics(path: &str) -> String {
    let mut plain = String::with_capacity(path.len());
    let mut depth = 0usize;
    let mut previous = ' ';
    for c in path.chars() {
        match c {
            '<' => depth += 1,
            '>' if previous != '-' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && plain.ends_with("::") => {}
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
        previous = c;
    }
    plain.truncate(plain.trim_end_matches(':').len());
    plain
}

/// Where the bracket that `text` begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut previous = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if previous != b'-' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        previous = byte;
    }
    None
}

/// Splits at the first `separator` that is in no brackets.
fn split_outside<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let mut depth = 0usize;
    let mut previous = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if previous == b'-' => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            _ if depth == 0 && text[at..].starts_with(separator) => {
                return Some((&text[..at], &text[at + separator.len()..]));
            }
            _ => {}
        }
        previous = byte;
    }
    None
}

/// `a::b` is at the start of `a::b::c`, not of `a::bc`.
pub(super) fn starts_with_path(path: &str, start: &str) -> bool {
    path.strip_prefix(start)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demangles_both_manglings_and_nothing_else() {
        let pairs = [
            (
                "_ZN4demo10leaf_alloc17h05af221e174051e9E",
                Some("demo::leaf_alloc"),
            ),
            (
                "_ZN4core3ptr4drop17h05af221e174051e9E.llvm.123",
                Some("core::ptr::drop"),
            ),
            (
                "_ZN67_$LT$alloc..vec..Vec$LT$T$C$A$GT$$u20$as$u20$core..clone..Clone$GT$5clone17h05af221e174051e9E",
                Some("<alloc::vec::Vec<T,A> as core::clone::Clone>::clone"),
            ),
            ("_RNvC4demo4main", Some("demo::main")),
            (
                "_RINvCs4fqI2P2rA04_4demo10leaf_allochE",
                Some("demo::leaf_alloc::<u8>"),
            ),
            (
                "_RNvCs4fqI2P2rA04_7___rustc12___rust_alloc",
                Some("__rustc::__rust_alloc"),
            ),
            ("malloc", None),
            ("_ZN3foo3barEv", None),
            ("", None),
        ];
        for (symbol, name) in pairs {
            assert_eq!(demangle(symbol).as_deref(), name, "{symbol}");
        }
    }

    #[test]
    fn crates_by_name() {
        let pairs = [
            ("myapp::cache::insert", Some("myapp")),
            ("myapp::main::{{closure}}", Some("myapp")),
            ("myapp::main::{closure#0}::{closure#1}", Some("myapp")),
            ("<myapp::B as core::c::D>::e", Some("myapp")),
            ("<&mut myapp::B as core::c::D>::e", Some("myapp")),
            ("<dyn myapp::B as core::c::D>::e", Some("myapp")),
            ("_<myapp::B as core::c::D>::e", Some("myapp")),
            ("<<myapp::B as x::Y>::Z as core::c::D>::e", Some("myapp")),
            ("<T as core::convert::Into<U>>::into", Some("core")),
            (
                "<&str as core::convert::Into<alloc::string::String>>::into",
                Some("core"),
            ),
            ("<(myapp::A, B) as core::hash::Hash>::hash", Some("core")),
            ("<[u8]>::to_vec", Some("core")),
            ("<alloc::vec::Vec<myapp::A>>::push", Some("alloc")),
            ("alloc::slice::<impl [T]>::to_vec", Some("alloc")),
            (
                "myapp::_::<impl serde::de::Deserialize for myapp::Order>::deserialize",
                Some("myapp"),
            ),
            (
                "<impl core::fmt::Display for myapp::Order>::fmt",
                Some("myapp"),
            ),
            (
                "<fn() -> core::result::Result<(), ()> as core::ops::function::FnOnce<()>>::call_once",
                Some("core"),
            ),
            (
                "<alloc::boxed::Box<dyn core::ops::FnOnce<(), Output = ()>> as core::ops::FnOnce<()>>::call_once",
                Some("alloc"),
            ),
            ("__rustc::__rust_alloc", Some("__rustc")),
            ("main", None),
            ("start_thread", None),
            ("step<u8>", None),
            ("libc.so.6+0x1234", None),
            ("<", None),
            ("<<<a::b", None),
            ("", None),
        ];
        for (name, expected) in pairs {
            assert_eq!(crate_of(name, "").as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn crates_by_file() {
        let registry = "/home/me/.cargo/registry/src/index-1949cf8c6b5b557f";
        let pairs = [
            (format!("{registry}/md-5-0.10.6/src/lib.rs"), Some("md_5")),
            (
                format!("{registry}/hyper-util-0.1.0-rc.1/src/a.rs"),
                Some("hyper_util"),
            ),
            (
                format!("{registry}/zstd-sys-2.0.9+zstd.1.5.5/src/a.rs"),
                Some("zstd_sys"),
            ),
            (
                "/rustc/59807616e1/library/alloc/src/vec/mod.rs".into(),
                Some("alloc"),
            ),
            (
                "/opt/rust/lib/rustlib/src/rust/library/std/src/rt.rs".into(),
                Some("std"),
            ),
            (
                "/rust/deps/hashbrown-0.15.4/src/raw.rs".into(),
                Some("hashbrown"),
            ),
            ("/src/vendor/bytes/src/lib.rs".into(), Some("bytes")),
            ("/home/me/library/core/src/lib.rs".into(), Some("named")),
            (
                "/home/me/.cargo/git/checkouts/repo-0123/abc/src/lib.rs".into(),
                Some("named"),
            ),
            ("src/main.rs".into(), Some("named")),
        ];
        for (file, expected) in pairs {
            assert_eq!(crate_of("named::f", &file).as_deref(), expected, "{file}");
        }
    }

    #[test]
    fn bare_names_get_the_modules_of_their_file() {
        let alloc = "/rustc/59807616e1/library/alloc/src";
        let named = |name, file: &str| qualify(name, &format!("{alloc}/{file}"));
        assert_eq!(
            named("push<u8, A>", "vec/mod.rs").as_deref(),
            Some("alloc::vec::push<u8, A>")
        );
        assert_eq!(
            named("format", "fmt.rs").as_deref(),
            Some("alloc::fmt::format")
        );
        assert_eq!(named("f", "lib.rs").as_deref(), Some("alloc::f"));
        assert_eq!(named("alloc::vec::f", "lib.rs"), None, "is not bare");
        assert_eq!(
            qualify("step", "/home/me/app/src/main.rs"),
            None,
            "the crate is unknown"
        );
    }

    #[test]
    fn allocators_are_internal() {
        for name in [
            "__rust_alloc",
            "__rust_alloc_zeroed",
            "__rust_realloc",
            "__rdl_alloc",
            "__rg_realloc",
            "__rustc::__rust_alloc",
            "__rustc::__rust_no_alloc_shim_is_unstable_v2",
            "heapsite::record::events::allocated",
            "<heapsite::Heapsite<A> as core::alloc::global::GlobalAlloc>::alloc",
            "<heapsite::alloc::Heapsite<mimalloc::MiMalloc> as core::alloc::global::GlobalAlloc>::realloc",
            "heapsite::unwind::capture::{closure#0}",
            "<std::alloc::System as core::alloc::global::GlobalAlloc>::alloc",
        ] {
            assert!(is_internal(name), "{name}");
        }
        for name in [
            "__rust_begin_short_backtrace",
            "alloc::alloc::exchange_malloc",
            "heapsite::allocations::list",
            "heapsite::format::pprof::write",
            "myapp::alloc",
            "<alloc::vec::Vec<u8> as core::clone::Clone>::clone",
        ] {
            assert!(!is_internal(name), "{name}");
        }
    }
}
