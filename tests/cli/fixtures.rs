//! Small profiles made by hand, so that every number in a golden file can be checked with a pencil.

use heapsite::format::{json, pprof};
use heapsite::profile::resources::{Cgroup, Count, HeldMemory, Resources, TaskCounts};
use heapsite::profile::{
    Cohort, Function, FunctionId, HeapFacts, Label, LifetimeBucket, Line, Location, LocationId,
    Loss, Mapping, MappingId, Profile, Sample, SiteDetail, Tally, ValueType,
};
use std::path::Path;

const SECOND: u64 = 1_000_000_000;
/// 2026-11-23 23:43:49 UTC.
const START: i64 = 1_795_477_429 * SECOND as i64;

/// Function, file and line.
type Frame = (&'static str, &'static str, i64);

/// Writes every fixture into `dir`.
pub(crate) fn write_all(dir: &Path) {
    let save = |name: &str, profile: &Profile| {
        let mut bytes = Vec::new();
        match name.ends_with(".json") {
            true => json::write(profile, &mut bytes).unwrap(),
            false => pprof::write(profile, &mut bytes).unwrap(),
        }
        std::fs::write(dir.join(name), bytes).unwrap();
    };
    let (base, new) = (shop(60, [40, 0], [500, 0]), shop(260, [40, 600], [440, 80]));
    save("base.json", &base);
    save("base.pb.gz", &base);
    save("new.json", &new);
    save("new.pb.gz", &new);
    save("exact-base.json", &exact(shop(60, [40, 0], [500, 0])));
    save("exact-new.json", &exact(shop(260, [40, 600], [440, 80])));
    save("exact-base.pb.gz", &exact(shop(60, [40, 0], [500, 0])));
    save("exact-new.pb.gz", &exact(shop(260, [40, 600], [440, 80])));
    save("late-base.pb.gz", &late(shop(60, [40, 0], [500, 0])));
    save("late-new.pb.gz", &late(shop(260, [40, 600], [440, 80])));
    let (early, late) = (held(60, 20, 4), held(260, 90, 12));
    save("held-base.json", &early);
    save("held-now.json", &late);
    save("held-base.pb.gz", &early);
    save("held-now.pb.gz", &late);
    save("silent.json", &silent());
    save("silent.pb.gz", &silent());
    save("go.pb.gz", &go());
    save("addresses.json", &addresses());
    save("tagged.pb.gz", &tagged());
    std::fs::write(dir.join("noise.bin"), [0x7f, b'E', b'L', b'F', 0, 1, 2, 3]).unwrap();
    std::fs::write(dir.join("empty.json"), []).unwrap();
}

