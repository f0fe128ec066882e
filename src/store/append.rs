//! Appending to a tenant's history.
//!
//! [`Tx::append`] takes the tenant's chain head, seals payloads under the persons' keys, links the lines and folds them into
//! the kept standings, all in the caller's transaction. An import takes the same three steps one by one, so that lines are
//! sealed while the database works on something else.

use crate::clock::Timestamp;
use crate::domain::chain::{self, Header};
use crate::domain::fold::Standing;
use crate::domain::ids::{AddressId, MailboxId, PurposeId, StatementId, TenantId};
use crate::random::{self, Drawn, Random};
use crate::store::db::sql;
use crate::store::{Head, Kept, Line, NewLine, Purpose, Sealed, StoreError, Tenant, TenantKey, Tx};
use std::collections::HashMap;

/// Lines sealed before whoever waits beside gets a turn.
const TURN: usize = 8;

/// Whose history lines are appended to.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) key: &'a TenantKey,
    pub(crate) random: &'a dyn Random,
    pub(crate) now: Timestamp,
}

/// What has to be known before lines are sealed.
pub(crate) struct Before {
    head: Head,
    purposes: Vec<Purpose>,
    persons: HashMap<AddressId, [u8; 32]>,
    standings: HashMap<(AddressId, PurposeId), Kept>,
}

/// Lines that only have to be written.
pub(crate) struct Ready {
    head: Head,
    lines: Vec<Line>,
    /// Keys of persons who had none.
    keys: Vec<(AddressId, Sealed)>,
    /// The standings that the lines lead to.
    pub(crate) kept: Vec<Kept>,
}

impl Before {
    /// Links, seals and folds lines in their order. Lets others have a turn now and then.
    ///
    /// Persons without a key get one; an erased person's lines are sealed under a key that is then forgotten.
    pub(crate) async fn seal(mut self, whose: Whose<'_>, lines: &[NewLine]) -> Result<Ready, StoreError> {
        let Whose { tenant, key, now, .. } = whose;
        // A person's key and two nonces a line.
        let random = &Drawn::from(whose.random, lines.len() * 80);
        let mut ready =
            Ready { head: self.head, lines: Vec::with_capacity(lines.len()), keys: Vec::new(), kept: Vec::new() };
        for (n, (line, id)) in lines.iter().zip(random::uuids(lines.len(), now, random)).enumerate() {
            if n % TURN == TURN - 1 {
                tokio::task::yield_now().await;
            }
            let person = if let Some(person) = self.persons.get(&line.address) {
                *person
            } else {
                let person = random::bytes(random);
                if line.new_address {
                    ready.keys.push((line.address, key.seal(line.address.0, "person", &person, random)?));
                }
                self.persons.insert(line.address, person);
                person
            };
            let payload = line.payload.to_string().into_bytes();
            let payload_mac = chain::payload_mac(&person, &payload);
            let header = Header {
                tenant: tenant.id,
                seq: ready.head.seq + 1,
                id: StatementId(id),
                address: line.address,
                purpose: line.purpose,
                kind: line.kind,
                actor: line.actor,
                at: now,
                detail: line.detail,
            };
            ready.head = Head { seq: header.seq, hash: chain::link(&ready.head.hash, &header, &payload_mac) };
            let sealed_payload =
                TenantKey::for_person(tenant.id, person).seal(header.id.0, "payload", &payload, random)?;
            let written = Line { header, sealed_payload, payload_mac, hash: ready.head.hash };
            for purpose in self.purposes.iter().filter(|purpose| written.concerns(purpose.id)) {
                let kept = self.standings.entry((line.address, purpose.id)).or_insert_with(|| Kept {
                    address: line.address,
                    mailbox: line.mailbox,
                    purpose: purpose.id,
                    standing: Standing::default(),
                });
                kept.standing = kept.standing.after(&written.event());
            }
            ready.lines.push(written);
        }
        ready.kept = self.standings.into_values().collect();
        ready.kept.sort_unstable_by_key(|kept| (kept.address, kept.purpose));
        Ok(ready)
    }
}

impl Tx {
    /// Appends lines in their order and folds them in. Returns the standings they lead to, all purposes.
    ///
    /// # Errors
    /// [`StoreError`]; nothing is kept then.
    pub async fn append(
        &mut self,
        tenant: &Tenant,
        key: &TenantKey,
        lines: &[NewLine],
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Vec<Kept>, StoreError> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let whose = Whose { tenant, key, random, now };
        let known = lines.iter().filter(|line| !line.new_address).map(|line| line.address).collect();
        let ready = self.before(whose, known).await?.seal(whose, lines).await?;
        self.write(tenant.id, &ready).await?;
        let (mut fresh, mut known): (Vec<MailboxId>, Vec<MailboxId>) = (Vec::new(), Vec::new());
        for line in lines {
            if line.new_address { &mut fresh } else { &mut known }.push(line.mailbox);
        }
        for mailboxes in [&mut fresh, &mut known] {
            mailboxes.sort();
            mailboxes.dedup();
        }
        self.refresh_reach(tenant.id, &fresh).await?;
        self.follow_reach(tenant.id, &known).await?;
        Ok(ready.kept)
    }

    /// The first step of [`Tx::append`]: takes the head of the history and looks up what lines about known addresses build on.
    pub(crate) async fn before(&mut self, whose: Whose<'_>, mut known: Vec<AddressId>) -> Result<Before, StoreError> {
        let tenant = whose.tenant.id;
        let head = self.lock_head(tenant).await?;
        let purposes = self.purposes(tenant).await?;
        known.sort();
        known.dedup();
        if known.is_empty() {
            return Ok(Before { head, purposes, persons: HashMap::new(), standings: HashMap::new() });
        }
        let persons = self.known_keys(tenant, whose.key, &known).await?;
        let kept = self.standings_of(tenant, &known).await?;
        let standings = kept.into_iter().map(|kept| ((kept.address, kept.purpose), kept)).collect();
        Ok(Before { head, purposes, persons, standings })
    }

    /// The last step of [`Tx::append`]. Leaves it to the caller to keep `reach` in step.
    pub(crate) async fn write(&mut self, tenant: TenantId, ready: &Ready) -> Result<(), StoreError> {
        self.insert_many(sql!("subject_key/insert"), 3, &ready.keys, |row, (address, sealed)| {
            row.bind(tenant.0)?.bind(address.0)?.bind(&**sealed)?;
            Ok(())
        })
        .await?;
        self.insert_many(sql!("statement/insert"), 12, &ready.lines, |row, line| {
            let h = &line.header;
            row.bind(tenant.0)?
                .bind(h.seq)?
                .bind(h.id.0)?
                .bind(h.address.0)?
                .bind(h.purpose.map(|purpose| purpose.0))?
                .bind(h.kind.word())?
                .bind(h.actor.as_word())?
                .bind(h.at)?
                .bind(h.detail)?
                .bind(&*line.sealed_payload)?
                .bind(line.payload_mac.to_vec())?
                .bind(line.hash.to_vec())?;
            Ok(())
        })
        .await?;
        let head = &ready.head;
        self.q(sql!("chain_head/set")).bind(tenant.0).bind(head.seq).bind(head.hash.to_vec()).exec().await?;
        self.keep(tenant, &ready.kept).await
    }
}
