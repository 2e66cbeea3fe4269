//! `tree`, `peek`, `top`, `traces` and `tags`: of the same files, with the same selection, pprof and the command tell the
//! same rows, the same calls between them, and the same 100 %. Of our own dumps, and of those of Go's runtime.
#![forbid(unsafe_code)]

use super::listings::{
    Calls, Listed, tags_of_heapsite, tags_of_pprof, traces_of_heapsite, traces_of_pprof,
    tree_of_heapsite, tree_of_pprof,
};
use super::{Pprof, for_each, output, path};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// How rows are told: pprof's option and ours.
const GRANULARITIES: [(&str, &[&str]); 5] = [
    ("-files", &["--files"]),
    ("-functions", &["--functions"]),
    ("-filefunctions", &["--by", "function"]),
    ("-lines", &["--lines"]),
    ("-addresses", &["--addresses"]),
];

/// Two profiles of one program, and patterns that match a part of them.
struct Case {
    what: &'static str,
    before: PathBuf,
    after: PathBuf,
    /// Some frames of some stacks.
    some: &'static str,
    /// Others.
    others: &'static str,
}

impl Case {
    /// pprof tells apart functions of a file that begin at different lines, which Go's runtime writes and we do not: its
    /// rows by file have one name then. Only their flat values can be compared.
    fn granularities(&self) -> &'static [(&'static str, &'static [&'static str])] {
        match self.what {
            "Go's dump" => &GRANULARITIES[1..],
            _ => &GRANULARITIES,
        }
    }

    /// The older pprof takes Go's generic functions for C++, and drops what they have in parentheses, unless it leaves names
    /// alone.
    fn symbolize(&self) -> &'static str {
        match self.what {
            "Go's dump" => LEAVE_NAMES,
            _ => "-symbolize=local",
        }
    }
}

const LEAVE_NAMES: &str = "-symbolize=none";

/// Each of the two pprofs with our dumps and with Go's.
fn for_each_case(check: impl Fn(&Pprof, &Case)) {
    for_each(|tool, dumps| {
        let ours = Case {
            what: "heapsite's dump",
            before: dumps.before.clone(),
            after: dumps.after.clone(),
            some: "demo::service|hyper",
            others: "^<?(alloc|core)::|moka",
        };
        check(tool, &ours);
    });
    for_each_tool(|tool| {
        let [before, after] = go_dumps();
        let theirs = Case {
            what: "Go's dump",
            before: before.clone(),
            after: after.clone(),
            some: "net/http|pprof",
            others: r"^runtime\.|compress",
        };
        check(tool, &theirs);
    });
}

fn for_each_tool(check: impl Fn(&Pprof)) {
    for variable in ["HEAPSITE_PPROF_OLD", "HEAPSITE_PPROF_NEW"] {
        let tool = std::env::var_os(variable)
            .unwrap_or_else(|| panic!("{variable} is not set; see ci/viewers.sh"));
        check(&Pprof {
            name: variable,
            tool: tool.into(),
            dir: std::env::temp_dir(),
        });
    }
}

/// Two heap profiles of Go's own server, which samples every 512th byte, with some requests in between.
fn go_dumps() -> &'static [PathBuf; 2] {
    static DUMPS: LazyLock<(tempfile::TempDir, [PathBuf; 2])> = LazyLock::new(|| {
        let tool = std::env::var_os("HEAPSITE_PPROF_NEW").expect("HEAPSITE_PPROF_NEW is set");
        let server = Path::new(&tool).with_file_name("pprof-server-1.27.3");
        let mut server = Command::new(server)
            .env("GODEBUG", "memprofilerate=512")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut stdout = BufReader::new(server.stdout.take().unwrap());
        stdout.read_line(&mut said).unwrap();
        let address = said.trim().rsplit('/').next().unwrap().to_owned();
        let dir = tempfile::Builder::new()
            .prefix("heapsite-go-")
            .tempdir()
            .unwrap();
        let dump = |name: &str| {
            let file = dir.path().join(name);
            std::fs::write(&file, get(&address, "/debug/pprof/heap?gc=1")).unwrap();
            file
        };
        let before = dump("before.pb.gz");
        for _ in 0..5 {
            get(&address, "/debug/pprof/goroutine?debug=2");
            get(&address, "/debug/pprof/allocs");
        }
        let dumps = [before, dump("after.pb.gz")];
        // Its standard input is closed, so it ends.
        drop(server.stdin.take());
        server.wait().unwrap();
        (dir, dumps)
    });
    &DUMPS.1
}

