//! What each thread keeps. One const cell without Drop: reading it never allocates, works from the first
//! instruction of a thread to the last TLS destructor, and costs one segment-relative access.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::clock::LastReading;
use super::cost::{Cost, Started};
use super::sampler::{EXACT, Random};
use super::scratch;
use crate::sync::lane::Lane;
use crate::unwind::StackCache;

/// Deepest stack kept; deeper ones are cut and say so.
pub(crate) const MAX_FRAMES: usize = 256;

/// All-zero at a thread's birth, which means: settle everything on the first allocation.
pub(crate) struct Local {
    /// Bytes this thread may still request before it has to look up. Negative: look up now.
    pub(super) countdown: Cell<i64>,
    /// What `countdown` was last set to.
    pub(super) granted: Cell<i64>,
    /// Bytes requested that the total does not have yet; below [`events::QUANTUM`](super::events::QUANTUM).
    pub(super) unpublished: Cell<i64>,
    /// Bytes from the last look-up to the next sampled byte.
    pub(super) gap: Cell<i64>,
    /// The interval `gap` was drawn for, +1; 0: not drawn yet.
    pub(super) drawn_for: Cell<u64>,
    /// Set while this thread records: what allocates now is the recorder's doing or a signal handler's.
    pub(super) recording: Cell<bool>,
    /// How many [`Ignore`] guards this thread holds.
    pub(super) ignoring: Cell<u32>,
    /// The number of the arena that this thread's requests are served from, or [`scratch::NONE`].
    pub(super) scratch: Cell<u8>,
    /// The ticket of the scope it is in, as it last knew; 0: none.
    pub(super) scope: Cell<u64>,
    /// Its place among the threads that inherited a scope.
    pub(super) place: Cell<u16>,
    /// From 1; 0: not numbered yet.
    number: Cell<u32>,
    /// Its lane's number, +1; 0: not asked yet.
    lane: Cell<u32>,
    random: Cell<u64>,
    /// How much more this thread has made live than freed since a new peak was last looked for; not below 0.
    pub(super) risen: Cell<u64>,
    /// Number of the thread's name, and at which sampled allocation it is asked for again.
    pub(super) name: Cell<u16>,
    pub(super) samples: Cell<u32>,
    pub(super) clock: LastReading,
    pub(super) cost: Cost,
    pub(super) stack: StackCache,
    pub(super) frames: [Cell<u64>; MAX_FRAMES],
}

thread_local! {
    static LOCAL: Local = const {
        Local {
            countdown: Cell::new(0),
            granted: Cell::new(0),
            unpublished: Cell::new(0),
            gap: Cell::new(0),
            drawn_for: Cell::new(0),
            recording: Cell::new(false),
            ignoring: Cell::new(0),
            scratch: Cell::new(scratch::NONE),
            scope: Cell::new(0),
            place: Cell::new(0),
            number: Cell::new(0),
            lane: Cell::new(0),
            random: Cell::new(0),
            risen: Cell::new(0),
            name: Cell::new(0),
            samples: Cell::new(0),
            clock: LastReading::new(),
            cost: Cost::new(),
            stack: StackCache::new(),
            frames: [const { Cell::new(0) }; MAX_FRAMES],
        }
    };
}

const _: () = assert!(!std::mem::needs_drop::<Local>());

static THREADS: AtomicU32 = AtomicU32::new(0);
static SEED: AtomicU64 = AtomicU64::new(0);

/// Runs `work` on the calling thread's cell.
#[inline(always)]
pub(crate) fn with<R>(work: impl FnOnce(&Local) -> R) -> R {
    LOCAL.with(work)
}

impl Local {
    /// Takes `bytes` off the countdown; `true`: the caller must look up.
    #[inline(always)]
    pub(crate) fn charge(&self, bytes: usize) -> bool {
        let left = self.countdown.get().wrapping_sub(bytes as i64);
        self.countdown.set(left);
        left < 0
    }

    /// Lets the thread request `bytes` before it looks up again.
    pub(super) fn grant(&self, bytes: i64) {
        self.granted.set(bytes);
        self.countdown.set(bytes);
    }

    /// Nothing of this thread has come by yet.
    pub(super) fn is_new(&self) -> bool {
        self.number.get() == 0
    }

    /// Where this thread counts.
    #[inline]
    pub(super) fn lane(&self) -> Lane {
        match self.lane.get().checked_sub(1) {
            Some(number) => Lane::from_number(number),
            None => {
                let lane = Lane::of(std::ptr::from_ref(self).addr());
                // Whoever counts is numbered: by the numbers it is known how many threads there have been.
                self.number();
                self.lane.set(lane.number() + 1);
                lane
            }
        }
    }

    /// A number of this thread's own, from 1.
    pub(super) fn number(&self) -> u32 {
        if self.number.get() == 0 {
            // Relaxed: numbers are handed out once each.
            self.number.set(
                THREADS
                    .fetch_add(1, Ordering::Relaxed)
                    .wrapping_add(1)
                    .max(1),
            );
            super::scopes::thread_began(self);
        }
        self.number.get()
    }

    /// Before an event whose cost is the recorder's: see [`super::cost`].
    #[inline]
    pub(super) fn start_event(&self) -> Started {
        let exact = self.drawn_for.get() == EXACT + 1;
        self.cost
            // By its memory's page, which no other living thread has.
            .start(exact, || {
                let page = std::ptr::from_ref(self).addr() >> 12;
                Random::for_thread(seed(), page as u32).0
            })
    }

    /// Draws the distance to the next sampled byte.
    pub(super) fn draw(&self, interval: u64) -> i64 {
        let mut random = match self.random.get() {
            0 => Random::for_thread(seed(), self.number()),
            state => Random(state),
        };
        let gap = random.gap(interval);
        self.random.set(random.0.max(1));
        gap
    }
}

/// How many threads have been numbered, ended ones included.
pub(crate) fn threads_numbered() -> u32 {
    THREADS.load(Ordering::Relaxed)
}

fn seed() -> u64 {
    // Relaxed: one number; whoever is first decides.
    match SEED.load(Ordering::Relaxed) {
        0 => {
            let fresh = crate::sys::entropy() | 1;
            match SEED.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => fresh,
                Err(first) => first,
            }
        }
        seed => seed,
    }
}

/// Makes the sampling of the calling thread, and of threads that have not allocated yet, repeatable.
#[cfg_attr(
    not(feature = "internals"),
    expect(dead_code, reason = "a door for tests")
)]
pub(crate) fn set_seed(seed: u64) {
    SEED.store(seed | 1, Ordering::Relaxed);
    with(|local| {
        local.random.set(Random::for_thread(seed | 1, 0).0.max(1));
        super::restart(local);
    });
}

/// While it lives, what the calling thread allocates is left out of the profile; frees are settled as
/// always. For heapsite's own work.
pub(crate) struct Ignore(std::marker::PhantomData<*const ()>);

impl Ignore {
    pub(crate) fn new() -> Ignore {
        with(|local| {
            super::restart(local);
            local.ignoring.set(local.ignoring.get() + 1);
        });
        Ignore(std::marker::PhantomData)
    }
}

impl Drop for Ignore {
    fn drop(&mut self) {
        with(|local| {
            super::restart(local);
            local.ignoring.set(local.ignoring.get() - 1);
        });
    }
}
