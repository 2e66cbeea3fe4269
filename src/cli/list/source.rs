//! Source files, found by the paths that a profile has: as they are, and where the same file lies on this machine.
//!
//! A path is only shortened as far as it still says whose file it is: `src/lib.rs` of a dependency is never taken for the
//! program's own.
#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where to look.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Folders that the user named.
    pub(super) roots: Vec<PathBuf>,
    /// Beginnings of paths to be left off.
    pub(super) trim: Vec<String>,
    /// Cargo's folder.
    pub(super) cargo: Option<PathBuf>,
    /// Rustup's folder.
    pub(super) rustup: Option<PathBuf>,
    /// The working directory; the empty path is that of the process.
    pub(super) here: PathBuf,
}

/// A file that was found.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) lines: Vec<String>,
    /// When it was last changed; `None`: not known, or of a package, whose files do not change.
    pub(super) modified: Option<SystemTime>,
}

/// A file that was not.
#[derive(Debug)]
pub(super) struct Missing {
    /// Where it was looked for, in this order.
    pub(super) tried: Vec<PathBuf>,
    /// What would help.
    pub(super) hint: Option<String>,
}

/// Whose file a path says that it is.
enum Kind<'a> {
    /// Below `library` of the compiler with this commit.
    Std {
        commit: Option<&'a str>,
        rest: &'a str,
    },
    /// `PACKAGE-1.2.3/src/…`
    Package(&'a str),
    /// `REPOSITORY-HASH/REVISION/…`
    Checkout(&'a str),
    Own,
}

impl Places {
    /// Those of the environment.
    pub(super) fn new(roots: &[PathBuf], trim: &[String]) -> Places {
        let home = env::var_os("HOME").map(PathBuf::from);
        let folder = |variable: &str, name: &str| {
            let named = env::var_os(variable).filter(|it| !it.is_empty());
            named
                .map(PathBuf::from)
                .or_else(|| home.as_ref().map(|home| home.join(name)))
        };
        Places {
            roots: roots.to_vec(),
            trim: trim.to_vec(),
            cargo: folder("CARGO_HOME", ".cargo"),
            rustup: folder("RUSTUP_HOME", ".rustup"),
            here: PathBuf::new(),
        }
    }

    /// Reads the file that a profile calls `file`.
    pub(super) fn find(&self, file: &str) -> Result<Source, Missing> {
        let mut tried: Vec<PathBuf> = Vec::new();
        for path in self.candidates(file) {
            if tried.contains(&path) {
                continue;
            }
            if let Some((lines, modified)) = read(&path) {
                let modified = matches!(kind(file), Kind::Own)
                    .then_some(modified)
                    .flatten();
                return Ok(Source {
                    path,
                    lines,
                    modified,
                });
            }
            tried.push(path);
        }
        Err(Missing {
            tried,
            hint: self.hint(file),
        })
    }

    fn candidates(&self, file: &str) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        let trimmed = self.trim.iter().find_map(|prefix| trim(file, prefix));
        if let Some(rest) = trimmed {
            let roots = self.roots.iter().chain([&self.here]);
            paths.extend(roots.map(|root| root.join(rest)));
        }
        // Joined to the working directory where it is relative.
        paths.push(self.here.join(file));
        match kind(file) {
            Kind::Std { commit, rest } => {
                let inside = Path::new("library").join(rest);
                paths.extend(self.roots.iter().map(|root| root.join(&inside)));
                let sources = "lib/rustlib/src/rust";
                let toolchains = self.toolchains(commit);
                paths.extend(toolchains.map(|it| it.join(sources).join(&inside)));
            }
            Kind::Package(inside) => {
                for root in self.roots.iter().chain([&self.here]) {
                    paths.push(root.join(inside));
                    paths.push(root.join("vendor").join(inside));
                }
                let sources = self.cargo.iter().map(|it| it.join("registry/src"));
                let indexes = sources.flat_map(|it| folders(&it));
                paths.extend(indexes.map(|index| index.join(inside)));
            }
            Kind::Checkout(inside) => {
                let checkouts = self.cargo.iter().map(|it| it.join("git/checkouts"));
                paths.extend(checkouts.map(|it| it.join(inside)));
                paths.extend(self.roots.iter().map(|root| root.join(inside)));
            }
            Kind::Own => {
                let file = trimmed.unwrap_or(file);
                for root in &self.roots {
                    paths.extend(endings(file).map(|ending| root.join(ending)));
                }
                // Nobody asked for this folder: a bare name may be any file's.
                let endings = endings(file).filter(|ending| ending.contains('/'));
                paths.extend(endings.map(|ending| self.here.join(ending)));
            }
        }
        paths
    }

    /// Toolchains that say they are of this commit.
    fn toolchains(&self, commit: Option<&str>) -> impl Iterator<Item = PathBuf> {
        let all = self.rustup.iter().map(|it| it.join("toolchains"));
        let commit = commit.unwrap_or_default().to_owned();
        all.flat_map(|it| folders(&it)).filter(move |toolchain| {
            let manifest = toolchain.join("lib/rustlib/multirust-channel-manifest.toml");
            fs::read_to_string(manifest).is_ok_and(|text| is_of_commit(&text, &commit))
        })
    }

    fn hint(&self, file: &str) -> Option<String> {
        match kind(file) {
            Kind::Std {
                commit: Some(commit),
                ..
            } => Some(match self.toolchains(Some(commit)).next() {
                Some(_) => "`rustup component add rust-src` installs the standard library's source"
                    .to_owned(),
                None => format!(
                    "no toolchain here is of commit {}; `rustup component add rust-src` for the one that built the program \
                     installs the standard library's source",
                    commit.get(..10).unwrap_or(commit)
                ),
            }),
            Kind::Std { commit: None, .. } | Kind::Checkout(_) => None,
            Kind::Package(_) => {
                Some("`cargo fetch` in the program's folder brings its dependencies".to_owned())
            }
            Kind::Own => Some("--source-root DIR says where the program's source is".to_owned()),
        }
    }
}

