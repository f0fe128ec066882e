//! Counting audiences and showing their first page, for every filter there is, beside a bare count of the same table.

use crate::Options;
use crate::figure::{Figure, resident_peak};
use crate::house::House;
use consentd::domain::audience::{Filter, Flag, Membership};
use consentd::domain::consent::Status;
use consentd::domain::contact::RecordKind;
use consentd::domain::ids::ConnectionId;
use consentd::store::{Db, Purpose};
use sqlx::AssertSqlSafe;
use std::time::Instant;
use uuid::Uuid;

/// Addresses unless told otherwise.
const ROWS: u64 = 1_000_000;

/// Measures the section.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let rows = options.rows.unwrap_or(ROWS);
    let house = House::build(options).await?;
    let purpose = house.core.purpose(&house.tenant, None).await?;
    let connection = ConnectionId(house.core.id());
    fill(&house, &purpose, connection, rows).await?;

    let (typical, worst) = if rows <= 100_000 { (50.0, 50.0) } else { (200.0, 600.0) };
    let mut figures = Vec::new();
    let mut medians = Vec::new();
    for (name, filter) in filters(connection) {
        let (mut times, mut bare, mut people) = (Vec::new(), Vec::new(), 0);
        for _ in 0..5 {
            bare.push(bare_count(&house, &purpose).await?);
            let start = Instant::now();
            people = house.core.audience_summary(&house.tenant, &purpose, &filter).await?.people;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let ((least, median), (limit, _)) = (spread(&mut times), spread(&mut bare));
        medians.push(median);
        figures.push(Figure {
            work: format!("audience of {rows}: {name}, {people} people"),
            bar: format!("{worst:.0} ms"),
            measured: format!("{median:.1} ms, {least:.1} at best"),
            limit: format!("{limit:.1} ms for a bare count"),
            ratio: Some(least / limit),
            met: Some(median <= worst),
        });
    }
    let (_, median) = spread(&mut medians);
    figures.push(Figure {
        work: format!("audience of {rows}: the filter in the middle"),
        bar: format!("{typical:.0} ms"),
        measured: format!("{median:.1} ms"),
        limit: "–".into(),
        ratio: None,
        met: Some(median <= typical),
    });
    let start = Instant::now();
    let page = house.core.audience_page(&house.tenant, &purpose, &Filter::default(), None, 100).await?;
    let page = (page.members.len(), start.elapsed().as_secs_f64() * 1e3);
    figures.push(Figure {
        work: format!("audience of {rows}: the first {} people with their records", page.0),
        bar: format!("{typical:.0} ms"),
        measured: format!("{:.1} ms", page.1),
        limit: "–".into(),
        ratio: None,
        met: Some(page.1 <= typical),
    });
    eprintln!("{} MiB resident at the most", resident_peak());
    Ok(figures)
}

/// The least and the middle.
fn spread(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times.first().copied().unwrap_or_default(), times.get(times.len() / 2).copied().unwrap_or_default())
}

/// Each part of a filter alone, and some together.
fn filters(connection: ConnectionId) -> Vec<(&'static str, Filter)> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>();
    let all = Filter::default;
    vec![
        ("everybody", all()),
        ("not asked", Filter { statuses: vec![Status::NotAsked], ..all() }),
        ("accepted or waiting", Filter { statuses: vec![Status::Accepted, Status::Waiting], ..all() }),
        ("bounced", Filter { flags: vec![Flag::HardBounce], ..all() }),
        ("customers", Filter { kinds: vec![RecordKind::Customer], ..all() }),
        ("prospects", Filter { prospect: Some(true), ..all() }),
        ("businesses", Filter { professional: Some(true), ..all() }),
        ("a language", Filter { languages: words(&["fr"]), ..all() }),
        ("a postcode", Filter { postcodes: words(&["201"]), ..all() }),
        ("a town", Filter { towns: words(&["Köln"]), ..all() }),
        ("a country", Filter { countries: words(&["DE"]), ..all() }),
        ("a tag", Filter { any_tags: words(&["Sauna"]), ..all() }),
        ("one of three tags", Filter { any_tags: words(&["Pool", "Sauna", "Ofen"]), ..all() }),
        ("two tags together", Filter { all_tags: words(&["Pool", "Ofen"]), ..all() }),
        ("rare free text", Filter { text: "müller9999".into(), ..all() }),
        ("free text that everybody has", Filter { text: "@example".into(), ..all() }),
        ("on the list", Filter { membership: Some(Membership::List(connection)), ..all() }),
        ("not on the list", Filter { membership: Some(Membership::NotYetSynced(connection)), ..all() }),
        (
            "accepted customers, tag, postcode",
            Filter {
                statuses: vec![Status::Accepted],
                kinds: vec![RecordKind::Customer],
                any_tags: words(&["Pool"]),
                postcodes: words(&["20"]),
                ..all()
            },
        ),
    ]
}

