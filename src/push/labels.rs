//! The name of a series, `app{label=value}`, by the rules of the server that reads it.
//!
//! The rules are those of Pyroscope's `api/model/labelset` (parsing, names) and `pkg/validation` (lengths, counts). What
//! it would silently drop, overwrite or read differently is an error here: its text form has no escapes.
#![forbid(unsafe_code)]

/// The server adds `__name__`, `__delta__`, `service_name`, `pyroscope_spy` and, where it is set up so, `__order__`, and
/// takes 30 in all.
const MOST_LABELS: usize = 25;
/// `max-length-label-name`, bytes.
const NAME_BYTES: usize = 1024;
/// `max-length-label-value`, bytes; for the application's name, too.
const VALUE_BYTES: usize = 2048;

pub(super) const APPLICATIONS: &str =
    "accepted are up to 2048 letters, digits, `_`, `.`, `-` and `/`, of ASCII";
const NAMES: &str =
    "a label's name is up to 1024 letters, digits and `_`, of ASCII, not beginning with a digit";
const RESERVED: &str = "a label's name cannot be service_name (which is the application's), pyroscope_spy, profile_id or \
                        one that begins with `__`";
const VALUES: &str =
    "a label's value is 1 to 2048 bytes, without `,` and `}` and without spaces at its ends";
pub(crate) const LABEL_LISTS: &str =
    "accepted are labels such as region=eu;zone=a, each name once, at most 25";

/// Labels of a setting: `name=value;name=value`.
///
/// # Errors
/// There is one without `=`. Names and values are looked at later.
pub(crate) fn label_list(text: &str) -> Result<Vec<(String, String)>, String> {
    let items = text
        .split(';')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    items
        .map(|item| {
            let (name, value) = item.split_once('=').ok_or(LABEL_LISTS)?;
            Ok((name.trim_end().to_owned(), value.trim_start().to_owned()))
        })
        .collect()
}

/// Whether the server takes this name for an application.
pub(super) fn is_application(name: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/');
    (1..=VALUE_BYTES).contains(&name.len()) && name.bytes().all(is_allowed)
}

/// # Errors
/// What would be accepted.
pub(super) fn check(labels: &[(String, String)]) -> Result<(), String> {
    if labels.len() > MOST_LABELS {
        return Err(LABEL_LISTS.to_owned());
    }
    for (index, (name, value)) in labels.iter().enumerate() {
        check_name(name)?;
        let is_value = (1..=VALUE_BYTES).contains(&value.len())
            && !value.contains([',', '}'])
            && value.trim() == value;
        if !is_value {
            return Err(VALUES.to_owned());
        }
        if labels[..index].iter().any(|(other, _)| other == name) {
            return Err(LABEL_LISTS.to_owned());
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name = (1..=NAME_BYTES).contains(&name.len())
        && name.bytes().all(is_allowed)
        && !name.starts_with(|first: char| first.is_ascii_digit());
    if !is_name {
        return Err(NAMES.to_owned());
    }
    let is_reserved =
        name.starts_with("__") || ["service_name", "pyroscope_spy", "profile_id"].contains(&name);
    match is_reserved {
        true => Err(RESERVED.to_owned()),
        false => Ok(()),
    }
}

/// `app{name=value,name=value}`
pub(super) fn series(application: &str, labels: &[(String, String)]) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{application}{{{}}}", labels.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, value: &str) -> Result<(), String> {
        check(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn only_what_the_server_reads_as_it_was_meant() {
        for (name, value) in [
            ("region", "eu"),
            ("_a1", "x"),
            ("a", "b=c{d"),
            ("a", "ä ö"),
            ("a", &"v".repeat(2048)),
            (&"n".repeat(1024), "v"),
        ] {
            assert_eq!(checked(name, value), Ok(()), "{name}={value}");
        }
        for (name, value, accepted) in [
            ("", "x", NAMES),
            ("1a", "x", NAMES),
            ("a-b", "x", NAMES),
            ("a.b", "x", NAMES),
            ("ä", "x", NAMES),
            (&"n".repeat(1025), "v", NAMES),
            ("__x", "x", RESERVED),
            ("service_name", "x", RESERVED),
            ("pyroscope_spy", "x", RESERVED),
            ("a", "", VALUES),
            ("a", " b", VALUES),
            ("a", "b,c", VALUES),
            ("a", "b}c", VALUES),
            ("a", &"v".repeat(2049), VALUES),
        ] {
            assert_eq!(
                checked(name, value),
                Err(accepted.to_owned()),
                "{name}={value}"
            );
        }
        let labels = |count: usize| -> Vec<(String, String)> {
            (0..count)
                .map(|n| (format!("l{n}"), "v".to_owned()))
                .collect()
        };
        assert!(check(&labels(25)).is_ok());
        assert!(check(&labels(26)).is_err());
        assert!(check(&[labels(1), labels(1)].concat()).is_err());
        for (name, good) in [
            ("shop", true),
            ("a/b.c-d_9", true),
            ("", false),
            ("a b", false),
            ("a{", false),
            ("ä", false),
            (&"a".repeat(2048), true),
            (&"a".repeat(2049), false),
        ] {
            assert_eq!(is_application(name), good, "{name}");
        }
    }

    #[test]
    fn lists_and_series() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            label_list(" region = eu ;zone=a=b;; "),
            Ok(vec![pair("region", "eu"), pair("zone", "a=b")])
        );
        assert_eq!(label_list(""), Ok(Vec::new()));
        assert_eq!(label_list("region"), Err(LABEL_LISTS.to_owned()));
        assert_eq!(series("shop", &[]), "shop{}");
        let labels = label_list("region=eu;zone=a").unwrap();
        assert_eq!(series("shop", &labels), "shop{region=eu,zone=a}");
    }
}
