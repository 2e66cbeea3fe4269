//! Which samples and which of their frames a report is about, as pprof defines it.
//!
//! A text question is asked about the names of functions, of source files and of mappings. Questions about samples see
//! the frames as they were recorded; only then are frames hidden.
#![forbid(unsafe_code)]

use super::measure::Measure;
use super::tag_filter::TagFilter;
use crate::profile::{Location, Profile, Sample};

/// A question about a text, such as a regular expression.
pub type Matches<'a> = Box<dyn Fn(&str) -> bool + 'a>;

/// What to look at; `None` asks nothing, and the default selects everything.
#[derive(Default)]
#[expect(
    missing_debug_implementations,
    reason = "closures have nothing to show"
)]
pub struct Selection<'a> {
    /// Keeps samples of which some frame matches.
    pub focus: Option<Matches<'a>>,
    /// Drops samples of which some frame matches.
    pub ignore: Option<Matches<'a>>,
    /// Drops frames that do not match, and samples of which none is left.
    pub show: Option<Matches<'a>>,
    /// Drops frames that match, and samples of which none is left.
    pub hide: Option<Matches<'a>>,
    /// Drops what called the frame nearest to the root that matches, and samples without one.
    pub show_from: Option<Matches<'a>>,
    /// Keeps samples whose labels match.
    pub tag_focus: Option<TagFilter<'a>>,
    /// Drops samples whose labels match.
    pub tag_ignore: Option<TagFilter<'a>>,
    /// Drops labels whose key does not match.
    pub tag_show: Option<Matches<'a>>,
    /// Drops labels whose key matches.
    pub tag_hide: Option<Matches<'a>>,
}

/// A question, asked once about each function and mapping.
struct Answers {
    functions: Vec<bool>,
    mappings: Vec<bool>,
}

impl Answers {
    fn new(profile: &Profile, matches: &Matches<'_>) -> Answers {
        Answers {
            functions: profile
                .functions
                .iter()
                .map(|it| matches(&it.name) || matches(&it.filename))
                .collect(),
            mappings: profile
                .mappings
                .iter()
                .map(|it| matches(&it.file))
                .collect(),
        }
    }

    fn of(profile: &Profile, matches: Option<&Matches<'_>>) -> Option<Answers> {
        matches.map(|matches| Answers::new(profile, matches))
    }

    fn line(&self, location: &Location, line: usize) -> bool {
        let function = location.lines[line].function.0 as usize;
        self.functions.get(function).copied().unwrap_or(false)
    }

    fn any_line(&self, location: &Location) -> bool {
        (0..location.lines.len()).any(|line| self.line(location, line))
    }

    fn mapping(&self, location: &Location) -> bool {
        let mapping = location
            .mapping
            .and_then(|id| self.mappings.get(id.0 as usize));
        mapping.copied().unwrap_or(false)
    }

    fn location(&self, location: &Location) -> bool {
        self.any_line(location) || self.mapping(location)
    }

    /// Keeps the lines that match, or those that do not. A mapping that matches speaks for all of them.
    fn retain_lines(&self, location: &mut Location, keep: bool) {
        if self.mapping(location) {
            if !keep {
                location.lines.clear();
            }
            return;
        }
        let mut lines = std::mem::take(&mut location.lines);
        lines.retain(|line| {
            let answer = self.functions.get(line.function.0 as usize);
            answer.copied().unwrap_or(false) == keep
        });
        location.lines = lines;
    }
}

