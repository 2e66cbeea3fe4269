//! `?debug=1&gc=1&seconds=30`, read as Go reads it.
#![forbid(unsafe_code)]

/// The first value of `key`; empty: there is none.
pub(super) fn value(query: &str, key: &str) -> String {
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == key)
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

/// A whole number, as `strconv.Atoi` reads it; what is none is 0.
pub(super) fn number(query: &str, key: &str) -> i64 {
    value(query, key).parse().unwrap_or(0)
}

/// What `?seconds=` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seconds {
    /// Nothing: the profile since the start.
    Unset,
    /// The difference over so many seconds.
    Window(u64),
    /// Not a number of seconds.
    Wrong,
}

pub(super) fn seconds(query: &str) -> Seconds {
    match value(query, "seconds") {
        text if text.is_empty() => Seconds::Unset,
        text => match text.parse::<i64>() {
            Ok(seconds @ 1..) => Seconds::Window(seconds.unsigned_abs()),
            _ => Seconds::Wrong,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_them() {
        for (query, expected) in [
            ("", Seconds::Unset),
            ("seconds=", Seconds::Unset),
            ("seconds=3", Seconds::Window(3)),
            ("seconds=%2B3", Seconds::Window(3)),
            ("a=1&seconds=07&seconds=x", Seconds::Window(7)),
            ("seconds=%33", Seconds::Window(3)),
            ("seconds=0", Seconds::Wrong),
            ("seconds=-1", Seconds::Wrong),
            ("seconds=1.5", Seconds::Wrong),
            ("seconds=x", Seconds::Wrong),
            ("seconds=99999999999999999999", Seconds::Wrong),
        ] {
            assert_eq!(seconds(query), expected, "{query}");
        }
        for (query, expected) in [
            ("debug=1", 1),
            ("debug=-1", -1),
            ("debug=yes", 0),
            ("debug", 0),
        ] {
            assert_eq!(number(query, "debug"), expected, "{query}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_query_panics(query in "[a-z=&%+0-9\u{e9}]{0,40}|(seconds|debug)=[%0-9a-fx]*") {
            seconds(&query);
            number(&query, "debug");
        }
    }
}
