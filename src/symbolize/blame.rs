//! Which frame of a stack is to blame: the line a developer can change.
//!
//! Walking from the leaf, frames are passed over while they only allocate on behalf of their caller. The walk
//! ends where an async runtime polls a task: what lies beyond has polled the task, it has not asked for the
//! memory, so the `main` at the root of a single-threaded runtime is not accused of every allocation.
#![forbid(unsafe_code)]

use super::find::base_name;
use super::names;
use super::origin::{Origin, origin};
use super::path::{Parts, parts, starts_with_path};
use super::plumbing::{self, Kind};
use crate::profile::{Function, FunctionId, Line, LocationId, Profile, Sample};
use std::sync::OnceLock;

/// A frame in a sample's stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlamedFrame {
    /// Index into [`Sample::locations`].
    pub location: usize,
    /// Index into [`crate::profile::Location::lines`]; 0 where the location has none.
    pub line: usize,
}

/// Blames one sample. For many samples make a [`Blamer`], which judges every function once.
///
/// `None` only if the stack is empty.
pub fn blame(profile: &Profile, sample: &Sample) -> Option<BlamedFrame> {
    Blamer::new(profile).blame(sample)
}

/// Blames samples, and judges each function once on the way.
#[derive(Debug)]
pub struct Blamer<'a> {
    profile: &'a Profile,
    /// The program's name as a crate's.
    program: String,
    /// One per function, worked out when it is asked for: most lie rootward of what is blamed.
    claims: Vec<OnceLock<Claim>>,
    /// One per mapping: the C library and its like.
    system: Vec<bool>,
}

/// How good an answer a frame is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// Application code.
    Application,
    /// Application code that derive macros write, or that copies and prints: its caller is the better answer.
    Helper,
    /// A dependency that is not in the table, or code of unknown origin.
    Library,
    /// A dependency in the table that does something recognisable (a data format, logs, a channel).
    Plumbing,
    /// Servers and runtimes, as good as other plumbing. They call the application, and never because it wants a
    /// copy of something.
    Caller,
    /// Collections and the standard library.
    Container,
    /// Polls a task: the end of the walk. As an answer no better than a container.
    TaskBoundary,
    /// The allocator, the profiler, the start of the program.
    Nobody,
}

impl Claim {
    fn rank(self) -> Claim {
        if self == Claim::Caller {
            Claim::Plumbing
        } else {
            self
        }
    }
}

impl<'a> Blamer<'a> {
    /// Of the functions of `profile`.
    pub fn new(profile: &'a Profile) -> Blamer<'a> {
        // Without file names the program's own crate is recognised by the program's name.
        let program = profile
            .mappings
            .first()
            .map_or("", |main| base_name(&main.file));
        let program = program.replace('-', "_");
        let system = profile
            .mappings
            .iter()
            .map(|mapping| is_system(&mapping.file))
            .collect();
        Blamer {
            profile,
            program,
            claims: vec![OnceLock::new(); profile.functions.len()],
            system,
        }
    }

    /// The frame to blame: the first application frame from the leaf; without one the first frame of a
    /// dependency, preferring those that are not plumbing; without names the leaf. `None` if the stack is empty.
    pub fn blame(&self, sample: &Sample) -> Option<BlamedFrame> {
        let mut best: Option<(Claim, BlamedFrame)> = None;
        'stack: for (location, &id) in sample.locations.iter().enumerate() {
            for (line, claim) in self.claims_of(id).enumerate() {
                // A body that the framework decodes for its handler: no caller further out asked for it.
                if claim == Claim::Caller && best.is_some_and(|(best, _)| best == Claim::Helper) {
                    break 'stack;
                }
                if best.is_none_or(|(best, _)| claim.rank() < best.rank()) {
                    best = Some((claim, BlamedFrame { location, line }));
                }
                if matches!(claim, Claim::Application | Claim::TaskBoundary) {
                    break 'stack;
                }
            }
        }
        let leaf = BlamedFrame {
            location: 0,
            line: 0,
        };
        best.map(|(_, frame)| frame)
            .or((!sample.locations.is_empty()).then_some(leaf))
    }

