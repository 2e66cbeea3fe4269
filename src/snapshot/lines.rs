//! What is live by blamed line, cheaply enough to be asked every few seconds: a stack is named once.
//!
//! Naming means reading the program's debug information, some 0.1 s and tens of MiB for a moment. A program has a bounded
//! number of stacks, so after its first minutes hardly any is new, and a look costs what a snapshot costs. Where very many
//! are new at once a look names the largest, and the next ones the others.
#![forbid(unsafe_code)]

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashMap;

use super::{Site, Snapshot};
use crate::helper::Remembered;
use crate::profile::{Label, LabelValue, Profile, Sample, Tally};
use crate::record::local::Ignore;
use crate::record::scratch::Scratch;
use crate::symbolize::{self, blame::Blamer};
use crate::sys;
use crate::view::key::{self, Frame};

/// Stacks that one look names at most.
const NEW_PER_LOOK: usize = 4096;

/// What is blamed for stacks that have to wait for the next look, so that sums are whole.
pub(crate) const NOT_NAMED_YET: &str = "(not named yet)";

/// What a line is blamed for, all stacks that lead to it together.
#[derive(Clone, Debug)]
pub(crate) struct LineLevel {
    pub(crate) line: Arc<Frame>,
    /// What is live of it.
    pub(crate) live: Tally,
    /// What was ever allocated.
    #[cfg_attr(not(feature = "http"), allow(dead_code, reason = "for the history"))]
    pub(crate) alloc: Tally,
}

/// The lines of a snapshot, what is live there first; their sums are the snapshot's. Names are remembered from one call to
/// the next, for the whole process: some 16 bytes per stack, and the text of each line once.
pub(crate) fn levels(snapshot: &Snapshot) -> Vec<LineLevel> {
    static NAMER: Remembered<Namer> = Remembered::new();
    let _own_work = Ignore::new();
    NAMER.with(|namer| namer.levels(snapshot, NEW_PER_LOOK))
}

/// Names of stacks.
#[derive(Default)]
struct Namer {
    lines: Vec<Arc<Frame>>,
    by_line: HashMap<Arc<Frame>, u32>,
    /// From a stack's hash, of 64 bits: of a million stacks two are mistaken for one another with a chance of 3e-8.
    by_stack: HashMap<u64, u32>,
    hasher: RandomState,
    /// Libraries that had been unloaded: afterwards addresses may mean something else.
    unloaded: u64,
}

impl Namer {
    fn levels(&mut self, snapshot: &Snapshot, new_stacks: usize) -> Vec<LineLevel> {
        let unloaded = sys::objects::unload_count();
        if self.unloaded != unloaded {
            *self = Namer {
                unloaded,
                ..Namer::default()
            };
        }
        let stacks: Vec<u64> = snapshot
            .sites
            .iter()
            .map(|site| self.hash(snapshot, site))
            .collect();
        self.learn(snapshot, &stacks, new_stacks);
        let mut levels: HashMap<u32, [Tally; 2]> = HashMap::new();
        for (site, stack) in snapshot.sites.iter().zip(&stacks) {
            let Some(&line) = self.by_stack.get(stack) else {
                continue; // `learn` leaves none out
            };
            let [live, alloc] = levels.entry(line).or_default();
            *live = live.plus(site.detail.live);
            *alloc = alloc.plus(site.detail.alloc);
        }
        let mut levels: Vec<LineLevel> = levels
            .into_iter()
            .map(|(line, [live, alloc])| LineLevel {
                line: Arc::clone(&self.lines[line as usize]),
                live,
                alloc,
            })
            .collect();
        levels.sort_by(|a, b| {
            b.live
                .bytes_estimate
                .total_cmp(&a.live.bytes_estimate)
                .then_with(|| a.line.cmp(&b.line))
        });
        levels
    }

