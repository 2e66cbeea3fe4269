//! Settings: a builder, and the same settings as text in `HEAPSITE`.
#![forbid(unsafe_code)]

mod push;
mod signal;
mod text;

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::format::Format;
use crate::trigger::evidence::Options as Evidence;
use crate::trigger::leak_watch::Options as LeakWatch;

pub use signal::Signal;
#[cfg(feature = "cli")]
pub(crate) use text::size;

/// What [`init`](crate::init) arms, and how dumps are written.
///
/// Every setting has the same name here and in the environment variable `HEAPSITE`, except that Rust keeps
/// the word `final` for itself ([`Config::final_dump`]):
///
/// ```
/// let built = heapsite::Config::new().interval(64 * 1024).dir("/var/tmp").final_dump(true);
/// let read: heapsite::Config = "interval=64KiB,dir=/var/tmp,final=true".parse()?;
/// assert_eq!(built, read);
/// # Ok::<(), heapsite::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub(crate) interval: Option<u64>,
    pub(crate) memory: Option<u64>,
    pub(crate) signal: SignalChoice,
    pub(crate) dir: Option<PathBuf>,
    pub(crate) format: Format,
    pub(crate) every: Option<Duration>,
    pub(crate) keep: Option<usize>,
    pub(crate) final_dump: bool,
    pub(crate) thread_signal: Option<Signal>,
    pub(crate) symbolize: bool,
    /// Whether and when evidence is taken for the day the process is killed.
    pub(crate) evidence: Option<Evidence>,
    /// Whether the process watches itself for leaks.
    pub(crate) leak_watch: Option<LeakWatch>,
    /// Where profiles are served.
    #[cfg(feature = "http")]
    pub(crate) http: Option<String>,
    #[cfg(feature = "http")]
    pub(crate) http_options: crate::http::Options,
    /// Where profiles are pushed.
    #[cfg(feature = "push")]
    pub(crate) push: Option<crate::push::Options>,
}

/// Which signal dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalChoice {
    /// `SIGUSR2`, unless the program already handles or ignores it.
    IfUnclaimed,
    /// None.
    Off,
    /// This one, chained to the handler that was there before.
    Always(Signal),
}

/// A disk must not fill up because nobody set `keep`, and nobody makes this many dumps by hand.
const DEFAULT_KEEP: usize = 64;

/// The recorder's first tables take a good third of this; with less it would record nothing.
const LEAST_MEMORY: u64 = 1 << 20;

impl Default for Config {
    fn default() -> Config {
        Config {
            interval: None,
            memory: None,
            signal: SignalChoice::IfUnclaimed,
            dir: None,
            format: Format::Pprof,
            every: None,
            keep: Some(DEFAULT_KEEP),
            final_dump: false,
            thread_signal: None,
            symbolize: true,
            evidence: None,
            leak_watch: None,
            #[cfg(feature = "http")]
            http: None,
            #[cfg(feature = "http")]
            http_options: crate::http::Options::new(),
            #[cfg(feature = "push")]
            push: None,
        }
    }
}

impl Config {
    /// The defaults, as each method below states them.
    pub fn new() -> Config {
        Config::default()
    }

    /// The settings of the environment variable `HEAPSITE`; unset or empty: the defaults.
    ///
    /// # Errors
    ///
    /// For an unknown key, a key given twice or a bad value; the error names the key, the value and what
    /// would be accepted.
    pub fn from_env() -> Result<Config> {
        match std::env::var("HEAPSITE") {
            Ok(text) => text
                .parse()
                .map_err(|error: Error| error.context("HEAPSITE")),
            Err(std::env::VarError::NotPresent) => Ok(Config::default()),
            Err(std::env::VarError::NotUnicode(value)) => Err(Error::config(format!(
                "HEAPSITE: value {value:?} is not UTF-8: accepted is `key=value,key=value`; \
                 a directory with such a name can be set with `Config::dir`"
            ))),
        }
    }

