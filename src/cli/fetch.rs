//! `GET http://…`: as much HTTP as fetching a profile from one's own service needs. No TLS, no redirects.
#![forbid(unsafe_code)]

use crate::{Error, Result};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// The environment variable that holds the token which a service may want.
const TOKEN: &str = "HEAPSITE_TOKEN";
const CONNECT: Duration = Duration::from_secs(10);
/// For the answer to arrive, on top of what `?seconds=` asks the server to wait.
const ANSWER: Duration = Duration::from_secs(60);
/// Profiles are megabytes; more than this is a mistake.
const MOST_BYTES: usize = 512 << 20;

/// Fetches `url`, which starts with `http://`.
///
/// # Errors
/// The address is malformed, the server cannot be reached or is too slow, or it answers with anything but
/// 200 and a whole body.
pub(super) fn get(url: &str) -> Result<Vec<u8>> {
    let address = Address::parse(url)?;
    let deadline = Instant::now() + ANSWER + address.seconds();
    let answer = exchange(&address, deadline)
        .map_err(|error| Error::io(format!("cannot fetch {url}"), error))?;
    body(&answer).map_err(|what| Error::input(format!("cannot fetch {url}: {what}")))
}

#[derive(Debug, PartialEq)]
struct Address<'u> {
    /// `host:port`, as the `Host` header wants it.
    authority: &'u str,
    host: &'u str,
    port: u16,
    /// Path and query.
    path: String,
}

impl<'u> Address<'u> {
    fn parse(url: &'u str) -> Result<Address<'u>> {
        let wrong =
            |what: &str| Error::input(format!("{url}: {what}; http://HOST:PORT/PATH is accepted"));
        let rest = url
            .strip_prefix("http://")
            .ok_or_else(|| wrong("not an http address"))?;
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("user names are not supported"));
        }
        // A line end would start another header.
        if rest.contains(|c: char| c.is_control() || c == ' ') {
            return Err(wrong(
                "spaces and control characters have to be percent-encoded",
            ));
        }
        let bracket = authority.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match authority[bracket..].rfind(':') {
            Some(colon) => authority.split_at(bracket + colon),
            None => (authority, ":80"),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(wrong("the host is missing"));
        }
        let port = port[1..]
            .parse()
            .map_err(|_| wrong("the port is no number up to 65535"))?;
        // Of a service without more words its heap is meant, as pprof has it.
        let (place, query) = path.split_at(path.find('?').unwrap_or(path.len()));
        let place = match place {
            "" | "/" | "/debug/pprof" | "/debug/pprof/" => "/debug/pprof/heap",
            place => place,
        };
        let path = format!("{place}{query}");
        Ok(Address {
            authority,
            host,
            port,
            path,
        })
    }

    /// What `?seconds=` asks the server to wait; at most a day.
    fn seconds(&self) -> Duration {
        let query = self.path.split_once('?').map_or("", |(_, query)| query);
        let seconds = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("seconds="));
        Duration::from_secs(
            seconds
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(0)
                .min(86_400),
        )
    }
}

