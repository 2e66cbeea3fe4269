//! Requests and answers over HTTP that do not come, or not whole: hyper's on both sides, and reqwest's.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpListener;

use super::chain::{Part, arrives, count, gets_to, goes, look, spawn};

/// Of the test's own pipe in place of a socket.
const PIPE: Part = Part::Name("io::util::mem");

async fn reads(mut body: Incoming) {
    while body.frame().await.is_some() {}
}
const READS: Part = here(line!() - 2);

async fn answers(request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    reads(request.into_body()).await;
    Ok(Response::new(Empty::new()))
}
const ANSWERS: Part = here(line!() - 3);

async fn serves(pipe: DuplexStream) {
    let server = server::conn::http1::Builder::new();
    let connection = server.serve_connection(TokioIo::new(pipe), service_fn(answers));
    connection.await.unwrap();
}
const SERVES: Part = here(line!() - 2);

async fn asks(mut sender: client::conn::http1::SendRequest<Empty<Bytes>>) {
    let request = Request::new(Empty::new());
    let response = sender.send_request(request).await.unwrap();
    reads(response.into_body()).await;
}
const ASKS: Part = here(line!() - 3);
const RECEIVES: Part = here(line!() - 3);

async fn downloads(url: String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut response = client.get(url).send().await.unwrap();
    while response.chunk().await.unwrap().is_some() {}
}
const SENDS: Part = here(line!() - 3);
const DOWNLOADS: Part = here(line!() - 3);

const fn here(line: u32) -> Part {
    Part::Line("bodies.rs", line as i64)
}

/// Ten bytes are announced, three come.
async fn answer_in_part(pipe: &mut (impl AsyncWrite + Unpin)) {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc";
    pipe.write_all(answer).await.unwrap();
}

#[tokio::test]
async fn of_hypers_server() {
    let (mut ours, theirs) = duplex(1024);
    let request = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\nabc";
    ours.write_all(request).await.unwrap();
    let task = arrives("server body", serves(theirs), READS).await;
    // The handler for its body; and the connection both for more of it and for room to put it.
    count(&task, 3);
    goes(&task, &[Part::Name("poll_frame"), READS, ANSWERS, SERVES]);
    goes(&task, &[PIPE, SERVES]);
    goes(&task, &[Part::Name("poll_ready"), SERVES]);
}

#[tokio::test]
async fn a_server_without_requests() {
    let (_ours, theirs) = duplex(1024);
    let task = arrives("idle server", serves(theirs), SERVES).await;
    count(&task, 1);
    goes(&task, &[PIPE, SERVES]);
}

#[tokio::test]
async fn of_hypers_client() {
    let (mut ours, theirs) = duplex(1024);
    let handshake = client::conn::http1::handshake(TokioIo::new(theirs));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);

    let task = arrives("client answer", asks(sender), ASKS).await;
    count(&task, 1);
    goes(&task, &[Part::Name("oneshot"), ASKS]);

    answer_in_part(&mut ours).await;
    let task = gets_to("client answer", READS).await;
    count(&task, 1);
    goes(&task, &[Part::Name("poll_frame"), READS, RECEIVES]);
}

#[tokio::test]
async fn of_reqwest() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    spawn("download", downloads(url));
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert_ne!(socket.read_buf(&mut request).await.unwrap(), 0);
    }
    // What it asked is here: it waits for the answer.
    let task = look("download");
    goes(&task, &[Part::Name("oneshot"), SENDS]);

    answer_in_part(&mut socket).await;
    let task = gets_to("download", DOWNLOADS).await;
    count(&task, 1);
    goes(&task, &[Part::Name("poll_frame"), DOWNLOADS]);
}
