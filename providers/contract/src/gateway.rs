//! The only way out of the process.

use crate::{ProviderError, Timestamp};
use async_trait::async_trait;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::SecretString;
use std::fmt;
use std::time::Duration;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Whether a request may be sent a second time when the first got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It only reads: repeat at will.
    Safe,
    /// It may have been applied: never repeated without a look first.
    Never,
}

/// A request body.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// The `Content-Type`.
    pub content_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// One call to a provider.
#[derive(Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// What logs and metrics may show, for example `/contacts/{email}`.
    pub route: &'static str,
    /// Path and query below the base URL. May hold an address, so it is never logged.
    pub path: String,
    /// Headers; all are treated as secret.
    pub headers: Vec<(&'static str, SecretString)>,
    /// The body, if any.
    pub body: Option<Body>,
    /// Which [`Quota`]s it draws on.
    pub family: &'static str,
    /// Whether it may be repeated.
    pub repeat: Repeat,
}

/// Shows neither address nor secret nor body.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.body.as_ref().map_or(0, |body| body.bytes.len());
        write!(f, "{} {} ({} bytes, {})", self.method.as_str(), self.route, size, self.family)
    }
}

/// A provider's answer, of any status, its body cut off at the gateway's limit.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }
}

/// Shows no body.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}

/// A limit that all requests of one family on one account share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Which requests.
    pub family: &'static str,
    /// How many.
    pub limit: u32,
    /// In which time.
    pub per: Duration,
}

/// Quotas, time-outs, repetition of safe requests, redaction and tracing, behind one method.
///
/// Any status is an answer. An error means that there was none, or that a quota would have to be waited for longer
/// than the gateway is willing to ([`ProviderError::Throttled`], nothing sent).
#[async_trait]
pub trait Gateway: Send + Sync {
    /// Sends one request.
    ///
    /// # Errors
    /// [`ProviderError::Unreachable`] without an answer, [`ProviderError::Throttled`] when a local quota is used up.
    async fn send(&self, request: Request) -> Result<Response, ProviderError>;

    /// Sends one request, unless its first byte would leave after `deadline` because a quota has to be waited for. What
    /// was checked before the request is then too old to act on.
    ///
    /// # Errors
    /// As [`Gateway::send`]; [`ProviderError::Throttled`] with no wait, and nothing sent, after the deadline.
    async fn send_before(&self, request: Request, deadline: Timestamp) -> Result<Response, ProviderError>;
}

/// What RFC 3986 calls unreserved stays; everything else is encoded, `+` and `@` included.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Encodes one path segment or query value.
#[must_use]
pub fn path_segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}
