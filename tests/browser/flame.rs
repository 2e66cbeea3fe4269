//! The picture of `heapsite flame` in a real browser: zoom, search, light and dark, nothing from elsewhere.

use std::path::PathBuf;
use std::process::Command;

use heapsite::format::json;
use heapsite::profile::{
    Function, FunctionId, Line, Location, LocationId, Mapping, MappingId, Profile, Sample,
    ValueType,
};

use super::devtools::Page;

const REGISTRY: &str = "/home/me/.cargo/registry/src/i-1";

/// Function, file and line; the leaf first. Frames of one location, the innermost first.
type Stack = &'static [&'static [(&'static str, &'static str, i64)]];

const MAIN: (&str, &str, i64) = ("shop::main", "/home/me/shop/src/main.rs", 9);
const STACKS: [Stack; 4] = [
    &[
        &[(
            "alloc::vec::Vec<T>::push",
            "/rustc/9b00/library/alloc/src/vec/mod.rs",
            9,
        )],
        &[(
            "shop::orders::History<T>::remember",
            "/home/me/shop/src/orders.rs",
            88,
        )],
        &[MAIN],
    ],
    &[
        &[("shop::session::insert", "/home/me/shop/src/session.rs", 54)],
        &[MAIN],
    ],
    &[
        &[
            ("redis::parse", "REGISTRY/redis-0.25.0/src/parse.rs", 7),
            ("shop::cache::warm", "/home/me/shop/src/cache.rs", 3),
        ],
        &[MAIN],
    ],
    &[
        &[(
            "redis::Client::open",
            "REGISTRY/redis-0.25.0/src/client.rs",
            12,
        )],
        &[(
            "tokio::runtime::park::park",
            "REGISTRY/tokio-1.40.0/src/runtime/park.rs",
            12,
        )],
    ],
];

fn profile(bytes: [i64; 4]) -> Profile {
    let mut profile = Profile::default();
    let kind = ValueType {
        kind: "inuse_space".into(),
        unit: "bytes".into(),
    };
    let mut mapping = Mapping::default();
    (mapping.start, mapping.limit, mapping.file) = (0x1000, 0x9000, "/srv/shop".into());
    profile.mappings.push(mapping);
    profile.sample_types.push(kind);
    profile.time_nanos = 1_795_477_429_000_000_000;
    for (stack, bytes) in STACKS.iter().zip(bytes) {
        let mut sample = Sample::default();
        sample.values = vec![bytes];
        for frames in *stack {
            let id = LocationId(profile.locations.len() as u32);
            let mut location = Location::default();
            (location.mapping, location.address) = (Some(MappingId(0)), 0x1000 + u64::from(id.0));
            for &(name, file, line) in *frames {
                let function = FunctionId(profile.functions.len() as u32);
                let mut named = Function::default();
                (named.name, named.filename) = (name.into(), file.replace("REGISTRY", REGISTRY));
                profile.functions.push(named);
                location.lines.push(Line {
                    function,
                    line,
                    column: 0,
                });
            }
            profile.locations.push(location);
            sample.locations.push(id);
        }
        profile.samples.push(sample);
    }
    profile
}

struct Scene(tempfile::TempDir);

impl Scene {
    fn new() -> Scene {
        let scene = Scene(tempfile::tempdir().unwrap());
        for (name, bytes) in [
            ("base.json", [30_000_000, 30_000_000, 4_000_000, 900_000]),
            ("new.json", [70_000_000, 12_000_000, 4_000_000, 900_000]),
        ] {
            let mut file = Vec::new();
            json::write(&profile(bytes), &mut file).unwrap();
            std::fs::write(scene.0.path().join(name), file).unwrap();
        }
        scene
    }

    /// The address of a picture.
    fn draw(&self, name: &str, args: &[&str]) -> String {
        let picture: PathBuf = self.0.path().join(name);
        let done = Command::new(env!("CARGO_BIN_EXE_heapsite"))
            .args(["flame", "new.json", "-o"])
            .arg(&picture)
            .args(args)
            .current_dir(self.0.path())
            .status();
        assert!(done.unwrap().success());
        format!("file://{}", picture.display())
    }
}

/// The text of a frame's tooltip, found by what it begins with.
fn frame(name: &str) -> String {
    format!(
        "[...document.querySelectorAll('#frames > *')].find(g => g.querySelector('title').textContent.startsWith({name:?}))"
    )
}

