#![forbid(unsafe_code)]

use super::*;
use crate::view::testing::profile;

const REGISTRY: &str = "/home/me/.cargo/registry/src/i-1/bytes-1.4.0/src/lib.rs";

/// Sums by hand: the leaf allocates, frames in one pair of brackets are one location, innermost first.
fn shop() -> Profile {
    profile(&[
        (
            &[
                &[("bytes::grow", REGISTRY, 9), ("shop::add", "/s/a.rs", 5)],
                &[("shop::main", "/s/main.rs", 2)],
            ],
            100,
        ),
        (
            // Recursion: twice through line 5, once through line 7.
            &[
                &[("shop::add", "/s/a.rs", 5)],
                &[("shop::add", "/s/a.rs", 7)],
                &[("bytes::grow", REGISTRY, 9), ("shop::add", "/s/a.rs", 5)],
                &[("shop::main", "/s/main.rs", 3)],
            ],
            10,
        ),
        (&[&[("shop::other", "/s/a.rs", 5)]], 1),
        (&[&[("shop::add", "/s/a.rs", 99)]], 0),
    ])
}

fn list(blame: Blame, name: &str) -> Listing {
    let options = Options { kind: None, blame };
    let matches = |function: &str| function.contains(name);
    listing(&shop(), None, &matches, options).unwrap()
}

fn lines(listed: &Listed) -> Vec<(i64, i64, i64)> {
    let line = |line: &ListedLine| (line.line, line.flat.here.value, line.cum.here.value);
    listed.lines.iter().map(line).collect()
}

#[test]
fn a_sample_counts_once_per_line_and_once_per_function() {
    let listing = list(Blame::Leaf, "add");
    let [add] = &listing.functions[..] else {
        panic!("{listing:?}")
    };
    assert_eq!(listing.total.here.value, 111);
    assert_eq!((add.flat.here.value, add.cum.here.value), (10, 110));
    assert_eq!(lines(add), [(5, 10, 110), (7, 0, 10)]);
    let inlined = &add.lines[0].inlined;
    assert_eq!(inlined.len(), 1);
    assert_eq!(inlined[0].frame.function, "bytes::grow");
    assert_eq!((inlined[0].depth, inlined[0].frame.line), (0, 9));
    let values = (inlined[0].flat.here.value, inlined[0].cum.here.value);
    assert_eq!(values, (100, 110));
}

#[test]
fn the_application_is_blamed_as_in_every_view() {
    let listing = list(Blame::Application, "add");
    assert_eq!(lines(&listing.functions[0]), [(5, 110, 110), (7, 0, 10)]);
    // What is passed over can be listed as well.
    let plumbing = list(Blame::Application, "bytes");
    assert_eq!(lines(&plumbing.functions[0]), [(9, 0, 110)]);
}

#[test]
fn what_holds_most_comes_first_and_nothing_is_left_out() {
    let all = list(Blame::Leaf, "");
    let names: Vec<&str> = all.functions.iter().map(|it| &*it.function).collect();
    assert_eq!(
        names,
        ["bytes::grow", "shop::add", "shop::main", "shop::other"]
    );
    assert_eq!((all.chosen, list(Blame::Leaf, "none").chosen), (4, 0));
    let flat: i64 = all.functions.iter().map(|it| it.flat.here.value).sum();
    assert_eq!(flat, all.total.here.value);
}

#[test]
fn over_a_base_each_line_has_its_change() {
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
    let options = Options {
        kind: None,
        blame: Blame::Leaf,
    };
    let matches = |name: &str| name.contains("add") || name.contains("gone");
    let listing = listing(&shop(), Some(&base), &matches, options).unwrap();
    let rows = listing.functions.iter().flat_map(|it| &it.lines);
    let rows: Vec<(i64, i64)> = rows
        .map(|line| (line.line, line.cum.change.unwrap().growth))
        .collect();
    assert_eq!(rows, [(5, 80), (7, 10), (50, -7)]);
    assert_eq!(listing.total.change.unwrap().growth, 74);
}
