//! A thousand processes of one service: one program at other addresses in each, some of other builds, each with stacks and
//! counts of its own. Shared with `benches/formats.rs`.
#![forbid(unsafe_code)]

use heapsite::profile::*;

use crate::call_tree::{self, Shape};

/// Processes of one service, by number. The same numbers make the same profiles everywhere.
pub(crate) struct Fleet(Profile);

impl Fleet {
    pub(crate) fn new() -> Fleet {
        Fleet(call_tree::one(Shape {
            samples: 120,
            depth: 16,
            locations: 1_000,
        }))
    }

    /// As a JSON dump keeps it: with details and facts.
    pub(crate) fn process(&self, number: u64) -> Profile {
        let mut profile = self.0.clone();
        let mut random = call_tree::Random(number + 1);
        // Where the kernel happened to put it.
        let slide = random.below(1 << 24) << 12;
        let mapping = &mut profile.mappings[0];
        (mapping.start, mapping.limit) = (mapping.start + slide, mapping.limit + slide);
        // One in ten is a canary, of two builds.
        if number % 10 == 9 {
            mapping.build_id = format!("ca9a71{}", number % 20 / 10);
        }
        for location in &mut profile.locations {
            location.address += slide;
        }
        let mut heap = HeapFacts::default();
        heap.interval = 524_288;
        heap.uptime_nanos = (60 + random.below(100_000)) * 1_000_000_000;
        heap.threads = vec![
            "main".into(),
            "worker".into(),
            format!("conn-{}", number % 8),
        ];
        let keep = random.below(3);
        let mut at = 0;
        profile.samples.retain(|_| {
            at += 1;
            at % 3 != keep
        });
        for sample in &mut profile.samples {
            let factor = 1 + random.below(9) as i64;
            sample.values.iter_mut().for_each(|value| *value *= factor);
            let detail = detail(&sample.values, &mut random, heap.uptime_nanos);
            heap.alloc = heap.alloc.plus(detail.alloc);
            heap.live = heap.live.plus(detail.live);
            sample.detail = Some(Box::new(detail));
        }
        // In a container every process is number 1.
        (heap.process.pid, heap.process.boot_id) = (1, "b007".into());
        (heap.process.start_ticks, heap.process.command) = (1_000 + number, "shop --all".into());
        (heap.process.rss_bytes, heap.process.peak_rss_bytes) = (64 << 20, 80 << 20);
        heap.resources = Some(Box::new(resources(&heap, &mut random)));
        profile.heap = Some(Box::new(heap));
        let named = 900 + number % 100;
        profile.comments = vec![format!(
            "{named} of 1000 addresses named, {named} with source lines"
        )];
        profile.time_nanos = 1_700_000_000_000_000_000 + (number as i64 % 300) * 1_000_000_000;
        profile
    }
}

/// Whole numbers, so that their sums are exact.
fn detail(values: &[i64], random: &mut call_tree::Random, uptime: u64) -> SiteDetail {
    let tally = |objects: i64, bytes: i64| Tally {
        objects: 1,
        bytes: 64,
        objects_estimate: objects as f64,
        bytes_estimate: bytes as f64,
        objects_variance: (objects / 2) as f64,
        bytes_variance: (bytes / 2) as f64,
    };
    let mut detail = SiteDetail::default();
    (detail.alloc, detail.live) = (tally(values[0], values[1]), tally(values[2], values[3]));
    detail.lifetimes = vec![LifetimeBucket {
        from_nanos: 1 << 20,
        to_nanos: 1 << 21,
        objects: 3,
        bytes_estimate: 100.0,
    }];
    for thread in 0..3 {
        let born = random.below(uptime);
        detail.cohorts.push(Cohort {
            from_nanos: born,
            to_nanos: born + (uptime - born) / 64,
            thread,
            live: Tally {
                objects: 1,
                ..tally(1, 100)
            },
        });
    }
    detail
}

fn resources(heap: &HeapFacts, random: &mut call_tree::Random) -> resources::Resources {
    let mut held = resources::Resources::default();
    let memory = &mut held.memory;
    memory.live_bytes = heap.live.bytes_estimate as u64;
    memory.stacks_bytes = 1 << 20;
    memory.free_bytes = random.below(1 << 24);
    memory.rss_bytes = memory.live_bytes + memory.stacks_bytes + memory.free_bytes;
    held.threads = heap.threads.iter().map(|name| count(name, 1)).collect();
    held.fds = vec![count("socket", 1 + random.below(100))];
    held
}

fn count(name: &str, count: u64) -> resources::Count {
    let mut one = resources::Count::default();
    (one.name, one.count) = (name.to_owned(), count);
    one
}