    fn hash(&self, snapshot: &Snapshot, site: &Site) -> u64 {
        self.hasher
            .hash_one((snapshot.stack(site), site.is_overflow, site.detail.cut))
    }

    /// Names the stacks that are new, but at most so many: the largest ones.
    fn learn(&mut self, snapshot: &Snapshot, stacks: &[u64], most: usize) {
        let waiting = self.line(Frame {
            function: NOT_NAMED_YET.to_owned(),
            ..Frame::default()
        });
        // In the list already: the same stack may come twice.
        const LISTED: u32 = u32::MAX;
        let mut new: Vec<(u64, &Site)> = Vec::new();
        for (site, &stack) in snapshot.sites.iter().zip(stacks) {
            let line = self.by_stack.entry(stack).or_insert(waiting);
            if *line == waiting {
                *line = LISTED;
                new.push((stack, site));
            }
        }
        new.sort_by(|(_, a), (_, b)| {
            let (a, b) = (&a.detail.live, &b.detail.live);
            b.bytes_estimate.total_cmp(&a.bytes_estimate)
        });
        for (stack, _) in new.drain(most.min(new.len())..) {
            self.by_stack.insert(stack, waiting);
        }
        if new.is_empty() {
            return;
        }
        let mut bare = Snapshot::default();
        for (_, site) in &new {
            bare.add_bare(site, snapshot.stack(site));
        }
        bare.mappings.clone_from(&snapshot.mappings);
        for ((stack, _), frame) in new.into_iter().zip(blamed(&bare)) {
            let line = self.line(frame);
            self.by_stack.insert(stack, line);
        }
    }

    fn line(&mut self, frame: Frame) -> u32 {
        if let Some(&line) = self.by_line.get(&frame) {
            return line;
        }
        let (line, frame) = (self.lines.len() as u32, Arc::new(frame));
        self.lines.push(Arc::clone(&frame));
        self.by_line.insert(frame, line);
        line
    }
}

const NUMBER: &str = "site";

/// The blamed line of each site, in their order; as `heapsite top` blames.
fn blamed(snapshot: &Snapshot) -> Vec<Frame> {
    let scratch = Scratch::new();
    let mut profile = snapshot.to_address_profile();
    // Samples that become equal once they have names would be added up, but for this.
    for (number, sample) in (0..).zip(&mut profile.samples) {
        sample.labels.push(Label::number(NUMBER, number, ""));
    }
    let profile = symbolize::in_process(profile);
    let blamer = Blamer::new(&profile);
    let mut frames = vec![Frame::default(); snapshot.sites.len()];
    for sample in &profile.samples {
        let number = sample.labels.iter().find_map(|label| match label.value {
            LabelValue::Num(number, _) if label.key == NUMBER => usize::try_from(number).ok(),
            _ => None,
        });
        if let Some(place) = number.and_then(|number| frames.get_mut(number)) {
            *place = blamed_frame(&profile, &blamer, sample);
        }
    }
    scratch.keep(frames)
}

