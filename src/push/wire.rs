//! One push over the network.
#![forbid(unsafe_code)]

use std::io::{self, Read};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ureq::http::{HeaderValue, Request, Uri, header};
use ureq::{Agent, SendBody};

use super::answer::{Outcome, judge};
use super::options::{Login, Options, URLS, Url};
use super::secret::Secret;
use crate::error::{Error, Result};
use crate::helper;

/// For the name, for the connection, for the head of a request.
const STEP: Duration = Duration::from_secs(5);
/// For the body, and for the answer.
const BODY: Duration = Duration::from_secs(30);
/// How much of an answer's text is of interest, bytes.
const TEXT: u64 = 4096;

/// The way to the server.
pub(super) struct Wire {
    agent: Agent,
    /// With `/ingest`.
    url: String,
    authorization: Option<HeaderValue>,
    tenant: Option<HeaderValue>,
    /// What no message may hold.
    secrets: Vec<Secret>,
    names: Names,
}

impl Wire {
    /// # Errors
    /// The address cannot be used, or the file of certificates.
    pub(super) fn new(options: &Options) -> Result<Wire> {
        let uri = address(&options.url)?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // A POST that is sent on would be another request than the one that was made.
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A connection that was kept may be closed under the next push, and nobody would know whether it has arrived.
            .max_idle_connections(0)
            .user_agent(concat!("heapsite/", env!("CARGO_PKG_VERSION")))
            .max_response_header_size(16 << 10);
        if is_loopback(&uri) {
            config = config.proxy(None);
        }
        #[cfg(feature = "push-tls")]
        {
            config = config.tls_config(trust(options.ca_file.as_deref())?);
        }
        let (authorization, secrets) = match &options.login {
            None => (None, Vec::new()),
            Some(Login::Bearer(token)) => {
                let value = format!("Bearer {}", token.expose());
                (secret_header(&value), vec![token.clone()])
            }
            Some(Login::Basic(user, password)) => {
                let both = STANDARD.encode(format!("{user}:{}", password.expose()));
                let value = secret_header(&format!("Basic {both}"));
                (value, vec![password.clone(), Secret::new(both)])
            }
        };
        let config = config.build();
        let has_proxy = config.proxy().is_some_and(|proxy| !proxy.is_no_proxy(&uri));
        Ok(Wire {
            agent: config.new_agent(),
            url: format!("{}/ingest", options.url.as_str().trim_end_matches('/')),
            authorization,
            tenant: options
                .tenant
                .as_deref()
                .and_then(|t| HeaderValue::from_str(t).ok()),
            secrets,
            names: Names::new(&uri, has_proxy),
        })
    }

    /// Sends a profile of the time from `from` to `until`, in seconds since the Unix epoch, and waits for the answer; at
    /// most for `patience` at each step.
    pub(super) fn send(
        &mut self,
        series: &str,
        (from, until): (u64, u64),
        body: &[u8],
        patience: Duration,
    ) -> Outcome {
        if let Err(why) = self.names.look_up(patience.min(STEP)) {
            return Outcome::not_taken(why);
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("name", series)
            .append_pair("from", &from.to_string())
            .append_pair("until", &until.to_string())
            .append_pair("format", "pprof")
            .append_pair("spyName", "heapsite")
            .finish();
        let mut request = Request::post(format!("{}?{query}", self.url))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::CONTENT_LENGTH, body.len())
            .header(header::CONNECTION, "close");
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(value) = &self.tenant {
            request = request.header("X-Scope-OrgID", value);
        }
        let mut watched = Watched { rest: body };
        let sent = request
            .body(SendBody::from_reader(&mut watched))
            .map_err(ureq::Error::from)
            .and_then(|request| {
                // None for names, nor for all together: ureq would look names up on a thread of its own, which the recorder
                // takes for the program's.
                let step = |longest: Duration| Some(longest.min(patience));
                let request = self
                    .agent
                    .configure_request(request)
                    .timeout_connect(step(STEP))
                    .timeout_send_request(step(STEP))
                    .timeout_send_body(step(BODY))
                    .timeout_recv_response(step(BODY))
                    .timeout_recv_body(step(STEP));
                self.agent.run(request.build())
            });
        match sent {
            Ok(mut answer) => {
                let status = answer.status().as_u16();
                let retry_after = answer.headers().get(header::RETRY_AFTER);
                let retry_after =
                    retry_after.and_then(|value| value.to_str().ok().map(str::to_owned));
                let mut text = Vec::new();
                if !answer.status().is_success() {
                    // As much of it as comes.
                    let _ = answer
                        .body_mut()
                        .as_reader()
                        .take(TEXT)
                        .read_to_end(&mut text);
                }
                let text = self.without_secrets(&String::from_utf8_lossy(&text));
                judge(status, retry_after.as_deref(), &text, SystemTime::now())
            }
            Err(error) => {
                let why = self.without_secrets(&error.to_string());
                match watched.rest.is_empty() {
                    true => Outcome::Unknown { why },
                    false => Outcome::not_taken(why),
                }
            }
        }
    }

