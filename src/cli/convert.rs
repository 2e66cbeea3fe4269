//! `heapsite convert`.
#![forbid(unsafe_code)]

use super::args;
use super::formats::Content;
use super::{Failure, input, json, output};
use crate::profile::diff;
use crate::profile::told;
use crate::{Profile, Result};
use serde_json::json;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run(
    args: &args::Convert,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, Failure> {
    output::check(&args.output, args.json.json)?;
    let (profile, inputs) = match &args.base {
        None => {
            let profile = input::read(&args.profile)?;
            let source = json::source(&args.profile, &profile);
            (profile, vec![source])
        }
        Some(name) => {
            input::check_stdin([name, &args.profile])?;
            let (base, new) = input::read_both(name, &args.profile)?;
            let sources = vec![json::source(name, &base), json::source(&args.profile, &new)];
            (difference(name, &base, &args.profile, &new)?, sources)
        }
    };
    let content = Content {
        sample_type: args.sample_type.as_deref(),
        is_difference: args.base.is_some(),
    };
    let json = args.json.json;
    let written = output::write(&profile, &args.output, Some(&content), json, out, err)?;
    if json {
        let report = output::report(
            "convert",
            inputs,
            &profile,
            &args.output,
            &written,
            json!({}),
        );
        json::write(&report, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What changed, as a profile; its comments say of what it is the difference, and what either side has lost.
fn difference(base_name: &str, base: &Profile, new_name: &str, new: &Profile) -> Result<Profile> {
    let mut profile = diff::diff(base, new, &diff::Options::default())?
        .profile
        .drop_zeros()?;
    // Numbers of the new process, which say nothing of the difference.
    profile.comments.retain(|line| !told::is_number(line));
    let (base_shown, new_shown) = (input::display(base_name), input::display(new_name));
    profile
        .comments
        .push(format!("difference: {new_shown} minus {base_shown}"));
    for (shown, side) in [(base_shown, base), (new_shown, new)] {
        let losses = side.losses();
        let lines = losses
            .iter()
            .map(|loss| format!("{shown}: {}", told::loss(loss)));
        profile.comments.extend(lines);
    }
    Ok(profile)
}
