//! A guard that names what was left behind, and by whom.
//!
//! `cargo run --example leak_check`

use heapsite::leak::{LeakCheck, assert_allocs, assert_no_leaks};

#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();

fn keep_forever(text: &str) {
    std::mem::forget(text.to_owned());
}

fn main() {
    assert_no_leaks! {
        let worker = std::thread::spawn(|| vec![1, 2, 3].len());
        assert_eq!(worker.join().unwrap(), 3);
    }
    let words = assert_allocs!(count <= 1, bytes <= 64, { vec![0u8; 64] });
    drop(words);

    let check = LeakCheck::start();
    keep_forever("a session");
    keep_forever("another one");
    println!("{}", check.find().unwrap_err());
}
