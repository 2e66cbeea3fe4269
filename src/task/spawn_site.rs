//! Lines that make tasks, and what became of theirs.

use std::panic::Location;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::helper;

/// Different (line, type of future) pairs; what comes after counts as [`OTHERS`].
const MOST: usize = 4096;

static SITES: [AtomicPtr<SpawnSite>; MOST] = [const { AtomicPtr::new(std::ptr::null_mut()) }; MOST];
static OTHER_SITES: SpawnSite = SpawnSite::new(None, "");

/// Number of the site that stands for all that found no room.
const OTHERS: u32 = MOST as u32;

/// One line that makes tasks of one type, with exact counts. None is ever forgotten: a program has few.
#[derive(Debug)]
pub(super) struct SpawnSite {
    /// `None`: it stands for all that found no room.
    pub(super) location: Option<&'static Location<'static>>,
    /// The type of the future: for an `async fn` its path.
    pub(super) future: &'static str,
    pub(super) started: AtomicU64,
    pub(super) completed: AtomicU64,
    pub(super) panicked: AtomicU64,
    pub(super) cancelled: AtomicU64,
    /// Started, but not in the list of living tasks: there was no memory for them.
    pub(super) unlisted: AtomicU64,
}

impl SpawnSite {
    const fn new(location: Option<&'static Location<'static>>, future: &'static str) -> SpawnSite {
        SpawnSite {
            location,
            future,
            started: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            unlisted: AtomicU64::new(0),
        }
    }

    /// Two that are written in different places, or by the compiler twice, may be the same.
    fn is(&self, location: &'static Location<'static>, future: &'static str) -> bool {
        std::ptr::eq(self.future, future) && self.location == Some(location)
    }
}

/// The number of the site for a future of this type made at this line.
pub(super) fn number(location: &'static Location<'static>, future: &'static str) -> u32 {
    // The address tells most lines apart; the place in the table is no identity.
    let key = (std::ptr::from_ref(location).addr() >> 3) ^ (future.as_ptr().addr() << 5);
    let first = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 52;
    let mut fresh: *mut SpawnSite = std::ptr::null_mut();
    let mut place = OTHERS;
    for step in 0..MOST {
        let index = (first + step) % MOST;
        let slot = &SITES[index];
        // Acquire: pairs with the exchange below.
        let mut there = slot.load(Ordering::Acquire);
        if there.is_null() {
            if fresh.is_null() {
                let _own_work = helper::own_work();
                fresh = Box::into_raw(Box::new(SpawnSite::new(Some(location), future)));
            }
            // Release: who sees the pointer sees the site. Acquire: the winner's site is looked at.
            match slot.compare_exchange(
                std::ptr::null_mut(),
                fresh,
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return index as u32,
                Err(winner) => there = winner,
            }
        }
        // SAFETY: only `compare_exchange` above stores here: a site from a box, which is never freed.
        if unsafe { &*there }.is(location, future) {
            place = index as u32;
            break;
        }
    }
    if !fresh.is_null() {
        // SAFETY: from the box above, and no slot took it.
        drop(unsafe { Box::from_raw(fresh) });
    }
    place
}

/// The site with a number that [`number`] gave out.
pub(super) fn get(number: u32) -> &'static SpawnSite {
    match SITES
        .get(number as usize)
        .map(|slot| slot.load(Ordering::Acquire))
    {
        // SAFETY: as in `number`.
        Some(there) if !there.is_null() => unsafe { &*there },
        _ => &OTHER_SITES,
    }
}

/// All sites that have made a task, with their numbers.
pub(super) fn all() -> impl Iterator<Item = (u32, &'static SpawnSite)> {
    (0..=OTHERS)
        .map(|number| (number, get(number)))
        .enumerate()
        .filter(|(index, (_, site))| {
            (site.location.is_some() || *index == OTHERS as usize)
                // Relaxed: a count.
                && site.started.load(Ordering::Relaxed) > 0
        })
        .map(|(_, found)| found)
}