    /// A server or a proxy may quote the request.
    fn without_secrets(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.expose(), "…");
        }
        text
    }
}

/// Whether the server's name is known. The C library's resolver cannot be interrupted (it takes ten seconds for each server
/// in `resolv.conf` that does not answer), so it is asked on a thread that can be left behind. Where it answers in time it
/// does so again for the connection.
struct Names {
    /// `None`: there is nothing to look up, or a proxy does it.
    host: Option<(String, u16)>,
    /// The look-up that was left behind; there is one at most.
    left: Option<JoinHandle<()>>,
}

impl Names {
    fn new(uri: &Uri, has_proxy: bool) -> Names {
        let port = match uri.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        let host = (!has_proxy && ip(uri).is_none()).then(|| {
            (
                uri.host().unwrap_or_default().to_owned(),
                uri.port_u16().unwrap_or(port),
            )
        });
        Names { host, left: None }
    }

    fn look_up(&mut self, patience: Duration) -> Result<(), String> {
        let Some((name, port)) = self.host.clone() else {
            return Ok(());
        };
        let slow = format!("the name {name} could not be looked up in time");
        if self.left.take_if(|thread| thread.is_finished()).is_none() && self.left.is_some() {
            return Err(slow);
        }
        let (tell, told) = mpsc::channel();
        let host = name.clone();
        let thread = helper::spawn("heapsite-name", move || {
            let found = (host.as_str(), port).to_socket_addrs().map(drop);
            let _nobody_waits = tell.send(found);
        });
        let thread = thread.map_err(|error| format!("no thread to look up {name}: {error}"))?;
        match told.recv_timeout(patience) {
            Ok(found) => found.map_err(|error| format!("the name {name}: {error}")),
            Err(_) => {
                self.left = Some(thread);
                Err(slow)
            }
        }
    }
}

/// A body that tells whether all of it was taken. The last byte comes by itself: it is asked for only after everything
/// before it has been written, so what fails earlier is known not to have arrived whole.
struct Watched<'a> {
    rest: &'a [u8],
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = match self.rest.len() {
            0 | 1 => self.rest.len(),
            several => several - 1,
        };
        let now = most.min(buffer.len());
        let (taken, rest) = self.rest.split_at(now);
        buffer[..now].copy_from_slice(taken);
        self.rest = rest;
        Ok(now)
    }
}

/// # Errors
/// It is no address of a server.
fn address(url: &Url) -> Result<Uri> {
    let refuse = |accepted: &str| {
        let shown = url.shown();
        Error::config(format!("key `push`, value `{shown}`: {accepted}"))
    };
    let uri: Uri = match url.as_str().parse() {
        Ok(uri) if !url.as_str().contains(['@', '?', '#']) => uri,
        _ => return Err(refuse(URLS)),
    };
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    match uri.scheme_str() {
        Some("http") if has_host => Ok(uri),
        Some("https") if has_host && cfg!(feature = "push-tls") => Ok(uri),
        Some("https") if has_host => Err(refuse(
            "https takes heapsite's feature `push-tls`; without it, accepted is http://…",
        )),
        _ => Err(refuse(URLS)),
    }
}

/// Proxies are for what is further away.
fn is_loopback(uri: &Uri) -> bool {
    uri.host() == Some("localhost") || ip(uri).is_some_and(|ip| ip.to_canonical().is_loopback())
}

