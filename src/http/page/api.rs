//! The questions that the page asks, and what is wrong with others.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde_json::{Value, json};

use super::{Page, answer, compare, flame, is_read};
use crate::format::Format;
use crate::helper::Scratch;
use crate::history::{LIMIT_BYTES, MOST_LINES, MOST_MOMENTS, Moment, Ring};
use crate::http::census;
use crate::http::jobs::{self, Busy};
use crate::http::query;
use crate::profile::resources::MemoryPart;

/// `history`: every moment, in columns.
pub(super) async fn history(State(page): State<Page>, method: Method) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    let history = page.keeper.history();
    if !history.is_of_this_process() {
        return forked();
    }
    let every = history.every();
    let (moments, value) = {
        let state = history.lock();
        let ring = &state.ring;
        let bounds = json!({
            "every_seconds": every.as_secs_f64(),
            "most_moments": MOST_MOMENTS,
            "most_lines": MOST_LINES,
            "limit_bytes": LIMIT_BYTES,
            "bytes": ring.bytes(),
            "taken": ring.last_id(),
            "thinned": ring.thinned,
            "failed": state.failed,
            "no_thread": state.no_thread,
            "took_nanos": state.took_nanos,
        });
        (ring.moments().to_vec(), bounds)
    };
    super::json(&columns(&moments, value))
}

fn columns(moments: &[Arc<Moment>], mut value: Value) -> Value {
    let column = |of: &dyn Fn(&Moment) -> Value| -> Value {
        moments.iter().map(|moment| of(moment)).collect()
    };
    let memory = |of: &dyn Fn(&crate::profile::resources::MemoryParts) -> Value| {
        column(&|moment| {
            moment
                .process
                .as_ref()
                .map_or(Value::Null, |it| of(&it.memory))
        })
    };
    let mut parts = serde_json::Map::new();
    let names: Vec<MemoryPart> = crate::profile::resources::MemoryParts::default()
        .parts()
        .map(|(part, _)| part)
        .into();
    for (place, part) in names.into_iter().enumerate() {
        let key = compare::key(part);
        parts.insert(key, memory(&|memory| memory.parts()[place].1.into()));
    }
    let moments = json!({
        "id": column(&|moment| moment.id.into()),
        "time_ms": column(&|moment| (moment.time_nanos / 1_000_000).into()),
        "live_bytes": column(&|moment| moment.total.live_bytes.round().into()),
        "live_error_bytes": column(&|moment| moment.total.live_error().round().into()),
        "live_objects": column(&|moment| moment.total.live_objects.round().into()),
        "allocated_bytes": column(&|moment| moment.total.alloc_bytes.round().into()),
        "exact": column(&|moment| moment.exact.into()),
        "lost": column(&|moment| moment.lost.into()),
        "resident_bytes": memory(&|memory| memory.rss_bytes.into()),
        "parts": parts,
        "threads": column(&|moment| moment.process.as_ref().map(|it| it.thread_count).into()),
        "descriptors": column(&|moment| moment.process.as_ref().map(|it| it.fd_count).into()),
        "descriptors_by_kind": descriptors_by_kind(moments),
        "tasks": column(&|moment| {
            let tasks = moment.process.as_ref().and_then(|it| it.tasks.as_ref());
            tasks.map(|(alive, _)| *alive).into()
        }),
        "took_nanos": column(&|moment| moment.took_nanos.into()),
    });
    if let Some(map) = value.as_object_mut() {
        map.insert("moments".to_owned(), moments);
    }
    value
}

/// A column for each kind that there was at any moment.
fn descriptors_by_kind(moments: &[Arc<Moment>]) -> Value {
    let of = |moment: &Moment, kind: &str| {
        let process = moment.process.as_ref()?;
        let found = process.fds.iter().find(|count| count.name == kind);
        Some(found.map_or(0, |count| count.count))
    };
    let processes = moments.iter().filter_map(|moment| moment.process.as_ref());
    let kinds: BTreeSet<&str> = processes
        .flat_map(|process| process.fds.iter().map(|count| count.name.as_str()))
        .collect();
    let column = |kind: &str| moments.iter().map(|it| Value::from(of(it, kind))).collect();
    let columns = kinds
        .into_iter()
        .map(|kind| (kind.to_owned(), column(kind)));
    Value::Object(columns.collect())
}

/// `diff?base=ID&now=ID`: the verdict, and the change line by line. Without them: of the first and the newest.
pub(super) async fn diff(
    State(page): State<Page>,
    method: Method,
    RawQuery(query): RawQuery,
) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    let history = page.keeper.history();
    if !history.is_of_this_process() {
        return forked();
    }
    let query = query.unwrap_or_default();
    let (base, now, latest) = {
        let state = history.lock();
        let ring = &state.ring;
        let [Some(first), Some(newest)] = [ring.moments().first(), ring.moments().last()] else {
            return answer::refusal(
                StatusCode::NOT_FOUND,
                "there is no moment yet: the first one comes when the program's stacks have been named",
            );
        };
        let base = moment(&query, "base", ring, first);
        let now = moment(&query, "now", ring, newest);
        match (base, now) {
            (Ok(base), Ok(now)) => (base, now, state.latest.clone()),
            (Err((status, why)), _) | (_, Err((status, why))) => {
                return answer::refusal(status, &why);
            }
        }
    };
    if base.id > now.id {
        let why = format!(
            "base={} is later than now={}: the base comes first",
            base.id, now.id
        );
        return answer::refusal(StatusCode::BAD_REQUEST, &why);
    }
    super::json(&compare::compare(&base, &now, latest.as_deref()))
}

