//! What a file is that we cannot read: a name helps more than "bad input".
#![forbid(unsafe_code)]

use crate::error::Error;

/// The error for bytes in no format that is read.
#[cold]
pub(super) fn error(bytes: &[u8]) -> Error {
    const ACCEPTED: &str = "pprof (profile.proto, gzip or plain), heapsite JSON, and legacy heap profiles of gperftools, Go and jemalloc are accepted";
    if bytes.is_empty() {
        return Error::input(format!("the file is empty, not a profile: {ACCEPTED}"));
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

/// A name for files of other tools. Texts are recognised by how they begin, JSON by a key near its beginning.
pub(super) fn describe(bytes: &[u8]) -> Option<&'static str> {
    const BEGINNINGS: [(&[u8], &str); 12] = [
        (b"heap profile:", "a legacy text heap profile (debug=1)"),
        (b"heap_v2/", "a jemalloc heap dump"),
        (b"--- heapz", "a legacy text heap profile"),
        (b"desc: ", "a massif profile (`ms_print` reads it)"),
        (b"events: ", "a callgrind profile"),
        (b"# callgrind format", "a callgrind profile"),
        (
            b"\x28\xb5\x2f\xfd",
            "compressed with zstd (decompress it first)",
        ),
        (b"BZh", "compressed with bzip2 (decompress it first)"),
        (b"\xfd7zXZ", "compressed with xz (decompress it first)"),
        (b"PK\x03\x04", "a zip file (unpack it first)"),
        (b"\x7fELF", "a program or library, not a profile"),
        (b"<", "a web page or XML (was the address right?)"),
    ];
    const KEYS: [(&[u8], &str); 5] = [
        (b"dhatFileVersion", "a DHAT profile"),
        (b"speedscope.app/file-format-schema", "a speedscope profile"),
        (b"\"traceEvents\"", "a Chrome trace"),
        (b"\"selfSize\"", "a V8 heap profile"),
        (b"\"resourceProfiles\"", "an OpenTelemetry profile"),
    ];
    let known = BEGINNINGS
        .iter()
        .find(|(beginning, _)| bytes.starts_with(beginning));
    if let Some((_, what)) = known {
        return Some(what);
    }
    let text = bytes.trim_ascii_start();
    if !text.starts_with(b"{") && !text.starts_with(b"[") {
        return None;
    }
    let head = &text[..text.len().min(4096)];
    let known = KEYS
        .iter()
        .find(|(key, _)| head.windows(key.len()).any(|part| part == *key));
    known.map(|(_, what)| *what).or(Some(
        "JSON, but not heapsite's (there is no \"schema\" in it)",
    ))
}
