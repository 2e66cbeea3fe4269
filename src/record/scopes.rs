//! Scopes: what the threads of one leak check allocate, recorded exactly and told apart from everybody else's.
//!
//! A thread carries the *ticket* of its scope; while that scope is open, every request of the thread is recorded. A live
//! sample of a scope has the scope's number where others have their thread's name: numbers below [`FIRST`] are names.
//! A ticket is a sequence number over a place in the table, so a thread that slept through the end of its scope does not
//! take the next one in the same place for its own.
//!
//! ```text
//! place:   free ──claim: CAS──▶ BUSY ──fields, then Release──▶ ticket (open) ──close──▶ free
//! ```
//!
//! A new thread learns its scope from the thread that made it: Linux hands the timer slack of the creating thread on
//! (prctl(2), PR_SET_TIMERSLACK), whoever calls clone(2). A thread in a scope has a slack that names the scope's
//! place, some microseconds above the default; a new thread asks for its own slack once, at its first event, and only
//! if any scope is open.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::live_map::{Live, MAX_THREADS};
use super::local::Local;
use super::sampler::EXACT;
use super::{clock, fast, scope_tag, scoped_threads, threads};
use crate::sys::{self, ErrnoGuard};

/// Numbers from here on are scopes.
pub(crate) const FIRST: u16 = threads::NAMES as u16;
/// Scopes remembered: 12,288.
pub(super) const PLACES: usize = MAX_THREADS - threads::NAMES;
const PLACE_BITS: u32 = MAX_THREADS.trailing_zeros();
/// Scopes within scopes.
const MAX_DEPTH: usize = 32;

/// The `open` word of a place that is being taken; no ticket is all ones.
const BUSY: u64 = u64::MAX;

/// One scope, or the last one that was in this place.
struct Scope {
    /// Its ticket while it is open; 0: the place is free.
    open: AtomicU64,
    /// Its ticket, and after its end still.
    ticket: AtomicU64,
    /// The ticket of the scope around it; 0: none.
    parent: AtomicU64,
    /// In ticks; what was born earlier under this number belongs to an older scope.
    start: AtomicU64,
    /// The timer slack that its thread had before it.
    slack: AtomicU64,
    allocations: AtomicU64,
    bytes: AtomicU64,
    live_objects: AtomicU64,
    live_bytes: AtomicU64,
    peak_bytes: AtomicU64,
    threads: AtomicU64,
}

/// 1.1 MiB of .bss, touched as used.
static SCOPES: [Scope; PLACES] = [const {
    Scope {
        open: AtomicU64::new(0),
        ticket: AtomicU64::new(0),
        parent: AtomicU64::new(0),
        start: AtomicU64::new(0),
        slack: AtomicU64::new(0),
        allocations: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        live_objects: AtomicU64::new(0),
        live_bytes: AtomicU64::new(0),
        peak_bytes: AtomicU64::new(0),
        threads: AtomicU64::new(0),
    }
}; PLACES];

/// Scopes open now.
static OPEN: AtomicU32 = AtomicU32::new(0);
/// Scopes handed out so far: the next one's sequence number and, modulo the table, its place.
static HANDED_OUT: AtomicU64 = AtomicU64::new(0);
/// The ticket of the scope that every thread without one belongs to; 0: none.
static PROCESS: AtomicU64 = AtomicU64::new(0);

/// What a scope's threads have requested, exact. Inner scopes are part of the outer one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
    pub(crate) live_objects: u64,
    pub(crate) live_bytes: u64,
    pub(crate) peak_bytes: u64,
    /// Threads that inherited the scope.
    pub(crate) threads: u64,
}

/// A scope that has been opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(pub(super) u64);

/// Opens a scope for the calling thread, within the one it is in. `None`: no room, or nested too deep. The second
/// answer: whether threads that it makes will inherit the scope.
pub(crate) fn open() -> Option<(Ticket, bool)> {
    super::local::with(|local| {
        super::restart(local);
        let parent = resolve(local);
        let ticket = claim(parent)?;
        local.scope.set(ticket);
        // Everybody who can meet a block of this scope got it from a thread that saw this set.
        fast::EVER_ON.store(1, Ordering::Relaxed);
        let scope = place(ticket);
        let before = match parent {
            0 => sys::timer_slack().unwrap_or(0),
            // Relaxed: the parent is this thread's own, or its creator's.
            _ => place(parent).slack.load(Ordering::Relaxed),
        };
        scope.slack.store(before, Ordering::Relaxed);
        let tag = scope_tag::of(index(ticket), before);
        let followed = sys::set_timer_slack(tag) && sys::timer_slack() == Some(tag);
        Some((Ticket(ticket), followed))
    })
}

