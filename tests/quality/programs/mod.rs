//! The labelled programs: what each does is in its name, what is known of it in this table.

mod caches;
mod churn;
mod collections;
mod lives;
mod ownership;
mod shapes;
mod tasks;

use heapsite::find::Class::{self, Burst, Filling, StartUp, WorkingSet};

use crate::label::Program;
use crate::label::Truth::{self, Beyond, Innocent, LeaksUnsteadily};
use crate::world::{WINDOW, World};

const fn program(name: &'static str, run: fn(&mut World), truth: Truth) -> Program {
    Program { name, run, truth }
}

/// Leaks from the start.
const fn leak(name: &'static str, run: fn(&mut World), rate: f64) -> Program {
    program(name, run, Truth::Leaks { from: 0, rate })
}

const fn fine(name: &'static str, run: fn(&mut World), classes: &'static [Class]) -> Program {
    program(name, run, Innocent(classes))
}

const KIB: f64 = 1024.0;

pub(crate) const PROGRAMS: &[Program] = &[
    leak("map_values", collections::map_values, 22.0 * KIB),
    leak("map_keys", collections::map_keys, 0.0),
    leak("vec_of_boxes", collections::vec_of_boxes, 22.0 * KIB),
    program("vec_of_plain", collections::vec_of_plain, LeaksUnsteadily),
    leak("static_registry", collections::static_registry, 22.0 * KIB),
    leak("thread_local", collections::thread_local, 22.0 * KIB),
    leak("map_capacity", collections::map_capacity, 0.0),
    leak("interner", collections::interner, 22.0 * 1005.0),
    leak("label_explosion", collections::label_explosion, 0.0),
    leak("log_lines", collections::log_lines, 0.0),
    leak("rc_cycle", ownership::rc_cycle, 0.0),
    leak("arc_cycle", ownership::arc_cycle, 0.0),
    leak("weak_registry", ownership::weak_registry, 0.0),
    leak("mem_forget", ownership::mem_forget, 22.0 * KIB),
    leak("box_leak", ownership::box_leak, 22.0 * KIB),
    leak("pinned_buffer", ownership::pinned_buffer, 24.0 * KIB),
    leak("callbacks", ownership::callbacks, 22.0 * KIB),
    program("std_channel", ownership::std_channel, LeaksUnsteadily),
    leak("connection_state", ownership::connection_state, 0.0),
    leak("join_set", tasks::join_set, 0.0),
    leak("join_handles", tasks::join_handles, 0.0),
    leak("detached", tasks::detached, 0.0),
    leak("timers", tasks::timers, 0.0),
    program(
        "unbounded_channel",
        tasks::unbounded_channel,
        LeaksUnsteadily,
    ),
    leak("unanswered", tasks::unanswered, 0.0),
    leak("slow", shapes::slow, 2.0 * KIB),
    leak("fast", shapes::fast, 64.0 * KIB),
    leak("many_sizes", shapes::many_sizes, 0.0),
    program("bursts", shapes::bursts, LeaksUnsteadily),
    leak("below_a_sawtooth", shapes::below_a_sawtooth, 0.0),
    leak("below_churn", shapes::below_churn, 20.0 * KIB),
    leak("beside_churn", shapes::beside_churn, 20.0 * KIB),
    leak("after_a_start", shapes::after_a_start, 20.0 * KIB),
    program(
        "late",
        shapes::late,
        Truth::Leaks {
            from: 7 * WINDOW,
            rate: 32.0 * KIB,
        },
    ),
    program("by_day", shapes::by_day, LeaksUnsteadily),
    leak(
        "large_blocks",
        shapes::large_blocks,
        (1u64 << 20) as f64 / 60.0,
    ),
    fine("start_up_cache", caches::start_up_cache, &[StartUp]),
    fine(
        "random_eviction",
        caches::random_eviction,
        &[WorkingSet, Filling],
    ),
    fine(
        "closed_when_full",
        caches::closed_when_full,
        &[StartUp, Filling, Burst],
    ),
    fine(
        "lru_with_churn",
        caches::lru_with_churn,
        &[WorkingSet, Filling],
    ),
    fine(
        "finite_keys",
        caches::finite_keys,
        &[StartUp, Filling, Burst],
    ),
    fine(
        "keys_of_look_ups",
        caches::keys_of_look_ups,
        &[StartUp, Filling, Burst],
    ),
    fine("ttl", caches::ttl, &[WorkingSet]),
    fine("generations", caches::generations, &[WorkingSet]),
    fine("hot_and_cold", caches::hot_and_cold, &[WorkingSet, Filling]),
    fine("late_cache", caches::late_cache, &[Burst, Filling]),
    fine(
        "lazy_tables",
        caches::lazy_tables,
        &[StartUp, Burst, Filling],
    ),
    program("huge_cache", caches::huge_cache, Beyond),
    fine("ring_buffer", churn::ring_buffer, &[WorkingSet]),
    fine("string_building", churn::string_building, &[WorkingSet]),
    fine("sort_buffers", churn::sort_buffers, &[WorkingSet]),
    fine("hot_line", churn::hot_line, &[WorkingSet]),
    fine("tiny_lines", churn::tiny_lines, &[WorkingSet]),
    fine("arena_reset", churn::arena_reset, &[WorkingSet]),
    fine("fragmentation", churn::fragmentation, &[WorkingSet]),
    fine("batch_jobs", churn::batch_jobs, &[WorkingSet]),
    fine("config_reload", churn::config_reload, &[WorkingSet]),
    fine("last_reports", churn::last_reports, &[WorkingSet, Filling]),
    fine("one_burst", churn::one_burst, &[Burst]),
    fine("requests", lives::requests, &[WorkingSet]),
    fine("sessions", lives::sessions, &[WorkingSet]),
    fine(
        "long_sessions",
        lives::long_sessions,
        &[WorkingSet, Filling],
    ),
    fine("shifts", lives::shifts, &[WorkingSet, Filling]),
    fine(
        "short_and_long",
        lives::short_and_long,
        &[WorkingSet, Filling],
    ),
    fine("daily_requests", lives::daily_requests, &[WorkingSet]),
    fine("growing_traffic", lives::growing_traffic, &[WorkingSet]),
    fine("late_start", lives::late_start, &[WorkingSet]),
    fine("pool", lives::pool, &[StartUp, Filling, Burst]),
    fine("worker_threads", lives::worker_threads, &[WorkingSet]),
    fine("server", tasks::server, &[WorkingSet]),
    fine("bounded_channel", tasks::bounded_channel, &[WorkingSet]),
    fine("connections", tasks::connections, &[WorkingSet]),
    program("endless_sessions", lives::endless_sessions, Beyond),
];
