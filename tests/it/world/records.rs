//! Records of the CRM, as an import leaves them.

use crate::world::World;
use consentd::store::{Db, Tenant, TenantKey};
use uuid::Uuid;

impl World {
    /// A customer sheet for each address.
    pub async fn customers(&self, tenant: &Tenant, key: &TenantKey, emails: &[&str]) {
        for email in emails {
            let address = self.address(tenant, key, email).await;
            let record = self.core.id();
            let record_text = "INSERT INTO record VALUES ($1, $2, 'customer', $3, '', '', '', 'de', '', '', 'DE', FALSE, FALSE, FALSE, 0)";
            let link_text = "INSERT INTO record_address VALUES ($1, $2, 0, $3, $4)";
            match &self.core.store.db {
                Db::Sqlite { write, .. } => {
                    sqlx::query(record_text).bind(tenant.id.0).bind(record).bind(*email).execute(write).await.unwrap();
                    let query = sqlx::query(link_text).bind(tenant.id.0).bind(record);
                    query.bind(address.id.0).bind(address.mailbox.0).execute(write).await.unwrap();
                }
                Db::Pg(pool) => {
                    sqlx::query(record_text).bind(tenant.id.0).bind(record).bind(*email).execute(pool).await.unwrap();
                    let query = sqlx::query(link_text).bind(tenant.id.0).bind(record);
                    query.bind(address.id.0).bind(address.mailbox.0).execute(pool).await.unwrap();
                }
            }
        }
    }

    /// Puts the sheets of these addresses into the CRM's bin.
    pub async fn bin(&self, tenant: &Tenant, emails: &[&str]) {
        let text = "UPDATE record SET bin = TRUE WHERE tenant_id = $1 AND crm_id = $2";
        for email in emails {
            let (id, email): (Uuid, &str) = (tenant.id.0, email);
            match &self.core.store.db {
                Db::Sqlite { write, .. } => drop(sqlx::query(text).bind(id).bind(email).execute(write).await.unwrap()),
                Db::Pg(pool) => drop(sqlx::query(text).bind(id).bind(email).execute(pool).await.unwrap()),
            }
        }
    }
}
