//! Plain calls without a provider's quotas: what the sandbox delivers and what the demo's people click.

use std::time::Duration;

/// Posts bodies and opens pages, and reports the status that came back. Follows nothing and repeats nothing.
#[derive(Debug, Clone)]
pub struct Courier(reqwest::Client);

impl Courier {
    /// A courier that waits so long for an answer.
    ///
    /// # Errors
    /// When the TLS roots cannot be loaded.
    pub fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let builder = reqwest::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none());
        builder.no_proxy().build().map(Self)
    }

    /// Posts a body. `None` without an answer.
    pub async fn post(&self, url: &str, headers: &[(String, String)], body: Vec<u8>) -> Option<u16> {
        status(self.0.post(url).body(body), headers).await
    }

    /// Opens a page. `None` without an answer.
    pub async fn get(&self, url: &str, headers: &[(String, String)]) -> Option<u16> {
        status(self.0.get(url), headers).await
    }
}

async fn status(mut call: reqwest::RequestBuilder, headers: &[(String, String)]) -> Option<u16> {
    for (name, value) in headers {
        call = call.header(name, value);
    }
    let answer = call.send().await.ok()?;
    let status = answer.status().as_u16();
    // A connection is used again only when its answer was read to the end.
    answer.bytes().await.ok()?;
    Some(status)
}
