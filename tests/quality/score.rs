//! Counts what was right, and says what has to be.
//!
//! **Accused** is what is called a leak. **Found** is a leak that is accused, or suspected: growing, and
//! [`looks_like_leak`](heapsite::find::Suspect). With 64 live samples at its line it has to be found, and no innocent line may be accused,
//! whatever the interval and after however many windows.
//!
//! Odds. Seeds are fixed and no program looks at addresses, times or the order of a map, so a run repeats to the sample, and
//! passes or fails for ever. With seeds chosen blindly:
//!
//! - After 1 and 5 windows nothing can be accused: the hour that a cache may take is not over. After 20, innocent lines have no
//!   survivors that came after their hour, or are seen to be freed, whatever is sampled. But for `hot_and_cold`, which fills for
//!   two hours, ever slower: that is seen where a steady rate would do it with odds of 10⁻³, and an accusation takes some 200 samples, of which
//!   75 would have to be in the later half instead of 44 (5·10⁻⁷).
//! - A steady leak of 64 samples is missed where 56 that are not of the start look as if they thinned out, which is set to 10⁻³,
//!   or stopped (1 or none of 14 in the last quarter, 10⁻⁵).
//! - Of 64 rates fewer than 80 % lie within their 95 % intervals with odds of 10⁻⁵.

use std::fmt::Write as _;

use heapsite::find::Class;

use super::INTERVALS;
use super::child::{Outcome, Said, WINDOWS};
use super::label::{Program, Truth};

/// What was said of one program after 1, 5 and 20 windows, and of whom else.
pub(crate) fn line(program: &Program, outcomes: &[Outcome]) -> String {
    let interval = outcomes.first().map_or(0, |it| it.interval >> 10);
    let mut text = format!("{:<20} {interval:>5} KiB ", program.name);
    for outcome in outcomes {
        let Outcome { said, samples, .. } = outcome;
        write!(text, " {said:?} ({samples})").expect("a String");
    }
    for outcome in outcomes {
        for other in outcome.accused.iter().chain(&outcome.suspected) {
            write!(text, "\n    also, after {}: {other}", outcome.windows).expect("a String");
        }
    }
    text
}

pub(crate) struct Report<'a> {
    outcomes: &'a [(&'static Program, Outcome)],
}

