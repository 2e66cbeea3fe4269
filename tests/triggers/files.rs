//! Files: numbers, keep-N, and what goes wrong with directories and disks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use heapsite::Config;
use heapsite::format::Format;

use crate::harness::{Scenario, files, until_dumps, whole_dump};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "file_every",
        settings: Some("signal=none,every=10ms"),
        program: |dir| {
            let _handle = heapsite::init().unwrap();
            until_dumps(dir, 4);
        },
        check: |outcome| {
            outcome.succeeded();
            let dumps = outcome.files().len();
            let seqs = outcome.whole_dumps(dumps);
            assert_eq!(seqs, (1..=dumps as u64).collect::<Vec<_>>());
            outcome.told(&[]); // a schedule is silent
        },
    },
    Scenario {
        name: "file_keep",
        settings: Some("signal=none,keep=3,symbolize=false"),
        program: |dir| {
            let pid = std::process::id();
            // Left by an earlier process with this id, and by another one: not ours to delete.
            fs::write(dir.join(format!("heapsite.{pid}.4.json")), "earlier").unwrap();
            fs::write(dir.join("heapsite.999999999.1.json"), "other").unwrap();
            let handle = heapsite::init().unwrap();
            for seq in 5..15 {
                assert_eq!(whole_dump(&handle.dump().unwrap()).1, seq);
            }
            // Nor what a call put here.
            heapsite::dump(dir, Format::Json).unwrap();
            handle.dump().unwrap();
        },
        check: |outcome| {
            outcome.succeeded();
            let kept: Vec<String> = outcome
                .files()
                .iter()
                .map(|name| name.splitn(3, '.').nth(2).unwrap().to_owned())
                .collect();
            let ours = ["13.pb.gz", "14.pb.gz", "15.json", "16.pb.gz"];
            assert_eq!(kept, [&["1.json", "4.json"][..], &ours[..]].concat());
        },
    },
    Scenario {
        name: "file_default_dir_is_where_the_start_was",
        settings: Some("signal=none,final=true"),
        program: |_| {
            let _handle = heapsite::init().unwrap();
            std::env::set_current_dir("/").unwrap();
        },
        check: |outcome| assert_eq!(outcome.whole_dumps(1), [1]),
    },
    Scenario {
        name: "file_umask_does_not_matter",
        settings: Some("signal=none"),
        program: |_| {
            // SAFETY: no memory involved.
            unsafe { libc::umask(0o277) };
            heapsite::init().unwrap().dump().unwrap();
            // SAFETY: as above.
            unsafe { libc::umask(0) };
            heapsite::dump(".", Format::Json).unwrap();
        },
        check: |outcome| {
            outcome.succeeded();
            outcome.whole_dumps(2);
        },
    },
    Scenario {
        name: "file_calls_at_once_get_a_dump_each",
        settings: Some("signal=none,keep=all,symbolize=false"),
        program: |dir| {
            let handle = heapsite::init().unwrap();
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| (0..5).for_each(|_| drop(whole_dump(&handle.dump().unwrap()))));
                }
            });
            assert_eq!(files(dir).len(), 40);
        },
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(40), (1..=40).collect::<Vec<_>>());
        },
    },
    Scenario {
        name: "file_calls_without_init",
        settings: None,
        program: |dir| {
            let path = heapsite::dump(dir, Format::Pprof).unwrap();
            assert_eq!(
                path,
                dir.join(format!("heapsite.{}.1.pb.gz", std::process::id()))
            );
            assert!(heapsite::dump(dir, Format::Folded).unwrap_err().is_config());
            assert!(
                heapsite::dump(dir.join("none"), Format::Json)
                    .unwrap_err()
                    .is_io()
            );
        },
        check: |outcome| {
            outcome.succeeded();
            assert_eq!(outcome.whole_dumps(1), [1]);
            outcome.told(&["none`: accepted is a directory that exists"]);
        },
    },
    Scenario {
        name: "file_missing_dir_fails_at_init",
        settings: Some("dir=DIR/none"),
        program: |dir| {
            let error = heapsite::init().unwrap_err();
            assert!(error.is_io());
            let expected = format!(
                "dump directory `{}/none`: accepted is a directory that exists and can be written to: \
                 No such file or directory (os error 2)",
                dir.display()
            );
            assert_eq!(error.to_string(), expected);
            // Nothing runs, so another one may.
            let _handle = Config::new().init().unwrap();
        },
        check: |outcome| outcome.succeeded(),
    },
    Scenario {
        name: "file_vanished_dir",
        settings: Some("signal=SIGUSR1,dir=DIR/sub"),
        program: vanished,
        check: |outcome| {
            outcome.succeeded();
            let line = "sub`: No such file or directory";
            outcome.told(&[line, line]);
        },
    },
    Scenario {
        name: "file_unwritable_dir",
        settings: Some("dir=DIR/sub"),
        program: unwritable,
        check: |outcome| {
            outcome.succeeded();
            // The default directory is only complained about; then one line per dump.
            outcome.told(&[
                "Permission denied (os error 13) (HEAPSITE=dir=",
                "Permission denied",
            ]);
            assert_eq!(outcome.files(), ["sub"]);
        },
    },
    Scenario {
        name: "file_size_limit",
        settings: Some("signal=none"),
        program: too_large,
        check: |outcome| {
            outcome.succeeded();
            outcome.told(&["File too large"]);
            assert_eq!(outcome.whole_dumps(1).len(), 1);
        },
    },
    Scenario {
        name: "file_full_disk",
        settings: Some("signal=none,format=json"),
        program: full_disk,
        check: |outcome| {
            outcome.succeeded();
            if !outcome.stderr.starts_with("skipped") {
                outcome.told(&[
                    "No space left on device",
                    "the disk is full: deleted the old dump",
                ]);
            }
        },
    },
    Scenario {
        name: "file_addresses_only",
        settings: Some("signal=none,symbolize=false"),
        program: |_| {
            let path = heapsite::init().unwrap().dump().unwrap();
            assert!(whole_dump(&path).2.functions.is_empty());
        },
        check: |outcome| outcome.succeeded(),
    },
];

