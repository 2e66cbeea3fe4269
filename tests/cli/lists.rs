//! Lists of tasks and threads as heapsite writes them, and goroutines as Go does, made by hand.

use std::path::Path;

/// Writes every list into `dir`.
pub(crate) fn write_all(dir: &Path) {
    let save = |name: &str, text: String| std::fs::write(dir.join(name), text).unwrap();
    save("tasks-base.json", tasks(2, 10));
    save("tasks-new.json", tasks(6, 70));
    save("threads.json", threads());
    save("goroutines-base.txt", counted(3));
    save("goroutines-new.txt", counted(5));
    save("goroutines.txt", BLOCKS.to_owned());
}

/// A shop after so many minutes: so many refreshes that wait for a channel, one of two things that a mailer waits for, a task
/// that runs, one that nobody has polled, and two that are not listed.
fn tasks(refreshes: u64, minutes: u64) -> String {
    let minute = 60_000_000_000;
    let task = |id: u64, name: &str, site: u64, from: u64, rest: &str| {
        let age = (minutes - id.min(minutes - 1)) * minute;
        format!(
            r#"{{"id":{id},"name":"{name}","spawn_site":{site},"spawned_from":{from},"age_nanos":{age},{rest}}}"#
        )
    };
    let waits = |stacks: &str| {
        format!(r#""state":"waiting","polls":3,"since_poll_nanos":{minute},"awaits":[{stacks}]"#)
    };
    let mut all = vec![
        task(1, "mailer", 1, 4, &waits("1,2")),
        task(
            2,
            "",
            0,
            3,
            r#""state":"running","polls":1,"thread":4712,"since_poll_nanos":1000,"awaits":[]"#,
        ),
        task(
            3,
            "",
            0,
            3,
            r#""state":"never polled","polls":0,"awaits":[]"#,
        ),
    ];
    all.extend((4..4 + refreshes).map(|id| task(id, &format!("refresh {id}"), 0, 3, &waits("0"))));
    let time = 1_795_477_429_000_000_000 + minutes * minute;
    let alive = refreshes + 2;
    let started = alive + 40;
    format!(
        r#"{{"format":"heapsite-tasks","version":1,"time_nanos":{time},"pid":4711,"executable":"/srv/bin/shop","spawn_sites":[
{{"file":"src/api.rs","line":42,"column":9,"future":"shop::refresh::run::{{{{closure}}}}","started":{started},"alive":{alive},"completed":37,"panicked":1,"cancelled":2,"unlisted":0}},
{{"file":"src/main.rs","line":12,"column":5,"future":"shop::mail::run::{{{{closure}}}}","started":3,"alive":3,"completed":0,"panicked":0,"cancelled":0,"unlisted":2}}],
"frames":[["tokio::sync::mpsc::bounded::Receiver<T>::recv::{{{{closure}}}}","/h/.cargo/registry/src/i-1/tokio-1.48.0/src/sync/mpsc.rs",7],
["shop::refresh::run::{{{{closure}}}}","/home/dev/shop/src/refresh.rs",88],
["<tokio::time::sleep::Sleep as core::future::future::Future>::poll","/h/.cargo/registry/src/i-1/tokio-1.48.0/src/time/sleep.rs",9],
["shop::mail::run::{{{{closure}}}}","/home/dev/shop/src/mail.rs",31],
["shop::mail::run::{{{{closure}}}}","/home/dev/shop/src/mail.rs",33],
["shop::api::get","/home/dev/shop/src/api.rs",42],
["shop::main","/home/dev/shop/src/main.rs",12]],
"stacks":[[0,1],[0,3],[2,4],[5,6],[6]],
"tasks":[{}]}}
"#,
        all.join(",\n")
    )
}

/// Workers of a pool, the main thread, and one that could not be asked.
fn threads() -> String {
    let thread = |id: u64, name: &str, rest: &str| {
        let age = (10 - (id - 4711)) * 60_000_000_000;
        format!(
            r#"{{"id":{id},"name":"{name}","state":"sleeping","cpu_nanos":{}0000000,"age_nanos":{age},{rest}}}"#,
            id - 4700
        )
    };
    let all = [
        thread(4711, "shop", r#""stack":0"#),
        thread(4712, "worker-1", r#""stack":1,"created_from":2"#),
        thread(4713, "worker-2", r#""stack":1,"created_from":2"#),
        thread(4714, "signals", r#""no_stack":"signal-blocked""#),
    ];
    format!(
        r#"{{"format":"heapsite-threads","version":1,"time_nanos":1795477429000000000,"pid":4711,"executable":"/srv/bin/shop",
"frames":[["std::thread::park","/rustc/9b00/library/std/src/thread/mod.rs",3],
["shop::main","/home/dev/shop/src/main.rs",20],
["shop::pool::work","/home/dev/shop/src/pool.rs",8],
["shop::pool::start","/home/dev/shop/src/pool.rs",40]],
"stacks":[[0,1],[0,2],[3]],
"threads":[{}]}}
"#,
        all.join(",\n")
    )
}

/// Go's `debug=1`, with so many workers.
fn counted(workers: u64) -> String {
    let total = workers + 1;
    format!(
        "goroutine profile: total {total}\n{workers} @ 0x46b2c8 0x4060a5\n\
         #\t0x4060a4\tmain.(*Pool).work+0x2b\t/src/shop/pool.go:15\n\n\
         1 @ 0x46b2c8 0x4b4d0c\n#\t0x4b4d0b\tmain.main+0x2b\t/src/shop/main.go:15\n"
    )
}

/// Go's `debug=2`.
const BLOCKS: &str = "goroutine 1 [chan receive, 5 minutes]:
main.main()
\t/src/shop/main.go:15 +0x1d

goroutine 18 [select]:
main.(*Pool).work(0xc000012345, {0x1, 0x2})
\t/src/shop/pool.go:15 +0x1d
created by main.(*Pool).start in goroutine 1
\t/src/shop/pool.go:9 +0x30

goroutine 19 [select]:
main.(*Pool).work(0xc000012345, {0x1, 0x2})
\t/src/shop/pool.go:15 +0x1d
created by main.(*Pool).start in goroutine 1
\t/src/shop/pool.go:9 +0x30
";
