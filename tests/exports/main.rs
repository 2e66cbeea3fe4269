//! The viewers that `heapsite convert` writes for open its files, and show the numbers that the `heapsite` command prints.
//!
//! `bash ci/viewers.sh` runs these; `bash ci/setup.sh` installs the viewers, which are found through `HEAPSITE_CI_TOOLS`.
//! The dumps come from the demo, a real service under load.
#![forbid(unsafe_code)]

mod callgrind;
#[allow(dead_code)] // What only the test of the page uses.
#[path = "../browser/devtools.rs"]
mod devtools;
mod dhat;
mod legacy;
mod schema;
mod speedscope;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use devtools::Page;
use serde_json::{Value, json};

const KINDS: [&str; 4] = [
    "alloc_objects",
    "alloc_space",
    "inuse_objects",
    "inuse_space",
];

/// Two dumps of one service as pprof files, with traffic in between.
struct Dumps {
    dir: tempfile::TempDir,
    before: PathBuf,
    after: PathBuf,
}

fn dumps() -> &'static Dumps {
    static DUMPS: LazyLock<Dumps> = LazyLock::new(|| {
        let dir = tempfile::Builder::new()
            .prefix("heapsite-exports-")
            .tempdir()
            .unwrap();
        let demo = Path::new(env!("CARGO_BIN_EXE_heapsite")).with_file_name("examples/demo");
        let mut command = Command::new(demo);
        command.args(["--requests", "1500", "--interval", "4096", "--out"]);
        let said = output(command.arg(dir.path().join("demo")));
        let files: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        let [before, after] = [0, 1].map(|index| {
            let dump = files["files"][index].as_str().unwrap();
            let pprof = dir.path().join(format!("{index}.pb.gz"));
            heapsite(&["convert", dump, "-o", path(&pprof)]);
            pprof
        });
        Dumps { dir, before, after }
    });
    &DUMPS
}

impl Dumps {
    /// The later dump, or with `base` the difference of the two, under a new name.
    fn converted(&self, name: &str, arguments: &[&str]) -> PathBuf {
        let to = self.dir.path().join(name);
        let from = ["convert", path(&self.after), "-o", path(&to)];
        heapsite(&[&from, arguments].concat());
        to
    }

    fn difference(&self, name: &str) -> PathBuf {
        self.converted(name, &["--base", path(&self.before)])
    }
}

/// A row of `heapsite top`: what was allocated in a function, and what passed through it.
type Rows = BTreeMap<(String, String), (i64, i64)>;

/// By function and file, without rows that are 0 in both.
fn functions(file: &Path, kind: &str) -> Rows {
    let arguments = [
        "top",
        "--sort",
        kind,
        "--by",
        "function",
        "--leaf",
        "--json",
        "-n",
        "1000000",
        path(file),
    ];
    let document: Value = serde_json::from_str(&heapsite(&arguments)).unwrap();
    let mut rows = Rows::new();
    for row in document["rows"].as_array().unwrap() {
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let value = |key: &str| row[key]["value"].as_i64().unwrap();
        let values = (value("flat"), value("cum"));
        if values != (0, 0) {
            let old = rows.insert((text("function"), text("file")), values);
            assert!(old.is_none(), "a row comes twice: {row}");
        }
    }
    assert!(rows.len() > 50, "{kind}: too few rows to mean anything");
    rows
}

fn total(file: &Path, kind: &str) -> i64 {
    let profile = heapsite::format::read(&std::fs::read(file).unwrap()).unwrap();
    let index = profile.sample_type_index(Some(kind)).unwrap();
    profile
        .samples
        .iter()
        .map(|sample| sample.values[index])
        .sum()
}

/// `1,234,567`
fn with_commas(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Gives the page's input of files a file, as a user does who picks one.
fn pick(page: &mut Page, selector: &str, file: &Path) {
    let expression = format!("document.querySelector({selector:?})");
    let input = page.send("Runtime.evaluate", json!({ "expression": expression }));
    let id = input["result"]["objectId"].as_str().unwrap();
    page.send(
        "DOM.setFileInputFiles",
        json!({ "files": [path(file)], "objectId": id }),
    );
}

fn tools() -> PathBuf {
    let tools = std::env::var_os("HEAPSITE_CI_TOOLS")
        .expect("HEAPSITE_CI_TOOLS is not set; see ci/viewers.sh");
    tools.into()
}

fn heapsite(arguments: &[&str]) -> String {
    output(Command::new(env!("CARGO_BIN_EXE_heapsite")).args(arguments))
}

fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stderr}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
