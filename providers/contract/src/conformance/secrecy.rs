//! Nothing that may be shown shows a person or a secret.

use super::bench::{Bench, HOOK_SECRET, HOOK_URL, lift, people, person, subscribe, withdraw};
use super::shape::mail;
use super::{Broken, Lab, Rule, Verdict, ensure};
use crate::{
    Capability, Cursor, FieldKind, HookMode, HookSpec, ProviderError, RemoteField, RemoteJob, Response, Scope,
};
use secrecy::SecretString;
use serde_json::json;

pub(super) const RULES: &[Rule] = &[Rule {
    number: 63,
    title: "nothing shown shows a person or a secret",
    examine: |lab| Box::pin(shows_nothing(lab)),
}];

/// Statuses that providers give, the odd ones included.
const STATUSES: [u16; 14] = [200, 201, 204, 301, 400, 401, 402, 403, 404, 409, 422, 425, 429, 500];

async fn shows_nothing(lab: &Lab<'_>) -> Verdict {
    let secrets: Vec<&str> = lab.subject().credentials.iter().map(|(_, value)| *value).chain([HOOK_SECRET]).collect();
    let words = "the value \"kim@example.org\" of <kim@example.org>,kim%40example.org is taken";
    let bodies = [
        json!({ "code": words, "message": words, "metadata": { "duplicate_identifiers": [words] } }),
        json!({ "ErrorInfo": words, "ErrorMessage": format!("MJ18 {words}"), "StatusCode": 400 }),
        json!({ "ErrorInfo": { words: [words] }, "ErrorMessage": { "ContactsLists": [{ "Error": words }] } }),
        json!({ "Messages": [{ "Status": "error", "Errors": [{ "ErrorCode": words, "ErrorMessage": words }] }] }),
        json!({ "error": { "code": words, "words": words }, "errors": [words], "error_description": words }),
        json!({ "Count": 1, "Data": [{ "Status": "Error", "Error": words }], "status": "failed", "info": words }),
        json!(words),
    ];
    for status in STATUSES {
        for body in &bodies {
            let bench = lab.bench().await?;
            bench.wire.answer(Response { status, headers: Vec::new(), body: body.to_string().into_bytes() });
            for shown in everything_shown(&bench).await? {
                let person = shown.contains('@') || shown.contains("example.org") || shown.contains("%40");
                ensure!(!person, "after a status {status} something shows a person");
                let secret = secrets.iter().any(|secret| shown.contains(secret));
                ensure!(!secret, "after a status {status} something shows a secret");
            }
        }
    }
    Ok(())
}

/// Calls every method and gives all of what comes back that ends in logs or on a screen.
async fn everything_shown(bench: &Bench) -> Result<Vec<String>, Broken> {
    let provider = bench.provider()?;
    let out = &bench.wire;
    let kim = person("kim")?;
    let mut shown = Vec::new();
    let mut error = |error: Option<ProviderError>| {
        if let Some(error) = error {
            shown.push(format!("{error} {error:?}"));
        }
    };
    error(provider.check(out).await.err());
    error(provider.lists(out).await.err());
    error(provider.create_list(out, "A third purpose").await.err());
    error(provider.schema(out).await.err());
    let field = RemoteField { name: "CITY".into(), kind: FieldKind::Text };
    error(provider.create_field(out, &field).await.err());
    error(provider.look(out, &bench.list, std::slice::from_ref(&kim)).await.err());
    error(provider.list(out, &bench.list, &Cursor::default()).await.err());
    error(provider.erase(out, &kim).await.err());
    if bench.can(Capability::Send) {
        error(provider.send(out, &mail(&kim)?).await.err());
    }
    let mut looser = Vec::new();
    for mode in [HookMode::Inspect, HookMode::Repair] {
        let wanted =
            HookSpec { url: HOOK_URL.replace("example.org", "example.net"), secret: SecretString::from(HOOK_SECRET) };
        match provider.hooks(out, &wanted, mode).await {
            Ok(state) => looser.push(format!("{state:?}")),
            Err(failed) => error(Some(failed)),
        }
    }
    for id in ["78", "list:78", "account:78", "import:78"] {
        match provider.follow(out, &bench.list, &RemoteJob(id.into())).await {
            Ok(state) => looser.push(format!("{state:?}")),
            Err(failed) => error(Some(failed)),
        }
    }
    let crowd = people("crowd", 60)?;
    for changes in [
        vec![subscribe(&kim)],
        vec![lift(&kim)],
        vec![withdraw(&kim, Scope::Purpose)],
        vec![withdraw(&kim, Scope::Everything)],
        crowd.iter().map(subscribe).collect(),
        crowd.iter().map(|email| withdraw(email, Scope::Everything)).collect(),
    ] {
        let push = provider.push(out, &bench.list, &changes).await;
        looser.push(format!("{push:?}"));
    }
    shown.extend(looser);
    shown.extend(bench.wire.take().into_iter().map(|seen| format!("{} {}", seen.shown, seen.route)));
    Ok(shown)
}