    /// Mean bytes between sampled allocations, set when triggers start. 1 records every allocation (exact),
    /// 0 turns recording off. What is live by then keeps the weight it was born with.
    ///
    /// Default: unset, so the interval that the `static` of the allocator names stays (512 KiB unless said
    /// otherwise there). Text: `interval=512KiB`, in bytes or with `B`, `KiB`, `MiB`, `GiB`.
    pub fn interval(mut self, bytes: u64) -> Config {
        self.interval = Some(bytes);
        self
    }

    /// Bound of the recorder's own memory, bytes of address space (its tables double, and pages that are not
    /// touched cost nothing, so what is resident is less). When it is reached, new stacks are counted under
    /// one overflow site and further live samples are left out, both counted as losses. What a dump needs while it
    /// is made comes on top.
    ///
    /// Default: 512 MiB; at the default interval a service uses about 1 MiB of it. The bound is there for
    /// recording everything. At least 1 MiB, for the first tables. Text: `memory=64MiB`.
    pub fn memory(mut self, bytes: u64) -> Config {
        self.memory = Some(bytes);
        self
    }

    /// Dump on this signal. A handler that was installed before goes on being called; the signal's default
    /// action, such as ending the process, no longer happens.
    ///
    /// Default: `SIGUSR2` *if the program has left it at its default action* (which would end the process, so
    /// nobody can have a use for it); a program that already handles or ignores `SIGUSR2` is left alone and
    /// told so on stderr. Text: `signal=SIGUSR1`; `signal=none` is [`Config::no_signal`].
    pub fn signal(mut self, signal: Signal) -> Config {
        self.signal = SignalChoice::Always(signal);
        self
    }

    /// Touch no signal at all.
    pub fn no_signal(mut self) -> Config {
        self.signal = SignalChoice::Off;
        self
    }

    /// Directory for dump files. It has to exist: heapsite creates none, because a misspelt path should be
    /// noticed at start and not on the day of the incident. A relative path is resolved at start.
    ///
    /// Default: the directory in which the process is when triggers start. Text: `dir=/var/tmp` (a name with
    /// a comma can only be set here).
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Config {
        self.dir = Some(dir.into());
        self
    }

    /// Format of dump files: [`Format::Pprof`] or [`Format::Json`].
    ///
    /// Default: pprof, because every heap-profile viewer opens it. JSON holds everything (raw counts,
    /// variances, lifetimes, ages); `heapsite convert` makes pprof of it later, so there is no "both". Text:
    /// `format=pprof` or `format=json`.
    pub fn format(mut self, format: Format) -> Config {
        self.format = format;
        self
    }

    /// Dump again and again with this period; the first one comes a period after the start, and a period that
    /// passes while a dump is still being written is skipped.
    ///
    /// Default: never. Text: `every=60s`, a whole number with `ms`, `s`, `m` or `h`.
    pub fn every(mut self, period: Duration) -> Config {
        self.every = Some(period);
        self
    }

    /// Keep this many of the newest dumps that this handle wrote, and delete its older ones. Files of other
    /// processes, and of an earlier process with the same id, are never deleted. On a full disk the oldest one goes, too.
    ///
    /// Default: 64, so that a schedule cannot fill the disk. Text: `keep=8`; `keep=all` is
    /// [`Config::keep_all`].
    pub fn keep(mut self, files: usize) -> Config {
        self.keep = Some(files);
        self
    }

    /// Never delete a dump.
    pub fn keep_all(mut self) -> Config {
        self.keep = None;
        self
    }

    /// Dump once more when the [`Handle`](crate::Handle) is dropped or the process exits, whichever comes
    /// first. A return from `main`, [`std::process::exit`] on any thread and C's `exit` count; `abort`,
    /// `_exit`, `SIGKILL` and every other death by signal do not.
    ///
    /// Default: `false`: a short-lived helper process should leave no files behind. Text: `final=true`.
    pub fn final_dump(mut self, yes: bool) -> Config {
        self.final_dump = yes;
        self
    }

