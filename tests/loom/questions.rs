//! Questions to threads whose answers may come too late.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::check;
use crate::thread::ask::{Ask, Ticket};

struct Place {
    ask: Ask,
    answer: UnsafeCell<u64>,
}

impl Place {
    fn answer(&self, ticket: Ticket) -> bool {
        let mine = self.ask.begin(ticket);
        if mine {
            // SAFETY: loom checks that nobody else touches it at the same time.
            self.answer.with_mut(|answer| unsafe { *answer = ticket.0 });
            self.ask.finish(ticket);
        }
        mine
    }

    fn read(&self) -> u64 {
        // SAFETY: as above.
        self.answer.with(|answer| unsafe { *answer })
    }
}

/// The first question is given up and the place used again, while its answer is on the way.
#[test]
fn a_late_answer_is_not_taken_for_the_next() {
    check(|| {
        let place = Arc::new(Place { ask: Ask::new(), answer: UnsafeCell::new(0) });
        let first = place.ask.ask().unwrap();
        let late = {
            let place = place.clone();
            thread::spawn(move || place.answer(first))
        };
        if place.ask.give_up(first) {
            let second = place.ask.ask().unwrap();
            assert!(place.answer(second));
            assert!(place.ask.is_answered(second));
            assert_eq!(place.read(), second.0);
            assert!(!late.join().unwrap());
        } else {
            if place.ask.is_answered(first) {
                assert_eq!(place.read(), first.0);
            }
            // Still being written, or free for the next question.
            if let Some(second) = place.ask.ask() {
                assert!(place.answer(second));
                assert_eq!(place.read(), second.0);
            }
            assert!(late.join().unwrap());
        }
    });
}