fn ip(uri: &Uri) -> Option<IpAddr> {
    let host = uri.host()?;
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// `None`: it holds what a header cannot; that has been refused before.
fn secret_header(value: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(feature = "push-tls")]
fn trust(ca_file: Option<&std::path::Path>) -> Result<ureq::tls::TlsConfig> {
    use std::sync::Arc;

    use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
    let Some(path) = ca_file else {
        return Ok(TlsConfig::default());
    };
    let refuse = |why: &str| {
        let path = path.display();
        Error::config(format!("key `push_ca`, value `{path}`: {why}"))
    };
    let pem = std::fs::read(path).map_err(|error| refuse("cannot be read").caused_by(error))?;
    let items: Result<Vec<_>, _> = parse_pem(&pem).collect();
    let items = items.map_err(|error| refuse("accepted is a file of PEM").caused_by(error))?;
    let certificate = |item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    };
    let certificates: Vec<_> = items.into_iter().filter_map(certificate).collect();
    match certificates.is_empty() {
        true => Err(refuse("accepted is a file of PEM with a certificate in it")),
        false => Ok(TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(certificates)))
            .build()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_comes_last() {
        let mut watched = Watched { rest: b"abcdef" };
        let mut buffer = [0; 100];
        assert_eq!(watched.read(&mut buffer[..2]).unwrap(), 2);
        assert_eq!(watched.read(&mut buffer).unwrap(), 3);
        assert_eq!((&buffer[..3], watched.rest), (&b"cde"[..], &b"f"[..]));
        assert_eq!(watched.read(&mut buffer).unwrap(), 1);
        assert_eq!(watched.read(&mut buffer).unwrap(), 0);
        assert!(watched.rest.is_empty());
    }

    /// The server reads the head, and hangs up while the body is on its way: more of it than any buffer holds.
    #[test]
    fn what_was_cut_short_was_not_taken() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut byte = [0];
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
        });
        let mut wire = Wire::new(&Options::new(url)).unwrap();
        let outcome = wire.send("a{}", (1, 2), &vec![0; 64 << 20], BODY);
        assert!(matches!(outcome, Outcome::NotTaken { .. }), "{outcome:?}");
        server.join().unwrap();
    }

    #[test]
    fn names_are_looked_up_where_there_are_any() {
        let names = |url: &str| Names::new(&url.parse().unwrap(), false).host;
        assert_eq!(names("http://a.b"), Some(("a.b".into(), 80)));
        assert_eq!(names("https://a.b"), Some(("a.b".into(), 443)));
        assert_eq!(names("http://a.b:4040/x"), Some(("a.b".into(), 4040)));
        assert_eq!(names("http://[::1]:4040"), None);
        assert_eq!(names("http://10.0.0.1"), None);
        assert_eq!(Names::new(&"http://a".parse().unwrap(), true).host, None);
        let mut local = Names::new(&"http://localhost".parse().unwrap(), false);
        local.look_up(BODY).unwrap();
        let mut nowhere = Names::new(&"http://no-such-host.invalid".parse().unwrap(), false);
        assert!(
            nowhere
                .look_up(BODY)
                .unwrap_err()
                .contains("no-such-host.invalid")
        );
        // One that takes long is asked once.
        let (tell, told) = mpsc::channel::<()>();
        local.left = Some(std::thread::spawn(move || {
            let _closed = told.recv();
        }));
        assert!(local.look_up(BODY).unwrap_err().contains("in time"));
        drop(tell);
        while !local.left.as_ref().unwrap().is_finished() {
            std::thread::yield_now();
        }
        local.look_up(BODY).unwrap();
    }

    #[test]
    fn what_a_server_quotes_is_not_passed_on() {
        let options = Options::new("http://localhost").basic_auth("me", "hush");
        let wire = Wire::new(&options).unwrap();
        let quoted = format!("you said {} and hush", STANDARD.encode("me:hush"));
        assert_eq!(wire.without_secrets(&quoted), "you said … and …");
        assert_eq!(wire.url, "http://localhost/ingest");
        let below = Wire::new(&Options::new("http://a:4040/x/")).unwrap();
        assert_eq!(below.url, "http://a:4040/x/ingest");
    }

    #[test]
    fn the_loopback_needs_no_proxy() {
        for (url, is) in [
            ("http://localhost:4040", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:4040", true),
            ("http://10.0.0.1", false),
            ("http://localhost.example", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), is, "{url}");
        }
    }
}
