//! The database. The only module that imports sqlx; one file per noun, SQL in `sql/<noun>/<verb>.sql`.

mod address;
mod append;
mod bell;
mod connection;
pub(crate) mod db;
mod error;
mod glance;
mod history;
mod holding;
mod inbox;
mod incident;
mod job;
mod lease;
mod migrate;
mod patience;
mod people;
mod person_key;
mod purpose;
mod reach;
mod record;
mod reserve;
mod rows;
mod run;
mod search;
mod sole;
mod standing;
mod tenant;
mod token;
mod touched;
mod vault;
mod walk;
mod whole;
mod withdrawal;

pub use address::{Address, EVERY_PURPOSE, Suppression};
pub use bell::{DueBell, Ring};
pub use connection::{Connection, ConnectionState};
pub use db::{Db, Tx};
pub use error::StoreError;
pub use glance::ConnectionGlance;
pub use history::{Head, Line, NewLine};
pub use holding::{Entry, Holding, LedgerLine};
pub use inbox::{InboxCount, KeptDelivery, NewDelivery, NewEvent};
pub use incident::Incident;
pub use job::Job;
pub use migrate::Migration;
pub use people::PersonRow;
pub use purpose::Purpose;
pub use record::Record;
pub use reserve::Reserve;
pub use run::{NewItem, OpenItem, PendingItem, Removal, Run, RunState, ShownItem};
pub use search::Group;
pub use sole::{NotSole, Sole};
pub use standing::Kept;
pub use tenant::{NewTenant, Tenant};
pub use token::{Link, NewLink};
pub use vault::{MasterKey, Sealed, TenantKey, Vault, VaultError};
pub use walk::{Difference, RemoteSummary, Seen, Stranger, Walk};
pub use whole::{LinesPage, OpenedKeys, Place, StandingsPage, WholeLine};
pub use withdrawal::{NewWithdrawal, Phase, Waiting, Withdrawal, scope_word};

pub(crate) use address::{addresses_of_mailboxes, mailboxes_by_mac, suppressed};
pub(crate) use append::Whose;
pub(crate) use db::Ask;
pub(crate) use people::people;
pub use record::Keyed;
pub(crate) use record::{mailboxes_in_crm, records_of_keys};
pub(crate) use standing::standings_of_mailboxes;

use std::sync::Arc;

/// A database and the key that opens its secrets.
#[derive(Clone)]
pub struct Store {
    /// The engine.
    pub db: Db,
    /// Secrets at rest.
    pub vault: Arc<Vault>,
    /// The emergency area for a full disk.
    pub reserve: Reserve,
}

impl Store {
    /// Puts both together, without an emergency area.
    #[must_use]
    pub fn new(db: Db, vault: Vault) -> Self {
        Self { db, vault: Arc::new(vault), reserve: Reserve::default() }
    }

    /// Begins a write.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        self.db.begin().await
    }
}
