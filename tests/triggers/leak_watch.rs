//! The leak watch in real programs. Looks are driven by hand where it matters how many there are.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use heapsite::leak::{Kind, Watch, WatchHandle};

use crate::fork::in_child;
use crate::harness::{Outcome, Scenario, until, whole_dump};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "leak_watch_announces_and_withdraws",
        settings: None,
        program: |_| {
            heapsite::set_sample_interval(1);
            let (watch, told) = by_hand(quick());
            let mut leaked = Vec::new();
            let begin = rounds(&watch, &told, Kind::Begin, || {
                leaked.extend((0..8).map(|_| leak_here()));
            });
            let text = told.lock().unwrap()[begin].1.clone();
            assert!(text.starts_with("leak: "), "{text}");
            let here = format!("leak_watch.rs:{LEAK_LINE} (");
            assert!(text.contains(&here) && text.contains("leak_here"), "{text}");
            let status = heapsite::stats::heap().leak_watch.unwrap();
            assert_eq!(status.suspects.len(), 1, "{status:?}");
            assert!(status.suspects[0].site.starts_with(&here), "{status:?}");
            assert!(status.suspects[0].bytes_per_second > 0.0);
            assert!((1..2 << 20).contains(&status.own_bytes), "{status:?}");
            #[cfg(feature = "metrics")]
            metrics(&here);
            // All is freed, and goes on as before but for the leak.
            leaked.clear();
            rounds(&watch, &told, Kind::End, || drop(leak_here()));
            assert!(watch.status().suspects.is_empty());
            drop(watch);
            assert_eq!(heapsite::stats::heap().leak_watch, None);
        },
        check: Outcome::succeeded,
    },
    Scenario {
        // Everything is recorded, and all of the cache is new at each look: nothing in it ever grows old, so chance has
        // no part in this.
        name: "leak_watch_leaves_a_bounded_cache_alone",
        settings: None,
        program: |_| {
            heapsite::set_sample_interval(1);
            let (watch, told) = by_hand(quick().hold(1));
            let mut cache = std::collections::VecDeque::with_capacity(65);
            for look in 0..300 {
                for _ in 0..100 {
                    cache.push_back(leak_here());
                    if cache.len() > 64 {
                        cache.pop_front();
                    }
                }
                watch.look_now(look * MINUTE);
            }
            assert_eq!(*told.lock().unwrap(), []);
            assert_eq!(watch.status().looks, 300);
            assert_eq!(watch.status().failed_looks, 0);
        },
        check: Outcome::succeeded,
    },
    Scenario {
        name: "leak_watch_survives_its_callback",
        settings: None,
        program: |_| {
            heapsite::set_sample_interval(1);
            let watch = quick().every(HOUR).hold(1);
            let watch = watch.on_change(|_| panic!("on purpose")).start().unwrap();
            let mut leaked = Vec::new();
            until("two panics", || {
                leaked.extend((0..8).map(|_| leak_here()));
                watch.look_now(leaked.len() as u64);
                (watch.status().callback_panics >= 2).then_some(())
            });
            assert_eq!(watch.status().failed_looks, 0);
        },
        check: |outcome| {
            outcome.succeeded();
            assert!(outcome.stderr.contains("on purpose"));
        },
    },
    Scenario {
        name: "leak_watch_starts_once",
        settings: None,
        program: |_| {
            let first = Watch::new().start().unwrap();
            let refused = Watch::new().start().unwrap_err();
            assert!(refused.is_config());
            assert!(
                refused
                    .to_string()
                    .contains("running in this process already")
            );
            drop(first);
            Watch::new().start().unwrap().detach();
            assert!(Watch::new().start().is_err(), "it runs until the end");
            for bad in [
                Watch::new().every(Duration::ZERO),
                Watch::new().history(7),
                Watch::new().places(0),
                Watch::new().level(f64::NAN),
                Watch::new().hold(0),
                Watch::new().clear(0),
            ] {
                let refused = bad.start().unwrap_err().to_string();
                assert!(refused.contains("accepted is"), "{refused}");
                assert!(!refused.contains("already"), "{refused}");
            }
        },
        check: Outcome::succeeded,
    },
    Scenario {
        name: "leak_watch_is_dropped_while_it_looks",
        settings: None,
        program: |_| {
            heapsite::set_sample_interval(1);
            let mut leaked = Vec::new();
            for _ in 0..12 {
                let watch = Watch::new().every(Duration::from_nanos(1)).start().unwrap();
                until("a look", || {
                    leaked.push(leak_here());
                    (watch.status().looks > 0).then_some(())
                });
                drop(watch);
            }
            // And where the callback never returns, or drops the handle itself.
            let (open, gate) = mpsc::channel::<()>();
            let called = Arc::new(AtomicUsize::new(0));
            let calls = Arc::clone(&called);
            let watch = quick().every(Duration::from_nanos(1)).hold(1);
            let watch = watch.on_change(move |_| {
                calls.fetch_add(1, Ordering::SeqCst);
                let _ = gate.recv();
            });
            let watch = watch.start().unwrap();
            until("a call", || {
                leaked.push(leak_here());
                (called.load(Ordering::SeqCst) > 0).then_some(())
            });
            drop(watch);
            assert_eq!(called.load(Ordering::SeqCst), 1);
            drop(open);
            let own: Arc<Mutex<Option<WatchHandle>>> = Arc::default();
            let slot = Arc::clone(&own);
            let watch = quick().every(Duration::from_nanos(1)).hold(1);
            let watch = watch.on_change(move |_| drop(slot.lock().unwrap().take()));
            // Not before it is in there.
            let mut place = own.lock().unwrap();
            *place = Some(watch.start().unwrap());
            drop(place);
            until("the end", || {
                leaked.push(leak_here());
                own.lock().unwrap().is_none().then_some(())
            });
        },
        check: Outcome::succeeded,
    },
    Scenario {
        name: "leak_watch_in_a_forked_child",
        settings: None,
        program: |_| {
            heapsite::set_sample_interval(1);
            // Some of the children are born in the middle of a look.
            let mut watch = Some(Watch::new().every(Duration::from_nanos(1)).start().unwrap());
            let mut leaked = Vec::new();
            for _ in 0..8 {
                leaked.push(leak_here());
                in_child(|| {
                    assert_eq!(heapsite::stats::heap().leak_watch, None);
                    drop(watch.take());
                    let own = Watch::new().every(HOUR).start().unwrap();
                    own.look_now(1);
                    drop(own);
                });
            }
            let looks = watch.as_ref().unwrap().status().looks;
            until("the parent's goes on", || {
                (watch.as_ref().unwrap().status().looks > looks).then_some(())
            });
        },
        check: Outcome::succeeded,
    },
    Scenario {
        name: "leak_watch_by_setting",
        settings: Some(
            "signal=none,interval=1,leak_watch=20ms,leak_watch_dump=true,leak_watch_fill=200ms,dir=DIR",
        ),
        program: |dir| {
            let _handle = heapsite::init().unwrap();
            assert!(Watch::new().start().is_err(), "one at a time");
            let mut leaked = Vec::new();
            until("a dump", || {
                leaked.push(leak_here());
                let files = crate::harness::files(dir);
                files
                    .iter()
                    .any(|name| name.starts_with("heapsite."))
                    .then_some(())
            });
        },
        check: |outcome| {
            outcome.succeeded();
            let said = &outcome.stderr;
            assert!(
                said.lines().all(|line| line.starts_with("heapsite: ")),
                "{said}"
            );
            let here = format!("leak_watch.rs:{LEAK_LINE} (");
            assert!(
                said.contains("heapsite: leak: ") && said.contains(&here),
                "{said}"
            );
            assert!(said.contains("heapsite: leak: wrote /"), "{said}");
            let file = &outcome.files()[0];
            let (_, _, profile) = whole_dump(&outcome.dir.join(file));
            assert!(!profile.samples.is_empty());
        },
    },
];

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: u64 = 60_000_000_000;

