//! Small numbers for the names of threads.
#![forbid(unsafe_code)]

use crate::record::live_map::MAX_THREADS;
use crate::record::{scopes, threads};

/// The names that cohorts mention, in the order they appear.
pub(super) struct ThreadNames {
    pub(super) names: Vec<String>,
    /// By the recorder's number: there may be millions of cohorts, and a few names.
    numbers: Vec<Option<u32>>,
}

impl ThreadNames {
    pub(super) fn new() -> ThreadNames {
        ThreadNames {
            names: Vec::new(),
            numbers: vec![None; MAX_THREADS],
        }
    }

    /// Position in `names` of the thread that the recorder knows by this number.
    pub(super) fn number_of(&mut self, recorded: u32) -> u32 {
        let names = &mut self.names;
        *self.numbers[recorded as usize].get_or_insert_with(|| {
            let name = name(recorded as u16);
            let known = names.iter().position(|known| *known == name);
            known.unwrap_or_else(|| {
                names.push(name);
                names.len() - 1
            }) as u32
        })
    }
}

fn name(number: u16) -> String {
    match threads::name(number) {
        Some(name) => {
            let end = name
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(name.len());
            String::from_utf8_lossy(&name[..end]).into_owned()
        }
        None if number >= scopes::FIRST => "(leak check)".to_owned(),
        None => "(other)".to_owned(),
    }
}
