//! speedscope, as npm has it, in a real browser.
#![forbid(unsafe_code)]

use std::path::Path;

use serde_json::Value;

use crate::devtools::Page;
use crate::schema::violations;
use crate::{KINDS, Rows, dumps, functions, pick, tools, total, with_commas};

/// The viewer with the file in it.
fn opened(file: &Path) -> Page {
    let mut page = Page::open();
    page.screen(1280, 900, false);
    page.goto(&format!(
        "file://{}/speedscope/index.html#view=sandwich",
        tools().display()
    ));
    page.until("document.querySelector('#file')");
    pick(&mut page, "#file", file);
    page.until("!document.querySelector('#file') && document.body.innerText.includes('Sandwich')");
    page
}

/// As speedscope shows bytes, in units of 1024; everything else it shows as it is.
fn shown(kind: &str, value: i64) -> String {
    const UNITS: [&str; 4] = ["B", "KB", "MB", "GB"];
    if !kind.ends_with("_space") {
        return with_commas(value);
    }
    let mut size = value as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit < 3 {
        size /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{size:.0} B"),
        // Halves go up in JavaScript; Rust rounds them to even.
        _ => format!(
            "{:.2} {}",
            (size * 100.0 + 0.5).floor() / 100.0,
            UNITS[unit]
        ),
    }
}

/// Name and total of each profile in the list to switch by.
fn profiles(page: &mut Page) -> Vec<(String, String)> {
    let rows = "[...document.querySelectorAll('tr[title] td + td')].map(it => it.textContent)";
    let Value::Array(cells) = page.value(rows) else {
        panic!("no list");
    };
    let text = |cell: &Value| cell.as_str().unwrap().to_owned();
    cells
        .chunks(2)
        .map(|pair| (text(&pair[0]), text(&pair[1])))
        .collect()
}

/// The rows of the table that can be seen, against ours: those of functions that are one frame in the file, because the
/// table has a row for each line.
fn agree(page: &mut Page, ours: &Rows, file: &Path) {
    let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let frames = document["shared"]["frames"].as_array().unwrap();
    let rows = r"[...document.querySelectorAll('table tr')].map(row => [...row.querySelectorAll('td')].map(it => it.textContent))
        .filter(row => row.length === 3 && / \(.*%\)$/.test(row[0]))";
    let Value::Array(rows) = page.value(rows) else {
        panic!("no table");
    };
    let mut compared = 0;
    for row in &rows {
        let [total, own, name] = [0, 1, 2].map(|at| row[at].as_str().unwrap());
        let mut same_name = ours.iter().filter(|((function, _), _)| function == name);
        let (Some((_, &(flat, cum))), None) = (same_name.next(), same_name.next()) else {
            continue;
        };
        if frames.iter().filter(|frame| frame["name"] == name).count() == 1 {
            let number = |text: &str| text.split_once(" (").unwrap().0.to_owned();
            let expected = (shown("inuse_space", cum), shown("inuse_space", flat));
            assert_eq!((number(total), number(own)), expected, "{name}");
            compared += 1;
        }
    }
    assert!(compared > 5, "{compared} of {} rows", rows.len());
}

#[test]
#[ignore = "needs speedscope and Chromium: ci/setup.sh installs them, ci/viewers.sh runs this"]
fn every_sample_type_is_shown_with_its_total() {
    let dumps = dumps();
    let file = dumps.converted("all.speedscope.json", &[]);
    let mut page = opened(&file);
    let expected = KINDS.map(|kind| (kind.to_owned(), shown(kind, total(&dumps.after, kind))));
    assert_eq!(profiles(&mut page), expected);
    let title = page.value("document.title");
    let title = title.as_str().unwrap();
    assert!(
        title.starts_with("demo, process ") && title.contains(", up "),
        "{title}"
    );
    agree(&mut page, &functions(&dumps.after, "inuse_space"), &file);
    page.screenshot("speedscope-sandwich", false);
    // The next profile, and the graph from the left.
    for key in ["n", "2"] {
        let press = serde_json::json!({ "type": "keyDown", "key": key, "text": key });
        page.send("Input.dispatchKeyEvent", press);
    }
    page.until("document.querySelector('canvas')");
    page.screenshot("speedscope-left-heavy", false);
    // How it draws without a graphics card, and how long it took.
    let known = ["WebGL", "GL Driver", "timeEnd"];
    let mut bad = page.complaints();
    bad.retain(|it| !known.iter().any(|known| it.contains(known)));
    assert_eq!(bad, Vec::<String>::new());
}

#[test]
#[ignore = "needs speedscope and Chromium: ci/setup.sh installs them, ci/viewers.sh runs this"]
fn a_difference_is_two_profiles_for_each_type() {
    let dumps = dumps();
    let file = dumps.difference("growth.speedscope.json");
    let mut page = opened(&file);
    let document: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let sum = |index: usize| document["profiles"][index]["endValue"].as_i64().unwrap();
    let shown_profiles = profiles(&mut page);
    for (at, kind) in KINDS.iter().enumerate() {
        let growth = total(&dumps.after, kind) - total(&dumps.before, kind);
        assert_eq!(sum(2 * at) - sum(2 * at + 1), growth, "{kind}");
        for (half, index) in [("grown", 2 * at), ("shrunk", 2 * at + 1)] {
            assert_eq!(
                shown_profiles[index],
                (format!("{kind} {half}"), shown(kind, sum(index)))
            );
        }
    }
    page.screenshot("speedscope-difference", false);
}

#[test]
#[ignore = "needs speedscope and Chromium: ci/setup.sh installs them, ci/viewers.sh runs this"]
fn an_empty_profile_opens() {
    let dumps = dumps();
    let mut profile = heapsite::format::read(&std::fs::read(&dumps.after).unwrap()).unwrap();
    profile.samples.clear();
    let mut bytes = Vec::new();
    heapsite::format::speedscope::write(&profile, &mut bytes).unwrap();
    let file = dumps.dir.path().join("nothing.speedscope.json");
    std::fs::write(&file, bytes).unwrap();
    let mut page = opened(&file);
    assert!(profiles(&mut page).contains(&("inuse_space".to_owned(), "0 B".to_owned())));
}

/// The schema that comes with the viewer, and damaged files that it must not pass.
#[test]
#[ignore = "needs speedscope: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn files_keep_to_the_published_schema() {
    let schema = std::fs::read(tools().join("speedscope/file-format-schema.json")).unwrap();
    let schema: Value = serde_json::from_slice(&schema).unwrap();
    let dumps = dumps();
    for file in [
        dumps.converted("schema.speedscope.json", &[]),
        dumps.difference("schema-growth.speedscope.json"),
    ] {
        let document: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert_eq!(violations(&schema, &document), Vec::<String>::new());
        let damages: [fn(&mut Value); 6] = [
            |file| drop(file.as_object_mut().unwrap().remove("shared")),
            |file| file["profiles"][0]["unit"] = "B".into(),
            |file| file["profiles"][0]["weights"][0] = "1".into(),
            |file| file["profiles"][0]["samples"][0] = 1.into(),
            |file| file["shared"]["frames"][0] = serde_json::json!({ "file": "a.rs" }),
            |file| file["$schema"] = "https://example.org".into(),
        ];
        for (number, damage) in damages.into_iter().enumerate() {
            let mut damaged = document.clone();
            damage(&mut damaged);
            assert!(
                !violations(&schema, &damaged).is_empty(),
                "damage {number} passes"
            );
        }
    }
}
