//! The emulator keeps the rules of the contract sheet that no adapter of ours provokes.

use super::open;
use consentd_provider::Response;
use consentd_provider::emulator::{Call, Emulator, Happening, Outgoing};
use serde_json::{Value, json};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const START: i64 = 1_767_225_600 * SECOND;

struct World {
    emulator: Box<dyn Emulator>,
    now: i64,
}

impl World {
    fn new(switches: &[(&str, &str)]) -> Self {
        let mut emulator = open();
        emulator.set("quota", "off").unwrap();
        for (name, value) in switches {
            emulator.set(name, value).unwrap();
        }
        Self { emulator, now: START }
    }

    fn raw(&mut self, method: &str, target: &str, body: &Value) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let headers = vec![("api-key".into(), "any".into())];
        let call = Call { method: method.into(), path: format!("/v3{path}"), query: query.into(), headers, body };
        self.emulator.handle(self.now, &call)
    }

    fn call(&mut self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let answer = self.raw(method, target, body);
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn get(&mut self, target: &str) -> Value {
        let (status, body) = self.call("GET", target, &Value::Null);
        assert_eq!(status, 200, "{target}: {body}");
        body
    }

    fn list(&mut self) -> i64 {
        let folder = self.call("POST", "/contacts/folders", &json!({ "name": "f" })).1["id"].clone();
        self.call("POST", "/contacts/lists", &json!({ "name": "l", "folderId": folder })).1["id"].as_i64().unwrap()
    }

    fn add(&mut self, email: &str, more: &Value) -> i64 {
        let mut body = json!({ "email": email });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let (status, body) = self.call("POST", "/contacts", &body);
        assert_eq!(status, 201, "{body}");
        body["id"].as_i64().unwrap()
    }

    fn hook(&mut self, more: &Value) {
        let mut body = json!({
            "url": "https://hooks.example/1", "type": "marketing",
            "events": ["spam", "hardBounce", "unsubscribed", "contactDeleted", "listAddition"],
            "auth": { "type": "bearer", "token": "t" },
        });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        assert_eq!(self.call("POST", "/webhooks", &body).0, 201);
    }

    fn happen(&mut self, email: &str, what: &Happening) {
        assert!(self.emulator.happen(self.now, email, what));
    }

    fn due(&mut self) -> Vec<Outgoing> {
        self.emulator.due(self.now)
    }
}

