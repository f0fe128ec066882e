//! The way out over real HTTP: faults, limits, and what is never sent twice. Time is simulated, so no test waits but
//! for an answer that never comes.

use consentd::clock::{Clock, SimulatedClock};
use consentd::domain::ids::{AccountId, ConnectionId};
use consentd::gateway::{Courier, HttpGateways, Limits};
use consentd::random::SeededRandom;
use consentd_provider::{Body, Gateway, Method, ProviderError, Quota, RateHeaders, Repeat, Request, Response, Sent};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

/// The way of the account's only connection.
fn open(
    gateways: &HttpGateways,
    account: u128,
    url: &str,
    quotas: &[Quota],
    headers: Option<RateHeaders>,
) -> Result<Arc<dyn Gateway>, String> {
    let id = Uuid::from_u128(account);
    gateways.open(ConnectionId(id), AccountId(id), url, quotas, headers)
}

const LIMITS: Limits =
    Limits { timeout: Duration::from_millis(400), answer: 100_000, patience: Duration::from_secs(5) };

/// What the server does with its next connection.
#[derive(Clone)]
enum Reply {
    /// Sends these bytes and closes.
    Say(String),
    /// Closes without a word.
    Reset,
    /// Never answers.
    Hang,
}

fn ok(body: &str) -> Reply {
    answer("200 OK", "", body)
}

fn answer(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Say(format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    ))
}

