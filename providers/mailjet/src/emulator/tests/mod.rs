//! One test for each trap of the contract sheet that the emulator lays.

mod bulk;
mod calls;
mod deliveries;

use super::instant::SECOND;
use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

struct World {
    mailjet: Mailjet,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        Self { mailjet: Mailjet::default(), now: 1_767_225_600 * SECOND }
    }

    fn with(switches: &[(&str, &str)]) -> Self {
        let mut world = Self::new();
        for (name, value) in switches {
            world.mailjet.set(name, value).unwrap();
        }
        world
    }

    fn raw(&mut self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Response {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut all = vec![("authorization".to_owned(), format!("Basic {}", STANDARD.encode("key:secret")))];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let call = Call {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: all,
            body: body.as_bytes().to_vec(),
        };
        self.mailjet.handle(self.now, &call)
    }

    fn call(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.raw(method, path, &body, &[]);
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    fn get(&mut self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn post(&mut self, path: &str, body: &Value) -> Value {
        let (status, body) = self.call("POST", path, body);
        assert!((200..300).contains(&status), "{path}: {status} {body}");
        body
    }

    fn list(&mut self, name: &str) -> u64 {
        self.post("/v3/REST/contactslist", &json!({ "Name": name }))["Data"][0]["ID"].as_u64().unwrap()
    }

    fn act(&mut self, list: u64, action: &str) -> (u16, Value) {
        let path = format!("/v3/REST/contactslist/{list}/managecontact");
        self.call("POST", &path, &json!({ "Email": "ada@example.org", "Action": action }))
    }

    fn truth(&mut self, list: u64) -> Look {
        self.mailjet.truth(self.now, &list.to_string(), "ada@example.org")
    }

    fn hook(&mut self, event: &str, url: &str, more: &Value) -> (u16, Value) {
        let mut body = json!({ "EventType": event, "Url": url });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        self.call("POST", "/v3/REST/eventcallbackurl", &body)
    }

    fn happen(&mut self, what: &Happening) {
        assert!(self.mailjet.happen(self.now, "ada@example.org", what));
    }

    fn due(&mut self, seconds: i64) -> Vec<Outgoing> {
        self.now += seconds * SECOND;
        self.mailjet.due(self.now)
    }
}

fn events(call: &Outgoing) -> Vec<Value> {
    match serde_json::from_slice(&call.body).unwrap() {
        Value::Array(events) => events,
        event => vec![event],
    }
}
