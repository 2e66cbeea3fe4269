//! Which frames and samples filter and prune leave.
#![forbid(unsafe_code)]

use heapsite::Profile;
use heapsite::profile::filter::Filter;
use heapsite::profile::*;

use crate::generate::{by_hand, named};

/// A profile of one value per stack. A stack is written leaf first, locations apart by a space, the inlined
/// functions of one location by `<`, innermost first.
fn profile(stacks: &[(&str, i64)]) -> Profile {
    let mut profile = Profile::default();
    profile.sample_types = vec![ValueType {
        kind: "inuse_space".into(),
        unit: "bytes".into(),
    }];
    let mut places: Vec<&str> = Vec::new();
    for &(stack, value) in stacks {
        let mut sample = Sample::default();
        sample.values = vec![value];
        for place in stack.split(' ') {
            let index = places
                .iter()
                .position(|known| *known == place)
                .unwrap_or_else(|| {
                    let mut location = Location::default();
                    location.address = places.len() as u64 + 1;
                    for name in place.split('<').filter(|name| !name.is_empty()) {
                        let known = profile.functions.iter().position(|f| f.name == name);
                        let function = known.unwrap_or_else(|| {
                            profile.functions.push(named(name, ""));
                            profile.functions.len() - 1
                        });
                        let function = FunctionId(function as u32);
                        location.lines.push(Line {
                            function,
                            line: 1,
                            column: 0,
                        });
                    }
                    profile.locations.push(location);
                    places.push(place);
                    places.len() - 1
                });
            sample.locations.push(LocationId(index as u32));
        }
        profile.samples.push(sample);
    }
    profile
}

fn shown(profile: &Profile) -> Vec<(String, i64)> {
    profile.check().unwrap();
    let place = |id: &LocationId| {
        let lines = &profile.locations[id.0 as usize].lines;
        let names = lines
            .iter()
            .map(|line| profile.functions[line.function.0 as usize].name.as_str());
        names.collect::<Vec<_>>().join("<")
    };
    let stack = |sample: &Sample| {
        sample
            .locations
            .iter()
            .map(place)
            .collect::<Vec<_>>()
            .join(" ")
    };
    profile
        .samples
        .iter()
        .map(|sample| (stack(sample), sample.values[0]))
        .collect()
}

fn list(stacks: &[(&str, i64)]) -> Vec<(String, i64)> {
    stacks
        .iter()
        .map(|&(stack, value)| (stack.to_owned(), value))
        .collect()
}

#[test]
fn prune_drops_the_match_and_all_leafward() {
    let before = profile(&[
        ("x malloc a main", 1),
        ("y malloc b main", 2),
        ("z a main", 4),
        ("malloc start", 8),
        ("x malloc a main", 16),
    ]);
    let after = before.prune(|name| name == "malloc", |_| false).unwrap();
    assert_eq!(
        shown(&after),
        list(&[("a main", 17), ("b main", 2), ("z a main", 4), ("start", 8)])
    );
    assert_eq!(
        after.functions.len(),
        5,
        "a, main, b, z, start: what nobody refers to is gone"
    );

    // The match nearest the root counts; `keep` undoes it.
    let nested = profile(&[("malloc grow malloc a main", 1)]);
    assert_eq!(
        shown(&nested.prune(|n| n == "malloc", |_| false).unwrap()),
        list(&[("a main", 1)])
    );
    assert_eq!(
        shown(&nested.prune(|_| true, |n| n != "grow").unwrap()),
        list(&[("malloc a main", 1)])
    );
    // Nothing is pruned away whole.
    assert_eq!(
        shown(&nested.prune(|_| true, |_| false).unwrap()),
        shown(&nested)
    );
}

#[test]
fn prune_within_a_location_keeps_the_outer_lines() {
    let before = profile(&[("c x<malloc<a main", 1), ("a<malloc main", 2)]);
    let after = before.prune(|name| name == "malloc", |_| false).unwrap();
    assert_eq!(shown(&after), list(&[("a main", 1), ("main", 2)]));
}