fn blamed_frame(profile: &Profile, blamer: &Blamer<'_>, sample: &Sample) -> Frame {
    let blamed = blamer.blame(sample);
    let (location, line) = blamed.map_or((0, 0), |frame| (frame.location, frame.line));
    let frame = sample
        .locations
        .get(location)
        .and_then(|&id| key::frames(profile, id).into_iter().nth(line));
    frame.unwrap_or_else(|| Frame {
        function: "(empty stack)".to_owned(),
        ..Frame::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::SiteDetail;
    use crate::symbolize::mappings;
    use crate::view::{Blame, By, Value, count};

    #[inline(never)]
    fn somewhere() -> u64 {
        let here = somewhere as fn() -> u64;
        here as usize as u64 + 1
    }

    /// A snapshot with these stacks, each with so many live bytes.
    fn snapshot(stacks: &[(&[u64], f64)]) -> Snapshot {
        let mut snapshot = Snapshot {
            mappings: mappings::current(),
            ..Snapshot::default()
        };
        for (stack, bytes) in stacks {
            let live = Tally {
                bytes_estimate: *bytes,
                bytes_variance: *bytes,
                ..Tally::default()
            };
            let site = Site {
                detail: SiteDetail {
                    live,
                    ..SiteDetail::default()
                },
                ..Site::default()
            };
            snapshot.add_bare(&site, stack);
            let last = snapshot.sites.last_mut().unwrap();
            last.detail = site.detail;
        }
        snapshot
    }

    #[test]
    fn lines_are_those_of_top_and_remembered() {
        let (here, there) = (
            somewhere(),
            levels as fn(&Snapshot) -> _ as usize as u64 + 1,
        );
        let stacks: [(&[u64], f64); 5] = [
            (&[here, there], 10.0),
            (&[there], 30.0),
            (&[here], 5.0),
            (&[], 2.0),
            // The same stack twice, as two threads may make it.
            (&[here, there], 1.0),
        ];
        let snapshot = snapshot(&stacks);
        let mut namer = Namer::default();
        let first = namer.levels(&snapshot, NEW_PER_LOOK);
        let profile = snapshot.to_profile();
        let value = Value::find(&profile, Some("inuse_space")).unwrap();
        let mut top = count(&profile, &value, By::Line, Blame::Application).unwrap();
        top.rows.retain(|row| row.flat.value > 0);
        assert_eq!(first.len(), top.rows.len());
        for level in &first {
            let row = top
                .rows
                .iter()
                .find(|row| row.key.name() == level.line.function);
            let row = row.unwrap_or_else(|| panic!("{:?} is not in top", level.line));
            assert_eq!(level.live.bytes_estimate, row.flat.value as f64);
            assert_eq!(level.live.bytes_variance, row.flat.variance);
        }
        assert_eq!(first[0].live.bytes_estimate, 30.0, "the largest first");
        // Nothing is looked up any more, also with the mappings gone.
        let nowhere = Snapshot {
            mappings: Vec::new(),
            ..snapshot
        };
        let again = namer.levels(&nowhere, NEW_PER_LOOK);
        let lines = |levels: &[LineLevel]| -> Vec<Arc<Frame>> {
            levels.iter().map(|level| Arc::clone(&level.line)).collect()
        };
        assert_eq!(lines(&first), lines(&again));
        assert_eq!(namer.by_stack.len(), 4);
    }

    #[test]
    fn stacks_wait_for_their_names_the_largest_least() {
        let (here, there) = (
            somewhere(),
            levels as fn(&Snapshot) -> _ as usize as u64 + 1,
        );
        let stacks: [(&[u64], f64); 4] =
            [(&[here], 1.0), (&[there], 30.0), (&[], 2.0), (&[here], 4.0)];
        let snapshot = snapshot(&stacks);
        let mut namer = Namer::default();
        let named = |levels: &[LineLevel]| -> f64 {
            let sum: f64 = levels.iter().map(|level| level.live.bytes_estimate).sum();
            assert_eq!(sum, 37.0, "waiting or not, it is counted");
            let not = levels.iter().find(|l| l.line.function == NOT_NAMED_YET);
            sum - not.map_or(0.0, |level| level.live.bytes_estimate)
        };
        let looks: Vec<f64> = (0..4).map(|_| named(&namer.levels(&snapshot, 1))).collect();
        assert_eq!(looks, [30.0, 32.0, 37.0, 37.0]);
        let mut at_once = Namer::default();
        let lines = |levels: Vec<LineLevel>| -> Vec<Frame> {
            levels.iter().map(|level| (*level.line).clone()).collect()
        };
        assert_eq!(
            lines(namer.levels(&snapshot, 0)),
            lines(at_once.levels(&snapshot, NEW_PER_LOOK))
        );
        assert_eq!(named(&Namer::default().levels(&snapshot, 0)), 0.0);
    }
}
