use super::{Unusable, need};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How the daemon is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Address and port to listen on.
    pub listen: String,
    /// How people and providers reach it, without a slash at the end.
    pub public_url: String,
    /// Connections at once.
    pub connections: usize,
    /// Connections at once from one address, unless it is a trusted proxy's.
    pub connections_per_client: usize,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Looks at pages that one client may take in a minute; 0 for no limit. Decisions are not limited.
    pub looks_per_minute: u32,
    /// Seconds that a client may take to send its request.
    pub request_seconds: u64,
}

impl Http {
    /// How long a client may take to send its request.
    #[must_use]
    pub const fn request_time(&self) -> Duration {
        Duration::from_secs(self.request_seconds)
    }

    pub(super) fn validate(&self) -> Result<(), Unusable> {
        need(
            self.listen.parse::<SocketAddr>().is_ok(),
            "http.listen",
            "write an address and a port such as `127.0.0.1:8080` or `[::]:8080`",
        )?;
        let host = self.public_url.strip_prefix("https://").or_else(|| self.public_url.strip_prefix("http://"));
        let plain = host.is_some_and(|host| !host.is_empty() && !host.contains(['?', '#', '@', ' ']));
        need(
            plain && !self.public_url.ends_with('/'),
            "http.public_url",
            "write `https://HOST` without a slash at the end",
        )?;
        need((1..=100_000).contains(&self.connections), "http.connections", "write a number from 1 to 100000")?;
        need(
            (1..=self.connections).contains(&self.connections_per_client),
            "http.connections_per_client",
            "write a number from 1 to http.connections",
        )?;
        need((1..=600).contains(&self.request_seconds), "http.request_seconds", "write a number from 1 to 600")
    }
}
