//! Pattern 5: timers that nobody stops. A ticker per request never ends; a delayed expiry per request ends an hour
//! later, with everything it holds until then.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::Form;
use super::harness::{Alive, OneAlive, Running, Service, Workers};
use super::truth::Guilty;

/// Feeds that a page shows, each with a ticker and an expiry.
const FEEDS: u64 = 8;
/// What a ticker has in hand.
const FEED: usize = 12 << 10;
/// What an expiry keeps until its hour has come.
const ENTRY: usize = 6 << 10;

static TICKER: Guilty = Guilty::new("spawn_ticker", file!());
static EXPIRY: Guilty = Guilty::new("spawn_expiry", file!());

struct Pages {
    form: Form,
    alive: Alive,
}

pub(crate) fn service(form: Form) -> Service {
    let alive = Alive::default();
    let pages = Arc::new(Pages {
        form,
        alive: alive.clone(),
    });
    let router = Router::new().route("/", get(show)).with_state(pages);
    Service {
        bytes_per_request: FEEDS * ENTRY as u64,
        workers: Workers::Tasks(Running {
            alive,
            per_request: 2 * FEEDS,
        }),
        ..Service::new(router, &[&TICKER, &EXPIRY])
    }
}

/// Shows a page; its feeds are refreshed while it is shown.
async fn show(State(pages): State<Arc<Pages>>) -> &'static str {
    for _feed in 0..FEEDS {
        let timers = [
            spawn_ticker(pages.alive.one()),
            spawn_expiry(pages.alive.one()),
        ];
        if pages.form == Form::Fixed {
            // Ends them with the page, also if the page is never finished.
            let _timers = timers.map(AbortOnDropHandle::new);
            tokio::task::yield_now().await;
        }
        // The leaky one drops plain handles, which stops nobody.
    }
    "shown"
}

#[inline(never)]
fn spawn_ticker(alive: OneAlive) -> JoinHandle<()> {
    let counted = TICKER.at(line!() + 1);
    let ticker = tokio::spawn(async move {
        let mut feed = [0u8; FEED];
        let mut refresh = interval(Duration::from_secs(30));
        loop {
            refresh.tick().await;
            feed[0] = feed[0].wrapping_add(1);
            if feed[FEED - 1] > 0 {
                break drop(alive);
            }
        }
    });
    drop(counted);
    ticker
}

#[inline(never)]
fn spawn_expiry(alive: OneAlive) -> JoinHandle<()> {
    let counted = EXPIRY.at(line!() + 1);
    let expiry = tokio::spawn(async move {
        let entry = [0u8; ENTRY];
        sleep(Duration::from_secs(3600)).await;
        drop((entry, alive));
    });
    drop(counted);
    expiry
}
