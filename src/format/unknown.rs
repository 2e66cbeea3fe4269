//! What a file is that we cannot read: a name, and what reads it, help more than "bad input".
#![forbid(unsafe_code)]

use crate::error::Error;

const ACCEPTED: &str = "pprof (profile.proto, gzip or plain), heapsite JSON, and legacy heap profiles of gperftools, Go and jemalloc are accepted";

/// The error for bytes in no format that is read.
#[cold]
pub(super) fn error(bytes: &[u8]) -> Error {
    if bytes.is_empty() {
        return Error::input(format!(
            "the file is empty, not a profile (was its writer interrupted, or its disk full?): {ACCEPTED}"
        ));
    }
    match describe(bytes) {
        Some(what) => {
            Error::unsupported(format!("this is {what}, which cannot be read: {ACCEPTED}"))
        }
        None => {
            let start = &bytes[..bytes.len().min(16)];
            Error::input(format!(
                "not a profile in a known format (it starts with \"{}\"): {ACCEPTED}",
                start.escape_ascii()
            ))
        }
    }
}

/// A name for files of other tools, and what to do with them. Texts are recognised by how they begin, JSON by a key near
/// its beginning.
pub(super) fn describe(bytes: &[u8]) -> Option<&'static str> {
    let known = BEGINNINGS
        .iter()
        .find(|(beginning, _)| bytes.starts_with(beginning));
    if let Some((_, what)) = known {
        return Some(what);
    }
    if bytes.starts_with(b"\x7fELF") {
        return Some(elf(bytes));
    }
    if is_go_trace(bytes) {
        return Some(
            "an execution trace of Go (`go tool trace` shows it); its heap profile is at /debug/pprof/heap",
        );
    }
    if is_heaptrack(bytes) {
        return Some("a recording of heaptrack (`heaptrack_print` and `heaptrack_gui` read it)");
    }
    // The header of a tar archive has this in it.
    if bytes.get(257..262) == Some(b"ustar") {
        return Some("a tar archive (unpack it first)");
    }
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"<") {
        return Some(markup(text));
    }
    if !text.starts_with(b"{") && !text.starts_with(b"[") {
        return None;
    }
    let head = &text[..text.len().min(4096)];
    let known = KEYS.iter().find(|(key, _)| contains(head, key));
    known.map(|(_, what)| *what).or(Some(
        "JSON, but not heapsite's (there is no \"schema\" in it)",
    ))
}

const BEGINNINGS: [(&[u8], &str); 22] = [
    (b"heap profile:", "a legacy text heap profile (debug=1)"),
    (b"heap_v2/", "a jemalloc heap dump"),
    (b"--- heapz", "a legacy text heap profile"),
    (b"desc: ", "a massif profile (`ms_print` reads it)"),
    (
        b"events: ",
        "a callgrind profile (`callgrind_annotate` reads it)",
    ),
    (
        b"# callgrind format",
        "a callgrind profile (`callgrind_annotate` reads it)",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "compressed with zstd (unpack it first: `zstd -d FILE`; heaptrack's recordings end in .zst, too, and `heaptrack_print` reads them)",
    ),
    (b"BZh", "compressed with bzip2 (decompress it first)"),
    (b"\xfd7zXZ", "compressed with xz (decompress it first)"),
    (
        b"\x04\x22\x4d\x18",
        "compressed with lz4 (decompress it first)",
    ),
    (b"PK\x03\x04", "a zip file (unpack it first)"),
    (
        b"PERFILE2",
        "a recording of perf (`perf report` reads it; perf samples processor time, and heapsite's own dumps hold heap profiles)",
    ),
    (
        b"2ELIFREP",
        "a recording of perf from a machine of the other byte order (`perf report` reads it)",
    ),
    (b"MDMP", "a minidump of a process, not a profile"),
    (
        b"JAVA PROFILE 1.",
        "a heap dump of Java (Eclipse MAT reads it)",
    ),
    (
        b"FLR\0",
        "a recording of Java Flight Recorder (JDK Mission Control reads it)",
    ),
    (b"SQLite format 3\0", "a SQLite database, not a profile"),
    (b"MZ", "a program for Windows, not a profile"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS, not a profile"),
    (
        b"--- contention",
        "Go's or gperftools' list of contended locks (debug=1); without debug=1 it is pprof, which is read",
    ),
    (
        b"HTTP/1.",
        "an answer of a web server with its headers (curl without -i leaves them out)",
    ),
    (b"%PDF-", "a PDF document, not a profile"),
];

const KEYS: [(&[u8], &str); 6] = [
    (
        b"dhatFileVersion",
        "a DHAT profile (Valgrind's dh_view.html shows it)",
    ),
    (
        b"speedscope.app/file-format-schema",
        "a speedscope profile (the web page speedscope.app shows it)",
    ),
    (
        b"\"traceEvents\"",
        "a Chrome trace (the web page ui.perfetto.dev shows it)",
    ),
    (
        b"\"selfSize\"",
        "a V8 heap profile (Chrome's developer tools show it)",
    ),
    (b"\"resourceProfiles\"", "an OpenTelemetry profile"),
    (
        b"\"heapsite\"",
        "a report of heapsite (--json), not a profile: give the profile that it was made of",
    ),
];

/// A core dump, or a program: byte 16 says which (`e_type`, of either byte order).
fn elf(bytes: &[u8]) -> &'static str {
    match bytes.get(16..18) {
        Some([4, 0] | [0, 4]) => {
            "a core dump, not a profile (gdb reads it); a process that lives writes one on `heapsite dump PID`"
        }
        _ => {
            "a program or library, not a profile; `heapsite symbolize PROFILE --binary FILE -o OUT` takes names from it"
        }
    }
}

