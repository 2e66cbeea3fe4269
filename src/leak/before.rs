//! What was there when a check started.
#![forbid(unsafe_code)]

use std::collections::HashSet;

use super::fds::Fds;
use super::threads;
use crate::record::local;
use crate::record::losses;
use crate::record::scopes::{self, Ticket};
use crate::snapshot::scope::{Block, blocks_of};
use crate::task;

/// What a check compares with.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) fds: Fds,
    /// All threads that there were.
    pub(super) all_threads: HashSet<u32>,
    /// None of them can be at work beside the check.
    pub(super) is_alone: bool,
    /// Threads that had been seen by the recorder.
    numbered: u32,
    losses: u64,
    /// Memory of the scope that is no leak, by address and birth.
    pub(super) forgiven: HashSet<(u64, u64)>,
    /// Threads of the scope that are no leak.
    pub(super) threads: HashSet<u32>,
    /// Tasks of the scope that are no leak.
    pub(super) tasks: HashSet<u64>,
}

impl Before {
    /// As it is now.
    pub(super) fn now(with_fds: bool) -> Before {
        let all_threads = threads::ids();
        Before {
            fds: if with_fds { Fds::now() } else { Fds::default() },
            is_alone: threads::strangers(all_threads.iter().copied()).is_empty(),
            all_threads,
            numbered: local::threads_numbered(),
            losses: losses_now(),
            ..Before::default()
        }
    }

    /// What a scope has left by now is no leak.
    pub(super) fn forgive(&mut self, scope: Ticket, with_fds: bool) {
        let blocks = blocks_of(scope);
        self.forgiven
            .extend(blocks.iter().map(|block| (block.address, block.birth)));
        self.threads
            .extend(threads::alive(scope).iter().map(|thread| thread.id));
        self.tasks
            .extend(task::of_scope(scope).iter().map(task::Alive::id));
        if with_fds {
            self.fds.add(Fds::now());
        }
    }

    pub(super) fn forgives(&self, block: &Block) -> bool {
        self.forgiven.contains(&(block.address, block.birth))
    }

    /// Threads outside the scope that have allocated for the first time since.
    pub(super) fn strangers_began(&self, scope: Ticket) -> u64 {
        let numbered = local::threads_numbered().wrapping_sub(self.numbered);
        u64::from(numbered).saturating_sub(scopes::counts(scope).threads)
    }

    /// Allocations that have not been recorded since, anybody's.
    pub(super) fn losses_since(&self) -> u64 {
        losses_now().saturating_sub(self.losses)
    }
}

fn losses_now() -> u64 {
    let missing = losses::REASONS
        .iter()
        .filter(|(reason, ..)| reason.is_missing());
    missing.map(|(reason, ..)| losses::read(*reason).0).sum()
}
