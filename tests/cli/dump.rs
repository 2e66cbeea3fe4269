//! `heapsite dump`, against processes that dump, that must be left alone, and that are gone.

use super::Scene;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set: this test binary is the service.
const SERVICE: &str = "HEAPSITE_TEST_SERVICE";

/// A service with heapsite in it, as its own process: `Process::service` starts this very test again.
#[test]
fn service() {
    if std::env::var_os(SERVICE).is_none() {
        return;
    }
    let _heapsite = heapsite::init().unwrap();
    std::fs::write("ready", "").unwrap();
    // Ended by whoever started it; by itself if that one was killed.
    std::thread::sleep(Duration::from_secs(120));
}

/// Killed when dropped.
struct Process(Child);

impl Process {
    /// A shell that makes the file `ready`.
    fn shell(scene: &Scene, program: &str, script: &str) -> Process {
        let mut command = Command::new(program);
        Process::start(scene, command.args(["-c", script]))
    }

    /// This test binary with heapsite in it, started with `signal` blocked (0: none), which threads inherit.
    fn service(scene: &Scene, settings: &str, signal: libc::c_int) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "dump::service"])
            .env(SERVICE, "1")
            .env("HEAPSITE", settings);
        let block = move || {
            // SAFETY: a local set; both calls are async-signal-safe.
            unsafe {
                let mut set: libc::sigset_t = std::mem::zeroed();
                if signal != 0 {
                    libc::sigaddset(&mut set, signal);
                }
                libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
            }
            Ok(())
        };
        // SAFETY: `block` only makes async-signal-safe calls.
        unsafe { command.pre_exec(block) };
        Process::start(scene, &mut command)
    }

    fn start(scene: &Scene, command: &mut Command) -> Process {
        command.current_dir(scene.dir.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = Process(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        while !scene.dir.path().join("ready").exists() {
            assert!(process.is_alive(), "it ended early");
            assert!(Instant::now() < deadline, "it is never ready");
            std::thread::sleep(Duration::from_millis(5));
        }
        process
    }

    fn id(&self) -> String {
        self.0.id().to_string()
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn dumps(scene: &Scene) -> PathBuf {
    let dir = scene.dir.path().join("dumps");
    std::fs::create_dir(&dir).unwrap();
    dir.canonicalize().unwrap()
}

#[test]
fn the_path_of_the_new_file_is_printed() {
    let scene = Scene::new();
    let dir = dumps(&scene);
    let process = Process::service(&scene, "dir=dumps,signal=SIGUSR1,format=json", 0);
    for seq in [1, 2] {
        let dumped = scene.run(&["dump", &process.id(), "--timeout", "60s"]).ok();
        let expected = dir.join(format!("heapsite.{}.{seq}.json", process.id()));
        assert_eq!(dumped.trim_end(), expected.to_str().unwrap());
        scene.run(&["info", dumped.trim_end()]).ok();
    }
}

#[test]
fn a_process_without_heapsite_is_left_alone() {
    let scene = Scene::new();
    let script = "trap 'echo got it > got' USR1 USR2; : > ready; while :; do sleep 0.02; done";
    // The name of a program proves nothing; its helper thread does.
    let named_so = scene.dir.path().join("heapsite");
    std::fs::copy("/bin/sh", &named_so).unwrap();
    for program in ["sh", named_so.to_str().unwrap()] {
        let mut process = Process::shell(&scene, program, script);
        for signal in ["SIGUSR2", "usr1", "hup", "SIGRTMIN+1"] {
            let args = ["dump", &process.id(), "--signal", signal, "--dir", "."];
            let error = scene.run(&args).refused();
            assert!(
                error.contains("no thread of process") && error.contains("is called `heapsite`"),
                "{error}"
            );
        }
        // Long enough for the trap to run, had it been sent.
        std::thread::sleep(Duration::from_millis(100));
        assert!(process.is_alive() && !scene.dir.path().join("got").exists());
        std::fs::remove_file(scene.dir.path().join("ready")).unwrap();
    }
}

#[test]
fn a_signal_that_would_kill_or_not_arrive_is_not_sent() {
    let scene = Scene::new();
    dumps(&scene);
    let mut process = Process::service(&scene, "dir=dumps,signal=SIGUSR1", libc::SIGUSR1);
    for (signal, expected) in [
        ("SIGUSR1", "blocks it in every thread"),
        ("SIGUSR2", "has no handler for it and would die of it"),
    ] {
        let error = scene
            .run(&["dump", &process.id(), "--signal", signal])
            .refused();
        assert!(error.contains(expected), "{error}");
    }
    let usage = scene.run(&["dump", &process.id(), "--signal", "SIGKILL"]);
    assert!(
        usage.code == Some(2) && usage.stderr.contains("accepted are SIGUSR1"),
        "{}",
        usage.stderr
    );
    assert!(process.is_alive(), "it must not have been killed");
}

#[test]
fn waiting_ends() {
    let scene = Scene::new();
    dumps(&scene);
    let process = Process::service(&scene, "dir=dumps,signal=SIGUSR1", 0);
    let id = process.id();
    let error = scene.run(&["dump", &id, "--dir", "nowhere"]).refused();
    assert!(
        error.contains("cannot look into nowhere; --dir names another"),
        "{error}"
    );
    let error = scene
        .run(&["dump", &id, "--dir", ".", "--timeout", "50ms"])
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
