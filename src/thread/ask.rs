//! A question to one thread, and its answer, in one word: who may touch the place where the answer is written.
//!
//! ```text
//!        ask            begin                finish              free
//! FREE ───────▶ ASKED ────────▶ ANSWERING ───────────▶ ANSWERED ──────▶ FREE
//!   ▲             │ give up
//!   └─────────────┘
//! ```
//!
//! A signal may be delivered long after nobody waits for it any more, when the place serves another question. So each
//! question has a number of its own, and the handler writes only while its number is the one that is asked.
#![forbid(unsafe_code)]

use crate::sync::primitive::{AtomicU64, Ordering};

const FREE: u64 = 0;
const ASKED: u64 = 1;
const ANSWERING: u64 = 2;
const ANSWERED: u64 = 3;

/// The upper 62 bits are the number of the question, the lower two its state.
pub(crate) struct Ask(AtomicU64);

/// Which question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(pub(crate) u64);

impl Ticket {
    /// Numbers fit into a signal's value beside the place; 2^48 questions to one place take longer than machines last.
    const BITS: u32 = 48;

    fn next(self) -> Ticket {
        Ticket(self.0.wrapping_add(1) & ((1 << Ticket::BITS) - 1))
    }

    fn with(self, state: u64) -> u64 {
        self.0 << 2 | state
    }
}

fn ticket_of(word: u64) -> Ticket {
    Ticket(word >> 2)
}

impl Ask {
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Ask {
        Ask(AtomicU64::new(0))
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Ask {
        Ask(AtomicU64::new(0))
    }

    /// The asker, of whom there is one at a time, asks; `None`: an answer that came too late is still being written here.
    pub(crate) fn ask(&self) -> Option<Ticket> {
        // Acquire: what a late answer wrote lies before what the next one writes.
        let word = self.0.load(Ordering::Acquire);
        match word & 3 {
            FREE | ANSWERED => {
                let ticket = ticket_of(word).next();
                // Relaxed: only the asker changes these states, and the signal itself orders the rest.
                self.0.store(ticket.with(ASKED), Ordering::Relaxed);
                Some(ticket)
            }
            _ => None,
        }
    }

    /// The thread that was asked; `true`: the place is its own until [`Ask::finish`].
    pub(crate) fn begin(&self, ticket: Ticket) -> bool {
        // Acquire: the asker is done with the place. Relaxed: nothing is touched then.
        self.0
            .compare_exchange(
                ticket.with(ASKED),
                ticket.with(ANSWERING),
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// The answer is there. By whom [`Ask::begin`] told `true`.
    pub(crate) fn finish(&self, ticket: Ticket) {
        // Release: who sees the state sees the answer.
        self.0.store(ticket.with(ANSWERED), Ordering::Release);
    }

    /// The asker looks; `true`: the answer can be read, until the next [`Ask::ask`].
    pub(crate) fn is_answered(&self, ticket: Ticket) -> bool {
        // Acquire: pairs with `finish`.
        self.0.load(Ordering::Acquire) == ticket.with(ANSWERED)
    }

    /// The asker waits no longer; `true`: nobody will answer. `false`: the answer is there, or being written.
    pub(crate) fn give_up(&self, ticket: Ticket) -> bool {
        // Relaxed: the place was nobody else's.
        self.0
            .compare_exchange(
                ticket.with(ASKED),
                ticket.with(FREE),
                Ordering::Relaxed,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// In a forked child, where nobody answers any more: whatever it was, it is over.
    pub(crate) fn forget(&self) {
        // Relaxed: there is one thread.
        let next = ticket_of(self.0.load(Ordering::Relaxed)).next();
        self.0.store(next.with(FREE), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_writes_nothing() {
        let ask = Ask::new();
        let first = ask.ask().unwrap();
        assert!(ask.give_up(first));
        let second = ask.ask().unwrap();
        assert!(!ask.begin(first), "the place is another question's");
        assert!(ask.begin(second) && !ask.begin(second));
        assert!(!ask.give_up(second), "it is being written");
        assert_eq!(ask.ask(), None);
        ask.finish(second);
        assert!(ask.is_answered(second) && !ask.is_answered(first));
        assert!(ask.ask().is_some(), "read, or too late: the place is free");
    }

    #[test]
    fn a_child_is_answered_by_nobody() {
        let ask = Ask::new();
        let asked = ask.ask().unwrap();
        assert!(ask.begin(asked));
        ask.forget();
        assert!(ask.ask().is_some_and(|next| next != asked));
    }
}
