//! Numbers as people read them. Sizes are binary (KiB = 1,024 bytes); a minus is U+2212, so that it lines up
//! with a plus.
#![forbid(unsafe_code)]

const BINARY: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// A value in its unit: `412.3 MiB`, `2,113`, `1.5 ms`, `17 widgets`.
pub fn quantity(value: i64, unit: &str) -> String {
    match unit {
        "bytes" => bytes(value as f64),
        "count" | "" => count(value),
        "nanoseconds" if value >= 0 => duration(value as u64),
        other => format!("{} {other}", count(value)),
    }
}

/// A value and its standard error in one unit: `412.3 ± 3.1 MiB`. `None` leaves the error out.
pub fn with_error(value: i64, error: Option<f64>, unit: &str) -> String {
    let Some(error) = error else {
        return quantity(value, unit);
    };
    match unit {
        "bytes" => {
            let step = step((value as f64).abs().max(error));
            let decimals = usize::from(step > 0);
            let scale = 1024f64.powi(step as i32);
            let small = 0.5 * 0.1f64.powi(decimals as i32);
            let shown = error / scale;
            let error = if error > 0.0 && shown < small {
                format!("<{small:.*}", decimals + 1)
            } else {
                format!("{shown:.decimals$}")
            };
            format!(
                "{}{:.decimals$} ± {error} {}",
                sign(value < 0),
                (value as f64 / scale).abs(),
                BINARY[step]
            )
        }
        "count" | "" => format!("{} ± {}", count(value), count(error.round() as i64)),
        other => format!("{} ± {} {other}", count(value), count(error.round() as i64)),
    }
}

/// The same with a `+` in front of what is above zero.
pub fn change(value: i64, error: Option<f64>, unit: &str) -> String {
    let text = with_error(value, error, unit);
    if value > 0 { format!("+{text}") } else { text }
}

/// `0 B`, `640 B`, `1.5 KiB`, `412.3 MiB`.
pub fn bytes(value: f64) -> String {
    let step = step(value.abs());
    let decimals = usize::from(step > 0);
    let shown = value.abs() / 1024f64.powi(step as i32);
    format!("{}{shown:.decimals$} {}", sign(value < 0.0), BINARY[step])
}

/// A sampling interval or another size that is often a round number: `512 KiB`, `64 B`.
pub fn round_bytes(value: u64) -> String {
    let step = step(value as f64);
    match value % (1 << (10 * step)) {
        0 => format!("{} {}", value >> (10 * step), BINARY[step]),
        _ => bytes(value as f64),
    }
}

/// The largest unit of which there is at least one, with room for rounding up: 1023.96 KiB is 1.0 MiB.
fn step(value: f64) -> usize {
    let mut step = 0;
    let mut value = value;
    while step + 1 < BINARY.len() && value >= if step == 0 { 1023.5 } else { 1023.95 } {
        value /= 1024.0;
        step += 1;
    }
    step
}

fn sign(negative: bool) -> &'static str {
    if negative { "−" } else { "" }
}

/// With separators: `2,113`.
pub fn count(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::from(sign(value < 0));
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole`: `75.8%`; a dash where there is no whole.
pub fn percent(part: i64, whole: i64) -> String {
    if whole == 0 {
        return "–".into();
    }
    let share = part as f64 * 100.0 / whole as f64;
    let text = format!("{:.1}%", share.abs());
    format!("{}{text}", sign(share < 0.0 && text != "0.0%"))
}

/// `350 ns`, `1.2 µs`, `3.4 ms`, `12.5 s`, `3m 20s`, `2h 05m`, `3d 4h`.
pub fn duration(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    match nanos {
        0..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{:.1} µs", nanos as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", nanos as f64 / 1e6),
        _ if seconds < 60 => format!("{:.1} s", nanos as f64 / 1e9),
        _ if seconds < 3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ if seconds < 86_400 => format!("{}h {:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Nanoseconds since the Unix epoch as `2026-11-23 23:43:49 UTC`.
pub fn time(nanos: i64) -> String {
    let seconds = nanos.div_euclid(1_000_000_000);
    let (days, clock) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (clock / 3_600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The Gregorian date that lies `days` after 1970-01-01: whole years off, then whole months.
fn date(days: i64) -> (i64, i64, i64) {
    // 400 years have always the same number of days, so count from 1970 − 400·k on.
    let (cycles, mut days) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let mut year = 1970 + 400 * cycles;
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let year_length = |year| if leap(year) { 366 } else { 365 };
    while days >= year_length(year) {
        days -= year_length(year);
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_round_into_the_next_unit() {
        for (value, text) in [
            (0.0, "0 B"),
            (640.0, "640 B"),
            (1023.6, "1.0 KiB"),
            (1536.0, "1.5 KiB"),
            (1048570.0, "1.0 MiB"),
            (432_327_936.0, "412.3 MiB"),
            (-2048.0, "−2.0 KiB"),
            (1.3e9, "1.2 GiB"),
        ] {
            assert_eq!(bytes(value), text);
        }
        assert_eq!(
            (round_bytes(524_288), round_bytes(64), round_bytes(1500)),
            ("512 KiB".into(), "64 B".into(), "1.5 KiB".into())
        );
    }

    #[test]
    fn errors_share_the_unit_of_their_value() {
        assert_eq!(
            with_error(432_327_936, Some(3_250_000.0), "bytes"),
            "412.3 ± 3.1 MiB"
        );
        assert_eq!(with_error(100, Some(5_000_000.0), "bytes"), "0.0 ± 4.8 MiB");
        assert_eq!(with_error(1 << 30, Some(10.0), "bytes"), "1.0 ± <0.05 GiB");
        assert_eq!(change(1 << 20, Some(0.0), "bytes"), "+1.0 ± 0.0 MiB");
        assert_eq!(change(-1234, Some(12.4), "count"), "−1,234 ± 12");
        assert_eq!(change(0, None, "bytes"), "0 B");
    }

    #[test]
    fn percents_durations_and_times() {
        assert_eq!(
            (percent(758, 1000), percent(1, 0), percent(-1, 1_000_000)),
            ("75.8%".into(), "–".into(), "0.0%".into())
        );
        let durations = [
            350,
            1_200,
            3_400_000,
            12_500_000_000,
            200_000_000_000,
            7_500_000_000_000,
            275_000_000_000_000,
        ];
        let texts = [
            "350 ns", "1.2 µs", "3.4 ms", "12.5 s", "3m 20s", "2h 05m", "3d 4h",
        ];
        assert_eq!(durations.map(duration), texts);
        // Values from `date -u -d @…`.
        assert_eq!(time(1_795_477_429_000_000_000), "2026-11-23 23:43:49 UTC");
        assert_eq!(time(951_782_400_000_000_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(time(-1), "1969-12-31 23:59:59 UTC");
    }
}
