//! HTTP without a provider's quotas: what the sandbox delivers and what the demo's people click.

use std::time::Duration;

/// A client with a time-out and connections that are kept. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Plain(reqwest::Client);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

impl Plain {
    /// A client that follows no redirection and uses no proxy.
    ///
    /// # Errors
    /// A sentence, when the client cannot be set up.
    pub fn new(timeout: Duration) -> Result<Self, String> {
        let builder = reqwest::Client::builder().timeout(timeout).redirect(reqwest::redirect::Policy::none());
        builder.no_proxy().build().map(Self).map_err(|_| "the HTTP client cannot be set up".to_owned())
    }

    /// Reads a page.
    ///
    /// # Errors
    /// A sentence without the URL, when no answer came.
    pub async fn get(&self, url: &str, headers: &[(String, String)]) -> Result<Answer, String> {
        Self::answer(self.0.get(url), headers).await
    }

    /// Posts a body.
    ///
    /// # Errors
    /// A sentence without the URL, when no answer came.
    pub async fn post(&self, url: &str, headers: &[(String, String)], body: Vec<u8>) -> Result<Answer, String> {
        Self::answer(self.0.post(url).body(body), headers).await
    }

    async fn answer(mut request: reqwest::RequestBuilder, headers: &[(String, String)]) -> Result<Answer, String> {
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let said = |error: reqwest::Error| error.without_url().to_string();
        let answer = request.send().await.map_err(said)?;
        Ok(Answer { status: answer.status().as_u16(), body: answer.text().await.map_err(said)? })
    }
}
