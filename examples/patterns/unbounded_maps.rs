//! Pattern 4: a map whose keys never repeat, and maps that are emptied but keep their tables. Fixed by an age and a
//! bound (moka), and by letting the least recently used go (lru).
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use lru::LruCache;

use super::Form;
use super::harness::Service;
use super::truth::Guilty;

/// An answer that is kept in case the request comes again.
const ANSWER: usize = 18 << 10;
/// Answers that the fixed form keeps.
const ANSWERS: u64 = 32;
/// Events in a session's batch.
const BATCH: u64 = 400;
/// Sessions whose maps the fixed form keeps.
const SESSIONS: NonZero<usize> = NonZero::new(32).unwrap();

static REMEMBERED: Guilty = Guilty::new("remember", file!());
static BATCHED: Guilty = Guilty::new("apply", file!());

/// The same answer to the same request, however often it is sent.
enum Answers {
    Leaky(Mutex<HashMap<String, Vec<u8>>>),
    Fixed(moka::sync::Cache<String, Vec<u8>>),
}

/// Sums by event, while a batch is worked on.
type Batch = HashMap<u64, u64>;

enum Sessions {
    Leaky(Mutex<HashMap<u64, Batch>>),
    Fixed(Mutex<LruCache<u64, Batch>>),
}

struct Shop {
    answers: Answers,
    sessions: Sessions,
}

pub(crate) fn service(form: Form) -> Service {
    let shop = Arc::new(match form {
        Form::Leaky => Shop {
            answers: Answers::Leaky(Mutex::default()),
            sessions: Sessions::Leaky(Mutex::default()),
        },
        Form::Fixed => Shop {
            answers: Answers::Fixed(
                moka::sync::Cache::builder()
                    .max_capacity(ANSWERS)
                    .time_to_live(Duration::from_secs(600))
                    .build(),
            ),
            sessions: Sessions::Fixed(Mutex::new(LruCache::new(SESSIONS))),
        },
    });
    let router = Router::new()
        .route("/", get(answer))
        .with_state(shop.clone());
    Service {
        // The caches are full long before, but moka gives back what it has evicted several hundred entries later.
        warm_up: 1000,
        at_least: 100,
        // A table of 512 entries of 16 bytes, and a byte for each.
        bytes_per_request: 512 * 17,
        housekeeping: Box::new(move || {
            if let Answers::Fixed(cache) = &shop.answers {
                cache.run_pending_tasks();
            }
        }),
        ..Service::new(router, &[&REMEMBERED, &BATCHED])
    }
}

async fn answer(
    State(shop): State<Arc<Shop>>,
    Query(query): Query<HashMap<String, u64>>,
) -> &'static str {
    let number = query.get("n").copied().unwrap_or(0);
    remember(&shop.answers, number, &[b'a'; ANSWER]);
    match &shop.sessions {
        Sessions::Leaky(sessions) => {
            let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
            apply(sessions.entry(number).or_default());
        }
        Sessions::Fixed(sessions) => {
            let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
            apply(sessions.get_or_insert_mut(number, Batch::new));
        }
    }
    "done"
}

#[inline(never)]
fn remember(answers: &Answers, number: u64, answer: &[u8]) {
    let request = format!("request-{number:012}");
    match answers {
        Answers::Leaky(answers) => {
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            let counted = REMEMBERED.at(line!() + 1);
            answers.insert(request, answer.to_vec());
            drop(counted);
        }
        Answers::Fixed(answers) => answers.insert(request, answer.to_vec()),
    }
}

/// Works on a batch of events and empties the map again.
#[inline(never)]
fn apply(batch: &mut Batch) {
    let counted = BATCHED.at(line!() + 2);
    for event in 0..BATCH {
        *batch.entry(event).or_insert(0) += event;
    }
    drop(counted);
    batch.clear(); // the entries go, the table stays
}
