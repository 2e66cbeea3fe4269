//! Where dumps go: `heapsite.<pid>.<seq>.<extension>`, whole or not at all.
//!
//! A dump is written under a temporary name in the same directory, made with `O_EXCL` and mode 0600, brought
//! to the disk, and only then given its name by a hard link, which (unlike a rename) fails rather than
//! replaces. Whoever sees the name sees a whole file, and no file that was there before is ever touched.
//!
//! Bringing it to the disk costs milliseconds on a thread that has them, and buys two things: a dump that was
//! announced survives the crash of its machine, and file systems that find out late that they are full (NFS,
//! quotas) say so while the error can still be reported.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::report;
use crate::error::{Error, Result};

/// The number of this process's last dump, wherever it went and in whatever format: a number names one dump. A
/// forked child goes on counting, under its own id.
///
/// Relaxed throughout: numbers have to differ, and guard no other memory.
static LAST_SEQ: AtomicU64 = AtomicU64::new(0);

/// A directory that receives the dumps of this process.
pub(super) struct Sink {
    dir: PathBuf,
    pid: u32,
    /// How many of `written` stay; `None`: all.
    keep: Option<usize>,
    last_seq: &'static AtomicU64,
    /// What this sink wrote, oldest first. By memory and not by name: in a container every process is number
    /// 1, and the files of the last one are what somebody wants to see.
    written: VecDeque<PathBuf>,
}

impl Sink {
    /// Fails if `dir` is not a directory; makes none. Numbers go on where files of an earlier process with the
    /// same id stopped.
    pub(super) fn open(dir: &Path, keep: Option<usize>) -> Result<Sink> {
        Sink::open_counting(dir, keep, &LAST_SEQ)
    }

    fn open_counting(
        dir: &Path,
        keep: Option<usize>,
        last_seq: &'static AtomicU64,
    ) -> Result<Sink> {
        let dir = std::path::absolute(dir).map_err(|error| no_directory(dir, error))?;
        match fs::metadata(&dir) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(no_directory(&dir, ErrorKind::NotADirectory.into())),
            Err(error) => return Err(no_directory(&dir, error)),
        }
        let pid = std::process::id();
        last_seq.fetch_max(highest_seq(&dir, pid), Ordering::Relaxed);
        Ok(Sink {
            dir,
            pid,
            keep,
            last_seq,
            written: VecDeque::new(),
        })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Tries out whether a file can be made here, and removes it again.
    pub(super) fn probe(&self) -> Result<()> {
        let created = Temporary::create(&self.dir, self.pid, 0);
        let (temporary, file) = created.map_err(|error| self.cannot_create(error))?;
        drop((file, temporary));
        Ok(())
    }

    /// Makes a dump file with what `fill` writes, and deletes the oldest ones beyond `keep`. On a full disk, and unless
    /// all are to be kept, the oldest one makes room, and `fill` is called once more.
    ///
    /// After an error there is no new file.
    pub(super) fn write(
        &mut self,
        extension: &str,
        fill: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<PathBuf> {
        let is_full = Cell::new(false);
        let mut outcome = self.write_once(extension, fill, &is_full);
        // What is newest tells most; what is old has very likely been fetched.
        if outcome.is_err()
            && is_full.get()
            && self.keep.is_some()
            && let Some(oldest) = self.forget_one()
        {
            report::line(format_args!(
                "the disk is full: deleted the old dump `{}` to make room",
                oldest.display()
            ));
            outcome = self.write_once(extension, fill, &is_full);
        }
        let path = outcome?;
        self.written.push_back(path.clone());
        while self.keep.is_some_and(|keep| self.written.len() > keep) {
            self.forget_one();
        }
        Ok(path)
    }

    fn write_once(
        &self,
        extension: &str,
        fill: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
        is_full: &Cell<bool>,
    ) -> Result<PathBuf> {
        let failed = |error| {
            note_full(&error, is_full);
            let what = format!("cannot write a dump into `{}`", self.dir.display());
            Error::io(what, error)
        };
        let seq = self.last_seq.load(Ordering::Relaxed) + 1;
        let (temporary, file) = Temporary::create(&self.dir, self.pid, seq)
            .inspect_err(|error| note_full(error, is_full))
            .map_err(|error| self.cannot_create(error))?;
        let mut out = BufWriter::new(NotesFull { file, is_full });
        let filled = fill(&mut out);
        let (file, flushed) = match out.into_inner() {
            Ok(NotesFull { file, .. }) => (Some(file), Ok(())),
            Err(stuck) => (None, Err(stuck.into_error())),
        };
        // The writer's error says more than the flush's, which only follows from it.
        filled.map_err(|error| {
            error.context(format_args!(
                "cannot write a dump into `{}`",
                self.dir.display()
            ))
        })?;
        flushed.map_err(failed)?;
        if let Some(file) = file {
            match file.sync_data() {
                Err(error) if error.kind() != ErrorKind::InvalidInput => return Err(failed(error)),
                _ => {} // EINVAL: a file system without such a thing
            }
        }
        let path = self.give_name(temporary, extension)?;
        // A name is on the disk when its directory is. Some file systems cannot say, and the file is whole either way.
        let _ = File::open(&self.dir).and_then(|dir| dir.sync_all());
        Ok(path)
    }

    fn cannot_create(&self, error: io::Error) -> Error {
        Error::io(
            format!("cannot create a dump in `{}`", self.dir.display()),
            error,
        )
    }

    /// Turns the temporary file into the dump with the next free number.
    fn give_name(&self, temporary: Temporary, extension: &str) -> Result<PathBuf> {
        loop {
            let seq = self.last_seq.fetch_add(1, Ordering::Relaxed) + 1;
            let path = self
                .dir
                .join(format!("heapsite.{}.{seq}.{extension}", self.pid));
            match link(&temporary.path, &path) {
                Ok(()) => return Ok(path), // dropping `temporary` removes the other name
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Error::io(
                        format!("cannot name a dump `{}`", path.display()),
                        error,
                    ));
                }
            }
        }
    }

    /// Deletes the oldest dump of this sink; `None`: there is none.
    fn forget_one(&mut self) -> Option<PathBuf> {
        let oldest = self.written.pop_front()?;
        match fs::remove_file(&oldest) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                report::line(format_args!(
                    "cannot delete the old dump `{}`: {error}",
                    oldest.display()
                ));
            }
            _ => {}
        }
        Some(oldest)
    }
}

