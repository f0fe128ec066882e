//! Checking a history, beside the bare limit of reading the same rows and hashing them in one loop with nothing else.

use crate::Options;
use crate::figure::{Figure, rate, resident_peak};
use crate::house::House;
use consentd::clock::SECOND;
use consentd::domain::consent::{Actor, Kind};
use consentd::domain::ids::{AddressId, MailboxId, PurposeId};
use consentd::store::{Db, NewLine};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::time::Instant;
use uuid::Uuid;

/// Lines unless told otherwise.
const LINES: u64 = 600_000;

/// Lines appended in one go.
const BATCH: u64 = 20_000;

/// Measures the section.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let lines = options.rows.unwrap_or(LINES);
    let house = House::build(options).await?;
    write_history(&house, lines).await?;

    let before = resident_peak();
    let (mut best, mut bare_best) = (0.0_f64, 0.0_f64);
    for _ in 0..3 {
        let start = Instant::now();
        let hashed = hash_all(&house).await?;
        anyhow::ensure!(hashed == lines, "{hashed} rows");
        bare_best = bare_best.max(rate(lines, start.elapsed().as_secs_f64()));

        let start = Instant::now();
        let found = house.core.verify(&house.tenant, &house.key).await?;
        anyhow::ensure!(found.is_sound() && found.payloads.cast_unsigned() == lines, "{found:?}");
        best = best.max(rate(lines, start.elapsed().as_secs_f64()));
    }
    let peak = resident_peak();
    Ok(vec![
        Figure {
            work: format!("verify, {lines} lines: links, payloads, standings; best of 3"),
            bar: "400000 lines/s".into(),
            measured: format!("{best:.0} lines/s"),
            limit: format!("{bare_best:.0} lines/s read row by row and hashed, on one core"),
            ratio: Some(best / bare_best),
            met: Some(best >= 400_000.0),
        },
        Figure {
            work: "memory of verify, resident at the most".into(),
            bar: "–".into(),
            measured: format!("{peak} MiB"),
            limit: format!("{before} MiB after writing the history"),
            ratio: None,
            met: None,
        },
    ])
}

/// Three lines a person: taken from the CRM, asked, accepted; each batch all lines of its people, kind by kind.
async fn write_history(house: &House, lines: u64) -> anyhow::Result<()> {
    let core = &house.core;
    let purpose = core.purpose(&house.tenant, None).await?.id;
    let mut written = 0;
    while written < lines {
        let batch = BATCH.min(lines - written);
        let people: Vec<(AddressId, MailboxId)> =
            (0..batch.div_ceil(3)).map(|_| (AddressId(core.id()), MailboxId(core.id()))).collect();
        let steps = [
            (None, Kind::Imported, Actor::Operator),
            (Some(purpose), Kind::RequestSent, Actor::Operator),
            (Some(purpose), Kind::Accepted, Actor::Recipient),
        ];
        for (about, kind, actor) in steps {
            let left = usize::try_from(lines - written)?;
            let lines: Vec<NewLine> =
                people.iter().take(left).map(|person| line(*person, about, kind, actor)).collect();
            let mut tx = core.store.begin().await?;
            tx.append(&house.tenant, &house.key, &lines, core.now() + SECOND, &*core.random).await?;
            tx.commit().await?;
            written += lines.len() as u64;
        }
    }
    Ok(())
}

fn line((address, mailbox): (AddressId, MailboxId), purpose: Option<PurposeId>, kind: Kind, actor: Actor) -> NewLine {
    let payload = json!({
        "address": format!("{}@example.org", address.0.simple()),
        "evidence": { "file": "export.csv", "line": 12_345, "operator": "office", "record": { "kind": "customer", "crm_id": "K-12345" } },
        "act": null,
    });
    NewLine { address, mailbox, purpose, kind, actor, detail: None, payload, new_address: kind == Kind::Imported }
}

const ROWS: &str = "SELECT seq, id, address_id, purpose_id, kind, actor, recorded_at, detail, payload, payload_mac, hash \
                    FROM statement WHERE tenant_id = $1 AND seq > $2 ORDER BY seq LIMIT 2000";

type Stored = (i64, Uuid, Uuid, Option<Uuid>, String, String, i64, Option<i64>, Vec<u8>, Vec<u8>, Vec<u8>);

/// Reads all rows and hashes what is in them, each with the hash before it; returns how many.
async fn hash_all(house: &House) -> anyhow::Result<u64> {
    let tenant = house.tenant.id.0;
    let (mut after, mut count, mut last) = (0_i64, 0, [0_u8; 32]);
    loop {
        let query = sqlx::query_as(ROWS).bind(tenant).bind(after);
        let rows: Vec<Stored> = match &house.core.store.db {
            Db::Sqlite { read, .. } => query.fetch_all(read).await?,
            Db::Pg(pool) => sqlx::query_as(ROWS).bind(tenant).bind(after).fetch_all(pool).await?,
        };
        if rows.is_empty() {
            std::hint::black_box(last);
            return Ok(count);
        }
        for (seq, id, address, purpose, kind, actor, at, detail, payload, mac, hash) in &rows {
            let mut digest = Sha256::new_with_prefix(last);
            for number in [*seq, *at, detail.unwrap_or_default()] {
                digest.update(number.to_be_bytes());
            }
            for bytes in [id.as_bytes(), address.as_bytes(), purpose.unwrap_or_default().as_bytes()] {
                digest.update(bytes);
            }
            for bytes in [kind.as_bytes(), actor.as_bytes(), payload, mac, hash] {
                digest.update(bytes);
            }
            last = digest.finalize().into();
            after = *seq;
            count += 1;
        }
    }
}