#[test]
fn leaf_frames_are_stripped_while_they_match() {
    let before = profile(&[
        ("alloc alloc<vec<a main", 1),
        ("alloc vec a main", 2),
        ("a alloc main", 4),
        ("alloc vec", 8),
        (" alloc main", 16),
    ]);
    let strip = |function: &Function| matches!(function.name.as_str(), "alloc" | "vec");
    let after = before.prune_leaf_while(strip).unwrap();
    let expected = [
        ("a main", 1),
        ("a main", 2),
        ("a alloc main", 4),
        ("vec", 8),
        (" alloc main", 16),
    ];
    // The first two keep different addresses: they stay two samples.
    assert_eq!(shown(&after), list(&expected));

    let equal = profile(&[
        ("alloc a main", 1),
        ("vec a main", 2),
        ("alloc vec a main", 4),
    ]);
    assert_eq!(
        shown(&equal.prune_leaf_while(strip).unwrap()),
        list(&[("a main", 7)])
    );
    // An address keeps one meaning: location `alloc<a` loses its line everywhere.
    let inner = profile(&[("alloc<a main", 1), ("b alloc<a main", 2)]);
    assert_eq!(
        shown(&inner.prune_leaf_while(strip).unwrap()),
        list(&[("a main", 1), ("b a main", 2)])
    );
}

#[test]
fn filters_choose_samples_then_frames() {
    let all = profile(&[("x a<b main", 1), ("y b main", 2), ("x c main", 4)]);
    let is = |name: &'static str| move |function: &Function| function.name == name;
    let (x, b, main) = (is("x"), is("b"), is("main"));
    let kept = |filter: Filter<'_>| shown(&all.filter(&filter).unwrap());
    assert_eq!(kept(Filter::default()), shown(&all));
    let filter = Filter {
        focus: Some(&b),
        ..Filter::default()
    };
    assert_eq!(kept(filter), list(&[("x a<b main", 1), ("y b main", 2)]));
    let filter = Filter {
        focus: Some(&b),
        ignore: Some(&x),
        ..Filter::default()
    };
    assert_eq!(kept(filter), list(&[("y b main", 2)]));
    // `ignore` sees frames that `hide` drops.
    let filter = Filter {
        hide: Some(&x),
        ignore: Some(&b),
        ..Filter::default()
    };
    assert_eq!(kept(filter), list(&[("c main", 4)]));
    let filter = Filter {
        hide: Some(&b),
        ..Filter::default()
    };
    assert_eq!(
        kept(filter),
        list(&[("x a main", 1), ("y main", 2), ("x c main", 4)])
    );
    let filter = Filter {
        show: Some(&main),
        ..Filter::default()
    };
    assert_eq!(kept(filter), list(&[("main", 7)]));
    let none = |_: &Function| false;
    assert_eq!(
        kept(Filter {
            show: Some(&none),
            ..Filter::default()
        }),
        []
    );
}

#[test]
fn filters_ask_for_labels_and_keep_nameless_frames() {
    let profile = by_hand();
    let small = |labels: &[Label]| {
        labels
            .iter()
            .any(|label| matches!(label.value, LabelValue::Num(size, _) if size < 100))
    };
    let filter = Filter {
        labels: Some(&small),
        ..Filter::default()
    };
    let kept = profile.filter(&filter).unwrap();
    assert_eq!((kept.samples.len(), kept.samples[0].values[0]), (1, 1000));
    assert_eq!(kept.heap, profile.heap);

    // libc's frame has no name: `hide` cannot mean it, `show` does not name it.
    let everything = |_: &Function| true;
    let hidden = profile
        .filter(&Filter {
            hide: Some(&everything),
            ..Filter::default()
        })
        .unwrap();
    assert!(
        hidden
            .samples
            .iter()
            .all(|sample| sample.locations.len() == 1)
    );
    let shown = profile
        .filter(&Filter {
            show: Some(&everything),
            ..Filter::default()
        })
        .unwrap();
    assert_eq!(shown.samples[0].locations.len(), 2);
}
