//! The table of named findings.
#![forbid(unsafe_code)]

use super::Rule;
use crate::find::{Class, Thing};

/// Evidence → finding. The order is that of the guide's patterns, then of what else services die of.
pub const RULES: &[Rule] = &[
    Rule {
        name: "endless-tasks",
        title: "Tasks that never end",
        why: "Cells of tasks pile up, and so do the tasks that are alive: each waits for something that does not come, such as a \
              channel whose last sender is never dropped, a remote call without a timeout, or a loop without a shutdown signal.",
        fix: "Look at where they wait in the task profile. Drop the last sender, put a timeout around the call, or select on a \
              CancellationToken.",
        confidence: 0.9,
        when: |e| e.grows() && e.thing == Thing::TaskCell && e.process.tasks_grow == Some(true),
    },
    Rule {
        name: "unreaped-tasks",
        title: "Tasks that have ended and are kept",
        why: "Cells of tasks pile up while no more tasks are alive: they have ended, and their results wait in a JoinSet, \
              FuturesUnordered or Vec<JoinHandle> that nobody empties.",
        fix: "Call join_next in the loop that spawns, or drop the handles of tasks whose results nobody wants.",
        confidence: 0.9,
        when: |e| e.grows() && e.thing == Thing::TaskCell && e.process.tasks_grow == Some(false),
    },
    Rule {
        name: "piling-tasks",
        title: "Tasks pile up",
        why: "Cells of tasks pile up. Whether the tasks are still alive, or have ended and are kept in a JoinSet, cannot be told \
              without the task profile.",
        fix: "Turn on the feature `task` and compare the tasks that are alive; reap what has ended, cancel what has not.",
        confidence: 0.8,
        when: |e| e.grows() && e.thing == Thing::TaskCell && e.process.tasks_grow.is_none(),
    },
    Rule {
        name: "endless-threads",
        title: "Threads that never end",
        why: "The number of threads grows: each keeps its stack and what it holds. Workers without a shutdown signal block on a \
              channel or a socket for ever.",
        fix: "Give every worker a way to stop, and wait until it has; or use a pool of fixed size.",
        confidence: 0.8,
        when: |e| e.place.is_none() && e.process.threads_grow == Some(true),
    },
    Rule {
        name: "unread-bodies",
        title: "Responses neither read nor dropped",
        why: "Requests, responses or their bodies pile up, with their connections: a response that is kept holds its socket, and \
              the pool opens new ones.",
        fix: "Read bodies to the end or drop the response at once; keep what you need of it, not the response.",
        confidence: 0.8,
        when: |e| e.grows() && e.thing == Thing::Body,
    },
    Rule {
        name: "pinned-buffers",
        title: "Small views keep large buffers",
        why: "Large shared buffers pile up. A slice of a Bytes keeps all of its buffer; a few bytes in a cache can hold 100 KiB.",
        fix: "Copy out what is kept: Bytes::copy_from_slice(&view).",
        confidence: 0.8,
        when: |e| e.grows() && e.thing == Thing::Bytes,
    },
    Rule {
        name: "unbounded-map",
        title: "A map that only grows",
        why: "A map goes on growing: its keys are never removed, as with request ids, users or URLs. Removing entries does not \
              make its table smaller either.",
        fix: "Bound it: least recently used (lru), or time to live (moka). After a purge, shrink_to_fit.",
        confidence: 0.8,
        when: |e| e.grows() && matches!(e.thing, Thing::MapRehash | Thing::MapEntry),
    },
    Rule {
        name: "endless-timers",
        title: "Timers that are never stopped",
        why: "Timers pile up: an interval or a delayed task per request goes on after the request has ended.",
        fix: "Abort the task when its owner is dropped (AbortHandle, JoinSet), or have one timer for all.",
        confidence: 0.8,
        when: |e| {
            e.grows()
                && (e.thing == Thing::Timer
                    || e.passes(&["tokio::time::interval", "tokio::time::sleep"]))
        },
    },
    Rule {
        name: "held-to-the-end",
        title: "Held to the end of a function",
        why: "Much of the high-water mark came from here, and hardly any of it is left: things are gathered in a loop and \
              dropped only when the function returns.",
        fix: "Give each turn of the loop its own scope, and work in batches.",
        confidence: 0.6,
        when: |e| e.place.is_some() && !e.grows() && e.peak_share > 0.2 && e.left_of_peak < 0.1,
    },
    Rule {
        name: "conversion-churn",
        title: "Texts made and dropped in a hot path",
        why: "A large part of all allocated bytes is text that lives for moments: String and Vec<u8> round trips. It costs time, \
              not memory.",
        fix: "Borrow (&str, Cow), write into a buffer that is used again, and parse from bytes.",
        confidence: 0.7,
        when: |e| {
            e.place.is_some()
                && !e.grows()
                && e.thing == Thing::Conversion
                && e.alloc_share > 0.2
                && e.live_share < 0.1
        },
    },
    Rule {
        name: "unbounded-channel",
        title: "A queue that fills faster than it is emptied",
        why: "Blocks of a channel or queue pile up: whoever sends is faster than whoever receives, and nothing makes it wait.",
        fix: "Use a bounded channel, so that senders wait, or drop what is too much and count it.",
        confidence: 0.8,
        when: |e| e.grows() && matches!(e.thing, Thing::ChannelBlock | Thing::Queue),
    },
    Rule {
        name: "telemetry",
        title: "Spans, metrics or logs pile up",
        why: "What observes the program grows: spans that are never closed, histograms that nobody drains, label values without \
              bound, an exporter that cannot send.",
        fix: "Bound label values, drain what is recorded (run_upkeep), give exporters a bounded queue, and close spans of \
              tasks that end.",
        confidence: 0.8,
        when: |e| {
            const CRATES: [&str; 6] = [
                "tracing_subscriber::",
                "opentelemetry",
                "metrics_util::",
                "sharded_slab::",
                "console_subscriber::",
                "prometheus",
            ];
            e.grows() && (e.thing == Thing::Telemetry || e.passes(&CRATES))
        },
    },
    Rule {
        name: "shared-cycle",
        title: "Shared values that nobody lets go of",
        why: "Shared values (Arc, Rc) are never freed: they refer to each other in a circle, or a registry keeps a clone.",
        fix: "Make one direction Weak, and remove entries from registries when their owner is dropped.",
        confidence: 0.5,
        when: |e| e.grows() && e.thing == Thing::Arc,
    },
    Rule {
        name: "growing-list",
        title: "A list or text that only grows",
        why: "A vector or text is appended to and never emptied.",
        fix: "Bound it, drain it, or keep only what is needed of each element.",
        confidence: 0.6,
        when: |e| e.class == Some(Class::Leak) && e.thing == Thing::VecDoubling,
    },
    Rule {
        name: "allocator-holds",
        title: "Not a leak: the allocator holds freed memory",
        why: "The resident memory grows while the live heap does not, and much of it is freed memory that the allocator keeps: \
              arenas per thread, fragmentation, huge pages.",
        fix: "Try stats::give_memory_back() and see what is left. With glibc set MALLOC_ARENA_MAX=2 or M_TRIM_THRESHOLD; with \
              jemalloc turn on background_thread and shorten dirty_decay_ms.",
        confidence: 0.9,
        when: |e| {
            let process = e.process;
            e.place.is_none()
                && process.heap_grows == Some(false)
                && process.held_share.is_some_and(|share| share > 0.25)
        },
    },
    Rule {
        name: "foreign-memory",
        title: "Memory that is not from the Rust heap",
        why: "The resident memory grows while the live heap does not, and much of it is neither the heap's nor the allocator's: a \
              C library, or mmap.",
        fix: "Look at `heapsite info` for the mappings that grew; free handles of C libraries, unmap what is not used.",
        confidence: 0.7,
        when: |e| {
            let process = e.process;
            e.place.is_none()
                && process.heap_grows == Some(false)
                && process.resident_grows == Some(true)
                && process.unexplained_share.is_some_and(|share| share > 0.25)
        },
    },
    Rule {
        name: "open-descriptors",
        title: "Files or sockets stay open",
        why: "The number of open file descriptors grows. A descriptor costs little memory, its buffers more, and there is a limit.",
        fix: "Look at which kind grew; drop connections and files when their work is done, and bound pools.",
        confidence: 0.8,
        when: |e| e.place.is_none() && e.process.descriptors_grow == Some(true),
    },
];