pub(crate) fn report<'a>(outcomes: &'a [(&'static Program, Outcome)]) -> Report<'a> {
    Report { outcomes }
}

const LARGE: u64 = 64;

impl Said {
    fn finds(self) -> bool {
        matches!(self, Said::Leak | Said::Suspected)
    }

    fn class(self) -> Option<Class> {
        match self {
            Said::Leak => Some(Class::Leak),
            Said::Suspected | Said::Filling => Some(Class::Filling),
            Said::Burst => Some(Class::Burst),
            Said::StartUp => Some(Class::StartUp),
            Said::WorkingSet => Some(Class::WorkingSet),
            Said::Nothing => None,
        }
    }
}

impl Outcome {
    /// The line is innocent and accused, or any other place is.
    fn is_false(&self, truth: Truth) -> bool {
        matches!(truth, Truth::Innocent(_)) && self.said == Said::Leak || !self.accused.is_empty()
    }
}

fn count(outcomes: &[&(&Program, Outcome)], is: impl Fn(&Program, &Outcome) -> bool) -> usize {
    outcomes
        .iter()
        .filter(|(program, outcome)| is(program, outcome))
        .count()
}

impl Report<'_> {
    fn of(&self, interval: u64, windows: u64) -> Vec<&(&'static Program, Outcome)> {
        let is = |it: &&(&Program, Outcome)| (it.1.interval, it.1.windows) == (interval, windows);
        self.outcomes.iter().filter(is).collect()
    }

    /// Precision and recall by interval and windows, in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| interval | windows | leaks found | of those with 64 samples | leaks accused | of accusations right | of findings right | first is the leaking line | programs with a false accusation | innocents suspected | class of innocents right |\n|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
        );
        for interval in INTERVALS {
            for windows in WINDOWS {
                let rows = self.of(interval, windows);
                if rows.is_empty() {
                    continue;
                }
                let steady = |p: &Program| matches!(p.truth, Truth::Leaks { from, .. } if from < windows * super::world::WINDOW);
                let innocent = |p: &Program| matches!(p.truth, Truth::Innocent(_));
                let large = |o: &Outcome| o.samples >= LARGE;
                let right = |p: &Program, o: &Outcome| match (p.truth, o.said.class()) {
                    (Truth::Innocent(classes), Some(class)) => classes.contains(&class),
                    _ => false,
                };
                let of = |right: usize, all: usize| format!("{right} of {all}");
                let guilty = |said: fn(Said) -> bool| {
                    let right = count(&rows, |p, o| p.truth.leaks() && said(o.said));
                    let wrong = count(&rows, |p, o| innocent(p) && said(o.said));
                    (right, right + wrong)
                };
                let others: usize = rows.iter().map(|row| row.1.accused.len()).sum();
                let suspects: usize = rows
                    .iter()
                    .map(|row| row.1.accused.len() + row.1.suspected.len())
                    .sum();
                let accused = guilty(|said| said == Said::Leak);
                let found = guilty(Said::finds);
                let cells = [
                    of(
                        count(&rows, |p, o| steady(p) && o.said.finds()),
                        count(&rows, |p, _| steady(p)),
                    ),
                    of(
                        count(&rows, |p, o| steady(p) && large(o) && o.said.finds()),
                        count(&rows, |p, o| steady(p) && large(o)),
                    ),
                    of(
                        count(&rows, |p, o| steady(p) && o.said == Said::Leak),
                        count(&rows, |p, _| steady(p)),
                    ),
                    of(accused.0, accused.1 + others),
                    of(found.0, found.1 + suspects),
                    of(
                        count(&rows, |p, o| p.truth.leaks() && o.is_first == Some(true)),
                        count(&rows, |p, o| p.truth.leaks() && o.is_first.is_some()),
                    ),
                    of(count(&rows, |p, o| o.is_false(p.truth)), rows.len()),
                    of(
                        count(&rows, |p, o| innocent(p) && o.said == Said::Suspected),
                        count(&rows, |p, _| innocent(p)),
                    ),
                    of(
                        count(&rows, right),
                        count(&rows, |p, o| innocent(p) && o.said != Said::Nothing),
                    ),
                ];
                writeln!(
                    text,
                    "| {} KiB | {windows} | {} |",
                    interval >> 10,
                    cells.join(" | ")
                )
                .expect("a String");
            }
        }
        text
    }

    /// The table, and what the rates did.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let (covered, told) = self.covered();
        writeln!(
            text,
            "\n{}\nrates: {covered} of {told} within their 95 % interval",
            self.table()
        )
        .expect("a String");
        text
    }

    /// Of processes that ran to the end, so that no sample counts twice: rates within their intervals, and all that are known.
    fn covered(&self) -> (usize, usize) {
        let whole = self.outcomes.iter().filter(|it| it.1.windows == WINDOWS[2]);
        let told = whole.filter_map(|it| it.1.covered);
        (
            told.clone().filter(|&covered| covered).count(),
            told.count(),
        )
    }

    /// What is not as it has to be.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (program, outcome) in self.outcomes {
            let at = format!(
                "{} at {} after {} windows",
                program.name, outcome.interval, outcome.windows
            );
            let counts = !matches!(program.truth, Truth::Beyond);
            if counts && outcome.is_false(program.truth) {
                wrong.push(format!(
                    "{at}: a false accusation, {:?} {:?}",
                    outcome.said, outcome.accused
                ));
            }
            let has_to = match program.truth {
                Truth::Leaks { .. } => true,
                Truth::LeaksUnsteadily => outcome.windows == WINDOWS[2],
                _ => false,
            };
            if has_to && outcome.samples >= LARGE && !outcome.said.finds() {
                wrong.push(format!(
                    "{at}: not found, {:?} with {} samples",
                    outcome.said, outcome.samples
                ));
            }
            if program.truth.leaks() && outcome.is_first == Some(false) {
                wrong.push(format!(
                    "{at}: another line comes first: {:?} {:?}",
                    outcome.accused, outcome.suspected
                ));
            }
        }
        let (covered, told) = self.covered();
        if covered * 10 < told * 8 {
            wrong.push(format!(
                "only {covered} of {told} rates lie within their 95 % interval"
            ));
        }
        // The control: the suite can tell a rule that accuses caches from one that does not.
        let caches = self
            .outcomes
            .iter()
            .filter(|it| matches!(it.0.truth, Truth::Innocent(_)));
        if !caches.clone().any(|it| it.1.accused_at_once) {
            wrong.push(
                "no innocent line was accused even with no time to fill: the suite sees nothing"
                    .into(),
            );
        }
        wrong
    }
}
