//! Names come from files: whatever is in them, asking whose code they are must end in an answer.
#![forbid(unsafe_code)]

use proptest::prelude::*;

use super::path::parts;
use super::{blame, names, plumbing};
use crate::profile::{Function, FunctionId, Line, Location, LocationId, Profile, Sample};

const PIECES: [&str; 20] = [
    "<",
    ">",
    "::",
    ":",
    " as ",
    " for ",
    "impl ",
    "->",
    "(",
    ")",
    "[",
    "]",
    "&",
    "dyn ",
    "_",
    "Größe",
    "日本",
    "é",
    "tokio::task",
    "core::fmt",
];

fn name() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        proptest::sample::select(&PIECES[..]).prop_map(str::to_owned),
        any::<String>()
    ];
    proptest::collection::vec(pieces, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_name_gets_an_answer(name in name(), filename in name()) {
        let plain = parts(&name).path;
        prop_assert!(plain.len() <= name.len() + "core".len(), "{name} became {plain}");
        names::is_internal(&name);
        names::crate_of(&name, &filename);
        plumbing::is_plumbing(&name, &filename);
        let line = Line { function: FunctionId(0), line: 1, column: 0 };
        let profile = Profile {
            functions: vec![Function { name, filename, ..Function::default() }],
            locations: vec![Location { lines: vec![line], ..Location::default() }],
            ..Profile::default()
        };
        let sample = Sample { locations: vec![LocationId(0)], ..Sample::default() };
        prop_assert!(blame::blame(&profile, &sample).is_some());
    }
}
