//! What one snapshot says of a place: a leak, or what else. The chapter on leaks in the guide tells the reasons.
#![forbid(unsafe_code)]

use super::births::{self, WINDOWS};
use super::odds::{at_least, at_most, share_above, share_below};
use super::place::History;
use crate::profile::growth::two_sided_p;

/// How the live memory of a place behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Class {
    /// Survivors of every age, still coming, those that grew old stay, and it has grown for longer than a cache may
    /// take to fill ([`Options::longest_fill`](super::Options::longest_fill)).
    Leak,
    /// Grows, but may be on its way to a cap: the growth thins out, those that grew old are still freed, or it has not
    /// grown for long enough. Whether it does all else that a leak does is told by
    /// [`Suspect::looks_like_leak`](super::Suspect::looks_like_leak).
    Filling,
    /// Came within a short time and stays.
    Burst,
    /// All old: made when the program started.
    StartUp,
    /// What grows old is freed.
    WorkingSet,
}

/// Why a place could not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Why {
    /// Fewer live samples than 16.
    FewSamples,
    /// Too few of them are old enough to know whether they stay.
    FewOld,
    /// They came in a few bursts, too few to call it steady.
    FewBursts,
    /// It looks like a leak, but chance alone would show one among so many places too often.
    WithinChance,
    /// The profile does not tell births and lifetimes; several snapshots would.
    NoAges,
}

impl Why {
    /// In a sentence.
    pub fn words(self) -> &'static str {
        match self {
            Why::FewSamples => "Fewer than 16 live samples.",
            Why::FewOld => "Too few are old enough to know whether they stay.",
            Why::FewBursts => "They came in a few bursts, too few to call it steady.",
            Why::WithinChance => {
                "It may be a leak, but chance would show as much among so many places."
            }
            Why::NoAges => {
                "The profile does not tell births and lifetimes; take several snapshots."
            }
        }
    }
}

/// The judgement over one place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    pub(super) class: Result<Class, Why>,
    /// Of a leak: the largest of the odds that chance explains its tests, the cap among them.
    pub(super) p: f64,
    /// Without the cap: of what looks like a leak.
    pub(super) p_alike: f64,
    /// From when on it grows, nanoseconds since the recorder's start.
    pub(super) since: f64,
    /// Births up to here are old enough to count as survivors.
    pub(super) until: f64,
    pub(super) clumping: f64,
}

/// Live samples below which nothing is said.
pub(super) const FEWEST: f64 = 16.0;
/// One-sided, for bounds of what is described rather than accused.
const LEVEL: f64 = 0.05;
/// How often a steady leak may be said to have stopped or to thin out.
const RARELY: f64 = 0.001;
/// What comes at this part of the rate before, or less, has stopped.
const STOPPED: f64 = 0.125;

/// What no cache exceeds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cap {
    /// For how long one fills, nanoseconds.
    pub(super) longest: f64,
    /// How large one becomes, bytes; infinite: not known.
    pub(super) largest: f64,
}

/// Judges a place of a process that has run for `uptime` nanoseconds.
pub(super) fn judge(history: &History, uptime: f64, cap: Cap) -> Judgement {
    let counts = births::windows(history, uptime);
    let count: f64 = counts.iter().sum();
    let mut judgement = Judgement {
        class: Err(if history.is_blind {
            Why::NoAges
        } else {
            Why::FewSamples
        }),
        p: 1.0,
        p_alike: 1.0,
        since: 0.0,
        until: uptime,
        clumping: 1.0,
    };
    if count < FEWEST || uptime <= 0.0 {
        return judgement;
    }
    // What the start of the program made is set aside: a cache of then must not vouch for what came later.
    let early = WINDOWS / 8;
    let later: f64 = counts[early..].iter().sum();
    if later < FEWEST / 2.0 {
        if share_below(later, count, LEVEL) < 0.35 {
            judgement.class = Ok(Class::StartUp);
        }
        return judgement;
    }
    judgement.clumping = births::clumping(&counts[early..]);
    let onset = births::onset(&counts[early..], judgement.clumping) + early;
    let begin = onset as f64 / WINDOWS as f64 * uptime;
    let first = history
        .born
        .iter()
        .map(|born| born.from)
        .find(|&from| from >= begin);
    // A rate is of a span that does not begin with a birth; but where everything is younger than a window, ages are in
    // relation to the oldest.
    judgement.since = match first {
        Some(first) if onset + 1 >= WINDOWS => first,
        _ => begin,
    };
    decide(history, &mut judgement, &counts, uptime, cap);
    judgement
}

