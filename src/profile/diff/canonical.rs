//! One name for what two builds call differently: `/ci/123/src/a.rs` and `/ci/124/src/a.rs`, `f` and `f::<u8>`.
#![forbid(unsafe_code)]

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};

use crate::profile::{Function, Location, Mapping, Profile};

/// What a function goes by in a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub(crate) function: Cow<'a, str>,
    pub(crate) file: &'a str,
}

/// A name per function of the base and of the new profile.
pub(crate) struct Names<'a> {
    pub(crate) base: Vec<Name<'a>>,
    pub(crate) new: Vec<Name<'a>>,
}

impl<'a> Names<'a> {
    /// Of one build: names as they are. Else
    /// - a function whose instances have no name in common (legacy mangling leaves generic arguments out, v0 keeps
    ///   them) goes by its name without them;
    /// - a function of the base goes by the file of the new profile's function of that name whose path ends alike.
    ///   Where several do equally well, paths stay different.
    pub(crate) fn new(base: &'a Profile, new: &'a Profile) -> Names<'a> {
        let names = |profile: &'a Profile| -> Vec<Name<'a>> {
            let name = |function: &'a Function| Name {
                function: Cow::Borrowed(&function.name),
                file: &function.filename,
            };
            profile.functions.iter().map(name).collect()
        };
        let mut names = Names {
            base: names(base),
            new: names(new),
        };
        if !is_one_build(base, new) {
            names.drop_arguments();
            names.find_files();
        }
        names
    }

    fn drop_arguments(&mut self) {
        let Names { base, new } = self;
        let mut instances: HashMap<String, [HashSet<&str>; 2]> = HashMap::new();
        for (side, names) in [&*base, &*new].into_iter().enumerate() {
            for name in names {
                let sides = instances.entry(plain(&name.function)).or_default();
                sides[side].insert(&name.function);
            }
        }
        instances
            .retain(|_, [base, new]| !base.is_empty() && !new.is_empty() && base.is_disjoint(new));
        let disjoint: HashSet<String> = instances.into_keys().collect();
        for name in base.iter_mut().chain(new) {
            let plain = plain(&name.function);
            if disjoint.contains(&plain) {
                name.function = Cow::Owned(plain);
            }
        }
    }

    fn find_files(&mut self) {
        let mut files: HashMap<&str, Vec<&str>> = HashMap::new();
        for name in &self.new {
            let files = files.entry(&name.function).or_default();
            if !files.contains(&name.file) {
                files.push(name.file);
            }
        }
        for name in &mut self.base {
            let Some(files) = files.get(&*name.function) else {
                continue;
            };
            let alike = |file: &&str| common_end(name.file, file);
            let best = files.iter().map(alike).max().unwrap_or(0);
            let mut bests = files.iter().filter(|file| alike(file) == best);
            if let (Some(&file), None, 1..) = (bests.next(), bests.next(), best) {
                name.file = file;
            }
        }
    }
}

/// Both were taken from the same file, as far as the profiles tell.
pub(crate) fn is_one_build(base: &Profile, new: &Profile) -> bool {
    let id = |profile: &Profile| profile.mappings.first().map(|main| main.build_id.clone());
    id(base).is_some_and(|id| !id.is_empty()) && id(base) == id(new)
}

/// Names of files of which the two profiles have different builds: offsets in them mean different things.
pub(crate) fn rebuilt<'a>(base: &'a Profile, new: &'a Profile) -> HashSet<&'a str> {
    let ids = |profile: &'a Profile| {
        let mut ids: HashMap<&str, HashSet<&str>> = HashMap::new();
        for mapping in profile.mappings.iter().filter(|m| !m.build_id.is_empty()) {
            ids.entry(base_name(mapping))
                .or_default()
                .insert(&mapping.build_id);
        }
        ids
    };
    let (base, new) = (ids(base), ids(new));
    let differs = |(name, ids): (&'a str, HashSet<&str>)| {
        new.get(name)
            .is_some_and(|new| new.is_disjoint(&ids))
            .then_some(name)
    };
    base.into_iter().filter_map(differs).collect()
}

/// The last part of a mapping's path.
pub(crate) fn base_name(mapping: &Mapping) -> &str {
    mapping.file.rsplit('/').next().unwrap_or_default()
}

/// Whether a location has no name but its address: none at all, or the stopgap `FILE+0xADDRESS`.
pub(crate) fn is_nameless(
    location: &Location,
    functions: &[Function],
    mapping: Option<&Mapping>,
) -> bool {
    let [only] = location.lines.as_slice() else {
        return location.lines.is_empty();
    };
    let (Some(function), Some(mapping)) = (functions.get(only.function.0 as usize), mapping) else {
        return false;
    };
    let file = Some(base_name(mapping)).filter(|file| !file.is_empty());
    let address = function.name.strip_prefix(file.unwrap_or("?"));
    function.filename.is_empty() && address.is_some_and(|rest| rest.starts_with("+0x"))
}

/// How many parts at the end of two paths are equal.
fn common_end(one: &str, other: &str) -> usize {
    let pairs = one.rsplit('/').zip(other.rsplit('/'));
    pairs
        .take_while(|(one, other)| one == other && !one.is_empty())
        .count()
}

