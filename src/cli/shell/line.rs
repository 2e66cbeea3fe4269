//! What a line at the prompt says, in the words that pprof's users have in their fingers.
//!
//! ```text
//! top10 Cache -tests      the ten largest rows of stacks through `Cache` and not through `tests`
//! list f                  source of functions that match
//! sample_index=inuse_space, focus=…, granularity=lines, cum
//! tree >calls.txt         into a file
//! ```
#![forbid(unsafe_code)]

/// A line, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Nothing,
    Quit,
    /// Of a command or an option, or of all.
    Help(Option<String>),
    /// Show all options.
    Options,
    /// `name=value`; an empty value is the default again.
    Set(String, String),
    /// A name alone.
    Switch(String),
    Run(Run),
}

/// A command with what belongs to it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) command: String,
    /// The number that is part of its name, or follows.
    pub(super) rows: Option<usize>,
    /// Words, as regular expressions.
    pub(super) words: Vec<String>,
    /// Words with a minus in front.
    pub(super) without: Vec<String>,
    /// `-cum` or `-flat`.
    pub(super) cum: Option<bool>,
    /// Options of the command itself: `--by crate` is two.
    pub(super) options: Vec<String>,
    /// After `>`.
    pub(super) output: Option<String>,
}

/// `is_option` tells names that can be set, and `is_command` those that can be run.
///
/// # Errors
/// In words for whoever typed it.
pub(super) fn parse(
    text: &str,
    is_command: impl Fn(&str) -> bool,
    is_option: impl Fn(&str) -> bool,
) -> Result<Line, String> {
    let words = words(text)?;
    let Some((first, rest)) = words.split_first() else {
        return Ok(Line::Nothing);
    };
    match first.as_str() {
        "quit" | "exit" | "q" | "^D" => return Ok(Line::Quit),
        "o" | "options" => return Ok(Line::Options),
        "help" | "h" | "?" => return Ok(Line::Help(rest.first().cloned())),
        _ => {}
    }
    if let Some((name, value)) = assignment(text, &is_option) {
        return Ok(Line::Set(name, value));
    }
    let (name, digits) = split_number(first);
    let (command, number) = match is_command(first) || digits.is_empty() {
        true => (first.as_str(), None),
        false => (name, Some(digits)),
    };
    if is_command(command) {
        return run(command, number, rest).map(Line::Run);
    }
    if is_option(first) && rest.is_empty() {
        // A switch, as in pprof: `cum`, `lines`, `inuse_space`.
        return Ok(Line::Switch(first.clone()));
    }
    Err(format!(
        "unknown command: {first}; `help` lists them, and `o` the options"
    ))
}

/// `name = value`, where the name can be set. A `=` elsewhere belongs to a regular expression.
fn assignment(text: &str, is_option: impl Fn(&str) -> bool) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    // What follows `//:` is a remark of pprof's own list of options, pasted back.
    let value = value.split("//:").next().unwrap_or("").trim();
    let bare = ['"', '\''].iter().find_map(|&quote| {
        let inner = value.strip_prefix(quote)?;
        inner.strip_suffix(quote)
    });
    is_option(name).then(|| (name.to_owned(), bare.unwrap_or(value).to_owned()))
}

fn run(command: &str, number: Option<&str>, rest: &[String]) -> Result<Run, String> {
    let count = |digits: &str| {
        digits
            .parse::<usize>()
            .map_err(|_| format!("{command}: {digits} rows are too many"))
    };
    let mut run = Run {
        command: command.to_owned(),
        rows: number.map(count).transpose()?,
        ..Run::default()
    };
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        if let Some(file) = word.strip_prefix('>') {
            let file = match file.is_empty() {
                true => words.next().map_or("", String::as_str),
                false => file,
            };
            if file.is_empty() {
                return Err(format!(
                    "{command}: the name of a file is missing after `>`"
                ));
            }
            run.output = Some(file.to_owned());
        } else if word == "-cum" || word == "--cum" {
            run.cum = Some(true);
        } else if word == "-flat" || word == "--flat" {
            run.cum = Some(false);
        } else if word.starts_with("--") {
            run.options.push(word.clone());
        } else if let Some(pattern) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) {
            run.without.push(pattern.to_owned());
        } else if word.bytes().all(|byte| byte.is_ascii_digit())
            && run.rows.is_none()
            && run.words.is_empty()
        {
            run.rows = Some(count(word)?);
        } else {
            run.words.push(word.clone());
        }
    }
    Ok(run)
}

/// `top10` as `top` and `10`.
fn split_number(word: &str) -> (&str, &str) {
    let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
    (name, &word[name.len()..])
}

/// Words, at blanks; quotes keep blanks, and what is in them is taken as it is.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    if let Some(open) = quote {
        return Err(format!("the quote {open} is not closed"));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Result<Line, String> {
        let is = |known: &'static [&'static str]| move |name: &str| known.contains(&name);
        parse(
            text,
            is(&["top", "list", "tree", "peek"]),
            is(&["focus", "cum", "sample_index", "inuse_space"]),
        )
    }

    fn run_of(text: &str) -> Run {
        match line(text) {
            Ok(Line::Run(run)) => run,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn pprofs_lines_mean_what_they_mean_there() {
        assert_eq!(line(""), Ok(Line::Nothing));
        assert_eq!(line("  quit "), Ok(Line::Quit));
        assert_eq!(line("o"), Ok(Line::Options));
        assert_eq!(line("help top"), Ok(Line::Help(Some("top".into()))));
        let top = run_of("top10 Cache -tests -cum > out.txt");
        let expected = Run {
            command: "top".into(),
            rows: Some(10),
            words: vec!["Cache".into()],
            without: vec!["tests".into()],
            cum: Some(true),
            output: Some("out.txt".into()),
            ..Run::default()
        };
        assert_eq!(top, expected);
        assert_eq!(run_of("top 5").rows, Some(5));
        assert_eq!(
            run_of("list 'Vec<u8, A>::push'").words,
            ["Vec<u8, A>::push"]
        );
        assert_eq!(run_of("tree >a").output.as_deref(), Some("a"));
        assert_eq!(run_of("top --by=crate").options, ["--by=crate"]);
        assert_eq!(run_of("peek a=b").words, ["a=b"]);
        let set = |name: &str, value: &str| Ok(Line::Set(name.into(), value.into()));
        assert_eq!(line("focus = Cache.*"), set("focus", "Cache.*"));
        assert_eq!(line("focus="), set("focus", ""));
        assert_eq!(line("focus = \"a b\"  //: remark"), set("focus", "a b"));
        assert_eq!(line("cum"), Ok(Line::Switch("cum".into())));
        assert_eq!(line("inuse_space"), Ok(Line::Switch("inuse_space".into())));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        for (text, said) in [
            ("tpo", "unknown command: tpo"),
            ("tree >", "the name of a file is missing"),
            ("list 'a", "the quote ' is not closed"),
            ("top99999999999999999999999", "rows are too many"),
        ] {
            let error = line(text).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
