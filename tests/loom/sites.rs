//! The site table.

use loom::sync::Arc;
use loom::sync::atomic::Ordering;
use loom::thread;

use crate::check;
use crate::record::site_table::{OVERFLOW, SiteTable};

fn stack_of(table: &SiteTable, site: u32) -> Vec<u64> {
    let (frames, _) = table.stack(site).expect("a site that was handed out has a stack");
    frames.iter().map(|frame| frame.load(Ordering::Relaxed)).collect()
}

/// Two threads bring the same new stack: one site, and its frames are there for both.
#[test]
fn the_same_stack_is_one_site() {
    check(|| {
        let table = Arc::new(SiteTable::new());
        // The first level exists, so that this model is about one level; growth has its own.
        assert_ne!(table.intern([9].into_iter(), 0), OVERFLOW);
        let other = {
            let table = table.clone();
            thread::spawn(move || {
                let site = table.intern([7, 8].into_iter(), 0);
                assert_eq!(stack_of(&table, site), [7, 8]);
                site
            })
        };
        let mine = table.intern([7, 8].into_iter(), 0);
        assert_eq!(stack_of(&table, mine), [7, 8]);
        assert_eq!(mine, other.join().unwrap());
    });
}

/// Two threads bring different stacks while the table grows: both keep theirs.
#[test]
fn different_stacks_stay_apart() {
    check(|| {
        let table = Arc::new(SiteTable::new());
        let other = {
            let table = table.clone();
            thread::spawn(move || {
                let site = table.intern([1].into_iter(), 0);
                assert!(site == OVERFLOW || stack_of(&table, site) == [1]);
            })
        };
        let mine = table.intern([2].into_iter(), 0);
        assert_eq!(stack_of(&table, mine), [2]);
        other.join().unwrap();
    });
}
