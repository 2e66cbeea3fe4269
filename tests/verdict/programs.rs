//! The programs. What each does wrong is in its name.

use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::time::Duration;

/// The environment variable that names the program.
pub(crate) const NAME: &str = "HEAPSITE_TEST_PROGRAM";
/// What it says, before its address.
pub(crate) const READY: &str = "ready ";
/// Rounds before it is ready.
const ROUNDS: usize = 400;
const PAUSE: Duration = Duration::from_millis(5);

/// Does nothing unless it is started as a program.
#[test]
fn serve() {
    let Ok(name) = std::env::var(NAME) else {
        return;
    };
    let server = heapsite::http::Options::new()
        .history(Duration::from_millis(100))
        .serve("127.0.0.1:0")
        .unwrap();
    let start: Vec<Vec<u8>> = (0..8 << 10).map(|_| vec![1; 1000]).collect();
    let mut round: Box<dyn FnMut(usize)> = match name.as_str() {
        "leak" => {
            let mut sessions = HashMap::new();
            Box::new(move |n| remember(&mut sessions, n))
        }
        "flat" => Box::new(|_| ()),
        "kept" => {
            // The last one lies above all others, so that they are not given back by themselves.
            let mut peak: Vec<Vec<u8>> = (0..80 << 10).map(|_| vec![1; 1000]).collect();
            peak.drain(..(80 << 10) - 1);
            Box::new(move |_| _ = black_box(&peak))
        }
        "fragments" => {
            let mut peak: Vec<Vec<u8>> = (0..80 << 10).map(|_| vec![1; 1000]).collect();
            let mut at = 0;
            peak.retain(|_| {
                at += 1;
                at % 2 == 0
            });
            Box::new(move |_| _ = black_box(&peak))
        }
        "counts" => {
            let mut files = Vec::new();
            Box::new(move |n| {
                if n % 8 == 0 {
                    files.push(File::open("/dev/null").unwrap());
                    std::thread::spawn(|| std::thread::sleep(Duration::from_secs(600)));
                }
            })
        }
        other => panic!("no program is called {other}"),
    };
    // By itself if whoever started it was killed.
    for n in 0..40 * ROUNDS {
        if n == ROUNDS {
            println!("\n{READY}{}", server.url());
        }
        round(n);
        churn();
        std::thread::sleep(PAUSE);
    }
    drop(start);
}

#[inline(never)]
fn remember(sessions: &mut HashMap<String, Vec<u64>>, n: usize) {
    for m in 0..20 {
        sessions.insert(format!("session {n}.{m}"), vec![0; 64]); // leaks here
    }
}

#[inline(never)]
fn churn() {
    let texts: Vec<String> = (0..200).map(|n| format!("{n:0200}")).collect();
    black_box(&texts);
}

/// The line with this remark.
pub(crate) fn line(remark: &str) -> usize {
    let source = include_str!("programs.rs");
    let is_it = |line: &str| line.ends_with(&format!("// {remark}"));
    1 + source.lines().position(is_it).unwrap()
}
