//! Webhooks and mail.

use super::*;

#[test]
fn one_url_an_event_and_version_1_unless_said() {
    let mut world = World::new();
    let (status, body) = world.hook("unsub", "https://a.example/hook", &Value::Null);
    let shown = &body["Data"][0];
    assert_eq!((status, &shown["Version"], &shown["Status"]), (201, &json!(1), &json!("alive")));
    let (status, body) = world.hook("unsub", "https://b.example/hook", &json!({ "isBackup": "false" }));
    let words = "MJ18 A EventCallbackURL resource with value \"5|false\" for EventType|Backup already exists.";
    assert_eq!((status, body["ErrorMessage"].as_str()), (400, Some(words)));
    assert_eq!(world.hook("unsub", "https://b.example/hook", &json!({ "IsBackup": true })).0, 201);
    assert_eq!(world.hook("spam", "https://b.example/", &Value::Null).0, 400, "a root URL");
    assert_eq!(world.get("/v3/REST/eventcallbackurl/unsub|true")["Data"][0]["Url"], "https://b.example/hook");
    assert_eq!(world.get("/v3/REST/eventcallbackurl?EventType=5&Backup=false")["Count"], 1);
}

#[test]
fn grouped_events_leave_once_a_second_and_bare_ones_at_once() {
    let mut world = World::new();
    let list = world.list("A");
    world.act(list, "addnoforce");
    world.hook("unsub", "https://u:p%40w@a.example/hook", &json!({ "Version": 2 }));
    world.hook("spam", "https://u:p%40w@a.example/hook", &json!({ "Version": "2" }));
    world.hook("bounce", "https://a.example/bare", &Value::Null);
    world.happen(&Happening::Unsubscribes(Some(list.to_string())));
    world.happen(&Happening::Complains);
    world.happen(&Happening::HardBounces);
    world.happen(&Happening::UnsubscribedByStaff(list.to_string()));
    let bare = world.due(0);
    assert_eq!(bare.len(), 1);
    assert!(serde_json::from_slice::<Value>(&bare[0].body).unwrap().is_object());
    let grouped = world.due(1);
    assert_eq!(grouped.len(), 1, "one call a second for a URL");
    let names: Vec<Value> = events(&grouped[0]).iter().map(|event| event["event"].clone()).collect();
    assert_eq!(names, ["unsub", "spam"], "staff sends no event");
    let header = ("authorization".to_owned(), format!("Basic {}", STANDARD.encode("u:p@w")));
    assert!(grouped[0].headers.contains(&header));
    let message = &events(&grouped[0])[0]["MessageID"];
    assert!(message.as_u64().unwrap() > 1 << 53);
    let history = world.get(&format!("/v3/REST/messagehistory/{message}"));
    assert_eq!(history["Data"][1]["EventType"], "unsub");
    assert_eq!(world.get("/v3/REST/message?MessageStatus=7,6&Limit=0")["Count"], 2);
    let counters =
        world.get("/v3/REST/statcounters?CounterSource=APIKey&CounterTiming=Event&CounterResolution=Day&FromTS=0");
    assert_eq!(
        (&counters["Data"][0]["EventSpamCount"], &counters["Data"][0]["EventUnsubscribedCount"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(world.get("/v3/REST/bouncestatistics")["Data"][0]["StateID"], 1);
}

#[test]
fn a_group_takes_everything_that_waits_for_its_url() {
    let mut world = World::new();
    let list = world.list("A");
    world.act(list, "addnoforce");
    world.hook("spam", "https://a.example/hook", &json!({ "Version": 2 }));
    let mut sizes = Vec::new();
    for _ in 0..20 {
        world.happen(&Happening::Complains);
        world.now += SECOND / 4;
        sizes.extend(world.due(0).iter().map(|call| events(call).len()));
    }
    assert_eq!(sizes, [4, 4, 4, 4, 4]);
}

#[test]
fn a_day_without_200_kills_a_url_and_only_another_url_revives_it() {
    let mut world = World::new();
    let list = world.list("A");
    world.act(list, "addnoforce");
    let main = world.hook("spam", "https://a.example/hook", &Value::Null).1["Data"][0]["ID"].clone();
    world.hook("spam", "https://b.example/backup", &json!({ "IsBackup": true }));
    world.happen(&Happening::Complains);
    let mut tries = 0;
    while tries < 5_000 {
        let due = world.due(30);
        let Some(call) = due.first() else { break };
        world.mailjet.delivered(world.now, call.id, Some(204));
        tries += 1;
    }
    assert_eq!(tries, 24 * 120 + 1, "every half minute for a day");
    let path = format!("/v3/REST/eventcallbackurl/{main}");
    assert_eq!(world.get(&path)["Data"][0]["Status"], "dead");
    world.happen(&Happening::Complains);
    assert_eq!(world.due(1)[0].url, "https://b.example/backup");
    assert_eq!(world.call("PUT", &path, &json!({ "Url": "https://a.example/hook" })).0, 304);
    assert_eq!(world.get(&path)["Data"][0]["Status"], "dead");
    assert_eq!(world.call("PUT", &path, &json!({ "Url": "https://a.example/hook?v=2" })).0, 200);
    world.happen(&Happening::Complains);
    assert_eq!(world.due(1)[0].url, "https://a.example/hook?v=2");
}

#[test]
fn odd_deliveries_come_on_demand() {
    let mut world = World::with(&[("message_guid", "no"), ("soft_bounce_words", "no"), ("extra_event", "yes")]);
    let list = world.list("A");
    world.act(list, "addnoforce");
    for kind in ["unsub", "bounce"] {
        world.hook(kind, &format!("https://a.example/{kind}"), &json!({ "Version": 2 }));
    }
    world.happen(&Happening::SoftBounces);
    let soft = events(&world.due(1)[0]);
    assert_eq!((&soft[0]["event"], &soft[1]["error"]), (&json!("novelty"), &json!("")));
    assert!(soft[1].get("Message_GUID").is_none());
    world.mailjet.set("extra_event", "no").unwrap();
    for (value, list_id) in [("id", json!(list)), ("zero", json!(0)), ("empty", json!(""))] {
        world.mailjet.set("unsub_list", value).unwrap();
        world.happen(&Happening::Unsubscribes(Some(list.to_string())));
        assert_eq!(events(&world.due(1)[0])[0]["mj_list_id"], list_id);
    }
    world.mailjet.set("unsub_list", "id").unwrap();
    world.happen(&Happening::Unsubscribes(None));
    assert_eq!(events(&world.due(1)[0])[0]["agent"], "List-Unsubscribe");
    world.mailjet.set("test_event", "unsub").unwrap();
    world.due(0);
    let test = &events(&world.due(1)[0])[0];
    assert_eq!((&test["email"], &test["MessageID"]), (&json!(""), &json!(0)));
    assert!(world.mailjet.set("test_event", "novelty").is_err());
    world.mailjet.set("api_unsub_event", "yes").unwrap();
    world.act(list, "addforce");
    world.act(list, "unsub");
    assert_eq!(events(&world.due(1)[0])[0]["mj_list_id"], list);
}

#[test]
fn mail_makes_contacts_and_is_stopped_after_a_complaint_or_a_bounce() {
    let mut world = World::new();
    let mail = |count: usize, text: &str| {
        let message =
            json!({ "From": { "Email": "us@example.org" }, "To": [{ "Email": "ada@example.org" }], "TextPart": text });
        json!({ "Messages": vec![message; count] })
    };
    let mut sandboxed = mail(1, "x");
    sandboxed["SandboxMode"] = json!(true);
    assert_eq!(world.post("/v3.1/send", &sandboxed)["Messages"][0]["To"][0]["MessageID"], 0);
    assert_eq!(world.get("/v3/REST/contact")["Count"], 0);
    let sent = world.post("/v3.1/send", &mail(1, "x"));
    assert!(sent["Messages"][0]["To"][0]["MessageID"].as_u64().unwrap() > 1 << 53);
    assert_eq!(world.get("/v3/REST/contact")["Count"], 1, "a recipient silently becomes a contact");
    assert_eq!(world.call("POST", "/v3.1/send", &mail(51, "x")).0, 400);
    let mut mixed = mail(2, "x");
    mixed["Messages"][1]["To"][0]["Email"] = json!("nowhere");
    let (status, body) = world.call("POST", "/v3.1/send", &mixed);
    assert_eq!((status, &body["Messages"][0]["Status"]), (400, &json!("success")), "not atomic");
    assert_eq!(body["Messages"][1]["Errors"][0]["ErrorCode"], "mj-0013");
    world.hook("blocked", "https://a.example/hook", &Value::Null);
    for (what, error) in [(Happening::HardBounces, "preblocked"), (Happening::Complains, "spam reporter")] {
        world.happen(&what);
        world.post("/v3.1/send", &mail(1, "x"));
        assert_eq!(events(&world.due(1)[0])[0]["error"], error);
    }
    let flat =
        json!({ "FromEmail": "us@example.org", "Recipients": [{ "Email": "ada@example.org" }], "Text-part": "x" });
    assert!(world.post("/v3/send", &flat)["Sent"][0]["MessageID"].is_u64());
}
