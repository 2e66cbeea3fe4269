//! Demangled names taken apart: `<a::B as c::D>::e` into the path of its type and of its trait.
#![forbid(unsafe_code)]

/// A function name without its generic arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    /// `alloc::vec::Vec::extend` for `<alloc::vec::Vec<T,A> as core::iter::Extend<T>>::extend`; begins with the
    /// trait if the type has no path.
    pub(super) path: String,
    /// `core::iter::Extend::extend` there.
    pub(super) of_trait: Option<String>,
}

/// Types nest in names, and names come from files: what is nested deeper than this counts as a plain path.
const DEPTH: usize = 64;

/// Takes a demangled name apart. Never fails: what it does not understand is a path.
pub(super) fn parts(name: &str) -> Parts {
    parts_within(name, DEPTH)
}

fn parts_within(name: &str, depth: usize) -> Parts {
    // Legacy mangling puts an underscore in front of `<`.
    let name = name
        .strip_prefix('_')
        .filter(|rest| rest.starts_with('<'))
        .unwrap_or(name);
    if name.starts_with('<')
        && depth > 0
        && let Some(end) = closing(name)
    {
        let (inner, rest) = (&name[1..end], without_generics(&name[end + 1..]));
        let (own, of_trait) = match split_outside(inner, " as ") {
            Some((own, of_trait)) => (own, Some(of_trait)),
            None => match inner
                .strip_prefix("impl ")
                .and_then(|inner| split_outside(inner, " for "))
            {
                Some((of_trait, own)) => (own, Some(of_trait)),
                None => (inner, None),
            },
        };
        let of_trait = of_trait.map(|of_trait| format!("{}{rest}", without_generics(of_trait)));
        let path = match (type_path(own, depth - 1), &of_trait) {
            (Some(path), _) => format!("{path}{rest}"),
            (None, Some(of_trait)) => of_trait.clone(),
            // Only the standard library implements methods of types without a path.
            (None, None) => format!("core{rest}"),
        };
        return Parts { path, of_trait };
    }
    // `a::_::<impl c::D for a::B>::e`
    let of_trait = name.find("<impl ").and_then(|at| {
        let end = closing(&name[at..])?;
        let (of_trait, _) = split_outside(&name[at + 6..at + end], " for ")?;
        Some(format!(
            "{}{}",
            without_generics(of_trait),
            without_generics(&name[at + end + 1..])
        ))
    });
    Parts {
        path: without_generics(name),
        of_trait,
    }
}

/// The path of a type, if it has one.
fn type_path(mut own: &str, depth: usize) -> Option<String> {
    loop {
        own = own.trim_start();
        let inner = ["&", "mut ", "dyn "]
            .iter()
            .find_map(|prefix| own.strip_prefix(prefix));
        match inner {
            Some(inner) => own = inner,
            None => break,
        }
    }
    if own.starts_with('<') {
        return Some(parts_within(own, depth).path);
    }
    let path = without_generics(own);
    let word = |c: char| c.is_alphanumeric() || "_:{}#$".contains(c);
    let end = path.find(|c| !word(c)).unwrap_or(path.len());
    path[..end].contains("::").then(|| path[..end].to_owned())
}

/// Drops everything in angle brackets, and the `::` in front of them.
pub(super) fn without_generics(path: &str) -> String {
    let has_brackets = path.bytes().any(|byte| matches!(byte, b'<' | b'>'));
    if !has_brackets && !path.contains(":::") {
        return path.trim_end_matches(':').to_owned(); // Most names by far.
    }
    let mut plain = String::with_capacity(path.len());
    let mut depth = 0usize;
    let mut previous = ' ';
    for c in path.chars() {
        match c {
            '<' => depth += 1,
            '>' if previous != '-' => depth = depth.saturating_sub(1),
            ':' if depth == 0 && plain.ends_with("::") => {}
            _ if depth == 0 => plain.push(c),
            _ => {}
        }
        previous = c;
    }
    plain.truncate(plain.trim_end_matches(':').len());
    plain
}

/// Where the bracket that `text` begins with is closed.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut previous = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if previous != b'-' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        previous = byte;
    }
    None
}

/// Splits at the first `separator` (ASCII) that is in no brackets.
fn split_outside<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut previous = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'[' => depth += 1,
            b'>' if previous == b'-' => {}
            b'>' | b')' | b']' => depth = depth.saturating_sub(1),
            // Bytes are compared: `at` may be inside a letter.
            _ if depth == 0 && bytes[at..].starts_with(separator.as_bytes()) => {
                return Some((&text[..at], &text[at + separator.len()..]));
            }
            _ => {}
        }
        previous = byte;
    }
    None
}

/// `a::b` is at the start of `a::b::c`, not of `a::bc`.
pub(super) fn starts_with_path(path: &str, start: &str) -> bool {
    path.strip_prefix(start)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_any_script() {
        let parts = parts("<shop::Größe<漢字 as α> as core::fmt::Display>::fmt");
        assert_eq!(parts.path, "shop::Größe::fmt");
        assert_eq!(parts.of_trait.as_deref(), Some("core::fmt::Display::fmt"));
    }

    #[test]
    fn deep_names_are_plain_paths() {
        let nested = |depth: usize| {
            let (open, close) = ("<".repeat(depth), " as c::D>::E".repeat(depth));
            parts(&format!("{open}a::B{close}")).path
        };
        assert_eq!(nested(DEPTH), format!("a::B{}", "::E".repeat(DEPTH)));
        assert!(
            nested(DEPTH + 1).starts_with("::E"),
            "the limit is where it says"
        );
        // None of these may exhaust the stack.
        assert!(nested(50_000).starts_with("::E"));
        assert_eq!(parts(&"<".repeat(50_000)).path, "");
    }
}
