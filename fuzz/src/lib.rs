//! One reader of tests/fuzz, for libFuzzer. What is read is used as well, as the command would.

#[path = "../../tests/fuzz/targets.rs"]
mod targets;

pub use libfuzzer_sys::fuzz_target;

/// Hands one input to the reader of this name.
pub fn run(name: &str, bytes: &[u8]) {
    let target = targets::TARGETS.iter().find(|target| target.name == name);
    let target = target.expect("a reader of this name");
    if let Some(profile) = (target.read)(bytes) {
        targets::go_on(&profile);
    }
}

/// The whole of a fuzz target.
#[macro_export]
macro_rules! target {
    ($name:literal) => {
        $crate::fuzz_target!(|bytes: &[u8]| $crate::run($name, bytes));
    };
}
