#![forbid(unsafe_code)]

use super::*;

const COMMIT: &str = "59807616e1fa2540724bfbac14d7976d7e4a3860";

/// A machine in a folder: a file's text is its path.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new(files: &[&str]) -> Machine {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        Machine(dir)
    }

    fn places(&self, roots: &[&str], trim: &[&str]) -> Places {
        let inside = |name: &str| self.0.path().join(name);
        Places {
            roots: roots.iter().map(|root| inside(root)).collect(),
            trim: trim.iter().map(|&prefix| prefix.to_owned()).collect(),
            cargo: Some(inside("cargo")),
            rustup: Some(inside("rustup")),
            here: inside("here"),
        }
    }

    fn toolchain(&self, name: &str, commit: &str) {
        let folder = self
            .0
            .path()
            .join("rustup/toolchains")
            .join(name)
            .join("lib/rustlib");
        fs::create_dir_all(&folder).unwrap();
        let short = &commit[..9];
        let manifest = format!("[pkg.rustc]\nversion = \"1.95.0 ({short} 2026-04-14)\"\n");
        fs::write(folder.join("multirust-channel-manifest.toml"), manifest).unwrap();
    }
}

fn found(places: &Places, file: &str) -> String {
    let source = places.find(file);
    source.map_or_else(|_| "nothing".to_owned(), |it| it.lines.join("\n"))
}

#[test]
fn the_programs_own_files_by_their_ends() {
    let machine = Machine::new(&[
        "checkout/src/main.rs",
        "checkout/crates/http/src/lib.rs",
        "checkout/src/lib.rs",
        "here/src/only_here.rs",
        "here/bare.rs",
        "cut/a.rs",
    ]);
    let places = machine.places(&["checkout"], &[]);
    for (file, expected) in [
        ("/ci/build/7/shop/src/main.rs", "checkout/src/main.rs"),
        // The longest end that is there.
        (
            "/ci/ws/crates/http/src/lib.rs",
            "checkout/crates/http/src/lib.rs",
        ),
        ("src/lib.rs", "checkout/src/lib.rs"),
        ("/ci/shop/src/only_here.rs", "here/src/only_here.rs"),
        ("src/only_here.rs", "here/src/only_here.rs"),
        // In a folder that nobody named, a bare name is not enough.
        ("/ci/shop/bare.rs", "nothing"),
        ("bare.rs", "here/bare.rs"),
        ("", "nothing"),
        ("/", "nothing"),
    ] {
        assert_eq!(found(&places, file), expected, "{file}");
    }
    let trimmed = machine.places(&["cut"], &["/ci/build/"]);
    assert_eq!(found(&trimmed, "/ci/build/a.rs"), "cut/a.rs");
    assert_eq!(found(&trimmed, "/ci/builds/b.rs"), "nothing");
    // As the profile has it, before anything else is tried.
    let absolute = machine.0.path().join("here/bare.rs");
    assert_eq!(found(&places, absolute.to_str().unwrap()), "here/bare.rs");
}

#[test]
fn a_dependencys_file_is_never_the_programs() {
    let machine = Machine::new(&[
        "checkout/src/lib.rs",
        "here/src/lib.rs",
        "cargo/registry/src/index-2/bytes-1.4.0/src/lib.rs",
        "here/vendor/redis-0.25.0/src/lib.rs",
        "cargo/git/checkouts/shop-1234/abc/src/lib.rs",
    ]);
    let places = machine.places(&["checkout"], &[]);
    let registry = "/home/me/.cargo/registry/src/index-1";
    for (file, expected) in [
        (
            format!("{registry}/bytes-1.4.0/src/lib.rs"),
            "cargo/registry/src/index-2/bytes-1.4.0/src/lib.rs",
        ),
        (
            format!("{registry}/redis-0.25.0/src/lib.rs"),
            "here/vendor/redis-0.25.0/src/lib.rs",
        ),
        (format!("{registry}/serde-1.0.0/src/lib.rs"), "nothing"),
        (
            "/home/me/.cargo/git/checkouts/shop-1234/abc/src/lib.rs".into(),
            "cargo/git/checkouts/shop-1234/abc/src/lib.rs",
        ),
    ] {
        assert_eq!(found(&places, &file), expected, "{file}");
    }
    // Its files do not change, whatever their dates say.
    let source = places
        .find(&format!("{registry}/bytes-1.4.0/src/lib.rs"))
        .unwrap();
    assert!(source.modified.is_none());
}

#[test]
fn the_standard_library_of_the_same_compiler_only() {
    let vec = "lib/rustlib/src/rust/library/alloc/src/vec/mod.rs";
    let file = format!("/rustc/{COMMIT}/library/alloc/src/vec/mod.rs");
    let (other, same) = (
        format!("rustup/toolchains/1.80/{vec}"),
        format!("rustup/toolchains/stable/{vec}"),
    );
    let machine = Machine::new(&[&other]);
    machine.toolchain("1.80", "0123456789");
    let places = machine.places(&[], &[]);
    assert_eq!(found(&places, &file), "nothing");
    let hint = |places: &Places| places.find(&file).unwrap_err().hint.unwrap();
    assert!(hint(&places).starts_with("no toolchain here is of commit 59807616e1"));
    machine.toolchain("stable", COMMIT);
    assert!(hint(&places).starts_with("`rustup component add rust-src`"));
    let path = machine.0.path().join(&same);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, &same).unwrap();
    assert_eq!(found(&places, &file), same);
}

#[test]
fn what_is_missing_tells_where_it_was_looked_for() {
    let machine = Machine::new(&["checkout/src/main.rs"]);
    let places = machine.places(&["checkout"], &[]);
    let missing = places.find("/ci/shop/src/gone.rs").unwrap_err();
    let inside = |path: &PathBuf| {
        let inside = path.strip_prefix(machine.0.path()).unwrap_or(path);
        inside.to_string_lossy().into_owned()
    };
    let tried: Vec<String> = missing.tried.iter().map(inside).collect();
    let expected = [
        "/ci/shop/src/gone.rs",
        "checkout/ci/shop/src/gone.rs",
        "checkout/shop/src/gone.rs",
        "checkout/src/gone.rs",
        "checkout/gone.rs",
        "here/ci/shop/src/gone.rs",
        "here/shop/src/gone.rs",
        "here/src/gone.rs",
    ];
    assert_eq!(tried, expected);
    assert!(missing.hint.unwrap().contains("--source-root"));
    // A folder, a device: no source.
    assert!(places.find("/dev/zero").is_err());
    assert!(places.find(machine.0.path().to_str().unwrap()).is_err());
}
