//! The estimator: unbiased in count and bytes, and its error bar covers the truth as often as it says.
//!
//! A `Heapsite` over an allocator that only makes up addresses is called directly, so that 64 MiB blocks and
//! millions of single bytes cost nothing; the process's own allocator is not watched. All randomness is
//! seeded: a run passes or fails for ever. The odds stated are those of a wrong alarm for a seed chosen
//! blindly.

use std::alloc::{GlobalAlloc, Layout};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use heapsite::internals::set_seed;
use heapsite::profile::Tally;
use heapsite::{Heapsite, set_sample_interval, snapshot};

/// Hands out addresses that nothing is behind.
struct MadeUp;

static NEXT: AtomicUsize = AtomicUsize::new(0x1000_0000_0000);

// SAFETY: not a usable allocator at all; only this test calls it, and never touches what it gets.
unsafe impl GlobalAlloc for MadeUp {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let address = NEXT.fetch_add(layout.size().next_multiple_of(16), Ordering::Relaxed);
        std::ptr::without_provenance_mut(address)
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

    unsafe fn realloc(&self, _: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as `alloc`.
        unsafe { self.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) }
    }
}

static HEAP: Heapsite<MadeUp> = Heapsite::new(MadeUp);

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 1).expect("sizes in this file are small")
}

fn alloc(size: usize) -> *mut u8 {
    // SAFETY: `MadeUp` accepts anything.
    unsafe { HEAP.alloc(layout(size)) }
}

fn free(block: *mut u8, size: usize) {
    // SAFETY: `MadeUp` accepts anything.
    unsafe { HEAP.dealloc(block, layout(size)) }
}

fn grow(block: *mut u8, size: usize, new_size: usize) -> *mut u8 {
    // SAFETY: `MadeUp` accepts anything.
    unsafe { HEAP.realloc(block, layout(size), new_size) }
}

/// Everything allocated, and everything live, so far.
fn totals() -> (Tally, Tally) {
    let facts = snapshot().facts;
    (facts.alloc, facts.live)
}

fn main() -> ExitCode {
    let tests: [(&str, fn()); 6] = [
        (
            "each_size_is_sampled_as_often_as_it_should",
            each_size_is_sampled_as_often_as_it_should,
        ),
        (
            "a_mix_of_sizes_is_estimated_without_bias",
            a_mix_of_sizes_is_estimated_without_bias,
        ),
        (
            "realloc_ladders_are_estimated_without_bias",
            realloc_ladders_are_estimated_without_bias,
        ),
        (
            "error_bars_cover_the_truth_as_often_as_they_say",
            error_bars_cover_the_truth_as_often_as_they_say,
        ),
        (
            "a_changed_interval_keeps_estimates_unbiased",
            a_changed_interval_keeps_estimates_unbiased,
        ),
        (
            "an_interval_changed_by_another_thread_keeps_estimates_unbiased",
            an_interval_changed_by_another_thread_keeps_estimates_unbiased,
        ),
    ];
    println!("running {} tests", tests.len());
    for (name, test) in tests {
        test();
        println!("test {name} ... ok");
    }
    println!("\ntest result: ok. {} passed; 0 failed", tests.len());
    ExitCode::SUCCESS
}

/// 1 B to 64 MiB at 4 KiB to 4 MiB. All allocations of a case have one size, so its sampled ones are
/// binomial: the tail beyond what was seen must not be below 1e-9 on either side. 48 cases: odds 1e-7.
fn each_size_is_sampled_as_often_as_it_should() {
    for interval in [4 << 10, 64 << 10, 512 << 10, 4 << 20] {
        for size in [
            1usize,
            16,
            64,
            100,
            1000,
            4096,
            10_000,
            65_536,
            524_288,
            1 << 20,
            8 << 20,
            64 << 20,
        ] {
            set_sample_interval(interval);
            set_seed(size as u64 ^ interval);
            let p = -(-(size as f64) / interval as f64).exp_m1();
            // About 1,000 samples, or as many as 400,000 allocations give.
            let count = ((1000.0 / p) as u64).clamp(1000, 400_000);
            let before = totals().0;
            for _ in 0..count {
                free(alloc(size), size);
            }
            let after = totals().0;
            let sampled = after.objects - before.objects;
            let tail = binomial_tail(count, p, sampled);
            assert!(
                tail > 1e-9,
                "{size} B at {interval}: {sampled} of {count} sampled, tail {tail:e}"
            );
            let estimate = after.bytes_estimate - before.bytes_estimate;
            let expected = sampled as f64 * size as f64 / p;
            // Each weight is rounded to 1/2^16 and each product to a byte.
            assert!(
                (estimate - expected).abs() <= expected * 1e-4 + sampled as f64,
                "{size} at {interval}"
            );
        }
    }
    let live = totals().1;
    assert_eq!(
        (live.objects, live.bytes_estimate, live.bytes_variance),
        (0, 0.0, 0.0),
        "all was freed"
    );
}

