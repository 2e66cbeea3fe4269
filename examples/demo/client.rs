//! The traffic: a fixed number of requests over a fixed number of keep-alive connections, real TCP on loopback.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections that send at the same time.
const CONNECTIONS: u64 = 16;

/// Sends `count` requests, numbered from `first`, and waits for every answer.
pub(crate) async fn load(address: SocketAddr, first: u64, count: u64) -> io::Result<()> {
    let mut connections = JoinSet::new();
    for connection in 0..CONNECTIONS {
        connections.spawn(async move {
            let mut stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let mut stream = BufStream::new(&mut stream);
            let mut body = Vec::new();
            for n in (first + connection..first + count).step_by(CONNECTIONS as usize) {
                stream.write_all(request(n).as_bytes()).await?;
                stream.flush().await?;
                read_response(&mut stream, &mut body).await?;
            }
            io::Result::Ok(())
        });
    }
    while let Some(done) = connections.join_next().await {
        done.map_err(io::Error::other)??;
    }
    Ok(())
}

/// One request in eight is an order, the others look at a product.
fn request(n: u64) -> String {
    // Fibonacci hashing: neighbours look at distant products, and every product's turn comes.
    let product = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    if n.is_multiple_of(8) {
        let body = format!(
            r#"{{"customer":{n},"items":[{{"product":{product},"count":2,"price_cents":1250}},{{"product":7,"count":1,"price_cents":499}}]}}"#
        );
        let length = body.len();
        format!(
            "POST /order HTTP/1.1\r\nhost: shop\r\nx-request-id: req-{n:012}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    } else {
        format!(
            "GET /product/{product} HTTP/1.1\r\nhost: shop\r\nx-request-id: req-{n:012}\r\n\r\n"
        )
    }
}

/// Reads one response: status line, headers, as many bytes as `content-length` says.
async fn read_response(
    stream: &mut BufStream<&mut TcpStream>,
    body: &mut Vec<u8>,
) -> io::Result<()> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    let mut length = None;
    loop {
        let first = line.is_empty();
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first && !line.starts_with("HTTP/1.1 200 ") {
            return Err(bad(line.trim_end()));
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()
            }
            _ if line == "\r\n" => break,
            _ => {}
        }
    }
    body.resize(
        length.ok_or_else(|| bad("a response without content-length"))?,
        0,
    );
    stream.read_exact(body).await?;
    Ok(())
}
