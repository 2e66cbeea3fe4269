//! Reading function names: demangling, the crate a function belongs to, and the allocator's own frames.
#![forbid(unsafe_code)]

use super::origin::{Origin, origin};
use super::path::{Parts, parts, starts_with_path, without_generics};

pub use super::plumbing;

/// The readable form of a Rust symbol, legacy or v0, without hashes; `None` if it is no Rust symbol.
pub fn demangle(symbol: &str) -> Option<String> {
    let name = rustc_demangle::try_demangle(symbol).ok()?;
    Some(format!("{name:#}")).filter(|name| name != symbol)
}

/// Frames between the caller of an allocation and the recorder. They lie at the leaf of every stack, say
/// nothing, and must not show there.
pub fn is_internal(name: &str) -> bool {
    judge(name, &parts(name))
}

/// The same of a name that was taken apart.
pub(super) fn judge(name: &str, parts: &Parts) -> bool {
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
    // Whoever implements GlobalAlloc is an allocator or a wrapper around one.
    parts
        .of_trait
        .as_deref()
        .is_some_and(|of_trait| starts_with_path(of_trait, GLOBAL_ALLOC))
        || MODULES
            .iter()
            .any(|module| starts_with_path(&parts.path, module))
}

/// Whether a function is the one with this path, or lies below the module or crate: in whole segments, type arguments
/// left out.
pub(crate) fn is_in(name: &str, path: &str) -> bool {
    // The cheap question first: most names have nothing of it.
    let last = path.rsplit("::").next().unwrap_or(path);
    name.contains(last) && starts_with_path(&parts(name).path, path)
}

/// The path of a function without type arguments: `alloc::vec::Vec::extend` for `<alloc::vec::Vec<T> as …>::extend`.
pub(crate) fn path_of(name: &str) -> String {
    parts(name).path
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
