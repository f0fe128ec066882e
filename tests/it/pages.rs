//! The recipients' pages: `GET` shows, `POST` decides, and nothing else does anything.

use crate::served::{Served, run_sql};
use crate::world::{Engine, World, on_both_engines};
use consentd::clock::{DAY, MINUTE};
use consentd::domain::consent::{AskBasis, Kind, State};
use consentd::service::Core;
use consentd::store::{Address, Tenant, TenantKey};
use reqwest::{Method, Response, StatusCode};

on_both_engines!(
    looking_changes_nothing,
    a_person_accepts_and_refuses_with_one_click_each,
    a_scanner_does_not_accept_but_a_person_behind_one_does,
    one_click_unsubscribes_in_both_encodings_however_often,
    anything_posted_to_an_unsubscribe_link_unsubscribes,
    links_that_cannot_accept_say_why_and_still_refuse,
    every_answer_carries_strict_headers,
);

struct Person {
    world: World,
    served: Served,
    tenant: Tenant,
    key: TenantKey,
    address: Address,
    /// Where the consent link leads.
    ask: String,
    /// Where the unsubscribe link leads.
    leave: String,
}

impl Person {
    async fn new(engine: Engine) -> Self {
        let world = World::new(engine).await;
        let (tenant, key) = world.tenant("pool").await;
        let address = world.address(&tenant, &key, "ada@example.org").await;
        let purpose = world.core.purpose(&tenant, None).await.unwrap();
        let asked = std::slice::from_ref(&address);
        let basis = AskBasis::ExistingCustomer;
        let mut links = world.core.request_consent(&tenant, &key, &purpose, asked, &basis, "office").await.unwrap();
        let ask = links.remove(0).unwrap();
        let mut tx = world.core.store.begin().await.unwrap();
        let leave = world.core.unsubscribe_link(&mut tx, &tenant, &address, &purpose).await.unwrap();
        tx.commit().await.unwrap();
        let served = Served::new(&world.core, "").await;
        let (ask, leave) = (served.at(&ask), served.at(&leave));
        Self { world, served, tenant, key, address, ask, leave }
    }

    fn core(&self) -> &Core {
        &self.world.core
    }

    async fn state(&self) -> State {
        self.core().store.standings(self.tenant.id, self.address.id).await.unwrap()[0].standing.state
    }

    /// How many lines of that kind the history holds.
    async fn lines(&self, kind: Kind) -> usize {
        let lines = self.core().store.lines_after(self.tenant.id, 0, 1_000).await.unwrap();
        lines.iter().filter(|line| line.header.kind == kind).count()
    }

    async fn look(&self, url: &str) -> Response {
        self.served.http.get(url).send().await.unwrap()
    }

    async fn post(&self, url: &str, form: &'static str) -> Response {
        let post = self.served.http.post(url).header("content-type", "application/x-www-form-urlencoded");
        post.body(form).send().await.unwrap()
    }

    async fn end(self) {
        let found = self.core().verify(&self.tenant, &self.key).await.unwrap();
        assert!(found.is_sound(), "{found:?}");
        self.served.end();
        self.world.end().await;
    }
}

/// I14.
async fn looking_changes_nothing(engine: Engine) {
    let person = Person::new(engine).await;
    for url in [&person.ask, &person.leave, &format!("{}?answer=yes&decision=accept", person.ask)] {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
            let answer = person.served.http.request(method.clone(), url).send().await.unwrap();
            let shows = matches!(method, Method::GET | Method::HEAD);
            let expected = if shows { StatusCode::OK } else { StatusCode::METHOD_NOT_ALLOWED };
            assert_eq!(answer.status(), expected, "{method} {url}");
        }
    }
    assert_eq!(person.state().await, State::Pending);
    let page = person.look(&person.ask).await.text().await.unwrap();
    for part in
        ["pool GmbH", "Hafenstraße 1", "https://example.org/datenschutz", "Ja, ich willige ein", "Nein, ich lehne ab"]
    {
        assert!(page.contains(part), "{part} is missing: {page}");
    }
    for part in ["ada@", "<script", "checked", "http-equiv", "<img"] {
        assert!(!page.contains(part), "{part}: {page}");
    }
    let leave = person.look(&person.leave).await.text().await.unwrap();
    assert!(leave.contains("Abbestellen") && !leave.contains("willige ein"), "{leave}");
    person.end().await;
}

