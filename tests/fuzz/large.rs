//! Inputs of any size and of a shape that costs a reader most, for `ci/fuzz.sh`: twice the input may take little more than
//! twice the instructions.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::process::ExitCode;

use heapsite::format;

/// Makes an input of about `size` bytes, and reads it.
pub(crate) fn run(name: &str, size: usize) -> ExitCode {
    let bytes = make(name, size);
    let done = match name {
        "tasks" => heapsite::task::Tasks::read_json(&bytes).map(drop),
        "threads" => heapsite::thread::Threads::read_json(&bytes).map(drop),
        "settings" => std::str::from_utf8(&bytes)
            .expect("text")
            .parse::<heapsite::Config>()
            .map(drop),
        _ => format::read(&bytes).map(drop),
    };
    let said = done.map_or_else(|error| error.to_string(), |()| "read".to_owned());
    println!(
        "{name}: {} bytes: {}",
        bytes.len(),
        said.chars().take(80).collect::<String>()
    );
    ExitCode::SUCCESS
}

/// Small inputs that ask for much, which chance would hardly find: one long text or stack that many places refer to.
pub(crate) fn greedy(reader: &str) -> Vec<(String, Vec<u8>)> {
    let (long, many) = ("x".repeat(20_000), "0,".repeat(10_000));
    let list = |format: &str, frames: &str, stacks: &str, rest: &str| {
        let many = stacks.trim_end_matches(',');
        format!(
            "{{\"format\":\"{format}\",\"version\":1,\"time_nanos\":0,\"pid\":1,\"executable\":\"\",\"places_lost\":0,\
             \"frames\":[{frames}],\"stacks\":[[{many}]],{rest}}}"
        )
    };
    let task = |number: u32| {
        format!(
            "{{\"id\":{number},\"name\":\"{number}\",\"spawn_site\":0,\"spawned_from\":0,\"age_nanos\":1,\"state\":\"waiting\",\"polls\":1,\"awaits\":[0]}}"
        )
    };
    let tasks: Vec<String> = (0..500).map(task).collect();
    let tasks = format!(
        "\"spawn_sites\":[{{\"file\":\"a\",\"line\":1,\"column\":1,\"future\":\"f\",\"started\":1,\"alive\":1,\"completed\":0,\"panicked\":0,\"cancelled\":0,\"unlisted\":0}}],\"tasks\":[{}]",
        tasks.join(",")
    );
    let (long_frame, short_frame) = (format!("[\"{long}\",\"\",1]"), "[\"f\",\"\",1]");
    let texts = match reader {
        "lists" => vec![
            list(
                "heapsite-tasks",
                &long_frame,
                &many,
                "\"spawn_sites\":[],\"tasks\":[]",
            ),
            list("heapsite-threads", &long_frame, &many, "\"threads\":[]"),
            list("heapsite-tasks", short_frame, &many, &tasks),
        ],
        "text" => vec![
            format!(
                "goroutine profile: total 1\n1 @ {}\n",
                "0x1 ".repeat(20_000)
            ),
            format!(
                "goroutine 1 [{long}]:\n{}",
                "f()\n\t/a.go:1\n".repeat(5_000)
            ),
            format!(
                "heap profile: 1: 2 [3: 4] @ heap_v2/1\n{}",
                "1: 2 [3: 4] @ 1\n".repeat(10_000)
            ),
            "[".repeat(100_000),
        ],
        "json" => {
            vec!["{\"schema\":\"heapsite-profile/1\",\"x\":".to_owned() + &"[".repeat(100_000)]
        }
        _ => Vec::new(),
    };
    let named = (1..).zip(texts);
    named
        .map(|(number, text)| (format!("greedy {number}"), text.into_bytes()))
        .collect()
}

fn make(name: &str, size: usize) -> Vec<u8> {
    let mut text = String::new();
    let mut number = 0u64;
    match name {
        // Different stacks, each with names.
        "legacy" => text.push_str("heap profile: 1: 2 [3: 4] @ heap_v2/1\n"),
        "jemalloc" => text.push_str("heap_v2/1000\n  t*: 3: 1200 [4: 1300]\n"),
        "tasks" => text.push_str("{\"format\":\"heapsite-tasks\",\"version\":1,\"frames\":["),
        "threads" => text.push_str("{\"format\":\"heapsite-threads\",\"version\":1,\"frames\":["),
        "json" => text.push_str("{\"schema\":\"heapsite-profile/1\",\"samples\":["),
        _ => {}
    }
    while text.len() < size {
        number += 1;
        let at = number * 16;
        let _ = match name {
            "legacy" => writeln!(
                text,
                "1: 2 [3: 4] @ {at:#x}\n#\t{at:#x}\tf{number}+0x1\t/a/b.rs:{number}"
            ),
            "jemalloc" => writeln!(text, "@ {at:#x} 0x7f0000000011\n  t*: 1: 1000 [2: 1100]"),
            "goroutines" => writeln!(
                text,
                "goroutine {number} [select]:\nf{number}(...)\n\t/a/b.go:{number}\n"
            ),
            // One after the other open.
            "nested" => write!(text, "{{\"a\":["),
            "line" => write!(text, "a;b "),
            "settings" => write!(text, "key{number}=value,"),
            _ => write!(text, "[\"f{number}\",\"/a/b.rs\",{number}],"),
        };
    }
    text.into_bytes()
}