fn decide(
    history: &History,
    judgement: &mut Judgement,
    counts: &[f64; WINDOWS],
    uptime: f64,
    cap: Cap,
) {
    let Judgement {
        since, clumping, ..
    } = *judgement;
    let span = uptime - since;
    let alive = |from: f64, to: f64| history.samples_in(from, to) / clumping;

    // Those that reached half of the span: how many of them were freed later? Lifetimes are known by buckets, so the age
    // is an edge between two.
    let fate = |age: f64| Fate::new(history, since, uptime, age, clumping);
    let mut old = edge_below(span / 2.0);
    let mut later = fate(old);
    // What is freed late may be freed at one age, such as a buffer that is flushed: the next edge tells whether the rest stay.
    if later.is_freed() > 0.05 && old * 2.0 <= 0.75 * span {
        let beyond = fate(old * 2.0);
        if beyond.is_freed() <= 0.05 && beyond.odds_of_going() < 0.01 {
            (old, later) = (old * 2.0, beyond);
        }
    }
    let is_freed = later.is_freed();
    if is_freed > 0.5 {
        judgement.class = Ok(Class::WorkingSet);
        return;
    }
    // The age at which all have gone that go at all: of those beyond it less than 2 % were freed.
    let settled = edges()
        .find(|&age| {
            age <= old && history.freed_after(age) / clumping <= 0.02 * alive(since, uptime - age)
        })
        .unwrap_or(old);
    let until = uptime - settled;
    judgement.until = until;

    let length = until - since;
    let survivors = alive(since, until);
    let group = |i: u32| {
        let edge = |i: u32| since + length * f64::from(i) / 8.0;
        history.samples_in(edge(i), edge(i + 1))
    };
    let groups: Vec<f64> = (0..8).map(group).collect();
    let spread = births::spread(&groups);
    let recent = alive(since + length * 0.75, until);
    // At a half, and at an eighth, of the rate before: the share that the last quarter would have.
    let share = |part: f64| part * 0.25 / (part * 0.25 + 0.75);
    let has_stopped = at_most(recent, survivors, share(0.5)) < RARELY;
    let early: f64 = counts[..WINDOWS / 8].iter().sum::<f64>() / clumping;

    judgement.class = if has_stopped && recent < 0.02 * survivors + 1.0 {
        // A start that took longer than the eighth that was set aside, if it began there.
        match early > survivors / 8.0 && since < uptime / 4.0 {
            true => Ok(Class::StartUp),
            false => Ok(Class::Burst),
        }
    } else if spread < 2.0 || span < uptime / 8.0 {
        // Of a span of an eighth it cannot be said whether it goes on; but where all are young, those before them were freed.
        let first = birth_of_sixteenth(history, since, uptime);
        match fate(edge_below((uptime - first) / 2.0)).is_freed() {
            share if share > 0.5 => Ok(Class::WorkingSet),
            share if share > 0.05 => Ok(Class::Filling),
            _ => Ok(Class::Burst),
        }
    } else if is_freed > 0.05 {
        Ok(Class::Filling)
    } else if later.may_go() > 0.5 {
        Err(Why::FewOld)
    } else if has_stopped
        || thins_out(
            alive(since, since + length / 2.0),
            alive(since + length / 2.0, until),
        )
    {
        Ok(Class::Filling)
    } else if spread < 3.5 {
        Err(Why::FewBursts)
    } else {
        // Each null hypothesis must be refused, so the largest p counts (an intersection-union test).
        let they_go = later.odds_of_going();
        let it_stopped = at_least(recent, survivors, share(STOPPED));
        judgement.p_alike = match recent >= 0.5 {
            true => they_go,
            false => 1.0,
        };
        judgement.p = match later.may_go() > 0.2 {
            true => 1.0,
            false => they_go
                .max(it_stopped)
                .max(capped(history, since, until, clumping, cap)),
        };
        Ok(Class::Leak)
    };
}

