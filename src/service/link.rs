//! Links that people get: asking for consent, showing what a link is about, and the recipient's decision.

use crate::clock::Timestamp;
use crate::domain::consent::{Act, AskBasis, Language, OperatorAct, RecipientAct, State};
use crate::domain::ids::PurposeId;
use crate::domain::scanner::{Visit, suspicions};
use crate::domain::token::{AcceptError, Claims, Class};
use crate::service::connection::token;
use crate::service::consent::Saying;
use crate::service::{Core, ServiceError};
use crate::store::{Address, Kept, Link, NewLink, Purpose, Tenant, TenantKey, Tx};
use serde_json::json;
use sha2::{Digest, Sha256};

/// What a person decides by a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Accept,
    /// No, or no more.
    Refuse,
}

/// What a link is about, for its page.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Who asks.
    pub tenant: Tenant,
    /// For what.
    pub purpose: Purpose,
    /// What the link may do.
    pub class: Class,
    /// Whether it can still accept.
    pub can_accept: bool,
    /// Where the person stands now.
    pub state: State,
    /// The language of the page.
    pub language: Language,
}

/// Who decides, as far as the request shows.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    /// The `User-Agent`.
    pub agent: String,
    /// The box that is not preset was ticked.
    pub confirmed: bool,
    /// RFC 8058: the mail program unsubscribed with one click.
    pub one_click: bool,
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    /// No such link.
    #[error("this link is not known")]
    Unknown,
    /// The link may not accept now.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// Anything else.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl From<crate::store::StoreError> for DecideError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Service(error.into())
    }
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

impl Core {
    /// Asks people for their consent: records that they were asked, and makes the links to hand over. One link a
    /// person, in the order given, or why that person may not be asked.
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn request_consent(
        &self,
        tenant: &Tenant,
        key: &TenantKey,
        purpose: &Purpose,
        addresses: &[Address],
        basis: &AskBasis,
        who: &str,
    ) -> Result<Vec<Result<String, ServiceError>>, ServiceError> {
        let mut tx = self.store.begin().await?;
        let mut answers = Vec::with_capacity(addresses.len());
        for address in addresses {
            let act = Act::Operator(OperatorAct::Request(basis.clone()));
            let evidence = json!({
                "operator": who, "text_version": purpose.text_version, "purpose": purpose.name, "text": purpose.body,
            });
            let saying = Saying { address, purpose: Some(purpose.id), act, evidence };
            answers.push(match self.say(&mut tx, tenant, key, saying).await {
                Ok(_) => Ok(self.link(&mut tx, tenant, address, purpose, Class::Consent).await?),
                Err(ServiceError::Denied(why)) => Err(ServiceError::Denied(why)),
                Err(other) => return Err(other),
            });
        }
        tx.commit().await?;
        Ok(answers)
    }

    /// A link that can only unsubscribe, for the foot and the header of a mail (RFC 8058).
    ///
    /// # Errors
    /// [`ServiceError::Store`].
    pub async fn unsubscribe_link(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        address: &Address,
        purpose: &Purpose,
    ) -> Result<String, ServiceError> {
        self.link(tx, tenant, address, purpose, Class::Unsubscribe).await
    }

    async fn link(
        &self,
        tx: &mut Tx,
        tenant: &Tenant,
        address: &Address,
        purpose: &Purpose,
        class: Class,
    ) -> Result<String, ServiceError> {
        let secret = token(&*self.random);
        let now = self.now();
        let expires_at = (class == Class::Consent).then(|| now + self.rules.consent_link);
        let claims = Claims {
            class,
            tenant: tenant.id,
            address: address.id,
            purpose: purpose.id,
            text_version: purpose.text_version,
            expires_at,
        };
        tx.insert_links(&[NewLink { hash: hash(&secret), claims, issued_at: now }]).await?;
        let place = if class == Class::Consent { "c" } else { "u" };
        Ok(format!("{}/{place}/{secret}", self.public_url))
    }

    /// What a link is about. Never decides anything; counts that it was opened, as far as that can be written down.
    ///
    /// # Errors
    /// [`DecideError::Unknown`].
    pub async fn open_link(&self, secret: &str, prefetch: bool) -> Result<Opened, DecideError> {
        let opened = self.show_link(secret).await?;
        let counted = async {
            let mut tx = self.store.begin().await?;
            tx.link_opened(opened.tenant.id, &hash(secret), prefetch).await?;
            tx.commit().await
        };
        if let Err(error) = counted.await {
            tracing::warn!(error = %error, "the opening of a link could not be counted");
        }
        Ok(opened)
    }

