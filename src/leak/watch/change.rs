//! What the watch tells: a leak has begun, goes on, or has ended.
#![forbid(unsafe_code)]

use std::fmt;

use serde::Serialize;

use crate::find::Suspect;
use crate::view::{name, units};

/// What became of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// It has been called a leak by so many looks in a row that it is announced: [`Watch::hold`](super::Watch::hold).
    Begin,
    /// It is announced, and what is live of it has doubled since it was last told.
    Still,
    /// So many looks in a row did not call it a leak that it is withdrawn: [`Watch::clear`](super::Watch::clear).
    End,
}

/// News of one place. As text it is one line.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// What became of it.
    pub kind: Kind,
    /// The place, how fast it grows (estimated, with its error), since when, and how sure that is. At the
    /// [end](Kind::End) what the last look said that called it a leak.
    pub suspect: Suspect,
    /// How many looks called it a leak: since they began to, in a row until it was announced.
    pub looks: u64,
    /// For how long it has been announced, nanoseconds.
    pub announced_nanos: u64,
    /// Time of this look since the recorder's start, nanoseconds.
    pub at_nanos: u64,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Suspect {
            thing, live_bytes, ..
        } = self.suspect;
        let place = place(&self.suspect);
        let live = units::bytes(live_bytes);
        if self.kind == Kind::End {
            let after = units::duration(self.announced_nanos);
            return write!(
                f,
                "no longer a leak, after {after}: {place}, {live} live then"
            );
        }
        let words = if self.kind == Kind::Begin {
            "leak"
        } else {
            "still leaking"
        };
        let age = units::duration(self.at_nanos.saturating_sub(self.suspect.since_nanos));
        write!(f, "{words}: ")?;
        if let Some(rate) = self.suspect.rate {
            let error = Some(rate.std_error * 60.0);
            let rate = units::with_error((rate.bytes * 60.0).round() as i64, error, "bytes");
            write!(f, "{rate} per minute at ")?;
        }
        write!(f, "{place}, {}, for {age}, {live} live", thing.words())?;
        Ok(())
    }
}

/// `cache.rs:42 (shop::Cache::set)`, or the function alone.
pub(super) fn place(suspect: &Suspect) -> String {
    let place = &suspect.place;
    let function = name::fit_function(&place.function, 120);
    let text = match place.file.rsplit('/').next() {
        Some(file) if !file.is_empty() && place.line > 0 => {
            format!("{file}:{} ({function})", place.line)
        }
        _ => function,
    };
    name::printable(&text).into_owned()
}
