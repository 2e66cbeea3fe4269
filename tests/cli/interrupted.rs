//! Ctrl-C while a file is written: no half of it, neither under its name nor under another.

use super::Scene;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The names in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A profile whose samples take a while to write.
fn large(scene: &Scene) {
    let mut profile =
        heapsite::format::read(&fs::read(scene.dir.path().join("new.json")).unwrap()).unwrap();
    let samples = profile.samples.clone();
    for _ in 0..10_000 / samples.len() {
        profile.samples.extend(samples.iter().cloned());
    }
    let mut bytes = Vec::new();
    heapsite::format::json::write(&profile, &mut bytes).unwrap();
    fs::write(scene.dir.path().join("large.json"), bytes).unwrap();
}

/// Sends the signal once the temporary file is there; `false`: the command was done first.
fn interrupt(scene: &Scene, args: &[&str], signal: &str) -> bool {
    let folder = scene.dir.path().join("out");
    let mut child = scene
        .command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    loop {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if names(&folder).iter().any(|name| name.ends_with(".tmp")) {
            break;
        }
        std::thread::yield_now();
    }
    let id = child.id().to_string();
    Command::new("kill").args([signal, &id]).status().unwrap();
    let status = child.wait().unwrap();
    let number = match signal {
        "-INT" => 2,
        "-TERM" => 15,
        _ => 1,
    };
    status.signal() == Some(number)
}

#[test]
fn a_signal_leaves_the_old_file_and_nothing_else() {
    let scene = Scene::new();
    large(&scene);
    let folder = scene.dir.path().join("out");
    fs::create_dir(&folder).unwrap();
    for (signal, args) in [
        ("-INT", &["convert", "large.json", "-o", "out/to.json"][..]),
        ("-TERM", &["convert", "large.json", "-o", "out/to.pb.gz"]),
        ("-HUP", &["convert", "large.json", "-o", "out/to.folded"]),
        (
            "-INT",
            &["merge", "large.json", "large.json", "-o", "out/to.json"],
        ),
    ] {
        let name = args.last().unwrap().strip_prefix("out/").unwrap();
        scene.run(args).ok();
        let whole = fs::read(folder.join(name)).unwrap();
        // Writing takes long beside looking for the file; still, the machine may be busy elsewhere. Each round must end
        // with the old file or the whole new one, and one of them in the middle.
        let caught = (0..50).any(|_| {
            fs::write(folder.join(name), "old").unwrap();
            let caught = interrupt(&scene, args, signal);
            assert_eq!(names(&folder), [name], "{signal} {args:?}");
            let there = fs::read(folder.join(name)).unwrap();
            let is_old = there == b"old";
            assert!(
                is_old || there == whole,
                "{signal} {args:?}: neither old nor new"
            );
            caught && is_old
        });
        assert!(caught, "{signal} {args:?}: never in the middle");
        fs::remove_file(folder.join(name)).unwrap();
    }
}

/// What was started to ignore Ctrl-C, as background jobs of scripts are, goes on.
#[test]
fn an_ignored_signal_stays_ignored() {
    let scene = Scene::new();
    large(&scene);
    fs::create_dir(scene.dir.path().join("out")).unwrap();
    let mut shell = Command::new("bash")
        .arg("-c")
        .arg("trap '' INT; exec \"$0\" convert large.json -o out/to.json")
        .arg(env!("CARGO_BIN_EXE_heapsite"))
        .current_dir(scene.dir.path())
        .spawn()
        .unwrap();
    let folder = scene.dir.path().join("out");
    while names(&folder).is_empty() {
        assert!(
            shell
                .try_wait()
                .unwrap()
                .is_none_or(|status| status.success())
        );
    }
    let id = shell.id().to_string();
    Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(shell.wait().unwrap().success());
    assert_eq!(names(&folder), ["to.json"]);
}
