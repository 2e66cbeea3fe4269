//! Where a pprof file's process had its memory: a comment of one line, for people and for `heapsite info`.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::Profile;
use super::resources::{Count, MemoryPart, MemoryParts, Resources};

pub(crate) const MEMORY: &str = "memory: ";
const MIB: f64 = 1_048_576.0;

/// `memory: 100.00 MiB resident = 74.00 ± 2.10 live + 5.10 overhead + …; 12 threads, 40 descriptors`
pub(crate) fn memory(resources: &Resources) -> String {
    let mib = |bytes: i64| format!("{:.2}", bytes as f64 / MIB);
    let parts = resources.memory.parts();
    let parts = parts.map(|(part, bytes)| {
        let error = match part {
            MemoryPart::Live => error(&resources.memory),
            _ => String::new(),
        };
        format!("{}{error} {}", mib(bytes), part.word())
    });
    format!(
        "{MEMORY}{:.2} MiB resident = {}; {} threads, {} descriptors",
        resources.memory.rss_bytes as f64 / MIB,
        parts.join(" + "),
        resources.thread_count(),
        resources.fd_count()
    )
}

/// ` ± 1.50`, where what is live is an estimate; rounded up, so that it stays one.
fn error(memory: &MemoryParts) -> String {
    match memory.live_error_bytes {
        0 => String::new(),
        error => format!(" ± {:.2}", (error as f64 / MIB * 100.0).ceil() / 100.0),
    }
}

/// Reads [`memory`] back: sizes to a hundredth of a MiB, and what is left is unexplained again.
fn read_memory(comment: &str) -> Option<Resources> {
    let bytes = |text: &str| Some((text.parse::<f64>().ok()? * MIB).round() as i64);
    let (rss, rest) = comment
        .strip_prefix(MEMORY)?
        .split_once(" MiB resident = ")?;
    let (parts, counts) = rest.split_once("; ")?;
    let rss = bytes(rss)?;
    let mut found = MemoryParts {
        rss_bytes: u64::try_from(rss).ok()?,
        ..MemoryParts::default()
    };
    let mut explained = 0i64;
    for part in parts.split(" + ") {
        let (size, word) = part.rsplit_once(' ')?;
        let (size, error) = size.split_once(" ± ").unwrap_or((size, "0"));
        found.live_error_bytes = found
            .live_error_bytes
            .max(u64::try_from(bytes(error)?).ok()?);
        let size = bytes(size)?;
        match found
            .parts()
            .into_iter()
            .find(|(part, _)| part.word() == word)
        {
            Some((MemoryPart::Unexplained, _)) | None => continue,
            Some((part, _)) => found.set(part, size)?,
        }
        explained = explained.saturating_add(size);
    }
    found.unexplained_bytes = rss.saturating_sub(explained);
    let (threads, descriptors) = counts.split_once(" threads, ")?;
    let all = |text: &str| {
        let count = text.parse().ok()?;
        let name = String::new(); // kinds are not told
        Some(vec![Count { name, count }])
    };
    Some(Resources {
        memory: found,
        threads: all(threads)?,
        fds: all(descriptors.strip_suffix(" descriptors")?)?,
        ..Resources::default()
    })
}

impl MemoryPart {
    /// As comments call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            MemoryPart::Live => "live",
            MemoryPart::Overhead => "overhead",
            MemoryPart::Free => "free",
            MemoryPart::Stacks => "stacks",
            MemoryPart::Files => "files",
            MemoryPart::Shared => "shared",
            MemoryPart::Own => "heapsite",
            MemoryPart::Unexplained => "unexplained",
        }
    }
}

impl MemoryParts {
    fn set(&mut self, part: MemoryPart, bytes: i64) -> Option<()> {
        let slot = match part {
            MemoryPart::Live => &mut self.live_bytes,
            MemoryPart::Free => &mut self.free_bytes,
            MemoryPart::Stacks => &mut self.stacks_bytes,
            MemoryPart::Files => &mut self.files_bytes,
            MemoryPart::Shared => &mut self.shared_bytes,
            MemoryPart::Own => &mut self.own_bytes,
            MemoryPart::Overhead => {
                self.overhead_bytes = bytes;
                return Some(());
            }
            MemoryPart::Unexplained => {
                self.unexplained_bytes = bytes;
                return Some(());
            }
        };
        *slot = u64::try_from(bytes).ok()?;
        Some(())
    }
}

impl Profile {
    /// What the process held: the facts', or where there are none what the comments tell (in hundredths of a MiB, and
    /// totals only). `None`: nobody says, or it is a sum of several.
    pub fn resources(&self) -> Option<Cow<'_, Resources>> {
        if let Some(heap) = &self.heap {
            return heap.resources.as_deref().map(Cow::Borrowed);
        }
        self.told_sampling()?; // whose comments they are
        let mut told = self.comments.iter().filter_map(|line| read_memory(line));
        told.next()
            .filter(|_| told.next().is_none())
            .map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::told::EXACT;

    #[test]
    fn what_is_told_is_read_back() {
        let count = |count| {
            vec![Count {
                name: String::new(),
                count,
            }]
        };
        let resources = Resources {
            memory: MemoryParts {
                rss_bytes: 100 << 20,
                live_bytes: 120 << 20,
                live_error_bytes: 3 << 19,
                overhead_bytes: -(1 << 20),
                free_bytes: 3 << 19,
                stacks_bytes: 1 << 18,
                files_bytes: 8 << 20,
                shared_bytes: 0,
                own_bytes: 1 << 18,
                unexplained_bytes: -(29 << 20),
                ..MemoryParts::default()
            },
            threads: count(12),
            fds: count(40),
            ..Resources::default()
        };
        let line = memory(&resources);
        assert_eq!(
            line,
            "memory: 100.00 MiB resident = 120.00 ± 1.50 live + -1.00 overhead + 1.50 free + 0.25 stacks + 8.00 files + 0.00 \
             shared + 0.25 heapsite + -29.00 unexplained; 12 threads, 40 descriptors"
        );
        let told = |lines: &[&str]| {
            let comments = lines.iter().map(|&line| line.to_owned()).collect();
            let profile = Profile {
                comments,
                ..Profile::default()
            };
            profile.resources().map(Cow::into_owned)
        };
        assert_eq!(told(&[EXACT, &line]), Some(resources));
        // Two processes' are nobody's, and other writers' lines are not ours.
        assert_eq!(told(&[EXACT, &line, &line]), None);
        assert_eq!(told(&[&line]), None);
        assert_eq!(
            told(&[
                EXACT,
                "memory: -1.00 MiB resident = 1 live; 1 threads, 1 descriptors"
            ]),
            None
        );
    }
}
