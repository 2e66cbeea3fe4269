//! The live map.

use loom::sync::Arc;
use loom::thread;

use crate::check;
use crate::record::live_map::{Live, LiveMap};

fn live(size: u64) -> Live {
    Live { size, site: size as u32, birth: size, thread: size as u16, interval: size as u8 }
}

/// Two threads insert and remove their own addresses through the same two slots: each gets back exactly
/// what it put in, and nothing stays.
#[test]
fn each_gets_back_its_own() {
    check(|| {
        let map = Arc::new(LiveMap::new());
        let other = {
            let map = map.clone();
            thread::spawn(move || {
                assert!(map.insert(0x20, live(2)));
                assert_eq!(map.remove(0x20), Some(live(2)));
            })
        };
        assert!(map.insert(0x10, live(1)));
        assert_eq!(map.remove(0x10), Some(live(1)));
        other.join().unwrap();
        map.for_each(|address, _| panic!("{address:#x} stayed"));
    });
}

/// Two threads fill the first level, so that both want the second: nothing is lost in growing.
#[test]
fn nothing_is_lost_in_growing() {
    check(|| {
        let map = Arc::new(LiveMap::new());
        assert!(map.insert(0x10, live(1)));
        let other = {
            let map = map.clone();
            thread::spawn(move || assert!(map.insert(0x20, live(2))))
        };
        assert!(map.insert(0x30, live(3)));
        other.join().unwrap();
        for (address, size) in [(0x10, 1), (0x20, 2), (0x30, 3)] {
            assert_eq!(map.remove(address), Some(live(size)), "{address:#x}");
        }
    });
}

/// A reader that walks the map while a slot is emptied and taken again never sees half of one entry and half
/// of another.
#[test]
fn a_walk_never_sees_halves() {
    check(|| {
        let map = Arc::new(LiveMap::new());
        assert!(map.insert(0x10, live(1)));
        let writer = {
            let map = map.clone();
            thread::spawn(move || {
                assert_eq!(map.remove(0x10), Some(live(1)));
                // The same address again, as allocators like to do: only the sequence tells them apart.
                assert!(map.insert(0x10, live(2)));
            })
        };
        map.for_each(|address, seen| {
            assert_eq!(address, 0x10);
            assert!(seen == live(1) || seen == live(2), "{seen:?}");
        });
        writer.join().unwrap();
    });
}

/// Of two threads that remove the same address (a program that frees twice) one settles it.
#[test]
fn one_of_two_removals_settles() {
    check(|| {
        let map = Arc::new(LiveMap::new());
        assert!(map.insert(0x10, live(1)));
        let other = {
            let map = map.clone();
            thread::spawn(move || map.remove(0x10).is_some())
        };
        let mine = map.remove(0x10).is_some();
        assert!(mine ^ other.join().unwrap());
    });
}
