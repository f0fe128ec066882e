//! Records of the CRM, brought in by the import.

use crate::world::World;
use consentd::service::import::{ImportMode, ImportOptions};
use consentd::store::{Tenant, TenantKey};
use std::io::Cursor;
use std::ops::ControlFlow;

impl World {
    /// A customer sheet for each address.
    pub async fn customers(&self, tenant: &Tenant, key: &TenantKey, emails: &[&str]) {
        self.sheets(tenant, key, emails, "0;Kiel").await;
    }

    /// Puts the sheets of these addresses into the CRM's bin.
    pub async fn bin(&self, tenant: &Tenant, key: &TenantKey, emails: &[&str]) {
        self.sheets(tenant, key, emails, "1;Kiel").await;
    }

    /// The person moves to another town.
    pub async fn moves(&self, tenant: &Tenant, key: &TenantKey, email: &str, town: &str) {
        self.sheets(tenant, key, &[email], &format!("0;{town}")).await;
    }

    async fn sheets(&self, tenant: &Tenant, key: &TenantKey, emails: &[&str], rest: &str) {
        let rows: Vec<String> = emails.iter().map(|email| format!("{email};{email};{rest}")).collect();
        let text = format!("crm_id;email;bin;town\n{}\n", rows.join("\n"));
        let options = ImportOptions::new(ImportMode::Records, "export.csv", "office");
        let go_on = |_: &_| ControlFlow::Continue(());
        let file = Box::new(Cursor::new(text.into_bytes()));
        let report = self.core.run_import(tenant, key, file, None, &options, &go_on).await.expect("an import");
        assert_eq!(report.rows, emails.len() as u64, "{report:?}");
    }
}
