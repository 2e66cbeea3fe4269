//! `{closure#0}` alone says nothing: line tables keep only the last part of an inlined function's name. The function
//! it is inlined into is the next best thing to the one it was written in, and mostly the same.
#![forbid(unsafe_code)]

use crate::profile::addresses::FunctionIndex;
use crate::profile::{Function, Profile};

/// Puts the name of the function around it in front of every inlined function that is only called `{…}`.
pub(super) fn qualify(profile: &mut Profile, functions: &mut FunctionIndex) {
    for location in &mut profile.locations {
        for inner in (0..location.lines.len().saturating_sub(1)).rev() {
            let outer = &profile.functions[location.lines[inner + 1].function.0 as usize].name;
            let own = &profile.functions[location.lines[inner].function.0 as usize];
            if !own.name.starts_with('{') || outer.is_empty() {
                continue;
            }
            let qualified = Function {
                name: format!("{outer}::{}", own.name),
                ..own.clone()
            };
            location.lines[inner].function = functions.intern(&mut profile.functions, qualified);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{FunctionId, Line, Location};

    #[test]
    fn nested_closures_get_their_whole_path() {
        let function = |name: &str| Function {
            name: name.to_owned(),
            ..Function::default()
        };
        let line = |function| Line {
            function: FunctionId(function),
            line: 1,
            column: 0,
        };
        let mut profile = Profile {
            functions: vec![
                function("{closure#1}"),
                function("{closure#0}"),
                function("shop::main"),
            ],
            locations: vec![Location {
                lines: vec![line(0), line(1), line(2)],
                ..Location::default()
            }],
            ..Profile::default()
        };
        let mut functions = FunctionIndex::new(&profile.functions);
        qualify(&mut profile, &mut functions);
        let names: Vec<&str> = profile.locations[0]
            .lines
            .iter()
            .map(|line| profile.functions[line.function.0 as usize].name.as_str())
            .collect();
        let whole = [
            "shop::main::{closure#0}::{closure#1}",
            "shop::main::{closure#0}",
            "shop::main",
        ];
        assert_eq!(names, whole);
    }
}
