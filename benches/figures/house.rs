//! A product without a network on an empty database, and one tenant in it.

use crate::Options;
use consentd::clock::SystemClock;
use consentd::domain::consent::Language;
use consentd::domain::ids::{AccountId, ConnectionId};
use consentd::random::SystemRandom;
use consentd::service::{Core, Gateways, Rules};
use consentd::store::{Db, MasterKey, NewTenant, Store, Tenant, TenantKey, Vault};
use consentd_provider::{Gateway, Quota, RateHeaders};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

struct NoWayOut;

impl Gateways for NoWayOut {
    fn open(
        &self,
        _: ConnectionId,
        _: AccountId,
        _: &str,
        _: &[Quota],
        _: Option<RateHeaders>,
    ) -> Result<Arc<dyn Gateway>, String> {
        Err("a bench has no network".into())
    }
}

/// The product, its tenant, and the folder that goes with them.
pub struct House {
    pub core: Core,
    pub tenant: Tenant,
    pub key: TenantKey,
    pub folder: TempDir,
}

impl House {
    /// An empty database with one tenant.
    pub async fn build(options: &Options) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let sqlite = || format!("sqlite://{}", folder.path().join("bench.db").display());
        let db = Db::open(&options.database.clone().unwrap_or_else(sqlite), 4).await?;
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
        Ok(Self { core, tenant, key, folder })
    }
}

/// A number for each number, far from those of its neighbours.
pub const fn mixed(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The address of a person of [`write_export`].
pub fn email(n: u64) -> String {
    let mixed = mixed(n);
    format!("p{mixed:x}@example{}.org", mixed % 97)
}

/// A CRM's export: people in an order that has nothing to do with any index.
pub fn write_export(file: &Path, rows: u64) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::fs::File::create(file)?);
    writeln!(out, "Kundennummer;Typ;Nachname;Vorname;PLZ;Ort;Land;Gruppen;E-Mail")?;
    for n in 0..rows {
        let mixed = mixed(n);
        let kind = ["Kunde", "Kunde", "Kunde", "Lieferant"].get((mixed >> 8) as usize % 4).unwrap_or(&"Kunde");
        let tag = ["Pool", "Sauna", "Ofen", "Pool, Ofen", ""].get((mixed >> 16) as usize % 5).unwrap_or(&"");
        writeln!(
            out,
            "{n};{kind};Müller{n};Vorname{};{:05};Hamburg;DE;{tag};{}",
            mixed % 1000,
            mixed >> 24 & 0xffff,
            email(n)
        )?;
    }
    out.flush()
}
