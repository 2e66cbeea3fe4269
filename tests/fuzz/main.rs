//! Every reader on a corpus of real files and on changes of them, the same ones each time: no panic, no memory out of proportion to
//! the input, no more allocations than that. How long it takes is nobody's question here: `ci/fuzz.sh` counts
//! instructions of inputs that double, and `fuzz/` has libFuzzer look for more.
//!
//! `HEAPSITE_FUZZ_ROUNDS=2000 cargo test --release --all-features --test fuzz -- pprof elf` makes more changes, for the
//! readers named.
#![deny(unsafe_op_in_unsafe_fn)]

#[path = "../peak/counting.rs"]
mod counting;
mod large;
mod mutate;
mod targets;

use mutate::{Random, mutate};
use std::io::{Read, Write};
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use targets::{TARGETS, Target, go_on};

#[global_allocator]
static COUNTING: counting::Counting = counting::Counting;

/// What a reader may hold, bytes: so much for each byte of the input, unpacked, and so much for any.
const TIMES: usize = 64;
const LEAST: usize = 1 << 20;
/// How often it may ask for memory.
const CALLS: usize = 16;
const LEAST_CALLS: usize = 20_000;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    if let [large, name, size] = &args[..]
        && large == "large"
    {
        return large::run(name, size.parse().expect("a size"));
    }
    let rounds: u64 = match std::env::var("HEAPSITE_FUZZ_ROUNDS") {
        Ok(text) => text.parse().expect("HEAPSITE_FUZZ_ROUNDS is a number"),
        Err(_) => 40,
    };
    // What a panic says is told below.
    std::panic::set_hook(Box::new(|_| {}));
    let mut failures = Vec::new();
    for target in &TARGETS {
        if args.is_empty() || args.iter().any(|arg| arg == target.name) {
            let inputs = fuzz(target, rounds, &mut failures);
            println!("{}: {inputs} inputs", target.name);
        }
    }
    for failure in &failures {
        println!("FAILED {failure}");
    }
    match failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn fuzz(target: &Target, rounds: u64, failures: &mut Vec<String>) -> u64 {
    let corpus = corpus(target.name);
    let mut inputs = 0;
    for (name, input) in large::greedy(target.name) {
        inputs += 1;
        if let Err(what) = run(target, &input) {
            failures.push(format!("{}, {name}: {what}", target.name));
        }
    }
    for (number, (name, bytes)) in (0u64..).zip(&corpus) {
        for round in 0..=rounds {
            let mut random = Random(number << 32 | round);
            let input = match round {
                0 => bytes.clone(),
                _ => {
                    let other = &corpus[(number + round) as usize % corpus.len()].1;
                    mutate(bytes, other, &mut random)
                }
            };
            inputs += 1;
            if let Err(what) = run(target, &input) {
                let file =
                    std::env::temp_dir().join(format!("heapsite-{}-{name}-{round}", target.name));
                let _ = std::fs::write(&file, &input);
                failures.push(format!(
                    "{}, {name}, round {round}: {what}; {}",
                    target.name,
                    file.display()
                ));
                break;
            }
        }
    }
    inputs
}

/// Reads one input.
fn run(target: &Target, input: &[u8]) -> Result<(), String> {
    let size = unpacked(input).max(input.len());
    let count = counting::start();
    let read = catch_unwind(|| (target.read)(input)).map_err(|panic| told("reading", &*panic))?;
    let (peak, calls) = (count.peak(), count.calls());
    if peak > TIMES * size + LEAST {
        return Err(format!("{peak} bytes held for {size}"));
    }
    if calls > CALLS * size + LEAST_CALLS {
        return Err(format!("{calls} allocations for {size} bytes"));
    }
    let Some(profile) = read else {
        return Ok(());
    };
    catch_unwind(|| go_on(&profile)).map_err(|panic| told("using what was read", &*panic))
}

fn told(when: &str, panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panic while {when}: {}", text.unwrap_or("?"))
}

/// How long the contents of a gzip file are, up to the most that is accepted; 0: it is none.
fn unpacked(bytes: &[u8]) -> usize {
    let mut decoder = flate2::bufread::MultiGzDecoder::new(bytes).take(1 << 30);
    let (mut block, mut len) = (vec![0; 64 << 10], 0);
    while bytes.starts_with(&[0x1f, 0x8b]) {
        match decoder.read(&mut block) {
            Ok(read @ 1..) => len += read,
            _ => break,
        }
    }
    len
}

/// The files of a reader, by name.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fuzz/corpus")
        .join(name);
    let entries = std::fs::read_dir(&folder).expect("a folder of the corpus");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a name in UTF-8");
            (name, std::fs::read(entry.path()).expect("a file"))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{name}");
    let _ = std::io::stdout().flush();
    files
}
