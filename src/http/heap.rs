//! `heap` and `allocs`: the same profile; viewers show what is live first, or what was ever allocated.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;

use super::answer;
use super::jobs::{self, Busy, Jobs};
use crate::error::Result;
use crate::format::{legacy, pprof};
use crate::helper::Scratch;
use crate::profile::Profile;
use crate::profile::delta::Base;
use crate::{stats, symbolize};

/// What is shown first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Heap,
    Allocs,
}

impl Kind {
    pub(super) fn from_name(name: &str) -> Option<Kind> {
        [Kind::Heap, Kind::Allocs]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Heap => "heap",
            Kind::Allocs => "allocs",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Kind::Heap => "Live memory by the stack that allocated it.",
            Kind::Allocs => "The same profile, with everything ever allocated shown first.",
        }
    }

    fn sample_type(self) -> &'static str {
        match self {
            Kind::Heap => "inuse_space",
            Kind::Allocs => "alloc_space",
        }
    }
}

/// The profile since the start; as text, if `debug`; after asking for memory back, if `trim`.
pub(super) async fn whole(jobs: &Arc<Jobs>, kind: Kind, debug: bool, trim: bool) -> Response {
    let next = match jobs.next() {
        Ok(next) => next,
        Err(Busy(seconds)) => return answer::busy(answer::ANOTHER_PROFILE, seconds),
    };
    let made = jobs::run(move |_caller| {
        let _turn = next.turn();
        // Go collects garbage so that only what is reachable shows. Here nothing is live that has been freed, so the profile
        // stays the same; what is left to do is for whoever compares it with the resident set.
        if trim {
            stats::give_memory_back();
        }
        let scratch = Scratch::new();
        let profile = crate::snapshot().to_profile();
        let made = match debug {
            true => text(&profile),
            false => file(profile, kind),
        };
        made.map(|body| scratch.keep(body))
    });
    match made.await {
        Ok(Ok(body)) if debug => answer::text(body),
        Ok(Ok(body)) => answer::file(kind.name(), body),
        Ok(Err(error)) => failed(&error.to_string()),
        Err(error) => failed(error),
    }
}

/// What happens in the next `seconds`.
pub(super) async fn delta(jobs: &Arc<Jobs>, kind: Kind, seconds: u64) -> Response {
    let window = match jobs.window(Duration::from_secs(seconds)) {
        Ok(window) => window,
        Err(Busy(seconds)) => return answer::busy(answer::ANOTHER_WINDOW, seconds),
    };
    let made = jobs::run(move |caller| {
        let turn = window.first_look();
        let base = Base::new(&crate::snapshot().to_address_profile());
        drop(turn);
        // `None`: nobody waits for the second half.
        let _turn = window.second_look(&caller)?;
        let scratch = Scratch::new();
        let profile = crate::snapshot().to_address_profile().since(&base);
        drop(base);
        let made = file(symbolize::in_process(profile), kind);
        Some(made.map(|body| scratch.keep(body)))
    });
    match made.await {
        Ok(Some(Ok(body))) => answer::file(&format!("{}-delta", kind.name()), body),
        Ok(Some(Err(error))) => failed(&error.to_string()),
        Ok(None) => failed("the caller has gone"),
        Err(error) => failed(error),
    }
}

fn file(mut profile: Profile, kind: Kind) -> Result<Vec<u8>> {
    profile.default_sample_type = kind.sample_type().to_owned();
    let mut body = Vec::new();
    pprof::write(&profile, &mut body)?;
    Ok(body)
}

fn text(profile: &Profile) -> Result<Vec<u8>> {
    // Without it readers still have the names in the comments.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut body = Vec::new();
    legacy::write_with_maps(profile, &maps, &mut body)?;
    Ok(body)
}

fn failed(why: &str) -> Response {
    answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, why)
}
