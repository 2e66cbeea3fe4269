//! Lists of tasks and threads of a real process: Go's pprof sees the same numbers, stacks and labels.

use super::{Pprof, path};

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn tasks_and_threads_are_read() {
    #[inline(never)]
    fn waits_at_the_gate(gate: &std::sync::Mutex<()>) {
        drop(std::hint::black_box(gate.lock()));
    }

    let dir = tempfile::tempdir().unwrap();
    let gate = std::sync::Arc::new(std::sync::Mutex::new(()));
    let before = heapsite::thread::dump().to_profile();
    let closed = gate.lock().unwrap();
    let waiting: Vec<_> = (0..3)
        .map(|number| {
            let gate = std::sync::Arc::clone(&gate);
            let builder = std::thread::Builder::new().name(format!("gate-{number}"));
            builder.spawn(move || waits_at_the_gate(&gate)).unwrap()
        })
        .collect();
    // A moment until all of them are there.
    let after = loop {
        let profile = heapsite::thread::dump().to_profile();
        if in_function(&profile, "waits_at_the_gate") == 3 {
            break profile;
        }
    };
    drop(closed);
    for thread in waiting {
        thread.join().unwrap();
    }
    #[cfg_attr(
        not(feature = "task"),
        expect(unused_mut, reason = "tasks come with the feature")
    )]
    let mut kinds = vec![("threads", "waits_at_the_gate", "thread:", before, after)];
    #[cfg(feature = "task")]
    {
        let before = heapsite::task::dump().to_profile();
        let gates: Vec<_> = (0..3)
            .map(|_| {
                let mut gate = Box::pin(heapsite::task::track(waits_for_ever()));
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(gate.as_mut().poll(&mut context).is_pending());
                gate
            })
            .collect();
        let after = heapsite::task::dump().to_profile();
        drop(gates);
        kinds.push(("tasks", "waits_for_ever", "spawned_at:", before, after));
    }
    for variable in ["HEAPSITE_PPROF_OLD", "HEAPSITE_PPROF_NEW"] {
        let tool = Pprof {
            name: variable,
            tool: std::env::var_os(variable)
                .unwrap_or_else(|| panic!("{variable} is not set; see ci/viewers.sh"))
                .into(),
            dir: dir.path().to_owned(),
        };
        for (kind, function, label, before, after) in &kinds {
            let [base, now] = [("base", before), ("now", after)].map(|(name, profile)| {
                let file = dir.path().join(format!("{kind}-{name}.pb.gz"));
                let mut bytes = Vec::new();
                heapsite::format::pprof::write(profile, &mut bytes).unwrap();
                std::fs::write(&file, bytes).unwrap();
                file
            });
            let total = |profile: &heapsite::Profile| -> i64 {
                profile.samples.iter().map(|sample| sample.values[0]).sum()
            };
            let cum = |rows: &[(String, (i64, i64))]| -> i64 {
                let of = rows.iter().filter(|(name, _)| name.contains(function));
                of.map(|(_, (_, cum))| *cum).max().unwrap_or(0)
            };
            let (now_file, base_file) = (path(&now), path(&base));
            let top = tool.top_in_order(&["-cum", "-functions", now_file]);
            assert_eq!(cum(&top), 3, "{variable} {kind}: {top:?}");
            let flat: i64 = top.iter().map(|(_, (flat, _))| flat).sum();
            assert_eq!(flat, total(after), "{variable} {kind}: {top:?}");
            let grown = tool.top_in_order(&["-cum", "-functions", "-base", base_file, now_file]);
            assert_eq!(cum(&grown), 3, "{variable} {kind}: {grown:?}");
            let traces = tool.run(&["-traces", now_file]);
            assert!(traces.contains(function), "{variable}: {traces}");
            let tags = tool.run(&["-tags", now_file]);
            for wanted in ["state:", label] {
                assert!(tags.contains(wanted), "{variable}: {tags}");
            }
        }
    }
}

#[cfg(feature = "task")]
async fn waits_for_ever() {
    std::future::poll_fn(|context| {
        // As a leaf does that means to wake its task.
        drop(context.waker().clone());
        std::task::Poll::<()>::Pending
    })
    .await;
}

/// How many a profile has in a function.
fn in_function(profile: &heapsite::Profile, function: &str) -> i64 {
    let samples = profile.samples.iter().filter(|sample| {
        let locations = sample.locations.iter();
        let mut lines = locations.flat_map(|id| &profile.locations[id.0 as usize].lines);
        lines.any(|line| {
            profile.functions[line.function.0 as usize]
                .name
                .contains(function)
        })
    });
    samples.map(|sample| sample.values[0]).sum()
}
