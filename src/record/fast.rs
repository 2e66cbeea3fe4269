//! The two questions that a free asks, each as a compare and a branch.
//!
//! Rust's relaxed loads keep the compiler from comparing memory in place: a load, a test and a branch, on every free of
//! the program. The instructions below read the byte as atomically as any aligned load does on x86-64.

use std::sync::atomic::AtomicU8;
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
use std::sync::atomic::Ordering;

/// Whether the byte is not zero; rarely so.
#[inline(always)]
pub(crate) fn is_set(byte: &AtomicU8) -> bool {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        let mut set = false;
        // SAFETY: reads one byte that a reference vouches for, and changes nothing but flags.
        unsafe {
            std::arch::asm!(
                "cmp byte ptr [{byte}], 0",
                "jne {set}",
                byte = in(reg) byte.as_ptr(),
                set = label { set = true },
                options(readonly, nostack),
            );
        }
        set
    }
    // Relaxed: as said where the byte is kept.
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    return byte.load(Ordering::Relaxed) != 0;
}

/// Whether something has been recorded, or may have been.
#[inline(always)]
pub(crate) fn has_been_on() -> bool {
    // Not relative to the instruction, which would save one: a program that is linked as a Rust dylib could not be.
    is_set(&EVER_ON)
}

/// Not 0: something has been recorded, or may have been.
pub(super) static EVER_ON: AtomicU8 = AtomicU8::new(0);
