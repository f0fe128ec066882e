//! When connections are due to be synchronised.

use crate::clock::Timestamp;
use crate::domain::ids::{ConnectionId, RunId};
use crate::store::db::sql;
use crate::store::{StoreError, Tx};
use serde_json::json;
use uuid::Uuid;

/// A connection whose bell is due.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct DueBell {
    /// Which connection.
    pub id: Uuid,
    /// Its expression.
    pub cron: String,
    /// Its time zone.
    pub time_zone: String,
}

/// A bell that rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ring {
    /// The connection.
    pub connection: ConnectionId,
    /// The run that is asked for.
    pub run: RunId,
    /// When it rings next.
    pub next_at: Option<Timestamp>,
}

impl Tx {
    /// Connections whose bell should have rung by now and whose last run is over. Nobody else rings these until this
    /// transaction ends.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_bells(&mut self, now: Timestamp, limit: i64) -> Result<Vec<DueBell>, StoreError> {
        self.q(sql!(split "bell/due")).bind(now).bind(limit).all().await
    }

    /// Asks for a run of each connection, unless one is open by now, and sets its bell anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ring(&mut self, rings: &[Ring], now: Timestamp) -> Result<(), StoreError> {
        let rings: Vec<_> = rings
            .iter()
            .map(|ring| {
                let (connection, run) = (ring.connection.0.simple(), ring.run.0.simple());
                json!({ "connection": connection.to_string(), "run": run.to_string(), "at": ring.next_at })
            })
            .collect();
        let rings = json!(rings).to_string();
        self.q(sql!(split "bell/set")).bind(&*rings).exec().await?;
        self.q(sql!(split "bell/request")).bind(&*rings).bind(now).exec().await?;
        Ok(())
    }
}
