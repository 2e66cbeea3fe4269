//! Ctrl-C while a file is written: the half of it goes, and the command ends as it would have without us.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// Temporary files that are being written.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that does not outlive a signal, nor this value.
pub(super) struct Unfinished(PathBuf);

impl Unfinished {
    /// Before the file is made, so that there is no moment in which nobody knows of it.
    pub(super) fn new(path: PathBuf) -> Unfinished {
        static WATCH: Once = Once::new();
        WATCH.call_once(watch);
        unfinished().push(path.clone());
        Unfinished(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.0);
        unfinished().retain(|path| *path != self.0);
    }
}

/// A thread waits for signals from here on; where there is none, or no room for one, they do what they always did.
fn watch() {
    let (ready, is_ready) = sync_channel(1);
    let builder = std::thread::Builder::new().name("heapsite-signals".to_owned());
    if builder.spawn(move || wait(ready)).is_ok() {
        // An error: the thread could not listen, and has ended.
        let _ = is_ready.recv();
    }
}

fn wait(ready: SyncSender<()>) {
    let ignored = ignored();
    // `nohup` and shells without job control mean it.
    let signals = [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let Ok(mut signals) = Signals::new(signals) else {
        return;
    };
    let _ = ready.send(());
    for signal in signals.forever() {
        // Held to the end: no further file is begun.
        let files = unfinished();
        for path in files.iter() {
            let _ = fs::remove_file(path);
        }
        let _ = emulate_default_handler(signal);
    }
}

/// The signals that this process was started to ignore, a bit each, from 1 on.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
