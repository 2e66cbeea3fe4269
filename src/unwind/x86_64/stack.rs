//! Reads of stack memory that cannot fault: only what the kernel has confirmed to be readable is touched.

use crate::sys::objects;
use std::cell::Cell;

const PAGE: u64 = 4096;

/// Pages that one capture may ask the kernel about while following frames (16 MiB of stack, about 0.3 ms).
const BUDGET: u32 = 4096;

/// Pages it may ask about after the walk, to finish the proof that all up to the stack's top is readable.
const FINISH: u64 = 64;

/// What is known for good about the calling thread's own stack. One per thread, in a const thread-local without
/// destructor.
///
/// Kept is only a range that is readable without a gap up to the top of the thread's own stack; that memory stays mapped
/// as long as the thread lives. Coroutine and alternate signal stacks lie elsewhere, or have a guard page in between:
/// they can be unmapped any time and are confirmed afresh in each capture.
pub(crate) struct StackCache {
    lo: Cell<u64>,
    hi: Cell<u64>,
    /// One past the highest address that could be the thread's stack; `u64::MAX`: not asked yet.
    top: Cell<u64>,
}

impl StackCache {
    pub(crate) const fn new() -> StackCache {
        // With either of lo and hi unset no address lies between them, so a capture in a signal handler that interrupts
        // `keep` sees the old range, the new one or none.
        StackCache {
            lo: Cell::new(u64::MAX),
            hi: Cell::new(0),
            top: Cell::new(u64::MAX),
        }
    }

    fn top(&self) -> u64 {
        if self.top.get() == u64::MAX {
            self.top.set(objects::stack_top());
        }
        self.top.get()
    }

    fn keep(&self, lo: u64, hi: u64) {
        self.lo.set(lo);
        self.hi.set(hi);
    }
}

impl Default for StackCache {
    fn default() -> Self {
        StackCache::new()
    }
}

/// Changes of stack by a plain frame pointer that one capture follows. Coroutines nest a few deep at most; a chain that
/// goes round in circles must end.
const SWITCHES: u32 = 8;

/// How far below a capture's start the walk's own frames may reach: four times what it uses.
const OWN_FRAMES: u64 = 16 << 10;

/// Below rsp, still in use (System V ABI for x86-64, section 3.2.2); the kernel puts signal frames below it.
const RED_ZONE: u64 = 128;

/// A readable range `[lo, top)` that grows upward as the walk needs it, up to `limit`.
pub(super) struct Reader<'a> {
    lo: u64,
    top: u64,
    /// One past the last address of a whole word below `top`; 0 if there is none.
    end: u64,
    limit: u64,
    /// The range may turn out to be the thread's own stack.
    own: bool,
    budget: u32,
    switches: u32,
    /// Where the capture started. What lies right below belongs to the walk itself: changing, and never read.
    start: u64,
    cache: &'a StackCache,
}

impl crate::unwind::last::Read for Reader<'_> {
    #[inline]
    fn word(&mut self, address: u64) -> Option<u64> {
        self.read(address)
    }
}

