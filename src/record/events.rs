//! What happens off the fast path: the look-up when a countdown runs out, the birth of a sampled allocation,
//! and its end. Called from inside `malloc`: nothing here allocates, locks, waits or panics.
#![forbid(unsafe_code)]

use std::sync::atomic::{Ordering, compiler_fence};

use super::live_map::{Live, MAX_SIZE};
use super::local::{self, Local, MAX_FRAMES};
use super::losses::{self, Reason};
use super::sampler::{EXACT, OFF, Weight};
use super::site_table::OVERFLOW;
use super::{FILTER, MAP, SITES, intervals, peak, scopes, scratch, threads};
use crate::profile::Cut;
use crate::sys::{self, ErrnoGuard};
use crate::unwind::last::LastCapture;
use crate::unwind::{self, Captured, stack_hash};

/// Bytes a thread may request before it looks up again, however far the next sample is: within so many of
/// its own bytes a thread notices a changed interval, and so exact is the count of requested bytes.
pub(crate) const QUANTUM: i64 = 64 << 10;

/// Addresses must leave room for the live map's sequence.
const MAX_ADDRESS: usize = (1 << 56) - 1;

/// The interval at which an allocation is to be recorded.
#[derive(Clone, Copy)]
pub(crate) struct Chosen(u64);

/// A sampled allocation taken out of the live map, not yet counted as freed.
pub(crate) struct Taken {
    address: usize,
    live: Live,
}

/// The countdown has run out with this request of `size` bytes: is it sampled? Sets the next countdown.
pub(crate) fn choose(size: usize, initial_interval: u64) -> Option<Chosen> {
    local::with(|local| {
        if size > MAX_ADDRESS {
            // No address space has room for it, so it will be refused. Taken back, because such sizes
            // would overflow every sum.
            local
                .countdown
                .set(local.countdown.get().wrapping_add(size as i64));
            return None;
        }
        local.cost.count_look_up();
        let requested = settle_countdown(local);
        if local.ignoring.get() > 0 {
            // An arena serves what looks up: nothing is granted, so that everything does.
            let in_arena = local.scratch.get() != scratch::NONE;
            local.grant(if in_arena { 0 } else { QUANTUM });
            return None;
        }
        let interval = scopes::interval_for(local, super::interval_now(initial_interval));
        decide(local, size, requested, interval)
    })
}

/// Whether a mark falls into the last `size` of the `requested` bytes; sets the next countdown.
fn decide(local: &Local, size: usize, requested: i64, interval: u64) -> Option<Chosen> {
    let chosen = match local.drawn_for.get().checked_sub(1) {
        // The mark ahead was drawn before this request was made, so it decides on it, and under the interval it
        // was drawn for, even if another is in force by now: deciding afresh would forget the marks of requests
        // that were looked up because of them.
        Some(drawn) if drawn > EXACT => {
            let gap = local.gap.get() - requested;
            if gap >= 0 && drawn == interval {
                local.gap.set(gap);
                local.grant(gap.min(QUANTUM));
                return None;
            }
            (gap < 0).then_some(Chosen(drawn))
        }
        // No mark is ahead: this request is the first of its interval.
        _ => match interval {
            OFF => None,
            EXACT => Some(Chosen(EXACT)),
            _ => (local.draw(interval) < size as i64).then_some(Chosen(interval)),
        },
    };
    local.drawn_for.set(interval + 1);
    match interval {
        OFF => local.grant(QUANTUM),
        // Nothing granted: every request looks up.
        EXACT => local.grant(0),
        _ => {
            let gap = local.draw(interval);
            local.gap.set(gap);
            local.grant(gap.min(QUANTUM));
        }
    }
    chosen
}

/// A request of `size` bytes that was looked up has been refused: it does not count as
/// requested.
#[cold]
pub(crate) fn refused(size: usize) {
    if size <= MAX_ADDRESS {
        super::REQUESTED.add(local::with(Local::lane), -(size as i64));
    }
}

