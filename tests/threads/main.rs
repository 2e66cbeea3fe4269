//! The thread profile: what each thread does and where it is, whatever it does.

#[cfg(feature = "threadcreate")]
mod created;
mod hostile;
mod places;

/// One test at a time.
fn turn() -> std::sync::MutexGuard<'static, ()> {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[global_allocator]
static HEAP: heapsite::Heapsite = heapsite::Heapsite::system();
