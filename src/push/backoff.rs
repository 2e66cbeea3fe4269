//! How long to wait after a push that failed.
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The first wait is about this long, or an interval if that is shorter.
const FIRST: Duration = Duration::from_secs(1);
/// No wait of our own is longer; when the server is back, its fleet is within that time.
const LONGEST: Duration = Duration::from_secs(300);
/// No wait that a server asks for is longer: one that says "tomorrow" would leave a hole where nobody looks for it.
const LONGEST_ASKED: Duration = Duration::from_secs(900);

/// The wait after so many failures in a row (at least 1): doubled each time, less up to half of it, so that a fleet does
/// not come back as one. `asked`: by the server; no less than that. `random`: any number, each as likely.
pub(super) fn wait(
    failures: u32,
    interval: Duration,
    asked: Option<Duration>,
    random: u64,
) -> Duration {
    let doubled = FIRST
        .min(interval)
        .saturating_mul(1 << failures.saturating_sub(1).min(20))
        .min(LONGEST);
    let own = part(doubled, random);
    own.max(asked.unwrap_or_default().min(LONGEST_ASKED))
}

/// The wait before the first push: some part of an interval, so that a fleet that was started as one does not push as one.
pub(super) fn first(interval: Duration, random: u64) -> Duration {
    part(interval, random)
}

/// Between half and all of it.
fn part(whole: Duration, random: u64) -> Duration {
    let share = (random >> 32) as f64 / 2f64.powi(33); // [0, 0.5)
    whole.mul_f64(1.0 - share)
}

/// A number that differs from process to process and from call to call.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_bound_and_honours_the_server_up_to_one() {
        let minute = Duration::from_secs(60);
        let longest = |failures| wait(failures, minute, None, 0);
        let seconds: Vec<f64> = (1..=11).map(|n| longest(n).as_secs_f64()).collect();
        assert_eq!(
            seconds,
            [
                1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0
            ]
        );
        assert_eq!(longest(u32::MAX), LONGEST);
        let shortest = wait(3, minute, None, u64::MAX).as_secs_f64();
        assert!((2.0..2.001).contains(&shortest), "{shortest}");
        // A short interval is waited for no longer at first.
        let short = Duration::from_millis(20);
        assert_eq!(wait(1, short, None, 0), short);
        assert_eq!(wait(2, short, None, 0), 2 * short);
        // The server's word is a lower bound, and has an upper one.
        assert_eq!(wait(1, minute, Some(minute), 0), minute);
        assert_eq!(wait(9, minute, Some(minute), 0).as_secs(), 256);
        assert_eq!(wait(1, minute, Some(Duration::MAX), 0), LONGEST_ASKED);
    }

    #[test]
    fn the_first_push_comes_within_an_interval() {
        let minute = Duration::from_secs(60);
        assert_eq!(first(minute, 0), minute);
        let earliest = first(minute, u64::MAX).as_secs_f64();
        assert!((30.0..30.001).contains(&earliest), "{earliest}");
    }
}