    fn claims_of(&self, id: LocationId) -> impl Iterator<Item = Claim> + '_ {
        let location = self.profile.locations.get(id.0 as usize);
        let mapping = location.and_then(|location| location.mapping);
        let system =
            mapping.is_some_and(|m| self.system.get(m.0 as usize).copied().unwrap_or(false));
        let lines: &[Line] = location.map_or(&[], |location| &location.lines);
        lines.iter().map(move |line| match system {
            true => Claim::Nobody,
            false => self.claim(line.function),
        })
    }

    fn claim(&self, id: FunctionId) -> Claim {
        let index = id.0 as usize;
        let (Some(known), Some(function)) =
            (self.claims.get(index), self.profile.functions.get(index))
        else {
            return Claim::Nobody;
        };
        *known.get_or_init(|| claim(function, &self.program))
    }
}

fn claim(function: &Function, program: &str) -> Claim {
    let Function { name, filename, .. } = function;
    let (parts, origin) = (&parts(name), origin(filename));
    if is_task_boundary(name, parts) {
        return Claim::TaskBoundary;
    }
    if names::judge(name, parts) {
        return Claim::Nobody;
    }
    if let Some(kind) = plumbing::judge(parts, filename, origin) {
        return match kind {
            Kind::Allocator | Kind::Start | Kind::Backtrace => Claim::Nobody,
            Kind::Http | Kind::Runtime => Claim::Caller,
            Kind::Tls | Kind::Serialization | Kind::Logging => Claim::Plumbing,
            Kind::Task | Kind::Timer | Kind::Channel => Claim::Plumbing,
            _ => Claim::Container,
        };
    }
    let ours = match origin {
        Origin::Elsewhere => true,
        // The program itself, checked out below a folder called `vendor`.
        Origin::Dependency(Some(package)) if filename.contains("/vendor/") => {
            package.replace('-', "_") == program
        }
        Origin::Unknown => names::crate_of(name, filename).is_some_and(|name| name == program),
        Origin::Dependency(_) | Origin::Toolchain(_) => false,
    };
    match ours {
        true if is_helper(name, parts) => Claim::Helper,
        true => Claim::Application,
        false => Claim::Library,
    }
}

/// Where a runtime hands control to a task.
fn is_task_boundary(name: &str, parts: &Parts) -> bool {
    const BOUNDARIES: [&str; 8] = [
        "tokio::runtime::task::raw::poll",
        "tokio::runtime::task::raw::RawTask::poll",
        "tokio::runtime::task::harness::poll_future",
        "tokio::runtime::task::harness::Harness::poll",
        "tokio::runtime::task::LocalNotified::run",
        "tokio::runtime::task::UnownedTask::run",
        "async_task::raw::RawTask::run",
        "async_task::runnable::Runnable::run",
    ];
    // The cheap question first: this is asked of every function.
    (name.contains("::task::") || name.contains("async_task"))
        && BOUNDARIES.contains(&parts.path.as_str())
}

/// Trait methods that are mostly derived, and allocate because their caller wants a copy or a text.
fn is_helper(name: &str, parts: &Parts) -> bool {
    const TRAITS: [&str; 7] = [
        "core::clone::Clone",
        "core::fmt",
        "alloc::string::ToString",
        "serde::ser",
        "serde::de",
        "serde_core::ser",
        "serde_core::de",
    ];
    // Derive macros of data formats put their code into `const _: () = { … }`.
    name.contains("::_::")
        || parts
            .of_trait
            .as_deref()
            .is_some_and(|of_trait| TRAITS.iter().any(|start| starts_with_path(of_trait, start)))
}

