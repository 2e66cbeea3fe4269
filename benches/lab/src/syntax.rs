//! syn parses every Rust source under a folder, and keeps the trees until all are parsed.

use std::hint::black_box;
use std::path::Path;

use crate::{Time, in_parts};

pub(crate) fn run(operations: u64) -> Time {
    let folder = std::env::var("LAB_SOURCES").unwrap_or_else(|_| "src".to_owned());
    let mut sources = Vec::new();
    read(Path::new(&folder), &mut sources);
    assert!(!sources.is_empty(), "no .rs file under {folder}");
    in_parts(operations, |operations| {
        for _ in 0..operations {
            let trees: Vec<syn::File> = sources
                .iter()
                .filter_map(|source| syn::parse_file(source).ok())
                .collect();
            black_box(trees);
        }
    })
}

fn read(folder: &Path, sources: &mut Vec<String>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.extend(std::fs::read_to_string(&path));
        }
    }
}
