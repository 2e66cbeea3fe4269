//! Tasks that pile up: each request starts one that waits for an answer which never comes.
//! `cargo run --features cli,http,tokio --example tasks`, then `heapsite tasks http://…`, `heapsite threads http://…`, or
//! `go tool pprof http://…/debug/pprof/goroutine`.
//!
//! `--seconds N` (default 60) until the end.
use std::time::Duration;

use heapsite::Heapsite;
use heapsite::task::{self, Builder};
use tokio::sync::{mpsc, oneshot};

#[global_allocator]
static HEAP: Heapsite = Heapsite::system();

type Question = oneshot::Sender<u64>;

/// Forgets one question in ten, and keeps it: whoever asked waits for ever.
async fn answer(mut questions: mpsc::Receiver<Question>) {
    let mut forgotten = Vec::new();
    let mut number = 0;
    while let Some(question) = questions.recv().await {
        number += 1;
        match number % 10 {
            0 => forgotten.push(question),
            _ => drop(question.send(number)),
        }
    }
}

async fn handle(questions: mpsc::Sender<Question>) -> Option<u64> {
    let (question, answer) = oneshot::channel();
    questions.send(question).await.ok()?;
    answer.await.ok()
}

async fn serve() {
    let (questions, receiver) = mpsc::channel(16);
    Builder::new().name("answers").spawn(answer(receiver));
    let mut requests = tokio::time::interval(Duration::from_millis(5));
    loop {
        requests.tick().await;
        task::spawn(handle(questions.clone()));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _heapsite = heapsite::init()?;
    let server = heapsite::http::serve("127.0.0.1:0")?;
    println!("listening on {}", server.url());
    let seconds = std::env::args().skip_while(|it| it != "--seconds").nth(1);
    let seconds = seconds.map_or(Ok(60), |it| it.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let end = Duration::from_secs(seconds);
    runtime
        .block_on(async { tokio::time::timeout(end, serve()).await })
        .ok();
    Ok(())
}