    /// What a link is about, without counting.
    ///
    /// # Errors
    /// [`DecideError::Unknown`].
    pub async fn show_link(&self, secret: &str) -> Result<Opened, DecideError> {
        let link = self.store.link(&hash(secret)).await?.ok_or(DecideError::Unknown)?;
        let (tenant, _) = self.tenant_by_id(link.claims.tenant).await?;
        let purpose = self.purpose_of(&link, link.claims.purpose).await?;
        let standings = self.store.standings(tenant.id, link.claims.address).await?;
        let standing = standings.into_iter().find(|kept| kept.purpose == purpose.id).map(|kept| kept.standing);
        let can_accept = link.claims.accept(self.now(), purpose.text_version, Vec::new(), false).is_ok();
        let state = standing.unwrap_or_default().state;
        Ok(Opened { language: tenant.locale, tenant, purpose, class: link.claims.class, can_accept, state })
    }

    /// Carries out what a person decided with a link. Deciding the same again changes nothing.
    ///
    /// # Errors
    /// [`DecideError`]; a refusal by a known link fails only when it cannot be stored.
    pub async fn decide(&self, secret: &str, decision: Decision, visitor: &Visitor) -> Result<State, DecideError> {
        if decision == Decision::Accept && self.store.reserve.is_spent() {
            return Err(ServiceError::Conflict("the disk is full; a yes has to wait".into()).into());
        }
        match self.decide_once(secret, decision, visitor).await {
            Err(DecideError::Service(error)) if decision == Decision::Refuse && self.make_room(&error) => {
                self.decide_once(secret, decision, visitor).await
            }
            decided => decided,
        }
    }

    async fn decide_once(&self, secret: &str, decision: Decision, visitor: &Visitor) -> Result<State, DecideError> {
        let hash = hash(secret);
        let now = self.now();
        let link = self.store.link(&hash).await?.ok_or(DecideError::Unknown)?;
        let (tenant, key) = self.tenant_by_id(link.claims.tenant).await?;
        let purpose = self.purpose_of(&link, link.claims.purpose).await?;
        let address = self.store.address(tenant.id, link.claims.address).await?.ok_or(DecideError::Unknown)?;
        let mut tx = self.store.begin().await?;
        tx.lock_head(tenant.id).await?;
        let standings = tx.standings(tenant.id, address.id).await?;
        let of = |standings: &[Kept]| {
            standings.iter().find(|kept| kept.purpose == purpose.id).map_or(State::NotAsked, |kept| kept.standing.state)
        };
        let state = of(&standings);
        // A no is about the mailbox, however it is spelled.
        let mut spellings = Vec::new();
        for spelling in tx.addresses_of(tenant.id, address.mailbox).await? {
            spellings.push(of(&tx.standings(tenant.id, spelling.id).await?));
        }
        let suspicions = suspicions(&visit(&link, decision, visitor), now);
        let act = match decision {
            Decision::Accept => RecipientAct::Accept(link.claims.accept(
                now,
                purpose.text_version,
                suspicions.clone(),
                visitor.confirmed,
            )?),
            Decision::Refuse if spellings.contains(&State::Accepted) => RecipientAct::Withdraw,
            Decision::Refuse => RecipientAct::Refuse,
        };
        // A yes by another link is the answer to a renewal, and begins a new validity.
        let by_this_link = link.decided.as_deref() == Some("accepted");
        let repeated = (matches!((decision, state), (Decision::Accept, State::Accepted)) && by_this_link)
            || (decision == Decision::Refuse
                && spellings.iter().all(|state| matches!(state, State::Refused | State::Withdrawn)));
        let word = if decision == Decision::Accept { "accepted" } else { "refused" };
        tx.link_decided(tenant.id, &hash, word, now).await?;
        let mut after = state;
        if !repeated {
            let evidence = json!({
                "link": link.claims.class.word(), "text_version": link.claims.text_version, "one_click": visitor.one_click,
                "purpose": purpose.name, "text": purpose.body, "controller": tenant.legal_name, "language": tenant.locale,
                "agent": visitor.agent.chars().take(200).collect::<String>(), "suspicions": suspicions,
                "confirmed": visitor.confirmed,
            });
            let saying = Saying { address: &address, purpose: Some(purpose.id), act: Act::Recipient(act), evidence };
            let kept = self.say(&mut tx, &tenant, &key, saying).await?;
            after = kept.iter().find(|kept| kept.purpose == purpose.id).map_or(state, |kept| kept.standing.state);
        }
        tx.commit().await?;
        Ok(after)
    }

    async fn purpose_of(&self, link: &Link, id: PurposeId) -> Result<Purpose, DecideError> {
        let purposes = self.store.purposes(link.claims.tenant).await?;
        purposes.into_iter().find(|purpose| purpose.id == id).ok_or(DecideError::Unknown)
    }
}

/// Everything that tells a person from a mail scanner.
fn visit(link: &Link, decision: Decision, visitor: &Visitor) -> Visit {
    let opposite = match decision {
        Decision::Accept => "refused",
        Decision::Refuse => "accepted",
    };
    let opposite_at: Option<Timestamp> = link.decided_at.filter(|_| link.decided.as_deref() == Some(opposite));
    Visit {
        handed_over_at: link.handed_over_at,
        agent: visitor.agent.clone(),
        prefetched: link.prefetched,
        opposite_at,
    }
}
