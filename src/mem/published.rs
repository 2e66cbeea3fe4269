//! A slice that comes into being once, by whichever thread needs it first.

use std::ptr::NonNull;

use super::Zeroable;
use crate::sync::primitive::{AtomicPtr, Ordering};

/// A place for one `&'static [T]` of a length known beforehand: absent, then present for ever.
pub(crate) struct Published<T> {
    start: AtomicPtr<T>,
    len: usize,
}

impl<T: Zeroable> Published<T> {
    /// An absent slice that will have `len` elements.
    #[cfg(not(loom))]
    pub(crate) const fn new(len: usize) -> Published<T> {
        Published {
            start: AtomicPtr::new(std::ptr::null_mut()),
            len,
        }
    }

    #[cfg(loom)]
    pub(crate) fn new(len: usize) -> Published<T> {
        Published {
            start: AtomicPtr::new(std::ptr::null_mut()),
            len,
        }
    }

    /// The slice, if it has been published.
    #[inline]
    pub(crate) fn get(&self) -> Option<&'static [T]> {
        // Acquire: pairs with the Release in `publish` (the memory is zero either way; under loom the
        // elements were written).
        let start = NonNull::new(self.start.load(Ordering::Acquire))?;
        // SAFETY: only `publish` stores a pointer here, to `len` zeroed elements, which are valid (T is
        // Zeroable), stay mapped for ever and are only reached through shared references.
        Some(unsafe { std::slice::from_raw_parts(start.as_ptr(), self.len) })
    }

    /// The slice, published now if it was not; `None`: no memory within the bound.
    pub(crate) fn get_or_publish(&self) -> Option<&'static [T]> {
        match self.get() {
            Some(slice) => Some(slice),
            None => self.publish(),
        }
    }

    #[cold]
    #[cfg(not(loom))]
    fn publish(&self) -> Option<&'static [T]> {
        const { assert!(align_of::<T>() <= 4096 && size_of::<T>() > 0) };
        let bytes = self.len.checked_mul(size_of::<T>())?;
        let Some(memory) = super::budget::map(bytes) else {
            // There may have been room for one, and another thread was first.
            return self.get();
        };
        // Release: who sees the pointer sees the mapping's zeros. The loser takes the winner's slice; its
        // failure ordering may be Relaxed because `get` loads again with Acquire.
        match self.start.compare_exchange(
            std::ptr::null_mut(),
            memory.as_ptr().cast(),
            Ordering::Release,
            Ordering::Relaxed,
        ) {
            Ok(_) => super::budget::keep(memory, bytes),
            // SAFETY: mapped just above with this size, and seen by nobody: the exchange failed.
            Err(_) => unsafe { super::budget::unmap(memory, bytes) },
        }
        self.get()
    }

    /// Under loom memory comes from the heap, element by element, because its atomics are not plain bytes.
    #[cfg(loom)]
    fn publish(&self) -> Option<&'static [T]> {
        let slice: &'static mut [T] = Box::leak(
            (0..self.len)
                .map(|_| T::zeroed())
                .collect::<Vec<T>>()
                .into_boxed_slice(),
        );
        let _ = self.start.compare_exchange(
            std::ptr::null_mut(),
            slice.as_mut_ptr(),
            Ordering::Release,
            Ordering::Relaxed,
        );
        self.get()
    }
}
