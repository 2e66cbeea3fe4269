#![forbid(unsafe_code)]

use super::*;
use crate::profile::Profile;
use crate::view::flame::{Options, flame};
use crate::view::testing::profile;

/// A frame as the picture has it.
#[derive(Debug, PartialEq)]
struct Shown {
    title: String,
    row: i64,
    from: i64,
    width: i64,
    color: String,
}

/// Reads a picture as its script does: title, rectangle, `fg:x` and `fg:w`.
fn parse(svg: &str) -> Vec<Shown> {
    let (_, frames) = svg.split_once("id=\"frames\"").unwrap();
    let mut shown = Vec::new();
    for group in frames.split("<title>").skip(1) {
        let (title, rest) = group.split_once("</title>").unwrap();
        let attribute = |name: &str| {
            let (_, value) = rest.split_once(&format!(" {name}=\"")).unwrap();
            value.split_once('"').unwrap().0.to_owned()
        };
        let number = |name: &str| attribute(name).parse::<i64>().unwrap();
        let unescaped = title.replace("&lt;", "<").replace("&gt;", ">");
        shown.push(Shown {
            title: unescaped.replace("&amp;", "&"),
            row: number("y"),
            from: number("fg:x"),
            width: number("fg:w"),
            color: attribute("fill"),
        });
    }
    shown
}

fn drawn(profile: &Profile, base: Option<&Profile>, icicle: bool) -> Drawn {
    let flame = flame(profile, base, Options::default()).unwrap();
    draw(&Picture {
        flame: &flame,
        title: "shop".into(),
        subtitle: "a <b> --".into(),
        icicle,
    })
    .unwrap()
}

const REGISTRY: &str = "/home/me/.cargo/registry/src/i-1/redis-0.25.0/src/lib.rs";

fn shop() -> Profile {
    profile(&[
        (
            &[
                &[
                    ("redis::grow", REGISTRY, 9),
                    ("<shop::A<[u8; 4]> as T>::add", "/s/a.rs", 5),
                ],
                &[("shop::main", "/s/main.rs", 2)],
            ],
            1000,
        ),
        (
            &[
                &[("<shop::A<[u8; 4]> as T>::add", "/s/a.rs", 7)],
                &[("shop::main", "/s/main.rs", 3)],
            ],
            300,
        ),
        // Called like inferno's frame for the whole.
        (
            &[&[("all", "/s/a.rs", 1)], &[("shop::main", "/s/main.rs", 3)]],
            4,
        ),
        // The same name once more, in another file; names that inferno or its files would take for something else.
        (&[&[("shop::main", "/s/other.rs", 3)]], 40),
        (
            &[
                &[("a\tb_[k] 17;c\u{fffe} \u{e001}(x)", "/s/(1)/b.rs", 1)],
                &[("shop::main", "/s/main.rs", 3)],
            ],
            5,
        ),
        (
            &[
                &[("shop::deep", "/s/a.rs", 1)],
                &[("shop::deep", "/s/a.rs", 1)],
                &[("shop::main", "/s/main.rs", 3)],
            ],
            2,
        ),
    ])
}

#[test]
fn the_picture_holds_what_the_profile_holds() {
    for icicle in [false, true] {
        let drawn = drawn(&shop(), None, icicle);
        let frames = parse(&drawn.svg);
        assert_eq!((frames.len(), drawn.narrow), (drawn.frames, 0));
        let root = frames.iter().find(|it| it.width == 1351).unwrap();
        let widths: Vec<(&str, i64)> = frames
            .iter()
            .map(|it| (it.title.split(" (").next().unwrap(), it.width))
            .collect();
        for expected in [
            ("all", 1351),
            ("shop::main", 1311),
            ("shop::main", 40),
            ("<shop::A<[u8; 4]> as T>::add", 1300),
            ("redis::grow", 1000),
            ("shop::deep", 2),
        ] {
            assert!(widths.contains(&expected), "{expected:?} in {widths:?}");
        }
        // Every frame lies on one that is as wide or wider, and what lies on none of the others adds up to the whole.
        let step = if icicle { -16 } else { 16 };
        let inside = |inner: &Shown, outer: &Shown| {
            outer.row == inner.row + step
                && outer.from <= inner.from
                && inner.from + inner.width <= outer.from + outer.width
        };
        let mut own = 0;
        for frame in &frames {
            let below = frames.iter().filter(|outer| inside(frame, outer)).count();
            assert_eq!(below, usize::from(frame != root), "{frame:?}");
            let above = frames.iter().filter(|inner| inside(inner, frame));
            own += frame.width - above.map(|it| it.width).sum::<i64>();
        }
        assert_eq!(own, 1351);
        let no_children = frames
            .iter()
            .filter(|frame| !frames.iter().any(|it| inside(it, frame)));
        // `add` has 300 of its own, below `grow`.
        assert_eq!(no_children.map(|it| it.width).sum::<i64>() + 300, 1351);
    }
}

