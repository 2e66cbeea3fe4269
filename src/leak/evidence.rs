//! Where a check looks for pointers, and what they lead to.
#![forbid(unsafe_code)]

use super::judge::Question;
use super::reach::{self, Holder};
use super::tasks::Places;
use super::threads::{self, Alive};
use crate::record;
use crate::snapshot::scope::{Block, blocks};
use crate::sys::roots::{Root, RootKind, roots};

pub(super) fn is_held_for_good(roots: &[Root], holder: &Option<Holder>) -> bool {
    holder.is_some_and(|holder| {
        !matches!(
            roots[holder.root].kind,
            RootKind::Stack(_) | RootKind::Task(_)
        )
    })
}

/// Statics first, so that what both a static and a thread hold is the static's; then tasks, which the thread that polls them
/// leads to as well.
pub(super) fn all_roots(question: &Question<'_>, alive: &[Alive], tasks: &Places) -> Vec<Root> {
    let mut all = reach::without(roots(), &record::own_statics());
    all.sort_by_key(|root| root.kind == RootKind::Locals);
    all.extend(tasks.roots());
    all.extend(alive.iter().filter_map(|thread| threads::stack(thread.id)));
    if let Some(pointer) = question.at_exit {
        let own = crate::sys::thread_id();
        let mut others = threads::ids();
        others.remove(&own);
        for thread in alive {
            others.remove(&thread.id);
        }
        all.extend(threads::stack_from(pointer, own));
        all.extend(others.into_iter().filter_map(threads::stack));
    }
    all
}

/// The scope's blocks, each with what holds it.
pub(super) fn evidence(
    question: &Question<'_>,
    roots: &[Root],
) -> std::io::Result<Vec<(Block, Option<Holder>)>> {
    if question.own_blocks().is_empty() {
        return Ok(Vec::new());
    }
    let blocks = blocks(question.scope);
    let holders = reach::holders(&blocks, roots)?;
    let pairs = blocks.into_iter().zip(holders);
    Ok(pairs
        .filter(|(block, _)| block.in_scope && !question.before.forgives(block))
        .collect())
}
