//! Honest traffic: a bounded pool of real TCP connections to the stock service, each with its own buffers.

use std::io;
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Bytes of each of a connection's two buffers.
const BUFFER: usize = 32 << 10;

/// At most `limit` connections to one address, handed out in turn and kept open.
pub(crate) struct Pool {
    address: std::net::SocketAddr,
    permits: Semaphore,
    idle: Mutex<Vec<BufStream<TcpStream>>>,
}

impl Pool {
    /// A pool without a connection yet.
    pub(crate) fn new(address: std::net::SocketAddr, limit: usize) -> Pool {
        Pool {
            address,
            permits: Semaphore::new(limit),
            idle: Mutex::new(Vec::with_capacity(limit)),
        }
    }

    /// Asks how many of `product` are in stock. A connection on which anything failed is not used again.
    pub(crate) async fn stock(&self, product: u32) -> io::Result<u32> {
        let _permit = self.permits.acquire().await.map_err(io::Error::other)?;
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                BufStream::with_capacity(BUFFER, BUFFER, stream)
            }
        };
        connection
            .write_all(format!("{product}\n").as_bytes())
            .await?;
        connection.flush().await?;
        let mut answer = String::new();
        connection.read_line(&mut answer).await?;
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        answer.trim_end().parse().map_err(io::Error::other)
    }
}

/// The stock service: a line with a product's number in, a line with its stock out.
pub(crate) async fn serve_stock(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let mut stream = BufStream::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
                let stock = line.trim_end().parse::<u32>().unwrap_or(0) % 97;
                line.clear();
                if stream
                    .write_all(format!("{stock}\n").as_bytes())
                    .await
                    .is_err()
                    || stream.flush().await.is_err()
                {
                    return;
                }
            }
        });
    }
}