#[test]
fn tooltips_tell_place_value_and_share_and_no_mark_is_left() {
    let svg = drawn(&shop(), None, false).svg;
    let titles: Vec<String> = parse(&svg).into_iter().map(|it| it.title).collect();
    for expected in [
        "all (1.3 KiB, 100.0%)",
        "all (/s/a.rs:1; 4 B, 0.3%)",
        "<shop::A<[u8; 4]> as T>::add (/s/a.rs:5, 7; 1.3 KiB, 96.2%)",
        "redis::grow (redis-0.25.0/src/lib.rs:9; inlined; 1000 B, 74.0%)",
        "a\\tb_[k] 17;c ?(x) (/s/[1]/b.rs:1; 5 B, 0.4%)",
    ] {
        assert!(
            titles.iter().any(|title| title == expected),
            "{expected} in {titles:#?}"
        );
    }
    assert!(!svg.contains(is_mark) && !svg.contains('\u{fffe}'));
    // The legend, and the mark of what is inlined.
    assert!(svg.contains("a &lt;b&gt; --<tspan") && svg.contains(">dependencies</tspan>"));
    assert!(!svg.contains(">runtimes</tspan>"));
    assert_eq!(svg.matches("<g class=\"inlined\">").count(), 1);
    // No address that a browser would ask: only names of vocabularies, which are none.
    for place in svg.split("http").skip(1) {
        let known = [
            "://www.w3.org/",
            "://github.com/",
            "://www.brendangregg.com/",
            "s://github.com/",
            "s://web.dev/",
        ];
        assert!(
            known.iter().any(|start| place.starts_with(start)),
            "{}",
            &place[..40]
        );
    }
    assert!(!svg.contains("href=") && !svg.contains("src="));
}

#[test]
fn what_grew_is_red_and_what_shrank_is_blue() {
    let base = profile(&[
        (
            &[
                &[("<shop::A<[u8; 4]> as T>::add", "/s/a.rs", 7)],
                &[("shop::main", "/s/main.rs", 3)],
            ],
            300,
        ),
        (&[&[("shop::main", "/s/other.rs", 3)]], 400),
        (&[&[("shop::gone", "/s/other.rs", 3)]], 77),
    ]);
    let drawn = drawn(&shop(), Some(&base), false);
    let frames = parse(&drawn.svg);
    let rgb = |title: &str| {
        let frame = frames
            .iter()
            .find(|it| it.title.starts_with(title))
            .unwrap();
        let digits = frame.color.trim_start_matches("rgb(").trim_end_matches(')');
        let parts: Vec<u8> = digits.split(',').map(|it| it.parse().unwrap()).collect();
        (parts[0], parts[2])
    };
    let (red, blue) = rgb("redis::grow");
    assert!(red > blue, "{red} {blue}");
    let (red, blue) = rgb("shop::main (/s/other.rs:3; 40 B, 3.0%; −360 B");
    assert!(red < blue, "{red} {blue}");
    assert_eq!(drawn.gone, 77);
}

#[test]
fn narrow_frames_are_left_out_and_their_callers_hold_them() {
    let names: Vec<String> = (0..30_000)
        .map(|number| format!("shop::f{number}"))
        .collect();
    let mut profile = Profile::default();
    for (number, name) in names.iter().enumerate() {
        let one = crate::view::testing::profile(&[(&[&[("f", "/s/a.rs", 1)]], 1)]);
        if number == 0 {
            profile = one.clone();
            profile.functions.clear();
            profile.locations.clear();
            profile.samples.clear();
        }
        let id = crate::profile::FunctionId(number as u32);
        let mut function = one.functions[0].clone();
        function.name.clone_from(name);
        profile.functions.push(function);
        let mut location = one.locations[0].clone();
        location.lines[0].function = id;
        profile.locations.push(location);
        let mut sample = one.samples[0].clone();
        sample.locations = vec![crate::profile::LocationId(number as u32)];
        sample.values = vec![if number == 7 { 100_000 } else { 1 }];
        profile.samples.push(sample);
    }
    let drawn = drawn(&profile, None, false);
    assert_eq!((drawn.frames, drawn.narrow), (2, 29_999));
    let widths: Vec<i64> = parse(&drawn.svg).iter().map(|it| it.width).collect();
    // The frame, the whole, all the others together.
    assert_eq!(widths, [100_000, 129_999, 29_999]);
}

#[test]
fn of_nothing_there_is_no_picture() {
    let empty = profile(&[(&[&[("shop::main", "/s/main.rs", 2)]], 0)]);
    let flame = flame(&empty, None, Options::default()).unwrap();
    let picture = Picture {
        flame: &flame,
        title: String::new(),
        subtitle: String::new(),
        icicle: false,
    };
    let error = draw(&picture).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("nothing to draw: inuse_space is 0 B"),
        "{error}"
    );
}
