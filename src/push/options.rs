//! Where to push, under what name, how often.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

use super::labels;
use super::pusher::Pusher;
use super::secret::Secret;
use super::wire::Wire;
use crate::error::{Error, Result};

/// A minute: names cost a tenth of a second of processor time, and a heap changes slowly.
const INTERVAL: Duration = Duration::from_secs(60);
const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// Below what a Pyroscope server takes as it is installed: 4 MiB a profile, and 2 MiB at once from a tenant.
const BYTES: u64 = 3 << 19;
/// Room for one stack and its names.
pub(super) const LEAST_BYTES: u64 = 16 << 10;

const INTERVALS: &str =
    "accepted is a whole number above 0 with ms, s, m or h, such as 60s, up to 24h";
pub(crate) const URLS: &str = "accepted is the server's address, such as http://pyroscope:4040, without user, query or fragment";
const SECRETS: &str = "accepted is a text of at least one character, of ASCII's visible ones";
const USERS: &str = "accepted is a text of ASCII's visible characters without a colon, or none";
const TENANTS: &str =
    "accepted are up to 150 letters, digits and `!-_.*'()`, of ASCII, but not `.` and `..`";

/// Who the server is to take us for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// `Authorization: Basic`: user and password.
    Basic(String, Secret),
    /// `Authorization: Bearer`.
    Bearer(Secret),
}

/// The server's address. Until it has been looked at there may be a password in it, which is not shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url(String);

impl Url {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Without what stands before an `@`.
    pub(super) fn shown(&self) -> String {
        match self.0.rsplit_once('@') {
            Some((_, after)) => format!("…@{after}"),
            None => self.0.clone(),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.shown())
    }
}

/// What is pushed where; [`Options::start`] begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub(super) url: Url,
    pub(super) application: Option<String>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) interval: Duration,
    pub(super) max_bytes: u64,
    pub(super) login: Option<Login>,
    pub(super) tenant: Option<String>,
    #[cfg(feature = "push-tls")]
    pub(super) ca_file: Option<std::path::PathBuf>,
}

impl Options {
    /// To the server at `url`, such as `http://pyroscope:4040`; `/ingest` is added. `https` takes the feature `push-tls`.
    pub fn new(url: impl Into<String>) -> Options {
        Options {
            url: Url(url.into()),
            application: None,
            labels: Vec::new(),
            interval: INTERVAL,
            max_bytes: BYTES,
            login: None,
            tenant: None,
            #[cfg(feature = "push-tls")]
            ca_file: None,
        }
    }

    /// The name under which the server shows the profiles (its label `service_name`).
    ///
    /// Default: the program's file name. Text: `push_name=shop`.
    pub fn application(mut self, name: impl Into<String>) -> Options {
        self.application = Some(name.into());
        self
    }

    /// A label of every profile, such as a region or a version. The server keeps a series for each combination of values:
    /// a process id or a host's name that changes with every deployment makes many.
    ///
    /// Default: none. Text: `push_labels=region=eu;zone=a`.
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Options {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// How often. The first push comes after half of it to all of it, so that a fleet that starts as one does not push as
    /// one.
    ///
    /// Default: one minute. Text: `push_interval=15s`.
    pub fn interval(mut self, interval: Duration) -> Options {
        self.interval = interval;
        self
    }

    /// How large a profile may be, bytes before compression, at least 16 KiB. The smallest stacks of a larger one are
    /// merged into one, `[other…]`; sums stay.
    ///
    /// Default: 1.5 MiB. A Pyroscope server as it is installed refuses a profile of more than 4 MiB, and more than 2 MiB
    /// at once from a tenant. Text: `push_max=512KiB`.
    pub fn max_bytes(mut self, bytes: u64) -> Options {
        self.max_bytes = bytes;
        self
    }

    /// User and password, for a proxy in front of the server or for Grafana Cloud. In place of [`Options::bearer`].
    ///
    /// Default: none. Text: `push_user=…,push_password=…` (other processes of the same user can read a process's
    /// environment).
    pub fn basic_auth(mut self, user: impl Into<String>, password: impl Into<String>) -> Options {
        self.login = Some(Login::Basic(user.into(), Secret::new(password)));
        self
    }

    /// A token: `Authorization: Bearer …`. In place of [`Options::basic_auth`].
    ///
    /// Default: none. Text: `push_token=…`.
    pub fn bearer(mut self, token: impl Into<String>) -> Options {
        self.login = Some(Login::Bearer(Secret::new(token)));
        self
    }

    /// The tenant, where one server has several: the header `X-Scope-OrgID`.
    ///
    /// Default: none. Text: `push_tenant=team-a`.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Options {
        self.tenant = Some(tenant.into());
        self
    }

