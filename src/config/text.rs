//! `key=value,key=value`: the settings as text.
#![forbid(unsafe_code)]

use std::str::FromStr;
use std::time::Duration;

use super::{Config, Signal, push, signal};
use crate::error::{Error, Result};
use crate::format::Format;

const KEYS: &str = "interval, memory, signal, dir, format, every, keep, final, symbolize, thread_signal, evidence, evidence_pause, evidence_at, leak_watch, leak_watch_dump, leak_watch_fill, http, http_history, http_remote, http_token, \
     push, push_name, push_labels, push_interval, push_max, push_user, push_password, push_token, push_tenant, push_ca";
const SIZES: &str =
    "accepted is a whole number of bytes, or one with B, KiB, MiB or GiB, such as 512KiB";
pub(super) const DURATIONS: &str =
    "accepted is a whole number above 0 with ms, s, m or h, such as 60s";
pub(super) const FORMATS: &str = "pprof and json";
pub(super) const EVIDENCE: &str = "accepted is a whole number from 1 to 100, or none";
pub(super) const PERCENTS: &str = "accepted is a whole number from 1 to 100, in percent";
pub(super) const KEEPS: &str = "accepted is a whole number from 1, or all";

/// Reads what `HEAPSITE` may hold. Spaces around keys and values are ignored, and so are empty items, so that
/// scripts may append `,key=value`.
///
/// # Errors
///
/// Name the key, the value and what would be accepted.
impl FromStr for Config {
    type Err = Error;

    fn from_str(text: &str) -> Result<Config> {
        let mut config = Config::default();
        let mut seen: Vec<&str> = Vec::new();
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            let Some((key, value)) = item.split_once('=') else {
                // It may be what follows a comma in a secret.
                let after_secret = seen.last().is_some_and(|key| is_secret(key, ""));
                let item = if after_secret { "…" } else { item };
                return Err(Error::config(format!(
                    "`{item}` has no `=`: accepted is `key=value`; keys are {KEYS}"
                )));
            };
            let (key, value) = (key.trim_end(), value.trim_start());
            if seen.contains(&key) {
                let value = if is_secret(key, value) { "…" } else { value };
                return Err(Error::config(format!(
                    "key `{key}`, value `{value}`: given twice; accepted is one value per key"
                )));
            }
            seen.push(key);
            config = set(config, key, value).map_err(|accepted| {
                let value = if is_secret(key, value) { "…" } else { value };
                Error::config(format!("key `{key}`, value `{value}`: {accepted}"))
            })?;
        }
        Ok(config)
    }
}

/// A secret that was mistyped is still one, and an address may have a password in it.
fn is_secret(key: &str, value: &str) -> bool {
    matches!(key, "http_token" | "push_token" | "push_password")
        || key == "push" && value.contains('@')
}

/// Sets one key; the error says what would be accepted.
fn set(config: Config, key: &str, value: &str) -> Result<Config, String> {
    Ok(match key {
        "interval" => config.interval(size(value)?),
        "memory" => config.memory(size(value)?),
        "signal" if value == "none" => config.no_signal(),
        "signal" => config.signal(
            Signal::from_str(value).map_err(|_| format!("{}, or none", signal::accepted()))?,
        ),
        "dir" if value.is_empty() => {
            return Err("accepted is the path of a directory that exists".to_owned());
        }
        "dir" => config.dir(value),
        "format" => match Format::from_name(value) {
            Ok(format @ (Format::Pprof | Format::Json)) => config.format(format),
            _ => return Err(format!("accepted are {FORMATS}")),
        },
        "every" => config.every(duration(value)?),
        "keep" if value == "all" => config.keep_all(),
        "keep" => match whole_number(value).and_then(|n| usize::try_from(n).ok()) {
            Some(files @ 1..) => config.keep(files),
            _ => return Err(KEEPS.to_owned()),
        },
        "final" => config.final_dump(truth(value)?),
        "thread_signal" => config
            .thread_signal(Signal::from_str(value).map_err(|_| signal::accepted().to_string())?),
        "symbolize" => config.symbolize(truth(value)?),
        "evidence" if value == "none" => Config {
            evidence: None,
            ..config
        },
        "evidence" => match whole_number(value).filter(|n| (1..=100).contains(n)) {
            Some(worst) => config.evidence(worst as usize),
            None => return Err(EVIDENCE.to_owned()),
        },
        "evidence_pause" => config.evidence_pause(duration(value)?),
        "evidence_at" => match whole_number(value).filter(|n| (1..=100).contains(n)) {
            Some(percent) => config.evidence_at(percent as u8),
            None => return Err(PERCENTS.to_owned()),
        },
        "leak_watch" if value == "none" => Config {
            leak_watch: None,
            ..config
        },
        "leak_watch" => config.leak_watch(duration(value).map_err(|it| it + ", or none")?),
        "leak_watch_dump" => config.leak_watch_dump(truth(value)?),
        "leak_watch_fill" => config.leak_watch_fill(duration(value)?),
        "http" | "http_history" | "http_remote" | "http_token" => return http(config, key, value),
        "push" | "push_name" | "push_labels" | "push_interval" | "push_max" | "push_user"
        | "push_password" | "push_token" | "push_tenant" | "push_ca" => {
            return push::set(config, key, value);
        }
        _ => return Err(format!("unknown key; accepted keys are {KEYS}")),
    })
}

