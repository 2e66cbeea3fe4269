//! Clients, well-behaved and not: some wait for every answer, some hang up in the middle and come back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What was sent.
#[derive(Default)]
pub(crate) struct Sent {
    /// Requests that were answered.
    pub(crate) answered: AtomicU64,
    /// Connections that were cut before the answer.
    pub(crate) cut: AtomicU64,
}

/// `clients` at a time, until `end`, each with one connection after another.
pub(crate) async fn send(
    address: SocketAddr,
    clients: u64,
    end: Instant,
) -> crate::Result<Arc<Sent>> {
    let sent = Arc::new(Sent::default());
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let sent = sent.clone();
        tasks.spawn(async move {
            let mut round = client;
            while Instant::now() < end {
                session(address, round, &sent).await?;
                round += clients;
            }
            io::Result::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(sent)
}

/// One connection: twenty requests, and an end that depends on the round.
async fn session(address: SocketAddr, round: u64, sent: &Sent) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    for n in 0..20 {
        ask(&mut stream, &request(round * 20 + n)).await?;
        sent.answered.fetch_add(1, Ordering::Relaxed);
    }
    let last: &[u8] = match round % 4 {
        0 => return Ok(()),
        // The answer never comes, and nobody waits for it.
        1 => b"GET /quote/SLOW HTTP/1.1\r\nhost: x\r\n\r\n",
        // A stream, cut after its first bytes.
        2 => b"GET /ticks HTTP/1.1\r\nhost: x\r\n\r\n",
        // Half a request.
        _ => b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{\"cust",
    };
    stream.write_all(last).await?;
    if round % 4 == 2 {
        stream.read_exact(&mut [0; 64]).await?;
    }
    tokio::task::yield_now().await;
    // Not a farewell but a reset, as when a client is killed.
    stream.set_zero_linger()?;
    sent.cut.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn request(n: u64) -> String {
    match n % 4 {
        0 => {
            let body = format!(r#"{{"customer":{n},"items":["pen","ink","paper"]}}"#);
            let length = body.len();
            format!(
                "POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        }
        1 => "GET /quote/UNKNOWN HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        _ => format!("GET /quote/S{} HTTP/1.1\r\nhost: x\r\n\r\n", n % 5_000),
    }
}

/// Sends a request and reads its answer, which has a length.
pub(crate) async fn ask(stream: &mut TcpStream, request: &str) -> io::Result<(u16, String)> {
    let bad = |what| io::Error::new(io::ErrorKind::InvalidData, what);
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let text = std::str::from_utf8(&answer).map_err(|_| bad("an answer that is no text"))?;
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .and_then(|length| length.parse::<usize>().ok())
            .ok_or_else(|| bad("an answer without a length"))?;
        if body.len() >= length {
            let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
            return Ok((status.ok_or_else(|| bad("no status"))?, body.to_owned()));
        }
    }
}
