//! Names cut to the room there is, from the end that says least.
//!
//! The end of a path says most: `…::Store::insert`, `cache.rs:42`. So type arguments go first, then leading path
//! segments; the last segment and the line always stay, even where they do not fit.
#![forbid(unsafe_code)]

use super::key::{Frame, Key};
use std::borrow::Cow;

const CUT: &str = "…";

/// Text from a profile as one line that leaves the terminal alone: control characters (escape sequences, line ends) and
/// those that turn the writing direction are shown as escapes such as `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_odd =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(is_odd) {
        return text.into();
    }
    let mut clean = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_odd(c) {
            true => clean.extend(c.escape_default()),
            false => clean.push(c),
        }
    }
    clean.into()
}

/// Types nest in names, and names come from files: what is nested deeper is shown as an argument.
const DEPTH: usize = 64;

/// A row's name in at most `width` columns, if it can be had.
pub fn fit_key(key: &Key, width: usize) -> String {
    match key {
        Key::Name(name) => printable(name).into_owned(),
        Key::File(path) => fit_path(source(&printable(path)), width),
        Key::Address(address, frame) => {
            let address = format!("{address:#x}  ");
            let room = width.saturating_sub(length(&address));
            address + &fit(frame, room)
        }
        _ => key.frame().map_or_else(
            || printable(key.name()).into_owned(),
            |frame| fit(frame, width),
        ),
    }
}

/// A frame as `function  file:line` in at most `width` columns, if it can be had.
pub fn fit(frame: &Frame, width: usize) -> String {
    let (function, file) = (printable(&frame.function), printable(&frame.file));
    let file = source(&file);
    let line = if frame.line > 0 {
        format!(":{}", frame.line)
    } else {
        String::new()
    };
    if file.is_empty() {
        return fit_function(&function, width);
    }
    let long = format!("{file}{line}");
    let short = format!("{}{line}", file.rsplit('/').next().unwrap_or(file));
    for place in [&long, &short] {
        if length(&function) + 2 + length(place) <= width {
            return format!("{function}  {place}");
        }
    }
    let room = width.saturating_sub(length(&short) + 2);
    format!("{}  {short}", fit_function(&function, room))
}

/// A path without as many leading folders as it takes; the last part stays.
fn fit_path(path: &str, width: usize) -> String {
    let mut rest = path;
    while length(rest) + 2 > width.max(2)
        && let Some((_, shorter)) = rest.split_once('/')
    {
        rest = shorter;
    }
    match rest.len() == path.len() || length(path) <= width {
        true => path.to_owned(),
        false => format!("{CUT}/{rest}"),
    }
}

/// A source path without what is the same on every machine: the toolchain's or the registry's folder.
pub(crate) fn source(path: &str) -> &str {
    if let Some((_, rest)) = path.split_once("/registry/src/") {
        return rest.split_once('/').map_or(rest, |(_, package)| package);
    }
    let library = path.find("/library/").filter(|_| {
        ["/rustc/", "/rustc-", "/rustlib/"]
            .iter()
            .any(|part| path.contains(part))
    });
    library.map_or(path, |at| &path[at + 1..])
}

/// A function's name in at most `width` columns, if it can be had.
pub fn fit_function(name: &str, width: usize) -> String {
    let name = &*printable(name);
    if length(name) <= width {
        return name.to_owned();
    }
    let plain = without_arguments(name, DEPTH);
    if length(&plain) <= width {
        return plain;
    }
    let segments = segments(&plain);
    // `{closure#0}` alone says nothing, so the last real name stays with it.
    let named = segments
        .iter()
        .rposition(|segment| !segment.starts_with('{'))
        .unwrap_or(0);
    for start in 1..=named {
        let rest = format!("{CUT}::{}", segments[start..].join("::"));
        if length(&rest) <= width || start == named {
            return rest;
        }
    }
    plain
}

/// The function and what it belongs to: `MetricsCache::set` of `shop::cache::MetricsCache<K, V>::set`.
pub(crate) fn short_function(name: &str) -> String {
    let plain = without_arguments(&printable(name), DEPTH).replace("<…>", "");
    let segments = segments(&plain);
    let named = segments
        .iter()
        .rposition(|segment| !segment.starts_with('{'))
        .unwrap_or(0);
    segments[named.saturating_sub(1)..].join("::")
}

