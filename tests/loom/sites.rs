//! The site table.

use loom::sync::Arc;
use loom::sync::atomic::Ordering;
use loom::thread;

use crate::check;
use crate::record::site_table::{OVERFLOW, SiteTable};
use crate::unwind::stack_hash;

fn stack_of(table: &SiteTable, site: u32) -> Vec<u64> {
    let (frames, _) = table.stack(site).expect("a site that was handed out has a stack");
    frames.iter().map(|frame| frame.load(Ordering::Relaxed)).collect()
}

fn intern(table: &SiteTable, stack: &[u64], cut: u8) -> u32 {
    let frames = stack.iter().copied();
    table.intern(stack_hash::of(frames.clone()), frames, cut)
}

/// Two threads bring the same new stack: one site, and its frames are there for both.
#[test]
fn the_same_stack_is_one_site() {
    check(|| {
        let table = Arc::new(SiteTable::new());
        // The first level exists, so that this model is about one level; growth has its own.
        assert_ne!(intern(&table, &[9], 0), OVERFLOW);
        let other = {
            let table = table.clone();
            thread::spawn(move || {
                let site = intern(&table, &[7, 8], 0);
                assert_eq!(stack_of(&table, site), [7, 8]);
                site
            })
        };
        let mine = intern(&table, &[7, 8], 0);
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
                let site = intern(&table, &[1], 0);
                assert!(site == OVERFLOW || stack_of(&table, site) == [1]);
            })
        };
        let mine = intern(&table, &[2], 0);
        assert_eq!(stack_of(&table, mine), [2]);
        other.join().unwrap();
    });
}
