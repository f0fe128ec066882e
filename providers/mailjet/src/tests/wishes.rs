//! Changes, against the emulator.

use super::*;
use consentd_provider::emulator::{Fault, FaultRule, Happening};
use consentd_provider::{Method, Refusal};

#[tokio::test]
async fn whoever_is_excluded_is_told_as_blocked_alone_and_among_many() {
    let world = World::new(&[]).await;
    let kim = person("Kim");
    world.push(&[subscribe(&kim, Presence::New, None)]).await;
    world.exclude(&kim).await;
    world.writes();
    for crowd in [0, 20] {
        let mut changes: Vec<Change> =
            (0..crowd).map(|number| subscribe(&person(&format!("p{number}")), Presence::Known, None)).collect();
        changes.push(subscribe(&kim, Presence::Known, None));
        let outcomes = world.push(&changes).await;
        assert_eq!(outcomes.last(), Some(&Outcome::Refused(Refusal::Blocked)), "{crowd}");
        assert!(world.writes().iter().all(|call| !call.contains("Kim@")), "{crowd}");
    }
}

#[tokio::test]
async fn an_exclusion_alone_is_not_lifted_and_one_with_a_goodbye_is() {
    let world = World::new(&[]).await;
    let (kim, lee) = (person("kim"), person("lee"));
    let someone = [subscribe(&kim, Presence::New, None), subscribe(&lee, Presence::New, None)];
    world.push(&someone).await;
    world.exclude(&kim).await;
    world.push(&[withdraw(&lee, Scope::Everything)]).await;
    world.writes();
    assert_eq!(world.push(&[subscribe(&kim, Presence::Known, Some(LIFT))]).await, [Outcome::Refused(Refusal::Blocked)]);
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.push(&[subscribe(&lee, Presence::Known, Some(LIFT))]).await, [Outcome::Applied]);
    let writes = world.writes();
    assert!(writes.len() == 2 && writes[0].ends_with(r#"{"IsExcludedFromCampaigns":false}"#), "{writes:?}");
    assert!(writes[1].contains("addforce"));
    assert!(world.truth(&lee).mailable() && world.truth(&kim).blocked);
}

#[tokio::test]
async fn a_row_or_an_exclusion_newer_than_the_acceptance_stays_and_nothing_is_written() {
    let world = World::new(&[]).await;
    let (kim, lee) = (person("kim"), person("lee"));
    world.push(&[subscribe(&kim, Presence::New, None), subscribe(&lee, Presence::New, None)]).await;
    world.mailjet().happen(NOW, kim.as_str(), &Happening::Unsubscribes(Some(world.list.list.clone())));
    world.push(&[withdraw(&lee, Scope::Everything)]).await;
    world.writes();
    let older = Lift { accepted_at: NOW - 86_400_000_000, after_no: true, taken_off_at: None };
    for email in [&kim, &lee] {
        let outcomes = world.push(&[subscribe(email, Presence::Known, Some(older))]).await;
        assert_eq!(outcomes, [Outcome::Refused(Refusal::Blocked)]);
        assert!(!world.truth(email).mailable());
    }
    assert_eq!(world.writes(), [""; 0]);
    let ours = Lift { after_no: false, taken_off_at: Some(NOW), ..older };
    assert_eq!(world.push(&[subscribe(&lee, Presence::Known, Some(ours))]).await, [Outcome::Applied]);
    assert!(world.truth(&lee).mailable());
}

#[tokio::test]
async fn a_lift_that_broke_off_can_be_repeated() {
    let world = World::new(&[]).await;
    let kim = person("kim");
    world.push(&[subscribe(&kim, Presence::New, None)]).await;
    world.push(&[withdraw(&kim, Scope::Everything)]).await;
    let fault = Fault::Status(503);
    world.mailjet().fault(FaultRule { matching: "managecontact".into(), times: 1, fault });
    let push = provider().push(&world, &world.list, &[subscribe(&kim, Presence::Known, Some(LIFT))]).await;
    assert_eq!(push.outcomes, [Outcome::Unknown]);
    assert!(!world.truth(&kim).mailable());
    assert_eq!(world.push(&[subscribe(&kim, Presence::Known, Some(LIFT))]).await, [Outcome::Applied]);
    assert!(world.truth(&kim).mailable());
}

#[tokio::test]
async fn force_is_used_on_who_left_and_on_nobody_else() {
    let world = World::new(&[]).await;
    let (kim, lee, max) = (person("kim"), person("lee"), person("max"));
    world.push(&[subscribe(&kim, Presence::New, None), subscribe(&lee, Presence::New, None)]).await;
    world.mailjet().happen(NOW, lee.as_str(), &Happening::Unsubscribes(Some(world.list.list.clone())));
    world.writes();
    let lifts = [&kim, &lee, &max].map(|email| subscribe(email, Presence::Known, Some(LIFT)));
    assert_eq!(world.push(&lifts).await, [Outcome::Applied, Outcome::Applied, Outcome::Applied]);
    let forced: Vec<String> = world.writes().into_iter().filter(|call| call.contains("addforce")).collect();
    assert!(forced.len() == 1 && forced[0].contains("lee@"), "{forced:?}");
    let many: Vec<Change> =
        (0..30).map(|number| subscribe(&person(&format!("p{number}")), Presence::New, None)).collect();
    world.push(&many).await;
    let leave: Vec<Change> = (0..120).map(|number| withdraw(&person(&format!("p{number}")), Scope::Purpose)).collect();
    world.push(&leave).await;
    for call in world.writes() {
        assert!(!call.contains("addforce") && !call.contains("IsExcluded") && !call.contains("remove"), "{call}");
    }
}

#[tokio::test]
async fn a_full_account_stops_no_withdrawal() {
    for (full, blocked) in [("all", false), ("hard", true)] {
        for (count, scope) in [(1, Scope::Purpose), (120, Scope::Purpose), (120, Scope::Everything)] {
            let world = World::new(&[]).await;
            let crowd: Vec<EmailAddress> = (0..count).map(|number| person(&format!("p{number}"))).collect();
            world.push(&crowd.iter().map(|email| subscribe(email, Presence::New, None)).collect::<Vec<_>>()).await;
            assert!(crowd.iter().all(|email| world.truth(email).mailable()));
            world.set("full", full);
            let leave: Vec<Change> = crowd.iter().map(|email| withdraw(email, scope)).collect();
            assert_eq!(world.push(&leave).await, vec![Outcome::Applied; count], "{full} {count}");
            for email in &crowd {
                let truth = world.truth(email);
                assert!(!truth.mailable(), "{full} {count} {truth:?}");
                assert_eq!(truth.blocked, blocked || scope == Scope::Everything, "{full} {count}");
            }
        }
    }
}

#[tokio::test]
async fn an_erasure_is_believed_when_the_address_is_gone() {
    let world = World::new(&[]).await;
    let kim = person("kim");
    world.push(&[subscribe(&kim, Presence::New, None)]).await;
    world.mailjet().fault(FaultRule { matching: "DELETE /v4".into(), times: 1, fault: Fault::Html });
    let error = provider().erase(&world, &kim).await.unwrap_err();
    assert_eq!(error.kind(), "protocol");
    assert!(world.truth(&kim).exists);
    assert_eq!(provider().erase(&world, &kim).await.unwrap(), Outcome::Applied);
    assert!(!world.truth(&kim).exists);
    assert_eq!(provider().erase(&world, &kim).await.unwrap(), Outcome::Applied);
}

#[tokio::test]
async fn a_deleted_list_is_not_revived() {
    let world = World::new(&[]).await;
    let path = format!("/v3/REST/contactslist/{}", world.list.list);
    assert_eq!(world.foreign(Method::Delete, &path, "").await.status, 204);
    match provider().create_list(&world, "News").await {
        Err(ProviderError::Rejected { code, reason, .. }) => {
            assert!(code == "MJ18" && reason.contains("deleted"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    assert!(provider().lists(&world).await.unwrap().is_empty());
}
