//! Pattern 1: tasks that never end. Each holds its buffers, and whatever it has borrowed, for good.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, tcp};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::harness::{Alive, OneAlive, Running, Service, Workers};
use super::truth::Guilty;
use super::{Form, Result};

/// Tasks per request.
const TASKS: u64 = 16;
/// What a task has in hand.
const PAGE: usize = 4 << 10;

fn service(router: Router, alive: Alive, guilty: &[&'static Guilty]) -> Service {
    Service {
        bytes_per_request: TASKS * PAGE as u64,
        workers: Workers::Tasks(Running {
            alive,
            per_request: TASKS,
        }),
        ..Service::new(router, guilty)
    }
}

// 1a: a receiver that waits for ever, because one sender is never dropped.

static WRITER: Guilty = Guilty::new("spawn_writer", file!());

struct Exports {
    form: Form,
    alive: Alive,
    /// Whoever watches the progress of the exports. Nobody ever leaves.
    progress: Mutex<Vec<mpsc::Sender<u64>>>,
}

pub(crate) fn forgotten_sender(form: Form) -> Service {
    let alive = Alive::default();
    let exports = Arc::new(Exports {
        form,
        alive: alive.clone(),
        progress: Mutex::new(Vec::new()),
    });
    let router = Router::new().route("/", get(export)).with_state(exports);
    service(router, alive, &[&WRITER])
}

/// Exports a table in parts: a writer task for each, fed through a channel.
async fn export(State(exports): State<Arc<Exports>>) -> &'static str {
    for _part in 0..TASKS {
        let (rows, inbox) = mpsc::channel(16);
        if exports.form == Form::Leaky {
            let progress = exports.progress.lock();
            progress
                .unwrap_or_else(PoisonError::into_inner)
                .push(rows.clone()); // the sender that is never dropped
        }
        spawn_writer(inbox, exports.alive.one());
        for row in 0..8 {
            if rows.send(row).await.is_err() {
                return "the writer is gone";
            }
        }
        // Here the last sender goes, or should.
    }
    "exported"
}

// Not inlined, so that the function is named in every build; so are the others that are accused.
#[inline(never)]
fn spawn_writer(mut rows: mpsc::Receiver<u64>, alive: OneAlive) {
    let counted = WRITER.at(line!() + 1);
    tokio::spawn(async move {
        let mut page = [0u8; PAGE];
        let mut used = 0;
        while let Some(row) = rows.recv().await {
            page[used % PAGE] = row as u8;
            used += 1;
        }
        std::hint::black_box(&page); // here it would be written
        drop(alive);
    });
    drop(counted);
}

// 1b: a remote call that goes on after whoever asked has given up.

static LOOKUP: Guilty = Guilty::new("spawn_lookup", file!());
/// How long a customer waits for a price.
const PATIENCE: Duration = Duration::from_millis(2);

struct Prices {
    form: Form,
    alive: Alive,
    remote: SocketAddr,
    connection: tokio::sync::OnceCell<Arc<Remote>>,
}

/// Many calls over one connection, told apart by number.
struct Remote {
    stream: tokio::sync::Mutex<tcp::OwnedWriteHalf>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<u64>>>,
    next: std::sync::atomic::AtomicU64,
    /// Answers would be read from here.
    _answers: tcp::OwnedReadHalf,
}

/// A call that is no longer waited for needs no answer.
struct Waiting<'a>(&'a Remote, u64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let waiting = self.0.waiting.lock();
        waiting
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.1);
    }
}

impl Remote {
    async fn price(&self, item: u64) -> Result<u64> {
        let (answer, answered) = oneshot::channel();
        // Relaxed: numbers only have to differ.
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let waiting = || self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting().insert(number, answer);
        let _waiting = Waiting(self, number);
        let question = format!("{number} {item}\n");
        self.stream
            .lock()
            .await
            .write_all(question.as_bytes())
            .await?;
        Ok(answered.await?)
    }
}

pub(crate) fn no_cancellation(form: Form) -> Result<Service> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let alive = Alive::default();
    let prices = Arc::new(Prices {
        form,
        alive: alive.clone(),
        remote: listener.local_addr()?,
        connection: tokio::sync::OnceCell::new(),
    });
    tokio::spawn(read_and_say_nothing(listener));
    let router = Router::new().route("/", get(quote)).with_state(prices);
    Ok(service(router, alive, &[&LOOKUP]))
}

