#![forbid(unsafe_code)]

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