/// `go 1.22 trace` and zero bytes, 16 in all.
fn is_go_trace(bytes: &[u8]) -> bool {
    let version = bytes.get(..16).and_then(|head| head.strip_prefix(b"go 1."));
    version.is_some_and(|rest| {
        let rest = rest.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        digits > 0 && rest[digits..].starts_with(b" trace")
    })
}

/// Unpacked: `v 10300 3`, its own version and that of its format, in hexadecimal, and then the program: `x …`.
fn is_heaptrack(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(256)];
    let mut lines = head.split(|&byte| byte == b'\n');
    let first = lines.next().and_then(|line| line.strip_prefix(b"v "));
    let numbers = |text: &[u8]| {
        text.iter()
            .all(|&byte| byte.is_ascii_hexdigit() || byte == b' ')
    };
    first.is_some_and(|first| !first.is_empty() && numbers(first))
        && lines.next().is_some_and(|line| line.starts_with(b"x "))
}

fn markup(text: &[u8]) -> &'static str {
    let head = text[..text.len().min(1024)].to_ascii_lowercase();
    if contains(&head, b"<svg") {
        "a picture (SVG), not a profile: give the profile that it was drawn from"
    } else if contains(&head, b"<html") || contains(&head, b"<!doctype html") {
        "a web page, often an error or a login (was the address right? a service's profile is at /debug/pprof/heap)"
    } else {
        "a web page or XML (was the address right?)"
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its name, by the beginning of a real file of its kind.
    #[test]
    fn files_of_other_tools_have_names() {
        let mut core = b"\x7fELF\x02\x01\x01".to_vec();
        core.resize(64, 0);
        let program = core.clone();
        core[16] = 4;
        let mut tar = vec![0; 512];
        tar[..5].copy_from_slice(b"heap/");
        tar[257..262].copy_from_slice(b"ustar");
        for (bytes, name, help) in [
            (&core[..], "a core dump", "heapsite dump"),
            (&program, "a program or library", "--binary"),
            (&tar, "a tar archive", "unpack"),
            (b"PERFILE2\x68\0", "a recording of perf", "perf report"),
            (
                b"go 1.22 trace\0\0\0\x01",
                "an execution trace of Go",
                "/debug/pprof/heap",
            ),
            (
                b"v 10400 3\nx 10 /usr/bin/shop\nX shop\n",
                "heaptrack",
                "heaptrack_print",
            ),
            (b"{\"dhatFileVersion\":2,", "a DHAT profile", "dh_view.html"),
            (b"<!DOCTYPE HTML PUBLIC><html>", "a web page", "address"),
            (b"\n<html><head>", "a web page", "/debug/pprof/heap"),
            (b"<?xml version=\"1.0\"?><svg ", "a picture", "profile"),
            (
                b"{\"heapsite\":\"top\",\"version\":1}",
                "a report of heapsite",
                "profile",
            ),
            (b"{\n \"a\": 1}", "JSON", "schema"),
        ] {
            let said = error(bytes).to_string();
            assert!(said.contains(name) && said.contains(help), "{said}");
            assert!(said.contains("pprof (profile.proto") && error(bytes).is_unsupported());
        }
        for bytes in [
            &b"go 1.x trace"[..],
            b"go 1.22",
            b"v \nx ",
            b"v 1\n",
            b"v 1 2\nx",
        ] {
            assert_eq!(describe(bytes), None, "{bytes:?}");
        }
        assert!(error(b"").to_string().contains("empty"));
    }
}
