//! The prompt of a terminal: a line with completion, and a history that survives.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, Helper};

use crate::{Error, Result};

/// What Tab may complete.
pub(super) struct Words {
    /// As the first word of a line.
    pub(super) commands: Vec<String>,
    /// As any other.
    pub(super) functions: Vec<String>,
}

/// So many are offered at once.
const MOST_OFFERED: usize = 100;

pub(super) struct Prompt {
    editor: Editor<Words, FileHistory>,
    history: Option<PathBuf>,
}

impl Prompt {
    /// # Errors
    /// The terminal cannot be used.
    pub(super) fn new(words: Words) -> Result<Prompt> {
        let config = Config::builder()
            .max_history_size(1000)
            .and_then(|builder| builder.history_ignore_dups(true))
            .map_err(failed)?
            .auto_add_history(true)
            .build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(words));
        let history = history();
        if let Some(file) = &history {
            // None at the first time, and a prompt works without.
            let _ = editor.load_history(file);
        }
        Ok(Prompt { editor, history })
    }

    /// The next line; `None`: the user is done. Ctrl-C gives the line up, as in any shell.
    ///
    /// # Errors
    /// The terminal went away.
    pub(super) fn next(&mut self) -> Result<Option<String>> {
        loop {
            match self.editor.readline("(heapsite) ") {
                Ok(line) => return Ok(Some(line)),
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        if let Some(file) = &self.history {
            if let Some(folder) = file.parent() {
                let _ = std::fs::create_dir_all(folder);
            }
            // A home that cannot be written has no history.
            let _ = self.editor.save_history(file);
        }
    }
}

fn failed(error: ReadlineError) -> Error {
    Error::input(format!("the prompt does not work here: {error}"))
}

/// `$XDG_STATE_HOME/heapsite/history`, or below `~/.local/state`.
fn history() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME").or_else(|| Some(absolute("HOME")?.join(".local/state")));
    Some(state?.join("heapsite/history"))
}

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.offered(&line[..position]))
    }
}

impl Words {
    /// Where the word before the cursor begins, and what it may become. Names of functions are found by any part of
    /// theirs that begins a path segment.
    fn offered(&self, line: &str) -> (usize, Vec<String>) {
        let begin = line.rfind([' ', '=', '>']).map_or(0, |at| at + 1);
        let word = &line[begin..];
        let words = match begin {
            0 => &self.commands,
            _ if word.is_empty() => return (begin, Vec::new()),
            _ => &self.functions,
        };
        let begins = |name: &&String| name.starts_with(word);
        let mut found: Vec<String> = words
            .iter()
            .filter(begins)
            .take(MOST_OFFERED)
            .cloned()
            .collect();
        if found.is_empty() && begin > 0 {
            let segment = format!("::{word}");
            let ends = self.functions.iter().filter_map(|name| {
                let at = name.rfind(&segment)?;
                Some(name[at + 2..].to_owned())
            });
            found = ends.take(MOST_OFFERED).collect();
            found.sort();
            found.dedup();
        }
        (begin, found)
    }
}

impl Hinter for Words {
    type Hint = String;
}
impl Highlighter for Words {}
impl Validator for Words {}
impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_words_are_commands_and_others_functions() {
        let words = Words {
            commands: ["top", "traces", "tree", "focus="]
                .map(str::to_owned)
                .into(),
            functions: ["shop::cache::Cache::set", "shop::main"]
                .map(str::to_owned)
                .into(),
        };
        let offered = |line: &str| words.offered(line);
        assert_eq!(
            offered("tr"),
            (0, vec!["traces".to_owned(), "tree".to_owned()])
        );
        assert_eq!(offered("list shop::m"), (5, vec!["shop::main".to_owned()]));
        assert_eq!(offered("focus=Cach"), (6, vec!["Cache::set".to_owned()]));
        assert_eq!(offered("list "), (5, Vec::new()));
        assert_eq!(offered("list zz"), (5, Vec::new()));
    }
}
