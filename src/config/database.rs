use super::{Unusable, need};
use serde::Deserialize;

/// Where the data is.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `sqlite://PATH` or `postgres://…`.
    pub url: String,
    /// Connections kept open.
    pub connections: u32,
    /// Whether an older schema is brought up to date at start.
    pub migrate_at_start: bool,
    /// MiB set aside for withdrawals on a full disk.
    pub reserve_mib: u64,
}

/// Shows no password.
impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = self.url.split(':').next().unwrap_or_default();
        write!(f, "Database({scheme}, {} connections)", self.connections)
    }
}

impl Database {
    pub(super) fn validate(&self) -> Result<(), Unusable> {
        let known = ["sqlite://", "postgres://", "postgresql://"].iter().any(|scheme| self.url.starts_with(scheme));
        need(known, "database.url", "write `sqlite://PATH` or `postgres://USER:PASSWORD@HOST/NAME`")?;
        need(self.reserve_mib <= 4_096, "database.reserve_mib", "write a number from 0 to 4096")?;
        need((1..=500).contains(&self.connections), "database.connections", "write a number from 1 to 500")
    }
}
