//! The report: the verdict first, then where the memory is, then what was found, then what could not be told.
#![forbid(unsafe_code)]

use std::io::{self, Write};

use super::lines;
use super::{Cause, Finding, Verdict};
use crate::find::{Advice, Class, Suspect, Untold, Why};
use crate::view::memory;
use crate::view::name::{fit, printable};
use crate::view::table::{Paint, Tone};
use crate::view::{Frame, units};

/// How to lay it out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Layout {
    /// Findings to show of each kind.
    pub findings: usize,
    /// Columns.
    pub width: usize,
    /// Colours.
    pub paint: Paint,
}

impl Default for Layout {
    fn default() -> Layout {
        Layout {
            findings: 5,
            width: 100,
            paint: Paint::default(),
        }
    }
}

impl Verdict {
    /// Writes the sentence alone, and the other causes below it.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn write_answer(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        let tone = match self.cause() {
            Cause::None => Tone::Relief,
            Cause::Unknown => Tone::Plain,
            _ => Tone::Alarm,
        };
        wrapped(&self.sentence(), "", tone, layout, out)?;
        for other in self.causes.iter().skip(1) {
            wrapped(
                &format!("And: {}", other.sentence),
                "",
                Tone::Plain,
                layout,
                out,
            )?;
        }
        Ok(())
    }

    /// Writes everything below the sentence.
    ///
    /// # Errors
    /// What `out` returns.
    pub fn write_evidence(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        if let Some(now) = &self.now {
            writeln!(out)?;
            match &self.before {
                Some(before) => {
                    let span = units::duration(self.span_nanos);
                    writeln!(out, "within {span}:")?;
                    memory::write_change(&before.resources, now, &layout.paint, out)?;
                }
                None => memory::write_now(now, &layout.paint, out)?,
            }
        }
        let is_told = |it: &Finding| matches!(it.cause, Cause::Allocator | Cause::Peak);
        if let Some(trim) = &self.trim
            && !self.causes.iter().any(is_told)
        {
            wrapped(
                &format!("trim: {}", trim.sentence()),
                "",
                Tone::Plain,
                layout,
                out,
            )?;
        }
        let growing: Vec<&Suspect> = self.growing().collect();
        for (at, suspect) in growing.iter().take(layout.findings).enumerate() {
            writeln!(out)?;
            self.suspect(at + 1, suspect, layout, out)?;
        }
        if growing.len() > layout.findings {
            let more = units::count((growing.len() - layout.findings) as i64);
            writeln!(out, "\nand {more} more that grow (-n shows more)")?;
        }
        self.crates(layout, out)?;
        for advice in &self.findings.advice {
            writeln!(out)?;
            advise(advice, layout, out)?;
        }
        self.others(layout, out)?;
        self.untold(layout, out)?;
        self.noticed(layout, out)
    }

    fn suspect(
        &self,
        number: usize,
        suspect: &Suspect,
        layout: &Layout,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let kind = match suspect.class {
            Class::Leak => "leak",
            _ if suspect.looks_like_leak => "like a leak",
            _ => "growing",
        };
        let head = format!(
            "{number}. {kind}  {}",
            fit(&frame(suspect), layout.width.saturating_sub(kind.len() + 5))
        );
        writeln!(out, "{}", layout.paint.apply(Tone::Heading, &head))?;
        let mut line = |name: &str, text: &str| wrapped_after(name, text, layout, out);
        if suspect.class == Class::Leak {
            line(
                "how sure",
                &lines::odds(suspect.confidence, self.findings.judged),
            )?;
        }
        if let Some(rate) = &suspect.rate {
            let per = &self.findings.per;
            line(
                "grows by",
                &format!(
                    "{}, 95% interval {}; {}",
                    lines::rate(rate, per),
                    lines::interval(rate, per),
                    lines::of_growth(suspect.share)
                ),
            )?;
        }
        let uptime = self.findings.uptime_nanos;
        if uptime > 0 {
            line(
                "since",
                &format!(
                    "{} after the start, {} ago",
                    units::duration(suspect.since_nanos),
                    units::duration(lines::grown_for(suspect, uptime))
                ),
            )?;
        }
        let error = (suspect.live_error > 0.0).then_some(suspect.live_error);
        line(
            "live",
            &format!(
                "{} in {} samples: {}",
                units::with_error(suspect.live_bytes.round() as i64, error, "bytes"),
                units::count(i64::try_from(suspect.samples).unwrap_or(i64::MAX)),
                suspect.thing.words()
            ),
        )?;
        if !suspect.cohorts.is_empty() {
            let bytes: Vec<f64> = suspect.cohorts.iter().map(|window| window.bytes).collect();
            line(
                "by birth",
                &format!("▕{}▏ from the start to now", lines::bars(&bytes)),
            )?;
        }
        if let Some(text) = survival(suspect) {
            line("survival", &text)?;
        }
        if let Some(trend) = &suspect.trend {
            line(
                "trend",
                &format!(
                    "{} between the profiles, chance does it with p = {:.1e}",
                    lines::rate(&trend.slope, &self.findings.per),
                    trend.p
                ),
            )?;
        }
        if suspect.looks_like_leak {
            let longest = units::duration(self.longest_fill_nanos);
            line(
                "or",
                &format!(
                    "a cache on its way to its cap, which may take {longest} (--longest-fill)"
                ),
            )?;
        }
        for advice in suspect.advice.iter().take(2) {
            advise(advice, layout, out)?;
        }
        Ok(())
    }

    fn crates(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        if self.crates.is_empty() {
            return Ok(());
        }
        let named = self.crates.iter().map(|row| {
            let name = match row.name.is_empty() {
                true => "(unknown)",
                false => &row.name,
            };
            format!("{} {}", printable(name), lines::share(row.share))
        });
        let named: Vec<String> = named.collect();
        writeln!(out)?;
        wrapped(
            &format!("growth by crate: {}", named.join(", ")),
            "",
            Tone::Plain,
            layout,
            out,
        )
    }

    /// What was told to be no leak, in a line for each kind.
    fn others(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        let kinds = [
            (Class::WorkingSet, "working set", "what grows old is freed"),
            (Class::StartUp, "start-up", "made at the start, and kept"),
            (
                Class::Burst,
                "burst",
                "came within a short time, and stays: look again later",
            ),
        ];
        let mut is_first = true;
        for (class, name, meaning) in kinds {
            let rows = self.findings.others.iter().filter(|it| it.class == class);
            let rows: Vec<&Suspect> = rows.collect();
            let Some(largest) = rows.first() else {
                continue;
            };
            if std::mem::take(&mut is_first) {
                writeln!(out, "\nno leak:")?;
            }
            let bytes: f64 = rows.iter().map(|it| it.live_bytes).sum();
            let text = format!(
                "{} in {} ({meaning}); the largest at {}",
                units::bytes(bytes),
                lines::of_lines(rows.len()),
                lines::place(&largest.place)
            );
            wrapped_after(name, &text, layout, out)?;
        }
        Ok(())
    }

    /// What could not be told, in a line for each reason.
    fn untold(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        let whys = [
            Why::WithinChance,
            Why::FewBursts,
            Why::FewOld,
            Why::NoAges,
            Why::FewSamples,
        ];
        let mut is_first = true;
        for why in whys {
            let rows = self.findings.cannot_tell.iter().filter(|it| it.why == why);
            let rows: Vec<&Untold> = rows.collect();
            let Some(largest) = rows.first() else {
                continue;
            };
            if std::mem::take(&mut is_first) {
                writeln!(out, "\ncould not be told:")?;
            }
            let bytes: f64 = rows.iter().map(|it| it.live_bytes).sum();
            let text = format!(
                "{} in {}, the largest at {}. {}",
                units::bytes(bytes),
                lines::of_lines(rows.len()),
                lines::place(&largest.place),
                why.words()
            );
            wrapped(&text, "  ", Tone::Plain, layout, out)?;
        }
        Ok(())
    }
}

