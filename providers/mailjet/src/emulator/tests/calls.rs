//! Contacts, lists, recipients and properties.

use super::*;

#[test]
fn credentials_need_two_halves_and_every_key_is_a_world() {
    let mut world = World::new();
    for header in ["", "Bearer x", "Basic !", &format!("Basic {}", STANDARD.encode("key:"))] {
        let headers = if header.is_empty() { vec![] } else { vec![("authorization".to_owned(), header.to_owned())] };
        let path = "/v3/REST/user".into();
        let call = Call { method: "GET".into(), path, query: String::new(), headers, body: vec![] };
        assert_eq!(world.mailjet.handle(world.now, &call).status, 401, "{header}");
    }
    let list = world.list("A");
    let headers = vec![("authorization".to_owned(), format!("Basic {}", STANDARD.encode("other:secret")))];
    let path = format!("/v3/REST/contactslist/{list}");
    let call = Call { method: "GET".into(), path, query: String::new(), headers, body: vec![] };
    assert_eq!(world.mailjet.handle(world.now, &call).status, 404);
}

#[test]
fn names_have_no_case_and_a_plus_stays_a_plus() {
    let mut world = World::new();
    world.post("/V3/rest/CONTACT", &json!({ "email": "Ada+x@example.org", "NAME": "Ada" }));
    for path in ["Ada+x@example.org", "ada%2Bx%40EXAMPLE.org"] {
        let row = &world.get(&format!("/v3/REST/contact/{path}"))["Data"][0];
        assert_eq!((row["Email"].as_str(), row["Name"].as_str()), (Some("Ada+x@example.org"), Some("Ada")));
    }
    let (status, body) = world.call("POST", "/v3/REST/contact", &json!({ "Email": "ADA+X@example.org" }));
    assert_eq!(status, 400);
    assert!(body["ErrorMessage"].as_str().unwrap().starts_with("MJ18 A Contact resource with value"));
    assert_eq!(world.call("GET", "/v3.1/REST/contact", &Value::Null).0, 404);
    assert_eq!(world.call("DELETE", "/v3/REST/contact/1", &Value::Null).0, 405);
    assert_eq!(world.call("GET", "/v3/REST/novelty", &Value::Null).0, 400);
}

#[test]
fn a_page_has_ten_rows_and_counts_only_those() {
    let mut world = World::new();
    for number in 0..12 {
        world.list(&format!("L{number:02}"));
    }
    let path = "/v3/REST/contactslist";
    let sizes = [("", 10), ("?Limit=0", 12), ("?limit=5000", 12), ("?Limit=3&Offset=11", 1), ("?Limit=3&limit=9", 3)];
    for (query, size) in sizes {
        let page = world.get(&format!("{path}{query}"));
        assert_eq!(page["Data"].as_array().unwrap().len(), size, "{query}");
        assert_eq!((page["Count"].as_u64(), page["Total"].as_u64()), (Some(size as u64), Some(size as u64)));
    }
    assert_eq!(world.get(&format!("{path}?countOnly=1")), json!({ "Count": 12, "Data": [], "Total": 12 }));
    let sorted = world.get(&format!("{path}?Limit=2&Sort=Name+DESC"));
    assert_eq!(sorted["Data"][0]["Name"], "L11");
    assert_eq!(world.get(&format!("{path}?ContactList=7"))["Count"], 10, "an unknown filter filters nothing");
}

#[test]
fn an_update_that_changes_nothing_is_304_and_flags_may_be_text() {
    let mut world = World::new();
    world.post("/v3/REST/contact", &json!({ "Email": "ada@example.org" }));
    let path = "/v3/REST/contact/ada@example.org";
    assert_eq!(world.call("PUT", path, &json!({ "IsExcludedFromCampaigns": "true" })).0, 200);
    assert_eq!(world.call("PUT", path, &json!({ "isexcludedfromcampaigns": true })).0, 304);
    assert_eq!(world.call("PUT", path, &json!({ "Nmae": "x" })).0, 400);
    let (status, body) = world.call("PUT", path, &json!({ "UnsubscribedAt": "" }));
    assert_eq!((status, body["ErrorMessage"].as_str().unwrap().split(' ').next()), (401, Some("MJ19")));
}