#[cfg(test)]
mod tests {
    use super::super::{Evidence, Process, advise};
    use super::*;
    use crate::find::Place;

    fn fired(change: impl FnOnce(&mut Evidence<'_>), of_process: bool) -> Vec<&'static str> {
        let place = Place::default();
        let mut evidence = Evidence {
            place: (!of_process).then_some(&place),
            class: None,
            thing: Thing::Other,
            functions: &[],
            mean_size: 100.0,
            live_share: 0.01,
            alloc_share: 0.01,
            peak_share: 0.01,
            left_of_peak: 1.0,
            process: Process::default(),
        };
        change(&mut evidence);
        advise(&evidence)
            .into_iter()
            .map(|advice| advice.rule)
            .collect()
    }

    #[test]
    fn each_rule_fires_on_its_evidence() {
        let grows = |thing: Thing, tasks: Option<bool>| {
            fired(
                |e| {
                    (e.class, e.thing) = (Some(Class::Leak), thing);
                    e.process.tasks_grow = tasks;
                },
                false,
            )
        };
        assert_eq!(grows(Thing::TaskCell, Some(true)), ["endless-tasks"]);
        assert_eq!(grows(Thing::TaskCell, Some(false)), ["unreaped-tasks"]);
        assert_eq!(grows(Thing::TaskCell, None), ["piling-tasks"]);
        assert_eq!(grows(Thing::Body, None), ["unread-bodies"]);
        assert_eq!(grows(Thing::Bytes, None), ["pinned-buffers"]);
        assert_eq!(grows(Thing::MapRehash, None), ["unbounded-map"]);
        assert_eq!(grows(Thing::MapEntry, None), ["unbounded-map"]);
        assert_eq!(grows(Thing::Timer, None), ["endless-timers"]);
        assert_eq!(grows(Thing::ChannelBlock, None), ["unbounded-channel"]);
        assert_eq!(grows(Thing::Telemetry, None), ["telemetry"]);
        assert_eq!(grows(Thing::Arc, None), ["shared-cycle"]);
        assert_eq!(grows(Thing::VecDoubling, None), ["growing-list"]);
        assert!(grows(Thing::Other, None).is_empty());
        let peak = |e: &mut Evidence<'_>| (e.peak_share, e.left_of_peak) = (0.6, 0.01);
        assert_eq!(fired(peak, false), ["held-to-the-end"]);
        let churn = |e: &mut Evidence<'_>| (e.thing, e.alloc_share) = (Thing::Conversion, 0.5);
        assert_eq!(fired(churn, false), ["conversion-churn"]);
        let held = |e: &mut Evidence<'_>| {
            (e.process.heap_grows, e.process.held_share) = (Some(false), Some(0.6))
        };
        assert_eq!(fired(held, true), ["allocator-holds"]);
        let foreign = |e: &mut Evidence<'_>| {
            (e.process.heap_grows, e.process.resident_grows) = (Some(false), Some(true));
            e.process.unexplained_share = Some(0.5);
        };
        assert_eq!(fired(foreign, true), ["foreign-memory"]);
        assert_eq!(
            fired(|e| e.process.threads_grow = Some(true), true),
            ["endless-threads"]
        );
        assert_eq!(
            fired(|e| e.process.descriptors_grow = Some(true), true),
            ["open-descriptors"]
        );
    }

    #[test]
    fn nothing_fires_without_evidence_and_names_are_distinct() {
        for class in [
            None,
            Some(Class::StartUp),
            Some(Class::WorkingSet),
            Some(Class::Burst),
        ] {
            for thing in [
                Thing::TaskCell,
                Thing::MapRehash,
                Thing::Bytes,
                Thing::VecDoubling,
            ] {
                assert!(fired(|e| (e.class, e.thing) = (class, thing), false).is_empty());
            }
        }
        assert!(fired(|_| {}, true).is_empty());
        let mut names: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