#[test]
fn a_call_without_a_key_is_refused_in_brevos_words() {
    let mut world = World::new(&[]);
    let call =
        Call { method: "GET".into(), path: "/v3/account".into(), query: String::new(), headers: vec![], body: vec![] };
    let answer = world.emulator.handle(START, &call);
    assert_eq!(answer.status, 401);
    assert_eq!(answer.body, br#"{"code":"unauthorized","message":"Key not found"}"#);
}

#[test]
fn a_new_address_takes_the_block_away_and_a_deletion_forgets_it() {
    let mut world = World::new(&[]);
    world.add("ada@example.org", &json!({ "emailBlacklisted": true }));
    let renamed = json!({ "attributes": { "EMAIL": "ada@example.com" } });
    assert_eq!(world.call("PUT", "/contacts/ada%40example.org", &renamed).0, 204);
    assert_eq!(world.get("/contacts/ada%40example.com")["emailBlacklisted"], false);
    world.call("PUT", "/contacts/ada%40example.com", &json!({ "emailBlacklisted": true }));
    assert_eq!(world.call("DELETE", "/contacts/ada%40example.com", &Value::Null).0, 204);
    world.add("ada@example.com", &json!({}));
    assert_eq!(world.get("/contacts/ada%40example.com")["emailBlacklisted"], false);
}

#[test]
fn a_plus_in_a_path_is_a_plus() {
    let mut world = World::new(&[]);
    let id = world.add("Ada+news@Example.org", &json!({}));
    for path in ["/contacts/Ada+news@Example.org", "/contacts/ada%2Bnews%40example.org"] {
        assert_eq!(world.get(path)["id"], id, "{path}");
    }
}

#[test]
fn unknown_attributes_and_wrong_types_are_dropped_in_silence() {
    let mut world = World::new(&[]);
    assert_eq!(world.call("POST", "/contacts/attributes/normal/AGE", &json!({ "type": "float" })).0, 201);
    world.add("ada@example.org", &json!({ "attributes": { "AGE": "old", "NOVEL": 1, "FIRSTNAME": "Ada" } }));
    assert_eq!(world.get("/contacts/ada@example.org")["attributes"], json!({ "FIRSTNAME": "Ada" }));
}

#[test]
fn identifiers_are_unique_and_a_forced_merge_deletes() {
    let mut world = World::new(&[]);
    world.add("ada@example.org", &json!({ "attributes": { "SMS": "+33612345678" } }));
    let bob = json!({ "email": "bob@example.org", "attributes": { "SMS": "0033612345678" } });
    let (status, error) = world.call("POST", "/contacts", &bob);
    assert_eq!((status, &error["metadata"]["duplicate_identifiers"]), (400, &json!(["SMS"])));
    let again = world.call("POST", "/contacts", &json!({ "email": "ADA@example.org" }));
    assert_eq!((again.0, &again.1["metadata"]["duplicate_identifiers"]), (400, &json!(["email"])));
    let mut forced = bob;
    forced["forceMerge"] = true.into();
    assert_eq!(world.call("POST", "/contacts", &forced).0, 201);
    assert_eq!(world.call("GET", "/contacts/ada@example.org", &Value::Null).0, 404);
}

#[test]
fn a_list_takes_150_at_once_and_a_call_without_effect_is_an_error() {
    let mut world = World::new(&[]);
    let list = world.list();
    world.add("ada@example.org", &json!({ "emailBlacklisted": true }));
    let path = format!("/contacts/lists/{list}/contacts/add");
    let (status, body) = world.call("POST", &path, &json!({ "emails": ["ada@example.org", "bob@example.org"] }));
    let contacts = json!({ "success": ["ada@example.org"], "failure": ["bob@example.org"] });
    assert_eq!((status, &body["contacts"]), (201, &contacts));
    assert_eq!(world.call("POST", &path, &json!({ "emails": ["ada@example.org"] })).0, 400);
    let many: Vec<String> = (0..151).map(|number| format!("p{number}@example.org")).collect();
    assert_eq!(world.call("POST", &path, &json!({ "emails": many })).1["code"], "out_of_range");
    assert!(world.emulator.mailable(START, &list.to_string()).is_empty(), "a list does not unblock");
    assert_eq!(world.get(&format!("/contacts/lists/{list}"))["totalSubscribers"], 0);
}

#[test]
fn an_import_works_later_and_tells_what_it_refused_only_then() {
    let mut world = World::new(&[("import_delay", "100"), ("import_clears_block", "updated")]);
    let list = world.list();
    world.add("ada@example.org", &json!({ "emailBlacklisted": true }));
    world.add("bob@example.org", &json!({ "attributes": { "SMS": "+33612345678" } }));
    let csv =
        "EMAIL;FIRSTNAME;SMS\nada@example.org;;\ncyd@example.org;Cyd;33612345678\nnobody;X;\ndan@example.org;Dan;";
    let import = json!({ "fileBody": csv, "listIds": [list], "notifyUrl": "https://done.example/" });
    let (status, body) = world.call("POST", "/contacts/import", &import);
    assert_eq!(status, 202);
    let process = format!("/processes/{}", body["processId"]);
    assert_eq!(world.get(&process)["status"], "queued");
    world.now += 60 * SECOND;
    assert_eq!(world.get(&process)["status"], "in_process");
    assert_eq!(world.get("/contacts?limit=10")["count"], 2);
    world.now += 60 * SECOND;
    let done = world.get(&process);
    assert_eq!(done["status"], "completed");
    assert!(done["info"]["import"]["invalid_emails"].is_string());
    assert!(done["info"]["import"]["duplicate_phone_id"].is_string());
    assert!(done["info"]["import"]["duplicate_email_id"].is_null());
    let told = world.due().remove(0);
    let expected = json!({ "proc_success": body["processId"] }).to_string();
    assert_eq!((told.url.as_str(), told.body), ("https://done.example/", expected.into_bytes()));
    let mut mailable = world.emulator.mailable(world.now, &list.to_string());
    mailable.sort();
    assert_eq!(mailable, ["ada@example.org", "dan@example.org"]);
}

#[test]
fn contacts_are_paged_filtered_and_stamped_in_the_accounts_time() {
    let mut world = World::new(&[("utc_offset", "-330")]);
    let list = world.list();
    for number in 0..3 {
        world.now += 2 * MINUTE;
        world.add(&format!("p{number}@example.org"), &json!({ "listIds": [list] }));
    }
    let newest = world.get("/contacts?limit=2");
    assert_eq!((&newest["count"], &newest["contacts"][0]["email"]), (&json!(3), &json!("p2@example.org")));
    assert_eq!(newest["contacts"][0]["createdAt"], "2025-12-31T18:36:00.000-05:30");
    assert_eq!(world.call("GET", "/contacts?limit=1001", &Value::Null).0, 400);
    let since = world.get("/contacts?modifiedSince=2026-01-01T00%3A04%3A00.000Z&sort=asc");
    assert_eq!((&since["count"], &since["contacts"][0]["email"]), (&json!(2), &json!("p1@example.org")));
    let filtered = world.get("/contacts?filter=equals(EMAIL%2C%22p1%40example.org%22)");
    assert_eq!(filtered["count"], 1);
    assert_eq!(world.get(&format!("/contacts/lists/{list}/contacts?limit=1"))["count"], 3);
}

#[test]
fn webhooks_are_forty_and_none_of_a_kind_is_an_error() {
    let mut world = World::new(&[]);
    assert_eq!(world.call("GET", "/webhooks?type=marketing", &Value::Null).1["code"], "document_not_found");
    for _ in 0..40 {
        world.hook(&json!({}));
    }
    let body = json!({ "url": "https://hooks.example/", "events": ["spam"] });
    assert_eq!(world.call("POST", "/webhooks", &body).0, 400);
    assert_eq!(world.get("/webhooks?type=marketing")["webhooks"].as_array().unwrap().len(), 40);
    assert_eq!(world.call("GET", "/webhooks", &Value::Null).0, 400, "without a type only transactional ones are shown");
}

#[test]
fn only_silence_and_429_are_tried_again_four_times() {
    let mut world = World::new(&[]);
    let list = world.list();
    world.hook(&json!({}));
    world.add("ada@example.org", &json!({}));
    world.happen("ada@example.org", &Happening::Unsubscribes(Some(list.to_string())));
    let first = world.due().remove(0);
    assert!(first.headers.contains(&("authorization".into(), "Bearer t".into())));
    assert!(world.due().is_empty(), "what is under way is not handed out again");
    for (wait, status) in [(10, None), (60, Some(429)), (120, None), (480, Some(429))] {
        world.emulator.delivered(world.now, first.id, status);
        world.now += wait * MINUTE - 1;
        assert!(world.due().is_empty());
        world.now += 1;
        assert_eq!(world.due(), std::slice::from_ref(&first));
    }
    world.emulator.delivered(world.now, first.id, None);
    world.now += 1_000 * MINUTE;
    assert!(world.due().is_empty(), "the fifth failure is the last");
    for status in [200, 204, 401, 500, 503] {
        world.happen("ada@example.org", &Happening::Complains);
        let delivery = world.due().remove(0);
        world.emulator.delivered(world.now, delivery.id, Some(status));
        world.now += 1_000 * MINUTE;
        assert!(world.due().is_empty(), "{status}");
    }
}

#[test]
fn a_batch_waits_five_minutes_and_holds_five_hundred() {
    for (shape, wrapped) in [("array", false), ("events", true)] {
        let mut world = World::new(&[("batch_shape", shape)]);
        world.hook(&json!({ "batched": true }));
        world.add("ada@example.org", &json!({}));
        for _ in 0..501 {
            world.happen("ada@example.org", &Happening::Complains);
        }
        assert!(world.due().is_empty());
        world.now += 5 * MINUTE;
        let sizes: Vec<usize> = world
            .due()
            .iter()
            .map(|delivery| {
                let body: Value = serde_json::from_slice(&delivery.body).unwrap();
                let events = if wrapped { &body["events"] } else { &body };
                events.as_array().unwrap().len()
            })
            .collect();
        assert_eq!(sizes, [500, 1]);
    }
}

#[test]
fn events_are_spelt_as_the_switches_say_and_carry_the_webhooks_id() {
    let mut world = World::new(&[("spam_spelling", "complaint"), ("unsubscribe_spelling", "unsubscribed")]);
    world.hook(&json!({}));
    world.hook(&json!({ "url": "https://hooks.example/2" }));
    world.add("ada@example.org", &json!({}));
    let happenings = [Happening::Complains, Happening::Unsubscribes(None), Happening::Deleted];
    for what in &happenings {
        world.happen("ada@example.org", what);
    }
    let bodies: Vec<Value> = world.due().iter().map(|one| serde_json::from_slice(&one.body).unwrap()).collect();
    let names: Vec<&str> = bodies.iter().step_by(2).map(|body| body["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["complaint", "unsubscribed", "contact_deleted"]);
    assert_eq!(bodies[4]["email"], json!(["ada@example.org"]));
    assert_eq!((&bodies[0]["id"], &bodies[1]["id"]), (&bodies[2]["id"], &bodies[3]["id"]));
    assert_ne!(bodies[0]["id"], bodies[1]["id"]);
    assert!(!world.emulator.happen(world.now, "ada@example.org", &Happening::Complains), "deleted is unknown");
}

#[test]
fn each_family_has_its_quota_and_says_how_much_is_left() {
    let mut world = World::new(&[("quota", "on")]);
    let header = |answer: &Response, name: &str| answer.header(&format!("x-sib-ratelimit-{name}")).unwrap().to_owned();
    for number in 0..10 {
        let answer = world.raw("GET", "/contacts?limit=1", &Value::Null);
        assert_eq!((answer.status, header(&answer, "remaining")), (200, (9 - number).to_string()));
    }
    let refused = world.raw("GET", "/contacts?limit=1", &Value::Null);
    assert_eq!((refused.status, header(&refused, "reset")), (429, "1".into()));
    assert_eq!(world.raw("GET", "/account", &Value::Null).status, 200, "another family");
    for _ in 0..99 {
        assert_eq!(world.raw("GET", "/account", &Value::Null).status, 200);
    }
    let refused = world.raw("GET", "/processes", &Value::Null);
    assert_eq!((refused.status, header(&refused, "reset")), (429, "3600".into()));
    world.now += SECOND;
    assert_eq!(world.raw("GET", "/contacts?limit=1", &Value::Null).status, 200);
}

#[test]
fn a_repeated_key_sends_nothing_for_half_an_hour() {
    let mut world = World::new(&[]);
    let mail = json!({
        "sender": { "email": "news@example.com" }, "to": [{ "email": "ada@example.org" }], "subject": "s",
        "textContent": "t", "headers": { "idempotencyKey": "k" },
    });
    assert_eq!(world.call("POST", "/smtp/email", &mail).0, 201);
    assert_eq!(world.call("POST", "/smtp/email", &mail).1["code"], "duplicate_parameter");
    assert_eq!(world.get("/smtp/statistics/events")["events"].as_array().unwrap().len(), 1);
    world.now += 30 * MINUTE;
    assert_eq!(world.call("POST", "/smtp/email", &mail).0, 201);
}

#[test]
fn a_switch_that_is_not_there_names_those_that_are() {
    let mut world = World::new(&[]);
    let answer = world.emulator.set("colour", "red").unwrap_err();
    let readme = include_str!("../../README.md");
    for name in answer.split_once(": ").unwrap().1.split(", ") {
        assert!(readme.contains(&format!("| `{name}` |")), "{name} is not explained in README.md");
    }
    assert!(world.emulator.set("import_delay", "soon").is_err());
    assert!(world.emulator.set("quota", "maybe").is_err());
}
