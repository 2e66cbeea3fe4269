//! Questions about the labels of a sample, in the language of pprof's `tagfocus` and `tagignore`.
#![forbid(unsafe_code)]

use super::labels::unit_of;
use super::scale::convert;
use super::select::Matches;
use crate::profile::{Label, LabelValue};
use crate::{Error, Result};

/// `regex,regex` (all of them match some `key:value`), `key=regex,regex` (one of them matches a value of the key), or a
/// range of numbers, with a key or without: `32kb`, `:64kb`, `4mb:`, `12kb:64mb`, ends included.
#[expect(
    missing_debug_implementations,
    reason = "closures have nothing to show"
)]
pub struct TagFilter<'a> {
    key: Option<String>,
    test: Test<'a>,
}

enum Test<'a> {
    Patterns(Vec<Matches<'a>>),
    Range(Range),
}

struct Range {
    from: f64,
    to: f64,
    unit: String,
}

impl<'a> TagFilter<'a> {
    /// Reads a filter; `compile` makes a question of a pattern.
    ///
    /// # Errors
    /// Those of `compile`; a number that is too large.
    pub fn parse(
        text: &str,
        compile: impl Fn(&str) -> Result<Matches<'a>>,
    ) -> Result<TagFilter<'a>> {
        let (key, text) = match text.split_once('=') {
            Some((key, text)) => (Some(key.to_owned()).filter(|key| !key.is_empty()), text),
            None => (None, text),
        };
        let test = match range(text)? {
            Some(range) => Test::Range(range),
            None => Test::Patterns(text.split(',').map(compile).collect::<Result<_>>()?),
        };
        Ok(TagFilter { key, test })
    }

    /// Whether labels match.
    pub(super) fn matches(&self, labels: &[Label]) -> bool {
        let of_key = || {
            labels
                .iter()
                .filter(|label| self.key.as_ref().is_none_or(|key| *key == label.key))
        };
        let texts = || {
            of_key().filter_map(|label| match &label.value {
                LabelValue::Str(text) => Some((&label.key, text)),
                LabelValue::Num(..) => None,
            })
        };
        match (&self.test, &self.key) {
            (Test::Patterns(patterns), None) => patterns
                .iter()
                .all(|matches| texts().any(|(key, text)| matches(&format!("{key}:{text}")))),
            (Test::Patterns(patterns), Some(_)) => patterns
                .iter()
                .any(|matches| texts().any(|(_, text)| matches(text))),
            (Test::Range(range), _) => of_key().any(|label| range.has(label)),
        }
    }
}

impl Range {
    fn has(&self, label: &Label) -> bool {
        let LabelValue::Num(number, unit) = &label.value else {
            return false;
        };
        let (value, unit) = convert(*number, unit_of(&label.key, unit), &self.unit);
        let (_, wanted) = convert(0, &self.unit, &self.unit);
        unit == wanted && (self.from..=self.to).contains(&value)
    }
}

/// A range, where the whole text is one.
fn range(text: &str) -> Result<Option<Range>> {
    let (first, second) = match text.split_once(':') {
        None => (text, None),
        Some((first, second)) => (first, Some(second)),
    };
    let end = |text: &str| -> Result<Option<(i64, String)>> {
        let unit = text.trim_start_matches(['+', '-']);
        let unit = unit.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &text[..text.len() - unit.len()];
        let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number || !unit.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Ok(None);
        }
        let parsed = number.parse().map_err(|_| {
            Error::input(format!(
                "`{number}` is too large a number for a range of tags"
            ))
        })?;
        Ok(Some((parsed, unit.to_owned())))
    };
    let (low, high) = match second {
        None => (end(first)?, end(first)?),
        Some(second) => (end(first)?, end(second)?),
    };
    let is_given = |text: Option<&str>| text.is_none_or(|text| !text.is_empty());
    let unit = match (&low, &high) {
        (Some((_, unit)), _) | (None, Some((_, unit))) => unit.clone(),
        (None, None) => return Ok(None),
    };
    // An end that is there and no number makes it a pattern.
    if (low.is_none() && !first.is_empty()) || (high.is_none() && is_given(second)) {
        return Ok(None);
    }
    let scaled = |end: Option<(i64, String)>, open: f64| match end {
        None => Some(open),
        Some((number, of)) => {
            let (value, got) = convert(number, &of, &unit);
            (got == convert(0, &unit, &unit).1).then_some(value)
        }
    };
    let ends = (scaled(low, f64::NEG_INFINITY), scaled(high, f64::INFINITY));
    let (Some(from), Some(to)) = ends else {
        return Ok(None);
    };
    Ok(Some(Range { from, to, unit }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> TagFilter<'static> {
        TagFilter::parse(text, |pattern| {
            let pattern = pattern.to_owned();
            Ok(Box::new(move |text: &str| text.contains(&pattern)))
        })
        .unwrap()
    }

    #[test]
    fn the_language_of_pprof() {
        let labels = [
            Label::text("user", "anna"),
            Label::text("path", "/cart"),
            Label::number("bytes", 65_536, ""),
            Label::number("shard", 7, ""),
        ];
        for (text, expected) in [
            ("anna", true),
            ("user:anna", true),
            ("anna,cart", true),
            ("anna,otto", false),
            ("user=otto,anna", true),
            ("user=cart", false),
            ("path=/cart", true),
            ("64kb", true),
            ("bytes=64kb", true),
            ("shard=64kb", false),
            ("bytes=65kb:", false),
            (":64KB", true),
            ("bytes=4kb:1mb", true),
            ("1mb:2mb", false),
            ("shard=7", true),
            ("shard=8:", false),
        ] {
            assert_eq!(filter(text).matches(&labels), expected, "{text}");
        }
        assert!(!filter("anna").matches(&[]));
        let compile = |_: &str| -> Result<Matches<'static>> { Ok(Box::new(|_: &str| true)) };
        assert!(TagFilter::parse("99999999999999999999kb", compile).is_err());
    }
}