/// The remote service: alive, as far as TCP can tell.
async fn read_and_say_nothing(listener: std::net::TcpListener) -> Result<()> {
    let (mut stream, _) = tokio::net::TcpListener::from_std(listener)?
        .accept()
        .await?;
    let mut buffer = [0; PAGE];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

async fn quote(State(prices): State<Arc<Prices>>) -> &'static str {
    let connect = || async {
        let (answers, stream) = TcpStream::connect(prices.remote).await?.into_split();
        Ok::<_, std::io::Error>(Arc::new(Remote {
            stream: tokio::sync::Mutex::new(stream),
            waiting: Mutex::default(),
            next: Default::default(),
            _answers: answers,
        }))
    };
    let Ok(remote) = prices.connection.get_or_try_init(connect).await else {
        return "the price service is down";
    };
    let gone = CancellationToken::new();
    let lookups: Vec<JoinHandle<u64>> = (0..TASKS)
        .map(|item| {
            let heeded = match prices.form {
                Form::Leaky => CancellationToken::new(), // one that nobody can cancel
                Form::Fixed => gone.clone(),
            };
            spawn_lookup(remote.clone(), item, heeded, prices.alive.one())
        })
        .collect();
    // Cancels when this handler ends, however it ends.
    let _gone = gone.drop_guard();
    let all = async {
        let mut total = 0;
        for lookup in lookups {
            total += lookup.await.unwrap_or(0);
        }
        total
    };
    // When time is up the handles are dropped. That stops nobody: a task whose handle is dropped is detached.
    match timeout(PATIENCE, all).await {
        Ok(_total) => "here you are",
        Err(_) => "no prices today",
    }
}

#[inline(never)]
fn spawn_lookup(
    remote: Arc<Remote>,
    item: u64,
    gone: CancellationToken,
    alive: OneAlive,
) -> JoinHandle<u64> {
    let counted = LOOKUP.at(line!() + 1);
    let lookup = tokio::spawn(async move {
        let mut document = [0u8; PAGE];
        let price = tokio::select! {
            price = remote.price(item) => price.unwrap_or(0),
            () = gone.cancelled() => 0,
        };
        document[..8].copy_from_slice(&price.to_le_bytes());
        drop(alive);
        price + u64::from(document[PAGE - 1])
    });
    drop(counted);
    lookup
}

// 1c: a worker that works for a session, and that nobody tells when the session is over.

static FLUSHER: Guilty = Guilty::new("spawn_flusher", file!());

struct Sessions {
    form: Form,
    alive: Alive,
}

#[derive(Default)]
struct Session {
    dirty: Notify,
    closed: CancellationToken,
}

pub(crate) fn no_shutdown(form: Form) -> Service {
    let alive = Alive::default();
    let sessions = Arc::new(Sessions {
        form,
        alive: alive.clone(),
    });
    let router = Router::new().route("/", get(visit)).with_state(sessions);
    service(router, alive, &[&FLUSHER])
}

/// A visit opens sessions, writes something, and leaves.
async fn visit(State(sessions): State<Arc<Sessions>>) -> &'static str {
    for _session in 0..TASKS {
        let session = Arc::new(Session::default());
        let flusher = spawn_flusher(session.clone(), sessions.alive.one());
        session.dirty.notify_one();
        if sessions.form == Form::Fixed {
            // Stop, and wait until it has really ended.
            session.closed.cancel();
            if flusher.await.is_err() {
                return "the flusher panicked";
            }
        }
        // The leaky one drops its handles and believes that the flusher goes with them.
    }
    "bye"
}

#[inline(never)]
fn spawn_flusher(session: Arc<Session>, alive: OneAlive) -> JoinHandle<()> {
    let counted = FLUSHER.at(line!() + 1);
    let flusher = tokio::spawn(async move {
        let mut batch = [0u8; PAGE];
        let mut flushed = 0;
        loop {
            tokio::select! {
                () = session.dirty.notified() => {
                    batch[flushed % PAGE] += 1;
                    flushed += 1;
                }
                () = session.closed.cancelled() => break,
            }
        }
        drop((alive, batch));
    });
    drop(counted);
    flusher
}
