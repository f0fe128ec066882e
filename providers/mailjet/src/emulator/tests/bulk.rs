//! Jobs, files, plans and limits.

use super::*;
use crate::emulator::instant::DAY;

#[test]
fn a_job_works_in_its_own_time_and_tells_its_stage() {
    let mut world = World::with(&[("job_seconds", "10")]);
    let list = world.list("A");
    let path = format!("/v3/REST/contactslist/{list}/managemanycontacts");
    let rows = json!([{ "Email": "ada@example.org" }, { "Email": "ADA@example.org" }, { "Email": "broken" }]);
    let (status, body) = world.call("POST", &path, &json!({ "Action": "addnoforce", "Contacts": rows }));
    assert_eq!(status, 201);
    let job = format!("{path}/{}", body["Data"][0]["JobID"]);
    for stage in ["Allocated", "Prepare", "Importing"] {
        assert_eq!(world.get(&job)["Data"][0]["Status"], stage);
        assert!(!world.truth(list).exists, "rows are applied late");
        world.now += 10 * SECOND;
    }
    let done = &world.get(&job)["Data"][0];
    assert_eq!((done["Status"].as_str(), done["Count"].as_u64()), (Some("Error"), Some(3)));
    assert!(done["ErrorFile"].as_str().unwrap().ends_with("/LAST"));
    assert!(world.truth(list).mailable(), "a bad row does not stop the others");
    let number = body["Data"][0]["JobID"].as_u64().unwrap();
    let file = world.get(&format!("/v3/DATA/batchjob/{number}/JSONError/application:json/LAST"));
    assert_eq!(file[0]["Email"], "broken");
    assert_eq!(world.call("GET", &format!("/v3/REST/contact/managemanycontacts/{number}"), &Value::Null).0, 404);
}

#[test]
fn jobs_can_lie_get_stuck_fail_and_queue() {
    let cases = [("jobs", "silent", "Completed", 0), ("jobs", "stuck", "Importing", 0), ("jobs", "error", "Error", 1)];
    for (switch, value, status, done) in cases {
        let mut world = World::with(&[(switch, value)]);
        let list = world.list("A");
        let body = json!({
            "Contacts": [{ "Email": "a@example.org", "IsExcludedFromCampaigns": true }, { "Email": "b@example.org" }],
            "ContactsLists": [{ "ListID": list, "Action": "addnoforce" }],
        });
        let job = world.post("/v3/REST/contact/managemanycontacts", &body)["Data"][0]["JobID"].clone();
        world.now += DAY;
        let told = world.get(&format!("/v3/REST/contact/managemanycontacts/{job}"));
        assert_eq!(told["Data"][0]["Status"], status, "{value}");
        assert_eq!(world.get("/v3/REST/contact?IsExcludedFromCampaigns=true")["Count"], done, "{value}");
    }
    let mut world = World::with(&[("jobs_at_once", "1"), ("job_words", "sdk"), ("bulk_max", "1")]);
    let list = world.list("A");
    let path = format!("/v3/REST/contactslist/{list}/managemanycontacts");
    let one = json!({ "Action": "unsub", "Contacts": [{ "Email": "ada@example.org" }] });
    world.post(&path, &one);
    let second = world.post(&path, &one)["Data"][0]["JobID"].clone();
    world.now += 15 * SECOND;
    world.get("/v3/REST/batchjob");
    world.now += 14 * SECOND;
    assert_eq!(world.get(&format!("{path}/{second}"))["Data"][0]["Status"], "In Progress");
    world.now += SECOND;
    assert_eq!(world.get(&format!("{path}/{second}"))["Data"][0]["Status"], "Completed");
    let two = json!({ "Action": "unsub", "Contacts": [{ "Email": "a@example.org" }, { "Email": "b@example.org" }] });
    let (status, body) = world.call("POST", &path, &two);
    assert_eq!((status, body["ErrorIdentifier"].is_string()), (500, true));
}

