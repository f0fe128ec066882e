//! What killing the program brought to light, each told again in one process and without chance.

use crate::world::{Engine, World};
use consentd::clock::{Clock, HOUR, MINUTE};
use consentd_provider::emulator::{Fault, FaultRule};

// I20
#[tokio::test]
async fn who_said_yes_is_added_although_the_provider_says_not_now_and_come_at_once() {
    for provider in ["brevo", "mailjet"] {
        let world = World::new(Engine::Sqlite).await;
        let (tenant, key) = world.tenant("pool").await;
        world.customers(&tenant, &key, &["ada@example.org", "bob@example.org"]).await;
        let account = world.connect(&tenant, provider, provider).await;
        world.accept(&tenant, &key, &["bob@example.org"]).await;
        world.activate(&account).await;
        world.accept(&tenant, &key, &["ada@example.org"]).await;
        let at_once = ["x-sib-ratelimit-reset", "retry-after"].map(|name| (name.to_owned(), "0".to_owned()));
        let fault = Fault::Throttle(at_once.into());
        account.provider().fault(FaultRule { matching: "POST ".into(), times: 3, fault });
        world.pass(HOUR, MINUTE).await;
        let mailable = account.mailable(world.clock.now());
        assert!(mailable.contains(&"ada@example.org".to_owned()), "{provider}: {mailable:?}");
        world.end().await;
    }
}
