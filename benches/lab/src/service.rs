//! An axum service on loopback takes JSON and answers with JSON; four connections keep it busy.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use axum::{Json, Router, routing::post};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{Time, in_parts};

const CONNECTIONS: u64 = 4;

#[derive(Serialize, Deserialize)]
struct Order {
    id: u64,
    customer: String,
    items: Vec<Item>,
    notes: HashMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    count: u32,
}

async fn take(Json(mut order): Json<Order>) -> Json<Order> {
    for item in &mut order.items {
        item.count += 1;
    }
    order
        .notes
        .insert("taken".to_owned(), format!("order {}", order.id));
    Json(order)
}

pub(crate) fn run(operations: u64) -> Time {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let address = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().route("/orders", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    });
    in_parts(operations, |operations| {
        runtime.block_on(async {
            let clients: Vec<_> = (0..CONNECTIONS)
                .map(|client| {
                    let share =
                        operations / CONNECTIONS + u64::from(client < operations % CONNECTIONS);
                    tokio::spawn(requests(address, share))
                })
                .collect();
            for client in clients {
                client.await.expect("clients do not panic");
            }
        });
    })
}

/// One connection: writes a request, reads the whole answer, and again.
async fn requests(address: SocketAddr, count: u64) {
    let mut connection = TcpStream::connect(address)
        .await
        .expect("the service listens");
    let body = r#"{"id":7,"customer":"somebody with a name","items":[{"name":"first item","count":1},{"name":"second item","count":2},{"name":"third item","count":3}],"notes":{"gift":"yes","paper":"blue"}}"#;
    let request = format!(
        "POST /orders HTTP/1.1\r\nhost: lab\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = vec![0; 8192];
    for _ in 0..count {
        connection
            .write_all(request.as_bytes())
            .await
            .expect("written");
        let mut have = 0;
        loop {
            let read = connection.read(&mut answer[have..]).await.expect("read");
            assert!(read > 0, "the service closed the connection");
            have += read;
            if is_whole(&answer[..have]) {
                break;
            }
        }
    }
}

/// Whether an answer's head and the body it announces have arrived.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    head.lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .is_some_and(|length| length.parse() == Ok(body.len()))
}