/// The smaller tail of a binomial at `seen`, both ends included.
fn binomial_tail(count: u64, p: f64, seen: u64) -> f64 {
    if p > 1.0 - 1e-12 {
        return if seen == count { 1.0 } else { 0.0 };
    }
    // Terms by the recurrence b(k+1)/b(k) = (n−k)/(k+1) · p/(1−p), from log b(0).
    let (n, ratio) = (count as f64, (p / (1.0 - p)).ln());
    let mut log_term = n * (-p).ln_1p();
    let (mut below, mut above) = (0.0, 0.0);
    for k in 0..=count {
        let term = log_term.exp();
        if k <= seen {
            below += term;
        }
        if k >= seen {
            above += term;
        }
        log_term += ((n - k as f64) / (k as f64 + 1.0)).ln() + ratio;
    }
    f64::min(below, above)
}

/// A spread of sizes as programs have them: many small, few large.
fn mixed_size(step: u64) -> usize {
    let draw = step.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    match draw % 100 {
        0..60 => 16 + (draw / 100 % 112) as usize,
        60..90 => 128 + (draw / 100 % 4000) as usize,
        90..99 => 4 << 10 | (draw / 100 % 60_000) as usize,
        _ => 128 << 10 | (draw / 100 % 2_000_000) as usize,
    }
}

/// The mean of an estimate over many trials, against the truth: `errors` are relative to each trial's own
/// standard deviation, so their mean is normal with deviation 1/√trials; six of those are passed by chance
/// once in 5e8.
fn assert_unbiased(errors: &[f64], what: &str) {
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let bound = 6.0 / (errors.len() as f64).sqrt();
    assert!(
        mean.abs() < bound,
        "{what}: mean error {mean:.3} standard deviations, bound {bound:.3}"
    );
}

/// Standard deviation of an estimated sum over allocations of these sizes: √Σ (1−p)/p · value².
fn deviation(sizes: &[usize], interval: u64, value: impl Fn(usize) -> f64) -> f64 {
    let variance: f64 = sizes
        .iter()
        .map(|size| {
            let p = -(-(*size as f64) / interval as f64).exp_m1();
            (1.0 - p) / p * value(*size).powi(2)
        })
        .sum();
    variance.sqrt()
}

fn a_mix_of_sizes_is_estimated_without_bias() {
    for interval in [4 << 10, 64 << 10, 512 << 10, 4 << 20] {
        set_sample_interval(interval);
        set_seed(interval);
        let (mut byte_errors, mut count_errors) = (Vec::new(), Vec::new());
        for trial in 0..100 {
            let sizes: Vec<usize> = (0..4000)
                .map(|step| mixed_size(trial * 4000 + step))
                .collect();
            let before = totals().1;
            let blocks: Vec<*mut u8> = sizes.iter().map(|size| alloc(*size)).collect();
            let after = totals().1;
            for (block, size) in blocks.into_iter().zip(&sizes) {
                free(block, *size);
            }
            let true_bytes: usize = sizes.iter().sum();
            byte_errors.push(
                (after.bytes_estimate - before.bytes_estimate - true_bytes as f64)
                    / deviation(&sizes, interval, |size| size as f64),
            );
            count_errors.push(
                (after.objects_estimate - before.objects_estimate - sizes.len() as f64)
                    / deviation(&sizes, interval, |_| 1.0),
            );
        }
        assert_unbiased(&byte_errors, &format!("bytes at {interval}"));
        assert_unbiased(&count_errors, &format!("objects at {interval}"));
    }
}

/// Vectors that double from 64 B up: every step frees the old size and decides anew on the new one. What is
/// live at the end is the last size; what was allocated is the sum of all.
fn realloc_ladders_are_estimated_without_bias() {
    for interval in [4 << 10, 64 << 10, 512 << 10] {
        set_sample_interval(interval);
        set_seed(interval + 1);
        let (mut live_errors, mut alloc_errors) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            let before = totals();
            let (mut blocks, mut live_sizes, mut all_sizes) = (Vec::new(), Vec::new(), Vec::new());
            for ladder in 0..200 {
                let last = 64usize << (ladder % 14);
                let mut size = 64;
                let mut block = alloc(size);
                all_sizes.push(size);
                while size < last {
                    block = grow(block, size, size * 2);
                    size *= 2;
                    all_sizes.push(size);
                }
                blocks.push((block, size));
                live_sizes.push(size);
            }
            let after = totals();
            for (block, size) in blocks {
                free(block, size);
            }
            let error = |before: Tally, after: Tally, sizes: &[usize]| {
                let truth: usize = sizes.iter().sum();
                (after.bytes_estimate - before.bytes_estimate - truth as f64)
                    / deviation(sizes, interval, |size| size as f64)
            };
            live_errors.push(error(before.1, after.1, &live_sizes));
            alloc_errors.push(error(before.0, after.0, &all_sizes));
        }
        assert_unbiased(&live_errors, &format!("live at {interval}"));
        assert_unbiased(&alloc_errors, &format!("allocated at {interval}"));
    }
}