/// Makes an open scope the one of every thread that has none: at its next look-up, at most 64 KiB of its requests away.
pub(crate) fn adopt_everybody(scope: Ticket) {
    // Release: who adopts it sees it open.
    PROCESS.store(scope.0, Ordering::Release);
}

/// Ends a scope. The calling thread goes back to the one around it; other threads of the scope do at their next look-up.
pub(crate) fn close(scope: Ticket) {
    let Ticket(ticket) = scope;
    let before = place(ticket).slack.load(Ordering::Relaxed);
    let _ = PROCESS.compare_exchange(ticket, 0, Ordering::Relaxed, Ordering::Relaxed);
    // Release: whoever takes the place next sees this scope's counters.
    if place(ticket)
        .open
        .compare_exchange(ticket, 0, Ordering::Release, Ordering::Relaxed)
        .is_ok()
    {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
    super::local::with(|local| {
        super::restart(local);
        let around = resolve(local);
        let slack = if around == 0 {
            before
        } else {
            scope_tag::of(index(around), before)
        };
        sys::set_timer_slack(slack);
    });
}

/// What the scope's threads have requested so far; exact as far as the program's own synchronisation orders them.
pub(crate) fn counts(scope: Ticket) -> Counts {
    let scope = place(scope.0);
    // Relaxed: whoever asks has joined, or does not wait for, the threads that count.
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Counts {
        allocations: read(&scope.allocations),
        bytes: read(&scope.bytes),
        live_objects: read(&scope.live_objects),
        live_bytes: read(&scope.live_bytes),
        peak_bytes: read(&scope.peak_bytes),
        threads: read(&scope.threads),
    }
}

/// Whether a live sample was born in the scope, or in one within it.
pub(crate) fn holds(scope: Ticket, live: &Live) -> bool {
    let Some(number) = live.thread.checked_sub(FIRST) else {
        return false;
    };
    let own = &SCOPES[usize::from(number)];
    live.birth >= own.start.load(Ordering::Relaxed)
        && is_within(own.ticket.load(Ordering::Relaxed), scope)
}

/// Whether the scope with this ticket is `outer` or within it.
pub(super) fn is_within(ticket: u64, outer: Ticket) -> bool {
    chain(ticket).any(|(around, _)| around == outer.0)
}

/// Where the table lies and how long it is, bytes.
pub(crate) fn extent() -> (usize, usize) {
    (SCOPES.as_ptr() as usize, size_of_val(&SCOPES))
}

/// The interval for this thread's next request.
#[inline]
pub(super) fn interval_for(local: &Local, global: u64) -> u64 {
    // Relaxed: a thread may notice the process's scope late.
    if local.scope.get() == 0 && PROCESS.load(Ordering::Relaxed) == 0 {
        return global;
    }
    match resolve(local) {
        0 => global,
        _ => EXACT,
    }
}

/// Whether the calling thread is in a scope, as it last knew.
#[inline]
pub(crate) fn is_scoped() -> bool {
    super::local::with(|local| local.scope.get() != 0)
}

/// The number that marks this thread's samples; `None`: it is in no scope.
#[inline]
pub(super) fn mark(local: &Local) -> Option<u16> {
    match local.scope.get() {
        0 => None,
        ticket => Some(FIRST + index(ticket) as u16),
    }
}

/// Counts a sample that has become live.
#[inline]
pub(super) fn born(live: &Live) {
    if live.thread >= FIRST {
        count_born(live);
    }
}

/// Counts a sample that is no longer live. Before anything else asks for the thread's number.
#[inline]
pub(super) fn freed(local: &Local, live: &Live) {
    if live.thread >= FIRST {
        count_freed(local, live);
    }
}

#[cold]
fn count_born(live: &Live) {
    for (_, scope) in chain_of(live) {
        // Relaxed throughout: sums and a maximum, each on its own.
        scope.allocations.fetch_add(1, Ordering::Relaxed);
        scope.bytes.fetch_add(live.size, Ordering::Relaxed);
        scope.live_objects.fetch_add(1, Ordering::Relaxed);
        let before = scope.live_bytes.fetch_add(live.size, Ordering::Relaxed);
        // A free on another thread may be counted before the birth is: a sum that went below zero for a moment is no peak.
        let after = before.wrapping_add(live.size);
        if after <= i64::MAX as u64 {
            scope.peak_bytes.fetch_max(after, Ordering::Relaxed);
        }
    }
}

#[cold]
fn count_freed(local: &Local, live: &Live) {
    if local.is_new() {
        // std's threads begin with freeing the box that their creator handed them: it was made where the thread was.
        local.number();
        resolve(local);
        scoped_threads::made_at(local, live.site);
    }
    for (_, scope) in chain_of(live) {
        scope.live_objects.fetch_sub(1, Ordering::Relaxed);
        scope.live_bytes.fetch_sub(live.size, Ordering::Relaxed);
    }
}

/// The calling thread's first event: it may have been made by a thread that is in a scope.
#[inline]
pub(super) fn thread_began(local: &Local) {
    // Relaxed: the creator opened the scope, or had it itself, before it made this thread.
    if OPEN.load(Ordering::Relaxed) > 0 {
        inherit(local);
    }
}

#[cold]
fn inherit(local: &Local) {
    let _errno = ErrnoGuard::new();
    let place = sys::timer_slack().and_then(scope_tag::place);
    let Some(scope) = place.and_then(|place| SCOPES.get(place)) else {
        return;
    };
    // The creator's scope may have ended meanwhile; then the thread belongs to the one around it.
    // Acquire: pairs with the Release in `take`, as in `is_open`.
    let creators = scope.ticket.load(Ordering::Acquire);
    match chain(creators).find(|(ticket, _)| is_open(*ticket)) {
        Some((ticket, _)) => join(local, ticket),
        // Nor shall its own threads ask once more.
        None => {
            sys::set_timer_slack(scope.slack.load(Ordering::Relaxed));
        }
    }
}

fn join(local: &Local, ticket: u64) {
    local.scope.set(ticket);
    scoped_threads::began(local, ticket);
    for (_, scope) in chain(ticket) {
        scope.threads.fetch_add(1, Ordering::Relaxed);
    }
}

/// The thread's innermost scope that is still open, noted in `local`; 0: none.
pub(super) fn resolve(local: &Local) -> u64 {
    let carried = local.scope.get();
    if carried != 0 && is_open(carried) {
        return carried;
    }
    leave(local, carried)
}

/// This scope if it is open, else the next one around it that is; 0: none.
pub(super) fn open_around(ticket: u64) -> u64 {
    let around = chain(ticket).find(|(ticket, _)| is_open(*ticket));
    around.map_or(0, |(ticket, _)| ticket)
}

/// The thread's scope has ended, or it never had one.
#[cold]
fn leave(local: &Local, carried: u64) -> u64 {
    let ticket = open_around(carried);
    local.scope.set(ticket);
    if ticket != 0 {
        return ticket;
    }
    if carried != 0 {
        // Its own new threads are not to be taken for another scope's, once this place has one again.
        let _errno = ErrnoGuard::new();
        sys::set_timer_slack(place(carried).slack.load(Ordering::Relaxed));
    }
    // Acquire: pairs with the Release in `adopt_everybody`.
    let everybodys = PROCESS.load(Ordering::Acquire);
    if everybodys != 0 && is_open(everybodys) {
        join(local, everybodys);
        return everybodys;
    }
    0
}

/// Takes a free place for a scope within `parent`.
fn claim(parent: u64) -> Option<u64> {
    if parent != 0 && chain(parent).count() >= MAX_DEPTH {
        return None;
    }
    // First a place that nothing refers to; failing that any: a sample's birth tells whose it is.
    for any in [false, true] {
        for _ in 0..PLACES {
            // Relaxed: numbers are handed out once each.
            let sequence = HANDED_OUT.fetch_add(1, Ordering::Relaxed) + 1;
            let at = sequence as usize % PLACES;
            let scope = &SCOPES[at];
            // Acquire: see `close`.
            if scope
                .open
                .compare_exchange(0, BUSY, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
            {
                continue;
            }
            if !any && is_referred_to(scope) {
                scope.open.store(0, Ordering::Relaxed);
                continue;
            }
            let ticket = sequence << PLACE_BITS | at as u64;
            take(scope, ticket, parent);
            return Some(ticket);
        }
    }
    None
}

/// Something of the scope that was here is live, or a thread of it may go back to the scope around it.
fn is_referred_to(scope: &Scope) -> bool {
    let parent = scope.parent.load(Ordering::Relaxed);
    scope.live_objects.load(Ordering::Relaxed) > 0
        || scope.threads.load(Ordering::Relaxed) > 0 && parent != 0 && is_open(parent)
}

fn take(scope: &Scope, ticket: u64, parent: u64) {
    for counter in [
        &scope.allocations,
        &scope.bytes,
        &scope.live_objects,
        &scope.live_bytes,
        &scope.peak_bytes,
        &scope.threads,
    ] {
        counter.store(0, Ordering::Relaxed);
    }
    // A reading of the clock may be a moment old, less than a tick.
    let now = clock::ticks().saturating_sub(1);
    scope.start.store(now, Ordering::Relaxed);
    scope.parent.store(parent, Ordering::Relaxed);
    // Release: who sees the ticket sees what is above.
    scope.ticket.store(ticket, Ordering::Release);
    OPEN.fetch_add(1, Ordering::Relaxed);
    // Release: who sees the ticket sees the rest.
    scope.open.store(ticket, Ordering::Release);
}

fn index(ticket: u64) -> usize {
    (ticket & (MAX_THREADS as u64 - 1)) as usize
}

/// The place that a ticket names; a number that is no place, which no ticket has, is the first.
fn place(ticket: u64) -> &'static Scope {
    SCOPES.get(index(ticket)).unwrap_or(&SCOPES[0])
}

fn is_open(ticket: u64) -> bool {
    // Acquire: with the Release in `take`, for whoever got the ticket from a sample or a neighbour.
    place(ticket).open.load(Ordering::Acquire) == ticket
}

/// A scope and those around it, innermost first, as far as they are remembered.
fn chain(ticket: u64) -> impl Iterator<Item = (u64, &'static Scope)> {
    let mut next = ticket;
    // One more than is allowed, so that a chain that changes meanwhile ends.
    (0..=MAX_DEPTH).map_while(move |_| {
        let ticket = next;
        let scope = place(ticket);
        if ticket == 0 || scope.ticket.load(Ordering::Relaxed) != ticket {
            return None;
        }
        next = scope.parent.load(Ordering::Relaxed);
        Some((ticket, scope))
    })
}

/// The scopes that a live sample counts for.
fn chain_of(live: &Live) -> impl Iterator<Item = (u64, &'static Scope)> {
    let own = &SCOPES[usize::from(live.thread - FIRST) % PLACES];
    let is_older = live.birth < own.start.load(Ordering::Relaxed);
    chain(if is_older {
        0
    } else {
        own.ticket.load(Ordering::Relaxed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_names_its_place_and_its_turn() {
        let ticket = 7u64 << PLACE_BITS | 12_287;
        assert_eq!(index(ticket), 12_287);
        assert_eq!(usize::from(FIRST) + PLACES, MAX_THREADS);
        const { assert!(PLACES <= 1 << PLACE_BITS) };
    }

    /// Unit tests have no heapsite allocator, so that nothing is counted but what is counted here.
    #[test]
    fn inner_scopes_count_for_outer_ones_and_leave_their_threads_to_them() {
        let (outer, _) = open().unwrap();
        let (inner, _) = open().unwrap();
        let live = Live {
            size: 100,
            site: 1,
            birth: clock::ticks(),
            thread: super::super::local::with(mark).unwrap(),
            interval: 0,
        };
        born(&live);
        assert!(holds(inner, &live) && holds(outer, &live));
        assert_eq!(counts(outer).live_bytes, 100);
        close(inner);
        super::super::local::with(|local| {
            assert_eq!(resolve(local), outer.0);
            freed(local, &live);
        });
        assert_eq!(counts(outer).live_objects, 0);
        assert_eq!(counts(outer).peak_bytes, 100);
        let (sibling, _) = open().unwrap();
        assert_ne!(sibling, inner);
        assert_eq!(counts(sibling), Counts::default());
        close(sibling);
        close(outer);
        super::super::local::with(|local| assert_eq!(resolve(local), 0));
    }

    #[test]
    fn a_place_comes_round_unless_something_refers_to_it() {
        let (kept, _) = open().unwrap();
        let live = Live {
            size: 1,
            site: 1,
            birth: clock::ticks(),
            thread: super::super::local::with(mark).unwrap(),
            interval: 0,
        };
        born(&live);
        close(kept);
        for _ in 0..2 * PLACES {
            let (other, _) = open().unwrap();
            assert_ne!(index(other.0), index(kept.0));
            assert!(!holds(other, &live));
            close(other);
        }
        assert!(holds(kept, &live), "still known after two rounds");
        super::super::local::with(|local| freed(local, &live));
    }
}
