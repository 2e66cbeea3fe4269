//! A background worker with a life cycle: it starts, it is told to stop by the end of its queue, and whoever stops it waits
//! until it has ended.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::Result;

/// Orders that may wait. A queue without a bound is a leak that waits for a slow day.
const QUEUE: usize = 256;

/// An order to be worked on.
pub(crate) struct Order {
    pub(crate) customer: u64,
    pub(crate) items: Vec<String>,
}

/// The worker that takes orders off the queue.
pub(crate) struct Worker {
    task: JoinHandle<u64>,
}

impl Worker {
    /// Starts it. Returns the queue's only sender: when all its clones are gone, the worker finishes what is queued, and ends.
    pub(crate) fn start() -> (Worker, mpsc::Sender<Order>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let task = tokio::spawn(work(receiver));
        (Worker { task }, sender)
    }

    /// Waits until it has ended. All senders must be gone or going.
    pub(crate) async fn stop(self, grace: Duration) -> Result<()> {
        let mut task = self.task;
        match timeout(grace, &mut task).await {
            Ok(ended) => {
                ended?;
                Ok(())
            }
            Err(_) => {
                task.abort();
                let _ = task.await;
                Err(
                    format!("the order worker did not end within {grace:?}: a sender is left")
                        .into(),
                )
            }
        }
    }
}

/// Returns how many items were sold.
async fn work(mut orders: mpsc::Receiver<Order>) -> u64 {
    let mut sold = 0;
    while let Some(order) = orders.recv().await {
        // Stands for the real work: something that takes turns with others.
        tokio::task::yield_now().await;
        sold += order.items.len() as u64 * u64::from(order.customer > 0);
    }
    sold
}