impl<'a> Reader<'a> {
    /// For a capture that starts at `sp`.
    pub(super) fn new(cache: &'a StackCache, sp: u64) -> Reader<'a> {
        let mut r = Reader {
            lo: 0,
            top: 0,
            end: 0,
            limit: 0,
            own: false,
            budget: BUDGET,
            switches: SWITCHES,
            start: sp,
            cache,
        };
        r.enter(sp);
        r
    }

    /// Goes over to the stack that holds `sp`; nothing below its red zone is read.
    #[inline]
    pub(super) fn enter(&mut self, sp: u64) {
        // Compilers do not say that an epilogue has restored a register: at its `ret`, slots are below rsp.
        let lo = sp.saturating_sub(RED_ZONE);
        self.lo = if self.is_ours(lo) { self.start } else { lo };
        if self.cache.lo.get() <= self.lo && sp < self.cache.hi.get() {
            self.set_top(self.cache.hi.get());
            self.limit = self.top;
            self.own = false; // nothing left to prove
        } else {
            self.enter_unproven(sp);
        }
    }

    /// Whether a frame pointer leads from a stack that is not the thread's own to one that is: asking page by page what
    /// lies in between could go on for long.
    #[inline]
    pub(super) fn leads_home(&self, rbp: u64) -> bool {
        let (lo, hi) = (self.cache.lo.get(), self.cache.hi.get());
        rbp >= self.top && lo <= rbp && rbp < hi && !(lo <= self.lo && self.lo < hi)
    }

    /// Goes over to another stack that a frame pointer leads to, where nothing but the frame pointer tells that the stack
    /// was changed (psm, which stacker and `recursive` build on). `false`: not likely, or once too often.
    #[cold]
    #[inline(never)]
    pub(super) fn switch(&mut self, rbp: u64) -> bool {
        // What a `push rbp` on an aligned stack leaves; most garbage is not.
        let Some(left) = self
            .switches
            .checked_sub(1)
            .filter(|_| rbp.is_multiple_of(16))
        else {
            return false;
        };
        self.switches = left;
        // The search for it on the old stack may have used it up.
        self.budget = self.budget.max(BUDGET / 8);
        self.enter(rbp);
        true
    }

    #[inline]
    fn set_top(&mut self, top: u64) {
        self.top = top;
        self.end = top.saturating_sub(7);
    }

    #[inline]
    fn is_ours(&self, addr: u64) -> bool {
        self.start.wrapping_sub(addr).wrapping_sub(1) < OWN_FRAMES
    }

    #[cold]
    #[inline(never)]
    fn enter_unproven(&mut self, sp: u64) {
        let top = self.cache.top();
        self.own = sp < top;
        self.limit = if self.own { top } else { 1 << 47 };
        self.set_top(self.lo & !(PAGE - 1));
    }

    /// The word at `addr`, which must lie in the current range or directly above it.
    #[inline]
    pub(super) fn read(&mut self, addr: u64) -> Option<u64> {
        if (addr < self.lo || addr >= self.end) && !self.extend(addr) {
            return None;
        }
        // SAFETY: [lo, top) was confirmed readable by the kernel and addr + 8 <= top. It is this thread's stack, or the
        // one it will return to, so nothing unmaps it while the walk runs.
        Some(unsafe { (addr as *const u64).read_unaligned() })
    }

    /// The word at `addr`, if it lies in what is known to be readable already.
    #[inline]
    pub(super) fn known(&self, addr: u64) -> Option<u64> {
        if addr < self.lo || addr >= self.end {
            return None;
        }
        // SAFETY: as in `read`.
        Some(unsafe { (addr as *const u64).read_unaligned() })
    }

    /// The word at any address.
    pub(super) fn read_anywhere(&mut self, addr: u64) -> Option<u64> {
        if self.is_ours(addr.wrapping_add(7)) {
            return None;
        }
        if addr >= self.lo && addr.checked_add(8)? <= self.top {
            return self.read(addr);
        }
        let page = addr & !(PAGE - 1);
        self.budget = self.budget.checked_sub(1)?;
        if addr >= (1 << 47) - PAGE || !objects::readable(page) {
            return None;
        }
        if addr - page > PAGE - 8 && !objects::readable(page + PAGE) {
            return None;
        }
        // SAFETY: both pages were confirmed readable just now.
        Some(unsafe { (addr as *const u64).read_unaligned() })
    }

    /// Confirms the pages from `top` to `addr` + 8.
    #[cold]
    #[inline(never)]
    fn extend(&mut self, addr: u64) -> bool {
        if addr < self.lo || addr >= (1 << 47) - PAGE {
            return false;
        }
        while self.top < addr + 8 {
            if self.top >= self.limit || self.budget == 0 || !self.grow() {
                return false;
            }
        }
        true
    }

    /// One more page, or all the rest if it joins what is known already.
    fn grow(&mut self) -> bool {
        self.budget -= 1;
        if !objects::readable(self.top & !(PAGE - 1)) {
            return false;
        }
        self.set_top((self.top & !(PAGE - 1)) + PAGE);
        if self.own {
            if self.top >= self.cache.lo.get() && self.top <= self.cache.hi.get() {
                self.set_top(self.cache.hi.get());
            }
            if self.top >= self.limit {
                self.set_top(self.limit);
                self.own = false;
                self.cache.keep(self.lo & !(PAGE - 1), self.limit);
            }
        }
        true
    }

    /// If little is missing to prove this stack readable up to its top, proves it for the captures to come.
    #[inline]
    pub(super) fn finish(mut self) {
        if self.own {
            self.finish_proof();
        }
    }

    #[cold]
    #[inline(never)]
    fn finish_proof(&mut self) {
        let known = self.cache.lo.get();
        let goal = if known > self.lo && known < self.limit {
            known
        } else {
            self.limit
        };
        if goal.saturating_sub(self.top) <= FINISH * PAGE {
            while self.own && self.budget > 0 && self.grow() {}
        }
    }
}
