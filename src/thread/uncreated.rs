//! Where threads were created: not known without the feature `threadcreate`, and where it has no effect.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::Raw;

pub(crate) fn watch() {}

pub(super) struct Before;

pub(super) fn look() -> Before {
    Before
}

impl Before {
    pub(super) fn of(&self, _ids: &[u32]) -> HashMap<u32, Raw> {
        HashMap::new()
    }
}

/// No frame is called so.
pub(super) const CREATES: &str = "\0";

pub(super) fn lost() -> u64 {
    0
}

/// No frame is called so.
pub(super) const BEGINS: &str = "\0";
