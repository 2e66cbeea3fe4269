//! The state file: two slots that are written in turn, so that there is always a whole one.
//!
//! Written with `pwrite`, not mapped: what the kernel has taken survives the process either way, and a full disk is an
//! error here, where it would be a `SIGBUS` there. The file has its full size from the start.
#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::State;
use crate::error::{Error, Result};

/// Room for the state as one line of JSON.
const SLOT_BYTES: usize = 16 << 10;
const SLOTS: usize = 2;

pub(super) struct Slots {
    file: File,
    written: u64,
}

/// The file as it begins: the same state in every slot.
pub(super) fn blank(state: &State, out: &mut dyn Write) -> Result<()> {
    for _ in 0..SLOTS {
        let slot = slot(state).map_err(|error| Error::io("cannot write the state", error))?;
        out.write_all(&slot)
            .map_err(|error| Error::io("cannot write the state", error))?;
    }
    Ok(())
}

/// The newest whole state of a file's bytes; `None`: there is none.
pub(super) fn newest(bytes: &[u8]) -> Option<State> {
    bytes
        .chunks(SLOT_BYTES)
        .filter_map(|slot| serde_json::from_slice::<State>(slot).ok())
        .filter(State::is_known)
        .max_by_key(|state| state.sequence)
}

impl Slots {
    pub(super) fn open(path: &Path) -> Result<Slots> {
        let opened = OpenOptions::new().write(true).open(path);
        Ok(Slots {
            file: opened
                .map_err(|error| Error::io(format!("cannot open `{}`", path.display()), error))?,
            written: 0,
        })
    }

    pub(super) fn write(&mut self, state: &State) -> io::Result<()> {
        self.written += 1;
        let place = self.written as usize % SLOTS * SLOT_BYTES;
        let state = State {
            sequence: self.written,
            ..state.clone()
        };
        self.file.write_all_at(&slot(&state)?, place as u64)
    }
}

/// One line, filled up with spaces. A state that does not fit loses what is longest in it.
fn slot(state: &State) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(state)?;
    if bytes.len() >= SLOT_BYTES {
        let mut less = state.clone();
        less.command.truncate(less.command.floor_char_boundary(200));
        less.looks.clear();
        bytes = serde_json::to_vec(&less)?;
    }
    if bytes.len() >= SLOT_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    bytes.resize(SLOT_BYTES - 1, b' ');
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::Look;
    use super::*;

    #[test]
    fn a_slot_that_was_torn_leaves_the_other_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut state = State::begin();
        blank(&state, &mut file.as_file()).unwrap();
        let mut slots = Slots::open(file.path()).unwrap();
        for rss_bytes in 1..=5 {
            state.note(Look {
                rss_bytes,
                ..Look::default()
            });
            slots.write(&state).unwrap();
        }
        let mut bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(bytes.len(), SLOTS * SLOT_BYTES);
        let newest = |bytes: &[u8]| super::newest(bytes).map(|state| state.last.rss_bytes);
        assert_eq!(newest(&bytes), Some(5));
        // The fifth is in the second slot.
        bytes[SLOT_BYTES + 100] = 0;
        assert_eq!(newest(&bytes), Some(4));
        bytes[..2].fill(b' ');
        assert_eq!(newest(&bytes), None);
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let mut state = State::begin();
        state.command = "é".repeat(SLOT_BYTES);
        let bytes = slot(&state).unwrap();
        assert_eq!(bytes.len(), SLOT_BYTES);
        assert_eq!(newest(&bytes).unwrap().command.len(), 200);
    }
}