#[test]
fn actions_follow_the_table() {
    // Each action on nobody, on a subscriber, and on somebody who left: on the list, and unsubscribed.
    let table = [
        ("addforce", [(true, false), (true, false), (true, false)]),
        ("addnoforce", [(true, false), (true, false), (true, true)]),
        ("unsub", [(true, true), (true, true), (true, true)]),
        ("remove", [(false, false), (false, false), (false, false)]),
    ];
    for (action, after) in table {
        for (before, after) in [&[][..], &["addnoforce"], &["addnoforce", "unsub"]].iter().zip(after) {
            let mut world = World::new();
            let list = world.list("A");
            for step in *before {
                world.act(list, step);
            }
            assert_eq!(world.act(list, action).0, 201);
            let truth = world.truth(list);
            assert_eq!((truth.on_list, truth.unsubscribed), after, "{before:?} {action}");
        }
    }
    let mut world = World::new();
    let list = world.list("A");
    for action in ["unsub", "remove", "addnoforce"] {
        world.act(list, action);
    }
    assert!(world.truth(list).mailable(), "a removal forgets that somebody left");
    world.call("PUT", "/v3/REST/contact/ada@example.org", &json!({ "IsExcludedFromCampaigns": true }));
    world.act(list, "addforce");
    assert!(world.truth(list).blocked, "no action lifts an exclusion");
}

#[test]
fn a_stranger_who_leaves_can_be_a_row_nothing_or_an_error() {
    for (value, status, on_list) in [("row", 201, true), ("none", 201, false), ("refuse", 400, false)] {
        let mut world = World::with(&[("unsub_nonmember", value)]);
        let list = world.list("A");
        assert_eq!(world.act(list, "unsub").0, status, "{value}");
        assert_eq!(world.truth(list).on_list, on_list, "{value}");
    }
}

#[test]
fn refusals_come_in_every_shape() {
    let mut world = World::new();
    let list = world.list("A");
    let path = format!("/v3/REST/contactslist/{list}/managecontact");
    let wish = json!({ "Email": "ada@example.org", "Action": "addnoforce", "Properties": { "p1": 1 } });
    let (status, body) = world.call("POST", &path, &wish);
    assert_eq!((status, &body["ErrorInfo"]["Properties"][0]["p1"]), (400, &json!("Property not defined")));
    let (_, body) = world.call("POST", &path, &json!({ "Email": "", "Action": "" }));
    assert!(body["ErrorInfo"]["Action"].is_string() && body["ErrorInfo"]["Email"].is_string());
    assert_eq!(world.call("POST", "/v3/REST/contact/ada@example.org/managecontactslists", &json!({})).0, 404);
    world.act(list, "addnoforce");
    let lists = json!({ "ContactsLists": [{ "ListID": 999, "Action": "unsub" }] });
    let (_, body) = world.call("POST", "/v3/REST/contact/ada@example.org/managecontactslists", &lists);
    assert!(body["ErrorMessage"]["ContactsLists"][0]["Error"].is_string());
    let (status, body) = world.call("POST", "/v3/REST/contact", &json!({ "Contacts": [] }));
    assert_eq!(status, 400);
    assert!(body["ErrorMessage"].as_str().unwrap().contains("has no property \"Contacts\""));
    assert_eq!(world.raw("POST", "/v3/REST/contact", "{", &[]).status, 400);
}

#[test]
fn a_deleted_list_blocks_its_name_and_comes_back_with_its_members() {
    let mut world = World::new();
    let list = world.list("A");
    world.act(list, "addnoforce");
    let path = format!("/v3/REST/contactslist/{list}");
    assert_eq!(world.call("DELETE", &path, &Value::Null).0, 204);
    let (status, body) = world.call("POST", "/v3/REST/contactslist", &json!({ "Name": "A" }));
    assert_eq!((status, body["ErrorMessage"].as_str().unwrap().starts_with("MJ18")), (400, true));
    assert_eq!(world.act(list, "addnoforce").0, 404);
    let lists = world.get("/v3/REST/contact/ada@example.org/getcontactslists");
    assert_eq!(lists["Count"], 1, "a list that was deleted is still shown");
    assert_eq!(world.get("/v3/REST/listrecipient?IgnoreDeleted=true")["Count"], 0);
    assert_eq!(world.call("PUT", &path, &json!({ "IsDeleted": false })).0, 200);
    assert!(world.truth(list).mailable());
}

