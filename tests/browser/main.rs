//! The page `/debug/heapsite/` in a real browser: what it shows, how it is used, what it must not do.
//!
//! `bash ci/viewers.sh` runs these; `bash ci/setup.sh` installs Chromium. This program has no heapsite allocator itself: the
//! example `http` has.
#![forbid(unsafe_code)]

mod devtools;
#[cfg(feature = "cli")]
mod flame;
#[cfg(feature = "cli")]
mod report;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use devtools::Page;
use heapsite::http::Options;

const WIDE: (u32, u32) = (1280, 900);
const PHONE: (u32, u32) = (360, 740);

/// With its output, which it would panic without.
struct Example(Child, String, #[allow(dead_code)] BufReader<ChildStdout>);

impl Example {
    /// Every moment comes after a quarter of a second: the history of the first server counts.
    fn start() -> Example {
        let mut path = std::env::current_exe().unwrap();
        path.pop();
        path.pop();
        let mut child = Command::new(path.join("examples/http"))
            .args(["--seconds", "600"])
            .env(
                "HEAPSITE",
                "interval=64KiB,http=127.0.0.1:0,http_history=250ms,signal=none",
            )
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").unwrap();
        let url = format!("{base}/debug/heapsite/");
        Example(child, url, output)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nothing was complained of, and nobody else was asked for anything.
fn is_clean(page: &mut Page, url: &str) {
    assert_eq!(page.complaints(), Vec::<String>::new());
    let host = url.split("/debug/").next().unwrap();
    let requests = page.requests();
    assert!(requests.len() > 5);
    for request in requests {
        assert!(
            request.starts_with(host) || request == "about:blank",
            "{request}"
        );
    }
}

/// The pair of moments that is compared, as the page has drawn it.
fn pair(page: &mut Page) -> (u64, u64) {
    let text = page.value("document.documentElement.dataset.diff");
    let (base, now) = text.as_str().unwrap().split_once('-').unwrap();
    (base.parse().unwrap(), now.parse().unwrap())
}

/// Text whose contrast with what is behind it is below 4.5 (WCAG 2.2, 1.4.3), of large text below 3.
const FAINT: &str = r"
(() => {
  const parse = text => (/rgba?\(([^)]+)\)/.exec(text)?.[1] ?? '0,0,0,0').split(/[,/ ]+/).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if ((c[3] ?? 1) > 0.99) return c; } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.offsetParent || e.closest('svg')) continue;
    const style = getComputedStyle(e), [a, b] = [light(parse(style.color)), light(behind(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (contrast < (large ? 3 : 4.5)) bad.push(`${contrast.toFixed(2)} ${e.tagName}.${e.className}: ${e.textContent.slice(0, 30)}`);
  }
  return bad;
})()";

const TOO_WIDE: &str =
    "document.documentElement.scrollWidth > document.documentElement.clientWidth";

/// The names of what can be pressed and has no name, and of parts that are not there.
const NAMELESS: &str = r"
[...document.querySelectorAll('button, input, a, section, [role=slider], svg[role]')].filter(e => e.offsetParent !== null || e.ownerSVGElement)
  .filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.labels?.length))
  .map(e => e.outerHTML.slice(0, 90))";

#[test]
#[ignore = "needs Chromium: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn it_says_what_grew() {
    let example = Example::start();
    let mut page = Page::open();
    page.screen(WIDE.0, WIDE.1, false);
    page.goto(&example.1);
    // 640 KiB a second are kept, of which one in 64 KiB is sampled.
    page.until("document.querySelector('#verdict-line')?.textContent.includes('http::leak')");
    page.until("document.querySelectorAll('#flame [data-node]').length > 5");
    page.until(
        "document.querySelector('#verdict-word').textContent.startsWith('Live heap grew by')",
    );
    assert!(page.text("#lines tbody tr .name").contains("http::leak"));
    assert!(page.text("#lines tbody tr .place").contains("http.rs:"));
    let growth = page.text("#lines tbody tr .number");
    assert!(
        growth.starts_with('+') && growth.contains(" ± "),
        "{growth}"
    );
    for part in [
        "live heap",
        "free in allocators",
        "thread stacks",
        "unexplained",
        "threads",
        "descriptors",
    ] {
        assert!(page.text("#parts").contains(part), "{part}");
    }
    assert!(page.text("#quality").contains("one sample in 64.0 KiB"));
    assert!(page.text("#losses").contains("own-work"));
    let links = page.value("[...document.querySelectorAll('#links a')].map(a => a.href)");
    let links: Vec<&str> = links
        .as_array()
        .unwrap()
        .iter()
        .map(|link| link.as_str().unwrap())
        .collect();
    for link in [
        "heap",
        "allocs",
        "goroutine",
        "threadcreate",
        "block",
        "mutex",
        "profile",
        "trace",
        "cmdline",
        "symbol",
    ] {
        assert!(
            links
                .iter()
                .any(|known| known.ends_with(&format!("/debug/pprof/{link}"))),
            "{link}"
        );
    }
    assert_eq!(
        links.iter().any(|link| link.ends_with("/metrics")),
        cfg!(feature = "metrics")
    );
    // All of them answer, in a browser's hands.
    let broken = page.value(
        "Promise.all([...document.querySelectorAll('#links a')].filter(a => !/seconds|trace|heap|allocs/.test(a.href)).map(async a => [a.href, (await fetch(a.href)).status]))
         .then(all => all.filter(([, status]) => status !== 200))",
    );
    assert_eq!(broken, serde_json::json!([]));
    for (dark, name) in [(false, "light"), (true, "dark")] {
        page.screen(WIDE.0, WIDE.1, dark);
        assert_eq!(page.value(FAINT), serde_json::json!([]), "{name}");
        page.screenshot(&format!("desktop-{name}"), true);
        page.screenshot(&format!("first-{name}"), false);
    }
    assert_eq!(
        page.value("getComputedStyle(document.body).backgroundColor"),
        "rgb(19, 21, 23)"
    );
    assert_eq!(page.value(NAMELESS), serde_json::json!([]));
    is_clean(&mut page, &example.1);
}