fn get(address: &str, question: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {question} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n");
    answer.split_off(head.expect("a head and a body") + 4)
}

fn document(args: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heapsite"));
    let said = output(command.args(args).arg("--json"));
    serde_json::from_str(&said).unwrap()
}

const EVERYTHING: [&str; 4] = [
    "-unit=B",
    "-nodecount=1000000",
    "-nodefraction=0",
    "-edgefraction=0",
];

fn their_tree(tool: &Pprof, case: &Case, args: &[&str]) -> Listed {
    let tree = ["-tree", case.symbolize()];
    tree_of_pprof(&tool.run(&[&EVERYTHING[..], &tree, args].concat()))
}

fn our_tree(args: &[&str]) -> Listed {
    let all = "tree --leaf -n 1000000 --nodefraction 0 --edgefraction 0";
    let all: Vec<&str> = all.split(' ').collect();
    tree_of_heapsite(&document(&[&all, args].concat()))
}

/// Fails with what differs, not with both graphs.
fn compare(what: &str, theirs: &Listed, ours: &Listed) {
    assert_eq!(theirs.total, ours.total, "{what}: 100 %");
    let without_zeros = |listed: &Listed| {
        let mut rows = listed.rows.clone();
        rows.retain(|_, sums| *sums != (0, 0));
        rows
    };
    super::compare(what, &without_zeros(theirs), &without_zeros(ours));
    let names = theirs.calls.keys().chain(ours.calls.keys());
    let differing: BTreeMap<_, _> = names
        .filter(|names| theirs.calls.get(*names) != ours.calls.get(*names))
        .map(|names| (names, (theirs.calls.get(names), ours.calls.get(names))))
        .collect();
    assert!(
        differing.is_empty(),
        "{what}: (pprof, heapsite) (weight, inlined) differ in\n{differing:#?}"
    );
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn trees_agree() {
    for_each_case(|tool, case| {
        for &(theirs, ours) in case.granularities() {
            for kind in ["inuse_space", "alloc_objects"] {
                let index = format!("-sample_index={kind}");
                let file = path(&case.after);
                let theirs = their_tree(tool, case, &[theirs, &index, file]);
                let ours = our_tree(&[ours, &["--value", kind, file]].concat());
                let what = format!("{} {} {kind}", tool.name, case.what);
                assert!(ours.calls.len() > 10, "{what}: too little: {ours:?}");
                compare(&what, &theirs, &ours);
            }
        }
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn selections_agree() {
    for_each_case(|tool, case| {
        let (some, others) = (case.some, case.others);
        let selections: [(&[(&str, &str)], bool); 9] = [
            (&[("focus", some)], false),
            (&[("ignore", some)], false),
            (&[("show", some)], false),
            (&[("hide", others)], false),
            (&[("show_from", some)], false),
            (&[("focus", some), ("ignore", others)], false),
            (&[("focus", some), ("hide", others)], true),
            (&[("tagfocus", "1kb:")], false),
            (&[("tagignore", "bytes=:1kb")], true),
        ];
        for &(theirs, ours) in case.granularities() {
            // Each takes a second or so.
            if tool.name == "HEAPSITE_PPROF_OLD" && theirs != "-lines" {
                continue;
            }
            for (selection, relative) in selections {
                let file = path(&case.after);
                let mut their_args = vec![theirs.to_owned()];
                let mut our_args: Vec<String> = ours.iter().map(|&it| it.to_owned()).collect();
                for (option, text) in selection {
                    their_args.push(format!("-{option}={text}"));
                    our_args.push(format!("--{option}={text}"));
                }
                if relative {
                    their_args.push("-relative_percentages".to_owned());
                    our_args.push("--relative".to_owned());
                }
                their_args.push(file.to_owned());
                our_args.push(file.to_owned());
                let what = format!("{} {} {their_args:?}", tool.name, case.what);
                let their_args: Vec<&str> = their_args.iter().map(String::as_str).collect();
                let our_args: Vec<&str> = our_args.iter().map(String::as_str).collect();
                // Without labels nothing is left, and pprof calls that an empty profile.
                let ours = our_tree(&our_args);
                if ours.rows.is_empty() {
                    continue;
                }
                compare(&what, &their_tree(tool, case, &their_args), &ours);
            }
        }
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn inlined_functions_can_be_left_out() {
    for_each_case(|tool, case| {
        let file = path(&case.after);
        for &(theirs, ours) in case.granularities() {
            let theirs = their_tree(tool, case, &[theirs, "-noinlines", file]);
            let ours = our_tree(&[ours, &["--inlined", "no", file]].concat());
            assert!(ours.calls.values().all(|(_, inlined)| !inlined));
            compare(&format!("{} {}", tool.name, case.what), &theirs, &ours);
        }
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn differences_agree() {
    for_each_case(|tool, case| {
        let (before, after) = (path(&case.before), path(&case.after));
        for &(theirs, ours) in case.granularities() {
            for (their_base, our_base) in [("-base", "--base"), ("-diff_base", "--diff-base")] {
                let mut theirs = their_tree(tool, case, &[theirs, their_base, before, after]);
                let mut ours = our_tree(&[ours, &[our_base, before, after]].concat());
                // With -diff_base pprof also asks stacks that did not change whether a call is inlined.
                for call in theirs.calls.values_mut().chain(ours.calls.values_mut()) {
                    call.1 = false;
                }
                let what = format!("{} {} {their_base}", tool.name, case.what);
                assert!(!ours.rows.is_empty(), "{what}: nothing changed");
                compare(&what, &theirs, &ours);
            }
        }
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn cuts_agree() {
    for_each_case(|tool, case| {
        let file = path(&case.after);
        let fractions = ["-nodefraction=0.02", "-edgefraction=0.05"];
        let args = [
            "-unit=B",
            "-nodecount=1000000",
            "-tree",
            "-functions",
            case.symbolize(),
        ];
        let theirs = tool.run(&[&args[..], &fractions, &[file]].concat());
        let ours = "tree --leaf -n 1000000 --nodefraction 0.02 --edgefraction 0.05 --functions";
        let ours: Vec<&str> = ours.split(' ').chain([file]).collect();
        let ours = document(&ours);
        assert!(ours["calls_cut"].as_u64().unwrap() > 0);
        let left = ours["rows"].as_array().unwrap().len() as u64;
        assert!(left < ours["rows_in_all"].as_u64().unwrap());
        let theirs = tree_of_pprof(&theirs);
        compare(
            &format!("{} {} cut", tool.name, case.what),
            &theirs,
            &tree_of_heapsite(&ours),
        );
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn peeks_agree() {
    for_each_case(|tool, case| {
        let file = path(&case.after);
        let pattern = match case.what {
            "Go's dump" => r"net/http\.",
            _ => "MetricsCache|service::product",
        };
        for &(theirs, ours) in case.granularities() {
            if theirs == "-files" {
                continue; // functions have no place in their names
            }
            let peek = ["-unit=B", case.symbolize(), theirs, "-peek", pattern, file];
            let theirs = tree_of_pprof(&tool.run(&peek));
            let ours = [&["peek", "--leaf", pattern, file], ours].concat();
            let ours = tree_of_heapsite(&document(&ours));
            assert!(!ours.rows.is_empty());
            compare(&format!("{} {}", tool.name, case.what), &theirs, &ours);
        }
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn tables_agree() {
    for_each_case(|tool, case| {
        let file = path(&case.after);
        for &(theirs, ours) in case.granularities() {
            let mut theirs = tool.top(&[theirs, case.symbolize(), "-focus", case.some, file]);
            let all = ["top", "--leaf", "-n", "1000000", "--focus", case.some, file];
            let ours = Listed {
                calls: Calls::new(),
                ..top_of_heapsite(&document(&[&all[..], ours].concat()))
            };
            theirs.retain(|_, sums| *sums != (0, 0));
            super::compare(&format!("{} {}", tool.name, case.what), &theirs, &ours.rows);
        }
    });
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn files_of_go_agree() {
    for_each_tool(|tool| {
        let file = path(&go_dumps()[1]);
        let flat = |rows: Vec<(String, i64)>| {
            let mut sums: BTreeMap<String, i64> = BTreeMap::new();
            for (name, flat) in rows {
                *sums.entry(name).or_default() += flat;
            }
            sums.retain(|_, flat| *flat != 0);
            sums
        };
        let theirs = tool.top_in_order(&["-files", LEAVE_NAMES, file]);
        let theirs = theirs.into_iter().map(|(name, (flat, _))| (name, flat));
        let ours = document(&["top", "--files", "--leaf", "-n", "1000000", file]);
        let ours = top_of_heapsite(&ours).rows.into_iter();
        let ours = flat(ours.map(|(name, (flat, _))| (name, flat)).collect());
        assert!(ours.len() > 10, "{ours:?}");
        assert_eq!(flat(theirs.collect()), ours, "{}", tool.name);
    });
}

/// A table is a tree without calls.
fn top_of_heapsite(document: &Value) -> Listed {
    let mut tree = document.clone();
    for row in tree["rows"].as_array_mut().unwrap() {
        row["callers"] = Value::Array(Vec::new());
        row["callees"] = Value::Array(Vec::new());
    }
    tree_of_heapsite(&tree)
}

#[test]
#[ignore = "needs Go's pprof: ci/setup.sh installs it, ci/viewers.sh runs this"]
fn traces_and_tags_agree() {
    for_each_case(|tool, case| {
        let file = path(&case.after);
        for &(theirs, ours) in case.granularities() {
            for selection in [None, Some(("hide", case.others))] {
                let mut their_args = vec![
                    "-unit=B".to_owned(),
                    "-traces".into(),
                    theirs.into(),
                    case.symbolize().into(),
                ];
                let mut our_args: Vec<String> = ["traces", "--leaf", "-n", "1000000"]
                    .iter()
                    .chain(ours)
                    .map(|&it| it.to_owned())
                    .collect();
                if let Some((option, text)) = selection {
                    their_args.push(format!("-{option}={text}"));
                    our_args.push(format!("--{option}={text}"));
                }
                their_args.push(file.to_owned());
                our_args.push(file.to_owned());
                let their_args: Vec<&str> = their_args.iter().map(String::as_str).collect();
                let our_args: Vec<&str> = our_args.iter().map(String::as_str).collect();
                let theirs = traces_of_pprof(&tool.run(&their_args));
                let ours = traces_of_heapsite(&document(&our_args));
                assert!(ours.len() > 20, "{} traces", ours.len());
                for (theirs, ours) in theirs.iter().zip(&ours) {
                    assert_eq!(theirs, ours, "{} {} {their_args:?}", tool.name, case.what);
                }
                assert_eq!(theirs.len(), ours.len());
            }
        }
        let theirs = tags_of_pprof(&tool.run(&["-unit=B", "-tags", file]));
        let ours = tags_of_heapsite(&document(&["tags", "-n", "1000000", file]));
        assert_eq!(theirs, ours, "{} {} -tags", tool.name, case.what);
        assert!(case.what != "Go's dump" || ours.len() > 3, "{ours:?}");
    });
}