/// Of those that reached an age: how many are live, and how many were freed, in pieces of evidence.
struct Fate {
    kept: f64,
    lost: f64,
}

impl Fate {
    fn new(history: &History, since: f64, uptime: f64, age: f64, clumping: f64) -> Fate {
        Fate {
            kept: history.samples_in(since, uptime - age) / clumping,
            lost: history.freed_after(age) / clumping,
        }
    }

    /// The share that is freed at least.
    fn is_freed(&self) -> f64 {
        share_above(self.lost, self.kept + self.lost, LEVEL)
    }

    /// The share that is freed at most.
    fn may_go(&self) -> f64 {
        share_below(self.lost, self.kept + self.lost, LEVEL)
    }

    /// The odds of so few if half of them are freed.
    fn odds_of_going(&self) -> f64 {
        at_most(self.lost, self.kept + self.lost, 0.5)
    }
}

/// The odds of this growth if the place has a cap: of what came after a cache must be full, and of the size.
fn capped(history: &History, since: f64, until: f64, clumping: f64, cap: Cap) -> f64 {
    let too_late = came_after(history, since, until, clumping, cap.longest);
    if cap.largest.is_infinite() {
        return too_late;
    }
    let beyond = history.live.bytes_estimate - cap.largest;
    let too_large = match (history.live.bytes_variance * clumping).sqrt() {
        error if error > 0.0 && beyond > 0.0 => two_sided_p(beyond / error) / 2.0,
        _ if beyond > 0.0 => 0.0,
        _ => 1.0,
    };
    // Either of two tests: the smaller odds count twice (Bonferroni).
    (2.0 * too_late.min(too_large)).min(1.0)
}

/// The odds that as many survivors came later than `longest` after the growth began, if they come at [`STOPPED`] of the rate
/// by then, or half of them at most. It begins with the first sixteenth of them, so that a stray one does not date it back.
fn came_after(history: &History, since: f64, until: f64, clumping: f64, longest: f64) -> f64 {
    if longest <= 0.0 {
        return 0.0;
    }
    let began = birth_of_sixteenth(history, since, until);
    let full = began + longest;
    if full >= until {
        return 1.0;
    }
    let later = history.samples_in(full, until) / clumping;
    let before = history.samples_in(began, full) / clumping;
    // In time the later part outgrows the earlier one whatever the rate; then half of all is what a cap would allow.
    let share = STOPPED * (until - full) / (STOPPED * (until - full) + longest);
    at_least(later, later + before, share.min(0.5))
}

/// When a sixteenth of the survivors of a time were born.
fn birth_of_sixteenth(history: &History, since: f64, until: f64) -> f64 {
    let sixteenth = history.samples_in(since, until) / 16.0;
    let mut sum = 0.0;
    let found = history.born.iter().find(|born| {
        sum += born.samples_in(since, until);
        sum > 0.0 && sum >= sixteenth
    });
    found.map_or(until, |born| born.to.clamp(since, until))
}

/// Whether the later half has clearly fewer than the earlier one.
fn thins_out(early: f64, late: f64) -> bool {
    late < 0.6 * early && at_most(late, early + late, 0.5) < RARELY
}

/// Edges between buckets of lifetimes, ascending: those of a recorder, which double from 8.192 µs.
fn edges() -> impl Iterator<Item = f64> {
    (0..39).map(|bucket| f64::from(8192u32) * f64::powi(2.0, bucket))
}

fn edge_below(age: f64) -> f64 {
    edges()
        .take_while(|&edge| edge <= age)
        .last()
        .unwrap_or(0.0)
}