#[test]
#[ignore = "needs Chromium: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn two_moments_are_compared() {
    let example = Example::start();
    let mut page = Page::open();
    page.screen(WIDE.0, WIDE.1, false);
    page.goto(&example.1);
    page.until("+(document.documentElement.dataset.diff ?? '').split('-')[1] >= 8");
    assert_eq!(pair(&mut page).0, 1);
    let whole = page.text("#verdict-span");

    // A drag from a quarter to two thirds of the chart.
    let spot = page.value("(() => { const r = document.querySelector('#chart svg').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()");
    let spot: Vec<f64> = spot
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_f64().unwrap())
        .collect();
    let x = |share: f64| spot[0] + 66.0 + share * (spot[2] - 78.0);
    let y = spot[1] + spot[3] / 2.0;
    page.mouse("mousePressed", x(0.25), y);
    page.mouse("mouseMoved", x(0.5), y);
    page.mouse("mouseMoved", x(0.66), y);
    page.mouse("mouseReleased", x(0.66), y);
    page.until("!document.documentElement.dataset.diff.startsWith('1-')");
    let (base, now) = pair(&mut page);
    let newest = page
        .value("document.querySelector('[data-handle=now]').ariaValueMax")
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        1 < base && base < now && now < newest.parse::<u64>().unwrap() + 2,
        "{base} {now} {newest}"
    );
    assert_ne!(page.text("#verdict-span"), whole);
    page.screenshot("selected", false);
    // It stays when new moments come.
    page.until(&format!(
        "+document.querySelector('[data-handle=now]').ariaValueMax > {newest} + 3"
    ));
    assert_eq!(pair(&mut page), (base, now));

    // By keys: the base one moment earlier, then to the first one; the other to the newest.
    page.value("document.querySelector('[data-handle=base]').focus()");
    page.key("ArrowLeft");
    page.until(&format!(
        "document.documentElement.dataset.diff === '{}-{now}'",
        base - 1
    ));
    page.key("Home");
    page.until(&format!(
        "document.documentElement.dataset.diff === '1-{now}'"
    ));
    assert_eq!(page.value("document.activeElement.dataset.handle"), "base");
    page.value("document.querySelector('[data-handle=now]').focus()");
    page.key("End");
    page.until(&format!(
        "+document.documentElement.dataset.diff.split('-')[1] > {now}"
    ));

    // The numbers are those of the endpoint.
    let (shown, told) = {
        let told = page.value("fetch('api/diff?base=1&now=' + document.documentElement.dataset.diff.split('-')[1]).then(a => a.json()).then(d => d.lines[0].function)");
        (page.text("#lines tbody tr .name"), told)
    };
    assert_eq!(shown, told.as_str().unwrap());

    // Zoom into a frame and search.
    page.until("document.querySelectorAll('#flame [data-node]').length > 5");
    let all = page.value("document.querySelectorAll('#flame [data-node]').length");
    page.value("document.querySelector('#flame').focus()");
    page.key("ArrowDown");
    let detail = page.text("#flame-detail");
    assert!(detail.contains(" ± ") && detail.contains('%'), "{detail}");
    page.value("(() => { const i = document.querySelector('#flame-search'); i.value = 'http::leak'; i.dispatchEvent(new Event('input')); })()");
    assert!(page.text("#flame-detail").contains("“http::leak”: "));
    assert_ne!(
        page.value("document.querySelectorAll('#flame .miss').length"),
        0
    );
    assert_eq!(
        page.value("document.querySelectorAll('#flame [data-node]').length"),
        all
    );
    page.value("[...document.querySelectorAll('#flame g:not(.miss)')].at(-1).querySelector('rect').dispatchEvent(new MouseEvent('click', {bubbles: true}))");
    // It is as wide as the root now. Where nothing else was live it has been so before, and no frame has gone.
    let widths = "JSON.stringify([...document.querySelectorAll('#flame rect')].map(r => Math.round(r.getBoundingClientRect().width)))";
    let widths = page.value(widths);
    let widths: Vec<i64> = serde_json::from_str(widths.as_str().unwrap()).unwrap();
    assert!(widths.iter().max() == widths.last(), "{widths:?}");
    page.value("document.querySelector('#flame').focus()");
    page.key("Escape");
    is_clean(&mut page, &example.1);
}