/// Counts the rows and does nothing else, in milliseconds.
async fn bare_count(house: &House, purpose: &Purpose) -> anyhow::Result<f64> {
    const COUNT: &str = "SELECT COUNT(*) FROM reach WHERE tenant_id = $1 AND purpose_id = $2";
    let start = Instant::now();
    let (tenant, purpose) = (house.tenant.id.0, purpose.id.0);
    let (count,): (i64,) = match &house.core.store.db {
        Db::Sqlite { read, .. } => sqlx::query_as(COUNT).bind(tenant).bind(purpose).fetch_one(read).await?,
        Db::Pg(pool) => sqlx::query_as(COUNT).bind(tenant).bind(purpose).fetch_one(pool).await?,
    };
    anyhow::ensure!(count > 0, "there are rows to count");
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// One address a mailbox; one mailbox in fifty is in two records, one in a hundred has two spellings. Written by the engine itself; only
/// `reach` is made by the product.
async fn fill(house: &House, purpose: &Purpose, connection: ConnectionId, rows: u64) -> anyhow::Result<()> {
    let words = Words::of(house);
    let (tenant, purpose, connection) =
        (words.id_of(house.tenant.id.0), words.id_of(purpose.id.0), words.id_of(connection.0));
    let (mailbox, address, other, first, second) = (words.id(1), words.id(2), words.id(3), words.id(4), words.id(5));
    let (mac, yes, no) = (words.digest(), words.bool(true), words.bool(false));
    let chance = "(i * 2654435761 % 1000003 % 100)";
    let from = words.numbers(rows);
    let pick = |list: &[&str], salt: u32| {
        let cases: Vec<String> = list.iter().enumerate().map(|(n, word)| format!("WHEN {n} THEN '{word}'")).collect();
        format!("CASE (i * 40503 + i / 7 + {salt}) * 7919 % 10007 % {} {} END", list.len(), cases.join(" "))
    };
    let (town, tags) = (
        pick(&["koln", "hamburg", "munchen", "strassburg", "lyon", "berlin", "kassel", "bremen"], 3),
        pick(&["|pool|", "|sauna|", "|ofen|", "|ofen|pool|", ""], 5),
    );
    let (language, kind) = (
        pick(&["de", "fr", ""], 7),
        format!(
            "CASE WHEN {chance} % 20 < 14 THEN 'customer' WHEN {chance} % 20 < 18 THEN 'supplier' ELSE 'address_book' END"
        ),
    );
    let flag = |limit: u32| format!("CASE WHEN (i * 31 + i / 11) % 100 < {limit} THEN {yes} ELSE {no} END");
    let (postcode, prospect, business, bin) = (words.postcode(), flag(30), flag(20), flag(5));
    let record = |id: &str, crm: &str, only: &str| {
        format!(
            "INSERT INTO record (tenant_id, id, kind, crm_id, last_name, first_name, company, language, postcode, town, country,
                                 prospect, professional, bin, search, town_key, country_key, tag_keys, person, updated_at)
             SELECT {tenant}, {id}, {kind}, '{crm}' || i, 'Müller' || i, 'Vorname' || (i % 1000), 'Firma GmbH', {language}, {postcode},
                    {town}, 'DE', {prospect}, {business}, {bin}, 'muller' || i || ' vorname' || (i % 1000) || ' firma gmbh', {town}, 'de',
                    {tags}, {mac}, 0 FROM {from} WHERE {only}"
        )
    };
    let link = |record: &str, only: &str| {
        format!(
            "INSERT INTO record_address (tenant_id, record_id, position, address_id, mailbox_id)
             SELECT {tenant}, {record}, 0, {address}, {mailbox} FROM {from} WHERE {only}"
        )
    };
    let spelling = |id: &str, exact: &str, only: &str| {
        format!(
            "INSERT INTO address (tenant_id, id, mailbox_id, exact, role, created_at)
             SELECT {tenant}, {id}, {mailbox}, '{exact}' || i || '@example' || (i % 97) || '.org', {no}, 0 FROM {from} WHERE {only}"
        )
    };
    let standing = |id: &str, only: &str| {
        format!(
            "INSERT INTO standing (tenant_id, address_id, purpose_id, mailbox_id, state, seq, since, basis_seq, basis_id, basis_at,
                                   valid_until, negative_seq, annullable, asked_at, asked_since, asks, flags)
             SELECT {tenant}, {id}, {purpose}, {mailbox},
                    CASE WHEN {chance} < 35 THEN 'accepted' WHEN {chance} < 45 THEN 'pending' WHEN {chance} < 52 THEN 'refused'
                         WHEN {chance} < 60 THEN 'withdrawn' WHEN {chance} < 61 THEN 'lapsed' ELSE 'not_asked' END,
                    i, 0, CASE WHEN {chance} < 35 THEN i END, CASE WHEN {chance} < 35 THEN {id} END, CASE WHEN {chance} < 35 THEN 0 END,
                    CASE WHEN {chance} < 2 THEN 1 END, NULL, {no}, NULL, NULL, 0, CASE WHEN i % 50 = 0 THEN 1 ELSE 0 END
             FROM {from} WHERE {only}"
        )
    };
    let (twice, spelled) = ("i % 50 = 7", "i % 100 = 9");
    for text in [
        format!("INSERT INTO mailbox (tenant_id, id, mac) SELECT {tenant}, {mailbox}, {mac} FROM {from} WHERE i > 0"),
        spelling(&address, "p", "i > 0"),
        spelling(&other, "P", spelled),
        record(&first, "K", "i > 0"),
        record(&second, "L", twice),
        link(&first, "i > 0"),
        link(&second, twice),
        standing(&address, "i > 0"),
        standing(&other, spelled),
        format!(
            "INSERT INTO holding (tenant_id, connection_id, mailbox_id, address_id, held, basis_seq, digest, person, mapping, unsettled_until,
                                  add_unknown_at, seen_mailable_at, taken_off_at)
             SELECT {tenant}, {connection}, {mailbox}, {address}, 'subscribed', i, {mac}, {mac}, {mac}, 0, 0, 0, 0 FROM {from} WHERE {chance} < 30"
        ),
    ] {
        words.run(house, text).await?;
    }
    let mut tx = house.core.store.begin().await?;
    tx.refresh_all_reach(house.tenant.id).await?;
    tx.commit().await?;
    if matches!(words, Words::Postgres) {
        // What autovacuum does within a minute after so many rows came.
        words.run(house, "VACUUM ANALYZE".into()).await?;
    }
    Ok(())
}

