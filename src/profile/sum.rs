//! What a sum of profiles is the sum of: a comment of one line, in every format.
#![forbid(unsafe_code)]

use super::Profile;

const SUM: &str = "sum of ";

/// What [`Profile::merge`] added up. A sum of sums counts what those count; a process that is in two of them counts twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sum {
    /// Profiles added.
    pub profiles: u64,
    /// Different processes they are from; `None`: not all of them say (pprof files do not).
    pub processes: Option<u64>,
    /// From the earliest profile, which [`Profile::time_nanos`] tells, to the latest; nanoseconds, to a millisecond.
    pub span_nanos: u64,
    /// Profiles that say where their process had its memory: [`Profile::resources`] is the sum of these.
    pub with_memory: u64,
}

impl Sum {
    /// `sum of 1000 profiles, of 998 processes, taken within 312.500 s; 999 tell where memory was`
    pub(crate) fn comment(&self) -> String {
        let processes = self
            .processes
            .map(|count| format!(", of {count} processes"))
            .unwrap_or_default();
        let millis = self.span_nanos / 1_000_000;
        format!(
            "{SUM}{} profiles{processes}, taken within {}.{:03} s; {} tell where memory was",
            self.profiles,
            millis / 1000,
            millis % 1000,
            self.with_memory
        )
    }

    /// Reads [`Sum::comment`] back.
    pub(crate) fn read(comment: &str) -> Option<Sum> {
        let (profiles, rest) = comment.strip_prefix(SUM)?.split_once(" profiles, ")?;
        let (processes, rest) = match rest.strip_prefix("of ") {
            Some(rest) => {
                let (count, rest) = rest.split_once(" processes, ")?;
                (Some(count.parse().ok()?), rest)
            }
            None => (None, rest),
        };
        let (span, rest) = rest.strip_prefix("taken within ")?.split_once(" s; ")?;
        let (seconds, millis) = span.split_once('.')?;
        let seconds: u64 = seconds.parse().ok()?;
        let millis: u64 = millis.parse().ok()?;
        Some(Sum {
            profiles: profiles.parse().ok()?,
            processes,
            span_nanos: seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(millis.saturating_mul(1_000_000)),
            with_memory: rest.strip_suffix(" tell where memory was")?.parse().ok()?,
        })
    }
}

impl Profile {
    /// What was added up to this profile; `None`: it is no sum, or not one of heapsite's.
    pub fn sum(&self) -> Option<Sum> {
        self.comments.iter().find_map(|line| Sum::read(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_back() {
        let mut sum = Sum {
            profiles: 1000,
            processes: Some(998),
            span_nanos: 312_007_000_000,
            with_memory: 999,
        };
        assert_eq!(
            sum.comment(),
            "sum of 1000 profiles, of 998 processes, taken within 312.007 s; 999 tell where memory was"
        );
        assert_eq!(Sum::read(&sum.comment()), Some(sum));
        sum.processes = None;
        assert_eq!(Sum::read(&sum.comment()), Some(sum));
        for other in [
            "sum of all evil",
            "sum of 3 profiles, and more",
            "a sum of 1",
        ] {
            assert_eq!(Sum::read(other), None);
        }
    }
}
