#![forbid(unsafe_code)]

use super::*;
use crate::view::testing::profile;

const VEC: &str = "/rustc/9b00/library/alloc/src/vec/mod.rs";
const TOKIO: &str = "/home/me/.cargo/registry/src/i-1/tokio-1.40.0/src/runtime/a.rs";

fn shop() -> Profile {
    profile(&[
        (
            &[
                &[
                    ("alloc::vec::Vec<T>::push", VEC, 9),
                    ("shop::add", "/s/a.rs", 5),
                ],
                &[("tokio::runtime::a::run", TOKIO, 1)],
                &[("shop::main", "/s/main.rs", 2)],
            ],
            100,
        ),
        (
            &[
                &[("shop::fill", "/s/a.rs", 6), ("shop::add", "/s/a.rs", 7)],
                &[("shop::main", "/s/main.rs", 3)],
            ],
            20,
        ),
        (
            &[
                &[("alloc::vec::Vec<T>::push", VEC, 9)],
                &[("tokio::runtime::a::run", TOKIO, 1)],
            ],
            3,
        ),
        (&[], 1),
        (&[&[("shop::main", "/s/main.rs", 3)]], -4),
    ])
}

/// Names from the root with values, in the order of names.
fn paths(flame: &Flame) -> Vec<(String, i64)> {
    let mut paths: Vec<String> = Vec::new();
    for node in &flame.nodes {
        let above = paths.get(node.parent).filter(|path| !path.is_empty());
        let name = node.frame.function.rsplit("::").next().unwrap();
        paths.push(above.map_or(name.to_owned(), |above| format!("{above}/{name}")));
    }
    let mut rows: Vec<(String, i64)> = paths
        .into_iter()
        .zip(flame.nodes.iter().map(|node| node.here.value))
        .collect();
    rows.sort();
    rows
}

fn rows(options: Options<'_>) -> Vec<(String, i64)> {
    paths(&flame(&shop(), None, options).unwrap())
}

fn named(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter()
        .map(|&(name, value)| (name.to_owned(), value))
        .collect()
}

#[test]
fn plumbing_is_folded_away_and_nothing_is_lost() {
    let expected = [
        ("", 124),
        ("(empty stack)", 1),
        ("main", 120),
        ("main/add", 120),
        ("main/add/fill", 20),
        // Nothing but plumbing: what is to blame of it.
        ("run", 3),
    ];
    assert_eq!(rows(Options::default()), named(&expected));
    let negative = flame(&shop(), None, Options::default()).unwrap().negative;
    assert_eq!(negative, -4);
}

#[test]
fn all_frames_and_the_leaf_at_the_root() {
    let all = Options {
        plumbing: true,
        ..Options::default()
    };
    let expected = [
        ("", 124),
        ("(empty stack)", 1),
        ("main", 120),
        ("main/add", 20),
        ("main/add/fill", 20),
        ("main/run", 100),
        ("main/run/add", 100),
        ("main/run/add/push", 100),
        ("run", 3),
        ("run/push", 3),
    ];
    assert_eq!(rows(all), named(&expected));
    let reversed = Options {
        reversed: true,
        ..Options::default()
    };
    let expected = [
        ("", 124),
        ("(empty stack)", 1),
        ("add", 100),
        ("add/main", 100),
        ("fill", 20),
        ("fill/add", 20),
        ("fill/add/main", 20),
        ("run", 3),
    ];
    assert_eq!(rows(reversed), named(&expected));
}

#[test]
fn frames_know_their_lines_and_whose_they_are() {
    let flame = flame(
        &shop(),
        None,
        Options {
            plumbing: true,
            ..Options::default()
        },
    )
    .unwrap();
    let node = |name: &str, value: i64| {
        let found = flame
            .nodes
            .iter()
            .find(|node| node.frame.function.ends_with(name) && node.here.value == value);
        found.unwrap_or_else(|| panic!("{name} {value}"))
    };
    assert_eq!(node("main", 120).lines, [(2, 100), (3, 20)]);
    assert!(node("fill", 20).is_inlined && node("push", 100).is_inlined);
    assert!(!node("push", 3).is_inlined && !node("add", 100).is_inlined);
    let owners = ["push", "run", "main"].map(|name| {
        flame
            .nodes
            .iter()
            .find(|node| node.frame.function.ends_with(name))
            .unwrap()
            .owner
    });
    assert_eq!(owners, [Owner::Std, Owner::Runtime, Owner::Program]);
}

#[test]
fn over_a_base_nodes_tell_their_change_and_those_that_are_gone_stay() {
    let base = profile(&[
        (
            &[
                &[("shop::add", "/s/a.rs", 5)],
                &[("shop::main", "/s/main.rs", 2)],
            ],
            30,
        ),
        (&[&[("shop::gone", "/s/a.rs", 50)]], 7),
    ]);
    let flame = flame(&shop(), Some(&base), Options::default()).unwrap();
    let growth = |name: &str| {
        let node = flame
            .nodes
            .iter()
            .find(|node| node.frame.function == name)
            .unwrap();
        (node.here.value, node.change.as_ref().unwrap().growth)
    };
    assert_eq!(growth("shop::add"), (120, 90));
    assert_eq!(growth("shop::gone"), (0, -7));
    assert_eq!(growth(""), (124, 87));
}
