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

/// Reads the layouts that rustc, cargo and distributions give their source trees.
pub(super) fn origin(filename: &str) -> Origin<'_> {
    if filename.is_empty() {
        return Origin::Unknown;
    }
    if let Some(name) = toolchain(filename) {
        return Origin::Toolchain(name);
    }
    let in_registry = split_at_folder(filename, "/registry/src/")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map(|(_, rest)| rest);
    // What the standard library itself depends on.
    let package = in_registry.or_else(|| filename.strip_prefix("/rust/deps/"));
    if let Some((package, _)) = package.and_then(|rest| rest.split_once('/')) {
        return Origin::Dependency(Some(without_version(package)));
    }
    if let Some(package) = vendored(filename) {
        return Origin::Dependency(Some(package));
    }
    match split_at_folder(filename, "/git/checkouts/").is_some() {
        // The repository's name is not always the package's.
        true => Origin::Dependency(None),
        false => Origin::Elsewhere,
    }
}

/// What is in front of the first `folder`, which begins with a slash, and what comes after it. As `split_once`, which takes
/// much longer over short texts, and this is asked of every function.
fn split_at_folder<'a>(filename: &'a str, folder: &str) -> Option<(&'a str, &'a str)> {
    let bytes = filename.as_bytes();
    let begins = |at: &usize| bytes[*at] == b'/' && bytes[*at..].starts_with(folder.as_bytes());
    let at = (0..bytes.len()).find(begins)?;
    Some((&filename[..at], &filename[at + folder.len()..]))
}

/// The crate of the standard library that a file belongs to.
fn toolchain(filename: &str) -> Option<&str> {
    // What lies in the `library` folder of a compiler's source, and may lie in anybody else's.
    const CRATES: [&str; 14] = [
        "alloc",
        "backtrace",
        "compiler-builtins",
        "core",
        "panic_abort",
        "panic_unwind",
        "portable-simd",
        "proc_macro",
        "std",
        "std_detect",
        "stdarch",
        "sysroot",
        "test",
        "unwind",
    ];
    let crate_at = |rest: &'_ str| {
        rest.find('/')
            .map(|end| &filename[filename.len() - rest.len()..][..end])
    };
    if filename.starts_with("/rustc/") {
        return crate_at(split_at_folder(filename, "/library/")?.1);
    }
    if let Some((_, rest)) = split_at_folder(filename, "/lib/rustlib/src/rust/library/") {
        return crate_at(rest);
    }
    // Compilers that a distribution has built: /usr/src/rustc-1.85.0, /build/rustc-1.89.0-src.
    let (before, rest) = split_at_folder(filename, "/library/")?;
    let name = crate_at(rest)?;
    let compiler = before.split('/').any(|folder| folder.starts_with("rustc-"));
    (compiler && CRATES.contains(&name) && rest.contains("/src/")).then_some(name)
}

/// The package of a file that `cargo vendor` has put there: `vendor/PACKAGE/src/…`.
///
/// An application can be checked out below a folder of that name too. Programs are never vendored, and nothing
/// but a package's own folder lies directly in `vendor`.
fn vendored(filename: &str) -> Option<&str> {
    let mut folders = filename.rmatch_indices('/');
    let rest = folders.find_map(|(at, _)| filename[at..].strip_prefix("/vendor/"))?;
    let (package, inside) = rest.split_once('/')?;
    let source = inside.strip_prefix("src/");
    let is_program = source.is_some_and(|file| file == "main.rs" || file.starts_with("bin/"));
    let name = without_version(package);
    ((source.is_some() || name != package) && !is_program).then_some(name)
}

/// Whether a file of no known tree says that it is of this crate: distributions, Nix and Bazel keep packages in
/// folders called `CRATE-VERSION` (Bazel with `…__` in front).
pub(super) fn is_versioned(filename: &str, crate_name: &str) -> bool {
    filename.split('/').any(|folder| {
        let folder = folder.rsplit("__").next().unwrap_or(folder);
        let name = without_version(folder);
        name != folder && name.replace('-', "_") == crate_name
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_file_it_is() {
        let rows = [
            (
                "/rustc/59807616e1/library/alloc/src/vec/mod.rs",
                Origin::Toolchain("alloc"),
            ),
            (
                "/usr/src/rustc-1.85.0/library/alloc/src/raw_vec.rs",
                Origin::Toolchain("alloc"),
            ),
            (
                "/build/rustc-1.89.0-src/library/std/src/rt.rs",
                Origin::Toolchain("std"),
            ),
            (
                "/build/rustc-1.89.0-src/library/portable-simd/crates/core_simd/src/x.rs",
                Origin::Toolchain("portable-simd"),
            ),
            (
                "/opt/rust/lib/rustlib/src/rust/library/core/src/a.rs",
                Origin::Toolchain("core"),
            ),
            (
                "/usr/src/rustc-1.85.0/vendor/hashbrown-0.15.2/src/raw.rs",
                Origin::Dependency(Some("hashbrown")),
            ),
            (
                "/home/me/rustc-tools/library/shop/src/lib.rs",
                Origin::Elsewhere,
            ),
            ("/home/me/library/core/src/lib.rs", Origin::Elsewhere),
            // Vendored, and merely below a folder of that name.
            (
                "/home/me/shop/vendor/bytes/src/lib.rs",
                Origin::Dependency(Some("bytes")),
            ),
            (
                "/home/me/vendor/shop/vendor/bytes/src/lib.rs",
                Origin::Dependency(Some("bytes")),
            ),
            (
                "/home/me/shop/vendor/zstd-safe-7.0.0/lib.rs",
                Origin::Dependency(Some("zstd-safe")),
            ),
            ("/srv/vendor/acme/shop/src/main.rs", Origin::Elsewhere),
            (
                "/srv/vendor/acme/shop/crates/http/src/lib.rs",
                Origin::Elsewhere,
            ),
            ("/srv/vendor/shop/src/main.rs", Origin::Elsewhere),
            ("/srv/vendor/shop/src/bin/worker.rs", Origin::Elsewhere),
            (
                "/home/me/.cargo/git/checkouts/repo-0123/abc/src/lib.rs",
                Origin::Dependency(None),
            ),
            ("", Origin::Unknown),
        ];
        for (file, expected) in rows {
            assert_eq!(origin(file), expected, "{file}");
        }
    }

    #[test]
    fn packages_in_folders_with_a_version() {
        assert!(is_versioned(
            "/usr/share/cargo/registry/bytes-1.4.0/src/lib.rs",
            "bytes"
        ));
        assert!(is_versioned(
            "external/crates__tokio-util-0.7.1/src/lib.rs",
            "tokio_util"
        ));
        assert!(!is_versioned(
            "/build/shop-1.4.0/crates/bytes/src/lib.rs",
            "bytes"
        ));
    }
}