#[test]
fn recipients_are_filtered_changed_and_removed() {
    let mut world = World::new();
    let list = world.list("A");
    let unknown = json!({ "ContactAlt": "ada@example.org", "ListID": list });
    let (status, body) = world.call("POST", "/v3/REST/listrecipient", &unknown);
    assert_eq!(status, 400);
    assert!(body["ErrorMessage"].as_str().unwrap().contains("could not be resolved to an ID"));
    world.post("/v3/REST/contact", &json!({ "Email": "ada@example.org" }));
    let made = world.post("/v3/REST/listrecipient", &json!({ "ContactAlt": "ada@example.org", "ListAlt": "A" }));
    let path = format!("/v3/REST/listrecipient/{}", made["Data"][0]["ID"]);
    assert_eq!(made["Data"][0]["UnsubscribedAt"], "");
    assert_eq!(world.call("PUT", &path, &json!({ "IsUnsubscribed": "true" })).0, 200);
    assert_eq!(world.call("PUT", &path, &json!({ "IsUnsubscribed": true })).0, 304);
    assert_eq!(world.call("PUT", &path, &json!({ "UnsubscribedAt": "" })).0, 401);
    for (filter, count) in
        [("Unsub=true", 1), ("Unsub=false", 0), ("ContactEmail=ADA%40example.org", 1), ("ListName=B", 0)]
    {
        assert_eq!(world.get(&format!("/v3/REST/listrecipient?{filter}"))["Count"], count, "{filter}");
    }
    let full = world.get(&format!("/v3/REST/listrecipient?ContactsList={list}&Style=full"));
    assert_eq!(full["Data"][0]["Contact"]["Email"]["Email"], "ada@example.org");
    assert_eq!(
        world.get(&format!("/v3/REST/listrecipientstatistics?ContactsList={list}&IsUnsubscribed=true"))["Count"],
        1
    );
    assert_eq!(world.call("DELETE", &path, &Value::Null).0, 204);
    assert!(!world.truth(list).on_list);
}

#[test]
fn properties_are_folded_typed_and_must_be_defined() {
    let mut world = World::new();
    world.post("/v3/REST/contact", &json!({ "Email": "ada@example.org" }));
    let made =
        world.post("/v3/REST/contactmetadata", &json!({ "Name": "Age", "Datatype": "int", "NameSpace": "static" }));
    assert_eq!(made["Data"][0]["Name"], "age");
    assert_eq!(world.call("POST", "/v3/REST/contactmetadata", &json!({ "Name": "AGE" })).0, 400);
    let path = "/v3/REST/contactdata/ada@example.org";
    let (status, body) = world.call("PUT", path, &json!({ "age": 30 }));
    assert_eq!((status, body["ErrorMessage"].as_str()), (400, Some("Invalid key name: \"age\"")));
    let data = world.call("PUT", path, &json!({ "Data": [{ "Name": "Age", "Value": "30" }] })).1;
    assert_eq!(data["Data"][0]["Data"], json!([{ "Name": "age", "Value": 30 }]));
    world.call("PUT", path, &json!({ "Data": [{ "Name": "age", "Value": null }] }));
    assert_eq!(world.get(path)["Data"][0]["Data"], json!([]));
}

#[test]
fn erasure_anonymises_and_forgets() {
    let mut world = World::new();
    let list = world.list("A");
    world.act(list, "unsub");
    let id = world.get("/v3/REST/contact/ada@example.org")["Data"][0]["ID"].clone();
    assert_eq!(world.call("DELETE", "/v4/contacts/ada@example.org", &Value::Null).0, 400);
    assert_eq!(world.call("DELETE", &format!("/v4/contacts/{id}"), &Value::Null).0, 200);
    assert_eq!(world.call("DELETE", &format!("/v4/contacts/{id}"), &Value::Null).0, 404);
    assert_eq!(world.get("/v3/REST/contact")["Count"], 0);
    let kept = world.get("/v3/REST/contact?IncludeAnonymized=true")["Data"][0].clone();
    assert!(kept["Email"].as_str().unwrap().ends_with("@domain.invalid") && kept["Name"] == "Anonymized");
    world.act(list, "addnoforce");
    assert!(world.truth(list).mailable(), "whoever was erased is subscribed like anybody new");
}
