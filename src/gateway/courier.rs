//! Plain deliveries, as a provider makes them: for the sandbox's webhooks.

use crate::gateway::http;
use reqwest::Url;
use std::time::Duration;

/// Posts bodies and reports the status that came back. Follows nothing and repeats nothing.
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
        for (name, value) in headers {
            call = call.header(name, value);
        }
        call.send().await.ok().map(|answer| answer.status().as_u16())
    }
}

/// User and password stand percent-encoded in a URL.
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
