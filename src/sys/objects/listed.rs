//! Loaded objects as a list of our own, for C libraries without `_dl_find_object` (glibc before 2.35: RHEL 8 and 9,
//! Debian 11). Written from outside malloc, read inside it.
//!
//! Rows are only ever added. An object that is unloaded ends its row by an empty range; one that comes back to the same
//! place takes its row up again. So a row's start and header never change once it can be seen.

use super::Object;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, TryLockError};

/// Objects remembered, unloaded ones included: far more than a process loads, unless it reloads plugins for ever.
const ROWS: usize = 1024;

struct Row {
    start: AtomicU64,
    /// 0: not loaded any more.
    end: AtomicU64,
    eh_frame_hdr: AtomicU64,
}

static LIST: [Row; ROWS] = [const {
    Row {
        start: AtomicU64::new(0),
        end: AtomicU64::new(0),
        eh_frame_hdr: AtomicU64::new(0),
    }
}; ROWS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The listed object whose mapping holds `pc`.
pub(super) fn find(pc: u64) -> Option<Object> {
    // Acquire: who sees the count sees the rows.
    let rows = LIST.get(..COUNT.load(Ordering::Acquire))?;
    rows.iter().find_map(|row| {
        // Relaxed: start and header were written before the count, or before the end that makes the row hold again;
        // at worst an object that is just being loaded or unloaded is missed.
        let object = Object {
            start: row.start.load(Ordering::Relaxed),
            end: row.end.load(Ordering::Relaxed),
            eh_frame_hdr: row.eh_frame_hdr.load(Ordering::Relaxed),
        };
        (object.start <= pc && pc < object.end && is_there(&object)).then_some(object)
    })
}

/// Whether an object that was listed some time ago is still mapped where it was: its first and last page, and that of its
/// unwind table. Asked when a rule is looked up for the first time. What is left is an object that was replaced by one at
/// the very same pages since the list was made.
fn is_there(object: &Object) -> bool {
    let last = object.end.saturating_sub(1);
    [object.start, object.eh_frame_hdr, last]
        .into_iter()
        .all(|address| super::readable(address & !4095))
}

/// Asks the loader which objects there are, and changes the list where it differs.
pub(super) fn refresh() {
    // One writer at a time, and nobody waits for it: the other one brings the list up to date, or is a thread that a
    // forked child does not have.
    static WRITER: Mutex<()> = Mutex::new(());
    let _writer = match WRITER.try_lock() {
        Ok(writer) => writer,
        // Poisoned: it guards nothing that could be half done.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    let mut loaded: Vec<Object> = Vec::new();
    // SAFETY: the callback fits the signature, and the vector outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut loaded).cast()) };

    let mut count = COUNT.load(Ordering::Relaxed);
    for row in &LIST[..count] {
        let place = (
            row.start.load(Ordering::Relaxed),
            row.eh_frame_hdr.load(Ordering::Relaxed),
        );
        let known = loaded
            .iter()
            .position(|object| (object.start, object.eh_frame_hdr) == place);
        let end = known.map_or(0, |index| loaded.swap_remove(index).end);
        row.end.store(end, Ordering::Relaxed);
    }
    for object in loaded {
        let Some(row) = LIST.get(count) else {
            break; // stacks through this object are cut, and counted as such
        };
        row.start.store(object.start, Ordering::Relaxed);
        row.eh_frame_hdr
            .store(object.eh_frame_hdr, Ordering::Relaxed);
        row.end.store(object.end, Ordering::Relaxed);
        count += 1;
        // Release: pairs with `find`.
        COUNT.store(count, Ordering::Release);
    }
}

/// Appends an object that has unwind information to the `Vec<Object>` behind `data`.
unsafe extern "C" fn note(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: `info` and the headers it counts are valid for the call; `data` is the vector of `refresh`.
    let (info, loaded, headers) = unsafe {
        let info = &*info;
        let headers = match info.dlpi_phdr.is_null() {
            true => &[],
            false => std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)),
        };
        (info, &mut *data.cast::<Vec<Object>>(), headers)
    };
    let loads = || {
        headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD)
    };
    let start = loads().map(|load| load.p_vaddr & !4095).min();
    let end = loads().map(|load| load.p_vaddr + load.p_memsz).max();
    let header = headers
        .iter()
        .find(|header| header.p_type == libc::PT_GNU_EH_FRAME);
    if let (Some(start), Some(end), Some(header)) = (start, end, header) {
        loaded.push(Object {
            start: info.dlpi_addr.wrapping_add(start),
            end: info.dlpi_addr.wrapping_add(end),
            eh_frame_hdr: info.dlpi_addr.wrapping_add(header.p_vaddr),
        });
    }
    0
}
