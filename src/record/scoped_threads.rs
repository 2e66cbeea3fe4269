//! Threads that inherited a scope: who, when, and where they were made.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::local::Local;
use super::scopes::{self, Ticket};
use crate::sys;

/// Threads remembered; then the oldest is forgotten, which the reader notices by the scope's count. 96 KiB of .bss,
/// touched as used.
const PLACES: usize = 4096;

/// A thread; its words change together only when the place is given to another.
struct Place {
    /// The thread's id in the kernel; 0: being written.
    id: AtomicU64,
    /// Its scope's ticket.
    ticket: AtomicU64,
    /// When it was noted, 1/100 s since boot, above the number of the site that made it, +1.
    when_and_where: AtomicU64,
}

static PLACES_OF: [Place; PLACES] = [const {
    Place {
        id: AtomicU64::new(0),
        ticket: AtomicU64::new(0),
        when_and_where: AtomicU64::new(0),
    }
}; PLACES];
static NEXT: AtomicU64 = AtomicU64::new(0);

const SITE_BITS: u32 = 25;

/// A thread that inherited a scope; it may have ended since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ScopedThread {
    /// The kernel's id of it.
    pub(crate) id: u32,
    /// When it was noted, 1/100 s since boot: not before it began, so a thread that began later is another one.
    pub(crate) noted: u64,
    /// The site at which it was made; `None`: not a thread of std's, or not one that its creator was seen to make.
    pub(crate) made_at: Option<u32>,
}

/// Notes the calling thread, which has just come into the scope with this ticket.
pub(super) fn began(local: &Local, ticket: u64) {
    // Relaxed: places are handed out once each, until they come round.
    let at = NEXT.fetch_add(1, Ordering::Relaxed) as usize % PLACES;
    local.place.set(at as u16);
    let place = &PLACES_OF[at];
    // Release: a reader that sees any of what follows sees that the place is being written.
    place.id.store(0, Ordering::Release);
    place.ticket.store(ticket, Ordering::Release);
    place
        .when_and_where
        .store(sys::boot_centiseconds() << SITE_BITS, Ordering::Release);
    // Release: who sees the id sees the rest.
    place
        .id
        .store(u64::from(sys::thread_id()), Ordering::Release);
}

/// The calling thread, if it was noted, was made at this site.
pub(super) fn made_at(local: &Local, site: u32) {
    if local.scope.get() != 0 {
        let place = &PLACES_OF[usize::from(local.place.get()) % PLACES];
        place
            .when_and_where
            .fetch_or(u64::from(site) + 1, Ordering::Relaxed);
    }
}

/// Calls `visit` for the threads that inherited the scope or one within it.
pub(crate) fn of_scope(scope: Ticket, mut visit: impl FnMut(ScopedThread)) {
    for_each(|ticket, thread| {
        if scopes::is_within(ticket, scope) {
            visit(thread);
        }
    });
}

/// Calls `visit` for the threads that inherited any scope, as far as they are remembered.
pub(crate) fn of_any_scope(mut visit: impl FnMut(ScopedThread)) {
    for_each(|_, thread| visit(thread));
}

fn for_each(mut visit: impl FnMut(u64, ScopedThread)) {
    for place in &PLACES_OF {
        // Acquire: pairs with the Releases in `began`; the same id before and after means one writer's words.
        let id = place.id.load(Ordering::Acquire);
        let ticket = place.ticket.load(Ordering::Acquire);
        let when_and_where = place.when_and_where.load(Ordering::Acquire);
        if id == 0 || place.id.load(Ordering::Acquire) != id {
            continue;
        }
        let site = when_and_where & ((1 << SITE_BITS) - 1);
        let thread = ScopedThread {
            id: id as u32,
            noted: when_and_where >> SITE_BITS,
            made_at: site.checked_sub(1).map(|site| site as u32),
        };
        visit(ticket, thread);
    }
}

/// Where the table lies and how long it is, bytes.
pub(crate) fn extent() -> (usize, usize) {
    (PLACES_OF.as_ptr() as usize, size_of_val(&PLACES_OF))
}
