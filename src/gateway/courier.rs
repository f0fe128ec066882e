//! Plain calls without a provider's quotas: what the sandbox delivers and what the demo's people click.

use crate::gateway::http;
use reqwest::{RequestBuilder, Url};
use std::time::Duration;

/// Posts bodies and opens pages, and reports the status that came back. Follows nothing and repeats nothing.
#[derive(Clone)]
pub struct Courier(reqwest::Client);

impl Courier {
    /// A courier that waits so long for an answer.
    ///
    /// # Errors
    /// When the TLS roots cannot be loaded.
    pub fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        http::client(timeout).map(Self)
    }

    /// Posts a body. User and password in the URL become basic credentials. `None` without an answer.
    pub async fn post(&self, url: &str, headers: &[(String, String)], body: Vec<u8>) -> Option<u16> {
        let mut url = Url::parse(url).ok()?;
        let (user, password) = (decoded(url.username()), url.password().map(decoded));
        // A URL that could hold credentials can also be without them.
        url.set_username("").and_then(|()| url.set_password(None)).ok()?;
        let mut call = self.0.post(url).body(body);
        if !user.is_empty() || password.is_some() {
            call = call.basic_auth(user, password);
        }
        status(call, headers).await
    }

    /// Opens a page. `None` without an answer.
    pub async fn get(&self, url: &str, headers: &[(String, String)]) -> Option<u16> {
        status(self.0.get(url), headers).await
    }
}

async fn status(mut call: RequestBuilder, headers: &[(String, String)]) -> Option<u16> {
    for (name, value) in headers {
        call = call.header(name, value);
    }
    let answer = call.send().await.ok()?;
    let status = answer.status().as_u16();
    // A connection is used again only when its answer was read to the end.
    answer.bytes().await.ok()?;
    Some(status)
}

/// User and password stand percent-encoded in a URL.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