fn moment(
    query: &str,
    key: &str,
    ring: &Ring,
    otherwise: &Arc<Moment>,
) -> Result<Arc<Moment>, (StatusCode, String)> {
    let text = query::value(query, key);
    if text.is_empty() {
        return Ok(Arc::clone(otherwise));
    }
    let last = ring.last_id();
    let id = text
        .parse::<u64>()
        .ok()
        .filter(|id| (1..=last).contains(id));
    let Some(id) = id else {
        let why = format!(
            "invalid value for \"{key}\": accepted is the number of a moment, 1 to {last}, as in api/history"
        );
        return Err((StatusCode::BAD_REQUEST, why));
    };
    ring.find(id).cloned().map_err(|place| {
        let near = |place: usize| ring.moments().get(place).map_or(0, |moment| moment.id);
        let why = format!(
            "moment {id} has made room for later ones; next to it there are {} and {}",
            near(place.saturating_sub(1)),
            near(place)
        );
        (StatusCode::NOT_FOUND, why)
    })
}

/// `flame?value=live|allocated`: a job.
pub(super) async fn flame(
    State(page): State<Page>,
    method: Method,
    RawQuery(query): RawQuery,
) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    let what = match query::value(&query.unwrap_or_default(), "value").as_str() {
        "" | "live" => flame::What::Live,
        "allocated" => flame::What::Allocated,
        _ => {
            let why = "invalid value for \"value\": accepted are live and allocated";
            return answer::refusal(StatusCode::BAD_REQUEST, why);
        }
    };
    let made = job(&page, move || {
        let scratch = Scratch::new();
        let profile = crate::snapshot().to_profile();
        let text = flame::tree(&profile, what).to_string();
        Ok(scratch.keep(text))
    });
    match made.await {
        Ok(text) => answer::json(text),
        Err(refusal) => refusal,
    }
}

/// `profile?format=pprof`, or another [`Format`]: a job, and a file to keep.
pub(super) async fn profile(
    State(page): State<Page>,
    method: Method,
    RawQuery(query): RawQuery,
) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    let name = query::value(&query.unwrap_or_default(), "format");
    let format = match name.as_str() {
        "" => Ok(Format::Pprof),
        name => Format::from_name(name),
    };
    let format = match format {
        Ok(format) => format,
        Err(error) => return answer::refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let made = job(&page, move || {
        let scratch = Scratch::new();
        let profile = crate::snapshot().to_profile();
        let mut body = Vec::new();
        format
            .write(&profile, &mut body)
            .map_err(|error| error.to_string())?;
        Ok(scratch.keep(body))
    });
    match made.await {
        Ok(body) => answer::file(
            &format!("heapsite.{}.{}", std::process::id(), format.extension()),
            body,
        ),
        Err(refusal) => refusal,
    }
}

/// `threads`: everything that is known of them; a job.
pub(super) async fn threads(State(page): State<Page>, method: Method) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    census::whole(&page.jobs, census::Kind::Threads, census::Form::Json).await
}

/// `tasks`: everything that is known of those that are tracked; a job.
#[cfg(feature = "task")]
pub(super) async fn tasks(State(page): State<Page>, method: Method) -> Response {
    if !is_read(&method) {
        return answer::only_get();
    }
    census::whole(&page.jobs, census::Kind::Tasks, census::Form::Json).await
}

/// Any other path below `api/`.
pub(super) async fn unknown() -> Response {
    answer::refusal(
        StatusCode::NOT_FOUND,
        "unknown question; there are overview, history, diff, flame, profile, threads and (with the feature `task`) tasks",
    )
}

/// Something expensive, in its turn; what went wrong as an answer.
async fn job<R: Send + 'static>(
    page: &Page,
    work: impl FnOnce() -> Result<R, String> + Send + 'static,
) -> Result<R, Response> {
    let next = page
        .jobs
        .next()
        .map_err(|Busy(seconds)| answer::busy(answer::ANOTHER_PROFILE, seconds))?;
    let made = jobs::run(move |_caller| {
        let _turn = next.turn();
        work()
    });
    let failed = |why: &str| answer::refusal(StatusCode::INTERNAL_SERVER_ERROR, why);
    match made.await {
        Ok(made) => made.map_err(|why| failed(&why)),
        Err(why) => Err(failed(why)),
    }
}

fn forked() -> Response {
    answer::refusal(
        StatusCode::CONFLICT,
        "this is a forked child: the history is its parent's; make a router in the child for one of its own",
    )
}
