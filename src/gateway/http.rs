//! One exchange over HTTP, and what its failure means.

use crate::gateway::Limits;
use consentd_provider::{Method, ProviderError, Request, Response, Sent};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::ExposeSecret;
use std::net::IpAddr;
use std::time::Duration;

/// The client. Cheap to clone: all clones share their connections.
#[derive(Clone)]
pub(super) struct Wire {
    client: reqwest::Client,
    answer: usize,
}

/// The longest time for a name look-up, a TCP and a TLS handshake.
const CONNECT: Duration = Duration::from_secs(10);

/// A client that follows nothing, repeats nothing and sends no more than it is told to.
pub(super) fn client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .user_agent(concat!("consentd/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .timeout(timeout)
        .connect_timeout(timeout.min(CONNECT))
        .build()
}

/// Checks where a provider is said to be. Credentials go there, so it is either encrypted or does not leave the machine.
pub(super) fn base(url: &str) -> Result<String, String> {
    let parsed = Url::parse(url).map_err(|_| "the base URL cannot be read; write `https://HOST`".to_owned())?;
    let host = parsed.host_str().unwrap_or_default();
    let loopback =
        host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if parsed.scheme() != "https" && !(parsed.scheme() == "http" && loopback) {
        return Err("the base URL must begin with https://; only a loopback address may go without".into());
    }
    let extra = !parsed.username().is_empty() || parsed.password().is_some();
    if extra || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err("the base URL must not hold credentials, a query or a fragment".into());
    }
    Ok(url.trim_end_matches('/').to_owned())
}

impl Wire {
    pub(super) fn new(limits: Limits) -> Result<Self, reqwest::Error> {
        Ok(Self { client: client(limits.timeout)?, answer: limits.answer })
    }

    /// Sends a request once and reads its answer up to the limit.
    pub(super) async fn exchange(&self, base_url: &str, request: &Request) -> Result<Response, ProviderError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let url = Url::parse(&format!("{base_url}{}", request.path)).map_err(|error| unsent(Box::new(error)))?;
        let mut call = self.client.request(method, url).headers(headers(request)?);
        if let Some(body) = &request.body {
            call = call.header(CONTENT_TYPE, body.content_type).body(body.bytes.clone());
        }
        let mut answer = call.send().await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let headers = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut body = Vec::new();
        while body.len() < self.answer
            && let Some(chunk) = answer.chunk().await.map_err(unreachable)?
        {
            let room = self.answer - body.len();
            body.extend(chunk.iter().take(room));
        }
        Ok(Response { status, headers, body })
    }
}

fn headers(request: &Request) -> Result<HeaderMap, ProviderError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let name = HeaderName::try_from(*name).map_err(|error| unsent(Box::new(error)))?;
        let mut value = HeaderValue::try_from(value.expose_secret()).map_err(|error| unsent(Box::new(error)))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

fn unsent(source: Box<dyn std::error::Error + Send + Sync>) -> ProviderError {
    ProviderError::Unreachable { sent: Sent::No, source }
}

/// Only a connection that was never made is a certain "not sent". The URL may hold an address, so it goes.
fn unreachable(error: reqwest::Error) -> ProviderError {
    let sent = if error.is_connect() || error.is_builder() { Sent::No } else { Sent::Maybe };
    ProviderError::Unreachable { sent, source: Box::new(error.without_url()) }
}
