//! Pattern 2: responses that are neither read to their end nor dropped. Each keeps its connection, so the pool has
//! none to give and opens another: buffers and file descriptors climb together.
#![forbid(unsafe_code)]

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::harness::Service;
use super::truth::Guilty;
use super::{Form, Result};

/// The read buffer of a connection.
const BUFFER: usize = 512 << 10;
/// A price list, of which most callers want the headers only.
const LIST: usize = 256 << 10;

static DRIVEN: Guilty = Guilty::new("Exchange", file!());

/// A connection to the price service, driven by whoever uses it.
struct Connection {
    sender: http1::SendRequest<Empty<Bytes>>,
    driver: http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>,
}

struct Prices {
    form: Form,
    address: SocketAddr,
    /// Connections that may be used again.
    idle: Mutex<Vec<Connection>>,
    /// Answers kept for an audit that looks at their heads.
    audit: Mutex<Vec<(Response<Incoming>, Connection)>>,
}

pub(crate) fn service(form: Form) -> Result<Service> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let prices = Arc::new(Prices {
        form,
        address: listener.local_addr()?,
        idle: Mutex::default(),
        audit: Mutex::default(),
    });
    let list = Bytes::from(vec![b'1'; LIST]);
    let remote = Router::new().route("/", get(|| async move { list }));
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::spawn(axum::serve(listener, remote).into_future());
    let router = Router::new().route("/", get(price)).with_state(prices);
    Ok(Service {
        bytes_per_request: BUFFER as u64,
        ..Service::new(router, &[&DRIVEN])
    })
}

async fn price(State(prices): State<Arc<Prices>>) -> Result<&'static str, String> {
    ask(&prices).await.map_err(|error| error.to_string())?;
    Ok("here you are")
}

/// Asks for the price list, to see from its head whether it is still the same.
async fn ask(prices: &Prices) -> Result<()> {
    let idle = || prices.idle.lock().unwrap_or_else(PoisonError::into_inner);
    let pooled = idle().pop();
    let mut connection = match pooled {
        Some(connection) => connection,
        None => connect(prices.address).await?,
    };
    let request = Request::get("/")
        .header("host", "prices")
        .body(Empty::new())?;
    let answer = connection.sender.send_request(request);
    let response = connection.drive(answer).await??;
    match prices.form {
        Form::Leaky => {
            let audit = prices.audit.lock();
            let mut audit = audit.unwrap_or_else(PoisonError::into_inner);
            audit.push((response, connection)); // with a body that nobody will read
        }
        Form::Fixed => {
            // Read to its end, the connection is free for the next one.
            connection.drive(response.into_body().collect()).await??;
            connection.drive(connection_is_free()).await?;
            idle().push(connection);
        }
    }
    Ok(())
}

/// Lets the driver run once more, to take note of the end.
async fn connection_is_free() {
    tokio::task::yield_now().await;
}

async fn connect(address: SocketAddr) -> Result<Connection> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut builder = http1::Builder::new();
    builder.read_buf_exact_size(Some(BUFFER));
    let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
    Ok(Connection { sender, driver })
}

impl Connection {
    /// Drives the connection until `answer` is there.
    async fn drive<F: Future>(&mut self, answer: F) -> hyper::Result<F::Output> {
        let answer = std::pin::pin!(answer);
        let driver = &mut self.driver;
        Exchange { driver, answer }.await
    }
}

struct Exchange<'a, F> {
    driver: &'a mut http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>,
    answer: Pin<&'a mut F>,
}

impl<F: Future> Future for Exchange<'_, F> {
    type Output = hyper::Result<F::Output>;

    #[inline(never)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(answer) = self.answer.as_mut().poll(context) {
            return Poll::Ready(Ok(answer));
        }
        let counted = DRIVEN.at(line!() + 1);
        let driven = Pin::new(&mut *self.driver).poll(context);
        drop(counted);
        match driven {
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        self.answer.as_mut().poll(context).map(Ok)
    }
}
