//! Passwords and tokens: sent, never shown.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

/// A text that `Debug` does not tell, and `Display` does not exist for.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(Arc<str>);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Secret {
        Secret(text.into().into())
    }

    /// To be sent, and for nothing else.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
