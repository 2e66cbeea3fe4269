//! Serves a pattern, sends it traffic, and takes snapshots while it rests between two windows of requests.
//!
//! How much traffic is enough? Allocations of `b` bytes in all are all missed with a chance of `exp(−b/R)`, `R` being
//! the interval. A window in which the guilty line allocates `20 R` therefore holds none of its samples
//! once in 5·10⁸, and one of 11 windows does once in 4·10⁷. Then the line does not rise and is missed; everything
//! else that `leak::accuse` asks for is further away still: the later half has 120 samples expected and needs 37.
#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::Request;
use bytes::Bytes;
use heapsite::{Profile, Snapshot};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::truth::{Guilty, Truth};
use super::{Form, Options, Result};

/// Windows of traffic; a snapshot before each and after the last.
const WINDOWS: u32 = 11;
/// Sampled allocations that a window is to bring at each guilty line.
const SAMPLES: u64 = 20;
/// Connections that send at the same time.
const CONNECTIONS: u64 = 8;

/// A pattern as the harness sees it.
pub(crate) struct Service {
    pub(crate) router: axum::Router,
    /// The request with this number.
    pub(crate) request: Box<dyn Fn(u64) -> Request<Full<Bytes>> + Send + Sync>,
    /// Requests until caches are full and connections open.
    pub(crate) warm_up: u64,
    /// What each of the guilty lines allocates per request at least.
    pub(crate) bytes_per_request: u64,
    /// Requests of a window where fewer would be enough.
    pub(crate) at_least: u64,
    pub(crate) workers: Workers,
    /// The lines to be found, the worst first.
    pub(crate) guilty: Vec<&'static Guilty>,
    pub(crate) judge: Judge,
    /// What a service does when it has nothing else to do.
    pub(crate) housekeeping: Box<dyn Fn() + Send + Sync>,
}

impl Service {
    /// A service that answers `GET /?n=NUMBER`.
    pub(crate) fn new(router: axum::Router, guilty: &[&'static Guilty]) -> Service {
        Service {
            router,
            request: Box::new(|n| get(format!("/?n={n}"))),
            warm_up: 2 * CONNECTIONS,
            bytes_per_request: u64::MAX,
            at_least: 4,
            workers: Workers::None,
            guilty: guilty.to_vec(),
            judge: Judge::Growth,
            housekeeping: Box::new(|| {}),
        }
    }
}

/// How the snapshots are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judge {
    /// Who goes on growing?
    Growth,
    /// Who made the peak?
    Peak,
    /// Who allocates and keeps nothing?
    Churn,
}

/// What a request starts and should end.
pub(crate) enum Workers {
    None,
    Tasks(Running),
    Threads(Running),
}

/// Tasks or threads that run.
pub(crate) struct Running {
    pub(crate) alive: Alive,
    /// How many a request leaves behind in the leaky form.
    pub(crate) per_request: u64,
}

/// How many workers run.
#[derive(Clone, Default)]
pub(crate) struct Alive(Arc<AtomicU64>);

impl Alive {
    /// One more, until the result is dropped.
    pub(crate) fn one(&self) -> OneAlive {
        // Relaxed here and below: a counter, asked again and again until it has arrived.
        self.0.fetch_add(1, Ordering::Relaxed);
        OneAlive(self.0.clone())
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A worker that runs.
pub(crate) struct OneAlive(Arc<AtomicU64>);

impl Drop for OneAlive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What was seen at the first and the last snapshot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) tasks: u64,
    pub(crate) threads: u64,
    pub(crate) fds: u64,
}

/// The run, to be judged.
pub(crate) struct Outcome {
    pub(crate) profiles: Vec<Profile>,
    pub(crate) before: Seen,
    pub(crate) after: Seen,
    /// At the first and the last snapshot.
    pub(crate) truths: Vec<(&'static Guilty, Truth, Truth)>,
    pub(crate) judge: Judge,
    pub(crate) requests: u64,
}

pub(crate) fn get(path: String) -> Request<Full<Bytes>> {
    request("GET", path, Bytes::new())
}

pub(crate) fn post(path: String, body: Bytes) -> Request<Full<Bytes>> {
    request("POST", path, body)
}

fn request(method: &str, path: String, body: Bytes) -> Request<Full<Bytes>> {
    let parts = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "shop");
    parts.body(Full::new(body)).expect("a valid request")
}

