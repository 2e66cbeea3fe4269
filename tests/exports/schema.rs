//! As much of JSON Schema (draft 7) as speedscope's schema uses.
#![forbid(unsafe_code)]

use serde_json::Value;

/// Where the document breaks the schema, and how.
pub(crate) fn violations(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, document, "$", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "definitions" | "title" => {}
            "$ref" => {
                let name = rule
                    .as_str()
                    .unwrap()
                    .strip_prefix("#/definitions/")
                    .unwrap();
                check(root, &root["definitions"][name], value, at, found);
            }
            "type" => {
                let fits = match rule.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "number" => value.is_number(),
                    other => panic!("type {other}"),
                };
                if !fits {
                    found.push(format!("{at} is not of type {rule}"));
                }
            }
            "const" if value != rule => found.push(format!("{at} is not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                found.push(format!("{at} is none of {rule}"));
            }
            "const" | "enum" => {}
            "required" => {
                let keys = rule
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|key| key.as_str().unwrap());
                let missing = keys.filter(|key| value.get(key).is_none());
                found.extend(missing.map(|key| format!("{at} has no {key}")));
            }
            "properties" => {
                for (key, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(key) {
                        check(root, rule, value, &format!("{at}.{key}"), found);
                    }
                }
            }
            "items" => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, value, &format!("{at}[{index}]"), found);
                }
            }
            "anyOf" => {
                let fits = |rule: &Value| {
                    let mut found = Vec::new();
                    check(root, rule, value, at, &mut found);
                    found.is_empty()
                };
                if !rule.as_array().unwrap().iter().any(fits) {
                    found.push(format!("{at} is none of what it may be"));
                }
            }
            other => panic!("the schema has grown: {other}"),
        }
    }
}
