//! Memory that nobody frees.

use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use heapsite::leak::{LeakCheck, Options, assert_no_leaks};

use crate::{blamed, hasty};

#[inline(never)]
fn forget_lists(count: usize) {
    for _ in 0..count {
        std::mem::forget(black_box(vec![7u8; 1000]));
    }
}

#[test]
fn forgotten_memory_is_counted_and_its_line_blamed() {
    let check = hasty().start();
    forget_lists(3);
    let report = check.find().unwrap_err();
    assert_eq!(
        blamed(&report),
        [("leak::heap::forget_lists", 3, 3000)],
        "{report}"
    );
    let site = &report.heap[0];
    assert!(site.blamed.file.ends_with("tests/leak/heap.rs"), "{report}");
    assert!(site.blamed.line > 0);
    let functions: Vec<&str> = site.stack.iter().map(|place| &*place.function).collect();
    assert_eq!(functions[0], "leak::heap::forget_lists");
    assert!(
        functions[1].starts_with("leak::heap::forgotten_memory"),
        "{functions:?}"
    );
    assert!(
        report
            .to_string()
            .starts_with("1 leak: 3 objects, 3,000 bytes"),
        "{report}"
    );
}

struct Node {
    _next: RefCell<Option<Rc<Node>>>,
}

#[test]
fn a_cycle_of_references_is_a_leak() {
    let check = hasty().start();
    let node = Rc::new(Node {
        _next: RefCell::new(None),
    });
    *node._next.borrow_mut() = Some(Rc::clone(&node));
    drop(node);
    let report = check.find().unwrap_err();
    assert_eq!(report.heap_total().0, 1, "{report}");
}

#[test]
fn what_grew_inside_is_the_growers() {
    let mut list: Vec<u64> = Vec::with_capacity(4);
    let check = hasty().start();
    list.extend(0..1000);
    let report = check.find().unwrap_err();
    assert_eq!(report.heap_total().0, 1, "{report}");
    drop(list);
    check.find().unwrap();
}

#[test]
fn what_was_there_before_is_of_no_interest() {
    let old = vec![1u8; 100];
    let check = LeakCheck::start();
    std::mem::forget(old);
    check.assert();
}

#[test]
fn current_leaks_can_be_ignored() {
    let check = hasty().start();
    forget_lists(1);
    check.ignore_current();
    check.find().unwrap();
    forget_lists(2);
    let report = check.find().unwrap_err();
    assert_eq!(report.heap_total(), (2, 2000));
}

#[test]
fn functions_modules_and_crates_can_be_ignored() {
    for path in ["leak::heap::forget_lists", "leak::heap", "leak"] {
        let check = hasty().ignore(path).start();
        forget_lists(1);
        check.find().unwrap();
    }
    let check = hasty().ignore("leak::heap::forget").start();
    forget_lists(1);
    check.find().unwrap_err();
}

#[test]
fn small_leaks_can_be_ignored() {
    let options = || Options::new().save(false);
    for (options, is_leak) in [
        (options().min_bytes(2000), false),
        (options().min_bytes(1000), true),
        (options().min_objects(2), false),
    ] {
        let check = options.start();
        forget_lists(1);
        assert_eq!(check.find().is_err(), is_leak);
    }
}

#[test]
fn a_block_without_leaks_gives_its_value() {
    let sum: u64 = assert_no_leaks! {
        let numbers: Vec<u64> = (0..100).collect();
        numbers.iter().sum()
    };
    assert_eq!(sum, 4950);
    fn early(text: &str) -> Result<u64, std::num::ParseIntError> {
        assert_no_leaks! {
            let text = text.to_owned();
            let number: u64 = text.parse()?;
            if number > 7 {
                return Ok(number);
            }
        }
        Ok(7)
    }
    assert_eq!(early("77").unwrap(), 77);
    early("x").unwrap_err();
}

#[test]
#[should_panic = "1 leak: 2 objects, 2,000 bytes"]
fn a_block_with_leaks_panics() {
    assert_no_leaks! { forget_lists(2) }
}

#[test]
#[should_panic = "1 leak: 1 object, 1,000 bytes"]
fn a_check_that_is_only_dropped_panics() {
    let _check = LeakCheck::start();
    forget_lists(1);
}

#[test]
#[should_panic = "the test's own reason"]
fn a_panic_is_not_covered_up() {
    let _check = LeakCheck::start();
    forget_lists(1);
    panic!("the test's own reason");
}

#[test]
fn both_snapshots_are_saved_and_their_difference_is_the_leak() {
    let dir = tempfile::tempdir().unwrap();
    let check = Options::new().save(true).dir(dir.path()).start();
    forget_lists(3);
    let report = check.find().unwrap_err();
    let pair = report.snapshots.as_ref().expect("saved");
    let text = report.to_string();
    assert!(text.contains(&format!(
        "heapsite diff {} {}",
        pair.before.display(),
        pair.after.display()
    )));
    let read = |path| heapsite::format::read(&std::fs::read(path).unwrap()).unwrap();
    let (before, after) = (read(&pair.before), read(&pair.after));
    let live_here = |profile: &heapsite::Profile| -> u64 {
        let named = |id: &heapsite::profile::LocationId| {
            let location = &profile.locations[id.0 as usize];
            location.lines.iter().any(|line| {
                profile.functions[line.function.0 as usize].name == "leak::heap::forget_lists"
            })
        };
        let calls = |id: &heapsite::profile::LocationId| {
            let location = &profile.locations[id.0 as usize];
            location.lines.iter().any(|line| {
                profile.functions[line.function.0 as usize]
                    .name
                    .starts_with("leak::heap::both_snapshots")
            })
        };
        let ours = profile.samples.iter().filter(|sample| {
            sample.locations.iter().any(named) && sample.locations.iter().any(calls)
        });
        ours.map(|sample| sample.detail.as_ref().unwrap().live.bytes)
            .sum()
    };
    assert_eq!((live_here(&before), live_here(&after)), (0, 3000));
}
