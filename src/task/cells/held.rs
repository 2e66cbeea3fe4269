//! What keeps the handles of tasks, as far as what was allocated next to their cells tells.
#![forbid(unsafe_code)]

use super::CellSite;
use super::recognise::{Holder, HolderKind};
use super::table::FUTURES_UNORDERED;
use crate::view::key::Frame;
use crate::view::measure::Measure;

/// What in the profile looks as if it held tasks' handles. Bytes and entries are estimates like other values.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Held {
    /// A `JoinSet`, which keeps an entry for every task that was not taken out by `join_next`.
    JoinSet {
        /// Entries made at the spawn site.
        entries: Measure,
    },
    /// A `Vec` that grows in the function that spawns.
    Vec {
        /// Where.
        grows_at: Frame,
        /// Its type says that there are `JoinHandle`s in it; if not, it may be another one.
        of_handles: bool,
        /// Its size.
        bytes: Measure,
    },
    /// A `FuturesUnordered` that is filled in the function that spawns.
    FuturesUnordered {
        /// What is in it.
        tasks: Measure,
    },
}

impl Held {
    /// Gives each site what stands next to it.
    pub(super) fn tell(sites: &mut [CellSite], holders: &[(Holder, Measure, Measure)]) {
        let sets: Vec<(Frame, String, Measure)> = (sites.iter())
            .filter(|site| site.runtime == FUTURES_UNORDERED)
            .map(|site| (site.spawned_at.clone(), site.future.clone(), site.live))
            .collect();
        for site in sites
            .iter_mut()
            .filter(|it| it.runtime != FUTURES_UNORDERED)
        {
            let is_near = |other: &Frame| {
                (&other.function, &other.file) == (&site.spawned_at.function, &site.spawned_at.file)
            };
            let mut entries = Measure::default();
            let mut vec: Option<(bool, &Frame, Measure)> = None;
            for (holder, live, bytes) in holders {
                match holder.kind {
                    HolderKind::JoinSet if holder.made_at == site.spawned_at => entries.add(*live),
                    HolderKind::Vec { of_handles } if is_near(&holder.made_at) => {
                        let better = |it: &(bool, &Frame, Measure)| {
                            (of_handles, bytes.value) > (it.0, it.2.value)
                        };
                        if live.value > 0 && vec.as_ref().is_none_or(better) {
                            vec = Some((of_handles, &holder.made_at, *bytes));
                        }
                    }
                    _ => {}
                }
            }
            let mut tasks = Measure::default();
            let of_handles = |future: &str| future.is_empty() || future.contains("JoinHandle");
            (sets
                .iter()
                .filter(|set| is_near(&set.0) && of_handles(&set.1)))
            .for_each(|set| tasks.add(set.2));
            if entries.value > 0 {
                site.held.push(Held::JoinSet { entries });
            }
            if tasks.value > 0 {
                site.held.push(Held::FuturesUnordered { tasks });
            }
            if let Some((of_handles, grows_at, bytes)) = vec {
                site.held.push(Held::Vec {
                    grows_at: grows_at.clone(),
                    of_handles,
                    bytes,
                });
            }
        }
    }
}
