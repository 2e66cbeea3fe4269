//! When to dump, and where to: a signal, a schedule, a call, the end of the process.
//!
//! ```text
//! signal handler ──one byte──┐
//! Handle::dump, dump ──order─┤
//! drop, exit ──stop──────────┼─▶ desk ─▶ worker ─▶ snapshot ─▶ symbolise ─▶ write ─▶ sink
//! schedule ──timeout─────────┘          (the one helper thread)
//! ```
//!
//! A process has at most one [`Handle`]. Its life:
//!
//! ```text
//!            init               drop, or exit of the process
//!   (none) ────────▶ running ──────────────────────────────▶ stopping ──final dump──▶ (none)
//!              │
//!              └─ fork: the child has memory of a handle, but no thread, and is (none)
//! ```
#![forbid(unsafe_code)]

mod desk;
pub mod evidence;
pub(crate) mod leak_watch;
pub(crate) mod report;
mod schedule;
mod signal;
mod sink;
mod wiring;
mod worker;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::config::{Config, Signal};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::sys;
use desk::{Desk, Order};
use evidence::Evidence;
use schedule::Schedule;
use sink::Sink;
use worker::{Manner, Worker};

/// Starts the triggers that the environment variable `HEAPSITE` asks for: see [`Config`] for its keys and for
/// what happens without it (dumps on `SIGUSR2` if nobody else wants that signal, into the current directory).
///
/// # Errors
///
/// As [`Config::from_env`] and [`Config::init`].
pub fn init() -> Result<Handle> {
    let _own_work = wiring::own_work();
    Config::from_env()?.init()
}

/// Writes a dump into `dir` (which has to exist) and returns its path; needs no [`Handle`].
///
/// The work is done on the helper thread, or on one made for this call if there is none; the caller waits. The
/// newest dumps that [`Config::keep`] speaks of are the handle's own: this one is never deleted.
///
/// # Errors
///
/// If the directory or the file cannot be used (also reported on stderr), or for a format other than [`Format::Pprof`] and
/// [`Format::Json`].
pub fn dump(dir: impl AsRef<Path>, format: Format) -> Result<PathBuf> {
    let _own_work = wiring::own_work();
    let config = Config::new().format(format);
    config.validate()?;
    let dir = dir.as_ref();
    if let (Some(desk), false) = (active_desk(), worker::is_helper()) {
        return desk.ask(Order::To(dir.to_owned(), format));
    }
    let manner = Manner {
        format,
        symbolize: config.symbolize,
    };
    let place = dir.to_owned();
    match worker::on_thread(move || worker::dump_to(&place, manner)).map(JoinHandle::join) {
        Ok(Ok(outcome)) => outcome,
        // No thread to be had: this one will do.
        Err(_) => worker::dump_to(dir, manner),
        Ok(Err(_)) => Err(Error::unsupported(
            "no dump: the thread that made it panicked; please report this",
        )),
    }
}

/// Writes a profile into `dir`, which has to exist, under the name of a dump.
pub(crate) fn write(dir: &Path, format: Format, profile: &crate::Profile) -> Result<PathBuf> {
    Sink::open(dir, None)?.write(format.extension(), &mut |out| format.write(profile, out))
}

