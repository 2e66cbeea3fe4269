//! Formats and verbs from the outside: what is written reads back, readers survive anything, sums and
//! differences cancel, and what we write keeps the rules of the backends that cannot be installed here.
#![forbid(unsafe_code)]

mod algebra;
mod backends;
mod call_tree;
mod callgrind;
mod dhat;
mod dumps;
mod errors;
mod exported;
mod fleet;
mod generate;
mod golden;
mod large;
mod legacy_text;
mod merge_many;
mod prune;
mod round_trip;
mod rules;
mod speedscope;
mod walker;

/// So that there is something to dump; the other tests do not notice.
#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system().sample_interval(128 << 10);