/// A service after `uptime` seconds: sampled orders of 4 KiB that are never freed, sampled sessions of 1 KiB in a
/// cache, and buffers that live for milliseconds. One in 64 KiB is sampled. Of the first two, how many live ones
/// were born in the first minute, and how many after it.
fn shop(uptime: u64, orders: [u64; 2], sessions: [u64; 2]) -> Profile {
    let mut profile = Profile::default();
    profile.time_nanos = START + (uptime * SECOND) as i64;
    profile.sample_types = types();
    profile.period_type = Some(value_type("space", "bytes"));
    profile.period = 64 << 10;
    let mut main = Mapping::default();
    (main.start, main.limit, main.file) = (0x1000, 0x9000, "/srv/bin/shop".into());
    main.build_id = "c0ffee00c0ffee00".into();
    profile.mappings = vec![main];
    let stacks: [&[Frame]; 3] = [
        &[
            (
                "alloc::raw_vec::RawVec<T,A>::grow_one",
                "/rustc/9b00/library/alloc/src/raw_vec.rs",
                340,
            ),
            (
                "shop::orders::History<shop::orders::Order>::remember",
                "/home/dev/shop/src/orders/history.rs",
                88,
            ),
            (
                "shop::orders::place::{{closure}}",
                "/home/dev/shop/src/orders/mod.rs",
                31,
            ),
            ("shop::main", "/home/dev/shop/src/main.rs", 12),
        ],
        &[
            (
                "hashbrown::raw::RawTable<T,A>::reserve_rehash",
                "/h/.cargo/registry/src/i-1/hashbrown-0.17.0/src/raw.rs",
                9,
            ),
            (
                "shop::session::Store::insert",
                "/home/dev/shop/src/session.rs",
                54,
            ),
            ("shop::main", "/home/dev/shop/src/main.rs", 14),
        ],
        &[
            (
                "alloc::alloc::alloc",
                "/rustc/9b00/library/alloc/src/alloc.rs",
                95,
            ),
            ("shop::reply::render", "/home/dev/shop/src/reply.rs", 7),
            ("shop::main", "/home/dev/shop/src/main.rs", 12),
        ],
    ];
    // Sampled, of them live (old, young), size, lifetime of the others. A session that is gone was freed.
    let kinds = [
        (orders[0] + orders[1], orders, 4096, 0),
        (500 + sessions[1], sessions, 1024, 30_000_000_000),
        (2_000, [0, 0], 512, 4_000_000),
    ];
    let mut facts = facts(uptime);
    for (stack, (sampled, [old, young], size, lifetime)) in stacks.iter().zip(kinds) {
        let mut detail = SiteDetail::default();
        let (live, freed) = (old + young, sampled - old - young);
        (detail.alloc, detail.live, detail.free) =
            (tally(sampled, size), tally(live, size), tally(freed, size));
        if freed > 0 {
            let bytes_estimate = detail.free.bytes_estimate;
            let (from_nanos, to_nanos) = (lifetime, 2 * lifetime);
            detail.lifetimes = vec![LifetimeBucket {
                from_nanos,
                to_nanos,
                objects: freed,
                bytes_estimate,
            }];
        }
        for (thread, from, to, count) in [(0, 1, 50, old), (1, 61, uptime, young)] {
            let (from_nanos, to_nanos) = (from * SECOND, to * SECOND);
            let live = tally(count, size);
            if count > 0 {
                detail.cohorts.push(Cohort {
                    from_nanos,
                    to_nanos,
                    thread,
                    live,
                });
            }
        }
        facts.alloc = facts.alloc.plus(detail.alloc);
        facts.free = facts.free.plus(detail.free);
        facts.live = facts.live.plus(detail.live);
        add(&mut profile, stack, detail);
    }
    profile.heap = Some(Box::new(facts));
    profile
}

/// Each of `count` sampled allocations stands for 1/p, p = 1 − exp(−size/64 KiB).
fn tally(count: u64, size: u64) -> Tally {
    let chosen = -(-(size as f64) / 65_536.0).exp_m1();
    let (count_f, size_f) = (count as f64, size as f64);
    let objects_variance = count_f * (1.0 - chosen) / (chosen * chosen);
    Tally {
        objects: count,
        bytes: count * size,
        objects_estimate: count_f / chosen,
        bytes_estimate: count_f * size_f / chosen,
        objects_variance,
        bytes_variance: objects_variance * size_f * size_f,
    }
}

fn facts(uptime: u64) -> HeapFacts {
    let mut facts = HeapFacts::default();
    (facts.interval, facts.uptime_nanos) = (64 << 10, uptime * SECOND);
    facts.threads = vec!["main".into(), "worker".into()];
    facts.process.pid = 4711;
    facts.process.start_time_nanos = START;
    facts.process.command = "/srv/bin/shop --port 80".into();
    facts.process.executable = "/srv/bin/shop".into();
    (facts.process.rss_bytes, facts.process.peak_rss_bytes) = (100 << 20, 120 << 20);
    (facts.requested_bytes, facts.requested_slack_bytes) = (300 << 20, 16 << 10);
    (facts.peak_bytes, facts.peak_nanos) = (80e6, 59 * SECOND);
    let own = &mut facts.footprint;
    (own.mapped_bytes, own.resident_bytes, own.limit_bytes) = (512 << 10, 256 << 10, 64 << 20);
    (own.sites, own.live_samples) = (3, 540);
    let mut loss = Loss::default();
    (loss.reason, loss.count) = ("live-map-full".into(), 2);
    (loss.meaning, loss.bytes_estimate) = (
        "these allocations are counted as if they were never freed".into(),
        131_072.0,
    );
    facts.losses = vec![loss];
    facts
}

