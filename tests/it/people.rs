//! Confirmed connections to the toy provider, and people who were asked, who accept, and whom a record holds.

use crate::served::connect;
use consentd::clock::Timestamp;
use consentd::domain::consent::{Act, AskBasis, RecipientAct};
use consentd::domain::token::{Claims, Class};
use consentd::service::Core;
use consentd::service::consent::Saying;
use consentd::store::{Address, Connection, ConnectionState, Tenant, TenantKey};

/// The toy calls nobody, but an account needs a way out.
pub struct Silent;

impl consentd_provider::emulator::Emulator for Silent {
    fn handle(&mut self, _: Timestamp, _: &consentd_provider::emulator::Call) -> consentd_provider::Response {
        consentd_provider::Response { status: 404, headers: vec![], body: vec![] }
    }
    fn due(&mut self, _: Timestamp) -> Vec<consentd_provider::emulator::Outgoing> {
        vec![]
    }
    fn delivered(&mut self, _: Timestamp, _: u64, _: Option<u16>) {}
    fn happen(&mut self, _: Timestamp, _: &str, _: &consentd_provider::emulator::Happening) -> bool {
        false
    }
    fn truth(&mut self, _: Timestamp, _: &str, _: &str) -> consentd_provider::Look {
        consentd_provider::Look::default()
    }
    fn mailable(&mut self, _: Timestamp, _: &str) -> Vec<String> {
        vec![]
    }
    fn set(&mut self, _: &str, _: &str) -> Result<(), String> {
        Ok(())
    }
}

/// A connection that a person has confirmed.
pub async fn active(core: &Core, tenant: &Tenant, key: &TenantKey, account: &str) -> Connection {
    let connection = connect(core, tenant, key, "toy", account).await;
    let mut tx = core.store.begin().await.unwrap();
    tx.set_connection_state(&connection, ConnectionState::Active, "").await.unwrap();
    tx.commit().await.unwrap();
    core.store.connection(connection.id).await.unwrap().unwrap()
}

/// A link that asks that person.
pub async fn ask(core: &Core, tenant: &Tenant, key: &TenantKey, address: &Address) -> String {
    let purpose = core.purpose(tenant, None).await.unwrap();
    let asked = std::slice::from_ref(address);
    let mut links = core.request_consent(tenant, key, &purpose, asked, &AskBasis::ExistingCustomer, "x").await.unwrap();
    links.remove(0).unwrap()
}

/// The person accepts, as by a link.
pub async fn accept(core: &Core, tenant: &Tenant, key: &TenantKey, address: &Address) {
    let purpose = core.purpose(tenant, None).await.unwrap();
    let claims = Claims {
        class: Class::Consent,
        tenant: tenant.id,
        address: address.id,
        purpose: purpose.id,
        text_version: purpose.text_version,
        expires_at: None,
    };
    let acceptance = claims.accept(core.now(), purpose.text_version, vec![], false).unwrap();
    let act = Act::Recipient(RecipientAct::Accept(acceptance));
    let mut tx = core.store.begin().await.unwrap();
    let saying = Saying { address, purpose: Some(purpose.id), act, evidence: serde_json::Value::Null };
    core.say(&mut tx, tenant, key, saying).await.unwrap();
    tx.commit().await.unwrap();
}
