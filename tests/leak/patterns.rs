//! What pages of `guide::patterns` advise to keep a leak out, and what would look like such a guard and is none. That a
//! task without an end is found is tested in `runtime.rs`.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use heapsite::leak::{Options, assert_allocs, assert_no_leaks};
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

/// A line of 100 KiB, as it comes from a socket.
fn read_line() -> Bytes {
    black_box(vec![b'x'; 100 << 10]).into()
}

fn copied(line: &Bytes) -> Bytes {
    Bytes::copy_from_slice(&line[..32])
}

fn sliced(line: &Bytes) -> Bytes {
    line.slice(..32)
}

#[test]
fn a_copy_of_a_line_keeps_little() {
    assert_allocs!(live_bytes <= 256, { copied(&read_line()) });
}

#[test]
#[should_panic = "live_bytes is 102"]
fn a_view_of_a_line_keeps_it() {
    assert_allocs!(live_bytes <= 256, { sliced(&read_line()) });
}

/// The page says that the line has to be read within the budget. This is why.
#[test]
fn a_line_older_than_the_budget_is_not_counted() {
    let line = read_line();
    assert_allocs!(live_bytes <= 256, { sliced(&line) });
}

/// Starts what refreshes a page while it is shown.
fn ticker() -> JoinHandle<()> {
    tokio::spawn(async {
        let mut ticks = tokio::time::interval(Duration::from_secs(3600));
        loop {
            ticks.tick().await;
        }
    })
}

#[tokio::test]
async fn a_ticker_tied_to_its_request_is_gone_with_it() {
    assert_no_leaks!(async {
        let _ticker = AbortOnDropHandle::new(ticker());
        tokio::task::yield_now().await;
    });
}

/// A runtime that ends within the check drops its tasks, and their memory with them. So the page advises to check
/// within the runtime.
#[test]
fn a_runtime_takes_its_tasks_along() {
    let check = Options::new().save(false).start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        drop(ticker());
        tokio::task::yield_now().await;
    });
    drop(runtime);
    check.assert();
}