#[cfg(feature = "http")]
fn http(config: Config, key: &str, value: &str) -> Result<Config, String> {
    Ok(match key {
        "http" => {
            crate::http::address(value)?;
            config.http(value)
        }
        "http_history" if value == "none" => config.http_history(Duration::ZERO),
        "http_history" => config.http_history(duration(value).map_err(|it| it + ", or none")?),
        "http_remote" => config.http_remote(truth(value)?),
        _ if value.is_empty() => return Err(crate::http::TOKENS.to_owned()),
        _ => config.http_token(value),
    })
}

#[cfg(not(feature = "http"))]
fn http(_: Config, _: &str, _: &str) -> Result<Config, String> {
    Err(
        "this program was built without heapsite's feature `http`; accepted with \
         `heapsite = { features = [\"http\"], … }` in its Cargo.toml"
            .to_owned(),
    )
}

/// A number of bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let scale: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(SIZES.to_owned()),
    };
    whole_number(number)
        .and_then(|n| n.checked_mul(scale))
        .ok_or_else(|| format!("{SIZES}, up to {} bytes", u64::MAX))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(DURATIONS.to_owned()),
    };
    whole_number(number)
        .filter(|&n| n > 0)
        .and_then(|n| n.checked_mul(milliseconds))
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{DURATIONS}, up to {} ms", u64::MAX))
}

fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("accepted are true and false".to_owned()),
    }
}

/// The digits, and what follows them.
fn split_unit(text: &str) -> (&str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (&text[..digits], text[digits..].trim_start())
}