#[test]
#[ignore = "needs Chromium: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn a_phone_has_no_sideways_scroll() {
    let example = Example::start();
    let mut page = Page::open();
    page.screen(PHONE.0, PHONE.1, false);
    page.goto(&example.1);
    page.until("document.querySelector('#verdict-line')?.textContent.includes('http::leak')");
    page.until("document.querySelectorAll('#flame [data-node]').length > 5");
    for (dark, name) in [(false, "light"), (true, "dark")] {
        page.screen(PHONE.0, PHONE.1, dark);
        assert_eq!(page.value(TOO_WIDE), false, "{name}");
        page.screenshot(&format!("phone-{name}"), true);
    }
    page.value("document.querySelector('[data-view=parts]').click()");
    assert_eq!(page.value(TOO_WIDE), false);
    page.screenshot("phone-parts", false);
    // By kind, counted: the labels are plain numbers.
    page.value("document.querySelector('[data-view=descriptors]').click()");
    assert!(page.text("#legend").contains("socket"), "kinds");
    assert_eq!(page.text("#chart .tick"), "0");
    page.screenshot("phone-descriptors", true);
    assert_eq!(page.value(TOO_WIDE), false);
    is_clean(&mut page, &example.1);

    // What would be seen if it were otherwise: each check, with what it is there for.
    page.value("document.body.append(Object.assign(document.createElement('pre'), {textContent: 'wide '.repeat(99)}))");
    assert_eq!(page.value(TOO_WIDE), true);
    page.value("document.querySelector('.hint').style.color = 'rgb(120, 120, 120)'");
    assert_ne!(page.value(FAINT), serde_json::json!([]));
    page.value("document.body.append(document.createElement('button'))");
    assert_ne!(page.value(NAMELESS), serde_json::json!([]));
    for violation in [
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s)",
        "const i = document.createElement('img'); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i)",
        "const d = document.createElement('div'); d.setAttribute('style', 'color: red'); document.body.append(d)",
        "document.body.setAttribute('onclick', 'window.ran = 1'); document.body.click()",
    ] {
        page.forget();
        page.value(&format!("(() => {{ {violation}; }})()"));
        page.until("true");
        assert!(
            page.complaints()
                .iter()
                .any(|it| it.contains("Content Security Policy")),
            "{violation}"
        );
    }
    assert_eq!(page.value("window.ran ?? 0"), 0);
}

/// Also: nothing is recorded here, and a program may name its threads as it likes.
#[test]
#[ignore = "needs Chromium: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn it_asks_for_the_token_and_says_what_is_missing() {
    let pace = Duration::from_millis(100);
    let server = Options::new()
        .token("s3cret")
        .history(pace)
        .serve("127.0.0.1:0")
        .unwrap();
    let url = format!("{}/debug/heapsite/", server.url());
    let mut page = Page::open();
    page.screen(PHONE.0, PHONE.1, false);
    page.goto(&url);
    page.until("document.activeElement?.id === 'token-text'");
    page.screenshot("token", false);
    page.type_text("wrong");
    page.key("Enter");
    page.value("document.querySelector('#token').requestSubmit()");
    page.until("document.querySelector('#token-error').textContent.includes('not the token')");
    // What a refused question leaves in the console is the browser's own.
    assert!(
        page.complaints().iter().all(|it| it.contains("401")),
        "{:?}",
        page.complaints()
    );
    page.forget();
    page.type_text("s3cret");
    page.value("document.querySelector('#token').requestSubmit()");
    page.until("+(document.documentElement.dataset.diff ?? '').split('-')[1] >= 3");
    assert!(page.text("#notice").contains("#[global_allocator]"));
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::Builder::new().name("<img src=//x>".into());
    let thread = thread.spawn(move || stopped.recv()).unwrap();
    page.until("document.querySelector('#parts').textContent.includes('<img src=//x> +1')");
    assert_eq!(
        page.value("document.querySelectorAll('#parts img').length"),
        0
    );
    page.until("document.querySelector('#flame').textContent.includes('No sampled allocation')");
    assert_eq!(page.value(TOO_WIDE), false);
    page.screenshot("not-installed", true);
    drop(stop);
    thread.join().unwrap().unwrap_err();
    // A download goes through the page, with the header.
    page.value("document.querySelector('[data-format=folded]').click()");
    page.until("document.querySelector('#download-status').textContent.includes('.folded: ')");
    is_clean(&mut page, &url);
    assert!(
        page.requests()
            .iter()
            .all(|request| !request.contains("s3cret"))
    );
    // It is kept for this tab.
    page.value("window.old = 1, location.reload()");
    page.until("!window.old && document.querySelector('#content').hidden === false && document.querySelector('#token').hidden");

    // The service goes: the page says so, and keeps what it has.
    drop(server);
    page.until("document.querySelector('#status').textContent.includes('does not answer')");
    assert_ne!(page.text("#parts"), "");
}