/// About 200 samples a trial, 1,000 trials. ±1 standard error should cover 68.3 % and ±1.96 95 %; with 200
/// samples the normal approximation is right to about a percent. Bounds: five binomial deviations (7.4
/// and 3.5 points; 6e-7 both ways) plus that percent.
fn error_bars_cover_the_truth_as_often_as_they_say() {
    let interval = 64 << 10;
    set_sample_interval(interval);
    set_seed(3);
    let trials = 1000;
    let (mut within_1, mut within_2) = (0, 0);
    for trial in 0..trials {
        let sizes: Vec<usize> = (0..5000u64)
            .map(|step| 100 + (mixed_size(trial * 5000 + step) % 8192))
            .collect();
        let blocks: Vec<*mut u8> = sizes.iter().map(|size| alloc(*size)).collect();
        let live = totals().1;
        for (block, size) in blocks.into_iter().zip(&sizes) {
            free(block, *size);
        }
        let error = (live.bytes_estimate - sizes.iter().sum::<usize>() as f64).abs();
        let bar = live.bytes_variance.sqrt();
        within_1 += i32::from(error <= bar);
        within_2 += i32::from(error <= 1.96 * bar);
    }
    let share = |count: i32| f64::from(count) / trials as f64;
    println!(
        "covered: {:.3} within one standard error, {:.3} within 1.96",
        share(within_1),
        share(within_2)
    );
    assert!(
        (share(within_1) - 0.683).abs() < 0.084,
        "{within_1} of {trials} within one"
    );
    assert!(
        (share(within_2) - 0.950).abs() < 0.045,
        "{within_2} of {trials} within 1.96"
    );
}

/// What is live keeps the weight it was born with when the interval changes, also through off and exact.
fn a_changed_interval_keeps_estimates_unbiased() {
    let intervals = [512 << 10, 4 << 10, 1, 64 << 10];
    let mut errors = Vec::new();
    for trial in 0..200u64 {
        let (mut blocks, mut truth, mut variance) = (Vec::new(), 0.0, 0.0);
        for (turn, interval) in intervals.into_iter().enumerate() {
            set_sample_interval(interval);
            set_seed(trial * 10 + turn as u64);
            let sizes: Vec<usize> = (0..500)
                .map(|step| mixed_size(trial * 5000 + step))
                .collect();
            truth += sizes.iter().sum::<usize>() as f64;
            if interval > 1 {
                variance += deviation(&sizes, interval, |size| size as f64).powi(2);
            }
            blocks.extend(sizes.iter().map(|size| (alloc(*size), *size)));
        }
        set_sample_interval(0);
        alloc(1_000_000_000); // not recorded
        errors.push((totals().1.bytes_estimate - truth) / variance.sqrt());
        for (block, size) in blocks {
            free(block, size);
        }
        assert_eq!(
            totals().1.objects,
            0,
            "everything settles, whatever the interval is by then"
        );
    }
    assert_unbiased(&errors, "across intervals");
}

/// A thread that allocates all the while notices a change at one of its look-ups, which its old gap brought about
/// half of the time. 800 MB in requests of 100 bytes, switched between 4 KiB and 64 KiB every 64 KiB: known to 0.7 %
/// when it is right, and 8 % too low when the marks that the old gap had set are forgotten. 5 standard errors: 6e-7.
fn an_interval_changed_by_another_thread_keeps_estimates_unbiased() {
    let (size, per_turn, turns) = (100usize, 655u64, 12_000u64);
    let (switch, switched) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    set_sample_interval(64 << 10);
    let before = totals().0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            set_seed(21);
            for _ in 0..turns {
                for _ in 0..per_turn {
                    free(alloc(size), size);
                }
                switch.wait();
                switched.wait();
            }
        });
        for turn in 0..turns {
            switch.wait();
            set_sample_interval(if turn % 2 == 0 { 4 << 10 } else { 64 << 10 });
            switched.wait();
        }
    });
    let after = totals().0;
    let truth = (size as u64 * per_turn * turns) as f64;
    let error = after.bytes_estimate - before.bytes_estimate - truth;
    let bar = (after.bytes_variance - before.bytes_variance).sqrt();
    println!(
        "{:+.2} % off, one standard error is {:.2} %",
        error / truth * 100.0,
        bar / truth * 100.0
    );
    assert!(
        bar < truth / 100.0 && error.abs() < 5.0 * bar,
        "{error} bytes off, bar {bar}"
    );
}
