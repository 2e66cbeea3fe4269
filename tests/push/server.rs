//! A server on a real socket: it answers by the rules, or as a test tells it to.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use heapsite::Profile;

use crate::rules::{self, Ingested, Limits, Request};

/// Measures nothing: only ends what hangs.
const WATCHDOG: Duration = Duration::from_secs(120);

/// What the server does with a request, in place of what the rules say.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Status, further headers (with their line ends), text. The rules are not asked.
    Say(u16, &'static str, &'static str),
    /// Reads the whole request, ingests it, and hangs up.
    IngestAndHangUp,
    /// Reads the head and hangs up.
    HangUpEarly,
    /// Reads the whole request and says nothing until [`Server::let_go`].
    Hold,
}

pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    limits: Limits,
    manners: VecDeque<Manner>,
    /// Every whole request.
    requests: Vec<Request>,
    ingested: Vec<Ingested>,
    refused: Vec<rules::Refusal>,
    let_go: bool,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::on(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    /// On a port that a test has kept.
    pub(crate) fn on(listener: TcpListener) -> Server {
        Server::with(listener, |stream| stream)
    }

    /// `wrap` puts a layer around each connection.
    pub(crate) fn with<S: Read + Write>(
        listener: TcpListener,
        wrap: impl Fn(TcpStream) -> S + Send + Sync + Clone + 'static,
    ) -> Server {
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                limits: rules::DEFAULT,
                manners: VecDeque::new(),
                requests: Vec::new(),
                ingested: Vec::new(),
                refused: Vec::new(),
                let_go: false,
            }),
            changed: Condvar::new(),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), server, wrap) = (stream, Arc::clone(&server), wrap.clone()) else {
                    continue;
                };
                std::thread::spawn(move || server.serve(wrap(stream)));
            }
        });
        Server { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    #[cfg(feature = "push-tls")]
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// For the next requests, one each.
    pub(crate) fn behave(&self, manners: impl IntoIterator<Item = Manner>) {
        self.shared.lock().manners.extend(manners);
    }

    pub(crate) fn limit(&self, limits: Limits) {
        self.shared.lock().limits = limits;
    }

    pub(crate) fn let_go(&self) {
        self.shared.lock().let_go = true;
        self.shared.changed.notify_all();
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    pub(crate) fn ingested(&self) -> Vec<Ingested> {
        self.shared.lock().ingested.clone()
    }

    pub(crate) fn refused(&self) -> Vec<rules::Refusal> {
        self.shared.lock().refused.clone()
    }

    /// Until as many requests have been ingested.
    pub(crate) fn wait_for_ingested(&self, count: usize) {
        self.wait_until(|state| state.ingested.len() >= count);
    }

    /// Until as many requests have been read whole.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        self.wait_until(|state| state.requests.len() >= count);
    }

    fn wait_until(&self, is_so: impl Fn(&State) -> bool) {
        let mut state = self.shared.lock();
        while !is_so(&state) {
            let (next, timeout) = self.shared.changed.wait_timeout(state, WATCHDOG).unwrap();
            assert!(!timeout.timed_out(), "hangs");
            state = next;
        }
    }

    /// Sums over everything that was ingested, of samples with a function that has `part` in its name: allocated
    /// objects and bytes.
    pub(crate) fn allocated(&self, part: &str) -> [i64; 2] {
        let state = self.shared.lock();
        let sums = state.ingested.iter().map(|one| values(&one.profile, part));
        sums.fold([0; 2], |sum, values| {
            [sum[0] + values[0], sum[1] + values[1]]
        })
    }

    /// What was live in the last profile.
    pub(crate) fn live(&self, part: &str) -> [i64; 2] {
        let state = self.shared.lock();
        let values = values(&state.ingested.last().unwrap().profile, part);
        [values[2], values[3]]
    }
}

/// Sums of the four values.
pub(crate) fn values(profile: &Profile, part: &str) -> [i64; 4] {
    let functions = profile.functions.iter();
    let is_it: Vec<bool> = functions.map(|f| f.name.contains(part)).collect();
    let locations = profile.locations.iter();
    let is_in: Vec<bool> = locations
        .map(|location| {
            let mut lines = location.lines.iter();
            lines.any(|line| is_it[line.function.0 as usize])
        })
        .collect();
    let mut sums = [0; 4];
    for sample in &profile.samples {
        if sample.locations.iter().any(|id| is_in[id.0 as usize]) {
            for (sum, value) in sums.iter_mut().zip(&sample.values) {
                *sum += value;
            }
        }
    }
    sums
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn serve(&self, stream: impl Read + Write) {
        let manner = self.lock().manners.pop_front();
        let mut stream = BufReader::new(stream);
        let Some((mut request, len)) = head(&mut stream) else {
            return;
        };
        if matches!(manner, Some(Manner::HangUpEarly)) {
            return;
        }
        request.body = vec![0; len];
        if stream.read_exact(&mut request.body).is_err() {
            return;
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs() as i64;
        let limits = self.lock().limits;
        let by_rules = rules::ingest(&request, &limits, now);
        self.lock().requests.push(request);
        self.changed.notify_all();
        let (status, headers, text) = match manner {
            Some(Manner::Say(status, headers, text)) => (status, headers, text.to_owned()),
            Some(Manner::Hold) => {
                let mut state = self.lock();
                while !state.let_go {
                    state = self.changed.wait(state).unwrap();
                }
                return;
            }
            None | Some(Manner::IngestAndHangUp | Manner::HangUpEarly) => match by_rules {
                Ok(ingested) => {
                    self.lock().ingested.push(ingested);
                    self.changed.notify_all();
                    if manner.is_some() {
                        return;
                    }
                    (200, "", String::new())
                }
                Err((status, text)) => {
                    self.lock().refused.push((status, text.clone()));
                    (status, "", text)
                }
            },
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n{text}",
            text.len()
        );
        let _ = stream.get_mut().write_all(answer.as_bytes());
        let _ = stream.get_mut().flush();
    }
}

/// The head of a request, and how long its body is. `None`: it broke off.
fn head(stream: &mut impl BufRead) -> Option<(Request, usize)> {
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|&read| read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut headers = Vec::new();
    loop {
        let next = line()?;
        if next.is_empty() {
            break;
        }
        let (name, value) = next.split_once(':').expect("a header");
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let request = Request {
        method,
        path: path.to_owned(),
        query: query.split('&').map(pair).collect(),
        headers,
        body: Vec::new(),
    };
    assert_eq!(
        request.header("transfer-encoding"),
        "",
        "the length is known"
    );
    let len = request.header("content-length").parse().unwrap_or(0);
    Some((request, len))
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (decoded(name), decoded(value))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                let hex = std::str::from_utf8(&hex).unwrap();
                bytes.push(u8::from_str_radix(hex, 16).unwrap());
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).unwrap()
}
