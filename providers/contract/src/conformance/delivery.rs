//! A webhook on its way from the emulator to the adapter.

use super::bench::{Bench, HOOK_URL, goes_to};
use super::{Broken, ensure};
use crate::emulator::{Happening, Outgoing};
use crate::{Delivery, EmailAddress, Provider, ProviderEvent, Verified};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::Value;
use std::time::Duration;

/// Longer than any provider known collects events before it delivers them.
pub(super) const SOON: Duration = Duration::from_mins(30);

/// The `Authorization` header that an HTTP client makes of a webhook: its own, or the credentials of its URL.
pub(super) fn authorization(delivery: &Outgoing) -> Option<String> {
    let own = delivery.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if let Some((_, value)) = own {
        return Some(value.clone());
    }
    let (_, rest) = delivery.url.split_once("://")?;
    let (credentials, _) = rest.split(['/', '?']).next()?.rsplit_once('@')?;
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(credentials).collect();
    Some(format!("Basic {}", STANDARD.encode(decoded)))
}

/// Lets an adapter verify and read a webhook as it arrived.
pub(super) fn understand(provider: &dyn Provider, arrived: &Outgoing) -> Result<Vec<ProviderEvent>, Broken> {
    let header = authorization(arrived);
    let verified = provider.verify(Delivery { authorization: header.as_deref(), body: &arrived.body })?;
    Ok(provider.read(&verified)?)
}

/// Reads a body as it comes from the inbox.
pub(super) fn read(provider: &dyn Provider, body: &Value) -> Result<Vec<ProviderEvent>, Broken> {
    Ok(provider.read(&Verified::stored(body.to_string().as_bytes()))?)
}

/// The account, opened with these webhook secrets.
pub(super) fn opened_with(bench: &Bench, secrets: &[&str]) -> Result<Box<dyn Provider>, Broken> {
    let mut settings = bench.settings.clone();
    settings.hook_secrets = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
    Ok((bench.subject.descriptor.open)(&settings)?)
}

impl Bench {
    /// What arrives at our URL, and is answered with 200, soon after something happened.
    pub(super) fn arriving(&self, email: &EmailAddress, what: &Happening) -> Result<Vec<Outgoing>, Broken> {
        self.happen(email, what)?;
        Ok(self.deliveries(SOON, Some(200)))
    }

    /// One webhook about somebody who unsubscribes.
    pub(super) fn unsubscription(&self, email: &EmailAddress) -> Result<Outgoing, Broken> {
        let what = Happening::Unsubscribes(Some(self.list.list.clone()));
        let mut arrived = self.arriving(email, &what)?;
        ensure!(!arrived.is_empty(), "nothing arrived at {HOOK_URL} when somebody unsubscribed");
        Ok(arrived.swap_remove(0))
    }

    /// Whether somebody's unsubscription arrives at a URL.
    pub(super) fn reaches(&self, url: &str, email: &EmailAddress) -> Result<Vec<Outgoing>, Broken> {
        self.happen(email, &Happening::Unsubscribes(Some(self.list.list.clone())))?;
        Ok(self.arrivals(SOON, Some(200)).into_iter().filter(|arrived| goes_to(arrived, url)).collect())
    }
}

/// A body taken apart into its events, and the way to put others in their place.
pub(super) struct Parts {
    grouped: bool,
    pub(super) events: Vec<Value>,
}

impl Parts {
    pub(super) fn of(body: &[u8]) -> Result<Self, Broken> {
        match serde_json::from_slice(body) {
            Ok(Value::Array(events)) => Ok(Self { grouped: true, events }),
            Ok(one @ Value::Object(_)) => Ok(Self { grouped: false, events: vec![one] }),
            _ => Err(Broken::new("the emulator delivered a body that is neither an object nor an array")),
        }
    }

    /// The first event with one member changed, in the body that it came in.
    pub(super) fn with(&self, member: &str, value: Value) -> Value {
        let mut event = self.events.first().cloned().unwrap_or_default();
        if let Some(members) = event.as_object_mut() {
            members.insert(member.to_owned(), value);
        }
        if self.grouped { Value::Array(vec![event]) } else { event }
    }
}
