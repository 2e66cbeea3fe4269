//! `heapsite report`: the file, opened from a disk without a server.

use std::path::Path;
use std::process::Command;

use super::devtools::Page;
use super::{Example, FAINT, NAMELESS, PHONE, TOO_WIDE, WIDE};

fn heapsite(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_heapsite"))
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Three dumps of a service that leaks, and the report on them.
fn write(dir: &Path) -> String {
    let example = Example::start();
    let mut page = Page::open();
    page.goto(&example.1);
    let dump = format!("{}api/profile?format=json", example.1);
    let files =
        ["c.json", "a.json", "b.json"].map(|name| dir.join(name).to_str().unwrap().to_owned());
    for (at, file) in files.iter().enumerate() {
        page.until(&format!(
            "+(document.documentElement.dataset.diff ?? '').split('-')[1] >= {}",
            4 + 4 * at
        ));
        heapsite(&["convert", &dump, "-o", file]);
    }
    let report = dir.join("report.html").to_str().unwrap().to_owned();
    heapsite(
        &[
            &["report", "-o", &report],
            &files.each_ref().map(String::as_str)[..],
        ]
        .concat(),
    );
    report
}

fn is_clean(page: &mut Page, url: &str) {
    assert_eq!(page.complaints(), Vec::<String>::new());
    for request in page.requests() {
        assert!(request == url || request == "about:blank", "{request}");
    }
}

#[test]
#[ignore = "needs Chromium: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn it_has_everything_in_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("file://{}", write(dir.path()));
    let mut page = Page::open();
    page.screen(WIDE.0, WIDE.1, false);
    page.goto(&url);
    page.until("document.documentElement.dataset.drawn === 'yes'");
    // 640 KiB a second are kept, of which one in 64 KiB is sampled.
    let verdict = page.text("#verdict-word");
    assert!(verdict.contains("http.rs:"), "{verdict}");
    assert!(page.text("#findings .name").contains("http::leak"));
    for figure in [
        ".births rect",
        ".survival .series",
        "#time .series",
        "#time .rss",
    ] {
        assert_ne!(
            page.value(&format!("document.querySelectorAll('{figure}').length")),
            0,
            "{figure}"
        );
    }
    assert_eq!(
        page.value("document.querySelectorAll('#time circle').length"),
        3
    );
    for part in [
        "live heap",
        "free in allocators",
        "resident",
        "threads",
        "descriptors",
    ] {
        assert!(page.text("#parts").contains(part), "{part}");
    }
    assert!(page.text("#unseen").contains("own-work"));
    assert!(page.text("#unseen").contains("one sample in 64.0 KiB"));

    // The line that grew most comes first; a click on a heading sorts by it, another one turns it round.
    assert!(page.text("#lines tbody tr .name").contains("http::leak"));
    let order = "JSON.stringify([...document.querySelectorAll('#lines tbody tr')].map(r => r.cells[1].textContent))";
    page.value("document.querySelectorAll('#lines .sort')[1].click()");
    let down = page.value(order);
    assert_eq!(
        page.value("document.querySelectorAll('#lines th')[1].ariaSort"),
        "descending"
    );
    page.value("document.querySelectorAll('#lines .sort')[1].click()");
    let rows = |text: serde_json::Value| -> Vec<String> {
        serde_json::from_str(text.as_str().unwrap()).unwrap()
    };
    let (down, up) = (rows(down), rows(page.value(order)));
    assert!(down.len() > 2);
    assert_eq!((down.first(), down.last()), (up.last(), up.first()));
    assert_eq!(
        page.value("document.activeElement.className"),
        "sort",
        "keys go on from there"
    );
    page.value("(() => { const i = document.querySelector('#lines-filter'); i.value = 'http::leak'; i.dispatchEvent(new Event('input')); })()");
    assert_eq!(page.value("[...document.querySelectorAll('#lines tbody tr')].every(r => /http::leak/.test(r.textContent))"), true);
    page.value("(() => { const i = document.querySelector('#lines-filter'); i.value = 'no such'; i.dispatchEvent(new Event('input')); })()");
    assert!(page.text("#lines").contains("No line is like that."));
    page.value("(() => { const i = document.querySelector('#lines-filter'); i.value = ''; i.dispatchEvent(new Event('input')); })()");
    page.value("document.querySelector('#lines-grown').click()");
    assert!(page.text("#lines tbody tr .name").contains("http::leak"));

    // Three pictures: live, ever allocated, and what became of it.
    assert_eq!(
        page.value("document.querySelectorAll('#flame-view button').length"),
        3
    );
    let shown = "document.querySelectorAll('#flame [data-node]').length";
    assert!(page.value(shown).as_u64().unwrap() > 2);
    page.value("document.querySelectorAll('#flame-view button')[2].click()");
    assert!(
        page.text("#flame-detail")
            .contains("since the first profile")
    );
    page.value("document.querySelector('#flame').focus()");
    page.key("ArrowDown");
    page.key("Enter");
    assert!(page.text("#flame-detail").contains('%'));
    page.value("(() => { const i = document.querySelector('#flame-search'); i.value = 'http::leak'; i.dispatchEvent(new Event('input')); })()");
    assert!(page.text("#flame-detail").contains("“http::leak”: "));

    for (dark, name) in [(false, "light"), (true, "dark")] {
        page.screen(WIDE.0, WIDE.1, dark);
        assert_eq!(page.value(FAINT), serde_json::json!([]), "{name}");
        page.screenshot(&format!("report-{name}"), true);
    }
    assert_eq!(page.value(NAMELESS), serde_json::json!([]));
    page.screen(PHONE.0, PHONE.1, false);
    assert_eq!(page.value(TOO_WIDE), false);
    page.screenshot("report-phone", true);
    is_clean(&mut page, &url);
}