/// Makes the calling thread look up, and draw anew, at its next request.
///
/// Whatever settles the countdown outside a look-up must also drop the gap: the gap counts from the last
/// look-up, and without what was requested since it would come out too long. Drawing anew keeps every
/// probability, because the distribution has no memory.
pub(crate) fn restart(local: &Local) {
    settle_countdown(local);
    publish_requested(local);
    local.drawn_for.set(0);
}

/// Notes what the thread has requested since its last look-up, and returns it. The countdown is used up afterwards.
fn settle_countdown(local: &Local) -> i64 {
    let requested = local.granted.get().wrapping_sub(local.countdown.get());
    local.grant(0);
    let unpublished = local.unpublished.get().wrapping_add(requested);
    local.unpublished.set(unpublished);
    // In exact mode every request looks up; the total is brought up to date as often as it is in others.
    if local.drawn_for.get() != EXACT + 1 || unpublished >= QUANTUM {
        publish_requested(local);
    }
    if local.ignoring.get() > 0 && requested > 0 {
        losses::count(Reason::OwnWork, requested as u64);
    }
    requested
}

/// Adds what the thread has requested to the total.
fn publish_requested(local: &Local) {
    super::REQUESTED.add(local.lane(), local.unpublished.replace(0));
    local.cost.publish(local.lane());
}

/// Records an allocation that has just arrived at `address`. Must be called before the program gets it.
#[inline(never)]
pub(crate) fn born(address: usize, size: usize, chosen: Chosen) {
    local::with(|local| {
        if local.recording.replace(true) {
            // A signal handler that allocates, in the middle of a recording. It was chosen like any other (the
            // recorder does not touch the countdown while it records), so what is lost is estimated without
            // bias, and nothing else is.
            let weight = Weight::new(size as u64, chosen.0);
            losses::count(Reason::Reentrant, weight.bytes(size as u64));
            return;
        }
        // A handler that interrupts this thread must find the mark set whenever the buffers are in use.
        compiler_fence(Ordering::SeqCst);
        let errno = ErrnoGuard::new();
        let started = local.start_event();
        record(local, address, size as u64, chosen.0);
        started.end();
        drop(errno);
        compiler_fence(Ordering::SeqCst);
        local.recording.set(false);
    });
}

fn record(local: &Local, address: usize, size: u64, interval: u64) {
    let weight = Weight::new(size, interval);
    if size > MAX_SIZE || address > MAX_ADDRESS {
        losses::count(Reason::Unrepresentable, weight.bytes(size));
        return;
    }
    // Where everything is recorded, a thread's stacks differ little from one event to the next.
    let last = match interval {
        EXACT => LastCapture::claim(local.lane()),
        _ => None,
    };
    let site = site_of_this_stack(local, last.as_ref(), weight.bytes(size));
    drop(last);
    keep(local, address, size, weight, interval, site);
}

/// Makes the allocation live. Apart from the capture, so that the two do not need their stack at the same time.
#[inline(never)]
fn keep(local: &Local, address: usize, size: u64, weight: Weight, interval: u64, site: u32) {
    let live = Live {
        size,
        site,
        birth: local.clock.ticks(),
        thread: scopes::mark(local).unwrap_or_else(|| thread_name(local)),
        interval: intervals::number_of(interval),
    };
    let Some(counters) = SITES.site(site).or_else(|| SITES.overflow()) else {
        return losses::count(Reason::LiveMapFull, weight.bytes(size));
    };
    let Some(mine) = counters.counters(SITES.spare(), local.lane(), weight) else {
        return losses::count(Reason::SiteTableFull, weight.bytes(size));
    };
    if !MAP.insert(address as u64, live) {
        return losses::count(Reason::LiveMapFull, weight.bytes(size));
    }
    FILTER.add(address);
    // Counted before the address is known to anybody who could free it.
    counters.count_alloc(SITES.spare(), mine, size, weight, peak::epoch());
    peak::add(local, weight.bytes(size));
    scopes::born(&live);
}

#[inline(never)]
fn site_of_this_stack(local: &Local, last: Option<&LastCapture>, bytes_estimate: u64) -> u32 {
    let captured = unwind::capture(&local.frames, &local.stack, last);
    site_of_captured(local, last, captured, bytes_estimate)
}

