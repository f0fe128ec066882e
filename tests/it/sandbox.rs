//! Emulated providers on real HTTP.

use consentd::clock::{Clock, SimulatedClock, SystemClock};
use consentd::registry;
use consentd::sandbox::{Accounts, Clockwork, Post, Sandbox};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

struct Bench {
    sandbox: Sandbox,
    accounts: Arc<Accounts>,
    client: reqwest::Client,
}

/// A person with an account at the provider.
const ANNA: (&str, &str) = ("anna", "secret");
const BERT: (&str, &str) = ("bert", "secret");

impl Bench {
    async fn open(clock: Arc<dyn Clock>) -> Self {
        let emulator = registry::emulators("mailjet").unwrap();
        let accounts = Arc::new(Accounts::new(Arc::new(Clockwork::new(clock)), emulator));
        let sandbox = Sandbox::listen(0, accounts.clone()).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { sandbox, accounts, client }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.sandbox.address())
    }

    async fn call(&self, who: (&str, &str), method: reqwest::Method, path: &str, body: &Value) -> (u16, Value) {
        let call = self.client.request(method, self.url(path)).basic_auth(who.0, Some(who.1)).body(body.to_string());
        let answer = call.header("content-type", "application/json").send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.call(ANNA, reqwest::Method::POST, path, body).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(ANNA, reqwest::Method::GET, path, &json!({})).await
    }

    /// A list of Anna's with one person on it.
    async fn list_with(&self, email: &str) -> String {
        let (status, list) = self.post("/v3/REST/contactslist", &json!({ "Name": "Campaigns" })).await;
        assert_eq!(status, 201, "{list}");
        let list = list["Data"][0]["ID"].to_string();
        let path = format!("/v3/REST/contactslist/{list}/managecontact");
        let (status, put) = self.post(&path, &json!({ "Email": email, "Action": "addnoforce" })).await;
        assert_eq!(status, 201, "{put}");
        list
    }
}

#[tokio::test]
async fn every_credential_is_an_account_of_its_own() {
    let bench = Bench::open(Arc::new(SystemClock)).await;
    bench.list_with("ada@example.org").await;
    let count =
        async |who| bench.call(who, reqwest::Method::GET, "/v3/REST/contact", &json!({})).await.1["Count"].clone();
    assert_eq!((count(ANNA).await, count(BERT).await), (json!(1), json!(0)));
    assert_eq!(bench.accounts.all().len(), 2);
    bench.sandbox.stop().await;
}

#[tokio::test]
async fn a_path_reaches_the_emulator_as_it_was_sent() {
    let bench = Bench::open(Arc::new(SystemClock)).await;
    let (status, _) = bench.get("/v3/REST/contact/ada%2Bnews%40example.org").await;
    assert_eq!(status, 404);
    let (_, log) = bench.get("/_sandbox/log?last=1").await;
    assert_eq!(log[0]["what"], "GET /v3/REST/contact/ada%2Bnews%40example.org");
    assert_eq!(log[0]["status"], 404);
    bench.sandbox.stop().await;
}

#[tokio::test]
async fn the_control_calls_make_people_act_and_tell_the_truth() {
    let bench = Bench::open(Arc::new(SystemClock)).await;
    let list = bench.list_with("ada@example.org").await;
    let truth = format!("/_sandbox/truth?list={list}&email=ada@example.org");
    assert_eq!(bench.get(&truth).await.1["mailable"], true);
    assert_eq!(bench.get(&format!("/_sandbox/mailable?list={list}")).await.1["count"], 1);

    let order = json!({ "email": "ada@example.org", "what": "unsubscribes", "list": list });
    assert_eq!(bench.post("/_sandbox/happen", &order).await.0, 200);

    assert_eq!(bench.get(&truth).await.1["unsubscribed"], true);
    assert_eq!(bench.get(&format!("/_sandbox/mailable?list={list}")).await.1["addresses"], json!([]));
    bench.sandbox.stop().await;
}

