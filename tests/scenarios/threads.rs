//! Threads that free for each other, come and go, allocate while they die, or have hardly any stack.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::checks::{Numbers, assert_adds_up, assert_all_settled, start};
use crate::inner;

/// Allocated here, freed there, in both directions.
pub(crate) fn cross_thread_frees(interval: u64) {
    start(interval);
    let before = inner::granted();
    let workers: Vec<_> = (0..4)
        .map(|seed| {
            let (sender, receiver) = mpsc::channel::<Vec<u8>>();
            let (back_sender, back) = mpsc::channel::<Box<[u64]>>();
            let producer = thread::spawn(move || {
                let mut numbers = Numbers(seed);
                for _ in 0..3_000 {
                    sender.send(vec![1; numbers.size()]).unwrap();
                    drop(back.try_recv());
                }
                drop(sender);
                back.iter().for_each(drop);
            });
            let consumer = thread::spawn(move || {
                for block in receiver {
                    let _ = back_sender.send(vec![0u64; block.len() / 8 + 1].into_boxed_slice());
                    drop(block);
                }
            });
            [producer, consumer]
        })
        .collect();
    for worker in workers.into_iter().flatten() {
        worker.join().unwrap();
    }
    if interval == 1 {
        assert_adds_up(before, &[]);
    }
    assert!(
        heapsite::snapshot().facts.alloc.objects > 100,
        "something was sampled"
    );
    assert_all_settled();
}

/// 10,000 threads, every allocation of theirs recorded.
pub(crate) fn churn(interval: u64) {
    churn_of(interval, 10_000);
}

/// 1,000 of them, for the slower configurations.
pub(crate) fn churn_short(interval: u64) {
    churn_of(interval, 1_000);
}

fn churn_of(interval: u64, count: usize) {
    start(interval);
    let before = inner::granted();
    for _ in 0..count / 4 {
        let batch: [_; 4] = std::array::from_fn(|number| {
            thread::spawn(move || {
                let text = format!("thread {number}");
                black_box(vec![text.clone(), text])
            })
        });
        for thread in batch {
            assert_eq!(thread.join().unwrap().len(), 2);
        }
    }
    if interval == 1 {
        assert_adds_up(before, &[]);
        assert!(heapsite::snapshot().facts.alloc.objects > 4 * count as u64);
    }
    assert_all_settled();
}

static DESTROYED: AtomicU64 = AtomicU64::new(0);

/// Holds memory, and allocates and frees when its thread ends.
struct Last(Vec<u8>);

impl Drop for Last {
    fn drop(&mut self) {
        let copy = self.0.clone();
        drop(black_box(format!("{} bytes at the end", copy.len())));
        // A destructor that first uses another cell makes that cell's destructor run after it.
        LATER.with(|later| later.borrow_mut().push(black_box(copy.len().to_string())));
        DESTROYED.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local! {
    static LAST: RefCell<Last> = const { RefCell::new(Last(Vec::new())) };
    static LATER: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Destructors of thread-local values that allocate and free while their thread dies.
pub(crate) fn tls_destructors(interval: u64) {
    start(interval);
    let before = inner::granted();
    for _ in 0..250 {
        let batch: [_; 4] = std::array::from_fn(|number| {
            thread::spawn(move || {
                LAST.with(|last| last.borrow_mut().0 = vec![7; 100 + number * 10_000])
            })
        });
        for thread in batch {
            thread.join().unwrap();
        }
    }
    assert_eq!(DESTROYED.load(Ordering::Relaxed), 1_000);
    if interval == 1 {
        assert_adds_up(before, &[]);
    }
    assert_all_settled();
}

extern "C" fn allocate_on_a_small_stack(_: *mut libc::c_void) -> *mut libc::c_void {
    for round in 1..200usize {
        let mut list = vec![1u8; round];
        list.resize(round * 40, 2);
        drop(black_box(list));
    }
    std::ptr::null_mut()
}

/// Threads with the least stack that pthreads allow (16 KiB, thread-local storage included).
pub(crate) fn small_stacks(interval: u64) {
    start(interval);
    let before = inner::granted();
    for _ in 0..20 {
        // SAFETY: attributes are initialised before use and destroyed once; the thread is joined.
        unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            let mut thread = std::mem::zeroed();
            assert_eq!(libc::pthread_attr_init(&mut attributes), 0);
            assert_eq!(
                libc::pthread_attr_setstacksize(&mut attributes, libc::PTHREAD_STACK_MIN),
                0
            );
            let made = libc::pthread_create(
                &mut thread,
                &attributes,
                allocate_on_a_small_stack,
                std::ptr::null_mut(),
            );
            assert_eq!(made, 0, "a thread of PTHREAD_STACK_MIN");
            assert_eq!(libc::pthread_join(thread, std::ptr::null_mut()), 0);
            libc::pthread_attr_destroy(&mut attributes);
        }
    }
    if interval == 1 {
        assert_adds_up(before, &[]);
    }
    assert_all_settled();
}
