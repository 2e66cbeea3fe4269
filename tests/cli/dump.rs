//! `heapsite dump`, against processes that dump, that would die, and that are gone.

use super::Scene;
use std::process::{Child, Command, Stdio};

/// Killed when dropped.
struct Process(Child);

impl Process {
    /// A shell that says a line when it is ready.
    fn shell(scene: &Scene, script: &str) -> Process {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .current_dir(scene.dir.path())
            .env("HEAPSITE", "dir=dumps,later=1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        assert_eq!(line, "ready\n");
        Process(child)
    }

    fn id(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_path_of_the_new_file_is_printed() {
    let scene = Scene::new();
    std::fs::create_dir(scene.dir.path().join("dumps")).unwrap();
    let script = "echo old > dumps/heapsite.$$.1.json
        trap 'echo new > dumps/heapsite.$$.2.json' USR2
        echo ready; while :; do sleep 0.02; done";
    let process = Process::shell(&scene, script);
    let dumped = scene.run(&["dump", &process.id(), "--timeout", "60s"]).ok();
    let expected = scene
        .dir
        .path()
        .canonicalize()
        .unwrap()
        .join(format!("dumps/heapsite.{}.2.json", process.id()));
    assert_eq!(dumped.trim_end(), expected.to_str().unwrap());
}

#[test]
fn a_process_without_handler_is_left_alive() {
    let scene = Scene::new();
    let mut process = Process::shell(&scene, "echo ready; while :; do sleep 0.02; done");
    for signal in ["SIGUSR2", "hup", "SIGRTMIN+1"] {
        let error = scene
            .run(&["dump", &process.id(), "--signal", signal])
            .refused();
        assert!(
            error.contains("has no handler for it and would die of it"),
            "{error}"
        );
    }
    let usage = scene.run(&["dump", &process.id(), "--signal", "SIGKILL"]);
    assert!(
        usage.code == Some(2) && usage.stderr.contains("accepted are SIGUSR1"),
        "{}",
        usage.stderr
    );
    assert!(
        process.0.try_wait().unwrap().is_none(),
        "it must not have been killed"
    );
}

#[test]
fn waiting_ends() {
    let scene = Scene::new();
    let process = Process::shell(
        &scene,
        "trap : USR1; echo ready; while :; do sleep 0.02; done",
    );
    let id = process.id();
    let error = scene.run(&["dump", &id, "--signal", "usr1"]).refused();
    assert!(
        error.contains("cannot look into") && error.contains("dumps; --dir names another"),
        "{error}"
    );
    let error = scene
        .run(&[
            "dump",
            &id,
            "--signal",
            "usr1",
            "--dir",
            ".",
            "--timeout",
            "50ms",
        ])
        .refused();
    assert!(
        error.contains(&format!(
            "no new heapsite.{id}.*.pb.gz or .json in . after 50ms"
        )),
        "{error}"
    );
}

#[test]
fn nobody_is_no_process() {
    let scene = Scene::new();
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let error = scene.run(&["dump", &child.id().to_string()]).refused();
    assert!(
        error.contains(&format!("there is no process {}", child.id())),
        "{error}"
    );
}
