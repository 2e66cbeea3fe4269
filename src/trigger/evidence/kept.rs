//! Which dumps stay: the first one, to compare with, and those of the worst moments.
#![forbid(unsafe_code)]

use super::Dump;

pub(super) struct Kept {
    worst: usize,
    first: Option<Dump>,
    /// In the order of time.
    others: Vec<Dump>,
}

impl Kept {
    pub(super) fn new(worst: usize) -> Kept {
        Kept {
            worst,
            first: None,
            others: Vec::new(),
        }
    }

    /// Takes one in; returns those that have to go for it.
    pub(super) fn add(&mut self, dump: Dump) -> Vec<Dump> {
        if self.first.is_none() {
            self.first = Some(dump);
            return Vec::new();
        }
        self.others.push(dump);
        let mut gone = Vec::new();
        while self.others.len() > self.worst {
            // The oldest of those that are equal: newer ones tell more.
            let mildest = self.others.iter().enumerate();
            let mildest = mildest.min_by_key(|(_, dump)| dump.look.rss_bytes);
            let Some((place, _)) = mildest else { break };
            gone.push(self.others.remove(place));
        }
        gone
    }

    pub(super) fn dumps(&self) -> Vec<Dump> {
        self.first.iter().chain(&self.others).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Look, Reason};
    use super::*;

    fn dump(file: &str, rss_bytes: u64) -> Dump {
        Dump {
            file: file.to_owned(),
            reason: Reason::Peak,
            named: true,
            look: Look {
                rss_bytes,
                ..Look::default()
            },
        }
    }

    #[test]
    fn the_first_and_the_worst_stay_in_the_order_of_time() {
        let mut kept = Kept::new(2);
        let mut gone = Vec::new();
        for (file, rss) in [("a", 1), ("b", 5), ("c", 9), ("d", 5), ("e", 7)] {
            gone.extend(kept.add(dump(file, rss)).into_iter().map(|dump| dump.file));
        }
        assert_eq!(gone, ["b", "d"]);
        let files: Vec<String> = kept.dumps().into_iter().map(|dump| dump.file).collect();
        assert_eq!(files, ["a", "c", "e"]);
    }
}