/// The C library and the dynamic linker: with debug packages installed their functions have lines too.
fn is_system(file: &str) -> bool {
    const NAMES: [&str; 9] = [
        "ld-",
        "libc.",
        "libc-",
        "libpthread",
        "libm.",
        "libgcc_s",
        "libdl",
        "librt",
        "libstdc++",
    ];
    let name = base_name(file);
    name == "[vdso]" || NAMES.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{FunctionId, Location, Mapping, MappingId};

    const APP: &str = "/home/me/shop/src/orders.rs";

    /// The blamed function of a stack of `(name, file)`, leaf first, one frame per location.
    fn blamed<'a>(stack: &[(&'a str, &str)]) -> &'a str {
        let mut profile = Profile::default();
        let mapping = Mapping {
            file: "/usr/bin/shop".into(),
            ..Mapping::default()
        };
        profile.mappings.push(mapping);
        let mut sample = Sample::default();
        for (index, &(name, file)) in (0u32..).zip(stack) {
            let (name, filename) = (name.to_owned(), place(file));
            profile.functions.push(Function {
                name,
                filename,
                ..Function::default()
            });
            let line = Line {
                function: FunctionId(index),
                line: 1,
                column: 0,
            };
            let mapping = Some(MappingId(0));
            profile.locations.push(Location {
                mapping,
                lines: vec![line],
                ..Location::default()
            });
            sample.locations.push(LocationId(index));
        }
        stack[blame(&profile, &sample)
            .expect("the stack is not empty")
            .location]
            .0
    }

    /// `alloc` → the standard library's, `hyper-1.4.0` → the registry's, anything else as it is.
    fn place(file: &str) -> String {
        match file {
            "core" | "alloc" | "std" => format!("/rustc/59807616e1/library/{file}/src/x.rs"),
            file if file.starts_with('/') || file.is_empty() => file.to_owned(),
            file => format!("/home/me/.cargo/registry/src/index-1949cf8c6b5b557f/{file}/src/x.rs"),
        }
    }

    /// What lies below every axum handler on a multi-threaded runtime, leaf first.
    const SERVER: [(&str, &str); 13] = [
        (
            "<shop::place_order::{closure#0} as axum::handler::Handler<_, _>>::call::{closure#0}",
            "axum-0.8.4",
        ),
        (
            "<axum::util::MapIntoResponse<F> as core::future::future::Future>::poll",
            "axum-0.8.4",
        ),
        (
            "<tower::util::oneshot::Oneshot<S,Req> as core::future::future::Future>::poll",
            "tower-0.5.1",
        ),
        (
            "<shop::timing::Timing<S> as tower_service::Service<R>>::call::{closure#0}",
            "/home/me/shop/src/timing.rs",
        ),
        (
            "hyper::proto::h1::dispatch::Dispatcher<D,Bs,I,T>::poll_catch",
            "hyper-1.4.0",
        ),
        (
            "<axum::serve::WithGracefulShutdown as core::future::IntoFuture>::into_future::{closure#0}",
            "axum-0.8.4",
        ),
        (
            "tokio::runtime::task::core::Core<T,S>::poll::{closure#0}",
            "tokio-1.40.0",
        ),
        ("tokio::runtime::task::harness::poll_future", "tokio-1.40.0"),
        ("tokio::runtime::task::raw::poll", "tokio-1.40.0"),
        (
            "tokio::runtime::scheduler::current_thread::Context::run_task",
            "tokio-1.40.0",
        ),
        ("tokio::runtime::runtime::Runtime::block_on", "tokio-1.40.0"),
        ("shop::main", "/home/me/shop/src/main.rs"),
        ("main", ""),
    ];

    fn served<'a>(leafward: &[(&'a str, &'a str)]) -> &'a str {
        blamed(&[leafward, &SERVER].concat())
    }

    #[test]
    fn the_handlers_line_wins() {
        let growth = [
            ("__rustc::__rust_realloc", ""),
            ("alloc::raw_vec::finish_grow", "alloc"),
            ("alloc::raw_vec::RawVec<T,A>::grow_one", "alloc"),
            ("alloc::vec::Vec<T,A>::push", "alloc"),
        ];
        let handler = ("shop::orders::place_order::{closure#0}", APP);
        assert_eq!(served(&[&growth[..], &[handler]].concat()), handler.0);
        // Through a map, a channel, JSON and a spawned task's cell.
        let map = [(
            "hashbrown::raw::RawTable<T,A>::reserve_rehash",
            "/rust/deps/hashbrown-0.15.4/src/x.rs",
        )];
        assert_eq!(served(&[&map[..], &[handler]].concat()), handler.0);
        let spawn = [
            ("alloc::boxed::Box<T>::new", "alloc"),
            ("tokio::runtime::task::core::Cell<T,S>::new", "tokio-1.40.0"),
            ("tokio::runtime::task::raw::RawTask::new", "tokio-1.40.0"),
            ("tokio::task::spawn::spawn", "tokio-1.40.0"),
        ];
        assert_eq!(served(&[&spawn[..], &[handler]].concat()), handler.0);
        let derived = [
            ("alloc::string::String::clone", "alloc"),
            (
                "shop::orders::_::<impl serde::de::Deserialize for shop::orders::Order>::deserialize",
                APP,
            ),
            ("serde_json::de::from_slice", "serde_json-1.0.1"),
        ];
        assert_eq!(served(&[&derived[..], &[handler]].concat()), handler.0);
        // An extractor runs before the handler: the derived code is the best there is.
        assert_eq!(served(&derived), derived[1].0);
        let cloned = ("<shop::orders::Order as core::clone::Clone>::clone", APP);
        assert_eq!(served(&[cloned, handler]), handler.0);
        // Bare names from line tables: the file tells.
        assert_eq!(
            served(&[("push<u8>", "alloc"), ("{async_fn#0}", APP)]),
            "{async_fn#0}"
        );
    }

    #[test]
    fn main_is_not_accused_of_what_a_task_does() {
        let connection = &SERVER[4..];
        let buffer = [
            ("alloc::vec::Vec<T,A>::reserve", "alloc"),
            ("bytes::BytesMut::reserve", "bytes-1.7.0"),
        ];
        assert_eq!(blamed(&[&buffer[..], connection].concat()), connection[0].0);
        // An unknown dependency is more telling than hyper.
        let driver = ("redis::aio::Connection::poll", "redis-0.25.0");
        assert_eq!(
            blamed(&[&buffer[..], &[driver], connection].concat()),
            driver.0
        );
        // Without a runtime in between, main did it.
        assert_eq!(blamed(&[buffer[0], SERVER[11], SERVER[12]]), "shop::main");
    }

    #[test]
    fn without_files_the_programs_name_tells_its_crate() {
        let stack = [
            ("alloc::raw_vec::finish_grow", ""),
            ("redis::parse", ""),
            ("<shop::Cache as redis::Parse>::parse", ""),
            ("std::rt::lang_start", ""),
        ];
        assert_eq!(blamed(&stack), stack[2].0);
        assert_eq!(blamed(&stack[..2]), "redis::parse");
    }

    #[test]
    fn odd_places_of_sources() {
        // A distribution's toolchain is no application.
        let debian = "/usr/src/rustc-1.85.0/library/alloc/src/raw_vec.rs";
        let grow = ("alloc::raw_vec::RawVec<T,A>::grow_one", debian);
        let handler = ("shop::orders::place", APP);
        assert_eq!(blamed(&[grow, ("finish_grow", debian), handler]), handler.0);
        // The application's own crates and inlined functions may be called like dependencies,
        for own in [
            (
                "http::client::send",
                "/home/me/shop/crates/http/src/client.rs",
            ),
            ("bytes", APP),
            ("main", "/home/me/shop/src/main.rs"),
            // and all of it may lie below `vendor`.
            ("shop::orders::place", "/srv/vendor/shop/src/orders.rs"),
            ("acme::orders::place", "/srv/vendor/acme/shop/src/orders.rs"),
        ] {
            assert_eq!(blamed(&[grow, own, SERVER[11]]), own.0);
        }
        let vendored = ("redis::parse", "/home/me/shop/vendor/redis/src/parser.rs");
        assert_eq!(blamed(&[grow, vendored, handler]), handler.0);
    }

    #[test]
    fn poor_stacks_get_an_answer_too() {
        assert_eq!(
            blamed(&[("alloc::raw_vec::finish_grow", "alloc"), ("main", "")]),
            "alloc::raw_vec::finish_grow"
        );
        assert_eq!(
            blamed(&[("__rust_alloc", ""), ("main", "")]),
            "__rust_alloc"
        );
        let mut profile = Profile::default();
        assert_eq!(blame(&profile, &Sample::default()), None);
        profile.locations.push(Location::default());
        let sample = Sample {
            locations: vec![LocationId(0), LocationId(7)],
            ..Sample::default()
        };
        assert_eq!(
            blame(&profile, &sample),
            Some(BlamedFrame {
                location: 0,
                line: 0
            })
        );
    }

    #[test]
    fn the_c_library_with_debug_symbols_is_not_the_application() {
        let mut profile = Profile::default();
        for file in ["/usr/bin/shop", "/usr/lib/libc.so.6"] {
            profile.mappings.push(Mapping {
                file: file.into(),
                ..Mapping::default()
            });
        }
        for (index, (name, file)) in (0u32..).zip([
            ("qsort_r", "./stdlib/msort.c"),
            ("shop::sort", APP),
            ("start_thread", "./nptl/x.c"),
        ]) {
            let (name, filename) = (name.to_owned(), file.to_owned());
            profile.functions.push(Function {
                name,
                filename,
                ..Function::default()
            });
            let line = Line {
                function: FunctionId(index),
                line: 1,
                column: 0,
            };
            let mapping = Some(MappingId((index + 1) % 2));
            profile.locations.push(Location {
                mapping,
                lines: vec![line],
                ..Location::default()
            });
        }
        let sample = Sample {
            locations: (0..3).map(LocationId).collect(),
            ..Sample::default()
        };
        assert_eq!(
            blame(&profile, &sample),
            Some(BlamedFrame {
                location: 1,
                line: 0
            })
        );
    }
}
