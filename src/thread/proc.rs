//! What the kernel tells of a thread (proc(5)).
#![forbid(unsafe_code)]

use std::fs;

use super::told::{NoStack, State};

/// One thread.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) state: State,
    /// In user mode and in the kernel, nanoseconds; to a clock tick.
    pub(super) cpu_nanos: u64,
    /// Since boot, 1/100 s.
    pub(super) started: u64,
}

/// USER_HZ is 100 on every architecture heapsite runs on.
pub(super) const TICK_NANOS: u64 = 10_000_000;

/// `None`: it has ended.
pub(super) fn facts(process: &str, thread: u32) -> Option<Facts> {
    parse(&fs::read(format!("/proc/{process}/task/{thread}/stat")).ok()?)
}

/// `4711 (name) S 1 …`: the name may hold anything, and ends with the last parenthesis.
fn parse(stat: &[u8]) -> Option<Facts> {
    let stat = String::from_utf8_lossy(stat);
    let name = stat.split_once('(')?.1.rsplit_once(')')?.0.to_owned();
    // From the third field on.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Facts {
        name,
        state: State::from_letter(fields.first()?.chars().next()?),
        cpu_nanos: (number(14)? + number(15)?).saturating_mul(TICK_NANOS),
        started: number(22)?,
    })
}

/// Whether a thread would answer a signal; if not, why. It must not be sent one then: what is blocked stays in the kernel, and each
/// further one with it.
pub(super) fn will_answer(thread: u32, signal: i32) -> Result<(), NoStack> {
    let Ok(status) = fs::read_to_string(format!("/proc/self/task/{thread}/status")) else {
        return Err(NoStack::Ended);
    };
    let field = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.map(str::trim)
    };
    let blocked = field("SigBlk:").and_then(|mask| u64::from_str_radix(mask, 16).ok());
    let bit = u32::try_from(signal - 1)
        .ok()
        .and_then(|bit| 1u64.checked_shl(bit));
    if blocked.zip(bit).is_some_and(|(mask, bit)| mask & bit != 0) {
        return Err(NoStack::SignalBlocked);
    }
    match field("State:").and_then(|state| state.chars().next()) {
        Some('Z' | 'X') => Err(NoStack::Ended),
        Some('S') if waits_for_signals(thread) => Err(NoStack::SignalBlocked),
        _ => Ok(()),
    }
}

/// A thread in `sigwait` blocks what it waits for, but the kernel does not say so meanwhile (kernel/signal.c,
/// `do_sigtimedwait`), and it would take the signal for one that it waits for. Where the kernel does not tell: `false`.
fn waits_for_signals(thread: u32) -> bool {
    let call = fs::read_to_string(format!("/proc/self/task/{thread}/syscall"));
    let number = call
        .ok()
        .and_then(|call| call.split_whitespace().next()?.parse().ok());
    number == Some(libc::SYS_rt_sigtimedwait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_hold_anything() {
        let fields: Vec<String> = (4..53).map(|field| field.to_string()).collect();
        let stat = format!("17 (odd ) (name) D {}", fields.join(" "));
        let facts = parse(stat.as_bytes()).unwrap();
        assert_eq!(
            (facts.name.as_str(), facts.state),
            ("odd ) (name", State::Blocked)
        );
        assert_eq!((facts.cpu_nanos, facts.started), (29 * TICK_NANOS, 22));
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn this_thread_answers() {
        let own = crate::sys::thread_id();
        assert!(facts("self", own).is_some());
        assert_eq!(will_answer(own, libc::SIGRTMAX() - 3), Ok(()));
        assert_eq!(will_answer(u32::MAX, 40), Err(NoStack::Ended));
        assert_eq!(facts("self", u32::MAX), None);
    }
}
