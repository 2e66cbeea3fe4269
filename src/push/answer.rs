//! What an answer means for the counters: were they taken, or not, or does nobody know?
//!
//! Pyroscope's `/ingest` reads a request whole before it looks at it, so one that was cut short has not been taken. What
//! it answers depends on its age: a tenant over its rate is 429, and was 422 with `resource_exhausted` in its text until
//! July 2026; nearly everything else that goes wrong inside is 422 with the reason in the text.
#![forbid(unsafe_code)]

use std::time::{Duration, SystemTime};

/// What has become of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The server has it.
    Accepted,
    /// The server does not have it: all of it goes with the next one.
    NotTaken {
        why: String,
        /// The server asks for as long.
        wait: Option<Duration>,
        /// A smaller one might do.
        is_too_large: bool,
    },
    /// The server may have it, and may not. It is not sent again: a burst of allocations that never was misleads more
    /// than a gap.
    Unknown { why: String },
}

impl Outcome {
    pub(super) fn not_taken(why: impl Into<String>) -> Outcome {
        Outcome::NotTaken {
            why: why.into(),
            wait: None,
            is_too_large: false,
        }
    }
}

/// By status, the header `Retry-After` and the beginning of the answer's text.
pub(super) fn judge(
    status: u16,
    retry_after: Option<&str>,
    text: &str,
    now: SystemTime,
) -> Outcome {
    let why = match one_line(text) {
        line if line.is_empty() => format!("the server answered {status}"),
        line => format!("the server answered {status}: {line}"),
    };
    let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    match status {
        200..300 => Outcome::Accepted,
        // A proxy that stopped waiting, or the server did for its own storage: it may have been stored all the same.
        504 => Outcome::Unknown { why },
        422 if says(&["deadline_exceeded", "deadline exceeded", "canceled"]) => {
            Outcome::Unknown { why }
        }
        // Any other error is the server's word that it has not taken it.
        _ => Outcome::NotTaken {
            why,
            wait: retry_after.and_then(|text| seconds(text, now)),
            is_too_large: status == 413
                || says(&["max_profile_size_byte", "max_profile_stacktrace_samples"]),
        },
    }
}

/// `Retry-After`: seconds, or a date.
fn seconds(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    date.duration_since(now).ok()
}

/// The text as a part of a line on stderr: short, and without anything that would move a terminal's cursor.
fn one_line(text: &str) -> String {
    const LONGEST: usize = 300;
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, text: &str) -> Outcome {
        judge(status, None, text, SystemTime::now())
    }

    #[test]
    fn an_error_is_the_servers_word_except_where_it_does_not_know_itself() {
        assert_eq!(judged(200, ""), Outcome::Accepted);
        assert_eq!(judged(204, "x"), Outcome::Accepted);
        let rate =
            "pushing IngestInput-pprof failed resource_exhausted: push rate limit (0 B) exceeded";
        for (status, text) in [
            (301, ""),
            (400, "name: invalid service name"),
            (401, ""),
            (408, "failed to read request body"),
            (422, "parsing IngestInput-pprof failed"),
            (
                422,
                "pushing IngestInput-pprof failed invalid_argument: invalid labels",
            ),
            (422, rate),
            (429, rate),
            (500, ""),
            (502, "Bad Gateway"),
            (503, ""),
        ] {
            let Outcome::NotTaken {
                why, is_too_large, ..
            } = judged(status, text)
            else {
                panic!("{status} {text}");
            };
            assert!(
                why.contains(&status.to_string()) && why.contains(text),
                "{why}"
            );
            assert!(!is_too_large, "{why}");
        }
        for (status, text) in [
            (504, ""),
            (
                422,
                "pushing IngestInput-pprof failed deadline_exceeded: context deadline exceeded",
            ),
            (
                422,
                "pushing IngestInput-pprof failed canceled: context canceled",
            ),
        ] {
            assert!(
                matches!(judged(status, text), Outcome::Unknown { .. }),
                "{text}"
            );
        }
        for (status, text) in [
            (413, "request body too large"),
            (
                422,
                "exceeds the size limit (max_profile_size_byte, actual: 2, limit: 1)",
            ),
            (
                400,
                "exceeds the samples count limit (max_profile_stacktrace_samples, actual",
            ),
        ] {
            let outcome = judged(status, text);
            assert!(
                matches!(
                    outcome,
                    Outcome::NotTaken {
                        is_too_large: true,
                        ..
                    }
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 25 Nov 2026 10:00:00 GMT").unwrap();
        let wait = |text: &str| match judge(429, Some(text), "", now) {
            Outcome::NotTaken { wait, .. } => wait.map(|wait| wait.as_secs()),
            other => panic!("{other:?}"),
        };
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait(" 0 "), Some(0));
        assert_eq!(wait("Wed, 25 Nov 2026 10:02:00 GMT"), Some(120));
        assert_eq!(wait("Wed, 25 Nov 2026 09:00:00 GMT"), None);
        for nonsense in ["", "-1", "soon", "1e9", "99999999999999999999999"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn what_a_server_says_stays_a_short_line() {
        assert_eq!(one_line(" a\r\n\tb\u{1b}[2J  c "), "a b [2J c");
        assert_eq!(one_line(&"ä".repeat(400)), "ä".repeat(300) + "…");
        assert_eq!(one_line("\u{0}\n"), "");
    }
}
