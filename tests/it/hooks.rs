//! Webhook intake over real HTTP: what is kept, what is refused, and what each sender hears.

use crate::served::{Served, connect, hook, incidents, kept, run_sql, with_toy};
use crate::world::{Engine, World, on_both_engines};
use consentd::clock::{SECOND, SimulatedClock};
use consentd::domain::consent::State;
use reqwest::{Body, StatusCode};
use std::sync::Arc;

on_both_engines!(
    a_delivery_is_on_disk_before_the_answer_and_once,
    bodies_are_read_kept_unread_or_refused_by_their_size,
    whatever_the_body_is_it_is_kept_and_costs_no_good_event,
    wrong_credentials_change_nothing_and_are_reported,
    unknown_paths_and_other_methods_change_nothing,
    rotated_secrets_open_at_once_and_old_ones_close,
    a_store_that_fails_asks_the_sender_to_come_back,
    a_panic_asks_the_sender_to_come_back,
);

const UNSUB: &str = r#"{"event":"unsub","time":1793696300,"MessageID":1,"email":"ada@example.org","mj_list_id":1}"#;

/// I10.
async fn a_delivery_is_on_disk_before_the_answer_and_once(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let connection = connect(&world.core, &tenant, &key, "mailjet", "a").await;
    let served = Served::new(&world.core, "").await;
    let (url, secret) = hook(&world.core, &connection, &key);
    for _ in 0..3 {
        let post = served.http.post(served.at(&url)).basic_auth("consentd", Some(&secret)).body(UNSUB);
        let answer = post.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(kept(&world.core, &tenant, connection.id).await, [("new".to_owned(), String::new())]);
        assert_eq!(answer.bytes().await.unwrap().len(), 0, "an empty answer");
    }
    let deliveries = world.core.store.deliveries(tenant.id, "new", 10).await.unwrap();
    assert_eq!((deliveries[0].repeats, deliveries[0].body.as_slice()), (2, UNSUB.as_bytes()), "the exact bytes");
    served.end();
    world.end().await;
}

async fn bodies_are_read_kept_unread_or_refused_by_their_size(engine: Engine) {
    const MIB: usize = 1024 * 1024;
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let connection = connect(&world.core, &tenant, &key, "mailjet", "a").await;
    let served = Served::new(&world.core, "[webhooks]\nbody_mib = 1\nquarantine_mib = 2").await;
    let (url, secret) = hook(&world.core, &connection, &key);
    let post = |body: Body| served.http.post(served.at(&url)).basic_auth("x", Some(&secret)).body(body).send();

    for (size, status, states) in [
        (MIB, StatusCode::OK, vec!["new"]),
        (MIB + 1, StatusCode::OK, vec!["quarantined", "new"]),
        (2 * MIB, StatusCode::OK, vec!["quarantined", "quarantined", "new"]),
        (2 * MIB + 1, StatusCode::PAYLOAD_TOO_LARGE, vec!["quarantined", "quarantined", "new"]),
    ] {
        world.clock.advance(SECOND);
        let body = [b" ".repeat(size - UNSUB.len()), UNSUB.into()].concat();
        assert_eq!(post(body.into()).await.unwrap().status(), status, "{size}");
        let found: Vec<String> = kept(&world.core, &tenant, connection.id).await.into_iter().map(|(s, _)| s).collect();
        assert_eq!(found, states, "{size}");
    }
    while world.core.sort_inbox(10).await.unwrap() > 0 {}
    let states: Vec<String> = kept(&world.core, &tenant, connection.id).await.into_iter().map(|(s, _)| s).collect();
    assert_eq!(states, ["quarantined", "quarantined", "done"], "what is too large is not read");
    served.end();
    world.end().await;
}

