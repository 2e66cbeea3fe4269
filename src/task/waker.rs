//! The waker that a tracked future hands down: wakes as its executor's does, and knows from where it was cloned.
//!
//! A leaf that has to wait clones the waker it is polled with: the stack at that moment is the await point, from the leaf
//! through all `async fn`s up to the task. Leaves that were polled before with the same waker keep their clone
//! ([`Waker::will_wake`] says so), so each poll whose await points are wanted comes with a waker that looks new: the low
//! bits of its data pointer are the poll's number.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::slot::Slot;
use super::stacks;

/// How many polls in a row have different wakers: the slot's alignment.
const IDENTITIES: usize = align_of::<Slot>();

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone_at_await, wake, wake_by_ref, drop_waker);

thread_local! {
    /// What this thread is polling.
    static POLLED: Cell<Polled> = const { Cell::new(Polled { slot: None, watched: false }) };
}

/// The task that a thread is polling.
#[derive(Clone, Copy)]
struct Polled {
    slot: Option<&'static Slot>,
    /// Its await points are wanted.
    watched: bool,
}

/// A poll of a task's future on this thread; ends when dropped.
pub(super) struct Watch {
    before: Polled,
}

impl Watch {
    /// Until it is dropped, this task is the one that this thread polls; if it is `watched`, what is cloned of its waker here
    /// is an await point.
    pub(super) fn begin(slot: &'static Slot, watched: bool) -> Watch {
        let slot = Some(slot);
        Watch {
            before: POLLED.replace(Polled { slot, watched }),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        POLLED.set(self.before);
    }
}

/// The listed task that this thread polls now, the innermost one.
pub(super) fn polled_here() -> Option<&'static Slot> {
    POLLED.get().slot
}

/// The waker for one poll, of the caller's hold on the slot: must not outlive it.
pub(super) fn borrowed(slot: &'static Slot, identity: u64) -> ManuallyDrop<Waker> {
    let identity = identity as usize % IDENTITIES;
    let data = std::ptr::from_ref(slot).map_addr(|address| address | identity);
    // SAFETY: the functions of the table keep `RawWaker`'s contract: they may be called from any thread, clones are counted
    // as holders of the slot, and `data` is what they expect. This one is not counted, and therefore not dropped.
    ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(data.cast(), &VTABLE)) })
}

/// The slot that a waker's data pointer stands for.
///
/// # Safety
/// `data` is of a waker made here.
unsafe fn slot_of(data: *const ()) -> &'static Slot {
    let slot = data
        .cast::<Slot>()
        .map_addr(|address| address & !(IDENTITIES - 1));
    // SAFETY: the pointer of `borrowed` with the low bits taken off again; slots are never unmapped.
    unsafe { &*slot }
}

/// # Safety
/// As for all functions of a waker's table: `data` is of a waker with this table. Here and below.
#[inline(never)]
unsafe fn clone_at_await(data: *const ()) -> RawWaker {
    // SAFETY: the caller's promise.
    let slot = unsafe { slot_of(data) };
    let polled = POLLED.get();
    if polled.watched
        && polled.slot.is_some_and(|polled| std::ptr::eq(polled, slot))
        && let Some(stack) = stacks::here()
    {
        slot.add_await(stack);
    }
    slot.life.hold();
    RawWaker::new(data, &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the caller's promise.
    let slot = unsafe { slot_of(data) };
    slot.wake();
    slot.let_go();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the caller's promise.
    unsafe { slot_of(data) }.wake();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the caller's promise.
    unsafe { slot_of(data) }.let_go();
}
