//! What pprof and the `heapsite` command print, as sets that can be compared.
#![forbid(unsafe_code)]

use super::{Rows, bytes, clean};
use serde_json::Value;
use std::collections::BTreeMap;

/// Caller and callee; what passes there, and whether the callee is inlined.
pub(super) type Calls = BTreeMap<(String, String), (i64, bool)>;

/// A call graph: what 100 % is, rows, and calls between them.
#[derive(Debug, PartialEq)]
pub(super) struct Listed {
    pub(super) total: i64,
    pub(super) rows: Rows,
    pub(super) calls: Calls,
}

/// Value and frames of a sample, `true`: inlined.
pub(super) type Trace = (i64, Vec<(String, bool)>);

/// pprof's `-tree` and `-peek`.
pub(super) fn tree_of_pprof(text: &str) -> Listed {
    let mut listed = Listed {
        total: total_of_pprof(text),
        rows: Rows::new(),
        calls: Calls::new(),
    };
    let (_, table) = text
        .split_once("calls calls% + context")
        .unwrap_or_else(|| panic!("no table in\n{text}"));
    let mut block = Vec::new();
    for line in table.lines().skip(1) {
        if line.starts_with("-----") {
            add_block(&mut listed, &block);
            block.clear();
        } else if !line.trim().is_empty() {
            block.push(line);
        }
    }
    add_block(&mut listed, &block);
    listed
}

/// Callers, the row itself, callees.
fn add_block(listed: &mut Listed, block: &[&str]) {
    let parts: Vec<(&str, &str)> = block
        .iter()
        .map(|line| {
            line.split_once('|')
                .unwrap_or_else(|| panic!("no bar in `{line}`"))
        })
        .collect();
    let is_call = |after: &str| after.starts_with("   ");
    let Some(own) = parts.iter().position(|(_, after)| !is_call(after)) else {
        assert!(block.is_empty(), "no row in {block:?}");
        return;
    };
    let (name, _) = frame(parts[own].1.trim());
    // flat flat% sum% cum cum%
    let numbers: Vec<&str> = parts[own].0.split_whitespace().collect();
    let sums = (bytes(numbers[0]), bytes(numbers[3]));
    assert!(
        listed.rows.insert(name.clone(), sums).is_none(),
        "two rows for {name}"
    );
    for (at, (before, after)) in parts.iter().enumerate() {
        if at == own {
            continue;
        }
        let other = after.trim();
        let (other, inlined) = frame(other);
        let weight = bytes(before.split_whitespace().next().unwrap());
        let names = match at < own {
            true => (other, name.clone()),
            false => (name.clone(), other),
        };
        add_call(&mut listed.calls, names, (weight, inlined));
    }
}

/// A name, and whether it is inlined. By address the newer pprof tells columns, `file:line:column`, which are left out here.
pub(super) fn frame(text: &str) -> (String, bool) {
    let (name, inlined) = match text.strip_suffix(" (inline)") {
        Some(name) => (name, true),
        None => (text, false),
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let without_column = name.rsplit_once(':').filter(|(place, column)| {
        let line = place.rsplit_once(':').map(|(_, line)| line);
        number(column) && line.is_some_and(number)
    });
    let name = without_column.map_or(name, |(place, _)| place);
    (name.to_owned(), inlined)
}

/// Each call is told at both of its ends.
fn add_call(calls: &mut Calls, names: (String, String), call: (i64, bool)) {
    if call.0 == 0 {
        return;
    }
    let before = calls.insert(names.clone(), call);
    assert!(
        before.is_none_or(|before| before == call),
        "{names:?}: {before:?}, {call:?}"
    );
}

/// `Showing nodes accounting for 12B, 3.4% of 56B total`.
fn total_of_pprof(text: &str) -> i64 {
    let line = text
        .lines()
        .find(|line| line.contains("accounting for"))
        .unwrap_or_else(|| panic!("no total in\n{text}"));
    let total = line.trim_end_matches(" total");
    bytes(total.rsplit(' ').next().unwrap())
}

/// `heapsite tree --json` and `heapsite peek --json`.
pub(super) fn tree_of_heapsite(document: &Value) -> Listed {
    let mut listed = Listed {
        total: document["shares_of"]["value"].as_i64().unwrap(),
        rows: Rows::new(),
        calls: Calls::new(),
    };
    for row in document["rows"].as_array().unwrap() {
        let name = name(row);
        let sums = (value(&row["flat"]), value(&row["cum"]));
        assert!(
            listed.rows.insert(name.clone(), sums).is_none(),
            "two rows for {name}"
        );
        for (key, is_caller) in [("callers", true), ("callees", false)] {
            for call in row[key].as_array().unwrap() {
                let other = self::name(call);
                let names = match is_caller {
                    true => (other, name.clone()),
                    false => (name.clone(), other),
                };
                let inlined = call["inlined"].as_bool().unwrap();
                add_call(&mut listed.calls, names, (value(&call["weight"]), inlined));
            }
        }
    }
    listed
}

fn value(measure: &Value) -> i64 {
    measure["value"].as_i64().unwrap()
}

/// As pprof prints it: `address name file:line`, without what is unknown.
pub(super) fn name(row: &Value) -> String {
    let mut words = Vec::new();
    if let Some(address) = row["address"].as_str() {
        let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).unwrap();
        words.push(format!("{address:016x}"));
    }
    if let Some(function) = row["function"].as_str() {
        words.push(function.to_owned());
    }
    match (row["file"].as_str(), row["line"].as_i64()) {
        (Some(file), Some(line)) => words.push(format!("{}:{line}", clean(file))),
        (Some(file), None) => words.push(clean(file)),
        (None, Some(line)) => words.push(format!(":{line}")),
        (None, None) => {}
    }
    match (words.is_empty(), row["name"].as_str()) {
        // What pprof calls so: a thing without a name, a file or a binary.
        (true, Some("(no file)")) => "<unknown>".to_owned(),
        (true, name) => name.unwrap_or_default().to_owned(),
        (false, _) => words.join(" "),
    }
}