/// A file that remembers whether a write failed for want of room: the error that comes out of a format's writer has been
/// through several hands.
struct NotesFull<'c> {
    file: File,
    is_full: &'c Cell<bool>,
}

impl Write for NotesFull<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes);
        written.inspect_err(|error| note_full(error, self.is_full))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn note_full(error: &io::Error, is_full: &Cell<bool>) {
    if matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    ) {
        is_full.set(true);
    }
}

/// A file under a name nobody looks at; the name goes when this is dropped, so that no way out leaves one.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn create(dir: &Path, pid: u32, seq: u64) -> io::Result<(Temporary, File)> {
        // A process with our id that was killed may have left some, and in shared directories anybody may try to be in
        // the way; the time makes each name new, and `O_EXCL` follows no link.
        const ATTEMPTS: u32 = 100;
        let mut attempt = 0;
        loop {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let nanos = now.map_or(0, |now| now.as_nanos());
            let path = dir.join(format!(".heapsite.{pid}.{seq}.{nanos:x}.{attempt}.tmp"));
            match OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
            {
                Ok(file) => {
                    let temporary = Temporary { path };
                    // An odd umask can only have taken more away. File systems without modes refuse; so be it.
                    let _ = file.set_permissions(Permissions::from_mode(0o600));
                    return Ok((temporary, file));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < ATTEMPTS => {
                    attempt += 1
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Already gone where a rename stood in for the link.
        let _ = fs::remove_file(&self.path);
    }
}

/// Gives `from` the name `to`, unless that is taken.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if no_links(&error) => {
            // FAT and the like: look, then rename. Between the two only a process with our id could come.
            if to.symlink_metadata().is_ok() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        other => other,
    }
}

/// The file system has no hard links, or not for us.
fn no_links(error: &io::Error) -> bool {
    let codes = [
        libc::EPERM,
        libc::EOPNOTSUPP,
        libc::ENOSYS,
        libc::EMLINK,
        libc::EACCES,
        libc::EXDEV,
    ];
    error
        .raw_os_error()
        .is_some_and(|code| codes.contains(&code))
}

/// The highest number among files that look like dumps of `pid`; 0: none, or the directory may not be listed
/// (numbers in use are then found one by one).
fn highest_seq(dir: &Path, pid: u32) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else {
        return 0;
    };
    entries
        .filter_map(|entry| seq_of(entry.ok()?.file_name().to_str()?, pid))
        .max()
        .unwrap_or(0)
}

/// The number in `heapsite.<pid>.<seq>.<extension>`.
fn seq_of(name: &str, pid: u32) -> Option<u64> {
    let rest = name.strip_prefix("heapsite.")?;
    let (id, rest) = rest.split_once('.')?;
    let (seq, _) = rest.split_once('.')?;
    // Leaves room to count on, whatever somebody called a file.
    let most = u64::MAX / 2;
    (id.parse() == Ok(pid))
        .then(|| seq.parse().ok())?
        .filter(|&seq| seq < most)
}