/// A name without generic arguments, its closures and async functions without numbers: `f::<u8>::{closure#0}` →
/// `f::{{closure}}`. What a leading `<T as Trait>` or an `<impl Trait for T>` holds stays, without arguments.
fn plain(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    // For each open bracket whether its contents are kept.
    let mut open: Vec<bool> = Vec::new();
    let mut hidden = 0usize;
    let mut previous = ' ';
    let mut rest = name.char_indices();
    while let Some((at, letter)) = rest.next() {
        let kept = hidden == 0;
        match letter {
            '<' => {
                let first = text.is_empty() || text == "_";
                let keep = kept && (first || name[at..].starts_with("<impl "));
                if keep {
                    text.push('<');
                } else if kept && text.ends_with("::") {
                    text.truncate(text.len() - 2);
                }
                open.push(keep);
                hidden += usize::from(!keep);
            }
            '>' if previous != '-' => match open.pop() {
                Some(false) => hidden -= 1,
                _ if kept => text.push('>'),
                _ => {}
            },
            '{' if kept && is_numbered(&name[at..]) => {
                text.push_str("{{closure}}");
                for (_, letter) in rest.by_ref() {
                    if letter == '}' {
                        break;
                    }
                }
            }
            _ if kept => text.push(letter),
            _ => {}
        }
        previous = letter;
    }
    text
}

/// `{closure#0}`, `{async_fn#0}`, `{async_block#1}`, not `{{closure}}` or `{impl#3}`.
fn is_numbered(text: &str) -> bool {
    [
        "{closure#",
        "{async_fn#",
        "{async_block#",
        "{async_closure#",
        "{coroutine#",
    ]
    .iter()
    .filter_map(|start| text.strip_prefix(start))
    .any(|rest| {
        rest.trim_start_matches(|letter: char| letter.is_ascii_digit())
            .starts_with('}')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manglings_agree() {
        let rows = [
            ("shop::f", "shop::f::<u8>"),
            ("shop::f::{{closure}}", "shop::f::<fn() -> u8>::{closure#0}"),
            (
                "shop::f::{{closure}}::{{closure}}",
                "shop::f::{async_fn#0}::{closure#1}",
            ),
            (
                "<alloc::vec::Vec<T,A> as core::clone::Clone>::clone",
                "<alloc::vec::Vec<shop::Größe<u8>> as core::clone::Clone>::clone",
            ),
            (
                "shop::_::<impl serde::Deserialize for shop::Order<T>>::f",
                "shop::_::<impl serde::Deserialize for shop::Order<u8>>::f",
            ),
        ];
        for (legacy, v0) in rows {
            assert_eq!(plain(legacy), plain(v0));
        }
        assert_ne!(plain("shop::f::<u8>"), plain("shop::g::<u8>"));
        for odd in ["<", ">", "a<<b", "{", "{a#", "->", "<impl ", "é<{ü#}"] {
            plain(odd);
        }
    }

    fn profile(build: &str, functions: &[(&str, &str)]) -> Profile {
        let mapping = Mapping {
            build_id: build.into(),
            ..Mapping::default()
        };
        let function = |&(name, file): &(&str, &str)| Function {
            name: name.into(),
            filename: file.into(),
            ..Function::default()
        };
        Profile {
            mappings: vec![mapping],
            functions: functions.iter().map(function).collect(),
            ..Profile::default()
        }
    }

    #[test]
    fn paths_are_compared_from_their_end() {
        let base = [
            ("new", "/ci/123/src/a.rs"),
            ("new", "/ci/123/src/b/a.rs"),
            ("old", "/ci/123/src/a.rs"),
            ("twice", "/ci/123/x/a.rs"),
        ];
        let new = [
            ("new", "/ci/124/src/a.rs"),
            ("new", "/ci/124/src/b/a.rs"),
            ("twice", "/ci/124/y/a.rs"),
            ("twice", "/ci/124/z/a.rs"),
        ];
        let files = |base_build, new_build| {
            let (base, new) = (profile(base_build, &base), profile(new_build, &new));
            let names = Names::new(&base, &new);
            names
                .base
                .into_iter()
                .map(|name| name.file.to_owned())
                .collect::<Vec<_>>()
        };
        let found = [
            "/ci/124/src/a.rs",
            "/ci/124/src/b/a.rs",
            "/ci/123/src/a.rs",
            "/ci/123/x/a.rs",
        ];
        assert_eq!(files("one", "other"), found);
        assert_eq!(files("one", "one")[0], base[0].1);
    }

    #[test]
    fn arguments_go_only_where_no_instance_is_in_both() {
        let names = |base: &[(&str, &str)], new: &[(&str, &str)]| {
            let (base, new) = (profile("one", base), profile("other", new));
            let names = Names::new(&base, &new);
            let sides = [names.base, names.new];
            sides.map(|side| {
                side.into_iter()
                    .map(|name| name.function.into_owned())
                    .collect::<Vec<_>>()
            })
        };
        let legacy = [("f", "")];
        let v0 = [("f::<u8>", ""), ("f::<u16>", "")];
        assert_eq!(names(&legacy, &v0), [vec!["f"], vec!["f", "f"]]);
        assert_eq!(
            names(&v0[..1], &v0),
            [vec!["f::<u8>"], vec!["f::<u8>", "f::<u16>"]]
        );
    }
}