#[test]
fn a_file_becomes_contacts_and_exclusion_takes_no_list() {
    let mut world = World::with(&[("job_seconds", "0")]);
    let list = world.list("A");
    let csv = "email,City\nada@example.org,London\nshort\n";
    let upload = world.raw("POST", &format!("/v3/DATA/contactslist/{list}/CSVData/text:plain"), csv, &[]);
    let data: Value = serde_json::from_slice(&upload.body).unwrap();
    assert_eq!((upload.status, data["Data"].is_null()), (200, true), "the answer has no envelope");
    let wish = json!({ "ContactsListID": list, "DataID": data["ID"], "Method": "addnoforce" });
    let job = world.post("/v3/REST/csvimport", &wish)["Data"][0].clone();
    assert_eq!(job["Status"], "Upload");
    let done = world.get(&format!("/v3/REST/csvimport/{}", job["ID"]));
    assert_eq!(
        (done["Data"][0]["Status"].as_str(), done["Data"][0]["Errcount"].as_u64()),
        (Some("Completed"), Some(1))
    );
    assert!(world.truth(list).mailable());
    let city = world.get("/v3/REST/contactdata/ada@example.org");
    assert_eq!(city["Data"][0]["Data"][0], json!({ "Name": "city", "Value": "London" }));
    let errors = world.raw("GET", &format!("/v3/DATA/BatchJob/{}/CSVError/text:csv", job["ID"]), "", &[]);
    assert!(String::from_utf8(errors.body).unwrap().contains("###Too few columns"));
    let wish = json!({ "ContactsListID": list, "DataID": data["ID"], "Method": "excludemarketing" });
    assert_eq!(world.call("POST", "/v3/REST/csvimport", &wish).0, 400);
    world.post("/v3/REST/csvimport", &json!({ "DataID": data["ID"], "Method": "excludemarketing" }));
    assert!(world.truth(list).blocked);
    let copy = world.list("B");
    let wish = json!({ "ListID": list, "Action": "addforce" });
    world.post(&format!("/v3/REST/contactslist/{copy}/importlist"), &wish);
    assert!(world.truth(copy).on_list);
}

#[test]
fn a_full_account_refuses_even_those_who_leave() {
    let mut world = World::new();
    let list = world.list("A");
    world.act(list, "addnoforce");
    let row = world.get("/v3/REST/listrecipient")["Data"][0]["ID"].clone();
    for (value, action, put) in [("new", 201, 200), ("all", 400, 200), ("hard", 400, 400)] {
        world.mailjet.set("full", value).unwrap();
        assert_eq!(world.act(list, "unsub").0, action, "{value}");
        for leaves in [false, true] {
            let status =
                world.call("PUT", &format!("/v3/REST/listrecipient/{row}"), &json!({ "IsUnsubscribed": leaves })).0;
            assert!(status == put || (status == 304 && put == 200), "{value} {status}");
        }
    }
}

#[test]
fn too_many_calls_are_429_without_a_header() {
    let mut world = World::with(&[("limit_calls", "2"), ("limit_seconds", "3")]);
    world.get("/v3/REST/user");
    world.get("/v3/REST/myprofile");
    let answer = world.raw("GET", "/v3/REST/user", "", &[]);
    assert_eq!((answer.status, answer.header("retry-after")), (429, None));
    assert_eq!(answer.header("content-type"), Some("text/html"));
    world.now += 3 * SECOND;
    world.get("/v3/REST/user");
}

#[test]
fn a_repeated_key_is_honoured_on_demand_only() {
    for (value, status) in [("ignored", 400), ("honoured", 201)] {
        let mut world = World::with(&[("idempotency_key", value)]);
        let body = json!({ "Name": "A" }).to_string();
        for expected in [201, status] {
            let answer = world.raw("POST", "/v3/REST/contactslist", &body, &[("idempotency-key", "k1")]);
            assert_eq!(answer.status, expected, "{value}");
        }
    }
}