fn vanished(dir: &Path) {
    let sub = dir.join("sub");
    fs::create_dir(&sub).unwrap();
    let handle = heapsite::init().unwrap();
    fs::remove_dir(&sub).unwrap();
    let error = handle.dump().unwrap_err();
    assert!(
        error.is_io() && error.to_string().contains(sub.to_str().unwrap()),
        "{error}"
    );
    fs::create_dir(&sub).unwrap();
    whole_dump(&handle.dump().unwrap());
    fs::remove_dir_all(&sub).unwrap();
    crate::signals::raise(libc::SIGUSR1);
    drop(handle); // a pending signal is served before it returns
    assert_eq!(files(dir).len(), 0);
}

/// Root may write anywhere, so this gives its rights up.
fn unwritable(dir: &Path) {
    let sub = dir.join("sub");
    fs::create_dir(&sub).unwrap();
    fs::set_permissions(&sub, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o555)).unwrap();
    // SAFETY: no memory involved; without root's rights it fails, and is not needed.
    unsafe { libc::setuid(65_534) };
    let error = heapsite::init().unwrap_err();
    let expected = format!(
        "key `dir`: cannot create a dump in `{}`: Permission denied (os error 13)",
        sub.display()
    );
    assert_eq!(error.to_string(), expected);
    let handle = Config::new().no_signal().init().unwrap();
    let error = handle.dump().unwrap_err();
    assert!(
        error.is_io() && error.to_string().contains("Permission denied"),
        "{error}"
    );
}

/// Writing past a limit on file sizes ends a process by SIGXFSZ; not on the helper thread, which blocks it.
fn too_large(dir: &Path) {
    let handle = heapsite::init().unwrap();
    let limit = |bytes| {
        let limit = libc::rlimit {
            rlim_cur: bytes,
            rlim_max: libc::RLIM_INFINITY,
        };
        // SAFETY: a local struct.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &limit) }, 0);
    };
    limit(4);
    let error = handle.dump().unwrap_err();
    assert!(error.to_string().contains("File too large"), "{error}");
    assert_eq!(files(dir).len(), 0);
    limit(libc::RLIM_INFINITY);
    handle.dump().unwrap();
}

fn full_disk(dir: &Path) {
    let small = dir.join("small");
    fs::create_dir(&small).unwrap();
    if !mount_tmpfs(&small) {
        eprintln!("skipped: a file system may not be mounted here");
        return;
    }
    let config = || Config::from_env().unwrap().dir(&small);
    let handle = config().keep_all().init().unwrap();
    let whole = handle.dump().unwrap();
    fill(&small.join("filler"));
    let error = handle.dump().unwrap_err();
    assert!(
        error.to_string().contains("No space left on device"),
        "{error}"
    );
    assert_eq!(
        files(&small).len(),
        2,
        "the filler and the first dump: {:?}",
        files(&small)
    );
    whole_dump(&whole);
    // The service goes on, and so do the dumps once there is room.
    fs::remove_file(small.join("filler")).unwrap();
    whole_dump(&handle.dump().unwrap());
    drop(handle);
    // Where old dumps may go, the oldest of this handle makes room; the others stay.
    let handle = config().keep(5).init().unwrap();
    let oldest = handle.dump().unwrap();
    fill(&small.join("filler"));
    let newest = handle.dump().unwrap();
    whole_dump(&newest);
    assert!(!oldest.exists() && whole.exists());
    drop(handle);
    // SAFETY: a terminated path.
    assert_eq!(unsafe { libc::umount(c"small".as_ptr()) }, 0);
    fs::remove_dir(&small).unwrap();
}

/// Mounts a file system of a few pages, in a mount namespace of its own where that is allowed.
fn mount_tmpfs(at: &Path) -> bool {
    let path = std::ffi::CString::new(at.to_str().unwrap()).unwrap();
    // SAFETY: terminated strings; a private namespace, so nobody else sees the mount.
    unsafe {
        libc::unshare(libc::CLONE_NEWNS) == 0
            && libc::mount(
                std::ptr::null(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ) == 0
            && libc::mount(
                c"none".as_ptr(),
                path.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                c"size=64k".as_ptr().cast(),
            ) == 0
    }
}

/// Takes all room that is left.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    while file.write(&[b'x'; 512]).is_ok_and(|written| written > 0) {}
}
