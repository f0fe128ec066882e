//! From what providers report to the history: find the person, weigh, record.
//!
//! Many events are applied together, with few statements for all of them. What is said about one mailbox is applied in
//! its order; of the words about different people nobody can tell which came first, so they may stand in any.

use crate::clock::{MINUTE, Timestamp};
use crate::domain::consent::{Act, ProviderAct};
use crate::domain::fold::Standing;
use crate::domain::ids::{AddressId, MailboxId, PurposeId};
use crate::domain::mailbox::best;
use crate::domain::precedence::{Verdict, weigh_unsubscription};
use crate::service::consent::Saying;
use crate::service::{Core, ServiceError};
use crate::store::{
    Address, Connection, EVERY_PURPOSE, KeptDelivery, Purpose, Suppression, Tenant, TenantKey, Tx,
    addresses_of_mailboxes,
};
use consentd_provider::{Affected, EmailAddress, EventKind, Provider, ProviderEvent};
use serde_json::json;
use std::collections::HashMap;

/// A change that a provider reports so soon after our own writing is our own.
const ECHO: Timestamp = 15 * MINUTE;

/// What a batch of deliveries needs to know about a connection.
pub(super) struct Desk {
    pub(super) tenant: Tenant,
    pub(super) key: TenantKey,
    pub(super) connection: Connection,
    pub(super) siblings: Vec<Connection>,
    pub(super) provider: Box<dyn Provider>,
}

/// An event with where it comes from.
pub(super) struct Heard<'a> {
    pub(super) delivery: &'a KeptDelivery,
    pub(super) desk: &'a Desk,
    pub(super) event: ProviderEvent,
}

/// Somebody whom an event names and whom we know.
struct Named<'a> {
    heard: &'a Heard<'a>,
    /// Which event, and which of its names.
    place: (usize, usize),
    email: &'a EmailAddress,
    mailbox: MailboxId,
}