/// The shop, with what its process held: so many MiB free in the allocator, and so many workers.
fn held(uptime: u64, free: u64, workers: u64) -> Profile {
    let mut profile = shop(uptime, [40, 0], [500, 0]);
    let heap = profile.heap.as_mut().unwrap();
    let mut resources = Resources::default();
    let memory = &mut resources.memory;
    memory.live_bytes = heap.live.bytes_estimate.round() as u64;
    memory.live_error_bytes = heap.live.bytes_variance.sqrt().round() as u64;
    (memory.overhead_bytes, memory.free_bytes) = (3 << 20, free << 20);
    (memory.stacks_bytes, memory.files_bytes) = (workers << 18, 9 << 20);
    (memory.own_bytes, memory.unexplained_bytes) = (1 << 20, 5 << 20);
    let parts = memory.parts().iter().map(|(_, bytes)| bytes).sum::<i64>();
    memory.rss_bytes = parts as u64;
    (resources.virtual_bytes, resources.fd_limit) = (900 << 20, 1024);
    (heap.process.rss_bytes, heap.process.peak_rss_bytes) = (memory.rss_bytes, 160 << 20);
    let mut allocator = HeldMemory::default();
    (allocator.name, allocator.is_global) = ("glibc".into(), true);
    allocator.in_use_bytes = Some(memory.live_bytes + (3 << 20));
    allocator.resident_bytes = memory.live_bytes + ((3 + free) << 20);
    allocator.source = "mallinfo2 and smaps".into();
    resources.allocators = vec![allocator];
    let count = |name: &str, number| {
        let mut count = Count::default();
        (count.name, count.count) = (name.into(), number);
        count
    };
    resources.threads = vec![count("worker", workers), count("main", 1)];
    resources.fds = vec![count("socket", 5 * workers), count("file", 3)];
    let mut tasks = TaskCounts::default();
    tasks.by_spawn_site = vec![
        count("src/mail.rs:12:5", 100 * workers),
        count("src/main.rs:40:9", 3),
    ];
    (tasks.alive, tasks.completed) = (100 * workers + 3, 7_000);
    tasks.started = tasks.alive + tasks.completed;
    resources.tasks = Some(tasks);
    let mut cgroup = Cgroup::default();
    (cgroup.current_bytes, cgroup.limit_bytes) = (200 << 20, Some(512 << 20));
    resources.cgroup = Some(cgroup);
    heap.resources = Some(Box::new(resources));
    profile
}

/// The same with every value exact: what was counted is all there is.
fn exact(mut profile: Profile) -> Profile {
    let certain = |tally: &mut Tally| {
        (tally.objects_estimate, tally.bytes_estimate) = (tally.objects as f64, tally.bytes as f64);
        (tally.objects_variance, tally.bytes_variance) = (0.0, 0.0);
    };
    for sample in &mut profile.samples {
        let Some(detail) = sample.detail.as_deref_mut() else {
            continue;
        };
        for tally in [&mut detail.alloc, &mut detail.free, &mut detail.live] {
            certain(tally);
        }
        detail
            .cohorts
            .iter_mut()
            .for_each(|cohort| certain(&mut cohort.live));
        sample.values = values(detail);
    }
    profile.period = 1;
    if let Some(heap) = &mut profile.heap {
        (heap.interval, heap.exact) = (1, true);
        heap.losses.clear();
        for tally in [&mut heap.alloc, &mut heap.free, &mut heap.live] {
            certain(tally);
        }
    }
    profile
}

