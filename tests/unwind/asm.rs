//! Frames that rustc does not make: written by hand, with the unwind information that C compilers and coroutine
//! libraries give them. Each calls `f` once.

use std::arch::global_asm;

global_asm!(
    // rbp-based with a variable part, as C's alloca: f in rdi, bytes in rsi.
    ".hidden t_alloca",
    ".globl t_alloca",
    ".type t_alloca, @function",
    "t_alloca: .cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "sub rsp, rsi",
    "and rsp, -16",
    "call rdi",
    "leave",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    // gcc's realigned frame (DRAP): CFA = *(rbp - 8), rbp = *(rbp).
    ".hidden t_drap",
    ".globl t_drap",
    ".type t_drap, @function",
    "t_drap: .cfi_startproc",
    "lea r10, [rsp + 8]",
    ".cfi_def_cfa r10, 0",
    "and rsp, -64",
    "push qword ptr [r10 - 8]",
    "push rbp",
    ".cfi_escape 0x10, 0x06, 0x02, 0x76, 0x00",
    "mov rbp, rsp",
    "push r10",
    ".cfi_escape 0x0f, 0x03, 0x76, 0x78, 0x06",
    "sub rsp, 104",
    "call rdi",
    "add rsp, 104",
    "pop r10",
    ".cfi_def_cfa r10, 0",
    "pop rbp",
    "lea rsp, [r10 - 8]",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    // CFA in rbx, which only the full tier tracks.
    ".hidden t_rbx",
    ".globl t_rbx",
    ".type t_rbx, @function",
    "t_rbx: .cfi_startproc",
    "push rbx",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbx, -16",
    "mov rbx, rsp",
    ".cfi_def_cfa_register rbx",
    "sub rsp, 4000",
    "and rsp, -16",
    "call rdi",
    "mov rsp, rbx",
    ".cfi_def_cfa_register rsp",
    "pop rbx",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_endproc",
    // The same, and rbp kept in r12: a rule that is a register.
    ".hidden t_r12",
    ".globl t_r12",
    ".type t_r12, @function",
    "t_r12: .cfi_startproc",
    "push r12",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset r12, -16",
    "mov r12, rbp",
    ".cfi_register rbp, r12",
    "xor ebp, ebp",
    "call rdi",
    "mov rbp, r12",
    ".cfi_same_value rbp",
    "pop r12",
    ".cfi_def_cfa_offset 8",
    "ret",
    ".cfi_endproc",
    // Runs f on the stack whose top is in rsi: the CFA is behind a pointer on that stack.
    ".hidden t_switch",
    ".globl t_switch",
    ".type t_switch, @function",
    "t_switch: .cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "mov [rsi - 16], rbp",
    "lea rbp, [rsi - 16]",
    ".cfi_escape 0x0f, 0x05, 0x76, 0x00, 0x06, 0x23, 0x10",
    "mov rsp, rbp",
    "call rdi",
    "mov rsp, [rbp]",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    // The same marked as a signal frame, as corosensei does.
    ".hidden t_switch_s",
    ".globl t_switch_s",
    ".type t_switch_s, @function",
    "t_switch_s: .cfi_startproc",
    ".cfi_signal_frame",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "mov [rsi - 16], rbp",
    "lea rbp, [rsi - 16]",
    ".cfi_escape 0x0f, 0x05, 0x76, 0x00, 0x06, 0x23, 0x10",
    "mov rsp, rbp",
    "call rdi",
    "mov rsp, [rbp]",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    // The same with a plain rule, as psm (stacker, recursive) does: rbp is the only way back.
    ".hidden t_switch_rbp",
    ".globl t_switch_rbp",
    ".type t_switch_rbp, @function",
    "t_switch_rbp: .cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "mov rsp, rsi",
    "call rdi",
    "mov rsp, rbp",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    // A realigned frame that has lost its rbp: what the rule refers to wraps around the end of memory.
    ".hidden t_drap_lost",
    ".globl t_drap_lost",
    ".type t_drap_lost, @function",
    "t_drap_lost: .cfi_startproc",
    "push rbp",
    ".cfi_escape 0x10, 0x06, 0x02, 0x76, 0x00",
    ".cfi_escape 0x0f, 0x03, 0x76, 0x78, 0x06",
    "xor ebp, ebp",
    "call rdi",
    "pop rbp",
    "ret",
    ".cfi_endproc",
    // Runs f on the stack whose top is in rsi, which is the end of it as far as the tables say.
    ".hidden t_bottom",
    ".globl t_bottom",
    ".type t_bottom, @function",
    "t_bottom: .cfi_startproc",
    ".cfi_undefined rip",
    "push rbp",
    "mov rbp, rsp",
    "mov rsp, rsi",
    "call rdi",
    "mov rsp, rbp",
    "pop rbp",
    "ret",
    ".cfi_endproc",
    // No unwind information at all.
    ".hidden t_bare",
    ".globl t_bare",
    ".type t_bare, @function",
    "t_bare: sub rsp, 8",
    "call rdi",
    "add rsp, 8",
    "ret",
);

unsafe extern "C" {
    pub(super) fn t_alloca(f: extern "C" fn(), bytes: usize);
    pub(super) fn t_drap(f: extern "C" fn());
    pub(super) fn t_rbx(f: extern "C" fn());
    pub(super) fn t_r12(f: extern "C" fn());
    pub(super) fn t_switch(f: extern "C" fn(), top: usize);
    pub(super) fn t_switch_s(f: extern "C" fn(), top: usize);
    pub(super) fn t_switch_rbp(f: extern "C" fn(), top: usize);
    pub(super) fn t_drap_lost(f: extern "C" fn());
    pub(super) fn t_bottom(f: extern "C" fn(), top: usize);
    pub(super) fn t_bare(f: extern "C" fn());
}

/// A mapped stack with a guard page below.
pub(super) struct Stack {
    base: *mut u8,
    size: usize,
}

impl Stack {
    pub(super) fn new(size: usize) -> Stack {
        // SAFETY: a fresh private mapping; its lowest page becomes the guard.
        let base = unsafe {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let p = libc::mmap(
                std::ptr::null_mut(),
                size,
                prot,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(p, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(p, 4096, libc::PROT_NONE), 0);
            p.cast::<u8>()
        };
        Stack { base, size }
    }

    pub(super) fn top(&self) -> usize {
        self.base as usize + self.size
    }

    /// All of it above the guard page.
    pub(super) fn usable(&mut self) -> &mut [u8] {
        // SAFETY: mapped readable and writable in `new`, and nobody runs on it while it is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.base.add(4096), self.size - 4096) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; nobody runs on it any more.
        unsafe { libc::munmap(self.base.cast(), self.size) };
    }
}
