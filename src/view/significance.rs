//! How surely a change is more than chance.
#![forbid(unsafe_code)]

/// What can be said about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both profiles are exact: the change is what it is.
    Exact,
    /// Chance alone would make a change as large as this, somewhere in the table, in less than 5 % of cases.
    Significant,
    /// Chance may well have made it.
    WithinNoise,
    /// The profiles do not say how they were sampled.
    Unknown,
}

impl Verdict {
    /// `exact`, `significant`, `within noise` or `unknown`.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Exact => "exact",
            Verdict::Significant => "significant",
            Verdict::WithinNoise => "within noise",
            Verdict::Unknown => "unknown",
        }
    }
}

/// The level below which a corrected p is called significant.
pub const LEVEL: f64 = 0.05;
