//! The string table, in two blocks of memory: a string of its own for each would take more than the texts do.
#![forbid(unsafe_code)]

use super::grow;
use crate::error::{Error, Result};
use crate::format::budget::Budget;

/// The texts of a profile. Bytes that are not UTF-8 are shown with replacement characters.
#[derive(Default)]
pub(super) struct Strings {
    text: Vec<u8>,
    /// Where each of them ends in `text`, which is less than 4 GiB long as the file is.
    ends: Vec<u32>,
}

impl Strings {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        grow(&mut self.text, bytes.len());
        self.text.extend_from_slice(bytes);
        grow(&mut self.ends, 1);
        self.ends.push(self.text.len() as u32);
    }

    /// # Errors
    /// The first text is not the empty one, which every reader takes it for.
    pub(super) fn check(&self) -> Result<()> {
        match self.bytes(0) {
            Some(first) if !first.is_empty() => Err(Error::input(format!(
                "string_table[0] is \"{}\", but must be empty",
                String::from_utf8_lossy(&first[..first.len().min(40)])
            ))),
            _ => Ok(()),
        }
    }

    /// A copy of a text; `what` refers to it.
    ///
    /// # Errors
    /// There is no such text, or no room for the copy.
    pub(super) fn get(&self, what: &str, index: i64, budget: &Budget) -> Result<String> {
        let bytes = usize::try_from(index)
            .ok()
            .and_then(|index| self.bytes(index));
        match bytes {
            Some(bytes) => {
                budget.take(1, bytes.len())?;
                let text = String::from_utf8_lossy(bytes).into_owned();
                // A byte that is replaced takes three.
                budget.take(1, text.len().saturating_sub(bytes.len()))?;
                Ok(text)
            }
            // A profile without any text has no table.
            None if index == 0 => Ok(String::new()),
            None => Err(Error::input(format!(
                "{what} is string {index}, but the string table has {} entries",
                self.ends.len()
            ))),
        }
    }

    fn bytes(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        self.text.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lie_one_behind_the_other() {
        let (mut strings, budget) = (Strings::default(), Budget::new(1 << 20));
        assert_eq!(strings.get("x", 0, &budget).unwrap(), "");
        for text in ["", "a", "", "bc\u{e9}"] {
            strings.push(text.as_bytes());
        }
        strings.push(b"\xff");
        strings.check().unwrap();
        let texts = [0, 1, 2, 3, 4].map(|index| strings.get("x", index, &budget).unwrap());
        assert_eq!(texts, ["", "a", "", "bc\u{e9}", "\u{fffd}"]);
        for wrong in [5, -1, i64::MIN] {
            let error = strings.get("name", wrong, &budget).unwrap_err().to_string();
            assert!(error.contains("5 entries"), "{error}");
        }
        let mut wrong = Strings::default();
        wrong.push(b"x");
        assert!(wrong.check().is_err());
    }
}