    /// Ask threads for their stacks by this signal: see [`thread::use_signal`](crate::thread::use_signal).
    ///
    /// Default: the highest real-time signal that nobody handles or ignores. Text: `thread_signal=SIGRTMIN+3`.
    pub fn thread_signal(mut self, signal: Signal) -> Config {
        self.thread_signal = Some(signal);
        self
    }

    /// Put function names, files and lines into dumps. Reading the binaries' debug information takes time, on the
    /// helper thread, and memory, which is given back to the system after each dump.
    ///
    /// Default: `true`. With `false` dumps hold addresses and build ids, and `heapsite symbolize` names them
    /// on a machine that has the binaries. Text: `symbolize=false`.
    pub fn symbolize(mut self, yes: bool) -> Config {
        self.symbolize = yes;
        self
    }

    /// Keeps evidence in [`Config::dir`] for the case that the kernel kills the process for its memory: a small file that
    /// says every second how the process is, the first dump, and dumps of this many of its worst moments. `heapsite info`
    /// reads the file ([the guide](crate::guide::triggers) tells when there is a dump).
    ///
    /// Default: none. Text: `evidence=3`, or `none`.
    pub fn evidence(mut self, worst: usize) -> Config {
        self.evidence_mut().keep = worst;
        self
    }

    /// Time between two dumps of [`Config::evidence`] for the same reason.
    ///
    /// Default: 60 s. Text: `evidence_pause=60s`; asks for evidence, too.
    pub fn evidence_pause(mut self, pause: Duration) -> Config {
        self.evidence_mut().pause = pause;
        self
    }

    /// Share of the control group's limit, percent, at which [`Config::evidence`] makes a dump.
    ///
    /// Default: 90. Text: `evidence_at=90`; asks for evidence, too.
    pub fn evidence_at(mut self, percent: u8) -> Config {
        self.evidence_mut().at_percent = percent;
        self
    }

    fn evidence_mut(&mut self) -> &mut Evidence {
        self.evidence.get_or_insert(Evidence::new())
    }

    /// Watch for leaks, with so much time between two looks, until the [`Handle`](crate::Handle) is dropped: a line on stderr
    /// when a leak begins, doubles or ends. All else is as [`leak::Watch`](crate::leak::Watch) has it.
    ///
    /// Default: nobody watches. Text: `leak_watch=60s`, or `none`.
    pub fn leak_watch(mut self, every: Duration) -> Config {
        self.leak_watch_mut().every = every;
        self
    }

    /// Whether [`Config::leak_watch`] dumps, too, when a leak begins.
    ///
    /// Default: `false`. Text: `leak_watch_dump=true`; asks for a watch every 60 s, too.
    pub fn leak_watch_dump(mut self, yes: bool) -> Config {
        if yes || self.leak_watch.is_some() {
            self.leak_watch_mut().dump = yes;
        }
        self
    }

    /// How long a cache may take to fill: what has not grown for longer is not announced by [`Config::leak_watch`]; see
    /// [`Watch::longest_fill`](crate::leak::Watch::longest_fill).
    ///
    /// Default: an hour. Text: `leak_watch_fill=10m`; asks for a watch every 60 s, too.
    pub fn leak_watch_fill(mut self, time: Duration) -> Config {
        self.leak_watch_mut().longest_fill = time;
        self
    }

    fn leak_watch_mut(&mut self) -> &mut LeakWatch {
        self.leak_watch.get_or_insert(LeakWatch::new())
    }

    /// Serve profiles under `/debug/pprof/` on this address and port, from a thread of heapsite's own, until the
    /// [`Handle`](crate::Handle) is dropped; port 0 is any that is free. A line on stderr says where.
    ///
    /// Default: not served. Text: `http=127.0.0.1:6060`, `http=localhost:6060`, `http=[::1]:6060`. Feature `http`.
    #[cfg(feature = "http")]
    pub fn http(mut self, address: impl Into<String>) -> Config {
        self.http = Some(address.into());
        self
    }