    /// A file of certificates (PEM) of those who may vouch for the server, instead of Mozilla's list. Feature `push-tls`.
    ///
    /// Text: `push_ca=/etc/ssl/certs/ours.pem`.
    #[cfg(feature = "push-tls")]
    pub fn ca_file(mut self, path: impl Into<std::path::PathBuf>) -> Options {
        self.ca_file = Some(path.into());
        self
    }

    /// The address, for a setting whose parts come one by one.
    pub(crate) fn url(mut self, url: impl Into<String>) -> Options {
        self.url = Url(url.into());
        self
    }

    pub(crate) fn has_no_url(&self) -> bool {
        self.url.0.is_empty()
    }

    /// The user of [`Options::basic_auth`]; the password stays.
    pub(crate) fn user(self, user: &str) -> Options {
        let password = match &self.login {
            Some(Login::Basic(_, password)) => password.expose().to_owned(),
            _ => String::new(),
        };
        self.basic_auth(user, password)
    }

    /// The password of [`Options::basic_auth`]; the user stays.
    pub(crate) fn password(self, password: &str) -> Options {
        let user = match &self.login {
            Some(Login::Basic(user, _)) => user.clone(),
            _ => String::new(),
        };
        self.basic_auth(user, password)
    }

    /// Begins to push, from a thread named `heapsite-push`. What has been allocated by now is not told, except for what
    /// is still live.
    ///
    /// The server need not be there: what cannot be delivered is kept for later. A forked child has no such thread, and
    /// pushes nothing.
    ///
    /// # Errors
    /// An option cannot be used; the file of [`Options::ca_file`] cannot be read; the system refuses a thread.
    pub fn start(self) -> Result<Pusher> {
        Pusher::start(self)
    }

    /// What the builder's types cannot rule out. Reads the file of certificates.
    pub(crate) fn validate(&self) -> Result<()> {
        Wire::new(self).map(drop)?;
        let refuse = |key: &str, value: &str, accepted: &str| {
            Err(Error::config(format!(
                "key `{key}`, value `{value}`: {accepted}"
            )))
        };
        if let Some(name) = &self.application
            && !labels::is_application(name)
        {
            return refuse("push_name", name, labels::APPLICATIONS);
        }
        if let Err(accepted) = labels::check(&self.labels) {
            let pairs: Vec<String> = self
                .labels
                .iter()
                .map(|(n, v)| format!("{n}={v}"))
                .collect();
            return refuse("push_labels", &pairs.join(";"), &accepted);
        }
        if self.interval.is_zero() || self.interval > LONGEST_INTERVAL {
            return refuse("push_interval", &format!("{:?}", self.interval), INTERVALS);
        }
        if self.max_bytes < LEAST_BYTES {
            let accepted = format!("accepted are at least {LEAST_BYTES} bytes (16KiB)");
            return refuse("push_max", &self.max_bytes.to_string(), &accepted);
        }
        if let Some(tenant) = &self.tenant
            && !is_tenant(tenant)
        {
            return refuse("push_tenant", tenant, TENANTS);
        }
        let (key, secret) = match &self.login {
            None => return Ok(()),
            Some(Login::Bearer(token)) => ("push_token", token),
            Some(Login::Basic(user, password)) => {
                if user.contains(':') || !user.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return refuse("push_user", user, USERS);
                }
                ("push_password", password)
            }
        };
        let secret = secret.expose();
        match !secret.is_empty() && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            true => Ok(()),
            false => Err(Error::config(format!(
                "key `{key}`: {SECRETS}; its value is not shown"
            ))),
        }
    }

    /// The series' name.
    pub(super) fn series(&self) -> String {
        let application = self.application.clone().unwrap_or_else(program);
        labels::series(&application, &self.labels)
    }
}

