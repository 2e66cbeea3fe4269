//! Profiles to test with: wild ones for formats, orderly ones for sums and differences, and one by hand.
#![forbid(unsafe_code)]

use heapsite::profile::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// So many cases; a failure is printed, not written into the source tree.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Any profile that is whole: tables of a few entries, indexes into them, every optional part on or off.
pub(crate) fn wild() -> impl Strategy<Value = Profile> {
    let sizes = (1..4usize, 0..4usize, 1..6usize, 1..8usize);
    sizes.prop_flat_map(|(types, mappings, functions, locations)| {
        let tables = (
            vec(value_type(), types),
            vec(mapping(), mappings),
            vec(function(), functions),
            vec(location(mappings, functions), locations),
            vec(sample(types, locations), 0..8),
            option(heap()),
        );
        let header = (
            text(),
            text(),
            text(),
            text(),
            option(value_type()),
            any::<[i64; 3]>(),
        );
        (tables, header, vec(text(), 0..3)).prop_map(|(tables, header, comments)| {
            let mut profile = Profile::default();
            (
                profile.sample_types,
                profile.mappings,
                profile.functions,
                profile.locations,
                profile.samples,
                profile.heap,
            ) = (
                tables.0,
                tables.1,
                tables.2,
                tables.3,
                tables.4,
                tables.5.map(Box::new),
            );
            let numbers;
            (
                profile.default_sample_type,
                profile.drop_frames,
                profile.keep_frames,
                profile.doc_url,
                profile.period_type,
                numbers,
            ) = header;
            [profile.period, profile.time_nanos, profile.duration_nanos] = numbers;
            profile.comments = comments;
            profile
        })
    })
}

fn option<T: std::fmt::Debug>(some: impl Strategy<Value = T>) -> impl Strategy<Value = Option<T>> {
    proptest::option::of(some)
}

/// Texts that have been trouble: empty, separators, controls, other scripts, numbers.
fn text() -> impl Strategy<Value = String> {
    let known = &[
        "",
        "inuse_space",
        "a;b\nc",
        "[vdso]",
        "<T as U>::f",
        "bytes",
        "\u{0}\"\\",
        "日本",
        "1",
    ];
    prop_oneof![
        select(known.as_slice()).prop_map(str::to_owned),
        "[a-z:/.<> ]{1,12}"
    ]
}

fn value_type() -> impl Strategy<Value = ValueType> {
    (text(), text()).prop_map(|(kind, unit)| ValueType { kind, unit })
}

fn mapping() -> impl Strategy<Value = Mapping> {
    (any::<[u64; 3]>(), text(), text(), any::<[bool; 4]>()).prop_map(
        |(bounds, file, build_id, has)| {
            let mut mapping = Mapping::default();
            [mapping.start, mapping.limit, mapping.offset] = bounds;
            (mapping.file, mapping.build_id) = (file, build_id);
            [
                mapping.has_functions,
                mapping.has_filenames,
                mapping.has_line_numbers,
                mapping.has_inline_frames,
            ] = has;
            mapping
        },
    )
}

fn function() -> impl Strategy<Value = Function> {
    (text(), text(), text(), any::<i64>()).prop_map(|(name, system_name, filename, start_line)| {
        let mut function = Function::default();
        (function.name, function.system_name) = (name, system_name);
        (function.filename, function.start_line) = (filename, start_line);
        function
    })
}

fn location(mappings: usize, functions: usize) -> impl Strategy<Value = Location> {
    let line =
        (0..functions as u32, any::<i64>(), any::<i64>()).prop_map(|(function, line, column)| {
            Line {
                function: FunctionId(function),
                line,
                column,
            }
        });
    let parts = (
        option(any::<u32>()),
        any::<u64>(),
        vec(line, 0..3),
        any::<bool>(),
    );
    parts.prop_map(move |(mapping, address, lines, is_folded)| {
        let mut location = Location::default();
        let inside = |any: u32| (mappings > 0).then(|| MappingId(any % mappings as u32));
        location.mapping = mapping.and_then(inside);
        (location.address, location.lines, location.is_folded) = (address, lines, is_folded);
        location
    })
}

fn sample(types: usize, locations: usize) -> impl Strategy<Value = Sample> {
    let label = prop_oneof![
        (text(), text()).prop_map(|(key, text)| Label::text(key, text)),
        (text(), any::<i64>(), text()).prop_map(|(key, n, unit)| Label::number(key, n, unit)),
    ];
    (
        vec((0..locations as u32).prop_map(LocationId), 0..9),
        vec(any::<i64>(), types),
        vec(label, 0..3),
        option(detail()),
    )
        .prop_map(|(locations, values, labels, detail)| {
            let mut sample = Sample::default();
            (sample.locations, sample.values, sample.labels) = (locations, values, labels);
            // Cohorts name threads, which only a profile with heap facts has: see `heap`.
            sample.detail = detail.map(Box::new);
            sample
        })
}

