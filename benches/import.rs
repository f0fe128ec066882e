//! Taking in a CRM's export and counting audiences over it, beside the bare limit of reading the same file.
//!
//! `cargo bench --bench import -- [ROWS] [DATABASE-URL]`; 200,000 rows into a SQLite file in a temporary folder unless told
//! otherwise.

use consentd::clock::SystemClock;
use consentd::domain::audience::Filter;
use consentd::domain::consent::{Language, Status};
use consentd::domain::contact::RecordKind;
use consentd::random::SystemRandom;
use consentd::service::import::{ImportMode, ImportOptions, ImportReport};
use consentd::service::{Core, Gateways, Rules};
use consentd::source::csv::Sheet;
use consentd::store::{Db, MasterKey, NewTenant, Store, Tenant, TenantKey, Vault};
use consentd_provider::{Gateway, Quota, RateHeaders};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

struct NoWayOut;

impl Gateways for NoWayOut {
    fn open(&self, _: uuid::Uuid, _: &str, _: &[Quota], _: Option<RateHeaders>) -> Result<Arc<dyn Gateway>, String> {
        Err("a bench has no network".into())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let rows: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let url = arguments.next().unwrap_or_else(|| format!("sqlite://{}", folder.path().join("bench.db").display()));
    let file = folder.path().join("export.csv");
    write_export(&file, rows)?;

    let bare = Instant::now();
    let mut sheet = Sheet::open(Box::new(File::open(&file)?))?;
    let mut cells = 0;
    while let Some(row) = sheet.next_row()? {
        cells += row.cells.map_or(0, |cells| cells.len());
    }
    let bare = bare.elapsed().as_secs_f64();
    println!("{:<28} {:>10.0} rows/s   ({cells} cells)", "bare reading", rate(rows, bare));

    let db = Db::open(&url, 4).await?;
    db.migrate().await?;
    let random = Arc::new(SystemRandom);
    let core = Core {
        store: Store::new(db, Vault::new(MasterKey::generate(&*random), vec![])),
        clock: Arc::new(SystemClock),
        random,
        gateways: Arc::new(NoWayOut),
        providers: consentd::registry::providers(),
        rules: Rules::default(),
        public_url: "https://consent.example.org".into(),
    };
    let slug = format!("bench-{}", std::process::id());
    let new = NewTenant {
        slug: slug.clone(),
        legal_name: "Bench GmbH".into(),
        postal_address: "Hafenstraße 1, 20457 Hamburg".into(),
        contact: "bench@example.org".into(),
        privacy_url: "https://example.org".into(),
        locale: Language::De,
        time_zone: "Europe/Berlin".into(),
    };
    core.create_tenant(&new).await?;
    let (tenant, key) = core.tenant(&slug).await?;
    for (name, mode, dry) in [
        ("dry run, empty store", ImportMode::Records, true),
        ("import, empty store", ImportMode::Records, false),
        ("import, nothing new", ImportMode::Records, false),
        ("mailing list, triage only", ImportMode::List, true),
    ] {
        let seconds = import(&core, &tenant, &key, &file, mode, dry).await?;
        println!("{name:<28} {:>10.0} rows/s   {:>5.1} % of bare reading", rate(rows, seconds), 100.0 * bare / seconds);
    }
    println!("{:<28} {:>10} MB", "resident at the most", resident_peak());
    audiences(&core, &tenant).await
}

async fn import(
    core: &Core,
    tenant: &Tenant,
    key: &TenantKey,
    file: &Path,
    mode: ImportMode,
    dry: bool,
) -> anyhow::Result<f64> {
    let options = ImportOptions::new(mode, "export.csv", "bench");
    let go_on = |_: &ImportReport| ControlFlow::Continue(());
    let start = Instant::now();
    let source = Box::new(File::open(file)?);
    let report = if dry {
        core.check_import(tenant, key, source, None, &options, &go_on).await?
    } else {
        core.run_import(tenant, key, source, None, &options, &go_on).await?
    };
    anyhow::ensure!(report.verdicts.values().sum::<u64>() == report.rows, "the numbers add up");
    Ok(start.elapsed().as_secs_f64())
}

async fn audiences(core: &Core, tenant: &Tenant) -> anyhow::Result<()> {
    let purpose = core.purpose(tenant, None).await?;
    let filters = [
        ("everybody", Filter::default()),
        ("status", Filter { statuses: vec![Status::NotAsked], ..Filter::default() }),
        ("kind", Filter { kinds: vec![RecordKind::Customer], ..Filter::default() }),
        (
            "tag, postcode, kind",
            Filter {
                any_tags: vec!["Pool".into()],
                postcodes: vec!["201".into()],
                kinds: vec![RecordKind::Customer],
                ..Filter::default()
            },
        ),
        (
            "one of three tags",
            Filter { any_tags: vec!["Pool".into(), "Sauna".into(), "Ofen".into()], ..Filter::default() },
        ),
        ("free text", Filter { text: "müller99".into(), ..Filter::default() }),
    ];
    for (name, filter) in filters {
        let mut times = Vec::new();
        let mut people = 0;
        for _ in 0..5 {
            let start = Instant::now();
            people = core.audience_summary(tenant, &purpose, &filter).await?.people;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let (least, median) = (times.first().unwrap_or(&0.0), times.get(2).unwrap_or(&0.0));
        println!("summary: {name:<19} {least:>10.1} ms at best, {median:.1} ms in the middle, {people} people");
    }
    let start = Instant::now();
    let page = core.audience_page(tenant, &purpose, &Filter::default(), None, 50).await?;
    println!(
        "first page of details        {:>10.1} ms, {} people",
        start.elapsed().as_secs_f64() * 1e3,
        page.members.len()
    );
    Ok(())
}

/// People in an order that has nothing to do with any index.
fn write_export(file: &Path, rows: u64) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    writeln!(out, "Kundennummer;Typ;Nachname;Vorname;PLZ;Ort;Land;Gruppen;E-Mail")?;
    for n in 0..rows {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let kind = ["Kunde", "Kunde", "Kunde", "Lieferant"].get((mixed >> 8) as usize % 4).unwrap_or(&"Kunde");
        let tag = ["Pool", "Sauna", "Ofen", "Pool, Ofen", ""].get((mixed >> 16) as usize % 5).unwrap_or(&"");
        writeln!(
            out,
            "{n};{kind};Müller{n};Vorname{};{:05};Hamburg;DE;{tag};p{mixed:x}@example{}.org",
            mixed % 1000,
            mixed >> 24 & 0xffff,
            mixed % 97
        )?;
    }
    out.flush()
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(rows: u64, seconds: f64) -> f64 {
    rows as f64 / seconds
}

/// The most memory this process ever held, from the kernel's own account.
fn resident_peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next())
        .and_then(|text| text.parse().ok())
        .map_or(0, |kb: u64| kb / 1024)
}
