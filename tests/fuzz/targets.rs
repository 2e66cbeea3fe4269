//! Every reader of bytes from elsewhere, as functions that take any bytes. Shared with `fuzz/`, where libFuzzer calls them.
//!
//! A function returns what it has read, so that the memory which that takes can be counted; [`go_on`] then does with it what
//! the command would.

use std::io::BufReader;

use heapsite::format::{self, Format, json, pprof};
use heapsite::profile::{Mapping, ValueType, addresses::Builder};
use heapsite::symbolize::{self, Options};
use heapsite::task::Tasks;
use heapsite::thread::Threads;
use heapsite::trigger::evidence::State;
use heapsite::{Config, Profile, internals};

/// A reader.
pub(crate) struct Target {
    /// And that of its folder in the corpus.
    pub(crate) name: &'static str,
    pub(crate) read: fn(&[u8]) -> Option<Profile>,
}

pub(crate) const TARGETS: [Target; 10] = [
    Target {
        name: "pprof",
        read: |bytes| pprof::read(bytes).ok(),
    },
    // What is in the file may be any format.
    Target {
        name: "gzip",
        read: |bytes| format::read_from(BufReader::with_capacity(64, bytes)).ok(),
    },
    Target {
        name: "json",
        read: |bytes| json::read(bytes).ok(),
    },
    // Legacy heap profiles, lists of goroutines and threads, folded stacks, and what is none of them.
    Target {
        name: "text",
        read: |bytes| format::read(bytes).ok(),
    },
    Target {
        name: "lists",
        read: lists,
    },
    Target {
        name: "state",
        read: state,
    },
    Target {
        name: "settings",
        read: settings,
    },
    Target {
        name: "query",
        read: query,
    },
    Target {
        name: "answer",
        read: answer,
    },
    Target {
        name: "elf",
        read: elf,
    },
];

/// What is read is whole, goes out in every format, and comes back from those that hold it.
pub(crate) fn go_on(profile: &Profile) {
    profile.check().expect("what is read is whole");
    let write = |format: Format| {
        let mut bytes = Vec::new();
        format.write(profile, &mut bytes).expect("writable");
        bytes
    };
    let (packed, text) = (write(Format::Pprof), write(Format::Json));
    pprof::read(&packed).expect("our own pprof is readable");
    let again = json::read(&text).expect("our own JSON is readable");
    assert!(again.samples.len() == profile.samples.len());
    if !profile.sample_types.is_empty() {
        write(Format::Folded);
    }
}

fn lists(bytes: &[u8]) -> Option<Profile> {
    match Tasks::is_meant_by(bytes) {
        true => Tasks::read_json(bytes).ok().map(|tasks| tasks.to_profile()),
        false => Threads::read_json(bytes)
            .ok()
            .map(|threads| threads.to_profile()),
    }
}

fn state(bytes: &[u8]) -> Option<Profile> {
    State::is_meant_by(bytes);
    if let Ok(state) = State::read(bytes) {
        state.growth(3600);
        state.growth(u64::MAX);
    }
    None
}

fn settings(bytes: &[u8]) -> Option<Profile> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Err(error) = text.parse::<Config>()
    {
        assert!(error.is_config());
    }
    None
}

fn query(bytes: &[u8]) -> Option<Profile> {
    #[cfg(feature = "http")]
    internals::read_query(&String::from_utf8_lossy(bytes));
    let _ = (bytes, internals::sites as fn() -> u32);
    None
}

/// What a server sends, and what the command would make of it.
fn answer(bytes: &[u8]) -> Option<Profile> {
    #[cfg(feature = "cli")]
    if let Ok(body) = internals::read_answer(bytes) {
        return format::read(&body).ok();
    }
    let _ = bytes;
    None
}

/// Names from a binary for addresses all over it.
fn elf(bytes: &[u8]) -> Option<Profile> {
    let path = std::env::temp_dir().join(format!("heapsite-fuzz.{}.elf", std::process::id()));
    std::fs::write(&path, bytes).expect("a temporary file");
    let mut mapping = Mapping::default();
    (mapping.limit, mapping.file) = (u64::MAX, "/srv/bin/shapes".into());
    let space = ValueType {
        kind: "space".into(),
        unit: "bytes".into(),
    };
    let mut builder = Builder::new(vec![space], vec![mapping]);
    let addresses: Vec<u64> = (0x40_0000..0x40_0300).step_by(5).collect();
    builder.sample(&addresses, vec![1], Vec::new(), None);
    let mut profile = builder.finish();
    symbolize::symbolize(&mut profile, &Options::default().binary(&path));
    let _ = std::fs::remove_file(&path);
    Some(profile)
}