/// Any float that equals itself, infinities included.
fn real() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("NaN is not equal to itself", |value| !value.is_nan())
}

fn tally() -> impl Strategy<Value = Tally> {
    (any::<[u64; 2]>(), real(), real(), real(), real()).prop_map(|(counts, a, b, c, d)| Tally {
        objects: counts[0],
        bytes: counts[1],
        objects_estimate: a,
        bytes_estimate: b,
        objects_variance: c,
        bytes_variance: d,
    })
}

fn detail() -> impl Strategy<Value = SiteDetail> {
    let bucket = (any::<[u64; 3]>(), real()).prop_map(|(n, bytes_estimate)| LifetimeBucket {
        from_nanos: n[0],
        to_nanos: n[1],
        objects: n[2],
        bytes_estimate,
    });
    let cohort = (any::<[u64; 2]>(), 0..2u32, tally()).prop_map(|(time, thread, live)| Cohort {
        from_nanos: time[0],
        to_nanos: time[1],
        thread,
        live,
    });
    let cuts = &[
        Cut::Depth,
        Cut::NoUnwindInfo,
        Cut::UnknownRule,
        Cut::BadStack,
    ];
    let tallies = (tally(), tally(), tally(), tally());
    (
        tallies,
        vec(bucket, 0..3),
        vec(cohort, 0..3),
        option(select(cuts.as_slice())),
    )
        .prop_map(|(tallies, lifetimes, cohorts, cut)| {
            let mut detail = SiteDetail::default();
            (detail.alloc, detail.free, detail.live, detail.peak) = tallies;
            (detail.lifetimes, detail.cohorts, detail.cut) = (lifetimes, cohorts, cut);
            detail
        })
}

fn heap() -> impl Strategy<Value = HeapFacts> {
    let loss =
        (text(), text(), any::<u64>(), real()).prop_map(|(reason, meaning, count, bytes)| {
            let mut loss = Loss::default();
            (loss.reason, loss.meaning, loss.count, loss.bytes_estimate) =
                (reason, meaning, count, bytes);
            loss
        });
    let parts = (
        any::<[u64; 5]>(),
        any::<bool>(),
        tally(),
        tally(),
        tally(),
        real(),
    );
    let process = (
        any::<[u32; 2]>(),
        any::<bool>(),
        any::<i64>(),
        text(),
        text(),
    );
    (
        parts,
        vec(loss, 0..3),
        process,
        any::<[u64; 7]>(),
        (text(), text()),
    )
        .prop_map(|(parts, losses, process, more, threads)| {
            let mut heap = HeapFacts::default();
            let numbers;
            (
                numbers,
                heap.exact,
                heap.alloc,
                heap.free,
                heap.live,
                heap.peak_bytes,
            ) = parts;
            [
                heap.interval,
                heap.uptime_nanos,
                heap.peak_nanos,
                heap.requested_bytes,
                heap.requested_slack_bytes,
            ] = numbers;
            heap.losses = losses;
            heap.footprint.mapped_bytes = more[0];
            heap.footprint.resident_bytes = more[1];
            heap.footprint.limit_bytes = more[2];
            heap.footprint.sites = more[3];
            heap.footprint.live_samples = more[4];
            let (ids, forked, start, command, executable) = process;
            heap.process.pid = ids[0];
            heap.process.forked_from = forked.then_some(ids[1]);
            heap.process.start_time_nanos = start;
            heap.process.start_ticks = start.unsigned_abs();
            heap.process.boot_id = command.clone();
            (heap.process.command, heap.process.executable) = (command, executable);
            (heap.process.rss_bytes, heap.process.peak_rss_bytes) = (more[5], more[6]);
            heap.resources = resources(&more);
            heap.threads = vec![threads.0, threads.1]; // Cohorts name threads 0 and 1.
            heap
        })
}

/// Known for half of the processes, and made of the same numbers.
fn resources(numbers: &[u64]) -> Option<Box<resources::Resources>> {
    if numbers[0].is_multiple_of(2) {
        return None;
    }
    let mut resources = resources::Resources::default();
    let memory = &mut resources.memory;
    (memory.rss_bytes, memory.free_bytes) = (numbers[5], numbers[6]);
    (memory.overhead_bytes, memory.unexplained_bytes) = (numbers[1] as i64, numbers[2] as i64);
    resources.fd_limit = numbers[3];
    let mut held = resources::HeldMemory::default();
    (held.name, held.is_global) = ("\u{0}日本".into(), numbers[4].is_multiple_of(2));
    (held.in_use_bytes, held.retained_bytes) = (Some(numbers[4]), None);
    resources.allocators = vec![held];
    let mut count = resources::Count::default();
    (count.name, count.count) = ("a;b\n".into(), numbers[2]);
    resources.threads = vec![count];
    resources.cgroup = (numbers[3].is_multiple_of(2)).then(resources::Cgroup::default);
    Some(Box::new(resources))
}