impl Selection<'_> {
    /// Leaves what is selected, `measures` being one for each sample. Names of the questions that nothing matched.
    pub(super) fn apply(
        &self,
        profile: &mut Profile,
        measures: &mut Vec<Measure>,
    ) -> Vec<&'static str> {
        let mut unmatched = Vec::new();
        self.by_name(profile, measures, &mut unmatched);
        if let Some(show_from) = &self.show_from {
            let found = from(profile, measures, &Answers::new(profile, show_from));
            unmatched.extend((!found).then_some("show-from"));
        }
        for (filter, keep, name) in [
            (&self.tag_focus, true, "tagfocus"),
            (&self.tag_ignore, false, "tagignore"),
        ] {
            let Some(filter) = filter else { continue };
            let mut found = false;
            retain(profile, measures, |sample| {
                let matches = filter.matches(&sample.labels);
                found |= matches;
                matches == keep
            });
            unmatched.extend((!found).then_some(name));
        }
        self.labels(profile);
        unmatched
    }

    fn by_name(
        &self,
        profile: &mut Profile,
        measures: &mut Vec<Measure>,
        unmatched: &mut Vec<&'static str>,
    ) {
        let focus = Answers::of(profile, self.focus.as_ref());
        let ignore = Answers::of(profile, self.ignore.as_ref());
        let (hide, show) = (
            Answers::of(profile, self.hide.as_ref()),
            Answers::of(profile, self.show.as_ref()),
        );
        let locations = profile.locations.len();
        let (mut focused, mut ignored) = (vec![true; locations], vec![false; locations]);
        let mut hidden = vec![false; locations];
        let (mut hides, mut shows) = (false, false);
        for (at, location) in profile.locations.iter_mut().enumerate() {
            // Before frames are hidden.
            focused[at] = focus.as_ref().is_none_or(|it| it.location(location));
            ignored[at] = ignore.as_ref().is_some_and(|it| it.location(location));
            if let Some(hide) = &hide
                && hide.location(location)
            {
                hides = true;
                hide.retain_lines(location, false);
                hidden[at] |= location.lines.is_empty();
            }
            if let Some(show) = &show {
                show.retain_lines(location, true);
                hidden[at] |= location.lines.is_empty();
                shows |= !location.lines.is_empty();
            }
        }
        for (is_unmatched, name) in [
            (focus.is_some() && !focused.contains(&true), "focus"),
            (ignore.is_some() && !ignored.contains(&true), "ignore"),
            (hide.is_some() && !hides, "hide"),
            (show.is_some() && !shows, "show"),
        ] {
            unmatched.extend(is_unmatched.then_some(name));
        }
        retain(profile, measures, |sample| {
            let any = |answers: &[bool]| sample.locations.iter().any(|id| has(answers, id.0));
            (focus.is_none() || any(&focused)) && !any(&ignored)
        });
        if hidden.contains(&true) {
            for sample in &mut profile.samples {
                sample.locations.retain(|id| !has(&hidden, id.0));
            }
            retain(profile, measures, |sample| !sample.locations.is_empty());
        }
    }

    fn labels(&self, profile: &mut Profile) {
        if self.tag_show.is_none() && self.tag_hide.is_none() {
            return;
        }
        for sample in &mut profile.samples {
            sample.labels.retain(|label| {
                self.tag_show.as_ref().is_none_or(|show| show(&label.key))
                    && self.tag_hide.as_ref().is_none_or(|hide| !hide(&label.key))
            });
        }
    }
}

/// An index that is out of range belongs to a profile that is not whole.
fn has(answers: &[bool], location: u32) -> bool {
    answers.get(location as usize).copied().unwrap_or(false)
}

/// Cuts stacks at the match nearest to their root; whether there was one.
fn from(profile: &mut Profile, measures: &mut Vec<Measure>, answers: &Answers) -> bool {
    let mut matched = vec![false; profile.locations.len()];
    for (location, matched) in profile.locations.iter_mut().zip(&mut matched) {
        if answers.mapping(location) {
            *matched = true;
            continue;
        }
        let outermost = (0..location.lines.len()).rfind(|&line| answers.line(location, line));
        if let Some(outermost) = outermost {
            *matched = true;
            location.lines.truncate(outermost + 1);
        }
    }
    for sample in &mut profile.samples {
        let outermost = sample.locations.iter().rposition(|id| has(&matched, id.0));
        let kept = outermost.map_or(0, |outermost| outermost + 1);
        sample.locations.truncate(kept);
    }
    retain(profile, measures, |sample| !sample.locations.is_empty());
    matched.contains(&true)
}

/// Drops samples together with their measures.
fn retain(profile: &mut Profile, measures: &mut Vec<Measure>, keep: impl FnMut(&Sample) -> bool) {
    let kept: Vec<bool> = profile.samples.iter().map(keep).collect();
    let mut answers = kept.iter();
    profile
        .samples
        .retain(|_| answers.next().copied().unwrap_or(false));
    let mut answers = kept.iter();
    measures.retain(|_| answers.next().copied().unwrap_or(false));
}