/// Of a program without heapsite's allocator.
fn silent() -> Profile {
    let mut profile = shop(60, [0, 0], [0, 0]);
    profile.samples.clear();
    profile.period = 0;
    let heap = profile.heap.as_mut().unwrap();
    (heap.interval, heap.requested_bytes, heap.uptime_nanos) = (0, 0, 0);
    (heap.alloc, heap.free, heap.live) = Default::default();
    heap.losses.clear();
    profile
}

/// Everything is recorded, but was not from the start.
fn late(profile: Profile) -> Profile {
    let mut profile = exact(profile);
    profile.heap.as_mut().unwrap().exact = false;
    profile
}

/// As the Go runtime writes it: no details, 1 in 512 KiB, names with slashes and dots.
fn go() -> Profile {
    let mut profile = Profile::default();
    profile.time_nanos = START;
    profile.sample_types = types();
    profile.default_sample_type = "inuse_space".into();
    (profile.period_type, profile.period) = (Some(value_type("space", "bytes")), 512 << 10);
    let stacks: [(&[Frame], [i64; 4]); 2] = [
        (
            &[
                (
                    "example.org/shop/cache.(*Cache).Put",
                    "/src/shop/cache/cache.go",
                    42,
                ),
                (
                    "example.org/shop/api.(*Server).handle",
                    "/src/shop/api/server.go",
                    120,
                ),
                (
                    "net/http.(*conn).serve",
                    "/usr/local/go/src/net/http/server.go",
                    2009,
                ),
            ],
            [900, 3_686_400, 800, 3_276_800],
        ),
        (
            &[("main.main", "/src/shop/main.go", 10)],
            [1, 1 << 20, 1, 1 << 20],
        ),
    ];
    for (stack, values) in stacks {
        add(&mut profile, stack, SiteDetail::default());
        let sample = profile.samples.last_mut().unwrap();
        (sample.values, sample.detail) = (values.into(), None);
    }
    profile
}

/// With labels, as programs in Go set them, and block sizes, as its runtime does.
fn tagged() -> Profile {
    let mut profile = go();
    let labels = [[("user", "anna")], [("user", "otto")]];
    for (sample, (labels, bytes)) in profile
        .samples
        .iter_mut()
        .zip(labels.iter().zip([4096, 1 << 20]))
    {
        sample.labels = labels.map(|(key, value)| Label::text(key, value)).into();
        sample.labels.push(Label::number("bytes", bytes, "bytes"));
    }
    profile
}

/// A dump with `symbolize=false`.
fn addresses() -> Profile {
    let mut profile = shop(60, [40, 0], [500, 0]);
    profile.functions.clear();
    for location in &mut profile.locations {
        location.lines.clear();
    }
    profile
}

/// Adds a stack, leaf first; each frame is a location of its own.
fn add(profile: &mut Profile, stack: &[Frame], detail: SiteDetail) {
    let mut sample = Sample::default();
    for &(name, file, line) in stack {
        let id = profile.locations.len() as u32;
        let mut function = Function::default();
        (function.name, function.filename) = (name.into(), file.into());
        profile.functions.push(function);
        let mut location = Location::default();
        location.mapping = (!profile.mappings.is_empty()).then_some(MappingId(0));
        location.address = 0x1000 + 16 * u64::from(id);
        location.lines = vec![Line {
            function: FunctionId(id),
            line,
            column: 0,
        }];
        profile.locations.push(location);
        sample.locations.push(LocationId(id));
    }
    sample.values = values(&detail);
    sample.detail = Some(Box::new(detail));
    profile.samples.push(sample);
}

fn values(detail: &SiteDetail) -> Vec<i64> {
    let (alloc, live) = (&detail.alloc, &detail.live);
    [
        alloc.objects_estimate,
        alloc.bytes_estimate,
        live.objects_estimate,
        live.bytes_estimate,
    ]
    .map(|value| value.round() as i64)
    .into()
}

fn types() -> Vec<ValueType> {
    [
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    ]
    .map(|(kind, unit)| value_type(kind, unit))
    .into()
}

pub(crate) fn value_type(kind: &str, unit: &str) -> ValueType {
    ValueType {
        kind: kind.into(),
        unit: unit.into(),
    }
}