/// Digits only: no sign, no empty text, no overflow.
fn whole_number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_texts() {
        let day = Duration::from_secs(86_400);
        let table = [
            ("", Config::new()),
            (" , ,", Config::new()),
            ("interval=0", Config::new().interval(0)),
            ("interval=1", Config::new().interval(1)),
            ("interval=512KiB", Config::new().interval(524_288)),
            ("interval=3 MiB", Config::new().interval(3 << 20)),
            ("interval=2GiB", Config::new().interval(2 << 30)),
            ("interval=7B", Config::new().interval(7)),
            ("memory=64MiB", Config::new().memory(64 << 20)),
            (
                "interval=18446744073709551615",
                Config::new().interval(u64::MAX),
            ),
            ("signal=SIGUSR1", Config::new().signal(Signal::USR1)),
            ("signal=usr2", Config::new().signal(Signal::USR2)),
            ("signal=1", Config::new().signal(Signal::HUP)),
            (
                "signal=SIGRTMIN+3",
                Config::new().signal(Signal::real_time(3).unwrap()),
            ),
            ("signal=none", Config::new().no_signal()),
            (
                "thread_signal=SIGRTMIN+4",
                Config::new().thread_signal(Signal::real_time(4).unwrap()),
            ),
            ("dir=/a b=c/d", Config::new().dir("/a b=c/d")),
            ("format=json", Config::new().format(Format::Json)),
            ("format=pprof", Config::new()),
            (
                "every=250ms",
                Config::new().every(Duration::from_millis(250)),
            ),
            ("every=24h", Config::new().every(day)),
            ("every=1440m", Config::new().every(day)),
            ("keep=1", Config::new().keep(1)),
            ("evidence=5", Config::new().evidence(5)),
            ("evidence=none", Config::new()),
            (
                "evidence_pause=5s,evidence_at=80",
                Config::new()
                    .evidence(3)
                    .evidence_pause(Duration::from_secs(5))
                    .evidence_at(80),
            ),
            ("keep=all", Config::new().keep_all()),
            ("leak_watch=none", Config::new()),
            (
                "leak_watch=5m,leak_watch_dump=true,leak_watch_fill=10m",
                Config::new()
                    .leak_watch(Duration::from_secs(300))
                    .leak_watch_dump(true)
                    .leak_watch_fill(Duration::from_secs(600)),
            ),
            (
                " final = true , symbolize=false,",
                Config::new().final_dump(true).symbolize(false),
            ),
        ];
        for (text, expected) in table {
            let read: Config = text
                .parse()
                .unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(read, expected, "{text}");
            read.validate().unwrap();
        }
    }

    #[test]
    fn bad_texts_name_key_value_and_what_is_accepted() {
        let signals = format!("{}, or none", signal::accepted());
        let sizes_to = format!("{SIZES}, up to 18446744073709551615 bytes");
        let durations_to = format!("{DURATIONS}, up to 18446744073709551615 ms");
        let truths = "accepted are true and false";
        let table = [
            ("interval=", "interval", "", sizes_to.as_str()),
            ("interval=-1", "interval", "-1", SIZES),
            ("interval=+1", "interval", "+1", SIZES),
            ("interval=1.5MiB", "interval", "1.5MiB", SIZES),
            ("interval=512KB", "interval", "512KB", SIZES),
            ("interval=512kib", "interval", "512kib", SIZES),
            (
                "interval=18446744073709551616",
                "interval",
                "18446744073709551616",
                &sizes_to,
            ),
            (
                "interval=17179869184GiB",
                "interval",
                "17179869184GiB",
                &sizes_to,
            ),
            ("interval=١", "interval", "١", SIZES),
            ("signal=SIGTERM", "signal", "SIGTERM", &signals),
            ("signal=9", "signal", "9", &signals),
            ("signal=", "signal", "", &signals),
            ("signal=SIG12", "signal", "SIG12", &signals),
            ("signal=SIGRTMIN+99", "signal", "SIGRTMIN+99", &signals),
            ("signal=SIGRTMIN++1", "signal", "SIGRTMIN++1", &signals),
            (
                "signal=99999999999999999999",
                "signal",
                "99999999999999999999",
                &signals,
            ),
            (
                "dir=",
                "dir",
                "",
                "accepted is the path of a directory that exists",
            ),
            (
                "format=folded",
                "format",
                "folded",
                "accepted are pprof and json",
            ),
            ("format=PNG", "format", "PNG", "accepted are pprof and json"),
            ("every=60", "every", "60", DURATIONS),
            ("every=0s", "every", "0s", &durations_to),
            ("every=s", "every", "s", &durations_to),
            ("every=1d", "every", "1d", DURATIONS),
            (
                "every=5124095576030432h",
                "every",
                "5124095576030432h",
                &durations_to,
            ),
            ("keep=0", "keep", "0", KEEPS),
            ("keep=-3", "keep", "-3", KEEPS),
            ("keep=ALL", "keep", "ALL", KEEPS),
            ("final=yes", "final", "yes", truths),
            ("symbolize=1", "symbolize", "1", truths),
        ];
        for (text, key, value, accepted) in table {
            let error = text.parse::<Config>().expect_err(text);
            assert!(error.is_config(), "{text}");
            assert_eq!(
                error.to_string(),
                format!("key `{key}`, value `{value}`: {accepted}")
            );
        }
        let whole_lines = [
            (
                "intervall=1",
                format!("key `intervall`, value `1`: unknown key; accepted keys are {KEYS}"),
            ),
            (
                "Final=true",
                format!("key `Final`, value `true`: unknown key; accepted keys are {KEYS}"),
            ),
            (
                "=1",
                format!("key ``, value `1`: unknown key; accepted keys are {KEYS}"),
            ),
            (
                "final",
                format!("`final` has no `=`: accepted is `key=value`; keys are {KEYS}"),
            ),
            (
                "dir=/a,b",
                format!("`b` has no `=`: accepted is `key=value`; keys are {KEYS}"),
            ),
            (
                "keep=2,keep=3",
                "key `keep`, value `3`: given twice; accepted is one value per key".to_owned(),
            ),
        ];
        for (text, line) in whole_lines {
            assert_eq!(text.parse::<Config>().expect_err(text).to_string(), line);
        }
    }

    #[cfg(feature = "http")]
    #[test]
    fn http() {
        let text = "http=0.0.0.0:6060,http_remote=true,http_token=s=3";
        let read: Config = text.parse().unwrap();
        let built = Config::new().http("0.0.0.0:6060").http_remote(true);
        assert_eq!(read, built.http_token("s=3"));
        let read: Config = "http_history=1m".parse().unwrap();
        assert_eq!(read, Config::new().http_history(Duration::from_secs(60)));
        let read: Config = "http_history=none".parse().unwrap();
        assert_eq!(read, Config::new().http_history(Duration::ZERO));
        read.validate().unwrap();
        for (text, parts) in [
            ("http=6060", ["key `http`, value `6060`", "127.0.0.1:6060"]),
            ("http_remote=1", ["key `http_remote`", "true and false"]),
            ("http_history=0s", ["key `http_history`", "or none"]),
            ("http_token=", ["key `http_token`, value `…`", "visible"]),
        ] {
            let error = text.parse::<Config>().expect_err(text).to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
        for (config, parts) in [
            (Config::new().http("x"), ["key `http`, value `x`", "6060"]),
            (
                Config::new().http("10.0.0.1:80"),
                ["value `10.0.0.1:80`", "http_remote=true"],
            ),
            (
                Config::new().http_token("a b"),
                ["key `http_token`", "visible"],
            ),
        ] {
            let error = config.validate().unwrap_err();
            assert!(error.is_config());
            let error = error.to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[cfg(not(feature = "http"))]
    #[test]
    fn without_the_feature_http_says_which_is_needed() {
        for text in [
            "http=127.0.0.1:6060",
            "http_remote=true",
            "http_token=secret",
        ] {
            let error = text.parse::<Config>().unwrap_err();
            assert!(error.is_config());
            assert!(error.to_string().contains("feature `http`"), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_the_builder_lets_through_is_refused_later() {
        for config in [
            Config::new().format(Format::Folded),
            Config::new().every(Duration::ZERO),
            Config::new().keep(0),
            Config::new().memory((1 << 20) - 1),
        ] {
            assert!(config.validate().unwrap_err().is_config(), "{config:?}");
        }
    }
}
