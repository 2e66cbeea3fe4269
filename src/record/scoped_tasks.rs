//! Which scope a tracked task belongs to.
#![forbid(unsafe_code)]

use super::local;
use super::scopes::{Ticket, is_within, open_around, resolve};

/// The scope of a task that the calling thread makes now, as a word to keep with it; 0: none. `maker`: that of the task
/// that this thread is polling; 0: none, or in no scope.
///
/// A task stays its maker's wherever it is polled: by a neighbour's thread, or by a runtime that is older than the scope.
/// A scope that was opened within the maker is narrower and goes first.
pub(crate) fn of_new_task(maker: u64) -> u64 {
    local::with(|local| {
        // A thread that has not come by yet may have inherited a scope.
        local.number();
        let own = resolve(local);
        if maker == 0 || own != 0 && is_within(own, Ticket(maker)) {
            return own;
        }
        // The maker may have outlived its scope: then the one around it, and failing that nobody's.
        open_around(maker)
    })
}

/// Whether a task with this word was made in the scope, or in one within it.
pub(crate) fn holds_task(scope: Ticket, word: u64) -> bool {
    word != 0 && is_within(word, scope)
}

#[cfg(test)]
mod tests {
    use super::super::scopes::{close, open};
    use super::*;

    /// A task is its maker's, and where nobody polls one its thread's; an inner scope goes first.
    #[test]
    fn tasks_stay_their_makers() {
        // Older than the scopes: it inherits none.
        let (ask, asked) = std::sync::mpsc::channel::<u64>();
        let elsewhere = std::thread::spawn(move || {
            let made = asked.recv().unwrap();
            let (neighbours, _) = open().unwrap();
            let of_neighbour = of_new_task(0);
            let of_made = of_new_task(made);
            close(neighbours);
            (of_neighbour, of_made, neighbours)
        });
        let (outer, _) = open().unwrap();
        let made = of_new_task(0);
        assert_eq!(made, outer.0);
        let (inner, _) = open().unwrap();
        assert_eq!(of_new_task(made), inner.0, "opened within the maker");
        // Polled by another's thread.
        ask.send(made).unwrap();
        let (of_neighbour, of_made, neighbours) = elsewhere.join().unwrap();
        assert_eq!((of_neighbour, of_made), (neighbours.0, outer.0));
        assert!(holds_task(outer, of_new_task(0)) && !holds_task(neighbours, of_made));
        close(inner);
        assert_eq!(of_new_task(inner.0), outer.0, "goes on in the one around");
        close(outer);
        assert_eq!(of_new_task(outer.0), 0, "its scope has ended");
        assert!(!holds_task(outer, 0) && holds_task(outer, made));
    }
}
