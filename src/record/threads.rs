//! Names of threads, interned: a live sample keeps its thread's name in 14 bits.
//!
//! By name and not by id: a service makes and ends threads without limit, but names them from a short list.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::live_map::MAX_THREADS;

/// Names remembered; number 0 stands for all others. 128 KiB of address space, touched as used.
pub(super) const NAMES: usize = 4096;
const _: () = assert!(NAMES <= MAX_THREADS);

const FREE: u32 = 0;
const WRITING: u32 = 1;
const READY: u32 = 2;

struct Slot {
    state: AtomicU32,
    name: [AtomicU64; 2],
}

static SLOTS: [Slot; NAMES] = [const {
    Slot {
        state: AtomicU32::new(FREE),
        name: [const { AtomicU64::new(0) }; 2],
    }
}; NAMES];

/// The number of a name; 0 if there is no room. Two threads that bring the same new name at the same
/// moment may get two numbers for it.
pub(crate) fn number_of(name: [u8; 16]) -> u16 {
    let words = to_words(name);
    let hash = (words[0] ^ words[1].rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let start = (hash >> 52) as usize;
    // A short walk: a table that is so full that this fails has 4,000 names in it already.
    for step in 0..64 {
        let number = (start + step) % NAMES;
        if number == 0 {
            continue;
        }
        let slot = &SLOTS[number];
        // Acquire: who sees READY sees the name.
        let mut state = slot.state.load(Ordering::Acquire);
        if state == FREE {
            match slot
                .state
                .compare_exchange(FREE, WRITING, Ordering::Acquire, Ordering::Acquire)
            {
                Ok(_) => {
                    slot.name[0].store(words[0], Ordering::Relaxed);
                    slot.name[1].store(words[1], Ordering::Relaxed);
                    // Release: pairs with the Acquire above.
                    slot.state.store(READY, Ordering::Release);
                    return number as u16;
                }
                Err(current) => state = current,
            }
        }
        if state == READY && [0, 1].map(|word| slot.name[word].load(Ordering::Relaxed)) == words {
            return number as u16;
        }
    }
    0
}

/// Where the names lie and how long their table is, bytes.
pub(crate) fn place() -> (usize, usize) {
    (SLOTS.as_ptr() as usize, size_of_val(&SLOTS))
}

/// The name with this number, padded with zeros; `None` for number 0 and for numbers never given out.
pub(crate) fn name(number: u16) -> Option<[u8; 16]> {
    let slot = SLOTS.get(usize::from(number))?;
    if slot.state.load(Ordering::Acquire) != READY {
        return None;
    }
    let mut name = [0; 16];
    for (half, word) in name.chunks_exact_mut(8).zip(&slot.name) {
        half.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    Some(name)
}

fn to_words(name: [u8; 16]) -> [u64; 2] {
    let half = |from: usize| {
        (0..8).fold(0u64, |word, byte| {
            word | u64::from(name[from + byte]) << (8 * byte)
        })
    };
    [half(0), half(8)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let mut bytes = [0u8; 16];
        bytes[..15].copy_from_slice(b"tokio-runtime-w");
        let number = number_of(bytes);
        assert_ne!(number, 0);
        assert_eq!(number_of(bytes), number);
        assert_eq!(name(number).as_ref(), Some(&bytes));
        bytes[14] = b'x';
        assert_ne!(number_of(bytes), number);
        assert_eq!(name(0), None);
    }
}