/// `Vec<u8>::push` as `Vec<…>::push`. A leading `<T as Trait>` keeps its outermost level.
fn without_arguments(name: &str, depth: usize) -> String {
    let mut text = String::new();
    let mut rest = name;
    if name.starts_with('<') && depth > 0 {
        let end = closing(name);
        let inner = name.get(1..end).unwrap_or("");
        text = format!("<{}>", without_arguments(inner, depth - 1));
        rest = name.get(end + 1..).unwrap_or("");
    }
    while let Some(open) = rest.find('<') {
        let end = open + closing(&rest[open..]);
        text.push_str(&rest[..open]);
        text.push_str("<…>");
        rest = rest.get(end + 1..).unwrap_or("");
    }
    text + rest
}

/// Where the bracket that `text` starts with is closed; its length if it never is.
fn closing(text: &str) -> usize {
    let mut depth = 0usize;
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            // Not the arrow of `fn() -> T`.
            '>' if before != '-' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at;
                }
            }
            _ => {}
        }
        before = letter;
    }
    text.len()
}

/// The parts between `::` outside of angle brackets, braces and parentheses.
fn segments(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0usize, 0);
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'<' | b'{' | b'(' | b'[' => depth += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && bytes.get(at + 1) == Some(&b':') => {
                parts.push(&name[start..at]);
                start = at + 2;
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    parts.push(&name[start..]);
    parts
}

fn length(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str =
        "<shop::session::Store<alloc::string::String> as shop::Cache>::insert::{closure#0}";

    fn frame(function: &str, file: &str) -> Frame {
        Frame {
            function: function.into(),
            file: file.into(),
            line: 42,
        }
    }

    #[test]
    fn the_useful_end_stays() {
        assert_eq!(fit_function(LONG, 200), LONG);
        assert_eq!(
            fit_function(LONG, 64),
            "<shop::session::Store<…> as shop::Cache>::insert::{closure#0}"
        );
        for width in 0..40 {
            assert_eq!(fit_function(LONG, width), "…::insert::{closure#0}");
        }
        assert_eq!(
            fit_function("a::b::<fn(u8) -> u8>::call", 18),
            "a::b::<…>::call"
        );
        assert_eq!(fit_function("one_very_long_name", 4), "one_very_long_name");
        assert_eq!(fit_function("broken<Vec<u8>::new", 12), "broken<…>");
    }

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        let evil = frame("shop::\u{1b}[31mred\n::f", "/a\r\u{202e}b.rs");
        let shown = "shop::\\u{1b}[31mred\\n::f  /a\\r\\u{202e}b.rs:42";
        assert_eq!(fit(&evil, 200), shown);
        for width in 0..60 {
            assert!(!fit(&evil, width).contains(char::is_control));
        }
        let thread = Key::Name("wor\u{9b}2Jker".into());
        assert_eq!(fit_key(&thread, 80), "wor\\u{9b}2Jker");
        assert!(matches!(printable("Größe → \u{1F980}"), Cow::Borrowed(_)));
    }

    #[test]
    fn crafted_names_are_cut_too() {
        for name in [
            "<".repeat(50_000),
            "<a as ".repeat(50_000),
            "é<".repeat(50_000),
        ] {
            assert!(fit_function(&name, 20).contains('…'));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_name_can_be_cut(
            parts in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..24),
            width in 0usize..60,
        ) {
            let name = parts.concat();
            let cut = fit_function(&name, width);
            proptest::prop_assert!(length(&cut) <= length(&name) + 4, "{name} became {cut}");
        }
    }

    const PIECES: [&str; 14] = [
        "<",
        ">",
        "::",
        ":",
        " as ",
        " for ",
        "impl ",
        "->",
        "(",
        "]",
        "Größe",
        "日本",
        "a",
        "{closure#0}",
    ];

    #[test]
    fn places_lose_folders_first() {
        let name = frame("shop::Store::insert", "/home/me/shop/src/cache.rs");
        assert_eq!(
            fit(&name, 80),
            "shop::Store::insert  /home/me/shop/src/cache.rs:42"
        );
        assert_eq!(fit(&name, 35), "shop::Store::insert  cache.rs:42");
        assert_eq!(fit(&name, 30), "…::Store::insert  cache.rs:42");
        assert_eq!(fit(&name, 1), "…::insert  cache.rs:42");
        let registry = "/h/.cargo/registry/src/index-1/serde-1.0.0/src/de.rs";
        assert_eq!(
            fit(&frame("f", registry), 80),
            "f  serde-1.0.0/src/de.rs:42"
        );
        assert_eq!(
            fit(&frame("f", "/rustc/abc/library/alloc/src/vec/mod.rs"), 80),
            "f  library/alloc/src/vec/mod.rs:42"
        );
        assert_eq!(fit(&frame("shop+0x12", ""), 80), "shop+0x12");
    }
}
