//! `HEAPSITE` as a process gets it.

use std::time::Duration;

use heapsite::Config;

use crate::harness::Scenario;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "settings_bad_value",
        settings: Some("final=true,every=60"),
        program: |_| {
            refused(
                "HEAPSITE: key `every`, value `60`: accepted is a whole number above 0 with ms, s, m or h, \
                 such as 60s",
            );
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(0);
        },
    },
    Scenario {
        name: "settings_unknown_key",
        settings: Some("sginal=SIGUSR1"),
        program: |_| {
            refused(
                "HEAPSITE: key `sginal`, value `SIGUSR1`: unknown key; accepted keys are interval, memory, signal, \
                 dir, format, every, keep, final, symbolize, thread_signal, evidence, evidence_pause, evidence_at, leak_watch, leak_watch_dump, leak_watch_fill, http, http_history, http_remote, http_token, \
                 push, push_name, push_labels, push_interval, push_max, push_user, push_password, push_token, push_tenant, push_ca",
            );
        },
        check: |outcome| outcome.succeeded(),
    },
    Scenario {
        name: "settings_least_memory",
        settings: Some("memory=1023KiB"),
        program: |dir| {
            refused(
                "key `memory`, value `1047552`: accepted are at least 1048576 bytes (1MiB), which the recorder's \
                 first tables need",
            );
            let config = Config::new().memory(1 << 20).interval(1).no_signal();
            let _handle = config.init().unwrap();
            let kept: Vec<String> = (0..100).map(|n: u32| n.to_string()).collect();
            let facts = heapsite::snapshot().facts;
            assert!(facts.live.objects > 100, "{facts:?}");
            // The static tables on top: 3.5 MiB.
            assert!(
                facts.footprint.mapped_bytes <= (1 << 20) + (7 << 19),
                "{facts:?}"
            );
            let full = |name: &str| name.ends_with("-full");
            assert!(
                !facts.losses.iter().any(|loss| full(&loss.reason)),
                "{facts:?}"
            );
            drop(kept);
            assert_eq!(crate::harness::files(dir).len(), 0);
        },
        check: |outcome| outcome.succeeded(),
    },
    Scenario {
        name: "settings_not_utf8",
        settings: None,
        program: |_| {
            use std::os::unix::ffi::OsStrExt;
            let value = std::ffi::OsStr::from_bytes(b"dir=/\xff");
            // SAFETY: no other thread runs yet.
            unsafe { std::env::set_var("HEAPSITE", value) };
            let error = heapsite::init().unwrap_err().to_string();
            assert!(
                error.starts_with(r#"HEAPSITE: value "dir=/\xFF" is not UTF-8"#),
                "{error}"
            );
        },
        check: |outcome| outcome.succeeded(),
    },
    Scenario {
        name: "settings_empty_is_default",
        settings: Some(""),
        program: |_| assert_eq!(Config::from_env().unwrap(), Config::default()),
        check: |outcome| outcome.succeeded(),
    },
    Scenario {
        name: "settings_second_init",
        settings: None,
        program: |_| {
            let first = heapsite::init().unwrap();
            let message = "triggers are already running in this process: accepted is one `init` at a time; \
                           drop the first `Handle` before the next `init`";
            refused(message);
            let error = Config::new()
                .every(Duration::from_millis(1))
                .init()
                .unwrap_err();
            assert_eq!(error.to_string(), message);
            // The first one has not noticed.
            first.dump().unwrap();
            drop(first);
            heapsite::init().unwrap().dump().unwrap();
        },
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(2), [1, 2]);
        },
    },
    Scenario {
        name: "settings_init_by_many_threads",
        settings: None,
        program: |_| {
            let handles = std::sync::Mutex::new(Vec::new());
            std::thread::scope(|scope| {
                for _ in 0..16 {
                    scope.spawn(|| {
                        heapsite::init().map(|handle| handles.lock().unwrap().push(handle))
                    });
                }
            });
            assert_eq!(handles.into_inner().unwrap().len(), 1);
        },
        check: |outcome| outcome.succeeded(),
    },
];

fn refused(message: &str) {
    let error = heapsite::init().unwrap_err();
    assert!(error.is_config());
    assert_eq!(error.to_string(), message);
}
