//! Which samples and which frames to look at. The questions are closures over a [`Function`], so that a
//! regular expression, a table of crates or a list of names can answer them.
#![forbid(unsafe_code)]

use super::builder::Builder;
use super::merge::add_detail;
use super::{Function, Label, Line, Location, LocationId, Profile};
use crate::error::Result;

/// A question about a function.
pub type ByFunction<'a> = &'a dyn Fn(&Function) -> bool;
/// A question about the labels of a sample.
pub type ByLabels<'a> = &'a dyn Fn(&[Label]) -> bool;

/// What [`Profile::filter`] keeps. `None` asks nothing; the default keeps everything.
///
/// As in pprof, `focus` and `ignore` choose samples, by the frames as they were recorded; `hide` and `show`
/// then choose frames, inlined ones singly.
#[derive(Clone, Copy, Default)]
#[expect(
    missing_debug_implementations,
    reason = "closures have nothing to show"
)]
pub struct Filter<'a> {
    /// Keeps samples with a frame that matches.
    pub focus: Option<ByFunction<'a>>,
    /// Drops samples with a frame that matches.
    pub ignore: Option<ByFunction<'a>>,
    /// Drops frames that match.
    pub hide: Option<ByFunction<'a>>,
    /// Drops frames that do not match, and locations without a function.
    pub show: Option<ByFunction<'a>>,
    /// Keeps samples whose labels match.
    pub labels: Option<ByLabels<'a>>,
}

impl Profile {
    /// The part of the profile that `filter` keeps. Samples that become equal are added up, samples left
    /// without a frame are dropped, and so is what no sample refers to any more, except for mappings.
    ///
    /// Each question is asked once per function, not once per frame. [`Profile::heap`] stays as it is: it
    /// speaks of the whole program.
    ///
    /// # Errors
    /// The profile is not whole ([`Profile::check`]).
    pub fn filter(&self, filter: &Filter<'_>) -> Result<Profile> {
        self.check()?;
        let ask = |question: Option<ByFunction<'_>>| {
            question.map(|matches| self.functions.iter().map(matches).collect::<Vec<bool>>())
        };
        let (focus, ignore) = (ask(filter.focus), ask(filter.ignore));
        let (hide, show) = (ask(filter.hide), ask(filter.show));
        let has = |answers: &[bool], id: LocationId| {
            let lines = &self.locations[id.0 as usize].lines;
            lines.iter().any(|line| answers[line.function.0 as usize])
        };

        let shown = |line: &Line| {
            let function = line.function.0 as usize;
            hide.as_ref().is_none_or(|hide| !hide[function])
                && show.as_ref().is_none_or(|show| show[function])
        };
        let frames = (hide.is_some() || show.is_some()).then(|| {
            let keep = |location: &Location| Location {
                lines: location
                    .lines
                    .iter()
                    .filter(|line| shown(line))
                    .copied()
                    .collect(),
                ..location.clone()
            };
            self.locations.iter().map(keep).collect::<Vec<Location>>()
        });
        let visible = |id: LocationId| match &frames {
            None => true,
            Some(frames) => {
                let nameless = self.locations[id.0 as usize].lines.is_empty();
                !frames[id.0 as usize].lines.is_empty() || (nameless && show.is_none())
            }
        };

        let cuts = self.samples.iter().map(|sample| {
            let any = |answers: &[bool]| sample.locations.iter().any(|&id| has(answers, id));
            let keep = focus.as_ref().is_none_or(|focus| any(focus))
                && ignore.as_ref().is_none_or(|ignore| !any(ignore))
                && filter.labels.is_none_or(|matches| matches(&sample.labels));
            keep.then(|| sample.locations.iter().copied().filter(|&id| visible(id)))
        });
        let locations = frames.as_ref().unwrap_or(&self.locations);
        Ok(rebuild(self, locations, cuts, frames.is_none()))
    }

    /// Drops samples whose values are all 0 and what only they refer to, except for mappings.
    ///
    /// # Errors
    /// The profile is not whole ([`Profile::check`]).
    pub fn drop_zeros(&self) -> Result<Profile> {
        self.check()?;
        let cuts = self.samples.iter().map(|sample| {
            let keep = sample.values.iter().any(|&value| value != 0);
            keep.then(|| sample.locations.iter().copied())
        });
        Ok(rebuild(self, &self.locations, cuts, true))
    }
}

/// A new profile of the stacks that `cuts` gives, one per sample of `profile` (`None`: drop it). Stacks index
/// `locations`, which has the profile's own or changed versions of them.
pub(super) fn rebuild<S: Iterator<Item = LocationId>>(
    profile: &Profile,
    locations: &[Location],
    cuts: impl Iterator<Item = Option<S>>,
    keep_empty: bool,
) -> Profile {
    let mut builder = Builder::new(profile, profile.samples.len());
    let mut source = builder.source_with(profile, locations);
    let mut stack = Vec::new();
    for (sample, cut) in profile.samples.iter().zip(cuts) {
        let Some(cut) = cut else { continue };
        stack.clear();
        for id in cut {
            stack.push(builder.location(&mut source, id));
        }
        if stack.is_empty() && !keep_empty {
            continue;
        }
        let (row, new) = builder.sample(&stack, &sample.labels);
        let sum = &mut builder.profile.samples[row];
        for (sum, value) in sum.values.iter_mut().zip(&sample.values) {
            *sum = sum.saturating_add(*value);
        }
        match (&mut sum.detail, &sample.detail) {
            (slot @ None, Some(detail)) if new => *slot = Some(detail.clone()),
            (Some(sum), Some(detail)) => add_detail(sum, detail),
            (slot, _) => *slot = None,
        }
    }
    let mut rebuilt = builder.profile;
    rebuilt.heap.clone_from(&profile.heap);
    rebuilt
}