/// pprof's `-traces`, sorted; without those of 0, of which the older one leaves some out.
pub(super) fn traces_of_pprof(text: &str) -> Vec<Trace> {
    let mut traces: Vec<Trace> = Vec::new();
    let mut in_block = false;
    let mut is_first = false;
    for line in text.lines() {
        if line.starts_with("-----------+") {
            (in_block, is_first) = (true, true);
            continue;
        }
        // Labels come first: `     bytes:  32B`.
        let label = line.trim_start().split_once(":  ");
        if !in_block || (is_first && label.is_some_and(|(key, _)| !key.contains(' '))) {
            continue;
        }
        // The value has ten columns or more, then come three blanks.
        let (value, name) = match is_first {
            true => line
                .trim_start()
                .split_once("   ")
                .unwrap_or_else(|| panic!("no value in `{line}`")),
            false => ("", line.trim_start()),
        };
        if is_first {
            traces.push((bytes(value), Vec::new()));
        }
        is_first = false;
        traces.last_mut().unwrap().1.push(frame(name));
    }
    traces.retain(|(value, _)| *value != 0);
    traces.sort();
    traces
}

/// `heapsite traces --json`, as above.
pub(super) fn traces_of_heapsite(document: &Value) -> Vec<Trace> {
    let traces = document["traces"].as_array().unwrap().iter();
    let frames = |trace: &Value| -> Vec<(String, bool)> {
        let stack = trace["stack"].as_array().unwrap().iter();
        stack
            .map(|frame| (name(frame), frame["inlined"].as_bool().unwrap()))
            .collect()
    };
    let mut traces: Vec<Trace> = traces
        .map(|trace| (value(&trace["flat"]), frames(trace)))
        .filter(|(value, _)| *value != 0)
        .collect();
    traces.sort();
    traces
}

/// Key and value of a label, and what has it.
pub(super) type TagSums = BTreeMap<(String, String), i64>;

/// pprof's `-tags`: `bytes: Total 12.0B`, then `7.0B (58.3%): 32B` for each value; without zeros, as above.
pub(super) fn tags_of_pprof(text: &str) -> TagSums {
    let (mut key, mut tags) = (String::new(), TagSums::new());
    for line in text.lines() {
        if let Some((name, _)) = line.split_once(": Total ") {
            name.trim().clone_into(&mut key);
        } else if let Some((sum, value)) = line.split_once("): ")
            && let Some((sum, _)) = sum.trim().split_once(" (")
        {
            let sum = sum.trim_end_matches('B').trim_end_matches(".0");
            tags.insert((key.clone(), value.trim().to_owned()), sum.parse().unwrap());
        }
    }
    tags.retain(|_, sum| *sum != 0);
    tags
}

/// `heapsite tags --json`; sizes as pprof prints them with `-unit=B`.
pub(super) fn tags_of_heapsite(document: &Value) -> TagSums {
    let mut tags = TagSums::new();
    for tag in document["tags"].as_array().unwrap() {
        let key = tag["key"].as_str().unwrap();
        for row in tag["values"].as_array().unwrap() {
            let text = match (row["value"].as_str(), row["unit"].as_str()) {
                (Some(text), _) => text.to_owned(),
                (None, Some("bytes")) => format!("{}B", row["value"]),
                (None, _) => row["value"].to_string(),
            };
            tags.insert((key.to_owned(), text), value(&row["flat"]));
        }
    }
    tags.retain(|_, sum| *sum != 0);
    tags
}
