//! What people said before consentd: refusals, and acceptances with their evidence.

use crate::domain::consent::{Act, LegacyProof, OperatorAct, State};
use crate::domain::ids::PurposeId;
use crate::domain::triage::{Verdict, verdict_of};
use crate::service::ServiceError;
use crate::service::consent::{Saying, suppressions};
use crate::service::import::known::Known;
use crate::service::import::read::Parsed;
use crate::service::import::{Import, short};
use crate::store::{Address, EVERY_PURPOSE, Tx};
use serde_json::Value;

/// What a batch of refusals leads to.
#[derive(Default)]
struct OptOutWork {
    /// One spelling of each known mailbox, with the evidence.
    said: Vec<(Address, Value)>,
    /// Mailboxes that nobody knows.
    unknown: Vec<[u8; 32]>,
}

/// What a batch of acceptances leads to.
#[derive(Default)]
struct ProofWork {
    said: Vec<(Address, LegacyProof, Value)>,
}

impl Import<'_> {
    pub(super) async fn take_opt_outs(&mut self, rows: &[Parsed], dry: bool) -> Result<(), ServiceError> {
        if dry {
            let known = self.known(&mut self.core.store.db.clone(), rows).await?;
            self.weigh_opt_outs(rows, &known);
            return Ok(());
        }
        let mut tx = self.core.store.begin().await?;
        tx.lock_head(self.tenant.id).await?;
        let known = self.known(&mut tx, rows).await?;
        let work = self.weigh_opt_outs(rows, &known);
        self.save_opt_outs(&mut tx, work).await?;
        Ok(tx.commit().await?)
    }

    fn weigh_opt_outs(&mut self, rows: &[Parsed], known: &Known) -> OptOutWork {
        let mut work = OptOutWork::default();
        for row in rows {
            let (verdict, why) = match (Self::judge_form(row), &row.contact) {
                (None, Ok(_)) => self.judge_opt_out(row, known, &mut work),
                (form, _) => form.unwrap_or((Verdict::Invalid, None)),
            };
            self.count(row, verdict, why.as_deref(), false);
        }
        work
    }

    fn judge_opt_out(&mut self, row: &Parsed, known: &Known, work: &mut OptOutWork) -> (Verdict, Option<String>) {
        let mut verdict = Verdict::Duplicate;
        for (_, mac) in &row.people {
            if !self.seen.insert(short(mac)) {
                continue;
            }
            let of_address = if let Some(mailbox) = known.mailbox(mac) {
                // Whoever said no and then yes again has said so later than any file from before.
                let settled =
                    self.refused_purposes().all(|purpose| known.standing(mailbox, purpose).negative.is_some());
                if let (false, Some(spelling)) = (settled, known.spellings(mailbox).first()) {
                    let evidence = row.contact.as_ref().map_or(Value::Null, |contact| self.evidence(row, contact));
                    work.said.push((spelling.clone(), evidence));
                }
                verdict_of(&known.standing(mailbox, self.purpose), true)
            } else if known.suppressed(mac).contains(&self.options.purpose.unwrap_or(EVERY_PURPOSE)) {
                Verdict::Refused
            } else {
                work.unknown.push(*mac);
                Verdict::External
            };
            if verdict == Verdict::Duplicate {
                verdict = of_address;
            }
        }
        (verdict, None)
    }

    fn refused_purposes(&self) -> impl Iterator<Item = PurposeId> + '_ {
        let one = self.options.purpose;
        self.purposes.iter().map(|purpose| purpose.id).filter(move |purpose| one.is_none_or(|one| one == *purpose))
    }

    async fn save_opt_outs(&mut self, tx: &mut Tx, work: OptOutWork) -> Result<(), ServiceError> {
        let now = self.core.now();
        let purpose = self.options.purpose;
        self.report.refusals += count(work.said.len());
        let sayings: Vec<Saying<'_>> = work
            .said
            .iter()
            .map(|(address, evidence)| Saying {
                address,
                purpose,
                act: Act::Operator(OperatorAct::ImportOptOut),
                evidence: evidence.clone(),
            })
            .collect();
        self.core.say_many(tx, self.tenant, self.key, &sayings).await?;
        self.report.suppressions += count(work.unknown.len());
        let entries: Vec<_> =
            work.unknown.iter().flat_map(|mac| suppressions(*mac, purpose, &self.purposes, "opt_out", now)).collect();
        tx.suppress(self.tenant.id, &entries).await?;
        Ok(())
    }

    pub(super) async fn take_proofs(&mut self, rows: &[Parsed], dry: bool) -> Result<(), ServiceError> {
        if dry {
            let known = self.known(&mut self.core.store.db.clone(), rows).await?;
            self.weigh_proofs(rows, &known);
            return Ok(());
        }
        let mut tx = self.core.store.begin().await?;
        tx.lock_head(self.tenant.id).await?;
        let known = self.known(&mut tx, rows).await?;
        let work = self.weigh_proofs(rows, &known);
        self.save_proofs(&mut tx, work).await?;
        Ok(tx.commit().await?)
    }

    fn weigh_proofs(&mut self, rows: &[Parsed], known: &Known) -> ProofWork {
        let mut work = ProofWork::default();
        for row in rows {
            let (verdict, why) = match Self::judge_form(row) {
                Some(form) => form,
                None => self.judge_proof(row, known, &mut work),
            };
            self.count(row, verdict, why.as_deref(), true);
        }
        work
    }

    fn judge_proof(&mut self, row: &Parsed, known: &Known, work: &mut ProofWork) -> (Verdict, Option<String>) {
        let invalid = |why: &str| (Verdict::Invalid, Some(why.to_owned()));
        let (Ok(contact), [(email, mac)]) = (&row.contact, row.people.as_slice()) else {
            return invalid("a row of evidence must name exactly one address");
        };
        let [first, second] = &self.options.approvers;
        let parts = (&contact.accepted_at, &contact.text_shown, &contact.evidence);
        let proof = match LegacyProof::check(self.tenant.legacy_proof, parts.0, parts.1, parts.2, [first, second]) {
            Ok(proof) => proof,
            Err(error) => return invalid(&error.to_string()),
        };
        if !self.seen.insert(short(mac)) {
            return (Verdict::Duplicate, None);
        }
        let Some(mailbox) = known.mailbox(mac) else {
            return if self.is_suppressed(known, mac) { (Verdict::Refused, None) } else { (Verdict::External, None) };
        };
        let standing = known.standing(mailbox, self.purpose);
        let place = known.in_crm.get(&mailbox).copied();
        let verdict = verdict_of(&standing, place == Some(true));
        if place.is_none() && verdict == Verdict::InBin {
            return (Verdict::External, None);
        }
        if standing.state == State::Accepted
            || matches!(verdict, Verdict::Refused | Verdict::Undeliverable | Verdict::InBin)
        {
            return (verdict, None);
        }
        let act = OperatorAct::ImportProof(proof.clone());
        if let Err(denied) = standing.allows(&Act::Operator(act), self.core.now()) {
            return (Verdict::Refused, Some(denied.to_string()));
        }
        let Some(address) = known.spellings(mailbox).iter().find(|spelling| spelling.email == *email) else {
            return invalid("the CRM spells this address differently; a consent holds for the exact address only");
        };
        work.said.push((address.clone(), proof, self.evidence(row, contact)));
        (verdict, None)
    }

    async fn save_proofs(&mut self, tx: &mut Tx, work: ProofWork) -> Result<(), ServiceError> {
        self.report.acceptances += count(work.said.len());
        let sayings: Vec<Saying<'_>> = work
            .said
            .iter()
            .map(|(address, proof, evidence)| Saying {
                address,
                purpose: Some(self.purpose),
                act: Act::Operator(OperatorAct::ImportProof(proof.clone())),
                evidence: evidence.clone(),
            })
            .collect();
        self.core.say_many(tx, self.tenant, self.key, &sayings).await?;
        Ok(())
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
