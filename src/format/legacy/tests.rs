#![forbid(unsafe_code)]

use super::*;

const MAPS: &str = "MAPPED_LIBRARIES:\n\
    555555554000-555555560000 r--p 00000000 fd:01 131 /srv/shop\n\
    555555560000-555555570000 r-xp 0000c000 fd:01 131 /srv/shop\n\
    7f0000000000-7f0000100000 r-xp 00026000 fd:01 77 /usr/lib/libc.so.6\n";

fn values(profile: &Profile) -> Vec<&[i64]> {
    profile
        .samples
        .iter()
        .map(|sample| sample.values.as_slice())
        .collect()
}

#[test]
fn go_and_gperftools() {
    let text = format!(
        "heap profile: 3: 1200 [5: 2000] @ heap/2000\n\
         1: 1000 [2: 2000] @ 0x555555560101 0x7f0000000011\n\
         #\t0x555555560100\tmain.inlined+0x20\t/src/main.go:3\n\
         #\t0x555555560100\tmain.alloc+0x20\t\t/src/main.go:12\n\n\
         0: 0 [0: 0] @ 0x555555560101\n\
         #\t0x555555560100\tmain.inlined+0x20\t/src/main.go:3\n\n\
         2: 200 [2: 200] @ 0x555555560201\n\
         0: 0 [0: 0] @ 0x555555560301\n\
         \n# runtime.MemStats\n# Alloc = 12\n{MAPS}"
    );
    let profile = read(text.as_bytes()).unwrap();
    profile.check().unwrap();
    assert_eq!(profile.period, 1000);
    // Of 1000 bytes 63.2 % are chosen, of 100 bytes 9.5 %.
    assert_eq!(
        values(&profile),
        [
            &[3, 3164, 2, 1582][..],
            &[0; 4],
            &[21, 2102, 21, 2102],
            &[0, 0, 0, 0]
        ]
    );
    assert_eq!(
        profile.samples[0].labels,
        [Label::number("bytes", 1000, "bytes")]
    );
    let first = &profile.locations[0];
    assert_eq!(first.address, 0x5555_5556_0100);
    let mapping = &profile.mappings[first.mapping.unwrap().0 as usize];
    assert_eq!(
        (mapping.file.as_str(), mapping.offset),
        ("/srv/shop", 0xc000)
    );
    assert_eq!(profile.mappings.len(), 2, "code only");
    let names: Vec<_> = profile
        .functions
        .iter()
        .map(|f| (f.name.as_str(), f.filename.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("main.inlined", "/src/main.go"),
            ("main.alloc", "/src/main.go")
        ]
    );
    assert_eq!(
        first.lines.iter().map(|line| line.line).collect::<Vec<_>>(),
        [3, 12]
    );
    // heap_v2 gives the rate itself, and everything was recorded in a heapprofile.
    let other = |kind: &str| read(text.replace("heap/2000", kind).as_bytes()).unwrap();
    assert_eq!(values(&other("heap_v2/1000")), values(&profile));
    let whole = other("heapprofile");
    assert_eq!(
        (whole.period, values(&whole)[0]),
        (1, &[2, 2000, 1, 1000][..])
    );
}

#[test]
fn equal_columns_are_one() {
    let text = "heap profile: 1: 1000 [1: 1000] @ heap_v2/1\n1: 1000 [1: 1000] @ 0x10\n";
    let profile = read(text.as_bytes()).unwrap();
    assert_eq!(profile.sample_types.len(), 2);
    assert_eq!(values(&profile), [&[1, 1000]]);
}

#[test]
fn jemalloc() {
    let text = format!(
        "heap_v2/1000\n  t*: 3: 1200 [0: 0]\n  t0: 3: 1200 [0: 0]\n\
         @ 0x555555560101 0x7f0000000011\n  t*: 1: 1000 [0: 0]\n  t0: 1: 1000 [0: 0]\n\
         @ 0x555555560201\n  t*: 2: 200 [0: 0]\n\n{MAPS}"
    );
    let profile = read(text.as_bytes()).unwrap();
    assert_eq!(values(&profile), [&[2, 1582], &[21, 2102]]);
    assert_eq!((profile.period, profile.locations.len()), (1000, 3));
    let accumulated = read(text.replace("[0: 0]", "[2: 2000]").as_bytes()).unwrap();
    assert_eq!(values(&accumulated)[0], [3, 3164, 2, 1582]);
}

#[test]
fn what_is_wrong_and_where() {
    for (text, parts) in [
        ("heap profile: 1: 2 [3: 4]", ["line 1", "heap_v2/RATE"]),
        ("heap profile: 1: 2 [3: 4] @ heap_v2/x", ["line 1", "rate"]),
        (
            "heap profile: 1: 2 [3: 4] @ growthz/1",
            ["growthz", "heapprofile"],
        ),
        (
            "heap profile: 1: 2 [3] @ heap_v2/1",
            ["line 1", "objects: bytes"],
        ),
        (
            "heap profile: 1: 2 [3: 4] @ heap_v2/1\nhello\n",
            ["line 2", "\"hello\""],
        ),
        (
            "heap profile: 1: 2 [3: 4] @ heap_v2/1\n1: 2 [3: 4] @ 0xzz\n",
            ["line 2", "\"0xzz\""],
        ),
        (
            "heap profile: 1: 2 [3: 4] @ heap_v2/1\n-1: 2 [3: 4] @ 0x1\n",
            ["line 2", "-1"],
        ),
        ("heap_v2/1\n@ 0x1\nx: 1\n", ["line 3", "t*:"]),
    ] {
        let error = read(text.as_bytes()).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "no {part} in {error}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn damaged_texts_never_panic(
        pieces in proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..40),
        jemalloc: bool,
    ) {
        let start = if jemalloc { "heap_v2/1000" } else { "heap profile: 1: 2 [3: 4] @ heap_v2/7" };
        if let Ok(profile) = read(format!("{start}\n{}", pieces.concat()).as_bytes()) {
            profile.check().unwrap();
        }
    }
}

const PIECES: [&str; 14] = [
    "\n",
    "1: 2 [3: 4] @ 0x10 0x20\n",
    "@ 0x10\n",
    "t*: 1: 2 [3: 4]\n",
    "@",
    ":",
    "[",
    "18446744073709551615",
    "0x",
    "Größe",
    "#",
    "MAPPED_LIBRARIES:\n",
    "10-20 r-xp 0 0 0 /x\n",
    " ",
];
