//! Pattern 1 with threads: a thread that never ends keeps its stack, and on the heap what `spawn` made for it: the
//! closure with all that moved into it, its handle, its result's place.
#![forbid(unsafe_code)]

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::Form;
use super::harness::{Alive, OneAlive, Running, Service, Workers};
use super::truth::Guilty;

/// What a thread has in hand: moved into it, so it is part of the closure.
const PAGE: usize = 64 << 10;
/// Room for the page a few times over, as code without optimisation copies it.
const STACK: usize = 1 << 20;

fn service(router: Router, alive: Alive, guilty: &[&'static Guilty]) -> Service {
    Service {
        bytes_per_request: PAGE as u64,
        warm_up: 8,
        workers: Workers::Threads(Running {
            alive,
            per_request: 1,
        }),
        ..Service::new(router, guilty)
    }
}

struct Shop {
    form: Form,
    alive: Alive,
    /// Whoever watches the progress of the exports. Nobody ever leaves.
    progress: Mutex<Vec<mpsc::Sender<u64>>>,
}

impl Shop {
    fn new(form: Form, alive: &Alive) -> Arc<Shop> {
        Arc::new(Shop {
            form,
            alive: alive.clone(),
            progress: Mutex::default(),
        })
    }
}

/// Joining waits, so not on a thread that serves.
async fn join(thread: JoinHandle<()>) -> bool {
    let joined = tokio::task::spawn_blocking(move || thread.join().is_ok());
    joined.await.unwrap_or(false)
}

// 1at: a receiver that waits for ever, because one sender is never dropped.

static WRITER: Guilty = Guilty::new("start_writer", file!());

pub(crate) fn forgotten_sender(form: Form) -> Service {
    let alive = Alive::default();
    let router = Router::new()
        .route("/", get(export))
        .with_state(Shop::new(form, &alive));
    service(router, alive, &[&WRITER])
}

async fn export(State(shop): State<Arc<Shop>>) -> Result<&'static str, String> {
    let (rows, inbox) = mpsc::channel();
    if shop.form == Form::Leaky {
        let progress = shop.progress.lock();
        progress
            .unwrap_or_else(PoisonError::into_inner)
            .push(rows.clone()); // the sender that is never dropped
    }
    let writer = start_writer(inbox, shop.alive.clone()).map_err(|error| error.to_string())?;
    for row in 0..8 {
        rows.send(row).map_err(|error| error.to_string())?;
    }
    drop(rows);
    if shop.form == Form::Fixed && !join(writer).await {
        return Err("the writer panicked".into());
    }
    Ok("exported")
}

#[inline(never)]
fn start_writer(rows: mpsc::Receiver<u64>, alive: Alive) -> io::Result<JoinHandle<()>> {
    let mut page = [0u8; PAGE];
    let builder = Builder::new().name("writer".into()).stack_size(STACK);
    let write = move || {
        let alive = alive.one();
        for row in rows {
            page[row as usize] = 1;
        }
        drop(alive);
    };
    let counted = WRITER.at(line!() + 1);
    let thread = builder.spawn(write);
    drop(counted);
    thread
}

// 1ct: a worker that nobody tells to stop.

static FLUSHER: Guilty = Guilty::new("start_flusher", file!());

#[derive(Default)]
struct Session {
    state: Mutex<Dirt>,
    changed: Condvar,
}

#[derive(Default)]
struct Dirt {
    dirty: bool,
    closed: bool,
}

impl Session {
    fn change(&self, change: impl FnOnce(&mut Dirt)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }
}

pub(crate) fn no_shutdown(form: Form) -> Service {
    let alive = Alive::default();
    let router = Router::new()
        .route("/", get(visit))
        .with_state(Shop::new(form, &alive));
    service(router, alive, &[&FLUSHER])
}

async fn visit(State(shop): State<Arc<Shop>>) -> Result<&'static str, String> {
    let session = Arc::new(Session::default());
    let flusher = start_flusher(session.clone(), shop.alive.clone());
    let flusher = flusher.map_err(|error| error.to_string())?;
    session.change(|state| state.dirty = true);
    if shop.form == Form::Fixed {
        session.change(|state| state.closed = true);
        if !join(flusher).await {
            return Err("the flusher panicked".into());
        }
    }
    Ok("bye")
}

#[inline(never)]
fn start_flusher(session: Arc<Session>, alive: Alive) -> io::Result<JoinHandle<()>> {
    let batch = [0u8; PAGE];
    let builder = Builder::new().name("flusher".into()).stack_size(STACK);
    let flush = move || work(&session, batch, &alive.one());
    let counted = FLUSHER.at(line!() + 1);
    let thread = builder.spawn(flush);
    drop(counted);
    thread
}

fn work(session: &Session, mut batch: [u8; PAGE], _alive: &OneAlive) {
    let mut state = session.state.lock().unwrap_or_else(PoisonError::into_inner);
    while !state.closed {
        if std::mem::take(&mut state.dirty) {
            batch[0] = batch[0].wrapping_add(1);
        }
        let waited = session.changed.wait(state);
        state = waited.unwrap_or_else(PoisonError::into_inner);
    }
}
