//! `-o FILE`: whatever stands there already.

use super::Scene;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Stdio;

fn convert(scene: &Scene, output: &str) {
    scene
        .run(&["convert", "new.json", "-o", output, "--to", "json"])
        .ok();
}

fn path(scene: &Scene, name: &str) -> PathBuf {
    scene.dir.path().join(name)
}

fn mode(scene: &Scene, name: &str) -> u32 {
    fs::metadata(path(scene, name))
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}

fn is_whole(scene: &Scene, name: &str) -> bool {
    fs::read(path(scene, name)).unwrap() == fs::read(path(scene, "new.json")).unwrap()
}

#[test]
fn a_new_file_is_private_and_an_old_one_keeps_its_mode() {
    let scene = Scene::new();
    convert(&scene, "out");
    assert_eq!(mode(&scene, "out"), 0o600);
    let before = fs::metadata(path(&scene, "out")).unwrap().ino();
    fs::set_permissions(path(&scene, "out"), fs::Permissions::from_mode(0o644)).unwrap();
    convert(&scene, "out");
    assert_eq!(mode(&scene, "out"), 0o644);
    assert_ne!(
        fs::metadata(path(&scene, "out")).unwrap().ino(),
        before,
        "replaced as a whole"
    );
    // The longest name there may be.
    let long = "x".repeat(250) + ".json";
    convert(&scene, &long);
    assert!(is_whole(&scene, &long));
}

#[test]
fn links_stay_and_what_they_point_to_is_written() {
    let scene = Scene::new();
    fs::create_dir(path(&scene, "there")).unwrap();
    fs::write(path(&scene, "there/old"), "old").unwrap();
    symlink("there/old", path(&scene, "second")).unwrap();
    symlink("second", path(&scene, "first")).unwrap();
    symlink("there/new", path(&scene, "dangling")).unwrap();
    for (link, target) in [("first", "there/old"), ("dangling", "there/new")] {
        convert(&scene, link);
        assert!(
            fs::symlink_metadata(path(&scene, link))
                .unwrap()
                .is_symlink()
        );
        assert!(is_whole(&scene, target));
    }
    symlink("loop", path(&scene, "loop")).unwrap();
    let error = scene
        .run(&["convert", "new.json", "-o", "loop", "--to", "json"])
        .refused();
    assert!(
        error.contains("cannot write loop: too many links"),
        "{error}"
    );
}

#[test]
fn what_is_no_file_is_written_directly() {
    let scene = Scene::new();
    let fifo = path(&scene, "fifo");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::read(fifo).unwrap()
    });
    convert(&scene, "fifo");
    assert!(reader.join().unwrap() == fs::read(path(&scene, "new.json")).unwrap());
    assert!(!fs::metadata(&fifo).unwrap().is_file());
    convert(&scene, "/dev/null");
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    // `>> log`, where opening the file anew would start at its beginning.
    fs::write(path(&scene, "log"), "before ").unwrap();
    let log = fs::OpenOptions::new()
        .append(true)
        .open(path(&scene, "log"))
        .unwrap();
    let mut command = scene.command(&["convert", "new.json", "-o", "/dev/stdout", "--to", "json"]);
    assert!(
        command
            .stdout(log)
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
    let written = fs::read(path(&scene, "log")).unwrap();
    assert!(
        written.strip_prefix(b"before ").unwrap() == fs::read(path(&scene, "new.json")).unwrap()
    );
}