fn no_directory(dir: &Path, error: io::Error) -> Error {
    let what = format!(
        "dump directory `{}`: accepted is a directory that exists and can be written to",
        dir.display()
    );
    Error::io(what, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A counter per test: they share a process.
    fn open(dir: &Path, keep: Option<usize>) -> Result<Sink> {
        Sink::open_counting(dir, keep, Box::leak(Box::default()))
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn dump(sink: &mut Sink, text: &str) -> PathBuf {
        sink.write("json", &mut |out| {
            out.write_all(text.as_bytes())
                .map_err(|error| Error::io("", error))
        })
        .unwrap()
    }

    #[test]
    fn numbers_go_on_after_files_that_exist_and_replace_none() {
        let dir = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        for taken in ["3.pb.gz", "5.json", "18446744073709551615.json", "x.json"] {
            fs::write(dir.path().join(format!("heapsite.{pid}.{taken}")), "old").unwrap();
        }
        fs::write(dir.path().join(format!("heapsite.{pid}9.70.json")), "old").unwrap();
        let mut sink = open(dir.path(), None).unwrap();
        // Another one gets in between, as a process with the same id in another container may.
        fs::write(dir.path().join(format!("heapsite.{pid}.6.json")), "old").unwrap();
        let path = dump(&mut sink, "new");
        assert_eq!(path, dir.path().join(format!("heapsite.{pid}.7.json")));
        assert_eq!(fs::read_to_string(path).unwrap(), "new");
        assert_eq!(
            fs::read_to_string(dir.path().join(format!("heapsite.{pid}.6.json"))).unwrap(),
            "old"
        );
        assert_eq!(
            fs::metadata(dump(&mut sink, "x"))
                .unwrap()
                .permissions()
                .mode()
                & 0o7777,
            0o600
        );
    }

    #[test]
    fn keep_deletes_what_this_sink_wrote_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        let earlier = format!("heapsite.{pid}.1.json");
        fs::write(dir.path().join(&earlier), "of an earlier process").unwrap();
        let mut sink = open(dir.path(), Some(2)).unwrap();
        for text in ["a", "b", "c", "d"] {
            dump(&mut sink, text);
        }
        let expected = [
            earlier,
            format!("heapsite.{pid}.4.json"),
            format!("heapsite.{pid}.5.json"),
        ];
        assert_eq!(names(dir.path()), expected);
    }

    #[test]
    fn a_failed_or_panicking_writer_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = open(dir.path(), None).unwrap();
        let failed = sink.write("json", &mut |out| {
            out.write_all(b"half")
                .map_err(|error| Error::io("", error))?;
            Err(Error::input("no more"))
        });
        let place = format!(
            "cannot write a dump into `{}`: no more",
            dir.path().display()
        );
        assert_eq!(failed.unwrap_err().to_string(), place);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            sink.write("json", &mut |_| std::panic::resume_unwind(Box::new(())))
        }));
        assert!(panicked.is_err());
        assert_eq!(names(dir.path()), [""; 0]);
    }

    #[test]
    fn only_a_full_disk_is_worth_an_old_dump() {
        let dir = tempfile::tempdir().unwrap();
        let full = || io::Error::from(ErrorKind::StorageFull);
        let is_full = Cell::new(false);
        note_full(&full(), &is_full);
        assert!(is_full.replace(false));
        note_full(&ErrorKind::PermissionDenied.into(), &is_full);
        assert!(!is_full.get());
        // Nothing here was full, so nothing is deleted for it.
        let mut sink = open(dir.path(), Some(5)).unwrap();
        dump(&mut sink, "old");
        let mut calls = 0;
        let failed = sink.write("json", &mut |_| {
            calls += 1;
            Err(Error::io("", ErrorKind::Other.into()))
        });
        assert!(failed.is_err() && calls == 1);
        assert_eq!(names(dir.path()).len(), 1);
    }

    #[test]
    fn leftover_temporaries_are_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let pid = std::process::id();
        let leftovers: Vec<String> = (0..=200)
            .map(|n| format!(".heapsite.{pid}.1.tmp{n}"))
            .collect();
        for name in &leftovers {
            fs::write(dir.path().join(name), "killed half-way").unwrap();
        }
        let mut sink = open(dir.path(), None).unwrap();
        sink.probe().unwrap();
        dump(&mut sink, "whole");
        assert_eq!(names(dir.path()).len(), leftovers.len() + 1);
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = open(file.path(), None).err().unwrap();
        assert!(error.is_io());
        assert!(error.to_string().starts_with(&format!(
            "dump directory `{}`: accepted is",
            file.path().display()
        )));
        assert!(open(Path::new(""), None).is_err());
    }
}