/// A provider that follows a script; the last line repeats.
struct Server {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn new(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let own = heard.clone();
        tokio::spawn(async move {
            let mut held = Vec::new();
            for index in 0.. {
                let Ok((mut stream, _)) = listener.accept().await else { return };
                let request = hear(&mut stream).await;
                own.lock().unwrap().push(request);
                match &script[index.min(script.len() - 1)] {
                    // Who reads enough may hang up first.
                    Reply::Say(text) => drop(stream.write_all(text.as_bytes()).await),
                    Reply::Reset => drop(stream),
                    Reply::Hang => held.push(stream),
                }
            }
        });
        Self { url, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// Reads head and body of one request.
async fn hear(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let length = text
            .to_ascii_lowercase()
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse::<usize>().unwrap());
        let whole = text.find("\r\n\r\n").is_some_and(|head| text.len() >= head + 4 + length);
        if read == 0 || whole {
            return text;
        }
    }
}

fn gateways() -> (Arc<SimulatedClock>, HttpGateways) {
    let clock = Arc::new(SimulatedClock::at(crate::world::START));
    let gateways = HttpGateways::new(LIMITS, clock.clone(), Arc::new(SeededRandom::new(3))).unwrap();
    (clock, gateways)
}

fn way(url: &str) -> Arc<dyn Gateway> {
    open(&gateways().1, 0, url, &[], None).unwrap()
}

fn request(repeat: Repeat) -> Request {
    Request {
        method: Method::Post,
        route: "/contacts/{email}",
        path: "/contacts/ada%40example.org?x=1".into(),
        headers: vec![("Authorization", "Bearer very-secret".into())],
        body: Some(Body { content_type: "application/json", bytes: b"{}".to_vec() }),
        family: "rest",
        repeat,
    }
}

fn sent(result: &Result<Response, ProviderError>) -> Option<Sent> {
    match result {
        Err(ProviderError::Unreachable { sent, .. }) => Some(*sent),
        _ => None,
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_written_and_any_status_is_an_answer() {
    let server = Server::new(vec![answer("404 Not Found", "X-Left: 7\r\n", "no")]).await;
    let answer = way(&server.url).send(request(Repeat::Never)).await.unwrap();
    assert_eq!((answer.status, answer.header("x-left"), &*answer.body), (404, Some("7"), &b"no"[..]));
    let heard = server.heard().remove(0).to_ascii_lowercase();
    for part in [
        "post /contacts/ada%40example.org?x=1 http/1.1",
        "authorization: bearer very-secret",
        "content-type: application/json",
        "user-agent: consentd/",
        "\r\n\r\n{}",
    ] {
        assert!(heard.contains(part), "{part}: {heard}");
    }
}

#[tokio::test]
async fn only_a_connection_that_was_never_made_was_certainly_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(sent(&way(&nobody).send(request(Repeat::Never)).await), Some(Sent::No));
    for reply in [
        Reply::Reset,
        Reply::Hang,
        Reply::Say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut off".into()),
        Reply::Say("not http at all\r\n\r\n".into()),
    ] {
        let server = Server::new(vec![reply]).await;
        let result = way(&server.url).send(request(Repeat::Never)).await;
        assert_eq!(sent(&result), Some(Sent::Maybe), "{result:?}");
        assert_eq!(server.heard().len(), 1, "a call that writes is made once");
        let mut words = format!("{result:?}");
        let mut cause: Option<&dyn std::error::Error> = result.as_ref().err().map(|error| error as _);
        while let Some(error) = cause {
            words.push_str(&error.to_string());
            cause = error.source();
        }
        assert!(!words.contains("ada") && !words.contains("very-secret"), "{words}");
    }
}

#[tokio::test]
async fn calls_that_read_are_repeated_and_no_others() {
    let failing = || answer("502 Bad Gateway", "", "");
    for (script, repeat, status, calls) in [
        (vec![failing(), failing(), ok("x")], Repeat::Safe, Some(200), 3),
        (vec![failing()], Repeat::Safe, Some(502), 3),
        (vec![failing(), ok("x")], Repeat::Never, Some(502), 1),
        (vec![Reply::Reset, ok("x")], Repeat::Safe, Some(200), 2),
        (vec![Reply::Hang, ok("x")], Repeat::Safe, Some(200), 2),
        (vec![Reply::Reset], Repeat::Safe, None, 2),
        (vec![answer("429 Too Many Requests", "", "")], Repeat::Safe, Some(429), 1),
        (vec![answer("400 Bad Request", "", "")], Repeat::Safe, Some(400), 1),
    ] {
        let server = Server::new(script).await;
        let result = way(&server.url).send(request(repeat)).await;
        assert_eq!(result.ok().map(|answer| answer.status), status);
        assert_eq!(server.heard().len(), calls);
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Server::new(vec![ok("")]).await;
    let location = format!("Location: {}/\r\n", elsewhere.url);
    let server = Server::new(vec![answer("307 Temporary Redirect", &location, "")]).await;
    assert_eq!(way(&server.url).send(request(Repeat::Safe)).await.unwrap().status, 307);
    assert_eq!(elsewhere.heard().len(), 0);
}

#[tokio::test]
async fn a_huge_answer_is_cut_off() {
    let server = Server::new(vec![ok(&"x".repeat(3_000_000))]).await;
    let answer = way(&server.url).send(request(Repeat::Never)).await.unwrap();
    assert_eq!(answer.body.len(), LIMITS.answer);
}

#[tokio::test]
async fn all_ways_to_an_account_share_its_quotas_and_nothing_is_sent_beyond_them() {
    let server = Server::new(vec![ok("")]).await;
    let (clock, gateways) = gateways();
    let quotas = [Quota { family: "rest", limit: 2, per: Duration::from_hours(1) }];
    let open = |account| open(&gateways, account, &server.url, &quotas, None).unwrap();
    open(1).send(request(Repeat::Safe)).await.unwrap();
    let began = clock.now();
    let refused = open(1).send(request(Repeat::Safe)).await;
    assert!(
        matches!(refused, Err(ProviderError::Throttled { retry_after: Some(wait) }) if wait > Duration::from_mins(30)),
        "{refused:?}"
    );
    assert_eq!((server.heard().len(), clock.now()), (1, began), "nothing sent, nothing waited");
    open(2).send(request(Repeat::Safe)).await.unwrap();
    assert_eq!(server.heard().len(), 2, "another account has its own");
}

/// I1.
#[tokio::test]
async fn connections_to_one_account_share_its_quotas_and_the_strictest_bind_all() {
    let server = Server::new(vec![ok("")]).await;
    let (clock, gateways) = gateways();
    let account = AccountId(Uuid::from_u128(7));
    let open = |connection, limit| {
        let quotas = [Quota { family: "rest", limit, per: Duration::from_secs(1) }];
        let connection = ConnectionId(Uuid::from_u128(connection));
        gateways.open(connection, account, &server.url, &quotas, None).unwrap()
    };
    let calls = async |rounds: usize| {
        let began = clock.now();
        for round in 0..rounds {
            let (connection, limit) = [(1, 10), (2, 2)][round % 2];
            open(connection, limit).send(request(Repeat::Safe)).await.unwrap();
        }
        (clock.now() - began) / 1_000
    };
    // Two a second, whoever calls and however often the ways are opened.
    let took = calls(20).await;
    assert!((9_400..=10_500).contains(&took), "{took} ms");
    // The careful one goes to another account: the other is bound by its own alone.
    let quotas = [Quota { family: "rest", limit: 2, per: Duration::from_secs(1) }];
    let elsewhere = AccountId(Uuid::from_u128(8));
    gateways.open(ConnectionId(Uuid::from_u128(2)), elsewhere, &server.url, &quotas, None).unwrap();
    let began = clock.now();
    for _ in 0..20 {
        open(1, 10).send(request(Repeat::Safe)).await.unwrap();
    }
    let took = (clock.now() - began) / 1_000;
    assert!((1_900..=2_300).contains(&took), "{took} ms");
}

#[tokio::test]
async fn what_is_left_is_told_for_every_connection_to_an_account() {
    let server = Server::new(vec![ok("")]).await;
    let (_, gateways) = gateways();
    let hour = |family, limit| Quota { family, limit, per: Duration::from_hours(1) };
    let (one, two, account) = (ConnectionId(Uuid::from_u128(1)), ConnectionId(Uuid::from_u128(2)), Uuid::from_u128(9));
    let open = |connection, quotas: &[Quota]| {
        gateways.open(connection, AccountId(account), &server.url, quotas, None).unwrap()
    };
    open(one, &[hour("rest", 100), hour("send", 7)]);
    assert_eq!(gateways.left(), [(one, "rest", 100), (one, "send", 7)], "nobody called yet");
    let way = open(two, &[hour("rest", 40)]);
    way.send(request(Repeat::Never)).await.unwrap();
    let all = [(one, "rest", 39), (one, "send", 7), (two, "rest", 39), (two, "send", 7)];
    assert_eq!(gateways.left(), all, "the strictest binds all, and all share what is spent");
}

/// I1.
#[tokio::test]
async fn a_short_wait_is_waited_unless_the_request_would_be_too_old_by_then() {
    let server = Server::new(vec![ok("")]).await;
    let (clock, gateways) = gateways();
    let quotas = [Quota { family: "rest", limit: 1, per: Duration::from_secs(2) }];
    let way = open(&gateways, 0, &server.url, &quotas, None).unwrap();
    way.send(request(Repeat::Never)).await.unwrap();
    let began = clock.now();
    let refused = way.send_before(request(Repeat::Never), began + 500_000).await;
    assert!(matches!(refused, Err(ProviderError::Throttled { retry_after: Some(Duration::ZERO) })), "{refused:?}");
    assert_eq!((server.heard().len(), clock.now()), (1, began), "nothing sent, nothing waited");
    way.send(request(Repeat::Never)).await.unwrap();
    assert!((2_000_000..=2_200_000).contains(&(clock.now() - began)));
}

#[tokio::test]
async fn an_account_that_is_told_to_slow_down_does() {
    let headers = RateHeaders { remaining: "x-remaining", reset: "x-reset" };
    for (reply, wait) in [
        (answer("429 Too Many Requests", "Retry-After: 90\r\n", ""), 90),
        (answer("200 OK", "X-Remaining: 0\r\nX-Reset: 40\r\n", ""), 40),
    ] {
        let server = Server::new(vec![reply]).await;
        let (clock, gateways) = gateways();
        let quotas = [Quota { family: "rest", limit: 6_000, per: Duration::from_mins(1) }];
        let way = open(&gateways, 0, &server.url, &quotas, Some(headers)).unwrap();
        way.send(request(Repeat::Never)).await.unwrap();
        let refused = way.send(request(Repeat::Safe)).await;
        let left = Duration::from_secs(wait);
        assert!(matches!(refused, Err(ProviderError::Throttled { retry_after: Some(told) }) if told == left));
        clock.advance(i64::try_from(left.as_micros()).unwrap());
        way.send(request(Repeat::Safe)).await.unwrap();
        assert_eq!(server.heard().len(), 2);
    }
}

#[tokio::test]
async fn a_base_url_is_encrypted_or_does_not_leave_the_machine() {
    let (_, gateways) = gateways();
    let open = |url: &str| open(&gateways, 0, url, &[], None).map(drop);
    for good in [
        "https://api.example.com",
        "https://api.example.com/v3/",
        "http://127.0.0.1:1",
        "http://[::1]:1/x",
        "http://localhost:1",
    ] {
        assert_eq!(open(good), Ok(()), "{good}");
    }
    for bad in [
        "http://api.example.com",
        "http://127.0.0.1.example.com",
        "http://0.0.0.0:1",
        "ftp://127.0.0.1",
        "https://user:pass@api.example.com",
        "https://api.example.com/?key=1",
        "api.example.com",
        "",
    ] {
        assert!(open(bad).is_err(), "{bad}");
    }
}

#[tokio::test]
async fn the_courier_shows_the_credentials_of_the_url_and_reports_the_status() {
    let courier = Courier::new(Duration::from_millis(400)).unwrap();
    let server = Server::new(vec![answer("401 Unauthorized", "", "")]).await;
    let url = server.url.replace("http://", "http://us%40er:pa%3Ass@") + "/hooks/a/b";
    let headers = [("Content-Type".to_owned(), "application/json".to_owned())];
    assert_eq!(courier.post(&url, &headers, b"[]".to_vec()).await, Some(401));
    let heard = server.heard().remove(0);
    assert!(heard.starts_with("POST /hooks/a/b HTTP/1.1\r\n"), "{heard}");
    assert!(heard.to_ascii_lowercase().contains("authorization: basic dxnazxi6cge6c3m="), "{heard}");
    assert!(heard.contains("[]") && heard.contains("application/json"), "{heard}");
    for reply in [Reply::Hang, Reply::Reset] {
        let server = Server::new(vec![reply]).await;
        assert_eq!(courier.post(&server.url, &[], vec![]).await, None);
        assert_eq!(server.heard().len(), 1);
    }
    assert_eq!(courier.post("no url", &[], vec![]).await, None);
}
