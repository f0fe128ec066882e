//! One person: where they stand, and the acts of the tenant's staff beside asking and withdrawing.

use crate::domain::consent::{Act, Actor, Kind, OperatorAct};
use crate::domain::fold::{Denied, Standing};
use crate::domain::mailbox::best;
use crate::domain::plan::Held;
use crate::service::consent::Saying;
use crate::service::{Core, ServiceError};
use crate::store::{Address, Kept, Line, Purpose, Suppression, Tenant, TenantKey};
use consentd_provider::EmailAddress;
use serde_json::json;

/// Where a person stands for one purpose.
#[derive(Debug, Clone)]
pub struct Stance {
    /// The purpose.
    pub purpose: Purpose,
    /// The spelling that speaks for the mailbox.
    pub address: Address,
    /// Where it stands.
    pub standing: Standing,
    /// The last line about it that concerns this purpose: what was said, and by whom.
    pub last: Option<(Kind, Actor)>,
}

/// What one provider is believed to hold about a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAt {
    /// The connection's short name.
    pub connection: String,
    /// What it holds.
    pub held: Held,
    /// A withdrawal is on its way there and not known to be in effect.
    pub withdrawing: bool,
}

/// Everything that is known about where a person stands.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// One entry a purpose; empty for an address that nothing was ever said about.
    pub stances: Vec<Stance>,
    /// What providers hold.
    pub held: Vec<HeldAt>,
    /// What the suppression list says.
    pub suppressions: Vec<Suppression>,
}

impl Core {
    /// Where a person stands.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn dossier(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        email: &EmailAddress,
    ) -> Result<Dossier, ServiceError> {
        let mac = key.address_mac(&email.folded());
        let suppressions = self.store.suppressions(tenant.id, &mac).await?;
        let spellings = self.store.variants(tenant.id, key, email).await?;
        let Some(mailbox) = spellings.first().map(|spelling| spelling.mailbox) else {
            return Ok(Dossier { stances: Vec::new(), held: Vec::new(), suppressions });
        };
        let mut standings: Vec<Vec<Kept>> = Vec::with_capacity(spellings.len());
        let mut lines: Vec<Vec<Line>> = Vec::with_capacity(spellings.len());
        for spelling in &spellings {
            standings.push(self.store.standings(tenant.id, spelling.id).await?);
            lines.push(self.store.lines_of(tenant.id, spelling.id).await?);
        }
        let mut stances = Vec::new();
        for purpose in self.store.purposes(tenant.id).await? {
            let own: Vec<Standing> = standings
                .iter()
                .map(|kept| kept.iter().find(|kept| kept.purpose == purpose.id))
                .map(|kept| kept.map(|kept| kept.standing).unwrap_or_default())
                .collect();
            let (index, standing) = best(&own, self.now());
            let Some(address) = spellings.get(index) else { continue };
            let last = lines.get(index).and_then(|lines| lines.iter().rev().find(|line| line.concerns(purpose.id)));
            let last = last.map(|line| (line.header.kind, line.header.actor));
            stances.push(Stance { purpose, address: address.clone(), standing, last });
        }
        let mut held = Vec::new();
        let mut tx = self.store.begin().await?;
        for connection in self.store.connections(tenant.id).await? {
            let found = tx.holdings(tenant.id, connection.id, &[mailbox]).await?;
            let withdrawing = tx.withdrawing(tenant.id, connection.id, &[mailbox]).await?.contains(&mailbox);
            let holds = found.get(&mailbox).map_or(Held::Never, |holding| holding.held);
            held.push(HeldAt { connection: connection.slug, held: holds, withdrawing });
        }
        Ok(Dossier { stances, held, suppressions })
    }

    /// Says that a bounced mailbox works again.
    ///
    /// # Errors
    /// [`Denied::NoBounce`], or [`ServiceError::Invalid`] without a reason.
    pub async fn clear_bounce(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        address: &Address,
        who: &str,
        reason: &str,
    ) -> Result<Vec<Kept>, ServiceError> {
        need_reason(reason)?;
        let evidence = json!({ "operator": who, "reason": reason.trim() });
        let act = Act::Operator(OperatorAct::ClearBounce);
        let mut tx = self.store.begin().await?;
        let kept = self.say(&mut tx, tenant, key, Saying { address, purpose: None, act, evidence }).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// Takes back a withdrawal that an operator entered by mistake. The person counts as not asked afterwards, at most;
    /// the suppression list keeps the address until the person accepts.
    ///
    /// # Errors
    /// [`Denied::NotOwnError`] for anything else than an operator's own entry, [`ServiceError::Invalid`] unless two
    /// different people vouch for it.
    pub async fn annul(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        address: &Address,
        approvers: [&str; 2],
        reason: &str,
    ) -> Result<Vec<Kept>, ServiceError> {
        need_reason(reason)?;
        let [first, second] = approvers.map(str::trim);
        if first.is_empty() || second.is_empty() || first.to_lowercase() == second.to_lowercase() {
            return Err(ServiceError::Invalid("taking an entry back needs two different people".into()));
        }
        let evidence = json!({ "operator": first, "second_operator": second, "reason": reason.trim() });
        let mut tx = self.store.begin().await?;
        tx.lock_head(tenant.id).await?;
        let mut kept = Vec::new();
        // A withdrawal was entered for every spelling of the mailbox, each with its own line.
        for spelling in tx.addresses_of(tenant.id, address.mailbox).await? {
            let standings = tx.standings(tenant.id, spelling.id).await?;
            let lines = tx.lines_of(tenant.id, spelling.id).await?;
            let entered = lines.iter().filter(|line| line.header.kind == Kind::Withdrawn).filter(|line| {
                let act = Act::Operator(OperatorAct::Annul(line.header.seq));
                let mut concerned = standings.iter().filter(|kept| line.concerns(kept.purpose)).peekable();
                concerned.peek().is_some() && concerned.all(|kept| kept.standing.allows(&act, self.now()).is_ok())
            });
            for line in entered {
                let act = Act::Operator(OperatorAct::Annul(line.header.seq));
                let saying =
                    Saying { address: &spelling, purpose: line.header.purpose, act, evidence: evidence.clone() };
                kept.extend(self.say(&mut tx, tenant, key, saying).await?);
            }
        }
        if kept.is_empty() {
            return Err(Denied::NotOwnError.into());
        }
        self.release_annulled(&mut tx, tenant, key, address).await?;
        tx.commit().await?;
        Ok(kept)
    }

    /// Destroys a person's data on request: says so, takes the person off everywhere, and then destroys the key of the
    /// evidence. The history still verifies, and the suppression list keeps the address out.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] without a reason.
    pub async fn erase(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        address: &Address,
        who: &str,
        reason: &str,
    ) -> Result<(), ServiceError> {
        need_reason(reason)?;
        let evidence = json!({ "operator": who, "reason": reason.trim() });
        let act = Act::Operator(OperatorAct::Erase);
        let mut tx = self.store.begin().await?;
        self.say(&mut tx, tenant, key, Saying { address, purpose: None, act, evidence }).await?;
        for spelling in tx.addresses_of(tenant.id, address.mailbox).await? {
            tx.destroy_person_key(tenant.id, spelling.id).await?;
        }
        Ok(tx.commit().await?)
    }
}

fn need_reason(reason: &str) -> Result<(), ServiceError> {
    if reason.trim().is_empty() {
        return Err(ServiceError::Invalid("the history needs the reason".into()));
    }
    Ok(())
}
