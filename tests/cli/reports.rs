//! The reports in pprof's manner: what scripts rely on, and answers to mistakes.

use super::Scene;
use super::machine::{has, json};

#[test]
fn reports_have_the_promised_keys() {
    let scene = Scene::new();
    let shared = [
        "/profile/name",
        "/base",
        "/sample_type/kind",
        "/quality/errors",
        "/total/standard_error",
        "/shares_of/value",
        "/shares_of/of",
        "/unmatched",
    ];
    let base = json(
        &scene,
        &["top", "new.json", "--base", "base.json", "--json"],
    );
    has(&base, &["/base/name", "/rows/0/flat/standard_error"]);
    assert_eq!(base["shares_of"]["of"], "changed");
    let tree = json(&scene, &["tree", "new.json", "--leaf", "--json"]);
    has(&tree, &shared);
    has(
        &tree,
        &[
            "/by",
            "/rows_in_all",
            "/calls_cut",
            "/rows/0/flat/value",
            "/rows/0/cum/value",
            "/rows/0/callees",
            "/rows/0/callers/0/function",
            "/rows/0/callers/0/weight/standard_error",
            "/rows/0/callers/0/inlined",
            "/rows/0/callers/0/residual",
        ],
    );
    let peek = json(&scene, &["peek", "main", "new.json", "--json"]);
    assert_eq!(peek["heapsite"], "peek");
    has(&peek, &["/rows/0/callees/0/weight/value"]);
    let traces = json(&scene, &["traces", "tagged.pb.gz", "--addresses", "--json"]);
    has(&traces, &shared);
    has(
        &traces,
        &[
            "/traces_in_all",
            "/traces/0/flat/value",
            "/traces/0/labels/0/key",
            "/traces/0/labels/0/value",
            "/traces/0/labels/0/unit",
            "/traces/0/blamed",
            "/traces/0/stack/0/address",
            "/traces/0/stack/0/inlined",
        ],
    );
    let tags = json(&scene, &["tags", "tagged.pb.gz", "--json"]);
    has(&tags, &shared);
    has(
        &tags,
        &[
            "/tags/0/key",
            "/tags/0/total/value",
            "/tags/0/values_in_all",
            "/tags/0/values/0/value",
            "/tags/0/values/0/unit",
            "/tags/0/values/0/flat/value",
        ],
    );
}

#[test]
fn reports_read_stdin_and_fit_the_width() {
    let scene = Scene::new();
    for command in ["top", "tree", "traces", "tags"] {
        let from_file = scene.run(&[command, "new.json", "--width", "80"]).ok();
        let piped = scene
            .pipe(&[command, "-", "--width", "80"], "new.json")
            .ok();
        let tail = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(tail(&from_file), tail(&piped), "{command}");
        // Below the header, which is sentences.
        let table = from_file.lines().skip_while(|line| !line.is_empty());
        for line in table.filter(|line| line.contains(".rs")) {
            assert!(line.chars().count() <= 80, "{command}: {line}");
            let place = line.trim_end_matches(" (inline)").rsplit(' ').next();
            assert!(place.is_some_and(|place| place.contains(".rs")), "{line}");
        }
    }
}

#[test]
fn reports_that_cannot_be() {
    let scene = Scene::new();
    for (args, expected) in [
        (
            &["top", "new.json", "--focus", "a(b"][..],
            "focus: `a(b` is no regular expression: unclosed group",
        ),
        (
            &["peek", "nobody", "new.json"],
            "new.json: no function matches `nobody`; `heapsite top` lists them",
        ),
        (
            &["tree", "new.json", "--by", "thread"],
            "a thread has no callers; lines, functions, files, addresses and crates have",
        ),
        (
            &["traces", "new.json", "--by", "age"],
            "a stack has no ages; lines, functions",
        ),
        (
            &["top", "new.json", "--tagfocus", "99999999999999999999kb"],
            "--tagfocus: ",
        ),
        (
            &["top", "new.pb.gz", "--by", "age"],
            "new.pb.gz: the profile does not say how old its inuse_space is",
        ),
        (
            &["top", "new.json", "--by", "age", "-s", "alloc_space"],
            "how old its alloc_space is",
        ),
        (
            &["top", "new.json", "--base", "base.json", "-s", "lifetime"],
            "lifetimes cannot be subtracted",
        ),
        (
            &["tree", "-", "--base", "-"],
            "only one profile can be read from stdin",
        ),
        (
            &["diff", "base.json", "new.json", "--by", "address"],
            "addresses differ between processes",
        ),
    ] {
        let error = scene.run(args).refused();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
}

#[test]
fn a_question_that_nothing_matches_is_told() {
    let scene = Scene::new();
    for (option, text) in [
        ("--focus", "nobody"),
        ("--hide", "nobody"),
        ("--tagfocus", "user=nobody"),
    ] {
        let done = scene.run(&["top", "new.json", option, text]);
        let note = format!("note: {option} matched nothing");
        assert!(done.stderr.contains(&note), "{}", done.stderr);
        done.ok();
    }
}