/// A toolchain's manifest has its parts' versions: `version = "1.95.0 (59807616e 2026-04-14)"`.
fn is_of_commit(manifest: &str, commit: &str) -> bool {
    const LEAST: usize = 7;
    let short = manifest.split(" (").skip(1);
    short
        .filter_map(|rest| rest.split(' ').next())
        .any(|short| short.len() >= LEAST && commit.starts_with(short))
}

fn kind(file: &str) -> Kind<'_> {
    if let Some(rest) = file.strip_prefix("/rustc/")
        && let Some((commit, rest)) = rest.split_once("/library/")
    {
        return Kind::Std {
            commit: Some(commit),
            rest,
        };
    }
    if let Some((_, rest)) = file.split_once("/lib/rustlib/src/rust/library/") {
        return Kind::Std { commit: None, rest };
    }
    let index = file.split_once("/registry/src/").map(|(_, rest)| rest);
    let package = index
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, rest)| rest);
    if let Some(package) = package.or_else(|| file.strip_prefix("/rust/deps/")) {
        return Kind::Package(package);
    }
    match file.split_once("/git/checkouts/") {
        Some((_, inside)) => Kind::Checkout(inside),
        None => Kind::Own,
    }
}

/// `file` without `prefix`, which ends where a folder does.
fn trim<'a>(file: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = file.strip_prefix(prefix.trim_end_matches('/'))?;
    rest.strip_prefix('/').filter(|rest| !rest.is_empty())
}

/// `a/b/c.rs`, `b/c.rs`, `c.rs`
fn endings(file: &str) -> impl Iterator<Item = &str> {
    let whole = file.trim_start_matches('/');
    let shorter = whole
        .match_indices('/')
        .map(|(at, _)| &whole[at + 1..])
        .filter(|ending| !ending.is_empty());
    [whole].into_iter().chain(shorter)
}

fn folders(inside: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(inside).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    // Newer toolchains and versions last in any case: the same order every time.
    folders.sort();
    folders
}

/// The most that is read of a file; source is shorter.
const LONGEST: u64 = 32 << 20;

/// A device or a pipe is no source.
fn read(path: &Path) -> Option<(Vec<String>, Option<SystemTime>)> {
    let known = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::to_owned).collect();
    Some((lines, known.modified().ok()))
}

#[cfg(test)]
mod tests;