/// dskit's rule for tenants.
fn is_tenant(tenant: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!-_.*'()".contains(&byte);
    (1..=150).contains(&tenant.len())
        && tenant.bytes().all(is_allowed)
        && !matches!(tenant, "." | "..")
}

/// The program's file name, as far as it can be a name.
fn program() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name: String = name
        .chars()
        .map(|c| {
            if labels::is_application(c.encode_utf8(&mut [0; 4])) {
                c
            } else {
                '_'
            }
        })
        .collect();
    match name.is_empty() {
        true => "unnamed".to_owned(),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(options: Options) -> String {
        let error = options.validate().unwrap_err();
        assert!(error.is_config(), "{error}");
        error.to_string()
    }

    #[test]
    fn bad_options_name_the_key_and_what_is_accepted() {
        let good = || Options::new("http://localhost:4040");
        good().validate().unwrap();
        let all = good()
            .application("shop/a.b-c")
            .label("a", "b")
            .tenant("team-a");
        all.basic_auth("", "secret").validate().unwrap();
        for (options, parts) in [
            (Options::new(""), ["key `push`, value ``", "http://"]),
            (Options::new("pyroscope:4040"), ["key `push`", "http://"]),
            (Options::new("ftp://a"), ["key `push`", "http://"]),
            (Options::new("http://a/?b=c"), ["key `push`", "without"]),
            (
                good().application("a b"),
                ["key `push_name`, value `a b`", "letters"],
            ),
            (
                good().label("a", "b,c"),
                ["key `push_labels`, value `a=b,c`", "without `,`"],
            ),
            (
                good().interval(Duration::ZERO),
                ["key `push_interval`", "above 0"],
            ),
            (
                good().interval(Duration::MAX),
                ["key `push_interval`", "24h"],
            ),
            (good().max_bytes(1), ["key `push_max`, value `1`", "16KiB"]),
            (
                good().tenant(".."),
                ["key `push_tenant`, value `..`", "letters"],
            ),
            (good().tenant("a\r\nb"), ["key `push_tenant`", "letters"]),
            (
                good().basic_auth("a:b", "c"),
                ["key `push_user`, value `a:b`", "colon"],
            ),
        ] {
            let error = refusal(options);
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        let good = || Options::new("http://localhost:4040");
        for options in [
            good().bearer("hush\nhush"),
            good().bearer("hush hush"),
            good().basic_auth("me", "hush hush"),
            Options::new("http://me:hush@localhost:4040"),
            Options::new("http://me:hush@"),
            Options::new("hush@localhost"),
        ] {
            let error = refusal(options);
            assert!(!error.contains("hush"), "{error}");
        }
        refusal(good().bearer(""));
        for options in [good().bearer("hush"), good().basic_auth("me", "hush")] {
            options.validate().unwrap();
            assert!(!format!("{options:?}").contains("hush"), "{options:?}");
        }
        assert!(!format!("{:?}", Options::new("http://me:hush@localhost")).contains("hush"));
    }

    #[cfg(not(feature = "push-tls"))]
    #[test]
    fn https_says_which_feature_it_takes() {
        assert!(refusal(Options::new("https://a")).contains("push-tls"));
    }

    #[test]
    fn a_series_has_a_name_whatever_the_program_is_called() {
        assert!(labels::is_application(&program()));
        let named = Options::new("http://a").application("shop").label("a", "b");
        assert_eq!(named.series(), "shop{a=b}");
    }
}
