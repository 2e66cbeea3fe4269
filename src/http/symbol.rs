//! `symbol`: names for addresses, as pprof asks for them: `0x1234+0x5678`.
#![forbid(unsafe_code)]

use std::fmt::Write;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use super::jobs::{self, Busy, Jobs};
use crate::profile::addresses::Builder;
use crate::symbolize::{self, mappings};

/// Some 50,000 addresses: more than a profile has.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// A line per address that has a name; the first line says that there are names at all.
pub(super) async fn answer(jobs: &Arc<Jobs>, list: &[u8]) -> Response {
    const SOME: &str = "num_symbols: 1\n";
    let addresses = parse(list);
    if addresses.is_empty() {
        return answer::text(SOME);
    }
    let next = match jobs.next() {
        Ok(next) => next,
        Err(Busy(seconds)) => return answer::busy(answer::ANOTHER_PROFILE, seconds),
    };
    let named = jobs::run(move |_caller| {
        let _turn = next.turn();
        let mut text = SOME.to_owned();
        for (address, name) in names(&addresses) {
            let _ = writeln!(text, "{address:#x} {name}");
        }
        text
    });
    match named.await {
        Ok(text) => answer::text(text),
        Err(error) => answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

/// The function whose code an address lies in. One name per address is all that the protocol has, so functions that were
/// inlined there are not told.
fn names(addresses: &[u64]) -> Vec<(u64, String)> {
    let mut builder = Builder::new(Vec::new(), mappings::current());
    let ids: Vec<_> = addresses
        .iter()
        .map(|&address| builder.location(address))
        .collect();
    let mut profile = builder.finish();
    symbolize::symbolize(&mut profile, &symbolize::Options::in_process());
    let name = |(&address, id): (&u64, crate::profile::LocationId)| {
        let outermost = profile.locations[id.0 as usize].lines.last()?;
        let function = &profile.functions[outermost.function.0 as usize];
        // A line per name.
        let name = function.name.replace(char::is_control, " ");
        Some((address, name))
    };
    addresses.iter().zip(ids).filter_map(name).collect()
}

/// What is no address is passed over.
fn parse(list: &[u8]) -> Vec<u64> {
    list.split(|&byte| byte == b'+')
        .filter_map(|word| number(word.trim_ascii()))
        .filter(|&address| address != 0)
        .collect()
}

/// Hexadecimal with `0x`, else decimal.
fn number(word: &[u8]) -> Option<u64> {
    let word = std::str::from_utf8(word).ok()?;
    let (digits, radix) = match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (word, 10),
    };
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all_digits
        .then(|| u64::from_str_radix(digits, radix).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_addresses() {
        for (list, addresses) in [
            ("", &[][..]),
            ("0x10", &[16]),
            ("0x10+17+0XfF", &[16, 17, 255]),
            ("+0+0x0+x+0x+-1+0x1g+ 0x2\n+", &[2]),
            ("0xffffffffffffffff+0x10000000000000000", &[u64::MAX]),
        ] {
            assert_eq!(parse(list.as_bytes()), addresses, "{list}");
        }
        assert_eq!(parse(b"\xff+0x1"), [1]);
    }

    #[test]
    fn this_very_function_has_a_name() {
        let here = this_very_function_has_a_name as fn() as usize as u64;
        let names = names(&[here, 1]);
        assert_eq!(names.len(), 1, "nothing lies at 1");
        assert_eq!(names[0].0, here);
        assert!(
            names[0].1.contains("this_very_function_has_a_name"),
            "{names:?}"
        );
    }
}