fn click(page: &mut Page, name: &str) {
    let place = format!(
        "(() => {{ const r = {}.querySelector('rect').getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; }})()",
        frame(name)
    );
    let place = page.value(&place);
    let (x, y) = (place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
    page.mouse("mouseMoved", x, y);
    page.mouse("mousePressed", x, y);
    page.mouse("mouseReleased", x, y);
}

/// Loaded, and laid out for this window.
const READY: &str = "document.querySelectorAll('#frames text').length > 3 && !document.querySelector('svg').hasAttribute('viewBox')";

#[test]
#[ignore = "needs Chromium: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn a_flame_graph_is_zoomed_and_searched() {
    let scene = Scene::new();
    let url = scene.draw("all.svg", &["--plumbing"]);
    let mut page = Page::open();
    page.screen(1280, 260, false);
    page.goto(&url);
    page.until(READY);
    // The script fits the names once more after loading.
    page.until(&format!(
        "{}.querySelector('text').textContent.startsWith('shop::main')",
        frame("shop::main")
    ));
    page.screenshot("flame-light", false);
    let title = page.text("#title");
    assert_eq!(title, "shop: inuse_space 82.9 MiB, 2026-11-23 23:43:49 UTC");

    click(&mut page, "shop::cache::warm");
    let details = page.text("#details");
    let expected = "Function: shop::cache::warm (/home/me/shop/src/cache.rs:3; 3.8 MiB, 4.6%)";
    assert_eq!(details, expected);
    let shown = |page: &mut Page, name: &str| {
        page.value(&format!(
            "getComputedStyle({}).display !== 'none'",
            frame(name)
        ))
    };
    page.until(&format!(
        "{}.classList.contains('parent')",
        frame("shop::main")
    ));
    assert_eq!(shown(&mut page, "redis::parse"), true);
    assert_eq!(shown(&mut page, "shop::session::insert"), false);
    let width = page.value(&format!(
        "{}.querySelector('rect').getBoundingClientRect().width",
        frame("redis::parse")
    ));
    assert!(width.as_f64().unwrap() > 1200.0, "{width}");
    page.screenshot("flame-zoomed", false);
    page.value("document.querySelector('#unzoom').dispatchEvent(new MouseEvent('click', { bubbles: true }))");
    page.until(&format!(
        "!{}.classList.contains('hide')",
        frame("shop::session::insert")
    ));

    page.value("search('redis')");
    // 4,900,000 of 86,900,000.
    assert_eq!(page.text("#matched"), "Matched: 5.6%");
    page.screenshot("flame-searched", false);

    page.screen(1280, 260, true);
    page.until("getComputedStyle(document.querySelector('#title')).fill === 'rgb(230, 237, 243)'");
    page.screenshot("flame-dark", false);
    is_clean(&mut page, &url);
}

#[test]
#[ignore = "needs Chromium: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn a_difference_is_red_and_blue_from_the_top() {
    let scene = Scene::new();
    let url = scene.draw("diff.svg", &["--base", "base.json", "--icicle"]);
    let mut page = Page::open();
    page.screen(1280, 260, false);
    page.goto(&url);
    page.until(READY);
    let color = |page: &mut Page, name: &str| {
        let color = page.value(&format!(
            "{}.querySelector('rect').getAttribute('fill')",
            frame(name)
        ));
        let text = color
            .as_str()
            .unwrap()
            .trim_start_matches("rgb(")
            .trim_end_matches(')')
            .to_owned();
        let parts: Vec<i64> = text.split(',').map(|it| it.parse().unwrap()).collect();
        parts[0] - parts[2]
    };
    assert!(color(&mut page, "shop::orders::History<T>::remember") > 50);
    assert!(color(&mut page, "shop::session::insert") < -50);
    assert_eq!(color(&mut page, "shop::cache::warm"), 0);
    // The root at the top.
    let top = |name: &str| {
        format!(
            "{}.querySelector('rect').getBoundingClientRect().top",
            frame(name)
        )
    };
    let above = format!("{} < {}", top("all ("), top("shop::main"));
    assert_eq!(page.value(&above), true);
    page.screenshot("flame-difference", false);
    is_clean(&mut page, &url);
}

/// Nothing was complained of, and nothing but the picture was asked for.
fn is_clean(page: &mut Page, url: &str) {
    assert_eq!(page.complaints(), Vec::<String>::new());
    for request in page.requests() {
        // A zoomed picture tells so in its address.
        let asked = request.split('?').next().unwrap();
        assert!(asked == url || asked == "about:blank", "{request}");
    }
}
