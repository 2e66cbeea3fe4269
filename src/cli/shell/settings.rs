//! Options that stay until they are changed, by pprof's names, and the options of commands that they become.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

/// A name that can be set.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    kind: Kind,
}

enum Kind {
    /// `--option=value`.
    Value(&'static str),
    /// `--option`, while it is true.
    Switch(&'static str),
    /// `--option`, while it is true, in place of the others of its kind.
    Granularity,
    /// `cum` or `flat`.
    Sort,
    /// Rows.
    Count,
}

/// What can be set. Sample types of the profile are switches as well.
pub(super) const SETTINGS: &[Setting] = &[
    of(
        "sample_index",
        "The sample type to show",
        Kind::Value("sort"),
    ),
    of(
        "unit",
        "The unit of values: B, KiB, MiB, … or auto",
        Kind::Value("unit"),
    ),
    of(
        "focus",
        "Only stacks with a frame that matches",
        Kind::Value("focus"),
    ),
    of(
        "ignore",
        "No stacks with a frame that matches",
        Kind::Value("ignore"),
    ),
    of("show", "Only frames that match", Kind::Value("show")),
    of("hide", "No frames that match", Kind::Value("hide")),
    of(
        "show_from",
        "No frames outside of the outermost one that matches",
        Kind::Value("show-from"),
    ),
    of(
        "tagfocus",
        "Only samples whose labels match",
        Kind::Value("tagfocus"),
    ),
    of(
        "tagignore",
        "No samples whose labels match",
        Kind::Value("tagignore"),
    ),
    of(
        "tagshow",
        "Only labels whose key matches",
        Kind::Value("tagshow"),
    ),
    of(
        "taghide",
        "No labels whose key matches",
        Kind::Value("taghide"),
    ),
    of("nodecount", "Rows to show", Kind::Count),
    of(
        "nodefraction",
        "Leave out rows with less than this share",
        Kind::Value("nodefraction"),
    ),
    of(
        "edgefraction",
        "Leave out calls with less than this share",
        Kind::Value("edgefraction"),
    ),
    of(
        "source_path",
        "A folder to look for source in",
        Kind::Value("source-root"),
    ),
    of(
        "trim_path",
        "The beginning of source paths that is cut off",
        Kind::Value("trim-path"),
    ),
    of(
        "granularity",
        "functions, files, lines or addresses",
        Kind::Value(""),
    ),
    of("functions", "A row is a function", Kind::Granularity),
    of("files", "A row is a source file", Kind::Granularity),
    of("lines", "A row is a line", Kind::Granularity),
    of("addresses", "A row is an address", Kind::Granularity),
    of(
        "noinlines",
        "Inlined functions are part of their callers",
        Kind::Switch("inlined=no"),
    ),
    of(
        "relative_percentages",
        "Shares are of what is selected",
        Kind::Switch("relative"),
    ),
    of(
        "leaf",
        "Blame the leaf of each stack, as pprof does",
        Kind::Switch("leaf"),
    ),
    of(
        "plumbing",
        "Keep the frames of collections and runtimes in flame graphs",
        Kind::Switch("plumbing"),
    ),
    of("sort", "flat or cum", Kind::Sort),
    of("cum", "Sort by what passed through", Kind::Sort),
    of("flat", "Sort by what is blamed", Kind::Sort),
];

const fn of(name: &'static str, meaning: &'static str, kind: Kind) -> Setting {
    Setting {
        name,
        meaning,
        kind,
    }
}

/// What is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    values: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Sets `name`; an empty value is the default again. `sample_types` are switches for `sample_index`.
    ///
    /// # Errors
    /// The name or the value is none; says what is accepted.
    pub(super) fn set(
        &mut self,
        name: &str,
        value: &str,
        sample_types: &[String],
    ) -> Result<(), String> {
        if sample_types.iter().any(|kind| kind == name) {
            return self.set("sample_index", name, sample_types);
        }
        let setting = SETTINGS.iter().find(|it| it.name == name);
        let setting =
            setting.ok_or_else(|| format!("there is no option {name}; `o` lists them"))?;
        match (&setting.kind, name, value) {
            (_, "granularity", granularity) => {
                let granularity = match granularity {
                    // By file as well as by name: here functions of two files are two.
                    "filefunctions" => "functions",
                    other => other,
                };
                let known = SETTINGS.iter().find(|it| it.name == granularity);
                if !granularity.is_empty()
                    && !known.is_some_and(|it| matches!(it.kind, Kind::Granularity))
                {
                    return Err(
                        "granularity: functions, files, lines or addresses are accepted".into(),
                    );
                }
                self.values.remove("granularity");
                self.values
                    .extend(known.map(|it| ("granularity", it.name.to_owned())));
            }
            (Kind::Granularity, name, value) => {
                let on = switch(name, value)?;
                return self.set("granularity", if on { name } else { "" }, sample_types);
            }
            (Kind::Sort, name, value) => {
                let cum = match (name, value) {
                    ("sort", "cum") => true,
                    ("sort", "flat" | "") => false,
                    ("sort", _) => return Err("sort: flat or cum are accepted".into()),
                    ("cum", value) => switch(name, value)?,
                    (_, value) => !switch(name, value)?,
                };
                self.values.remove("sort");
                self.values.extend(cum.then(|| ("sort", "cum".to_owned())));
            }
            (Kind::Switch(_), name, value) => {
                self.values.remove(setting.name);
                self.values
                    .extend(switch(name, value)?.then(|| (setting.name, "true".to_owned())));
            }
            (_, _, "") => drop(self.values.remove(setting.name)),
            (Kind::Count, _, count) => {
                let count = count.parse::<i64>();
                let count =
                    count.map_err(|_| "nodecount: a number of rows is accepted".to_owned())?;
                // pprof's -1 is its default.
                self.values.remove(setting.name);
                self.values
                    .extend((count >= 0).then(|| (setting.name, count.to_string())));
            }
            (_, "sample_index", kind) if !sample_types.iter().any(|it| it == kind) => {
                return Err(format!(
                    "sample_index: {kind} is no sample type of the profile; it has {}",
                    sample_types.join(", ")
                ));
            }
            (_, _, value) => drop(self.values.insert(setting.name, value.to_owned())),
        }
        Ok(())
    }

    /// Sets what needs no value.
    ///
    /// # Errors
    /// It needs one.
    pub(super) fn switch(&mut self, name: &str, sample_types: &[String]) -> Result<(), String> {
        let needs_value = |it: &&Setting| matches!(it.kind, Kind::Value(_) | Kind::Count);
        match SETTINGS
            .iter()
            .filter(needs_value)
            .any(|it| it.name == name)
            || name == "sort"
        {
            true => Err(format!(
                "{name}: a value is missing, as in `{name}=…`; `{name}=` is the default again"
            )),
            false => self.set(name, "true", sample_types),
        }
    }

    /// The value of a setting, if it is not the default.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Forgets one.
    pub(super) fn without(mut self, name: &str) -> Settings {
        self.values.remove(name);
        self
    }

    /// As options of a command, of which it takes those that it `knows`.
    pub(super) fn options(&self, knows: impl Fn(&str) -> bool) -> Vec<String> {
        let mut options = Vec::new();
        for (name, value) in &self.values {
            let kind = SETTINGS
                .iter()
                .find(|it| it.name == *name)
                .map(|it| &it.kind);
            let option = match (kind, *name) {
                (_, "granularity") => (value.clone(), None),
                (Some(Kind::Sort), _) => ("cum".to_owned(), None),
                (Some(Kind::Count), _) => ("n".to_owned(), Some(value)),
                (Some(Kind::Switch(option)), _) => ((*option).to_owned(), None),
                (Some(Kind::Value(option)), _) => ((*option).to_owned(), Some(value)),
                _ => continue,
            };
            let (option, value) = option;
            let bare = option.split('=').next().unwrap_or(&option);
            if !knows(bare) {
                continue;
            }
            match (bare, value) {
                ("n", Some(value)) => options.push(format!("-n{value}")),
                (_, Some(value)) => options.push(format!("--{option}={value}")),
                (_, None) => options.push(format!("--{option}")),
            }
        }
        options
    }
}

fn switch(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" | "t" | "1" | "yes" => Ok(true),
        "false" | "f" | "0" | "no" | "" => Ok(false),
        _ => Err(format!("{name}: true or false are accepted")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds() -> Vec<String> {
        ["alloc_space", "inuse_space"].map(str::to_owned).into()
    }

    #[test]
    fn settings_become_options_that_a_command_knows() {
        let mut settings = Settings::default();
        for (name, value) in [
            ("focus", "a b"),
            ("alloc_space", "true"),
            ("lines", "true"),
            ("noinlines", "1"),
            ("cum", "true"),
            ("nodecount", "7"),
        ] {
            settings.set(name, value, &kinds()).unwrap();
        }
        let all = settings.options(|_| true);
        assert_eq!(
            all,
            [
                "--focus=a b",
                "--lines",
                "-n7",
                "--inlined=no",
                "--sort=alloc_space",
                "--cum"
            ]
        );
        assert_eq!(settings.options(|name| name == "focus"), ["--focus=a b"]);
        for (name, value) in [
            ("focus", ""),
            ("granularity", "files"),
            ("sort", "flat"),
            ("nodecount", "-1"),
            ("noinlines", "f"),
        ] {
            settings.set(name, value, &kinds()).unwrap();
        }
        assert_eq!(
            settings.options(|_| true),
            ["--files", "--sort=alloc_space"]
        );
    }

    #[test]
    fn what_cannot_be_set_is_said() {
        for (name, value, said) in [
            ("fokus", "x", "there is no option fokus"),
            ("sample_index", "cpu", "it has alloc_space, inuse_space"),
            (
                "granularity",
                "words",
                "functions, files, lines or addresses",
            ),
            ("nodecount", "many", "a number of rows"),
            ("cum", "maybe", "true or false"),
            ("sort", "up", "flat or cum"),
        ] {
            let mut settings = Settings::default();
            let error = settings.set(name, value, &kinds()).unwrap_err();
            assert!(error.contains(said), "{error}");
            assert_eq!(settings, Settings::default());
        }
    }
}
