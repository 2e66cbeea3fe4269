//! Ids that a writer chose, and where their entries are.
#![forbid(unsafe_code)]

use hashbrown::HashMap;

use crate::error::{Error, Result};
use crate::format::budget::Budget;

/// Ids of 64 bits, kept in 32 until the tables that they belong to have come: pprof writes samples first, and they are
/// most of a profile. Nearly all ids are small; the others are numbered.
#[derive(Default)]
pub(super) struct Small {
    large: Vec<u64>,
    places: HashMap<u64, u32>,
}

/// From here on a number stands for a large id.
const LARGE: u32 = 1 << 31;

impl Small {
    /// Takes an id in.
    ///
    /// # Errors
    /// There is no room for it.
    #[inline]
    pub(super) fn put(&mut self, id: u64, budget: &Budget) -> Result<u32> {
        match u32::try_from(id) {
            Ok(id) if id < LARGE => Ok(id),
            _ => self.put_large(id, budget),
        }
    }

    #[cold]
    fn put_large(&mut self, id: u64, budget: &Budget) -> Result<u32> {
        if let Some(&place) = self.places.get(&id) {
            return Ok(LARGE + place);
        }
        budget.take(1, 2 * size_of::<(u64, u32)>() + size_of::<u64>())?;
        // A file's size keeps their number far below 2³¹.
        let place = self.large.len() as u32;
        self.large.push(id);
        self.places.insert(id, place);
        Ok(LARGE + place)
    }

    /// The id that was taken in.
    #[inline]
    pub(super) fn get(&self, small: u32) -> u64 {
        match small.checked_sub(LARGE) {
            Some(place) => self.large[place as usize],
            None => u64::from(small),
        }
    }
}

/// Where the entry with an id is in its table.
pub(super) enum Ids {
    /// Ids are 1, 2, 3, …: what every known writer does.
    InOrder(&'static str, usize),
    Mixed(&'static str, HashMap<u64, u32>),
}

impl Ids {
    /// # Errors
    /// An id is 0 or given twice.
    pub(super) fn new(
        what: &'static str,
        ids: impl ExactSizeIterator<Item = u64> + Clone,
    ) -> Result<Ids> {
        let len = ids.len();
        // Indexes are 32 bits wide; the file's size keeps tables far below that.
        if ids.clone().zip(1..).all(|(id, expected)| id == expected) {
            return Ok(Ids::InOrder(what, len));
        }
        let mut known = HashMap::with_capacity(len);
        for (index, id) in ids.enumerate() {
            if id == 0 {
                return Err(Error::input(format!(
                    "{what} number {} has id 0, which means \"none\"",
                    index + 1
                )));
            }
            if known.insert(id, index as u32).is_some() {
                return Err(Error::input(format!("{what} id {id} is given twice")));
            }
        }
        Ok(Ids::Mixed(what, known))
    }

    /// # Errors
    /// Nothing has this id.
    pub(super) fn index(&self, id: u64) -> Result<u32> {
        let (what, found) = match self {
            Ids::InOrder(what, len) => {
                (what, (1..=*len as u64).contains(&id).then(|| id as u32 - 1))
            }
            Ids::Mixed(what, known) => (what, known.get(&id).copied()),
        };
        found.ok_or_else(|| unknown(what, id))
    }
}

#[cold]
fn unknown(what: &str, id: u64) -> Error {
    Error::input(format!(
        "it refers to {what} id {id}, which is not in the profile"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_ids_come_back() {
        let (mut small, budget) = (Small::default(), Budget::new(1 << 20));
        let ids = [0, 1, 0x7fff_ffff, 0x8000_0000, u64::MAX, 1 << 40, u64::MAX];
        let put = ids.map(|id| small.put(id, &budget).unwrap());
        assert_eq!(put.map(|id| small.get(id)), ids);
        assert_eq!((put[4], small.large.len()), (put[6], 3));
    }
}