impl Config {
    /// Starts the triggers. They stop when the [`Handle`] is dropped.
    ///
    /// # Errors
    ///
    /// If triggers are already running in this process; if the dump directory does not exist, or was set and
    /// cannot be written to (the default one is only complained about on stderr, since a service should not
    /// fail to start over it); if a setting makes no sense; if the system refuses a thread, a socket, the signal
    /// or the address of `http`. Nothing is left running then.
    pub fn init(self) -> Result<Handle> {
        let _own_work = wiring::own_work();
        self.validate()?;
        let pid = std::process::id();
        let claim = Claim::take(pid)?;
        let sink = Sink::open(self.dir.as_deref().unwrap_or(Path::new(".")), self.keep)?;
        if let Err(error) = sink.probe() {
            match self.dir {
                Some(_) => return Err(error.context("key `dir`")),
                None => report::line(format_args!(
                    "{error} (HEAPSITE=dir=… names another directory)"
                )),
            }
        }
        let evidence = match self.evidence {
            None => None,
            Some(options) => {
                let started = Evidence::start(options, sink.dir(), Instant::now());
                Some(started.map_err(|error| error.context("key `evidence`"))?)
            }
        };
        // Stops by itself if something below fails.
        #[cfg(feature = "http")]
        let http = match &self.http {
            None => None,
            Some(address) => Some(serve(address, &self.http_options)?),
        };
        #[cfg(feature = "push")]
        let push = match &self.push {
            None => None,
            Some(options) => Some(options.clone().start()?),
        };
        let dir = sink.dir().to_owned();
        let manner = Manner {
            format: self.format,
            symbolize: self.symbolize,
        };
        let no_thread = |error| Error::io("cannot start heapsite's helper thread", error);
        let (desk, bell) = Desk::new().map_err(no_thread)?;
        let desk = Arc::new(desk);
        // Armed before the thread runs: what comes early waits in the socket.
        let armed = signal::arm(self.signal, &desk.wake, desk::SIGNAL)?;
        let worker = Worker {
            desk: Arc::clone(&desk),
            bell,
            sink,
            schedule: Schedule::new(Instant::now(), self.every),
            manner,
            final_dump: self.final_dump,
            evidence,
        };
        let thread = match worker.start() {
            Ok(thread) => Some(thread),
            Err(error) => {
                if let Some(armed) = armed {
                    armed.disarm();
                }
                return Err(no_thread(error));
            }
        };
        claim.keep(Arc::clone(&desk));
        // A thread gives itself its name. `heapsite dump` looks for it, and may be called as soon as this returns; a
        // machine too busy for that is no reason to fail.
        desk.wait_until_begun(START_PATIENCE);
        if let Some(why) = wiring::records_nothing() {
            report::line(format_args!("{why}"));
        }
        crate::thread::watch();
        if let Some(signal) = self.thread_signal {
            crate::thread::use_signal(signal);
        }
        if let Some(bytes) = self.memory {
            wiring::set_memory_limit(bytes);
        }
        if let Some(bytes) = self.interval {
            wiring::set_sample_interval(bytes);
        }
        let mut handle = Handle {
            pid,
            #[cfg(feature = "http")]
            http,
            #[cfg(feature = "push")]
            push,
            leak_watch: None,
            desk,
            thread,
            armed,
            dir,
            manner,
        };
        // If it fails, the handle stops everything.
        if let Some(options) = self.leak_watch {
            handle.leak_watch = leak_watch::start(options, &handle.desk)?;
        }
        #[cfg(feature = "http")]
        if let Some(server) = &handle.http {
            report::line(format_args!("profiles at {}/debug/pprof/", server.url()));
        }
        Ok(handle)
    }
}

#[cfg(feature = "http")]
fn serve(address: &str, options: &crate::http::Options) -> Result<crate::http::Server> {
    crate::http::address(address)
        .map_err(Error::config)
        .and_then(|address| options.serve(address))
        .map_err(|error| error.context("key `http`"))
}

/// Running triggers. Dropping it stops them: the helper thread finishes what it was asked for, takes the final
/// dump if there is to be one, and has ended when the drop returns. Should that take more than 20 seconds (a disk that
/// hangs, say), the drop returns without it and stderr says so.
///
/// In a forked child it is a memory only: the triggers go on in the parent, dropping it does nothing, and the
/// child may call [`init`] for itself.
#[must_use = "dropping the handle stops the triggers: keep it until the end of `main`"]
pub struct Handle {
    pid: u32,
    #[cfg(feature = "http")]
    http: Option<crate::http::Server>,
    #[cfg(feature = "push")]
    push: Option<crate::push::Pusher>,
    leak_watch: Option<crate::leak::WatchHandle>,
    desk: Arc<Desk>,
    /// `None` only while dropping.
    thread: Option<JoinHandle<()>>,
    armed: Option<signal::Armed>,
    dir: PathBuf,
    manner: Manner,
}

impl Handle {
    /// Writes a dump as the settings say and returns its path. The helper thread does the work; the caller
    /// waits for it. Two threads that call this at once get a dump each.
    ///
    /// In a forked child, which has no helper thread, the calling thread does it, under the child's own id.
    ///
    /// # Errors
    ///
    /// If the directory or the file cannot be used; also reported on stderr.
    pub fn dump(&self) -> Result<PathBuf> {
        let _own_work = wiring::own_work();
        if self.is_of_parent() || worker::is_helper() {
            return worker::dump_to(&self.dir, self.manner);
        }
        self.desk.ask(Order::Default)
    }

    /// The signal that dumps; `None`: none does.
    pub fn signal(&self) -> Option<Signal> {
        self.armed.as_ref().map(|armed| armed.signal)
    }

    /// Where the dumps go; absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The server of [`Config::http`]; its address has the real port.
    #[cfg(feature = "http")]
    pub fn http(&self) -> Option<&crate::http::Server> {
        self.http.as_ref()
    }

    /// The pusher of [`Config::push`].
    #[cfg(feature = "push")]
    pub fn push(&self) -> Option<&crate::push::Pusher> {
        self.push.as_ref()
    }

    fn is_of_parent(&self) -> bool {
        std::process::id() != self.pid
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("signal", &self.signal())
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let _own_work = wiring::own_work();
        let Some(thread) = self.thread.take() else {
            return;
        };
        if self.is_of_parent() {
            // Even to detach a thread that does not exist here would touch memory that may be gone.
            return std::mem::forget(thread);
        }
        #[cfg(feature = "http")]
        drop(self.http.take());
        #[cfg(feature = "push")]
        drop(self.push.take());
        // While there is somebody to answer its order for a dump.
        drop(self.leak_watch.take());
        if let Some(armed) = &self.armed {
            armed.disarm();
        }
        self.desk.ask_to_stop();
        if !worker::is_helper() && wait_until_closed(&self.desk) {
            // An error is a panic of the helper, which the panic hook has told already.
            let _ = thread.join();
        }
        *active() = None;
        free(self.pid);
    }
}