fn exchange(address: &Address<'_>, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut stream = connect(address)?;
    stream.set_write_timeout(Some(CONNECT))?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: heapsite/{}\r\nAccept: */*\r\nConnection: close\r\n{}\r\n",
        address.path,
        address.authority,
        env!("CARGO_PKG_VERSION"),
        authorization(std::env::var(TOKEN).ok())?,
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the answer took too long",
            ));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(answer),
            Ok(read) => answer.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A read timeout shows as WouldBlock on Unix; the next turn of the loop says what it means.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if answer.len() > MOST_BYTES {
            return Err(io::Error::other(format!(
                "the answer is larger than {} MiB",
                MOST_BYTES >> 20
            )));
        }
        // A server may keep the connection open all the same.
        if is_whole(&answer) {
            return Ok(answer);
        }
    }
}

/// The header that shows a service's token; empty: there is none.
fn authorization(token: Option<String>) -> io::Result<String> {
    match token.as_deref() {
        None | Some("") => Ok(String::new()),
        // A line end would start another header.
        Some(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(format!("Authorization: Bearer {token}\r\n"))
        }
        Some(_) => Err(io::Error::other(format!(
            "{TOKEN}: accepted are ASCII letters, digits and punctuation"
        ))),
    }
}

fn connect(address: &Address<'_>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for socket in (address.host, address.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&socket, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// As [`get`] does with all of them.
#[cfg(feature = "internals")]
pub(super) fn read_answer(answer: &[u8]) -> Result<Vec<u8>> {
    is_whole(answer);
    body(answer).map_err(Error::input)
}

/// The head as text, and where the body starts.
fn head(answer: &[u8]) -> Option<(&str, usize)> {
    let end = answer
        .windows(4)
        .take(64 << 10)
        .position(|bytes| bytes == b"\r\n\r\n")?;
    Some((std::str::from_utf8(&answer[..end]).ok()?, end + 4))
}

fn header<'h>(head: &'h str, wanted: &str) -> Option<&'h str> {
    let lines = head
        .split("\r\n")
        .skip(1)
        .filter_map(|line| line.split_once(':'));
    lines
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.trim())
}

fn length(answer: &[u8]) -> Option<usize> {
    header(head(answer)?.0, "content-length")?.parse().ok()
}

/// The body comes in chunks, each with its size; this goes before a length.
fn is_chunked(head: &str) -> bool {
    let coding = header(head, "transfer-encoding").unwrap_or("");
    coding.eq_ignore_ascii_case("chunked")
}

/// All the bytes that the head announced are there, or the last chunk.
fn is_whole(answer: &[u8]) -> bool {
    let Some((head, start)) = head(answer) else {
        return false;
    };
    if is_chunked(head) {
        // Looked at in full only where it may be the end: all ends of bodies look so, and few chunks do.
        return answer.ends_with(b"\r\n\r\n") && unchunk(&answer[start..]).is_ok();
    }
    length(answer).is_some_and(|length| answer.len() - start >= length)
}

/// The body of a whole answer, or what is wrong with it.
fn body(answer: &[u8]) -> Result<Vec<u8>, String> {
    let (head, start) =
        head(answer).ok_or("the server does not speak HTTP/1.1, or hung up early")?;
    let bytes = &answer[start..];
    let status = head.split("\r\n").next().unwrap_or("");
    if !status.starts_with("HTTP/1.") {
        return Err("the server does not speak HTTP/1.1".into());
    }
    let code = status.split_whitespace().nth(1).unwrap_or("");
    if code.starts_with('3') {
        let to = header(head, "location").unwrap_or("an unnamed place");
        return Err(format!(
            "the server says {code} and points to {to}; redirects are not followed"
        ));
    }
    let body = if is_chunked(head) {
        unchunk(bytes)?
    } else {
        whole(bytes, length(answer))?
    };
    if code != "200" {
        let said = String::from_utf8_lossy(&body);
        let said = said.lines().next().unwrap_or("").trim();
        let said: String = said.chars().filter(|c| !c.is_control()).take(200).collect();
        let hint = match code {
            "401" => "; a token in the environment variable HEAPSITE_TOKEN is sent along",
            _ => "",
        };
        return Err(format!(
            "the server says {} {said}{hint}",
            status.split_once(' ').map_or(status, |(_, rest)| rest)
        ));
    }
    Ok(body)
}

fn whole(bytes: &[u8], length: Option<usize>) -> Result<Vec<u8>, String> {
    match length {
        None => Ok(bytes.to_vec()),
        Some(length) => bytes
            .get(..length)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| format!("the answer ends after {} of {length} bytes", bytes.len())),
    }
}

fn unchunk(mut bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let cut = || "the answer ends in the middle of a chunk".to_owned();
        let end = bytes
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .ok_or_else(cut)?;
        let size = std::str::from_utf8(&bytes[..end])
            .ok()
            .and_then(|line| line.split(';').next());
        let size = size.and_then(|digits| usize::from_str_radix(digits.trim(), 16).ok());
        let size = size.ok_or("the size of a chunk is no hexadecimal number")?;
        bytes = &bytes[end + 2..];
        if size == 0 {
            return Ok(body);
        }
        body.extend_from_slice(bytes.get(..size).ok_or_else(cut)?);
        bytes = size
            .checked_add(2)
            .and_then(|next| bytes.get(next..))
            .ok_or_else(cut)?;
    }
}

#[cfg(test)]
mod tests;
