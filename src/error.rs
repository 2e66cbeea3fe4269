//! The one error of the reading half (snapshots, files, triggers, the command). Below the wall nothing
//! returns an error: what cannot be recorded is counted as a loss instead.
#![forbid(unsafe_code)]

use std::fmt;

/// `std::result::Result` with heapsite's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and what would have been accepted.
///
/// Opaque: ask with the `is_*` methods, show with `Display` (one line, the whole chain with `{:#}`).
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Config,
    Input,
    Io,
    Unsupported,
}

impl Error {
    /// A setting that cannot be used: names the key, the value and what would be accepted.
    #[cold]
    pub(crate) fn config(message: impl Into<String>) -> Error {
        Error::new(Kind::Config, message.into(), None)
    }

    /// Bytes that are not what they claim to be: says what was expected, and where.
    #[cold]
    pub(crate) fn input(message: impl Into<String>) -> Error {
        Error::new(Kind::Input, message.into(), None)
    }

    /// A file, directory or system call that failed.
    #[cold]
    pub(crate) fn io(message: impl Into<String>, source: std::io::Error) -> Error {
        Error::new(Kind::Io, message.into(), Some(Box::new(source)))
    }

    /// Something this platform or this build cannot do.
    #[cold]
    pub(crate) fn unsupported(message: impl Into<String>) -> Error {
        Error::new(Kind::Unsupported, message.into(), None)
    }

    #[cold]
    fn new(
        kind: Kind,
        message: String,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error(Box::new(Inner {
            kind,
            message,
            source,
        }))
    }

    /// Puts `what` in front: the file, the key or the step in which the error happened.
    #[cold]
    pub(crate) fn context(mut self, what: impl fmt::Display) -> Error {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// Remembers the error underneath.
    #[cold]
    pub(crate) fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// A setting (`HEAPSITE`, `Config`) was not understood.
    pub fn is_config(&self) -> bool {
        self.0.kind == Kind::Config
    }

    /// A profile or binary could not be read as what it claims to be.
    pub fn is_input(&self) -> bool {
        self.0.kind == Kind::Input
    }

    /// The operating system said no: see [`std::error::Error::source`].
    pub fn is_io(&self) -> bool {
        self.0.kind == Kind::Io
    }

    /// This platform or this build cannot do it.
    pub fn is_unsupported(&self) -> bool {
        self.0.kind == Kind::Unsupported
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} error: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
