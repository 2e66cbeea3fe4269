//! Which of many have a series of their own.
//!
//! A series that comes and goes is of no use in a graph, and every new one costs the database. So one that is shown
//! stays while it is among the first 2N, and one that is not is shown when there is room, or when it has twice as much
//! as the least that is shown.
#![forbid(unsafe_code)]

/// What the last scrape showed.
#[derive(Debug)]
pub(super) struct Shown<Name>(Vec<Name>);

impl<Name> Default for Shown<Name> {
    fn default() -> Shown<Name> {
        Shown(Vec::new())
    }
}

impl<Name: Clone + PartialEq> Shown<Name> {
    /// Whether it has a series since the last choice.
    pub(super) fn has(&self, name: &Name) -> bool {
        self.0.contains(name)
    }

    /// Chooses `most` of those that there are now, which come with the largest first.
    pub(super) fn choose(&mut self, largest: &[(Name, f64)], most: usize) {
        let (mut stay, mut may_come) = (Vec::new(), Vec::new());
        for (rank, (name, value)) in largest.iter().enumerate() {
            if self.has(name) {
                if rank < 2 * most {
                    stay.push((name, *value));
                }
            } else if *value > 0.0 {
                may_come.push((name, *value));
            }
        }
        stay.truncate(most);
        for new in may_come {
            if stay.len() < most {
                stay.push(new);
                continue;
            }
            let least = (0..stay.len()).min_by(|&a, &b| stay[a].1.total_cmp(&stay[b].1));
            match least {
                Some(least) if new.1 > 2.0 * stay[least].1 => stay[least] = new,
                _ => break,
            }
        }
        self.0 = stay.into_iter().map(|(name, _)| name.clone()).collect();
    }
}