/// What came of each event. Of one that names several people, the last name's word counts.
struct Words(Vec<(usize, &'static str)>);

impl Words {
    fn note(&mut self, (event, name): (usize, usize), word: &'static str) {
        if let Some(noted) = self.0.get_mut(event).filter(|noted| noted.0 <= name) {
            *noted = (name, word);
        }
    }
}

/// Where people stand, by address and purpose.
type Standings = HashMap<(AddressId, PurposeId), Standing>;

impl Core {
    /// Applies events of one tenant that were never heard before, to everybody they name. Returns a word for each that
    /// says what came of it.
    pub(super) async fn apply(&self, tx: &mut Tx, heard: &[&Heard<'_>]) -> Result<Vec<&'static str>, ServiceError> {
        let Some(Heard { desk, .. }) = heard.first() else { return Ok(Vec::new()) };
        let (tenant, key) = (&desk.tenant, &desk.key);
        let purposes = tx.purposes(tenant.id).await?;
        let mut words = Words(heard.iter().map(|heard| (0, unnamed(&heard.event.kind))).collect());
        let mut names = Vec::new();
        for (event, heard) in heard.iter().copied().enumerate().filter(|(_, heard)| speaks(&heard.event.kind)) {
            for (name, email) in heard.event.emails.iter().enumerate() {
                names.push((heard, (event, name), email, key.address_mac(&email.folded())));
            }
        }
        let macs: Vec<[u8; 32]> = names.iter().map(|(.., mac)| *mac).collect();
        let known = tx.mailboxes_by_mac(tenant.id, &macs).await?;
        let mailboxes: Vec<MailboxId> = known.values().copied().collect();
        let spellings = addresses_of_mailboxes(tx, tenant.id, &mailboxes).await?;
        let mut strangers = Vec::new();
        let mut turns: Vec<Vec<Named<'_>>> = Vec::new();
        let mut spoken: HashMap<MailboxId, usize> = HashMap::new();
        for (heard, place, email, mac) in names {
            let Some(mailbox) = known.get(&mac).copied() else {
                strangers.extend(self.against_stranger(heard, mac, &purposes));
                words.note(place, "stranger");
                continue;
            };
            let turn = spoken.entry(mailbox).or_default();
            let one = Named { heard, place, email, mailbox };
            match turns.get_mut(*turn) {
                Some(others) => others.push(one),
                None => turns.push(vec![one]),
            }
            *turn += 1;
        }
        tx.suppress(tenant.id, &strangers).await?;
        for turn in turns {
            self.take_turn(tx, (tenant, key), &purposes, &turn, &spellings, &mut words).await?;
        }
        Ok(words.0.into_iter().map(|(_, word)| word).collect())
    }

    /// Applies what is said about people each of whom is named once.
    async fn take_turn(
        &self,
        tx: &mut Tx,
        (tenant, key): (&Tenant, &TenantKey),
        purposes: &[Purpose],
        turn: &[Named<'_>],
        spellings: &HashMap<MailboxId, Vec<Address>>,
        words: &mut Words,
    ) -> Result<(), ServiceError> {
        let weighed: Vec<AddressId> = turn
            .iter()
            .filter(|named| named.heard.event.kind == EventKind::Unsubscribed)
            .flat_map(|named| spellings.get(&named.mailbox).into_iter().flatten().map(|spelling| spelling.id))
            .collect();
        let mut standings = Standings::new();
        if !weighed.is_empty() {
            let kept = tx.standings_of(tenant.id, &weighed).await?;
            standings.extend(kept.into_iter().map(|kept| ((kept.address, kept.purpose), kept.standing)));
        }
        // An event may say something else for each purpose. Its lines are written one after the other.
        let mut rounds: Vec<Vec<Saying<'_>>> = Vec::new();
        for named in turn {
            let variants = spellings.get(&named.mailbox).map_or(&[][..], Vec::as_slice);
            let exact = variants.iter().position(|variant| variant.email == *named.email).unwrap_or(0);
            let Some(address) = variants.get(exact) else { continue };
            let (lines, word) = self.judge(tx, named, purposes, variants, &standings).await?;
            words.note(named.place, word);
            for (nth, (purpose, act)) in lines.into_iter().enumerate() {
                let saying = Saying { address, purpose, act: Act::Provider(act), evidence: evidence(named.heard) };
                match rounds.get_mut(nth) {
                    Some(others) => others.push(saying),
                    None => rounds.push(vec![saying]),
                }
            }
        }
        for sayings in rounds {
            self.say_many(tx, tenant, key, &sayings).await?;
        }
        Ok(())
    }

    /// What an event says about a person, and the word for what comes of it.
    async fn judge(
        &self,
        tx: &mut Tx,
        named: &Named<'_>,
        purposes: &[Purpose],
        variants: &[Address],
        standings: &Standings,
    ) -> Result<(Vec<(Option<PurposeId>, ProviderAct)>, &'static str), ServiceError> {
        let Heard { desk, event, .. } = named.heard;
        let (tenant, connection, mailbox) = (desk.tenant.id, desk.connection.id, named.mailbox);
        Ok(match event.kind {
            EventKind::Unsubscribed => {
                let mut lines = Vec::new();
                for purpose in concerned(desk, &event.affected) {
                    lines.extend(self.unsubscription(tx, named, purpose, purposes, variants, standings).await?);
                }
                let withdrawn = lines.iter().any(|(_, act)| *act == ProviderAct::Unsubscribe);
                (lines, if withdrawn { "withdrawn" } else { "superseded" })
            }
            EventKind::Complaint => (vec![(None, ProviderAct::Complain)], "withdrawn"),
            EventKind::HardBounce => (vec![(None, ProviderAct::HardBounce)], "flagged"),
            EventKind::SoftBounce => (vec![(None, ProviderAct::SoftBounce)], "counted"),
            EventKind::Deleted => {
                tx.mark_missing(tenant, connection, mailbox).await?;
                let detail = "a contact was deleted at the provider; it is not put back by itself";
                tx.raise(tenant, connection, "deleted", mailbox.0, detail, self.now()).await?;
                (vec![(Some(desk.connection.purpose), ProviderAct::Delete)], "noted")
            }
            EventKind::Touched => {
                let checked = tx.recheck_withdrawal(tenant, connection, mailbox, self.now()).await?
                    || tx.touch(tenant, connection, mailbox, self.now(), self.now() - ECHO).await?;
                (Vec::new(), if checked { "checked" } else { "ignored" })
            }
            EventKind::Traffic | EventKind::Unknown(_) => (Vec::new(), unnamed(&event.kind)),
        })
    }

    /// What an unsubscription for one purpose, or for all, says. A yes may be newer for one purpose and not for another,
    /// so each is weighed by itself.
    async fn unsubscription(
        &self,
        tx: &mut Tx,
        named: &Named<'_>,
        purpose: Option<PurposeId>,
        purposes: &[Purpose],
        variants: &[Address],
        standings: &Standings,
    ) -> Result<Vec<(Option<PurposeId>, ProviderAct)>, ServiceError> {
        let mut lines = Vec::with_capacity(purposes.len());
        for id in purposes.iter().map(|every| every.id).filter(|id| purpose.is_none_or(|own| own == *id)) {
            let of_purpose =
                variants.iter().map(|variant| standings.get(&(variant.id, id)).copied().unwrap_or_default());
            let of_purpose: Vec<Standing> = of_purpose.collect();
            let act = match self.weigh(tx, named, id, &best(&of_purpose, self.now()).1).await? {
                Verdict::Withdraw => ProviderAct::Unsubscribe,
                Verdict::Superseded => ProviderAct::UnsubscribeSuperseded,
            };
            lines.push((Some(id), act));
        }
        match lines.first() {
            Some((_, act)) if lines.iter().all(|(_, other)| other == act) => Ok(vec![(purpose, *act)]),
            None => Ok(vec![(purpose, ProviderAct::Unsubscribe)]),
            Some(_) => Ok(lines),
        }
    }

    /// Weighs an unsubscription against what the person said about one purpose, and against what was last seen on the
    /// lists of that purpose.
    async fn weigh(
        &self,
        tx: &mut Tx,
        named: &Named<'_>,
        purpose: PurposeId,
        standing: &Standing,
    ) -> Result<Verdict, ServiceError> {
        let Heard { desk, event, .. } = named.heard;
        let accepted_at = standing.basis.filter(|_| standing.sendable(self.now())).map(|basis| basis.at);
        if weigh_unsubscription(event.occurred_at, accepted_at, true) == Verdict::Withdraw {
            // Whatever was seen.
            return Ok(Verdict::Withdraw);
        }
        let mut seen_since = false;
        let same = |other: &&Connection| other.provider == desk.connection.provider && other.purpose == purpose;
        for (nth, connection) in desk.siblings.iter().filter(same).enumerate() {
            let holdings = tx.holdings(desk.tenant.id, connection.id, &[named.mailbox]).await?;
            let seen = holdings.get(&named.mailbox).map_or(0, |holding| holding.seen_mailable_at);
            seen_since = (nth == 0 || seen_since) && accepted_at.is_some_and(|at| seen > at);
        }
        Ok(weigh_unsubscription(event.occurred_at, accepted_at, seen_since))
    }

    /// Somebody whom no record knows said no: they can never be added by a later import.
    fn against_stranger(&self, heard: &Heard<'_>, mac: [u8; 32], purposes: &[Purpose]) -> Vec<([u8; 32], Suppression)> {
        let (reason, said) = match heard.event.kind {
            EventKind::Unsubscribed => ("withdrawn", concerned(heard.desk, &heard.event.affected)),
            EventKind::Complaint => ("complaint", vec![None]),
            _ => return Vec::new(),
        };
        let mut entries = Vec::new();
        for purpose in said {
            let ids = match purpose {
                Some(purpose) => vec![purpose],
                None => purposes.iter().map(|purpose| purpose.id).chain([EVERY_PURPOSE]).collect(),
            };
            let since = self.now();
            entries.extend(ids.into_iter().map(|purpose| (mac, Suppression { purpose, reason: reason.into(), since })));
        }
        entries
    }
}

/// Whether an event says something about the people it names.
const fn speaks(kind: &EventKind) -> bool {
    !matches!(kind, EventKind::Traffic | EventKind::Unknown(_))
}

/// What comes of an event that names nobody, or is about nobody's consent.
const fn unnamed(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Traffic => "ignored",
        EventKind::Unknown(_) => "unknown",
        _ => "unaddressed",
    }
}

fn evidence(heard: &Heard<'_>) -> serde_json::Value {
    let Heard { delivery, desk, event } = heard;
    json!({
        "inbox": delivery.id, "connection": desk.connection.slug, "provider": desk.connection.provider,
        "event": event.kind.word(), "detail": event.detail, "message_id": event.message_id,
        "occurred_at": event.occurred_at.map(|time| time.at), "received_at": delivery.received_at,
    })
}

/// Which purposes an unsubscription is about: those of the connections bound to the lists it names in the same
/// account. A list that no connection is bound to is taken for the connection's own, and where the provider names none
/// it is about all purposes: in doubt a person is mailed less.
fn concerned(desk: &Desk, affected: &Affected) -> Vec<Option<PurposeId>> {
    let Affected::Lists(lists) = affected else { return vec![None] };
    let mut purposes: Vec<PurposeId> =
        desk.siblings.iter().filter(|other| lists.contains(&other.list)).map(|other| other.purpose).collect();
    if purposes.is_empty() {
        purposes.push(desk.connection.purpose);
    }
    purposes.sort_unstable();
    purposes.dedup();
    purposes.into_iter().map(Some).collect()
}