const LEAK_LINE: u32 = line!() + 4;

#[inline(never)]
fn leak_here() -> Box<[u8; 512]> {
    black_box(Box::new([1; 512]))
}

/// What a watch has told: which kind of news, and the line.
type Told = Arc<Mutex<Vec<(Kind, String)>>>;

/// A watch that never looks by itself.
fn by_hand(watch: Watch) -> (WatchHandle, Told) {
    let told = Told::default();
    let list = Arc::clone(&told);
    let watch = watch.every(HOUR).on_change(move |change| {
        let mut list = list.lock().unwrap();
        list.push((change.kind, change.to_string()));
    });
    (watch.start().unwrap(), told)
}

/// Works and looks until there is such news; its place in the list. However the threads are scheduled, a line that goes on
/// leaking is one sooner or later.
fn rounds(watch: &WatchHandle, told: &Told, kind: Kind, mut work: impl FnMut()) -> usize {
    let mut look = watch.status().looks;
    until(&format!("{kind:?}"), || {
        work();
        look += 1;
        watch.look_now(look * MINUTE);
        let told = told.lock().unwrap();
        told.iter().position(|news| news.0 == kind)
    })
}

#[cfg(feature = "metrics")]
fn metrics(here: &str) {
    use heapsite::metrics::{Collector, open_metrics};
    let text = open_metrics(&Collector::default());
    for line in [
        "heapsite_leak_suspects 1.0",
        "heapsite_leak_watch_failures_total{what=\"look\"} 0.0",
        &format!("heapsite_leak_bytes_per_second{{site=\"{here}"),
        "heapsite_leak_bytes_per_second{site=\"(others)\"} 0.0",
        "heapsite_leak_looks_total ",
        "heapsite_leak_last_look_timestamp_seconds 1",
    ] {
        assert!(
            text.contains(&format!("\n{line}")),
            "{line} is not in\n{text}"
        );
    }
}

/// A watch for programs that live for a second: no cache has to be told from a leak. A time that is short beside the run
/// would not do, because too little is born in it to know the rate before.
fn quick() -> Watch {
    Watch::new().longest_fill(Duration::ZERO)
}
