//! Names from files: both manglings, line tables alone, another build, stripped with and without separate debug
//! files, and damaged ones. Compiles a small library for it; needs `rustc` and binutils.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use heapsite::Profile;
use heapsite::profile::addresses::Builder;
use heapsite::symbolize::{self, Options, Problem, mappings};

/// A small library with generics, inlining and a trait, so that hundreds of damaged copies are cheap.
const SOURCE: &str = "
#![no_std]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
pub trait Shape { fn area(&self) -> u64; }
pub struct Square<T>(pub T);
impl Shape for Square<u64> { #[inline(never)] fn area(&self) -> u64 { step(self.0) } }
#[inline(always)]
fn step(n: u64) -> u64 { core::hint::black_box(n) + 1 }
#[inline(never)]
pub fn generic<T: Into<u64>>(value: T) -> u64 { step(value.into()) }
#[unsafe(no_mangle)]
pub extern \"C\" fn entry(n: u32) -> u64 { generic(n) + Square(9u64).area() }
";

/// Compiles it, with a build id.
fn library(directory: &Path, flags: &[&str]) -> PathBuf {
    let (source, library) = (directory.join("shapes.rs"), directory.join("libshapes.so"));
    fs::write(&source, SOURCE).unwrap();
    run(Command::new("rustc")
        .args([
            "--edition=2024",
            "--crate-type=cdylib",
            "-Cpanic=abort",
            "-Copt-level=1",
        ])
        .args(["-Clink-arg=-nostartfiles", "-Clink-arg=-Wl,--build-id"])
        .args(flags)
        .arg("-o")
        .args([&library, &source]));
    library
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A profile with addresses all over the library's code, as if it had been mapped at its own addresses.
fn profile_of_library(library: &Path, build_id: &str) -> Profile {
    use object::{Object, ObjectSection};
    let bytes = fs::read(library).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let text = file.section_by_name(".text").unwrap();
    let mut mapping = mappings::current().swap_remove(0);
    (mapping.start, mapping.limit, mapping.offset) = (0, u64::MAX, 0);
    mapping.file = library.to_str().unwrap().to_owned();
    mapping.build_id = build_id.to_owned();
    let mut builder = Builder::new(Vec::new(), vec![mapping]);
    let addresses: Vec<u64> = (text.address()..text.address() + text.size())
        .step_by(3)
        .collect();
    builder.sample(&addresses, Vec::new(), Vec::new(), None);
    builder.finish()
}

fn build_id(library: &Path) -> String {
    use object::Object;
    let bytes = fs::read(library).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    file.build_id()
        .unwrap()
        .unwrap()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn names_in(profile: &Profile) -> Vec<&str> {
    profile
        .functions
        .iter()
        .map(|function| function.name.as_str())
        .collect()
}

#[test]
fn both_manglings_and_both_kinds_of_debug_information() {
    for (mangling, debug, generic, square) in [
        (
            "legacy",
            "2",
            "shapes::generic",
            "<shapes::Square<u64> as shapes::Shape>::area",
        ),
        (
            "legacy",
            "line-tables-only",
            "shapes::generic",
            "<shapes::Square<u64> as shapes::Shape>::area",
        ),
        (
            "v0",
            "2",
            "shapes::generic::<u32>",
            "<shapes::Square<u64> as shapes::Shape>::area",
        ),
        (
            "v0",
            "line-tables-only",
            "shapes::generic::<u32>",
            "<shapes::Square<u64> as shapes::Shape>::area",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let library = library(
            directory.path(),
            // The toolchain's default is legacy, and only v0 can be asked for.
            &[
                &format!("-Cdebuginfo={debug}"),
                "-Csymbol-mangling-version=v0",
            ][..if mangling == "v0" { 2 } else { 1 }],
        );
        let mut profile = profile_of_library(&library, &build_id(&library));
        symbolize::offline(&mut profile, &Options::offline()).unwrap();
        let names = names_in(&profile);
        // Line tables have only the last part of the names of inlined functions; what the file tells is added.
        let [step, black_box] = match debug {
            "2" => ["shapes::step", "core::hint::black_box"],
            _ => ["step", "core::hint::black_box<u64>"],
        };
        let black_box = if (mangling, debug) == ("v0", "2") {
            "core::hint::black_box::<u64>"
        } else {
            black_box
        };
        for name in [generic, square, "entry", step, black_box] {
            assert!(
                names.contains(&name),
                "{mangling} {debug}: no {name} in {names:?}"
            );
        }
        let mut lines = profile
            .locations
            .iter()
            .flat_map(|l| &l.lines[..l.lines.len() - 1]);
        let inlined = |line: &&heapsite::profile::Line| names[line.function.0 as usize] == step;
        assert_eq!(lines.find(inlined).expect("step is inlined").line, 9);
        let entry = profile
            .functions
            .iter()
            .find(|f| f.name == "entry")
            .unwrap();
        assert_eq!(entry.system_name, "");
        assert!(entry.filename.ends_with("/shapes.rs"), "{}", entry.filename);
    }
}

#[test]
fn another_build_is_an_error_that_names_both() {
    let directory = tempfile::tempdir().unwrap();
    let library = library(directory.path(), &["-g"]);
    let found = build_id(&library);
    let addresses = profile_of_library(&library, "00c0ffee");

    let mut profile = addresses.clone();
    let error = symbolize::offline(&mut profile, &Options::offline()).unwrap_err();
    assert!(error.is_input());
    let text = error.to_string();
    for part in [found.as_str(), "00c0ffee", library.to_str().unwrap()] {
        assert!(text.contains(part), "no {part} in: {text}");
    }
    assert_eq!(profile, addresses, "addresses stay addresses");

    let named = symbolize::offline(&mut profile, &Options::offline().binary(&library)).unwrap_err();
    assert_eq!(named.to_string(), text);

    let report = symbolize::symbolize(&mut profile, &Options::in_process());
    assert_eq!(
        report.files[0].problem,
        Some(Problem::BuildIdMismatch {
            path: library.clone(),
            found
        })
    );
    assert_eq!(profile, addresses);

    fs::remove_file(&library).unwrap();
    let error = symbolize::offline(&mut profile, &Options::offline())
        .unwrap_err()
        .to_string();
    assert!(error.contains("file not found"), "{error}");

    // Without an id to compare, the path is enough.
    let library = self::library(directory.path(), &["-g"]);
    let mut profile = profile_of_library(&library, "");
    let report = symbolize::offline(&mut profile, &Options::offline()).unwrap();
    assert!(names_in(&profile).contains(&"entry"));
    assert!(
        report.advice()[0].contains("no build id of libshapes.so"),
        "{:?}",
        report.advice()
    );
}

/// What can be named is, and what is of another build stays as it was and is told.
#[test]
fn another_build_keeps_its_addresses_beside_files_that_fit() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (directory.path().join("a"), directory.path().join("b"));
    fs::create_dir(&first).unwrap();
    fs::create_dir(&second).unwrap();
    let (old, fitting) = (library(&first, &["-g"]), library(&second, &["-g"]));
    let mut profile = profile_of_library(&old, "00c0ffee");
    profile.mappings[0].start = 1 << 40;
    for location in &mut profile.locations {
        location.address += 1 << 40;
    }
    let names_nothing = profile.locations.clone();
    let other = profile_of_library(&fitting, &build_id(&fitting));
    profile.mappings.push(other.mappings[0].clone());
    for mut location in other.locations {
        location.mapping = Some(heapsite::profile::MappingId(1));
        profile.locations.push(location);
    }
    let report = symbolize::offline(&mut profile, &Options::offline()).unwrap();
    assert_eq!(profile.locations[..names_nothing.len()], names_nothing);
    assert_eq!(report.files[0].named, 0);
    assert!(report.files[1].named > 0, "{report}");
    let advice = report.advice();
    assert_eq!(advice.len(), 1, "{advice:?}");
    for part in [
        "another build",
        "00c0ffee",
        &build_id(&old),
        "0x10000000000",
        "DIR/00c0ffee/libshapes.so",
    ] {
        assert!(advice[0].contains(part), "no {part} in {advice:?}");
    }
}

#[test]
fn stripped_and_separate_debug_files() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path();
    let library = library(dir, &["-g"]);
    let id = build_id(&library);
    let addresses = profile_of_library(&library, &id);
    let mut whole = addresses.clone();
    symbolize::offline(&mut whole, &Options::offline()).unwrap();

    let kept = dir.join("kept.debug");
    run(Command::new("objcopy")
        .arg("--only-keep-debug")
        .args([&library, &kept]));
    run(Command::new("strip").arg("--strip-all").arg(&library));
    // Exported symbols are left: `entry` has its name, the rest the file's.
    let mut stripped = addresses.clone();
    let report = symbolize::offline(&mut stripped, &Options::offline()).unwrap();
    assert!(report.named > 0 && report.with_lines == 0, "{report}");
    let advice = report.advice().join("");
    let place = format!(".build-id/{}/{}.debug", &id[..2], &id[2..]);
    for part in [
        "libshapes.so is stripped",
        "line-tables-only",
        "objcopy --only-keep-debug",
        &place,
    ] {
        assert!(advice.contains(part), "no {part} in {advice}");
    }
    assert!(
        stripped
            .locations
            .iter()
            .all(|location| location.lines.len() == 1)
    );
    let names = names_in(&stripped);
    assert!(
        names.contains(&"entry") && names.iter().any(|n| n.starts_with("libshapes.so+0x")),
        "{names:?}"
    );
    assert!(stripped.mappings[0].has_functions && !stripped.mappings[0].has_line_numbers);

    // By build id, as installed by distributions.
    let by_id = dir.join("debug/.build-id").join(&id[..2]);
    fs::create_dir_all(&by_id).unwrap();
    let by_id = by_id.join(format!("{}.debug", &id[2..]));
    fs::copy(&kept, &by_id).unwrap();
    let mut separate = addresses.clone();
    let options = Options::offline().directory(dir.join("debug"));
    symbolize::offline(&mut separate, &options).unwrap();
    assert_eq!(frames_of(&separate), frames_of(&whole));
    let nothing_left = symbolize::offline(&mut addresses.clone(), &options).unwrap();
    assert!(
        nothing_left.advice().is_empty(),
        "{:?}",
        nothing_left.advice()
    );
    // The stopgaps of the stripped file are replaced.
    symbolize::offline(&mut stripped, &options).unwrap();
    let of_entry = |frames: &[(String, String, i64)]| frames.last().is_some_and(|f| f.0 == "entry");
    for (address, frames) in frames_of(&whole)
        .into_iter()
        .filter(|(_, frames)| !of_entry(frames))
    {
        assert_eq!(frames_of(&stripped)[&address], frames);
    }

    // The debug file alone, the program being gone.
    let gone = dir.join("gone");
    fs::rename(&library, &gone).unwrap();
    let mut alone = addresses.clone();
    symbolize::offline(&mut alone, &options).unwrap();
    assert_eq!(frames_of(&alone), frames_of(&whole));

    // By the link in the stripped file.
    fs::rename(&gone, &library).unwrap();
    fs::remove_file(&by_id).unwrap();
    run(Command::new("objcopy")
        .arg(format!("--add-gnu-debuglink={}", kept.display()))
        .arg(&library));
    let mut linked = addresses;
    symbolize::offline(&mut linked, &Options::offline()).unwrap();
    assert_eq!(frames_of(&linked), frames_of(&whole));
}

/// 400 copies with bytes changed or cut off. What must hold: no panic, no hang, and an answer for each.
#[test]
fn damaged_files_never_panic() {
    let directory = tempfile::tempdir().unwrap();
    let library = library(directory.path(), &["-g"]);
    let addresses = profile_of_library(&library, "");
    let bytes = fs::read(&library).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let (mut failed, mut worked) = (0, 0);
    for round in 0..400 {
        let mut copy = bytes.clone();
        match round % 4 {
            0 => copy.truncate(random(bytes.len())),
            // The headers decide about everything else.
            1 => (0..4).for_each(|_| copy[random(64 + 56 * 8)] = random(256) as u8),
            _ => (0..200).for_each(|_| copy[random(bytes.len())] = random(256) as u8),
        }
        fs::write(&library, &copy).unwrap();
        let mut profile = addresses.clone();
        match symbolize::offline(&mut profile, &Options::offline()) {
            Ok(report) => {
                worked += 1;
                assert!(report.named <= report.addresses);
            }
            Err(error) => {
                failed += 1;
                assert!(error.to_string().contains("libshapes.so"), "{error}");
            }
        }
        let functions = profile.functions.len() as u32;
        assert!(
            profile
                .locations
                .iter()
                .flat_map(|l| &l.lines)
                .all(|line| line.function.0 < functions)
        );
    }
    assert!(
        failed > 50 && worked > 50,
        "{failed} failed, {worked} worked"
    );
}

/// `(name, file, line)` of the frames at each address, innermost first.
type Frames = BTreeMap<u64, Vec<(String, String, i64)>>;

fn frames_of(profile: &Profile) -> Frames {
    let frame = |line: &heapsite::profile::Line| {
        let function = &profile.functions[line.function.0 as usize];
        (function.name.clone(), function.filename.clone(), line.line)
    };
    profile
        .locations
        .iter()
        .map(|l| (l.address, l.lines.iter().map(frame).collect()))
        .collect()
}