/// Warms the service up, sends it windows of requests, and takes the snapshots.
pub(crate) async fn drive(mut service: Service, options: &Options) -> Result<Outcome> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, std::mem::take(&mut service.router)).into_future());
    let enough = (SAMPLES * options.interval).div_ceil(service.bytes_per_request);
    let window = enough.max(service.at_least);
    println!(
        "process {}: {} requests to http://{address} to warm up, then {WINDOWS} windows of {window}",
        std::process::id(),
        service.warm_up
    );
    let mut client = Client::connect(address).await?;
    let mut sent = 0;
    let service = Arc::new(service);
    client.send(&service, &mut sent, service.warm_up).await?;

    let mut snapshots: Vec<Snapshot> = Vec::with_capacity(WINDOWS as usize + 1);
    let look = |snapshots: &mut Vec<Snapshot>| {
        snapshots.push(heapsite::snapshot());
        let truths: Vec<Truth> = service.guilty.iter().map(|line| line.truth()).collect();
        Ok::<_, std::io::Error>((seen(&service)?, truths))
    };
    settle(&service, options.form, sent).await?;
    let (before, truths_before) = look(&mut snapshots)?;
    let started = Instant::now();
    let (mut after, mut truths_after) = (before, truths_before.clone());
    for done in 1..=WINDOWS {
        client.send(&service, &mut sent, window).await?;
        settle(&service, options.form, sent).await?;
        (after, truths_after) = look(&mut snapshots)?;
        tokio::time::sleep((options.time * done / WINDOWS).saturating_sub(started.elapsed())).await;
    }

    // What follows is the judge's memory, not the service's.
    heapsite::pause();
    // Reading debug information takes its time: not on a thread that serves. Names for the last will do for all.
    let profiles = tokio::task::spawn_blocking(move || {
        let last = snapshots.len() - 1;
        let mut profiles: Vec<Profile> = snapshots[..last]
            .iter()
            .map(Snapshot::to_address_profile)
            .collect();
        profiles.push(snapshots[last].to_profile());
        profiles
    });
    let lines = service.guilty.iter().copied();
    Ok(Outcome {
        profiles: profiles.await?,
        before,
        after,
        truths: lines
            .zip(truths_before)
            .zip(truths_after)
            .map(|((line, before), after)| (line, before, after))
            .collect(),
        judge: service.judge,
        requests: sent - service.warm_up,
    })
}

/// Waits until the service has done what it was asked: answers are out, and of the workers only those run that the
/// leak keeps.
async fn settle(service: &Service, form: Form, requests: u64) -> Result<()> {
    let (Workers::Tasks(running) | Workers::Threads(running)) = &service.workers else {
        (service.housekeeping)();
        return Ok(());
    };
    let expected = match form {
        Form::Leaky => running.per_request * requests,
        Form::Fixed => 0,
    };
    // Generous: a machine may be busy with other things.
    let deadline = Instant::now() + Duration::from_secs(60);
    while running.alive.count() != expected {
        if Instant::now() > deadline {
            let alive = running.alive.count();
            return Err(format!("{alive} workers run where {expected} should").into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (service.housekeeping)();
    Ok(())
}

fn seen(service: &Service) -> std::io::Result<Seen> {
    let count = |running: &Running| running.alive.count();
    let (tasks, threads) = match &service.workers {
        Workers::None => (0, 0),
        Workers::Tasks(running) => (count(running), 0),
        Workers::Threads(running) => (0, count(running)),
    };
    let fds = std::fs::read_dir("/proc/self/fd")?.count() as u64;
    Ok(Seen {
        tasks,
        threads,
        fds,
    })
}

/// Keep-alive connections to the service.
struct Client {
    connections: Vec<http1::SendRequest<Full<Bytes>>>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Result<Client> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            connections.push(sender);
        }
        Ok(Client { connections })
    }

    /// Sends `count` more requests and reads all answers to their end.
    async fn send(&mut self, service: &Arc<Service>, sent: &mut u64, count: u64) -> Result<()> {
        let next = Arc::new(AtomicU64::new(*sent));
        *sent += count;
        let end = *sent;
        let mut senders = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let (service, next) = (service.clone(), next.clone());
            senders.spawn(async move {
                loop {
                    // Relaxed: a counter; requests are independent of each other.
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= end {
                        return Ok::<_, super::Error>(connection);
                    }
                    connection.ready().await?;
                    let response = connection.send_request((service.request)(n)).await?;
                    let status = response.status();
                    let body = response.into_body().collect().await?.to_bytes();
                    if !status.is_success() {
                        return Err(format!("{status}: {}", body.escape_ascii()).into());
                    }
                }
            });
        }
        while let Some(done) = senders.join_next().await {
            self.connections.push(done??);
        }
        Ok(())
    }
}
