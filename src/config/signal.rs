//! A signal that may dump.
#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A signal that may dump: `SIGUSR1`, `SIGUSR2`, `SIGHUP` or a real-time signal.
///
/// Others are refused: the faults (`SIGSEGV` and its kind) must end the process, `SIGTERM` and `SIGINT` are
/// how it is asked to end, and most of the rest has a meaning to the kernel or to a shell.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(libc::c_int);

impl Signal {
    /// `SIGUSR1`.
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    /// `SIGUSR2`.
    pub const USR2: Signal = Signal(libc::SIGUSR2);
    /// `SIGHUP`. A service that dumps on it survives the hang-up of its terminal.
    pub const HUP: Signal = Signal(libc::SIGHUP);

    /// `SIGRTMIN + n`.
    ///
    /// # Errors
    ///
    /// If the C library has no such real-time signal (it keeps the first two or three for itself).
    pub fn real_time(n: u32) -> Result<Signal> {
        i32::try_from(n)
            .ok()
            .and_then(|n| libc::SIGRTMIN().checked_add(n))
            .filter(|&number| number <= libc::SIGRTMAX())
            .map(Signal)
            .ok_or_else(|| Error::config(format!("signal `SIGRTMIN+{n}`: {}", accepted())))
    }

    /// A signal by its number on this platform.
    ///
    /// # Errors
    ///
    /// If it is none of those that may dump.
    pub fn from_number(number: i32) -> Result<Signal> {
        let real_time = libc::SIGRTMIN()..=libc::SIGRTMAX();
        let named = [libc::SIGUSR1, libc::SIGUSR2, libc::SIGHUP];
        if named.contains(&number) || real_time.contains(&number) {
            Ok(Signal(number))
        } else {
            Err(Error::config(format!("signal `{number}`: {}", accepted())))
        }
    }

    /// Its number on this platform.
    pub fn number(self) -> i32 {
        self.0
    }
}

/// What may stand after `signal=`, as a sentence.
pub(super) fn accepted() -> String {
    let most = libc::SIGRTMAX() - libc::SIGRTMIN();
    format!(
        "accepted are SIGUSR1, SIGUSR2, SIGHUP, SIGRTMIN to SIGRTMIN+{most}, or the number of one of these"
    )
}

/// Reads `SIGUSR1`, `SIGRTMIN+3` or a number; upper or lower case, `SIG` may be missing.
impl FromStr for Signal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Signal> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let found = match name {
            "USR1" => Ok(Signal::USR1),
            "USR2" => Ok(Signal::USR2),
            "HUP" => Ok(Signal::HUP),
            "RTMIN" => Signal::real_time(0),
            _ => match (name.strip_prefix("RTMIN+"), upper.as_str()) {
                (Some(n), _) if all_digits(n) => {
                    n.parse().map_or_else(|_| refuse(), Signal::real_time)
                }
                (None, number) if all_digits(number) => number
                    .parse()
                    .map_or_else(|_| refuse(), Signal::from_number),
                _ => refuse(),
            },
        };
        found.map_err(|_| Error::config(format!("signal `{text}`: {}", accepted())))
    }
}

/// Without this `parse` would take a sign, too.
fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn refuse() -> Result<Signal> {
    Err(Error::config("not a signal that may dump"))
}

/// The name, as [`FromStr`] reads it.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Signal::USR1 => f.write_str("SIGUSR1"),
            Signal::USR2 => f.write_str("SIGUSR2"),
            Signal::HUP => f.write_str("SIGHUP"),
            Signal(number) if number == libc::SIGRTMIN() => f.write_str("SIGRTMIN"),
            Signal(number) => write!(f, "SIGRTMIN+{}", number - libc::SIGRTMIN()),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_display_agree() {
        let mut all = vec![Signal::USR1, Signal::USR2, Signal::HUP];
        all.extend((0..).map_while(|n| Signal::real_time(n).ok()));
        assert_eq!(
            all.len() as i32,
            3 + libc::SIGRTMAX() - libc::SIGRTMIN() + 1
        );
        for signal in all {
            assert_eq!(signal.to_string().parse::<Signal>().unwrap(), signal);
            assert_eq!(
                signal.to_string()[3..]
                    .to_lowercase()
                    .parse::<Signal>()
                    .unwrap(),
                signal
            );
            assert_eq!(
                signal.number().to_string().parse::<Signal>().unwrap(),
                signal
            );
        }
    }

    #[test]
    fn every_other_number_is_refused() {
        for number in (-5..200).chain([i32::MIN, i32::MAX]) {
            let is_real_time = (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number);
            let may =
                is_real_time || [libc::SIGHUP, libc::SIGUSR1, libc::SIGUSR2].contains(&number);
            assert_eq!(Signal::from_number(number).is_ok(), may, "{number}");
        }
    }
}