    /// Whether an address that other machines can reach is accepted: see
    /// [`Options::remote`](crate::http::Options::remote).
    ///
    /// Default: `false`. Text: `http=0.0.0.0:6060,http_remote=true`. Feature `http`.
    #[cfg(feature = "http")]
    pub fn http_remote(mut self, yes: bool) -> Config {
        self.http_options = self.http_options.remote(yes);
        self
    }

    /// Time between two moments of the page's history: see [`Options::history`](crate::http::Options::history).
    ///
    /// Default: 10 s. Text: `http_history=1m`, or `none`. Feature `http`.
    #[cfg(feature = "http")]
    pub fn http_history(mut self, every: Duration) -> Config {
        self.http_options = self.http_options.history(every);
        self
    }

    /// Answers only requests with this token: see [`Options::token`](crate::http::Options::token).
    ///
    /// Default: none. Text: `http_token=…` (one with a comma can only be set here; other processes of the same user can
    /// read a process's environment). Feature `http`.
    #[cfg(feature = "http")]
    pub fn http_token(mut self, token: impl Into<String>) -> Config {
        self.http_options = self.http_options.token(token);
        self
    }

    /// Push profiles to a Pyroscope server, until the [`Handle`](crate::Handle) is dropped.
    ///
    /// Default: none are. Text: `push=http://pyroscope:4040`, and the keys that
    /// [`push::Options`](crate::push::Options) names. Feature `push`.
    #[cfg(feature = "push")]
    pub fn push(mut self, options: crate::push::Options) -> Config {
        self.push = Some(options);
        self
    }

    /// What the builder's types cannot rule out.
    pub(crate) fn validate(&self) -> Result<()> {
        #[cfg(feature = "http")]
        self.validate_http()?;
        #[cfg(feature = "push")]
        push::validate(self)?;
        if !matches!(self.format, Format::Pprof | Format::Json) {
            return Err(Error::config(format!(
                "key `format`, value `{}`: accepted are {}",
                self.format.name(),
                text::FORMATS
            )));
        }
        if self.every == Some(Duration::ZERO) {
            return Err(Error::config(format!(
                "key `every`, value `0`: {}",
                text::DURATIONS
            )));
        }
        if let Some(bytes @ ..LEAST_MEMORY) = self.memory {
            return Err(Error::config(format!(
                "key `memory`, value `{bytes}`: accepted are at least {LEAST_MEMORY} bytes (1MiB), which the \
                 recorder's first tables need"
            )));
        }
        if let Some(evidence) = &self.evidence {
            let bad = |key: &str, value: &str, accepted: &str| {
                Err(Error::config(format!(
                    "key `{key}`, value `{value}`: {accepted}"
                )))
            };
            if evidence.keep == 0 {
                return bad("evidence", "0", text::EVIDENCE);
            }
            if evidence.pause.is_zero() {
                return bad("evidence_pause", "0", text::DURATIONS);
            }
            if !(1..=100).contains(&evidence.at_percent) {
                return bad(
                    "evidence_at",
                    &evidence.at_percent.to_string(),
                    text::PERCENTS,
                );
            }
        }
        if self.leak_watch.is_some_and(|watch| watch.every.is_zero()) {
            return Err(Error::config(format!(
                "key `leak_watch`, value `0`: {}",
                text::DURATIONS
            )));
        }
        if self.keep == Some(0) {
            return Err(Error::config(format!(
                "key `keep`, value `0`: {}",
                text::KEEPS
            )));
        }
        Ok(())
    }

    #[cfg(feature = "http")]
    fn validate_http(&self) -> Result<()> {
        if let Some(text) = &self.http {
            crate::http::address(text)
                .map_err(|accepted| {
                    Error::config(format!("key `http`, value `{text}`: {accepted}"))
                })
                .and_then(|address| self.http_options.allow(address))?;
        }
        self.http_options.validate()
    }
}