#[tokio::test]
async fn a_wrong_control_call_is_told_what_is_wrong() {
    let bench = Bench::open(Arc::new(SystemClock)).await;
    let nameless = bench.client.get(bench.url("/_sandbox/log")).send().await.unwrap();
    assert_eq!(nameless.status(), 400);
    assert!(nameless.text().await.unwrap().contains("no account was opened yet"));
    for (path, body, status, words) in [
        ("happen", json!({ "email": "nobody@example.org", "what": "complains" }), 404, "does not know"),
        ("happen", json!({ "email": "nobody@example.org", "what": "hostile_import" }), 400, "add list"),
        ("happen", json!({ "what": "complains" }), 400, "missing field `email`"),
        ("fault", json!({ "fault": "status" }), 400, "add status"),
        ("fault", json!({ "fault": "fire" }), 400, "unknown variant `fire`"),
        ("disturb", json!({ "dropp": 1 }), 400, "unknown field `dropp`"),
        ("set", json!({ "name": "no such switch", "value": "1" }), 400, ""),
        ("dance", json!({}), 404, "there is no such call"),
    ] {
        let (answered, said) = bench.post(&format!("/_sandbox/{path}"), &body).await;
        assert_eq!(answered, status, "{path} {body}: {said}");
        assert!(said["error"].as_str().unwrap().contains(words), "{path} {body}: {said}");
    }
    bench.sandbox.stop().await;
}

#[tokio::test]
async fn a_status_is_answered_as_often_as_was_asked_for() {
    let bench = Bench::open(Arc::new(SystemClock)).await;
    bench.post("/_sandbox/fault", &json!({ "fault": "throttle", "times": 2, "headers": { "retry-after": "7" } })).await;
    for expected in [Some("7"), Some("7"), None] {
        let call = bench.client.get(bench.url("/v3/REST/contact")).basic_auth(ANNA.0, Some(ANNA.1));
        let answer = call.send().await.unwrap();
        assert_eq!(answer.status() == 429, expected.is_some());
        assert_eq!(answer.headers().get("retry-after").map(|value| value.to_str().unwrap()), expected);
    }
    bench.post("/_sandbox/fault", &json!({ "fault": "html" })).await;
    bench.post("/_sandbox/heal", &json!({})).await;
    assert_eq!(bench.get("/v3/REST/contact").await.0, 200);
    bench.sandbox.stop().await;
}

#[tokio::test]
async fn a_connection_breaks_without_a_byte_of_an_answer() {
    let bench = Bench::open(Arc::new(SystemClock)).await;
    let authorization = "authorization: Basic YW5uYTpzZWNyZXQ=";
    for (fault, reset) in [("refuse", false), ("reset", true)] {
        bench.post("/_sandbox/fault", &json!({ "fault": fault, "times": 1 })).await;
        let mut line = tokio::net::TcpStream::connect(bench.sandbox.address()).await.unwrap();
        let request = format!("GET /v3/REST/contact HTTP/1.1\r\nhost: sandbox\r\n{authorization}\r\n\r\n");
        line.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let end = line.read_to_end(&mut answer).await;
        assert_eq!((end.is_err(), answer.as_slice()), (reset, &b""[..]), "{fault}");
    }
    bench.sandbox.stop().await;
}

#[tokio::test]
async fn a_call_hangs_until_the_caller_or_the_sandbox_gives_up() {
    let bench = Bench::open(Arc::new(SystemClock)).await;
    bench.post("/_sandbox/fault", &json!({ "fault": "hang" })).await;
    let call = || bench.client.get(bench.url("/v3/REST/contact")).basic_auth(ANNA.0, Some(ANNA.1));
    let error = call().timeout(Duration::from_millis(50)).send().await.unwrap_err();
    assert!(error.is_timeout());
    let waiting = tokio::spawn(call().send());
    while bench.get("/_sandbox/log").await.1.as_array().unwrap().len() < 2 {}
    bench.sandbox.stop().await;
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn webhooks_are_posted_to_whoever_registered_and_again_when_refused() {
    let clock = Arc::new(SimulatedClock::at(1_793_696_400_000_000));
    let bench = Bench::open(clock).await;
    let receiver = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://hook:secret@{}/in", receiver.local_addr().unwrap());
    bench.post("/v3/REST/eventcallbackurl", &json!({ "EventType": "unsub", "Url": url, "Version": 2 })).await;
    let list = bench.list_with("ada@example.org").await;
    let order = json!({ "email": "ada@example.org", "what": "unsubscribes", "list": list });
    bench.post("/_sandbox/happen", &order).await;

    let post = Post::start(bench.accounts.clone()).unwrap();
    for status in ["500 No", "200 Yes"] {
        let (mut line, _) = receiver.accept().await.unwrap();
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("ada@example.org") {
            assert_ne!(line.read_buf(&mut seen).await.unwrap(), 0);
        }
        let seen = String::from_utf8_lossy(&seen).to_lowercase();
        assert!(seen.starts_with("post /in http/1.1"), "{seen}");
        assert!(seen.contains("authorization: basic ag9vazpzzwnyzxq="), "{seen}");
        assert!(seen.contains("\"event\":\"unsub\""), "{seen}");
        line.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
    }
    drop(post);
    bench.sandbox.stop().await;
}
