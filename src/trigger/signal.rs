//! Which signal dumps.
#![forbid(unsafe_code)]

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;

use super::report;
use crate::config::{Signal, SignalChoice};
use crate::error::{Error, Result};
use crate::sys;

/// `SIGUSR2` was unclaimed when we took it. Our handler stays when a [`Handle`](super::Handle) is dropped, and
/// must not look like somebody else's to the next one.
///
/// Relaxed: the flag guards no other memory, and handles follow one another through a lock.
static USR2_IS_OURS: AtomicBool = AtomicBool::new(false);

/// A signal that wakes the helper thread until this is dropped.
pub(super) struct Armed {
    pub(super) signal: Signal,
    id: SigId,
}

/// Has the chosen signal write `byte` into `wake`. `None`: no signal dumps.
pub(super) fn arm(choice: SignalChoice, wake: &UnixStream, byte: u8) -> Result<Option<Armed>> {
    let signal = match choice {
        SignalChoice::Off => return Ok(None),
        SignalChoice::Always(signal) => signal,
        SignalChoice::IfUnclaimed => Signal::USR2,
    };
    let failed = |error| Error::io(format!("cannot dump on {signal}"), error);
    let unclaimed = sys::signal::is_default(signal.number()).map_err(failed)?;
    if signal == Signal::USR2 && unclaimed {
        USR2_IS_OURS.store(true, Ordering::Relaxed);
    }
    if choice == SignalChoice::IfUnclaimed && !USR2_IS_OURS.load(Ordering::Relaxed) {
        report::line(format_args!(
            "no signal dumps: this program handles or ignores {signal} itself (HEAPSITE=signal=SIGUSR1, say, \
             picks another one; signal=none is silent)"
        ));
        return Ok(None);
    }
    let wake = wake.try_clone().map_err(failed)?;
    let id = sys::signal::register(signal.number(), wake, byte).map_err(failed)?;
    Ok(Some(Armed { signal, id }))
}

impl Armed {
    pub(super) fn disarm(&self) {
        sys::signal::unregister(self.id);
    }
}