/// What the two engines say differently.
#[derive(Clone, Copy)]
enum Words {
    Sqlite,
    Postgres,
}

impl Words {
    const fn of(house: &House) -> Self {
        match house.core.store.db {
            Db::Sqlite { .. } => Self::Sqlite,
            Db::Pg(_) => Self::Postgres,
        }
    }

    fn id_of(self, id: Uuid) -> String {
        match self {
            Self::Sqlite => format!("X'{}'", id.simple()),
            Self::Postgres => format!("CAST('{id}' AS UUID)"),
        }
    }

    /// An id that grows with the number, as real ones do with time.
    fn id(self, salt: u32) -> String {
        match self {
            Self::Sqlite => format!("unhex(printf('%012x7000%016x', i * 1000 + {salt}, i * 2654435761 + {salt}))"),
            Self::Postgres => format!(
                "CAST(lpad(to_hex(i * 1000 + {salt}), 12, '0') || '7000' || lpad(to_hex(i * 2654435761 + {salt}), 16, '0') AS UUID)"
            ),
        }
    }

    const fn digest(self) -> &'static str {
        match self {
            Self::Sqlite => "unhex(printf('%064x', i))",
            Self::Postgres => "decode(lpad(to_hex(i), 64, '0'), 'hex')",
        }
    }

    const fn bool(self, value: bool) -> &'static str {
        match (self, value) {
            (Self::Sqlite, true) => "1",
            (Self::Sqlite, false) => "0",
            (Self::Postgres, true) => "TRUE",
            (Self::Postgres, false) => "FALSE",
        }
    }

    const fn postcode(self) -> &'static str {
        match self {
            Self::Sqlite => "printf('%05d', i * 48271 % 99991)",
            Self::Postgres => "lpad(CAST(i * 48271 % 99991 AS TEXT), 5, '0')",
        }
    }

    fn numbers(self, rows: u64) -> String {
        match self {
            Self::Sqlite => format!(
                "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n) s"
            ),
            Self::Postgres => format!("generate_series(CAST(1 AS BIGINT), {rows}) AS s (i)"),
        }
    }

    async fn run(self, house: &House, text: String) -> anyhow::Result<()> {
        let text = AssertSqlSafe(text);
        match &house.core.store.db {
            Db::Sqlite { write, .. } => sqlx::query(text).execute(write).await.map(drop)?,
            Db::Pg(pool) => sqlx::query(text).execute(pool).await.map(drop)?,
        }
        Ok(())
    }
}
