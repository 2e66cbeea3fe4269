//! What an operator would see, and as the last line the truth and the verdict as JSON.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::io::{self, Write};

use heapsite::Profile;
use heapsite::format::Format;
use heapsite::leak::{self, Accused, Churn, Held};
use heapsite::view::growth::{Sum, growth};
use heapsite::view::name::fit;
use heapsite::view::table::Paint;
use heapsite::view::top::Layout;
use heapsite::view::{self, Blame, By, Frame};
use serde_json::{Value, json};

use super::harness::{Judge, Outcome};
use super::truth::{Guilty, Truth};
use super::{Form, Options, Result};

/// How often chance may have a program accused that does not leak.
const LEVEL: f64 = 1e-6;
/// Churn is what makes a tenth of all that is allocated.
const CHURN: f64 = 0.1;
/// A peak is what doubles the heap.
const PEAK: f64 = 1.0;

/// An accusation of whatever kind.
struct Blamed {
    frame: Frame,
    bytes: i64,
    std_error: f64,
    /// What the kind knows beyond that.
    note: String,
}

pub(crate) fn print(options: &Options, outcome: Outcome) -> Result<()> {
    let [first, .., last] = &outcome.profiles[..] else {
        return Err("no snapshots".into());
    };
    let kind = match outcome.judge {
        Judge::Growth | Judge::Peak => "inuse_space",
        Judge::Churn => "alloc_space",
    };
    println!("{} requests later:\n", outcome.requests);
    let change = growth(
        first,
        last,
        Some(kind),
        By::Line,
        Blame::Application,
        Sum::Flat,
    )?;
    let layout = Layout {
        rows: 5,
        width: usize::MAX,
        paint: Paint::default(),
    };
    view::change::write(&change, &layout, &mut io::stdout())?;

    let accused: Vec<Blamed> = match outcome.judge {
        Judge::Growth => leak::accuse(&outcome.profiles, LEVEL)?
            .into_iter()
            .map(Blamed::from)
            .collect(),
        Judge::Peak => leak::held_at_peak(last, PEAK, LEVEL)?
            .into_iter()
            .map(Blamed::from)
            .collect(),
        Judge::Churn => leak::churn(first, last, CHURN, LEVEL)?
            .into_iter()
            .map(Blamed::from)
            .collect(),
    };
    println!();
    for Blamed {
        frame,
        bytes,
        std_error,
        note,
    } in &accused
    {
        let place = fit(frame, usize::MAX);
        println!("accused: {place}: {bytes} ± {std_error:.0} bytes, {note}");
    }
    if accused.is_empty() {
        println!("nobody is accused");
    }
    save(options, &[("first", first), ("last", last)])?;
    println!("{}", json_line(options, &outcome, &accused));
    io::stdout().flush()?;
    Ok(())
}

fn save(options: &Options, profiles: &[(&str, &Profile)]) -> Result<()> {
    let Some(out) = &options.out else {
        return Ok(());
    };
    fs::create_dir_all(out)?;
    for (name, profile) in profiles {
        let path = out.join(format!("{name}.json"));
        Format::Json.write(profile, &mut File::create(&path)?)?;
        println!("{}", path.display());
    }
    Ok(())
}

fn json_line(options: &Options, outcome: &Outcome, accused: &[Blamed]) -> Value {
    let truths: Vec<Value> = outcome
        .truths
        .iter()
        .map(|(line, before, after)| truth(outcome.judge, line, before, after))
        .collect();
    let (before, after) = (outcome.before, outcome.after);
    let mut worst = truths[0].clone();
    worst["tasks"] = json!(after.tasks as i64 - before.tasks as i64);
    worst["threads"] = json!(after.threads as i64 - before.threads as i64);
    worst["fds"] = json!(after.fds as i64 - before.fds as i64);
    let accused: Vec<Value> = accused.iter().map(Blamed::json).collect();
    json!({
        "pattern": options.pattern,
        "form": match options.form {
            Form::Leaky => "leaky",
            Form::Fixed => "fixed",
        },
        "interval": options.interval,
        "truth": worst,
        "truths": truths,
        "blamed": accused.first(),
        "accused": accused,
    })
}

/// What a line really grew by: in live bytes, in allocated bytes, or at the most.
fn truth(judge: Judge, line: &Guilty, before: &Truth, after: &Truth) -> Value {
    let (bytes, objects) = match judge {
        Judge::Growth => (
            after.live_bytes - before.live_bytes,
            after.live_objects - before.live_objects,
        ),
        Judge::Churn => (
            after.allocated_bytes - before.allocated_bytes,
            after.allocated_objects - before.allocated_objects,
        ),
        Judge::Peak => (after.most_bytes, after.most_objects),
    };
    json!({
        "function": line.function,
        "file": line.file,
        "line": after.line,
        "bytes": bytes,
        "objects": objects,
    })
}

impl Blamed {
    fn json(&self) -> Value {
        json!({
            "function": self.frame.function,
            "file": self.frame.file,
            "line": self.frame.line,
            "bytes": self.bytes,
            "error_bytes": self.std_error.ceil(),
        })
    }
}

impl From<Accused> for Blamed {
    fn from(accused: Accused) -> Blamed {
        Blamed {
            note: format!(
                "rose {} times, p {:.0e}",
                accused.levels.len() - 1,
                accused.p
            ),
            frame: accused.frame,
            bytes: accused.growth,
            std_error: accused.std_error,
        }
    }
}

impl From<Churn> for Blamed {
    fn from(churn: Churn) -> Blamed {
        let lifetime = churn.mean_lifetime_nanos.unwrap_or(f64::NAN) / 1e6;
        Blamed {
            note: format!(
                "{:.0} % of all, live for {lifetime:.1} ms on average",
                churn.share * 100.0
            ),
            frame: churn.frame,
            bytes: churn.bytes,
            std_error: churn.std_error,
        }
    }
}

impl From<Held> for Blamed {
    fn from(held: Held) -> Blamed {
        Blamed {
            note: format!("at the peak; {} now", held.live),
            frame: held.frame,
            bytes: held.peak,
            std_error: held.std_error,
        }
    }
}
