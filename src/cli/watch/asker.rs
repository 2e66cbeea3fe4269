//! The thread that asks the service, so that keys never wait for it.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::service::Service;
use super::gone;
use super::look::{Look, Window};
use crate::{Error, Result};

/// An answer, or why there is none.
pub(super) type Answer = Result<Look>;

pub(super) struct Asker {
    service: Service,
    windows: Sender<Window>,
    answers: Receiver<Answer>,
}

impl Asker {
    /// Asks at once, and then with this period.
    ///
    /// # Errors
    /// The system has no thread.
    pub(super) fn start(service: Service, every: Duration) -> Result<Asker> {
        let (windows, changes) = channel();
        let (results, answers) = channel();
        let asked = service.clone();
        thread::Builder::new()
            .name("asks".to_owned())
            .spawn(move || ask_again_and_again(&asked, every, &changes, &results))
            .map_err(|error| Error::io("cannot start a thread", error))?;
        Ok(Asker {
            service,
            windows,
            answers,
        })
    }

    /// Waits for the next answer.
    pub(super) fn next(&self) -> Answer {
        self.answers.recv().unwrap_or_else(|_| Err(gone()))
    }

    /// The next answer, if it is there.
    pub(super) fn poll(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }

    /// Asks at once, with another window.
    pub(super) fn ask(&self, window: Window) {
        // Where the thread has ended, `next` says so.
        let _ = self.windows.send(window);
    }

    /// Fetches a profile into the working directory; returns the file's name.
    pub(super) fn dump(&self) -> Result<String> {
        let bytes = self.service.profile("pprof")?;
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let name = format!(
            "heapsite.{}.pb.gz",
            since.map_or(0, |since| since.as_secs())
        );
        let failed = |error| Error::io(format!("cannot write {name}"), error);
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&name);
        file.and_then(|mut file| file.write_all(&bytes))
            .map_err(failed)?;
        Ok(name)
    }
}

fn ask_again_and_again(
    service: &Service,
    every: Duration,
    changes: &Receiver<Window>,
    results: &Sender<Answer>,
) {
    let mut window = Window::default();
    loop {
        if results.send(Look::at(service, window)).is_err() {
            return;
        }
        match changes.recv_timeout(every) {
            // Keys that were pressed meanwhile count once.
            Ok(changed) => window = changes.try_iter().last().unwrap_or(changed),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}