impl Verdict {
    /// What lines do that costs something else than growth, each kind once, at its largest.
    fn noticed(&self, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
        let others = self
            .findings
            .others
            .iter()
            .map(|it| (&it.place, &it.advice));
        let untold = self
            .findings
            .cannot_tell
            .iter()
            .map(|it| (&it.place, &it.advice));
        let mut seen: Vec<&str> = Vec::new();
        for (place, advice) in others.chain(untold) {
            let Some(advice) = advice.first() else {
                continue;
            };
            if seen.contains(&advice.rule) {
                continue;
            }
            seen.push(advice.rule);
            writeln!(out, "\nnoticed at {}:", lines::place(place))?;
            advise(advice, layout, out)?;
        }
        Ok(())
    }
}

fn frame(suspect: &Suspect) -> Frame {
    Frame {
        function: suspect.place.function.clone(),
        file: suspect.place.file.clone(),
        line: suspect.place.line,
    }
}

/// `of what reached 1h 00m, 98% (95% interval 96% to 99%) is still there`: the oldest age that the curve knows.
fn survival(suspect: &Suspect) -> Option<String> {
    let oldest = suspect.survival.last()?;
    let percent = |share: f64| format!("{:.0}%", share * 100.0);
    Some(format!(
        "{} (95% interval {} to {}) of what was allocated here lives longer than {}",
        percent(oldest.survival),
        percent(oldest.low),
        percent(oldest.high),
        units::duration(oldest.age_nanos)
    ))
}

fn advise(advice: &Advice, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    let title = format!("   {}", advice.title);
    writeln!(out, "{}", layout.paint.apply(Tone::Heading, &title))?;
    wrapped(advice.why, "   ", Tone::Plain, layout, out)?;
    wrapped(
        &format!("Fix: {}", advice.fix),
        "   ",
        Tone::Plain,
        layout,
        out,
    )
}

/// `   name      text`, what does not fit below the text.
fn wrapped_after(name: &str, text: &str, layout: &Layout, out: &mut dyn Write) -> io::Result<()> {
    let name = format!("   {name:<11} ");
    let indent = " ".repeat(name.chars().count());
    let mut first = true;
    for line in wrap(text, layout.width.saturating_sub(indent.len())) {
        let before = if std::mem::take(&mut first) {
            &name
        } else {
            &indent
        };
        writeln!(out, "{before}{line}")?;
    }
    Ok(())
}

fn wrapped(
    text: &str,
    indent: &str,
    tone: Tone,
    layout: &Layout,
    out: &mut dyn Write,
) -> io::Result<()> {
    for line in wrap(text, layout.width.saturating_sub(indent.len())) {
        writeln!(out, "{indent}{}", layout.paint.apply(tone, &line))?;
    }
    Ok(())
}

/// Breaks at spaces; a word is never cut, least of all a file and its line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().filter(|line| {
            line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width
        });
        match last {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}
