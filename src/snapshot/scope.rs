//! What leak checks are told: live blocks one by one, and the stacks of sites.
#![forbid(unsafe_code)]

use super::Snapshot;
use crate::profile::addresses::Builder;
use crate::profile::{Label, Profile, ValueType};
use crate::record;
use crate::record::live_map::Live;
use crate::record::local::Ignore;
use crate::record::sampler::Weight;
use crate::record::scopes::{self, Ticket};
use crate::record::site::CountsRead;
use crate::symbolize;

/// A live recorded allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) address: u64,
    /// Requested bytes.
    pub(crate) bytes: u64,
    /// Number of its site.
    pub(crate) site: u32,
    /// In ticks of the recorder's clock: with the address, which allocation it is.
    pub(crate) birth: u64,
    /// It was allocated in the scope that was asked for.
    pub(crate) in_scope: bool,
}

/// Everything live that is certain to be recorded, sorted by address: what belongs to any scope, or all where everything
/// is recorded. What was sampled by chance is left out, so that no verdict depends on it. Other threads go on meanwhile.
pub(crate) fn blocks(scope: Ticket) -> Vec<Block> {
    let is_exact = record::is_exact();
    let mut blocks = Vec::new();
    record::MAP.for_each(|address, live| {
        if is_exact || live.thread >= scopes::FIRST {
            blocks.push(block(address, &live, scope));
        }
    });
    blocks.sort_unstable_by_key(|block| block.address);
    blocks.dedup_by_key(|block| block.address);
    blocks
}

/// What is live of a scope, sorted by address.
pub(crate) fn blocks_of(scope: Ticket) -> Vec<Block> {
    let mut blocks = Vec::new();
    record::MAP.for_each(|address, live| {
        if scopes::holds(scope, &live) {
            blocks.push(block(address, &live, scope));
        }
    });
    blocks.sort_unstable_by_key(|block| block.address);
    blocks.dedup_by_key(|block| block.address);
    blocks
}

fn block(address: u64, live: &Live, scope: Ticket) -> Block {
    Block {
        address,
        bytes: live.size,
        site: live.site,
        birth: live.birth,
        in_scope: scopes::holds(scope, live),
    }
}

/// The process now, and the same as if these exact blocks had never been allocated.
pub(crate) fn with_and_without(mut blocks: Vec<Block>) -> (Snapshot, Snapshot) {
    blocks.sort_unstable_by_key(|block| block.site);
    let without = super::without(&blocks);
    (super::snapshot(), without)
}

/// What the blocks of one site count for; `blocks` are sorted by site.
pub(super) fn counts_at(blocks: &[Block], site: u32) -> CountsRead {
    let from = blocks.partition_point(|block| block.site < site);
    let mut counts = CountsRead::default();
    for block in blocks[from..].iter().take_while(|block| block.site == site) {
        counts.objects += 1;
        counts.bytes += block.bytes;
        counts.objects_estimate += Weight::ONE.objects();
        counts.bytes_estimate += block.bytes;
    }
    counts
}

/// The key of the label that tells a sample's site.
const SITE: &str = "site";

/// A profile with a sample for each of these sites, with names, told apart by [`site_of`].
pub(crate) fn stacks(sites: &[u32]) -> Profile {
    let _own_work = Ignore::new();
    record::note_loaded_code();
    let count = ValueType {
        kind: "sites".to_owned(),
        unit: "count".to_owned(),
    };
    let mut builder = Builder::new(vec![count], symbolize::mappings::current());
    for &site in sites {
        let (frames, _) = record::SITES.stack(site).unwrap_or((&[], 0));
        // Relaxed: the site's number came with a live sample, and its frames with it.
        let stack: Vec<u64> = frames
            .iter()
            .map(|frame| frame.load(std::sync::atomic::Ordering::Relaxed))
            .collect();
        let label = Label::number(SITE, i64::from(site), "");
        builder.sample(&stack, vec![1], vec![label], None);
    }
    let mut profile = builder.finish();
    let report = symbolize::symbolize(&mut profile, &symbolize::Options::in_process());
    symbolize::finish(profile, &report)
}

/// The site that a sample of [`stacks`] stands for.
pub(crate) fn site_of(labels: &[Label]) -> Option<u32> {
    let label = labels.iter().find(|label| label.key == SITE)?;
    match label.value {
        crate::profile::LabelValue::Num(value, _) => u32::try_from(value).ok(),
        _ => None,
    }
}
