//! Many profiles on one command line: folders, lists, and what cannot be read.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use super::input;
use crate::{Error, Result};

/// What the names stand for: `@FILE` for those in FILE, one a line (`@-`: from stdin, for more names than a command line
/// holds), a folder for the profiles in it by their names' endings, everything else for itself.
pub(super) struct Inputs {
    pub(super) names: Vec<String>,
    /// What was passed over in folders, for people.
    pub(super) notes: Vec<String>,
}

/// Endings of profiles: those that heapsite writes, and those of Go, gperftools and jemalloc.
const ENDINGS: [&str; 6] = [".pb.gz", ".pb", ".pprof", ".json", ".heap", ".prof"];

impl Inputs {
    /// `output` is no input, though it may lie in one of the folders.
    ///
    /// # Errors
    /// A list or a folder cannot be read, or there is no profile in it; stdin is asked twice.
    pub(super) fn expand(args: &[String], output: &Path) -> Result<Inputs> {
        let from_stdin =
            |names: &[String], is: &str| names.iter().filter(|name| *name == is).count();
        let lists = from_stdin(args, "@-");
        let once = |profiles: usize| match lists + profiles {
            0 | 1 => Ok(()),
            _ => Err(Error::input(
                "only one profile, or one list, can be read from stdin (`-`, `@-`)",
            )),
        };
        once(from_stdin(args, "-"))?;
        let mut listed = Vec::new();
        for arg in args {
            match arg.strip_prefix('@') {
                Some(list) => lines(list, &mut listed)?,
                None => listed.push(arg.clone()),
            }
        }
        once(from_stdin(&listed, "-"))?;
        let mut inputs = Inputs {
            names: Vec::new(),
            notes: Vec::new(),
        };
        for name in listed {
            match input::is_file(&name) && Path::new(&name).is_dir() {
                true => inputs.folder(&name, output)?,
                false => inputs.names.push(name),
            }
        }
        Ok(inputs)
    }

    fn folder(&mut self, folder: &str, output: &Path) -> Result<()> {
        let failed = |error| Error::io(format!("cannot read {folder}"), error);
        let output = fs::canonicalize(output).ok();
        let mut found = Vec::new();
        let mut others = 0;
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if output.is_some() && fs::canonicalize(&path).ok() == output {
                continue;
            }
            // A hidden file is one that is being written.
            let name = path.file_name().and_then(|name| name.to_str());
            let is_profile = name.is_some_and(|name| {
                !name.starts_with('.') && ENDINGS.iter().any(|ending| name.ends_with(ending))
            });
            match path.to_str().filter(|_| is_profile && path.is_file()) {
                Some(path) => found.push(path.to_owned()),
                None => others += 1,
            }
        }
        if found.is_empty() {
            return Err(Error::input(format!(
                "there is no profile in {folder}: names that end in {} are read, not those in folders below",
                ENDINGS.join(" ")
            )));
        }
        found.sort();
        self.names.append(&mut found);
        if others > 0 {
            self.notes.push(format!(
                "{others} of the names in {folder} are not those of profiles, and were not read"
            ));
        }
        Ok(())
    }
}

/// The names in a list.
fn lines(list: &str, names: &mut Vec<String>) -> Result<()> {
    let before = names.len();
    let bytes = input::bytes(list)?;
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| {
        Error::input(format!(
            "{}: a list of names, one a line, is text",
            input::display(list)
        ))
    })?;
    names.extend(
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(str::to_owned),
    );
    match names.len() == before {
        true => Err(Error::input(format!(
            "{}: there is no name in the list",
            input::display(list)
        ))),
        false => Ok(()),
    }
}