async fn a_person_accepts_and_refuses_with_one_click_each(engine: Engine) {
    let person = Person::new(engine).await;
    person.look(&person.ask).await;
    for _ in 0..2 {
        let answer = person.post(&person.ask, "decision=accept").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.text().await.unwrap().contains("Vielen Dank"));
        assert_eq!((person.state().await, person.lines(Kind::Accepted).await), (State::Accepted, 1));
    }
    assert!(person.look(&person.ask).await.text().await.unwrap().contains("Zurzeit haben Sie eingewilligt"));
    person.world.clock.advance(2 * MINUTE);
    for _ in 0..2 {
        let answer = person.post(&person.ask, "decision=refuse").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(answer.text().await.unwrap().contains("Sie erhalten keine solchen E-Mails"));
        assert_eq!((person.state().await, person.lines(Kind::Withdrawn).await), (State::Withdrawn, 1));
    }
    for nothing in ["", "decision=maybe", "decision", "%", "x=%ff&&=="] {
        let answer = person.post(&person.ask, nothing).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{nothing}");
        assert!(answer.text().await.unwrap().contains("<button"));
    }
    assert_eq!(person.state().await, State::Withdrawn);
    person.end().await;
}

async fn a_scanner_does_not_accept_but_a_person_behind_one_does(engine: Engine) {
    let person = Person::new(engine).await;
    person.served.http.head(&person.ask).send().await.unwrap();
    let answer = person.post(&person.ask, "decision=accept").await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text().await.unwrap();
    assert!(page.contains("type=\"checkbox\" name=\"confirmed\" value=\"yes\">"), "{page}");
    assert_eq!(person.state().await, State::Pending);

    let answer = person.post(&person.ask, "confirmed=yes&decision=accept").await;
    assert_eq!((answer.status(), person.state().await), (StatusCode::OK, State::Accepted));

    // Within a minute the opposite needs no box, and the way back does.
    assert_eq!(person.post(&person.ask, "decision=refuse").await.status(), StatusCode::OK);
    assert_eq!(person.state().await, State::Withdrawn);
    assert_eq!(person.post(&person.ask, "decision=accept").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(person.state().await, State::Withdrawn);
    person.end().await;
}

async fn one_click_unsubscribes_in_both_encodings_however_often(engine: Engine) {
    const MULTIPART: &str =
        "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    let person = Person::new(engine).await;
    let kinds = [
        ("application/x-www-form-urlencoded", "List-Unsubscribe=One-Click"),
        ("multipart/form-data; boundary=x", MULTIPART),
    ];
    // On the mail that asks, one click means no.
    for (url, kind, state) in
        [(&person.leave, Kind::Refused, State::Refused), (&person.ask, Kind::Refused, State::Refused)]
    {
        for times in [1, 1, 98] {
            for (content_type, body) in kinds {
                for _ in 0..times {
                    let bare = reqwest::Client::builder().build().unwrap();
                    let post = bare.post(url).header("content-type", content_type).body(body);
                    let answer = post.send().await.unwrap();
                    assert_eq!(answer.status(), StatusCode::OK);
                    assert_eq!(answer.text().await.unwrap(), "ok\n", "nothing about the person");
                }
            }
        }
        assert_eq!((person.lines(kind).await, person.state().await), (1, state));
    }
    person.end().await;
}

async fn anything_posted_to_an_unsubscribe_link_unsubscribes(engine: Engine) {
    for body in ["", "decision=refuse", "decision=accept", "\u{0}", "confirmed=yes&decision=accept"] {
        let person = Person::new(engine).await;
        assert_eq!(person.post(&person.ask, "decision=accept").await.status(), StatusCode::OK);
        let answer = person.post(&person.leave, body).await;
        assert_eq!((answer.status(), person.state().await), (StatusCode::OK, State::Withdrawn), "{body}");
        person.end().await;
    }
}

async fn links_that_cannot_accept_say_why_and_still_refuse(engine: Engine) {
    // Of another class.
    let person = Person::new(engine).await;
    let as_consent = person.leave.replace("/u/", "/c/");
    let answer = person.post(&as_consent, "decision=accept").await;
    assert_eq!((answer.status(), person.state().await), (StatusCode::FORBIDDEN, State::Pending));
    assert_eq!(person.post(&as_consent, "decision=refuse").await.status(), StatusCode::OK);
    assert_eq!(person.state().await, State::Refused);
    person.end().await;

    // Too old.
    let person = Person::new(engine).await;
    person.world.clock.advance(31 * DAY);
    let page = person.look(&person.ask).await.text().await.unwrap();
    assert!(page.contains("abgelaufen") && !page.contains("Ja, ich willige ein"), "{page}");
    let answer = person.post(&person.ask, "confirmed=yes&decision=accept").await;
    assert_eq!((answer.status(), person.state().await), (StatusCode::GONE, State::Pending));
    assert_eq!(person.post(&person.ask, "decision=refuse").await.status(), StatusCode::OK);
    assert_eq!(person.state().await, State::Refused);
    person.end().await;

    // About a text that has changed.
    let person = Person::new(engine).await;
    run_sql(&person.core().store.db, "UPDATE purpose SET text_version = text_version + 1").await;
    let answer = person.post(&person.ask, "decision=accept").await;
    assert_eq!((answer.status(), person.state().await), (StatusCode::CONFLICT, State::Pending));
    assert!(answer.text().await.unwrap().contains("geändert"));
    person.end().await;
}

async fn every_answer_carries_strict_headers(engine: Engine) {
    let person = Person::new(engine).await;
    let base = &person.served.url;
    let mut answers = vec![
        person.look(&person.ask).await,
        person.look(&person.leave).await,
        person.post(&person.ask, "decision=accept").await,
        person.post(&person.ask, "").await,
        person.post(&person.leave, "List-Unsubscribe=One-Click").await,
        person.look(&format!("{base}/healthz")).await,
        person.look(&format!("{base}/readyz")).await,
        person.look(&format!("{base}/metrics")).await,
        person.look(&format!("{base}/hooks/a/b")).await,
        person.look(&format!("{base}/")).await,
        person.look(&format!("{base}/c/{}", "A".repeat(43))).await,
        person.look(&format!("{base}/c/%ff")).await,
        person.post(&format!("{base}/u/unknown"), "").await,
        person.post(&format!("{base}/hooks/a/b"), "").await,
    ];
    person.core().store.db.close().await;
    let busy = person.post(&person.leave, "").await;
    assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(busy.headers().contains_key("retry-after"));
    answers.push(busy);
    for answer in answers {
        let (url, headers) = (answer.url().clone(), answer.headers().clone());
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{url}: {policy}");
        }
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("x-robots-tag", "noindex, nofollow"),
            ("cross-origin-opener-policy", "same-origin"),
            ("strict-transport-security", "max-age=63072000"),
        ] {
            assert_eq!(header(name), value, "{url}: {name}");
        }
        assert!(!headers.contains_key("set-cookie") && !headers.contains_key("location"), "{url}");
        assert!(!answer.text().await.unwrap().contains("ada@"), "{url}");
    }
    person.served.end();
    person.world.end().await;
}

