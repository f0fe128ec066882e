//! Saying something about a consent: the one way into the history.

use crate::clock::Timestamp;
use crate::domain::consent::{Act, Kind, OperatorAct, RecipientAct, State};
use crate::domain::fold::Denied;
use crate::domain::ids::{AddressId, MailboxId, PurposeId};
use crate::service::{Core, ServiceError};
use crate::store::{
    Address, EVERY_PURPOSE, Kept, NewLine, NewWithdrawal, Purpose, Suppression, Tenant, TenantKey, Tx,
    addresses_of_mailboxes, suppressed,
};
use consentd_provider::{EmailAddress, Scope};
use serde_json::Value;
use std::collections::HashMap;

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
        let own = saying.address.id;
        let kept = self.say_many(tx, tenant, key, &[saying]).await?;
        Ok(kept.into_iter().filter(|kept| kept.address == own).collect())
    }

    /// As [`Core::say`] for several acts in their order. All are weighed against where their addresses stood before the
    /// first of them, so each address may be spoken of once. Returns where all addresses concerned stand afterwards.
    ///
    /// # Errors
    /// [`ServiceError::Denied`] when the rules do not allow one of the acts; nothing was said then.
    pub async fn say_many(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        key: &TenantKey,
        sayings: &[Saying<'_>],
    ) -> Result<Vec<Kept>, ServiceError> {
        let now = self.now();
        tx.lock_head(tenant.id).await?;
        let purposes = tx.purposes(tenant.id).await?;
        let spoken: Vec<AddressId> = sayings.iter().map(|saying| saying.address.id).collect();
        let mut before: HashMap<AddressId, Vec<Kept>> = HashMap::new();
        for kept in tx.standings_of(tenant.id, &spoken).await? {
            before.entry(kept.address).or_default().push(kept);
        }
        for saying in sayings {
            if matches!(&saying.act, Act::Operator(OperatorAct::Request(_) | OperatorAct::ImportProof(_))) {
                let mac = key.address_mac(&saying.address.email.folded());
                let on = suppressed(tx, tenant.id, &[mac]).await?.remove(&mac).unwrap_or_default();
                let concerned = |purpose: &PurposeId| saying.purpose.is_none_or(|own| own == *purpose);
                if on.iter().any(concerned) {
                    return Err(Denied::SaidNo.into());
                }
            }
            for kept in before.get(&saying.address.id).into_iter().flatten() {
                if saying.purpose.is_none_or(|purpose| purpose == kept.purpose) {
                    kept.standing.allows(&saying.act, now)?;
                }
            }
        }
        let broad: Vec<MailboxId> = sayings
            .iter()
            .filter(|saying| consequences(saying.act.kind()).broad)
            .map(|saying| saying.address.mailbox)
            .collect();
        let spellings =
            if broad.is_empty() { HashMap::new() } else { addresses_of_mailboxes(tx, tenant.id, &broad).await? };
        let mut lines = Vec::with_capacity(sayings.len());
        for saying in sayings {
            let kind = saying.act.kind();
            let subjects = match spellings.get(&saying.address.mailbox) {
                Some(spellings) if consequences(kind).broad => spellings.as_slice(),
                _ => std::slice::from_ref(saying.address),
            };
            let detail = detail(saying, &purposes, now);
            let evidence = evidence(saying);
            lines.extend(subjects.iter().map(|subject| NewLine {
                address: subject.id,
                mailbox: subject.mailbox,
                purpose: saying.purpose,
                kind,
                actor: saying.act.actor(),
                detail,
                payload: evidence.clone(),
                new_address: false,
            }));
        }
        let kept = tx.append(tenant, key, &lines, now, &*self.random).await?;
        let mut seqs: HashMap<MailboxId, i64> = HashMap::new();
        for kept in &kept {
            let seq = seqs.entry(kept.mailbox).or_default();
            *seq = kept.standing.seq.max(*seq);
        }
        self.follow_up(tx, tenant, key, sayings, &purposes, &seqs).await?;
        Ok(kept)
    }

    /// What follows from acts beside their lines: suppression, a look by the next plan, withdrawals at the providers.
    async fn follow_up(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        key: &TenantKey,
        sayings: &[Saying<'_>],
        purposes: &[Purpose],
        seqs: &HashMap<MailboxId, i64>,
    ) -> Result<(), ServiceError> {
        let now = self.now();
        let (mut unwanted, mut withdrawals) = (Vec::new(), Vec::new());
        for saying in sayings {
            let kind = saying.act.kind();
            let follows = consequences(kind);
            if let Some(reason) = follows.suppress {
                let mac = key.address_mac(&saying.address.email.folded());
                unwanted.extend(suppressions(mac, saying.purpose, purposes, reason, now));
            }
            if let (Act::Recipient(RecipientAct::Accept(_)), Some(purpose)) = (&saying.act, saying.purpose) {
                tx.suppress(tenant.id, &std::mem::take(&mut unwanted)).await?;
                tx.lift_suppression(tenant.id, &key.address_mac(&saying.address.email.folded()), purpose).await?;
            }
            let raised = matches!(kind, Kind::Accepted | Kind::ProofImported | Kind::BounceCleared);
            let concerned = |purpose: &&Purpose| raised && saying.purpose.is_none_or(|own| own == purpose.id);
            for purpose in purposes.iter().filter(concerned) {
                tx.mark_dirty(tenant.id, saying.address.mailbox, purpose.id, now).await?;
            }
            if follows.withdraw {
                let scope = match (saying.purpose, kind) {
                    (None, Kind::HardBounced) | (Some(_), _) => Scope::Purpose,
                    (None, _) => Scope::Everything,
                };
                withdrawals.push(NewWithdrawal {
                    mailbox: saying.address.mailbox,
                    address: saying.address.id,
                    purpose: saying.purpose,
                    scope,
                    reason: kind.word(),
                    seq: seqs.get(&saying.address.mailbox).copied().unwrap_or(0),
                });
            }
        }
        tx.suppress(tenant.id, &unwanted).await?;
        tx.queue_withdrawals(tenant.id, &withdrawals, now).await?;
        Ok(())
    }

    /// Takes an annulled entry off the suppression list, for the purposes that no spelling of the mailbox said no to.
    pub(crate) async fn release_annulled(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        key: &TenantKey,
        address: &Address,
    ) -> Result<(), ServiceError> {
        let spellings: Vec<AddressId> =
            tx.addresses_of(tenant.id, address.mailbox).await?.iter().map(|spelling| spelling.id).collect();
        let standings = tx.standings_of(tenant.id, &spellings).await?;
        let said_no = |kept: &&Kept| matches!(kept.standing.state, State::Refused | State::Withdrawn);
        let refused: Vec<PurposeId> = standings.iter().filter(said_no).map(|kept| kept.purpose).collect();
        let mac = key.address_mac(&address.email.folded());
        for purpose in tx.purposes(tenant.id).await? {
            if !refused.contains(&purpose.id) {
                tx.lift_suppression(tenant.id, &mac, purpose.id).await?;
            }
        }
        if refused.is_empty() {
            tx.lift_suppression(tenant.id, &mac, EVERY_PURPOSE).await?;
        }
        Ok(())
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
        let withdraw = async || {
            let mut tx = self.store.begin().await?;
            let act = Act::Operator(OperatorAct::Withdraw);
            let saying = Saying { address, purpose, act, evidence: evidence.clone() };
            let kept = self.say(&mut tx, tenant, key, saying).await?;
            tx.commit().await?;
            Ok(kept)
        };
        match withdraw().await {
            Err(error) if self.make_room(&error) => withdraw().await,
            done => done,
        }
    }
}

/// The entries of the suppression list for one purpose, or for every purpose there is and those to come.
pub(crate) fn suppressions(
    mac: [u8; 32],
    purpose: Option<PurposeId>,
    purposes: &[Purpose],
    reason: &str,
    now: Timestamp,
) -> Vec<([u8; 32], Suppression)> {
    let entry = |purpose| (mac, Suppression { purpose, reason: reason.to_owned(), since: now });
    match purpose {
        Some(purpose) => vec![entry(purpose)],
        None => purposes.iter().map(|purpose| purpose.id).chain([EVERY_PURPOSE]).map(entry).collect(),
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
