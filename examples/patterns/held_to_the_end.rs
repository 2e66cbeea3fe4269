//! Pattern 6: a loop that holds everything it opens until the function ends. Nothing is left afterwards, so only the
//! peak shows it, and the file descriptors while it lasts.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::harness::{Judge, Service};
use super::truth::Guilty;
use super::{Form, Result};

/// Files that are compacted in one go.
const SEGMENTS: usize = 16;
/// A reader's buffer.
const BUFFER: usize = 2 << 20;
/// What a lock's holder plans with.
const PLAN: usize = 1 << 20;
/// What the service holds anyway.
const INDEX: usize = 8 << 20;

static READER: Guilty = Guilty::new("open", file!());
static LOCK: Guilty = Guilty::new("lock", file!());

struct Store {
    form: Form,
    dir: TempDir,
    index: Mutex<Vec<u8>>,
}

/// A segment that nobody else may touch, until this is dropped.
struct Locked {
    file: File,
    plan: Vec<u8>,
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing the file would unlock it as well.
        let _ = self.file.unlock();
    }
}

pub(crate) fn service(form: Form) -> Result<Service> {
    let store = Store {
        form,
        dir: tempfile::tempdir()?,
        index: Mutex::new(vec![0; INDEX]),
    };
    for segment in 0..SEGMENTS {
        std::fs::write(
            store.dir.path().join(segment.to_string()),
            b"key = value\n".repeat(100),
        )?;
    }
    let router = Router::new()
        .route("/", get(compact))
        .with_state(Arc::new(store));
    Ok(Service {
        warm_up: 2,
        // All peaks are equal; a few will do.
        at_least: 2,
        judge: Judge::Peak,
        ..Service::new(router, &[&READER, &LOCK])
    })
}

async fn compact(State(store): State<Arc<Store>>) -> Result<String, String> {
    // One at a time, or peaks add up.
    let mut index = store.index.lock().await;
    let sum = match store.form {
        Form::Leaky => sum_held(&store),
        Form::Fixed => sum_scoped(&store),
    };
    let sum = sum.map_err(|error| error.to_string())?;
    index[0] = sum as u8;
    Ok(sum.to_string())
}

/// Reads all segments under their locks, and keeps readers and locks in vectors until it returns.
fn sum_held(store: &Store) -> io::Result<u64> {
    let (mut readers, mut locks) = (Vec::new(), Vec::new());
    let mut sum = 0;
    for segment in 0..SEGMENTS {
        let path = store.dir.path().join(segment.to_string());
        let mut reader = open(File::open(&path)?);
        let mut locked = lock(File::open(&path)?)?;
        sum += checksum(&mut reader, &mut locked)?;
        readers.push(reader);
        locks.push(locked);
    }
    Ok(sum)
}

/// The same; each is closed before the next is opened.
fn sum_scoped(store: &Store) -> io::Result<u64> {
    let mut sum = 0;
    for segment in 0..SEGMENTS {
        let path = store.dir.path().join(segment.to_string());
        let mut reader = open(File::open(&path)?);
        let mut locked = lock(File::open(&path)?)?;
        sum += checksum(&mut reader, &mut locked)?;
    }
    Ok(sum)
}

fn checksum(reader: &mut impl Read, locked: &mut Locked) -> io::Result<u64> {
    locked.plan.clear();
    reader.read_to_end(&mut locked.plan)?;
    Ok(locked.plan.iter().map(|&byte| u64::from(byte)).sum())
}

#[inline(never)]
fn open(file: File) -> BufReader<File> {
    let counted = READER.at(line!() + 1);
    let reader = BufReader::with_capacity(BUFFER, file);
    drop(counted);
    reader
}

#[inline(never)]
fn lock(file: File) -> io::Result<Locked> {
    file.lock()?;
    let counted = LOCK.at(line!() + 1);
    let plan = Vec::with_capacity(PLAN);
    drop(counted);
    Ok(Locked { file, plan })
}
