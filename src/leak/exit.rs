//! One check for a whole process, made when it exits.
#![forbid(unsafe_code)]

use std::io::Write;
use std::panic::catch_unwind;
use std::sync::OnceLock;

use super::before::Before;
use super::check::Patience;
use super::judge::{Findings, Question};
use super::options::Options;
use super::report::LeakReport;
use super::save;
use super::scope::Blind;
use crate::record::local::Ignore;
use crate::record::scopes::{self, Ticket};
use crate::{record, sys};

/// What libtest exits with when a test fails.
const FAILED: i32 = 101;

/// The check of this process.
struct Whole {
    scope: Result<(Ticket, bool), Blind>,
    before: Before,
    options: Options,
    process: u32,
}

static WHOLE: OnceLock<Whole> = OnceLock::new();

/// Checks the whole process when it exits: what any thread allocated since this call and nothing holds any more, threads
/// that have not ended, and descriptors that are still open. If there are any, the report goes to standard error and the
/// exit code is 101.
///
/// Call it once, as early as can be: in a test binary in each test (only the first call counts), or before the tests run.
/// The calling thread and those that start later are recorded exactly from here on, threads that run already from
/// within 64 KiB of their own requests. What a static, or the stack of a thread other than a leaked one, holds is no leak. Needs
/// a regular exit: a return from `main`, [`std::process::exit`], or C's `exit`.
pub fn verify_at_exit() {
    Options::new().verify_at_exit();
}

impl Options {
    /// [`verify_at_exit`] with these options.
    pub fn verify_at_exit(self) {
        let _own_work = Ignore::new();
        WHOLE.get_or_init(|| {
            let before = Before::now(self.fds != Some(false));
            let scope = match () {
                () if !sys::CAN_RECORD => Err(Blind::Platform),
                () if !record::is_installed() => Err(Blind::NotInstalled),
                () => scopes::open().ok_or(Blind::TooMany),
            };
            if let Ok((ticket, _)) = scope {
                scopes::adopt_everybody(ticket);
            }
            sys::exit::at_exit(verify);
            Whole {
                scope,
                before,
                options: self,
                process: sys::process_id(),
            }
        });
    }
}

extern "C" fn verify() {
    let on_stack = 0u64;
    let stack_pointer = &raw const on_stack as u64;
    let _own_work = Ignore::new();
    let Some(whole) = WHOLE.get() else {
        return;
    };
    // A forked child has its parent's handlers, and none of its threads.
    if whole.process != sys::process_id() {
        return;
    }
    let report = catch_unwind(|| whole.find(stack_pointer)).unwrap_or_else(|_| {
        Some(LeakReport::not_checked(
            "heapsite panicked while it looked; please report this",
        ))
    });
    if let Some(report) = report {
        // Nobody is left to tell if standard error is closed.
        let _ = writeln!(std::io::stderr(), "heapsite: at exit: {report}");
        sys::exit::exit_with(FAILED);
    }
}

impl Whole {
    /// `None`: nothing leaked.
    fn find(&self, stack_pointer: u64) -> Option<LeakReport> {
        let (scope, is_followed) = match self.scope {
            Ok(scope) => scope,
            Err(blind) => return Some(LeakReport::not_checked(blind.why())),
        };
        let question = Question {
            scope,
            is_followed,
            before: &self.before,
            options: &self.options,
            at_exit: Some(stack_pointer),
        };
        let mut patience = Patience::new(self.options.patience);
        while !patience.is_over(&question) {
            std::thread::sleep(patience.wait());
        }
        let Findings { mut report, leaked } = question.judge();
        if report.is_clean() {
            return None;
        }
        if self.options.save.unwrap_or(true) {
            save::add_pair(&mut report, &self.options, leaked);
        }
        Some(report)
    }
}