#[tokio::test]
async fn unknown_links_answer_in_the_readers_language() {
    let world = World::new(Engine::Sqlite).await;
    let served = Served::new(&world.core, "").await;
    for (accept, words) in [
        ("de-AT,de;q=0.9", "Diese Seite gibt es nicht"),
        ("it, fr;q=0.5", "Cette page n’existe pas"),
        ("es", "Esta página no existe"),
        ("ja", "There is no such page"),
        ("é", "There is no such page"),
    ] {
        let get = served.http.get(format!("{}/c/nothing", served.url));
        let value = reqwest::header::HeaderValue::from_bytes(accept.as_bytes()).unwrap();
        let answer = get.header("accept-language", value).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        let page = answer.text().await.unwrap();
        assert!(page.contains(words), "{accept}: {page}");
    }
    served.end();
    world.end().await;
}

#[tokio::test]
async fn what_a_tenant_calls_itself_is_text() {
    let person = Person::new(Engine::Sqlite).await;
    let evil = "UPDATE tenant SET legal_name = '<script>alert(1)</script>&\"''', privacy_url = 'javascript:alert(1)'";
    run_sql(&person.core().store.db, evil).await;
    let page = person.look(&person.ask).await.text().await.unwrap();
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;"), "{page}");
    assert!(!page.contains("<script") && !page.contains("javascript:"), "{page}");
    person.end().await;
}

#[tokio::test]
async fn a_path_that_is_no_text_is_an_unknown_link() {
    let world = World::new(Engine::Sqlite).await;
    let served = Served::new(&world.core, "").await;
    for place in ["c", "u"] {
        let url = format!("{}/{place}/%ff", served.url);
        assert_eq!(served.http.get(&url).send().await.unwrap().status(), StatusCode::NOT_FOUND);
        assert_eq!(served.http.post(&url).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    served.end();
    world.end().await;
}
