//! The way to this daemon and, for the clock, to the providers.

use super::Findings;
use crate::clock::{Clock, MINUTE, SECOND, SystemClock, Timestamp};
use crate::config::Config;
use crate::domain::ids::{AccountId, ConnectionId};
use crate::gateway::date;
use crate::service::Core;
use consentd_provider::{Method, Repeat, Request, Response};
use uuid::Uuid;

/// A clock further off than this makes evidence doubtful.
const SKEW: Timestamp = 5 * MINUTE;

pub(super) async fn examine(core: &Core, config: &Config, offline: bool, found: &mut Findings) {
    public_url(core, offline, found).await;
    if !offline {
        daemon(core, config, found).await;
        clock(core, found).await;
    }
}

async fn public_url(core: &Core, offline: bool, found: &mut Findings) {
    let url = &*core.public_url;
    let host = url.split("://").nth(1).unwrap_or_default();
    let local = ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local));
    if local {
        let remedy = "set http.public_url to the https address of the proxy in front of the daemon";
        return found.warn("public address", format!("{url} is this machine; no provider reaches it"), remedy);
    }
    if !url.starts_with("https://") {
        return found.wrong("public address", format!("{url} is not encrypted"), "use an https address");
    }
    if offline {
        return found.ok("public address", format!("{url} (not called)"));
    }
    let answer = ask(core, url, "/healthz").await.map(|answer| answer.status);
    let remedy = "start `consentd serve`, and let the proxy forward everything but /metrics";
    match answer {
        Ok(200..=299) => found.ok("public address", format!("{url} reaches a daemon")),
        Ok(status) => found.wrong("public address", format!("{url}/healthz answers {status}"), remedy),
        Err(error) => found.wrong("public address", format!("{url} cannot be reached: {error}"), remedy),
    }
}

/// Whether a daemon runs where this configuration says, and whether it is well.
async fn daemon(core: &Core, config: &Config, found: &mut Findings) {
    let here = config.http.listen.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]");
    match ask(core, &format!("http://{here}"), "/readyz").await {
        Ok(answer) if answer.is_success() => found.ok("daemon", format!("one runs on {here} and is ready")),
        Ok(answer) => {
            let said: String = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
            let detail = format!("what listens on {here} is not ready ({}): {}", answer.status, said.trim());
            found.wrong("daemon", detail, "see its log");
        }
        Err(_) => found.warn("daemon", format!("none runs on {here}"), "start it with `consentd serve`"),
    }
}

/// Compares this machine's clock with those of the providers in use.
async fn clock(core: &Core, found: &mut Findings) {
    let Ok(connections) = core.store.connections_everywhere().await else { return };
    let mut urls: Vec<&str> = connections.iter().map(|connection| &*connection.base_url).collect();
    urls.sort_unstable();
    urls.dedup();
    for url in urls {
        // Any answer does, a refusal as well; that a provider cannot be reached is told by its connection.
        let Ok(answer) = ask(core, url, "/").await else { continue };
        let Some(theirs) = date(&answer) else { continue };
        let apart = (SystemClock.now() - theirs).abs();
        if apart > SKEW {
            let detail = format!("this machine's is {} s apart from that of {url}", apart / SECOND);
            found.wrong("clock", detail, "synchronise this machine's clock (NTP): it dates the evidence");
        } else {
            found.ok("clock", format!("agrees with that of {url}"));
        }
    }
}

/// One look without credentials.
async fn ask(core: &Core, url: &str, path: &'static str) -> Result<Response, String> {
    let request = Request {
        method: Method::Get,
        route: path,
        path: path.to_owned(),
        headers: Vec::new(),
        body: None,
        family: "doctor",
        repeat: Repeat::Safe,
    };
    let nobody = (ConnectionId(Uuid::nil()), AccountId(Uuid::nil()));
    core.gateways.open(nobody.0, nobody.1, url, &[], None)?.send(request).await.map_err(|error| error.to_string())
}
