//! Programs of their own: this one again, with one test to run. What the process as a whole has (descriptors, its exit)
//! cannot be judged beside neighbours.

use std::fs::File;
use std::hint::black_box;
use std::net::{TcpListener, TcpStream};
use std::os::fd::IntoRawFd;
use std::process::{Command, Output};
use std::sync::OnceLock;

use heapsite::leak::{LeakCheck, Options, assert_no_leaks, verify_at_exit};

use crate::hasty;

/// Set: this process is one of those, and does what it says.
const PROGRAM: &str = "HEAPSITE_TEST_PROGRAM";

/// Whether this process is the program of that name.
pub(crate) fn is(name: &str) -> bool {
    std::env::var(PROGRAM).is_ok_and(|program| program == name)
}

/// Runs a test's work in a process of its own, where no other test's memory is: a queue of theirs may hold the old address
/// of a task that has long gone, and whatever lies there now passes for held. `test`: the whole path of the caller.
pub(crate) fn alone(test: &str, work: impl FnOnce()) {
    if is(test) {
        return work();
    }
    let output = run_test(test, test);
    let said = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
    // Or it ran none of this name.
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

/// Runs the test of this name alone, told to be a program.
fn run(name: &str) -> Output {
    run_test(&format!("alone::{name}"), name)
}

pub(crate) fn run_test(test: &str, program: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(PROGRAM, program)
        .env("HEAPSITE_LEAK_DIR", env!("CARGO_TARGET_TMPDIR"))
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn descriptors() {
    if !is("descriptors") {
        let output = run("descriptors");
        return assert!(output.status.success(), "{}", stderr(&output));
    }
    let path = std::env::current_exe().unwrap();
    let check = hasty().start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stream = TcpStream::connect(address).unwrap();
    let file = File::open(&path).unwrap();
    let report = check.find().unwrap_err();
    assert!(
        report
            .fds
            .iter()
            .map(|fd| &*fd.kind)
            .eq(["tcp socket", "tcp socket", "file"]),
        "{report}"
    );
    assert!(
        report.fds[1].target.ends_with(&format!("-> {address}")),
        "{report}"
    );
    assert_eq!(report.fds[2].target, path.display().to_string());
    assert!(
        report
            .to_string()
            .starts_with("3 leaks: 3 file descriptors"),
        "{report}"
    );
    drop((listener, stream, file));
    check.find().unwrap();
    assert_no_leaks! { drop(File::open(&path).unwrap()) }
}

/// Where another thread runs, a new descriptor may be its: told, and not judged, unless asked to.
#[test]
fn descriptors_beside_others() {
    if !is("descriptors_beside_others") {
        let output = run("descriptors_beside_others");
        return assert!(output.status.success(), "{}", stderr(&output));
    }
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || wait.recv());
    let check = hasty().start();
    let strict = hasty().fds(true).start();
    let number = File::open("/").unwrap().into_raw_fd();
    check.find().unwrap();
    assert_eq!(strict.find().unwrap_err().fds[0].fd, number);
    std::mem::forget(black_box(vec![1u8; 10]));
    let report = check.find().unwrap_err();
    let is_told = |note: &String| note.contains("could not be judged");
    assert!(report.notes.iter().any(is_told), "{report}");
    drop(stop);
    let _ = other.join();
}

/// The first runtime of a process leaves Tokio's sockets for signals, which are no leak.
#[test]
fn first_runtime() {
    if !is("first_runtime") {
        let output = run("first_runtime");
        return assert!(output.status.success(), "{}", stderr(&output));
    }
    assert_no_leaks! {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { tokio::spawn(async {}).await.unwrap() });
    }
}

static KEPT: OnceLock<Vec<Vec<u64>>> = OnceLock::new();

/// What a clean program has at its exit.
fn harmless() {
    KEPT.get_or_init(|| (0..100).map(|n| vec![n]).collect());
    std::thread::spawn(|| drop(black_box(vec![1u8; 100])))
        .join()
        .unwrap();
    println!("some output");
}

#[test]
fn clean_at_exit() {
    if !is("clean_at_exit") {
        let output = run("clean_at_exit");
        assert!(output.status.success(), "{}", stderr(&output));
        return assert_eq!(stderr(&output), "");
    }
    verify_at_exit();
    verify_at_exit();
    harmless();
}

#[test]
fn leaky_at_exit() {
    if !is("leaky_at_exit") {
        let output = run("leaky_at_exit");
        assert_eq!(output.status.code(), Some(101), "{}", stderr(&output));
        let text = stderr(&output);
        assert!(
            text.starts_with("heapsite: at exit: 1 leak: 1 object, 7,777 bytes"),
            "{text}"
        );
        assert!(text.contains("leak::alone::leaky_at_exit"), "{text}");
        return assert!(text.contains("heapsite diff "), "{text}");
    }
    verify_at_exit();
    harmless();
    std::mem::forget(black_box(vec![1u8; 7777]));
}

#[test]
fn thread_at_exit() {
    if !is("thread_at_exit") {
        let output = run("thread_at_exit");
        assert_eq!(output.status.code(), Some(101), "{}", stderr(&output));
        let text = stderr(&output);
        assert!(text.contains("thread `forgotten`"), "{text}");
        return assert!(
            text.contains("started at leak::alone::thread_at_exit"),
            "{text}"
        );
    }
    Options::new()
        .patience(std::time::Duration::ZERO)
        .verify_at_exit();
    let (begun, wait) = std::sync::mpsc::channel();
    std::thread::Builder::new()
        .name("forgotten".to_owned())
        .spawn(move || {
            begun.send(()).unwrap();
            loop {
                std::thread::park();
            }
        })
        .unwrap();
    wait.recv().unwrap();
}

/// A forked child goes on within the scope it was born in, and its checks work.
#[test]
fn forked() {
    if !is("forked") {
        let output = run("forked");
        return assert!(output.status.success(), "{}", stderr(&output));
    }
    let check = LeakCheck::start();
    // SAFETY: the child allocates, looks and exits.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let is_clean = check.find().is_ok();
        let inner = hasty().start();
        std::mem::forget(black_box(vec![1u8; 50]));
        let is_found = inner
            .find()
            .is_err_and(|report| report.heap_total() == (1, 50));
        let code = match (is_clean, is_found) {
            (true, true) => 0,
            (false, _) => 2,
            (_, false) => 3,
        };
        // SAFETY: ends the child without the parent's handlers.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: our child, and a place for its status.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    check.assert();
}

/// A program that a guarded test starts has the test's timer slack, and takes nobody's scope for its own.
#[test]
fn started_within_a_check() {
    if !is("started_within_a_check") {
        let check = LeakCheck::start();
        let output = run("started_within_a_check");
        assert!(output.status.success(), "{}", stderr(&output));
        drop(output);
        return check.assert();
    }
    // The main thread, which starts this one's neighbours, has the slack of the parent's test.
    let check = hasty().start();
    std::thread::spawn(|| std::mem::forget(black_box(vec![1u8; 60])))
        .join()
        .unwrap();
    assert_eq!(check.find().unwrap_err().heap_total(), (1, 60));
}
