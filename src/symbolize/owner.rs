//! Whose code a frame is, for pictures that colour by it.
#![forbid(unsafe_code)]

use super::find::{base_name, is_system};
use super::names;
use super::origin::{Origin, origin};
use super::path::parts;
use super::plumbing::{self, Kind};
use crate::profile::{Function, Location, Profile};

/// Whose code a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// The program's own crates, and everything of other languages' programs.
    Program,
    /// A crate from a registry, a repository or a vendored folder.
    Dependency,
    /// Async runtimes, thread pools and servers.
    Runtime,
    /// The standard library.
    Std,
    /// C libraries, the start of the program, addresses without names.
    Native,
}

/// What is known of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origins {
    pub(crate) owner: Owner,
    /// It allocates or calls on somebody's behalf: see [`plumbing`].
    pub(crate) is_plumbing: bool,
    /// The recorder's own, which never shows.
    pub(crate) is_internal: bool,
}

/// Judges the frames of one profile.
pub(crate) struct Owners {
    /// The program's name as a crate's.
    program: String,
    /// One per mapping: the C library and its like.
    system: Vec<bool>,
}

impl Owners {
    pub(crate) fn new(profile: &Profile) -> Owners {
        let mappings = profile.mappings.iter();
        let main = profile
            .mappings
            .first()
            .map_or("", |main| base_name(&main.file));
        Owners {
            program: main.replace('-', "_"),
            system: mappings.map(|it| is_system(&it.file)).collect(),
        }
    }

    /// Of a function at a location; `None`: the address has no name.
    pub(crate) fn judge(&self, location: &Location, function: Option<&Function>) -> Origins {
        let mapping = location.mapping.map(|id| id.0 as usize);
        let is_system = mapping.is_some_and(|at| self.system.get(at).copied().unwrap_or(false));
        let Some(Function { name, filename, .. }) = function.filter(|_| !is_system) else {
            return Origins {
                owner: Owner::Native,
                is_plumbing: is_system,
                is_internal: false,
            };
        };
        let (parts, origin) = (parts(name), origin(filename));
        let kind = plumbing::judge(&parts, filename, origin);
        let owner = match origin {
            Origin::Toolchain(_) => Owner::Std,
            _ if matches!(kind, Some(Kind::Start | Kind::Backtrace)) => Owner::Native,
            Origin::Elsewhere => Owner::Program,
            Origin::Dependency(_) | Origin::Unknown => match names::crate_of(name, filename) {
                _ if matches!(kind, Some(Kind::Runtime | Kind::Task | Kind::Timer)) => {
                    Owner::Runtime
                }
                Some(crate_name) if matches!(&*crate_name, "std" | "core" | "alloc") => Owner::Std,
                Some(crate_name) if crate_name == self.program => Owner::Program,
                Some(crate_name) if is_runtime(&crate_name) => Owner::Runtime,
                Some(_) => Owner::Dependency,
                None => Owner::Native,
            },
        };
        Origins {
            owner,
            is_plumbing: kind.is_some(),
            is_internal: names::judge(name, &parts),
        }
    }
}

/// All of these crates is about running what others wrote.
fn is_runtime(name: &str) -> bool {
    const RUNTIMES: [&str; 14] = [
        "actix_rt",
        "actix_server",
        "async_executor",
        "async_io",
        "async_std",
        "async_task",
        "axum",
        "crossbeam_deque",
        "futures_executor",
        "hyper",
        "hyper_util",
        "rayon_core",
        "smol",
        "tokio",
    ];
    RUNTIMES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Mapping, MappingId};

    #[test]
    fn owners_by_file_then_by_name() {
        let mapping = |file: &str| Mapping {
            file: file.into(),
            ..Mapping::default()
        };
        let profile = Profile {
            mappings: vec![mapping("/srv/my-shop"), mapping("/lib/libc.so.6")],
            ..Profile::default()
        };
        let owners = Owners::new(&profile);
        let registry = "/home/me/.cargo/registry/src/index-1949cf8c6b5b557f";
        let rows = [
            (
                "shop::a",
                "/home/me/shop/src/a.rs".to_owned(),
                Owner::Program,
                false,
            ),
            ("my_shop::a", String::new(), Owner::Program, false),
            ("redis::get", String::new(), Owner::Dependency, false),
            (
                "redis::get",
                format!("{registry}/redis-0.25.0/src/x.rs"),
                Owner::Dependency,
                false,
            ),
            (
                "tokio::runtime::park::park",
                format!("{registry}/tokio-1.40.0/src/runtime/park.rs"),
                Owner::Runtime,
                true,
            ),
            (
                "alloc::vec::Vec<T>::push",
                "/rustc/59807616e1/library/alloc/src/vec/mod.rs".into(),
                Owner::Std,
                true,
            ),
            ("core::iter::map", String::new(), Owner::Std, true),
            ("start_thread", String::new(), Owner::Native, true),
            (
                "main.main",
                "/src/shop/main.go".into(),
                Owner::Program,
                false,
            ),
        ];
        let at = |mapping| Location {
            mapping: Some(MappingId(mapping)),
            ..Location::default()
        };
        for (name, filename, owner, is_plumbing) in rows {
            let function = Function {
                name: name.into(),
                filename,
                ..Function::default()
            };
            let found = owners.judge(&at(0), Some(&function));
            assert_eq!(
                (found.owner, found.is_plumbing),
                (owner, is_plumbing),
                "{name}"
            );
            assert_eq!(owners.judge(&at(1), Some(&function)).owner, Owner::Native);
        }
        let nameless = owners.judge(&at(0), None);
        assert_eq!(
            (nameless.owner, nameless.is_plumbing),
            (Owner::Native, false)
        );
    }
}