/// The process whose triggers run; 0: none. Tells a forked child from its parent without touching the lock of
/// [`ACTIVE`], which another thread may have held at the fork.
///
/// Orderings: what belongs to the id lies behind that lock, so the id itself needs no more than Relaxed.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// The desk of the running triggers, and the process they run in.
static ACTIVE: Mutex<Option<(u32, Arc<Desk>)>> = Mutex::new(None);

/// Only to be called in a process that owns the triggers, or is about to.
fn active() -> MutexGuard<'static, Option<(u32, Arc<Desk>)>> {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The desk, if triggers run in this very process.
fn active_desk() -> Option<Arc<Desk>> {
    let pid = std::process::id();
    if OWNER.load(Ordering::Relaxed) != pid {
        return None;
    }
    // A child that is just starting its own triggers still remembers its parent's desk.
    active()
        .as_ref()
        .filter(|(owner, _)| *owner == pid)
        .map(|(_, desk)| Arc::clone(desk))
}

fn free(pid: u32) {
    // Relaxed: see `OWNER`.
    let _ = OWNER.compare_exchange(pid, 0, Ordering::Relaxed, Ordering::Relaxed);
}

/// Whether [`ACTIVE`] can be locked. It is held for moments only; if it stays locked, this process was forked while a
/// thread of its parent held it, and nobody here will ever unlock it. That is so at each `init` of this process and of
/// its own children, whoever owned triggers meanwhile.
fn lock_is_usable() -> bool {
    const TRIES: u32 = 200;
    (0..TRIES).any(|_| {
        let locked = matches!(ACTIVE.try_lock(), Err(TryLockError::WouldBlock));
        if locked {
            std::thread::sleep(Duration::from_millis(1));
        }
        !locked
    })
}

/// The right of this process to start triggers; given back unless [`Claim::keep`] is called.
struct Claim {
    pid: u32,
}

impl Claim {
    fn take(pid: u32) -> Result<Claim> {
        // Relaxed: see `OWNER`.
        let owner = OWNER.load(Ordering::Relaxed);
        let swap = || OWNER.compare_exchange(owner, pid, Ordering::Relaxed, Ordering::Relaxed);
        if owner == pid || swap().is_err() {
            return Err(Error::config(
                "triggers are already running in this process: accepted is one `init` at a time; \
                 drop the first `Handle` before the next `init`",
            ));
        }
        let claim = Claim { pid };
        if !lock_is_usable() {
            return Err(Error::unsupported(
                "no triggers in this process: it was forked while its parent started or stopped its own",
            ));
        }
        Ok(claim)
    }

    fn keep(self, desk: Arc<Desk>) {
        *active() = Some((self.pid, desk));
        std::mem::forget(self);
        // Relaxed: only one thread at a time holds the claim, and the flag guards no other memory.
        static REGISTERED: AtomicBool = AtomicBool::new(false);
        if !REGISTERED.swap(true, Ordering::Relaxed) && !sys::exit::at_exit(at_exit) {
            report::line(format_args!(
                "no final dump by `exit`: the C library has no room to remember it"
            ));
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        free(self.pid);
    }
}

/// A thread starts within microseconds, or a scheduler's turn.
const START_PATIENCE: Duration = Duration::from_secs(1);

/// An orchestrator kills a process about 30 seconds after it has asked it to end.
const EXIT_PATIENCE: Duration = Duration::from_secs(20);

/// The process exits while triggers run: the same as dropping the handle, but with limited patience, since
/// nobody may keep a process from ending for ever. Also when no final dump was asked for: a dump that is being
/// written shall not stay half-written.
extern "C" fn at_exit() {
    let _own_work = wiring::own_work();
    let Some(desk) = active_desk() else { return };
    if worker::is_helper() {
        return; // a panic hook that exits, called while the helper dumps: it cannot wait for itself
    }
    desk.ask_to_stop();
    wait_until_closed(&desk);
}

/// Waits for the helper thread as long as anybody may be kept waiting; `false`: it is left to itself.
fn wait_until_closed(desk: &Desk) -> bool {
    let closed = desk.wait_until_closed(EXIT_PATIENCE);
    if !closed {
        report::line(format_args!(
            "a dump was still being written after {EXIT_PATIENCE:?} and may be lost"
        ));
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in a child that was forked while its parent held the lock: each try fails, and none hangs.
    #[test]
    fn a_lock_that_nobody_will_open_is_an_error_every_time() {
        // No process has this id, so no other test can be taken for the owner.
        const NOBODY: u32 = u32::MAX;
        let held = active();
        for _ in 0..2 {
            let refused = Claim::take(NOBODY).err().unwrap();
            assert!(refused.is_unsupported(), "{refused}");
        }
        drop(held);
        drop(Claim::take(NOBODY).unwrap());
    }
}
