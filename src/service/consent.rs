//! Saying something about a consent: the one way into the history.

use crate::domain::consent::{Act, Kind, OperatorAct, RecipientAct};
use crate::domain::ids::PurposeId;
use crate::service::{Core, ServiceError};
use crate::store::{Address, EVERY_PURPOSE, Kept, NewLine, NewWithdrawal, Purpose, Suppression, Tenant, TenantKey, Tx};
use consentd_provider::{EmailAddress, Scope};
use serde_json::Value;

/// Somebody's act about one address.
#[derive(Debug)]
pub struct Saying<'a> {
    /// The address.
    pub address: &'a Address,
    /// The purpose, or all of them.
    pub purpose: Option<PurposeId>,
    /// The act.
    pub act: Act,
    /// Evidence to keep with it.
    pub evidence: Value,
}

/// How far a line reaches among addresses that differ in case only, and what follows from it.
struct Consequences {
    /// It speaks for the whole mailbox: refusal is broad, consent is narrow.
    broad: bool,
    /// People are put on the suppression list for this reason.
    suppress: Option<&'static str>,
    /// Providers take the mailbox off.
    withdraw: bool,
}

const fn consequences(kind: Kind) -> Consequences {
    let (broad, suppress, withdraw) = match kind {
        Kind::Refused => (true, Some("refused"), true),
        Kind::Withdrawn | Kind::ProviderUnsubscribed | Kind::AddressChanged => (true, Some("withdrawn"), true),
        Kind::OptOutImported => (true, Some("opt_out"), true),
        Kind::Complained => (true, Some("complaint"), true),
        Kind::Erased => (true, Some("erased"), true),
        Kind::SuppressionMatched | Kind::HardBounced => (true, None, true),
        Kind::BounceCleared => (true, None, false),
        Kind::Lapsed => (false, None, true),
        _ => (false, None, false),
    };
    Consequences { broad, suppress, withdraw }
}

impl Core {
    /// Records an act with everything that follows: history, standing, suppression, and the withdrawals it causes, all
    /// in the caller's transaction. Returns where the address stands afterwards.
    ///
    /// # Errors
    /// [`ServiceError::Denied`] when the rules do not allow a person's act.
    pub async fn say(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        key: &TenantKey,
        saying: Saying<'_>,
    ) -> Result<Vec<Kept>, ServiceError> {
        let now = self.now();
        tx.lock_head(tenant.id).await?;
        let purposes = tx.purposes(tenant.id).await?;
        for kept in tx.standings(tenant.id, saying.address.id).await? {
            if saying.purpose.is_none_or(|purpose| purpose == kept.purpose) {
                kept.standing.allows(&saying.act, now)?;
            }
        }
        let kind = saying.act.kind();
        let follows = consequences(kind);
        let subjects = if follows.broad {
            tx.addresses_of(tenant.id, saying.address.mailbox).await?
        } else {
            vec![saying.address.clone()]
        };
        let detail = detail(&saying, &purposes, now);
        let evidence = evidence(&saying);
        let lines: Vec<NewLine> = subjects
            .iter()
            .map(|subject| NewLine {
                address: subject.id,
                mailbox: subject.mailbox,
                purpose: saying.purpose,
                kind,
                actor: saying.act.actor(),
                detail,
                payload: evidence.clone(),
                new_address: false,
            })
            .collect();
        let kept = tx.append(tenant, key, &lines, now, &*self.random).await?;
        let mac = key.address_mac(&saying.address.email.folded());
        if let Some(reason) = follows.suppress {
            let entry = |purpose| (mac, Suppression { purpose, reason: reason.to_owned(), since: now });
            let entries: Vec<_> = match saying.purpose {
                Some(purpose) => vec![entry(purpose)],
                None => purposes.iter().map(|purpose| purpose.id).chain([EVERY_PURPOSE]).map(entry).collect(),
            };
            tx.suppress(tenant.id, &entries).await?;
        }
        if let (Act::Recipient(RecipientAct::Accept(_)), Some(purpose)) = (&saying.act, saying.purpose) {
            tx.lift_suppression(tenant.id, &mac, purpose).await?;
        }
        let raised = matches!(kind, Kind::Accepted | Kind::ProofImported | Kind::BounceCleared);
        for purpose in purposes.iter().filter(|purpose| raised && saying.purpose.is_none_or(|own| own == purpose.id)) {
            tx.mark_dirty(tenant.id, saying.address.mailbox, purpose.id, now).await?;
        }
        if follows.withdraw {
            let seq = kept.iter().map(|kept| kept.standing.seq).max().unwrap_or(0);
            let scope = match (saying.purpose, kind) {
                (None, Kind::HardBounced) | (Some(_), _) => Scope::Purpose,
                (None, _) => Scope::Everything,
            };
            let new = NewWithdrawal {
                mailbox: saying.address.mailbox,
                address: saying.address.id,
                purpose: saying.purpose,
                scope,
                reason: kind.word(),
                seq,
            };
            tx.queue_withdrawal(tenant.id, &new, now).await?;
        }
        Ok(kept.into_iter().filter(|kept| kept.address == saying.address.id).collect())
    }

    /// The exact address of a tenant.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`].
    pub async fn find_address(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        email: &EmailAddress,
    ) -> Result<Address, ServiceError> {
        let variants = self.store.variants(tenant.id, key, email).await?;
        let exact = variants.iter().position(|variant| variant.email == *email);
        variants.into_iter().nth(exact.unwrap_or(0)).ok_or(ServiceError::NotFound("such address in the CRM's records"))
    }

    /// Withdraws on the person's behalf. Final for the operator.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] without a reason.
    pub async fn withdraw(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        address: &Address,
        purpose: Option<PurposeId>,
        who: &str,
        reason: &str,
    ) -> Result<Vec<Kept>, ServiceError> {
        if reason.trim().is_empty() {
            return Err(ServiceError::Invalid("a withdrawal needs its reason: it cannot be undone".into()));
        }
        let evidence = serde_json::json!({ "operator": who, "reason": reason.trim() });
        let mut tx = self.store.begin().await?;
        let act = Act::Operator(OperatorAct::Withdraw);
        let kept = self.say(&mut tx, tenant, key, Saying { address, purpose, act, evidence }).await?;
        tx.commit().await?;
        Ok(kept)
    }
}

/// What the fold needs to know beside the kind.
fn detail(saying: &Saying<'_>, purposes: &[Purpose], now: i64) -> Option<i64> {
    match &saying.act {
        Act::Recipient(RecipientAct::Accept(_)) | Act::Operator(OperatorAct::ImportProof(_)) => purposes
            .iter()
            .find(|purpose| saying.purpose == Some(purpose.id))
            .and_then(|purpose| purpose.valid_until(now)),
        Act::Operator(OperatorAct::Annul(seq)) => Some(*seq),
        _ => None,
    }
}

/// The caller's evidence together with what the act itself carries.
fn evidence(saying: &Saying<'_>) -> Value {
    let carried = match &saying.act {
        Act::Recipient(RecipientAct::Accept(acceptance)) => serde_json::to_value(acceptance),
        Act::Operator(OperatorAct::ImportProof(proof)) => serde_json::to_value(proof),
        Act::Operator(OperatorAct::Request(basis)) => serde_json::to_value(basis),
        _ => Ok(Value::Null),
    }
    .unwrap_or(Value::Null);
    serde_json::json!({ "address": saying.address.email.as_str(), "evidence": saying.evidence, "act": carried })
}
