//! As little HTTP as will do: one request per connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use heapsite::Profile;

/// Measures nothing: only ends what hangs.
const WATCHDOG: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Empty: there is no such header.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut all = self.headers.iter().filter(|(key, _)| key == name);
        let value = all.next().map_or("", |(_, value)| value);
        assert!(all.next().is_none(), "{name} comes twice");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn profile(&self) -> Profile {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        heapsite::format::read(&self.body).unwrap()
    }
}

pub(crate) fn get(server: SocketAddr, path: &str) -> Answer {
    request(server, &format!("GET {path} HTTP/1.1"), "", b"")
}

/// Asks until the server is not busy with the request of another test.
pub(crate) fn get_patiently(server: SocketAddr, path: &str) -> Answer {
    loop {
        let answer = get(server, path);
        if answer.status != 503 {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `headers` end with a line end each.
pub(crate) fn request(server: SocketAddr, line: &str, headers: &str, body: &[u8]) -> Answer {
    let head = format!(
        "{line}\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    let answer = raw(server, &[head.as_bytes(), body].concat(), false);
    parse(&answer).unwrap_or_else(|| panic!("{line}: {}", String::from_utf8_lossy(&answer)))
}

/// Everything the server says to these bytes until it hangs up; it may do so before it has read them all. Whoever hangs up
/// first (`hang_up`: after the last byte) may get no answer.
pub(crate) fn raw(server: SocketAddr, bytes: &[u8], hang_up: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    let _ = stream.write_all(bytes);
    if hang_up {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => {
            panic!("{error} after {} bytes", answer.len())
        }
        _ => answer,
    }
}

pub(crate) fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some(Answer {
        status,
        headers: lines.map(header).collect::<Option<_>>()?,
        body: answer[end + 4..].to_vec(),
    })
}
