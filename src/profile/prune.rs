//! Cuts frames off the leaf end of stacks: the allocator's own, so that a stack ends where the program asked
//! for memory.
#![forbid(unsafe_code)]

use super::filter::rebuild;
use super::{Function, Line, Location, Profile};
use crate::error::Result;

impl Profile {
    /// Drops every frame whose function name matches `drop` (and not `keep`), with everything leafward of it,
    /// as pprof does for `drop_frames` and `keep_frames`. Of several matches in a stack the one nearest to
    /// the root counts; a stack is left alone from its root up to the first frame that stays, so that nothing
    /// is pruned away entirely.
    ///
    /// A location whose inlined frames match in part keeps the frames rootward of the match. It does so in
    /// every sample, as in pprof: an address goes on having one meaning. Samples that become equal are added
    /// up.
    ///
    /// # Errors
    /// The profile is not whole ([`Profile::check`]).
    pub fn prune(
        &self,
        drop: impl Fn(&str) -> bool,
        keep: impl Fn(&str) -> bool,
    ) -> Result<Profile> {
        self.check()?;
        let matches: Vec<bool> = self
            .functions
            .iter()
            .map(|function| {
                let name = function.name.as_str();
                !name.is_empty() && drop(name) && !keep(name)
            })
            .collect();

        /// What happens to a location.
        #[derive(Clone, Copy, PartialEq)]
        enum Fate {
            Stays,
            /// It stays with fewer lines; what is leafward of it goes.
            LastOfStack,
            Goes,
        }
        let mut locations = self.locations.clone();
        let fates: Vec<Fate> = locations
            .iter_mut()
            .map(|location| {
                let lines = &mut location.lines;
                match lines
                    .iter()
                    .rposition(|line| matches[line.function.0 as usize])
                {
                    None => Fate::Stays,
                    Some(outermost) if outermost + 1 == lines.len() => Fate::Goes,
                    Some(outermost) => {
                        lines.drain(..=outermost);
                        Fate::LastOfStack
                    }
                }
            })
            .collect();

        let cuts = self.samples.iter().map(|sample| {
            let mut first = 0;
            let mut stays_seen = false;
            for (depth, id) in sample.locations.iter().enumerate().rev() {
                match fates[id.0 as usize] {
                    Fate::Stays => stays_seen = true,
                    Fate::LastOfStack if stays_seen => {
                        first = depth;
                        break;
                    }
                    Fate::Goes if stays_seen => {
                        first = depth + 1;
                        break;
                    }
                    Fate::LastOfStack | Fate::Goes => {}
                }
            }
            Some(sample.locations[first..].iter().copied())
        });
        Ok(rebuild(self, &locations, cuts, true))
    }

    /// Strips frames from the leaf end while `strip` says so, and stops at the first that stays. Inlined
    /// frames count singly: a location loses only its leading lines that match. The outermost location of a
    /// stack stays in any case, and a location without a function ends the stripping.
    ///
    /// A location that loses lines loses them in every sample: an address goes on having one meaning. Samples
    /// that become equal are added up.
    ///
    /// # Errors
    /// The profile is not whole ([`Profile::check`]).
    pub fn prune_leaf_while(&self, strip: impl Fn(&Function) -> bool) -> Result<Profile> {
        self.check()?;
        let matches: Vec<bool> = self.functions.iter().map(strip).collect();
        // Per location: how many of its leading lines match.
        let leading: Vec<usize> = self
            .locations
            .iter()
            .map(|location| {
                let stays = |line: &Line| !matches[line.function.0 as usize];
                location
                    .lines
                    .iter()
                    .position(stays)
                    .unwrap_or(location.lines.len())
            })
            .collect();
        let goes = |index: usize| {
            leading[index] > 0 && leading[index] == self.locations[index].lines.len()
        };

        let mut locations: Vec<Location> = self.locations.clone();
        let mut firsts = Vec::with_capacity(self.samples.len());
        for sample in &self.samples {
            let stack = &sample.locations;
            let stays = |id: &super::LocationId| !goes(id.0 as usize);
            let first = stack
                .iter()
                .position(stays)
                .unwrap_or(stack.len().saturating_sub(1));
            firsts.push(first);
            if let Some(id) = stack.get(first)
                && stays(id)
            {
                let index = id.0 as usize;
                let lost = leading[index];
                if lost > 0 && locations[index].lines.len() == self.locations[index].lines.len() {
                    locations[index].lines.drain(..lost);
                }
            }
        }
        let cuts = self
            .samples
            .iter()
            .zip(&firsts)
            .map(|(sample, &first)| Some(sample.locations[first..].iter().copied()));
        Ok(rebuild(self, &locations, cuts, true))
    }
}
