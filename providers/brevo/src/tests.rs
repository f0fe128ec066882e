//! The traps of Brevo, one test each. What every provider has in common is in the conformance suite.

mod pushing;
mod reading;
mod receiving;

use crate::DESCRIPTOR;
use async_trait::async_trait;
use consentd_provider::{
    AccountSettings, AudienceRef, Change, ConsentProof, EmailAddress, Fields, Gateway, Lift, Method, Presence,
    Provider, ProviderError, Request, Response, Scope, Timestamp,
};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Mutex;

/// A provider that answers from a script, and remembers what it was asked.
pub(crate) struct Script {
    answers: Mutex<VecDeque<(u16, String)>>,
    asked: Mutex<Vec<Asked>>,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) what: String,
    pub(crate) body: Value,
}

impl Script {
    pub(crate) fn of(answers: &[(u16, &str)]) -> Self {
        let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        Self { answers: Mutex::new(answers), asked: Mutex::default() }
    }

    /// Everything that was asked. The script must be used up.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        assert_eq!(self.answers.lock().unwrap().len(), 0, "answers were left over");
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn whats(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.what).collect()
    }
}

#[async_trait]
impl Gateway for Script {
    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        let body = request.body.map(|body| serde_json::from_slice(&body.bytes).unwrap()).unwrap_or_default();
        let what = format!("{} {}", request.method.as_str(), request.path);
        self.asked.lock().unwrap().push(Asked { what: what.clone(), body });
        assert!(request.method == Method::Get || request.repeat == consentd_provider::Repeat::Never);
        let (status, body) = self.answers.lock().unwrap().pop_front().unwrap_or_else(|| panic!("unexpected {what}"));
        Ok(Response { status, headers: Vec::new(), body: body.into_bytes() })
    }

    async fn send_before(&self, request: Request, _: Timestamp) -> Result<Response, ProviderError> {
        self.send(request).await
    }
}

pub(crate) fn settings(options: &[(&str, &str)]) -> AccountSettings {
    AccountSettings {
        credentials: [("api_key".to_owned(), "xkeysib-1".into())].into(),
        hook_secrets: vec!["old-token".into(), "new-token".into()],
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    }
}

pub(crate) fn brevo() -> Box<dyn Provider> {
    (DESCRIPTOR.open)(&settings(&[])).unwrap()
}

pub(crate) fn list() -> AudienceRef {
    AudienceRef { list: "7".into() }
}

pub(crate) fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text).unwrap()
}

/// What an acceptance of 2026-09-01 lifts that came after a no.
pub(crate) const LIFT: Lift = Lift { accepted_at: 1_788_220_800_000_000, after_no: true, taken_off_at: None };

#[expect(clippy::disallowed_methods, reason = "invented people have consented to everything")]
pub(crate) fn subscribe(who: &str, presence: Presence, lift: Option<Lift>, fields: Fields) -> Change {
    Change::Subscribe { email: email(who), fields, presence, lift, proof: ConsentProof::attest(uuid::Uuid::nil()) }
}

pub(crate) fn withdraw(who: &str, scope: Scope) -> Change {
    Change::Withdraw { email: email(who), scope }
}
