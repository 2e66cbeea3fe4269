//! Takes down where threads are created: a `pthread_create` in front of the C library's.
//!
//! The program's own definition is found before the C library's, by the program itself and by the libraries it loads, as with
//! any symbol (ld.so(8)). It is weak: where the program brings another one, of a sanitizer, say, that one is linked, and nothing
//! is known of creations.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::{mem, ptr};

use super::slots;

type Start = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C-unwind" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    Start,
    *mut c_void,
) -> libc::c_int;

std::arch::global_asm!(
    ".pushsection .text.heapsite_pthread_create, \"ax\", @progbits",
    ".weak pthread_create",
    ".type pthread_create, @function",
    "pthread_create:",
    ".hidden heapsite_pthread_create",
    ".globl heapsite_pthread_create",
    ".type heapsite_pthread_create, @function",
    "heapsite_pthread_create:",
    ".cfi_startproc",
    "jmp {create}",
    ".cfi_endproc",
    ".size heapsite_pthread_create, . - heapsite_pthread_create",
    ".size pthread_create, . - pthread_create",
    ".popsection",
    create = sym create,
);

unsafe extern "C-unwind" {
    /// Ours, by a name that nobody else has.
    fn heapsite_pthread_create();
}

static WATCHING: AtomicBool = AtomicBool::new(false);

/// From now on creations are taken down.
pub(crate) fn watch() {
    // Naming ours brings it into the program: linkers leave out parts of libraries that nobody names.
    let ours = heapsite_pthread_create as *const ();
    // Relaxed: a switch.
    WATCHING.store(!ours.is_null(), Ordering::Relaxed);
}

/// The one that ours stands before: the C library's.
fn next() -> Option<Create> {
    static NEXT: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    // Relaxed: a function's address, of code that was there before.
    let mut next = NEXT.load(Ordering::Relaxed);
    if next.is_null() {
        // SAFETY: a name with its zero. Creating a thread allocates anyway, and this is not inside malloc.
        next = unsafe { libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr()) };
        NEXT.store(next, Ordering::Relaxed);
    }
    // SAFETY: null is `None`; anything else is the C library's function of that name, whose type this is.
    unsafe { mem::transmute::<*mut c_void, Option<Create>>(next) }
}

/// # Safety
/// As for `pthread_create`.
unsafe extern "C-unwind" fn create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> libc::c_int {
    let Some(next) = next() else {
        return libc::EAGAIN;
    };
    let slot = match WATCHING.load(Ordering::Relaxed) {
        true => slots::take(start as usize as u64, argument.expose_provenance() as u64),
        false => None,
    };
    let Some(slot) = slot else {
        // SAFETY: the caller's own arguments.
        return unsafe { next(thread, attributes, start, argument) };
    };
    let number = ptr::without_provenance_mut(slot as usize);
    // SAFETY: the caller's own arguments, but for the function, which calls the caller's with the caller's argument.
    let status = unsafe { next(thread, attributes, begin, number) };
    if status != 0 {
        slots::never_began(slot);
    }
    status
}

/// The new thread's first function. Nothing here needs dropping: `pthread_exit` and cancellation pass through.
unsafe extern "C-unwind" fn begin(number: *mut c_void) -> *mut c_void {
    let slot = number.addr() as u32;
    let Some((start, argument)) = slots::begin(slot) else {
        return ptr::null_mut();
    };
    // SAFETY: what `create` got from its caller, for this very call.
    let start = unsafe { mem::transmute::<usize, Start>(start as usize) };
    let argument = ptr::with_exposed_provenance_mut(argument as usize);
    // SAFETY: as `pthread_create` would call it.
    let result = unsafe { start(argument) };
    slots::end(slot);
    result
}
