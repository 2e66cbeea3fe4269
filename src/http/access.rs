//! Who may read profiles: this machine only, unless told otherwise; with a token, whoever knows it.
#![forbid(unsafe_code)]

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use subtle::ConstantTimeEq;

use super::answer;
use crate::error::{Error, Result};
use crate::history;

/// How profiles are served; the default is to this machine only, to everybody on it.
///
/// ```no_run
/// # fn main() -> Result<(), heapsite::Error> {
/// let token = std::env::var("PROFILE_TOKEN").unwrap_or_default();
/// let server = heapsite::http::Options::new().remote(true).token(token).serve("0.0.0.0:6060")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub(super) remote: bool,
    pub(super) token: Option<Token>,
    pub(super) history: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            remote: false,
            token: None,
            history: history::EVERY,
        }
    }
}

impl Options {
    /// Loopback only, no token.
    pub fn new() -> Options {
        Options::default()
    }

    /// Whether an address that other machines can reach is accepted. A profile tells function names, paths and the
    /// command line, and there is no encryption here: think of a token, and of a network that you trust.
    ///
    /// Default: `false`.
    pub fn remote(mut self, yes: bool) -> Options {
        self.remote = yes;
        self
    }

    /// Answers only requests with the header `Authorization: Bearer TOKEN`. Tokens are compared in constant time.
    ///
    /// Default: none. An empty token, or one with characters that a header cannot hold, is an error when serving starts;
    /// a [`router`](Options::router) with such a token refuses every request.
    pub fn token(mut self, token: impl Into<String>) -> Options {
        self.token = Some(Token(token.into().into()));
        self
    }

    /// Time between two moments of the history that the page `/debug/heapsite/` shows; zero: none is kept, and the page has
    /// no chart. A moment is a snapshot, so where one takes long (1/20 of one processor is the most, naming aside) the next comes
    /// later. A process has one history: while it has one already, this has no say.
    ///
    /// Default: 10 s.
    pub fn history(mut self, every: Duration) -> Options {
        self.history = every;
        self
    }

    /// What the builder's types cannot rule out.
    pub(crate) fn validate(&self) -> Result<()> {
        match &self.token {
            Some(token) if !token.is_usable() => Err(Error::config(format!(
                "key `http_token`: {TOKENS}; its value is not shown"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether `address` may be listened on.
    pub(crate) fn allow(&self, address: SocketAddr) -> Result<()> {
        // An IPv4 address in IPv6's clothes is what it is.
        if self.remote || address.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        Err(Error::config(format!(
            "key `http`, value `{address}`: accepted is an address of the loopback, such as 127.0.0.1:6060, unless \
             `http_remote=true` (in code `remote(true)`) allows others"
        )))
    }
}

/// What a token may be.
pub(crate) const TOKENS: &str =
    "accepted is a text of at least one character, of ASCII's visible ones";

/// The address of a setting: `IP:PORT`, or `localhost:PORT`.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let local = |port: &str| {
        let port = port.parse().ok()?;
        Some(SocketAddr::from((IpAddr::from([127, 0, 0, 1]), port)))
    };
    text.strip_prefix("localhost:")
        .and_then(local)
        .or_else(|| text.parse().ok())
        .ok_or_else(|| {
            "accepted is an address and a port, such as 127.0.0.1:6060, [::1]:6060 or localhost:6060; port 0 is any \
             that is free"
                .to_owned()
        })
}

/// A secret: never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(Arc<str>);

impl Token {
    fn is_usable(&self) -> bool {
        !self.0.is_empty() && self.0.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Takes as long for a wrong token as for a right one; its length is no secret.
    fn is_in(&self, headers: &HeaderMap) -> bool {
        let Some(value) = headers.get(AUTHORIZATION) else {
            return false;
        };
        let Some((scheme, token)) = value.as_bytes().split_at_checked("Bearer ".len()) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"Bearer ")
            && self.is_usable()
            && bool::from(self.0.as_bytes().ct_eq(token))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The same routes, for those who know the token.
pub(super) fn guarded(routes: Router, token: Token) -> Router {
    routes.layer(middleware::from_fn_with_state(token, check))
}

async fn check(State(token): State<Token>, request: Request, next: Next) -> Response {
    if token.is_in(request.headers()) {
        return next.run(request).await;
    }
    let mut refusal = answer::refusal(
        StatusCode::UNAUTHORIZED,
        "a token is needed: Authorization: Bearer TOKEN",
    );
    refusal
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_loopback_needs_no_word() {
        for (text, local) in [
            ("127.0.0.1:0", true),
            ("127.8.9.1:80", true),
            ("[::1]:80", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("localhost:6060", true),
            ("0.0.0.0:80", false),
            ("[::]:80", false),
            ("192.168.1.2:80", false),
            ("[::ffff:10.0.0.1]:80", false),
        ] {
            let address = address(text).unwrap();
            assert_eq!(Options::new().allow(address).is_ok(), local, "{text}");
            Options::new().remote(true).allow(address).unwrap();
        }
        for text in [
            "",
            "6060",
            ":6060",
            "localhost",
            "example.org:80",
            "localhost:x",
        ] {
            address(text).unwrap_err();
        }
    }

    #[test]
    fn a_token_is_whole_or_nothing_and_never_shown() {
        let token = Token("s3cret".into());
        let given = |value: &'static str| {
            let value = HeaderValue::from_static(value);
            token.is_in(&HeaderMap::from_iter([(AUTHORIZATION, value)]))
        };
        assert!(given("Bearer s3cret"));
        assert!(given("bearer s3cret"));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer s3cre",
            "Bearer s3cretx",
            "Bearer S3cret",
            "s3cret",
            "Basic s3cret",
            "Bearer  s3cret",
        ] {
            assert!(!given(wrong), "{wrong}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
        // An empty token would be one that everybody knows.
        let empty = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer "))]);
        assert!(!Token("".into()).is_in(&empty));
        let options = Options::new().token("s3cret");
        assert!(!format!("{options:?}").contains("s3cret"));
        for bad in ["", "a b", "a\nb", "ä"] {
            let error = Options::new().token(bad).validate().unwrap_err();
            assert!(error.is_config(), "{bad}");
        }
    }
}
