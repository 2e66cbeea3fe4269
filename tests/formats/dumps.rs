//! Real dumps, written by this very process: they keep the rules that made-up profiles keep.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use heapsite::format::{self, Format};

use crate::backends::check_snapshot;
use crate::walker::{all, fields, number, unpack};

/// Allocations with stacks of their own, live and freed.
fn allocate(depth: usize, kept: &mut Vec<Vec<u8>>) {
    if depth > 0 {
        allocate(depth - 1, kept);
    }
    kept.push(vec![1; 40_000]);
    drop(std::hint::black_box(vec![2u8; 40_000]));
}

#[test]
fn a_dump_keeps_the_rules_of_backends() {
    let mut kept = Vec::new();
    allocate(20, &mut kept);
    let directory = tempfile::tempdir().unwrap();
    let dump = |format| std::fs::read(heapsite::dump(directory.path(), format).unwrap()).unwrap();
    let bytes = dump(Format::Pprof);
    check_snapshot(&bytes);

    // Rule 3: of mappings in use nothing is left to be symbolised.
    let profile = fields(&unpack(&bytes));
    let mut used = HashSet::new();
    for location in all(&profile, 4) {
        let location = fields(&location);
        let mapping = number(&location, 2);
        if mapping > 0 {
            used.insert(mapping);
            assert!(
                !all(&location, 4).is_empty(),
                "an address without a name in mapping {mapping}"
            );
        }
    }
    assert!(!used.is_empty());
    for (mapping, id) in all(&profile, 3).iter().zip(1..) {
        assert!(
            !used.contains(&id) || number(&fields(mapping), 7) == 1,
            "has_functions of {id}"
        );
    }

    // And what JSON holds of a dump goes out as pprof by the same rules.
    let read = format::read(&dump(Format::Json)).unwrap();
    let own = |function: &&heapsite::profile::Function| function.name == "formats::dumps::allocate";
    assert!(
        read.functions.iter().any(|function| own(&function)),
        "the stacks are this test's"
    );
    let mut again = Vec::new();
    Format::Pprof.write(&read, &mut again).unwrap();
    check_snapshot(&again);
    drop(kept);
}
