//! Metrics in a forked child: it has the memory of names that a thread of its parent was writing.

use heapsite::metrics::{Collector, open_metrics};

use crate::fork::in_child;
use crate::harness::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "metrics_in_a_child_forked_while_names_are_looked_up",
    settings: None,
    program: |_| {
        heapsite::set_sample_interval(1);
        let kept = std::hint::black_box(vec![1_u8; 1 << 20]);
        // The first look reads the debug information, which takes long enough that some of the children are
        // born in the middle of it. One that is not can only miss a fault, not report one.
        let looking = std::thread::spawn(|| {
            for _ in 0..LOOKS {
                open_metrics(&Collector::default());
            }
        });
        while !looking.is_finished() {
            in_child(|| {
                let text = open_metrics(&Collector::default());
                assert!(text.contains("\nheapsite_live_bytes ") && text.ends_with("# EOF\n"));
                assert!(text.contains("heapsite_function_live_bytes{"));
            });
        }
        looking.join().unwrap();
        drop(kept);
    },
    check: |outcome| {
        outcome.succeeded();
    },
}];

/// The first one reads the debug information.
const LOOKS: usize = 3;