/// Apart from the capture, like [`keep`].
#[inline(never)]
fn site_of_captured(
    local: &Local,
    last: Option<&LastCapture>,
    captured: Captured,
    bytes_estimate: u64,
) -> u32 {
    if let Some(last) = last {
        if let Some(site) = last.site() {
            return site;
        }
        if let Some((frames, hash)) = last.stack() {
            let site = counted_if_full(SITES.intern(hash, frames, 0), bytes_estimate);
            if site != OVERFLOW {
                last.set_site(site);
            }
            return site;
        }
    }
    if let Some(cut) = captured.cut {
        let reason = match cut {
            Cut::Depth => Reason::CutDepth,
            Cut::NoUnwindInfo => Reason::CutNoUnwindInfo,
            Cut::UnknownRule => Reason::CutUnknownRule,
            Cut::BadStack => Reason::CutBadStack,
        };
        losses::count(reason, bytes_estimate);
    }
    let end = captured.len.min(MAX_FRAMES);
    // The recorder's own frames at the leaf are part of it: how many they are is the optimiser's choice, so
    // they are told by name when the profile is read.
    let frames = local.frames[..end].iter().map(|frame| frame.get());
    counted_if_full(
        SITES.intern(
            stack_hash::of(frames.clone()),
            frames,
            unwind::code_of_cut(captured.cut),
        ),
        bytes_estimate,
    )
}

fn counted_if_full(site: u32, bytes_estimate: u64) -> u32 {
    if site == OVERFLOW {
        losses::count(Reason::SiteTableFull, bytes_estimate);
    }
    site
}

/// The number of the thread's name. Threads are often named after their first allocations, so it is asked
/// for again at the 2nd, 4th, 8th … sampled allocation up to the 4,096th, and then every 4,096.
fn thread_name(local: &Local) -> u16 {
    let samples = local.samples.get().wrapping_add(1);
    local.samples.set(samples);
    if samples.is_power_of_two() || samples.is_multiple_of(4096) {
        local.name.set(threads::number_of(sys::thread_name()));
    }
    local.name.get()
}

/// A free of an address that may be sampled.
pub(crate) fn freed(address: usize) {
    timed(|| {
        if let Some(taken) = take(address) {
            settle(&taken);
        }
    });
}

/// Does a part of a free's work, and may note its time. Frees of addresses that turn out not to be sampled are the
/// recorder's cost as well.
pub(crate) fn timed<R>(work: impl FnOnce() -> R) -> R {
    let started = local::with(Local::start_event);
    let done = work();
    started.end();
    done
}

/// Takes the sample at `address`, if there is one, out of the live map.
pub(crate) fn take(address: usize) -> Option<Taken> {
    let live = MAP.remove(address as u64)?;
    FILTER.remove(address);
    Some(Taken { address, live })
}

/// Counts what was taken as freed, with the site, size and weight it was born with.
pub(crate) fn settle(taken: &Taken) {
    let Live {
        size,
        site,
        birth,
        interval,
        ..
    } = taken.live;
    let weight = Weight::new(size, intervals::interval(interval));
    let Some(counters) = SITES.site(site).or_else(|| SITES.overflow()) else {
        return;
    };
    // A lifetime may need memory, and a free leaves errno alone.
    let _errno = ErrnoGuard::new();
    local::with(|local| {
        scopes::freed(local, &taken.live);
        let age = local.clock.ticks().saturating_sub(birth);
        let (spare, lane, epoch) = (SITES.spare(), local.lane(), peak::epoch());
        if !counters.count_free(spare, lane, size, weight, age, epoch) {
            losses::count(Reason::LifetimesFull, weight.bytes(size));
        }
        peak::remove(local, weight.bytes(size));
    });
}

/// Undoes [`take`]: the block is still there.
pub(crate) fn put_back(taken: Taken) {
    if MAP.insert(taken.address as u64, taken.live) {
        FILTER.add(taken.address);
    } else {
        // Its slot was taken meanwhile and nothing can grow: it counts as freed from here on.
        losses::count(Reason::NotPutBack, taken.live.size);
        settle(&taken);
    }
}