/// Two profiles over the same program, as two snapshots of it are: distinct builds, functions and addresses.
/// Values are small enough that sums do not overflow.
pub(crate) fn orderly_pair() -> impl Strategy<Value = (Profile, Profile)> {
    let stack = || (vec(0..12u32, 1..6), 0..3u32, any::<[i32; 2]>());
    (vec(stack(), 0..20), vec(stack(), 0..20))
        .prop_map(|(left, right)| (orderly(&left), orderly(&right)))
}

type Stack = (Vec<u32>, u32, [i32; 2]);

fn orderly(stacks: &[Stack]) -> Profile {
    let mut profile = by_hand();
    profile.samples.clear();
    profile.heap = None;
    profile.sample_types.truncate(2);
    profile.default_sample_type = "alloc_space".into();
    (profile.functions, profile.locations) = (Vec::new(), Vec::new());
    for index in 0..12u32 {
        profile
            .functions
            .push(named(&format!("f{index}"), &format!("{index}.rs")));
        let mut location = Location::default();
        location.mapping = Some(MappingId(index % 2));
        let start = profile.mappings[(index % 2) as usize].start;
        location.address = start + 16 * u64::from(index) + 1;
        location.lines = vec![Line {
            function: FunctionId(index),
            line: 10,
            column: 0,
        }];
        profile.locations.push(location);
    }
    for (stack, label, values) in stacks {
        let mut sample = Sample::default();
        sample.locations = stack.iter().copied().map(LocationId).collect();
        sample.values = values.iter().map(|&value| i64::from(value)).collect();
        if *label > 0 {
            sample.labels = vec![Label::number("bytes", i64::from(*label) * 64, "bytes")];
        }
        profile.samples.push(sample);
    }
    profile
}

pub(crate) fn named(name: &str, filename: &str) -> Function {
    let mut function = Function::default();
    (function.name, function.filename) = (name.to_owned(), filename.to_owned());
    function
}

/// A small heap profile as the recorder makes them: two mappings, inlined frames, a label, heap facts.
pub(crate) fn by_hand() -> Profile {
    let mut profile = Profile::default();
    let types = [
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
    ];
    let kind = |(kind, unit): (&str, &str)| ValueType {
        kind: kind.into(),
        unit: unit.into(),
    };
    profile.sample_types = types.into_iter().map(kind).collect();
    profile.default_sample_type = "inuse_space".into();
    profile.period_type = Some(kind(("space", "bytes")));
    profile.period = 524_288;
    profile.time_nanos = 1_700_000_000_000_000_000;
    profile.doc_url = "https://example.org/heapsite".into();

    for (start, file, build_id) in [
        (0x5555_0000_1000, "/opt/app/server", "abcd01"),
        (0x7fff_0000_1000, "/usr/lib/libc.so.6", "ef02"),
    ] {
        let mut mapping = Mapping::default();
        (mapping.start, mapping.limit, mapping.offset) = (start, start + 0x10_0000, 0x1000);
        (mapping.file, mapping.build_id) = (file.into(), build_id.into());
        profile.mappings.push(mapping);
    }
    profile.functions = vec![
        named(
            "<alloc::vec::Vec<T> as core::clone::Clone>::clone",
            "/rustc/library/alloc/src/vec/mod.rs",
        ),
        named("server::cache::insert", "/src/cache.rs"),
        named("server::main", "/src/main.rs"),
    ];
    profile.functions[1].system_name = "_ZN6server5cache6insert17h0123456789abcdefE".into();
    profile.functions[1].start_line = 40;
    let line = |function, line| Line {
        function: FunctionId(function),
        line,
        column: 5,
    };
    let places = [
        (Some(0), 0x5555_0000_2001, vec![line(0, 2700), line(1, 42)]), // clone inlined into insert
        (Some(0), 0x5555_0000_3001, vec![line(2, 12)]),
        (Some(1), 0x7fff_0000_4001, vec![]),
    ];
    for (mapping, address, lines) in places {
        let mut location = Location::default();
        location.mapping = mapping.map(MappingId);
        (location.address, location.lines) = (address, lines);
        profile.locations.push(location);
    }
    for (stack, values, label) in [
        (
            vec![0, 1, 2],
            vec![1000, 64_000, 900, 57_600],
            Some(Label::number("bytes", 64, "")),
        ),
        (vec![1, 2], vec![10, 4096, 0, 0], None),
    ] {
        let mut sample = Sample::default();
        sample.locations = stack.into_iter().map(LocationId).collect();
        (sample.values, sample.labels) = (values, label.into_iter().collect());
        profile.samples.push(sample);
    }

    let mut heap = HeapFacts::default();
    heap.interval = 524_288;
    heap.uptime_nanos = 3_500_000_000;
    (heap.process.pid, heap.process.command) = (4321, "server --port 80".into());
    heap.threads = vec!["main".into()];
    let mut loss = Loss::default();
    (loss.reason, loss.meaning) = ("live-map-full".into(), "frees of these are not seen".into());
    loss.count = 3;
    heap.losses = vec![loss];
    profile.heap = Some(Box::new(heap));
    profile
}
