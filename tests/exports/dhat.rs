//! Valgrind's `dh_view.html` in a real browser.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::devtools::Page;
use crate::{dumps, pick, total, with_commas};

fn viewer() -> PathBuf {
    let path = std::env::var_os("HEAPSITE_DH_VIEW");
    path.map_or_else(
        || "/usr/libexec/valgrind/dh_view.html".into(),
        PathBuf::from,
    )
}

/// The page with the file in it, or with its own words about what is wrong.
fn opened(file: &Path) -> Page {
    let mut page = Page::open();
    page.screen(1280, 900, false);
    page.goto(&format!("file://{}", viewer().display()));
    page.until("document.querySelector('input[type=file]')");
    pick(&mut page, "input[type=file]", file);
    page.until("/PP 1|Error/.test(document.body.innerText)");
    page
}

#[test]
#[ignore = "needs Valgrind and Chromium: ci/setup.sh installs them, ci/viewers.sh runs this"]
fn the_viewer_shows_the_same_numbers() {
    let dumps = dumps();
    for (name, options, bytes, blocks, verb) in [
        (
            "live.dhat.json",
            &[][..],
            "inuse_space",
            "inuse_objects",
            "In use, allocated at {",
        ),
        (
            "all.dhat.json",
            &["--sample-type", "alloc_space"],
            "alloc_space",
            "alloc_objects",
            "Allocated at {",
        ),
    ] {
        let mut page = opened(&dumps.converted(name, options));
        // By bytes; at first it sorts by blocks.
        page.value("document.querySelector('select').selectedIndex = 0, changeSortMetric()");
        let shown = page.value("document.body.innerText");
        let (shown, _legend) = shown.as_str().unwrap().split_once("Legend:").unwrap();
        let [bytes, blocks] = [bytes, blocks].map(|kind| total(&dumps.after, kind));
        let root = format!("Total:     {} bytes (100%, ", with_commas(bytes));
        let number = format!("in {} blocks (100%, ", with_commas(blocks));
        for text in [
            &root,
            &number,
            verb,
            "[root]",
            "metrics.rs:",
            "values are estimates",
            "µs",
        ] {
            assert!(shown.contains(text), "no {text:?} in\n{shown}");
        }
        for text in ["NaN", "undefined", "∞", "Max:", "At t-gmax:"] {
            assert!(!shown.contains(text), "{text:?} in\n{shown}");
        }
        // The tree behind what is shown: leaves are the stacks, each once.
        let leaves = "(function f(n) { return n._kids ? n._kids.flatMap(f) : [[n._totalBytes, n._totalBlocks]] })(gRoot)";
        let Value::Array(leaves) = page.value(leaves) else {
            panic!("no leaves");
        };
        let sum = |index: usize| {
            leaves
                .iter()
                .map(|leaf| leaf[index].as_i64().unwrap())
                .sum::<i64>()
        };
        assert_eq!((sum(0), sum(1)), (bytes, blocks));
        assert!(leaves.len() > 50, "{} stacks", leaves.len());
        assert_eq!(page.complaints(), Vec::<String>::new());
        page.screenshot(name.trim_end_matches(".json"), false);
    }
}

/// The viewer is one that complains: the file with a stack twice, and one without a field.
#[test]
#[ignore = "needs Valgrind and Chromium: ci/setup.sh installs them, ci/viewers.sh runs this"]
fn the_viewer_refuses_damaged_files() {
    let dumps = dumps();
    let file = dumps.converted("whole.dhat.json", &[]);
    let whole: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let damaged = dumps.dir.path().join("damaged.dhat.json");
    for (damage, complaint) in [
        (
            (|file| {
                let points = file["pps"].as_array_mut().unwrap();
                points.push(points[0].clone());
            }) as fn(&mut Value),
            "repeated location",
        ),
        (
            |file| drop(file.as_object_mut().unwrap().remove("te")),
            "missing a field: te",
        ),
    ] {
        let mut document = whole.clone();
        damage(&mut document);
        std::fs::write(&damaged, document.to_string()).unwrap();
        let mut page = opened(&damaged);
        let shown = page.value("document.body.innerText");
        assert!(shown.as_str().unwrap().contains(complaint), "{shown}");
    }
}

#[test]
#[ignore = "needs Valgrind and Chromium: ci/setup.sh installs them, ci/viewers.sh runs this"]
fn an_empty_profile_opens() {
    let dumps = dumps();
    let nothing = dumps.dir.path().join("nothing.pb.gz");
    let mut profile = heapsite::format::read(&std::fs::read(&dumps.after).unwrap()).unwrap();
    profile.samples.clear();
    let mut bytes = Vec::new();
    heapsite::format::dhat::write(&profile, None, &mut bytes).unwrap();
    std::fs::write(&nothing, bytes).unwrap();
    let mut page = opened(&nothing);
    let shown = page.value("document.body.innerText");
    assert!(
        shown.as_str().unwrap().contains("0 bytes (0%, 0/"),
        "{shown}"
    );
}
