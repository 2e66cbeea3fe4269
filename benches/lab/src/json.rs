//! serde_json reads 0.8 MB into values and writes them again.

use std::fmt::Write;
use std::hint::black_box;

use crate::{Random, Time, in_parts};

pub(crate) fn run(operations: u64) -> Time {
    let text = document();
    in_parts(operations, |operations| {
        for _ in 0..operations {
            let value: serde_json::Value = serde_json::from_str(&text).expect("written below");
            black_box(serde_json::to_string(&value).expect("values can be written"));
        }
    })
}

fn document() -> String {
    let mut random = Random::new(1);
    let mut text = String::from("[");
    for id in 0..6000 {
        let comma = if id == 0 { "" } else { "," };
        write!(
            text,
            r#"{comma}{{"id":{id},"name":"user {}","score":{}.5,"tags":["a{}","b{}"],"address":{{"city":"city {}","zip":"{}"}}}}"#,
            random.next() % 100_000,
            random.next() % 1000,
            random.next() % 100,
            random.next() % 100,
            random.next() % 500,
            random.next() % 100_000,
        )
        .expect("a String takes everything");
    }
    text.push(']');
    text
}
