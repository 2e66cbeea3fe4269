//! Stacks of this process by name, for those that are no profile.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::Options;
use crate::profile::addresses::Builder;
use crate::profile::{Label, LocationId, Profile};
use crate::record::scratch::Scratch;
use crate::view::key::Frame;

const NUMBER: &str = "stack";

/// The frames of each stack that `choose` takes, leaf first.
pub(crate) fn name_stacks_with(
    stacks: &[Vec<u64>],
    choose: impl Fn(&Profile, &[LocationId]) -> Vec<Frame>,
) -> Vec<Arc<[Frame]>> {
    let scratch = Scratch::new();
    let mut builder = Builder::new(Vec::new(), super::mappings::current());
    for (number, stack) in (0..).zip(stacks) {
        // Those that become equal once they have names stay apart.
        let label = Label::number(NUMBER, number, "");
        builder.sample(stack, Vec::new(), vec![label], None);
    }
    let mut profile = builder.finish();
    super::symbolize(&mut profile, &Options::in_process());
    let samples = profile.samples.iter();
    let frames: Vec<Vec<Frame>> = samples
        .map(|sample| choose(&profile, &sample.locations))
        .collect();
    let frames = scratch.keep(frames);
    frames.into_iter().map(Arc::from).collect()
}
