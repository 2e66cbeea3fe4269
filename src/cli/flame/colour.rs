//! Colours of frames: by crate, so that one crate has one hue in every picture; over a base by growth.
//!
//! All are light enough for black letters, and stand out from a white and from a dark page.
#![forbid(unsafe_code)]

use crate::symbolize::names;
use crate::view::flame::{Node, Owner};
use crate::view::growth::Change;
use crate::view::significance::Verdict;
use inferno::flamegraph::color::Color;

/// The hues, in degrees, that crates of an owner share; saturation and lightness.
fn range(owner: Owner) -> (f64, f64, f64, f64) {
    match owner {
        Owner::Program => (8.0, 52.0, 0.90, 0.71),
        Owner::Dependency => (88.0, 188.0, 0.48, 0.68),
        Owner::Runtime => (258.0, 318.0, 0.55, 0.78),
        Owner::Std => (212.0, 212.0, 0.28, 0.77),
        Owner::Native => (0.0, 0.0, 0.0, 0.74),
    }
}

/// For the legend: the middle of an owner's hues.
pub(super) fn of_owner(owner: Owner) -> Color {
    let (from, to, saturation, lightness) = range(owner);
    rgb((from + to) / 2.0, saturation, lightness)
}

/// By the crate of a frame.
pub(super) fn of_crate(node: &Node) -> Color {
    let (from, to, saturation, lightness) = range(node.owner);
    let frame = &node.frame;
    let name = names::crate_of(&frame.function, &frame.file).unwrap_or_default();
    rgb(from + (to - from) * share(&name), saturation, lightness)
}

/// Where between 0 and 1 a crate's hue lies: FNV-1a, which is the same in every version of heapsite.
fn share(name: &str) -> f64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    // The upper half: the lower bits of short names are alike.
    f64::from((hash >> 32) as u32) / f64::from(u32::MAX)
}

/// Red for growth and blue for what shrank, the stronger the more of `most`; nearly white where it may be chance.
pub(super) fn of_change(change: &Change, most: i64) -> Color {
    if change.growth == 0 || change.verdict == Verdict::WithinNoise {
        return SAME;
    }
    let size = change.growth.unsigned_abs() as f64 / (most.max(1) as f64);
    // By its root, or all but the largest look alike.
    let strength = size.clamp(0.0, 1.0).sqrt();
    match change.growth > 0 {
        true => rgb(4.0, 0.9, 0.92 - 0.22 * strength),
        false => rgb(214.0, 0.9, 0.92 - 0.24 * strength),
    }
}

/// What did not change.
pub(super) const SAME: Color = Color {
    r: 226,
    g: 226,
    b: 226,
};
/// For the legend.
pub(super) fn grown() -> Color {
    rgb(4.0, 0.9, 0.70)
}
/// For the legend.
pub(super) fn shrunk() -> Color {
    rgb(214.0, 0.9, 0.68)
}

/// Hue in degrees, saturation and lightness from 0 to 1 (CSS Color 3, 4.2.4).
fn rgb(hue: f64, saturation: f64, lightness: f64) -> Color {
    let spread = saturation * lightness.min(1.0 - lightness);
    let channel = |offset: f64| {
        let k = (offset + hue / 30.0) % 12.0;
        let value = lightness - spread * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        (value * 255.0).round() as u8
    };
    Color {
        r: channel(0.0),
        g: channel(8.0),
        b: channel(4.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance (WCAG 2.2).
    fn light(color: Color) -> f64 {
        let channel = |value: u8| match f64::from(value) / 255.0 {
            low if low <= 0.04045 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        };
        0.2126 * channel(color.r) + 0.7152 * channel(color.g) + 0.0722 * channel(color.b)
    }

    #[test]
    fn black_letters_can_be_read_on_every_colour() {
        let owners = [
            Owner::Program,
            Owner::Dependency,
            Owner::Runtime,
            Owner::Std,
            Owner::Native,
        ];
        let mut all = vec![SAME, grown(), shrunk()];
        for owner in owners {
            let (from, to, saturation, lightness) = range(owner);
            for step in 0..=20 {
                let hue = from + (to - from) * f64::from(step) / 20.0;
                all.push(rgb(hue, saturation, lightness));
            }
        }
        for color in all {
            let contrast = (light(color) + 0.05) / 0.05;
            assert!(contrast >= 7.0, "{color:?}: {contrast:.1}");
        }
        // The dark page: #14181d.
        let dark = light(Color::new(0x14, 0x18, 0x1d));
        let least = owners.map(|owner| (light(of_owner(owner)) + 0.05) / (dark + 0.05));
        assert!(least.iter().all(|&contrast| contrast >= 3.0), "{least:?}");
    }

    #[test]
    fn primary_colours_are_what_they_are() {
        assert_eq!(rgb(0.0, 1.0, 0.5), Color::new(255, 0, 0));
        assert_eq!(rgb(120.0, 1.0, 0.25), Color::new(0, 128, 0));
        assert_eq!(rgb(240.0, 1.0, 0.5), Color::new(0, 0, 255));
        assert_eq!(rgb(77.0, 0.0, 1.0), Color::new(255, 255, 255));
    }

    #[test]
    fn a_crate_keeps_its_hue() {
        let shares = ["shop", "serde", "tokio", "a"].map(|name| (share(name) * 1000.0) as u32);
        assert_eq!(shares, [276, 133, 151, 685]);
    }
}
