//! A service that notices its own leak.
//!
//! `cargo run --release --example watch`
//!
//! It leaks one session in ten, and stops when the watch has said so. In production a look a minute is enough.

use std::collections::HashMap;
use std::sync::mpsc;
use std::time::Duration;

use heapsite::leak::{Kind, Watch};

#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system().sample_interval(16 << 10);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (found, leak) = mpsc::channel();
    let _watch = Watch::new()
        .longest_fill(Duration::from_millis(500)) // an hour, where services run for days
        .every(Duration::from_millis(250))
        .on_change(move |change| {
            println!("{change}");
            if change.kind == Kind::Begin {
                let place = &change.suspect.place;
                let _ = found.send(format!("{}:{}", place.file, place.line));
            }
        })
        .start()?;

    let mut sessions: HashMap<u64, Vec<u8>> = HashMap::new();
    for number in 0.. {
        let session = vec![0; 4096];
        sessions.insert(number, session);
        if number % 10 != 0 {
            sessions.remove(&number); // nobody removes the others
        }
        std::thread::sleep(Duration::from_micros(200));
        if let Ok(place) = leak.try_recv() {
            println!("announced after {number} sessions: {place}");
            break;
        }
    }
    Ok(())
}