/// I11.
async fn whatever_the_body_is_it_is_kept_and_costs_no_good_event(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let ada = world.address(&tenant, &key, "ada@example.org").await;
    let connection = connect(&world.core, &tenant, &key, "mailjet", "a").await;
    let served = Served::new(&world.core, "").await;
    let (url, secret) = hook(&world.core, &connection, &key);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let long = format!(r#"[{{"event":"unsub","email":"{}@example.org"}}]"#, "a".repeat(100_000));
    let unreadable: [&[u8]; 11] = [
        b"",
        b"{",
        b"null",
        b"[[[[]]]]",
        b"\xff\xfe\x00\x01",
        b"\x1f\x8b\x08\x00gzip",
        b"a=b&c=d",
        b"{\"event\":7}",
        br#"{"event":"spam","email":"\ud800"}"#,
        br#"{"event":"unsub","event":"open","email":"x@example.org","email":7}"#,
        deep.as_bytes(),
    ];
    let readable: [&[u8]; 4] = [
        b"[]",
        br#"{"event":"novelty","email":"x@example.org"}"#,
        br#"[{"event":"bounce","email":"a\u0000b@example.org"},{"event":"spam","email":"@"}]"#,
        long.as_bytes(),
    ];
    for body in unreadable.iter().chain(&readable) {
        world.clock.advance(SECOND);
        let post = served.http.post(served.at(&url)).basic_auth("x", Some(&secret)).body(body.to_vec());
        assert_eq!(
            post.send().await.unwrap().status(),
            StatusCode::OK,
            "{}",
            String::from_utf8_lossy(&body[..body.len().min(40)])
        );
    }
    let mixed = format!(r#"[5,{{}},{{"event":"novelty"}},{UNSUB},{{"event":[]}},"x",null]"#);
    world.clock.advance(SECOND);
    let post = served.http.post(served.at(&url)).basic_auth("x", Some(&secret)).body(mixed);
    assert_eq!(post.send().await.unwrap().status(), StatusCode::OK);

    while world.core.sort_inbox(50).await.unwrap() > 0 {}
    let found = kept(&world.core, &tenant, connection.id).await;
    assert_eq!(found.len(), unreadable.len() + readable.len() + 1);
    assert_eq!(found.iter().filter(|(state, _)| state == "quarantined").count(), unreadable.len(), "{found:?}");
    assert!(found.iter().all(|(state, _)| state == "done" || state == "quarantined"), "{found:?}");
    let standings = world.core.store.standings(tenant.id, ada.id).await.unwrap();
    assert_eq!(standings[0].standing.state, State::Withdrawn, "the good event beside bad ones");
    let raised = incidents(&world.core, &tenant).await;
    assert!(raised.contains(&"quarantine".to_owned()) && raised.contains(&"unknown_event".to_owned()), "{raised:?}");
    served.end();
    world.end().await;
}

async fn wrong_credentials_change_nothing_and_are_reported(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let connection = connect(&world.core, &tenant, &key, "mailjet", "a").await;
    let served = Served::new(&world.core, "").await;
    let (url, secret) = hook(&world.core, &connection, &key);
    for (number, wrong) in [None, Some(""), Some("guess")].into_iter().enumerate() {
        assert_eq!(incidents(&world.core, &tenant).await.len(), 0, "after {number}");
        let post = served.http.post(served.at(&url)).body(UNSUB);
        let post = if let Some(wrong) = wrong { post.basic_auth("consentd", Some(wrong)) } else { post };
        assert_eq!(post.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(incidents(&world.core, &tenant).await, ["hook_credentials"]);
    assert_eq!(kept(&world.core, &tenant, connection.id).await, []);

    let post = served.http.post(served.at(&url)).basic_auth("consentd", Some(&secret)).body(UNSUB);
    assert_eq!(post.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(incidents(&world.core, &tenant).await.len(), 0, "a right one settles it");
    served.end();
    world.end().await;
}

/// I14.
async fn unknown_paths_and_other_methods_change_nothing(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let connection = connect(&world.core, &tenant, &key, "mailjet", "a").await;
    let other = connect(&world.core, &tenant, &key, "mailjet", "b").await;
    let served = Served::new(&world.core, "").await;
    let (url, secret) = hook(&world.core, &connection, &key);
    let (others, _) = hook(&world.core, &other, &key);
    let good = served.at(&url);
    let (account, path) = good.rsplit_once('/').unwrap();
    let (_, foreign_path) = others.rsplit_once('/').unwrap();
    for wrong in [
        format!("{account}/{foreign_path}"),
        format!("{account}/{}", "A".repeat(path.len())),
        format!("{account}/"),
        account.to_owned(),
        format!("{}/hooks/{}/{path}", served.url, "A".repeat(43)),
        format!("{}/hooks/x/{path}", served.url),
        format!("{}/hooks/%00/%ff", served.url),
    ] {
        let post = served.http.post(&wrong).basic_auth("x", Some(&secret)).body(UNSUB);
        assert_eq!(post.send().await.unwrap().status(), StatusCode::NOT_FOUND, "{wrong}");
    }
    for method in [reqwest::Method::GET, reqwest::Method::HEAD, reqwest::Method::PUT, reqwest::Method::OPTIONS] {
        let request = served.http.request(method, &good).basic_auth("x", Some(&secret)).body(UNSUB);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    assert_eq!(kept(&world.core, &tenant, connection.id).await, []);
    served.end();
    world.end().await;
}

async fn rotated_secrets_open_at_once_and_old_ones_close(engine: Engine) {
    let world = World::new(engine).await;
    let (tenant, key) = world.tenant("pool").await;
    let connection = connect(&world.core, &tenant, &key, "mailjet", "a").await;
    let served = Served::new(&world.core, "").await;
    let status = async |(url, secret): &(String, String)| {
        let post = served.http.post(served.at(url)).basic_auth("consentd", Some(secret)).body(UNSUB);
        post.send().await.unwrap().status()
    };
    let first = hook(&world.core, &connection, &key);
    assert_eq!(status(&first).await, StatusCode::OK);

    world.clock.advance(SECOND);
    let connection = world.core.rotate_hooks(&connection, &key).await.unwrap();
    let second = hook(&world.core, &connection, &key);
    assert_eq!(status(&second).await, StatusCode::OK, "new secrets are looked for at once");
    assert_eq!(status(&first).await, StatusCode::OK, "two are valid");
    let mixed = (first.0.clone(), second.1.clone());
    assert_eq!(status(&mixed).await, StatusCode::OK, "in any pairing");

    world.clock.advance(SECOND);
    let connection = world.core.rotate_hooks(&connection, &key).await.unwrap();
    let third = hook(&world.core, &connection, &key);
    world.clock.advance(5 * SECOND);
    assert_eq!(status(&first).await, StatusCode::NOT_FOUND, "rotated out twice");
    assert_eq!(status(&(third.0.clone(), first.1.clone())).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&third).await, StatusCode::OK);
    served.end();
    world.end().await;
}

/// I11.
async fn a_store_that_fails_asks_the_sender_to_come_back(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    let (tenant, key) = world.tenant("pool").await;
    let toy = connect(&world.core, &tenant, &key, "toy", "store-fails").await;
    let mailjet = connect(&world.core, &tenant, &key, "mailjet", "a").await;
    let served = Served::new(&world.core, "").await;
    let (toy_url, toy_secret) = hook(&world.core, &toy, &key);
    let (mailjet_url, mailjet_secret) = hook(&world.core, &mailjet, &key);
    let post = |url: &str, body: &'static str| served.http.post(served.at(url)).body(body);
    assert_eq!(post(&toy_url, "a@b.de").bearer_auth(&toy_secret).send().await.unwrap().status(), StatusCode::OK);

    run_sql(&world.core.store.db, "ALTER TABLE inbox RENAME TO gone").await;
    assert_eq!(post(&toy_url, "b@b.de").bearer_auth(&toy_secret).send().await.unwrap().status(), 429);
    world.core.store.db.close().await;
    world.clock.advance(60 * SECOND);
    assert_eq!(
        post(&toy_url, "c@b.de").bearer_auth(&toy_secret).send().await.unwrap().status(),
        429,
        "known from before"
    );
    let unknown = post(&mailjet_url, UNSUB).basic_auth("x", Some(&mailjet_secret)).send().await.unwrap();
    assert_eq!(unknown.status(), 429, "nobody can tell whose it is");
    served.end();
    world.end().await;
}

/// I11.
async fn a_panic_asks_the_sender_to_come_back(engine: Engine) {
    let world = with_toy(World::new(engine).await);
    let (tenant, key) = world.tenant("pool").await;
    let toy = connect(&world.core, &tenant, &key, "toy", "panics").await;
    let served = Served::new(&world.core, "").await;
    let (url, secret) = hook(&world.core, &toy, &key);
    for (body, status) in [("panic", 429), ("a@example.org", 200), ("panic again", 429), ("b@example.org", 200)] {
        let post = served.http.post(served.at(&url)).bearer_auth(&secret).body(body);
        assert_eq!(post.send().await.unwrap().status(), status, "{body}");
    }
    assert_eq!(kept(&world.core, &tenant, toy.id).await.len(), 2);
    served.end();
    world.end().await;
}

#[tokio::test]
async fn health_is_red_once_nobody_commits_deliveries() {
    let world = World::new(Engine::Sqlite).await;
    let (tenant, key) = world.tenant("pool").await;
    let connection = connect(&world.core, &tenant, &key, "mailjet", "a").await;
    let mut served = Served::new(&world.core, "").await;
    let (url, secret) = hook(&world.core, &connection, &key);
    let base = served.url.clone();
    let look = async |path: &str| {
        let answer = reqwest::get(format!("{base}/{path}")).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(look("healthz").await, (200, "ok\n".to_owned()));
    assert!(look("readyz").await.1.contains("\"intake\":true"));

    served.lose_intake().await;
    let post = served.http.post(served.at(&url)).basic_auth("x", Some(&secret)).body(UNSUB);
    assert_eq!(post.send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE, "come back");
    assert_eq!(look("healthz").await, (503, "the intake of webhooks has ended; restart\n".to_owned()));
    let (status, body) = look("readyz").await;
    assert!(status == 503 && body.contains("\"intake\":false"), "{body}");
    served.end();
    world.end().await;
}

#[tokio::test]
async fn a_sender_that_stops_half_way_leaves_nothing() {
    use tokio::io::AsyncWriteExt;
    let world = with_toy(World::new(Engine::Sqlite).await);
    let (tenant, key) = world.tenant("pool").await;
    let toy = connect(&world.core, &tenant, &key, "toy", "half").await;
    let served = Served::new(&world.core, "").await;
    let (url, secret) = hook(&world.core, &toy, &key);
    let at = served.at(&url);
    let (host, path) = at.trim_start_matches("http://").split_once('/').unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let head = format!(
        "POST /{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Length: 100\r\n\r\nada@"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await.unwrap();
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
    assert_eq!(kept(&world.core, &tenant, toy.id).await, []);
    served.end();
    world.end().await;
}

#[tokio::test]
async fn many_at_once_all_keep_their_word() {
    let mut world = with_toy(World::new(Engine::Sqlite).await);
    world.core.clock = Arc::new(SimulatedClock::at(crate::world::START));
    let (tenant, key) = world.tenant("pool").await;
    let toy = connect(&world.core, &tenant, &key, "toy", "many").await;
    let served = Served::new(&world.core, "").await;
    let (url, secret) = hook(&world.core, &toy, &key);
    let mut posts = tokio::task::JoinSet::new();
    for number in 0..300 {
        let post = served.http.post(served.at(&url)).bearer_auth(&secret).body(format!("{number}@example.org"));
        posts.spawn(async move { post.send().await.unwrap().status() });
    }
    let answers = posts.join_all().await;
    assert!(answers.iter().all(|status| *status == StatusCode::OK));
    assert_eq!(kept(&world.core, &tenant, toy.id).await.len(), 300);
    served.end();
    world.end().await;
}
