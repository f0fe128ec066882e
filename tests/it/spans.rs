//! What a trace shows: every call to a provider stands below the step of the connection that made it, and a delivery can be
//! followed from its request over its commit to the worker that reads it.

use crate::journey::Journey;
use crate::served::{Served, connect, hook};
use crate::world::{Engine, World};
use consentd::clock::SECOND;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// One span as it ended: its path of names, and the fields of all on that path.
#[derive(Debug, Clone)]
struct Seen {
    path: String,
    fields: HashMap<String, String>,
    /// The deliveries that it follows from.
    deliveries: Vec<String>,
}

/// Keeps every span that ends.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Seen>>>);

#[derive(Default)]
struct Fields(HashMap<String, String>);

#[derive(Default)]
struct Follows(Vec<String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = context.span(id).unwrap();
        span.extensions_mut().insert(fields);
        span.extensions_mut().insert(Follows::default());
    }

    fn on_follows_from(&self, id: &Id, before: &Id, context: Context<'_, S>) {
        let delivery = context.span(before).unwrap().extensions().get::<Fields>().unwrap().0["delivery.id"].clone();
        context.span(id).unwrap().extensions_mut().get_mut::<Follows>().unwrap().0.push(delivery);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        values.record(context.span(id).unwrap().extensions_mut().get_mut::<Fields>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let scope: Vec<_> = context.span_scope(&id).unwrap().from_root().collect();
        let path = scope.iter().map(tracing_subscriber::registry::SpanRef::name).collect::<Vec<_>>().join(" > ");
        let mut fields = HashMap::new();
        for span in &scope {
            fields.extend(span.extensions().get::<Fields>().unwrap().0.clone());
        }
        let deliveries = context.span(&id).unwrap().extensions().get::<Follows>().unwrap().0.clone();
        self.0.lock().unwrap().push(Seen { path, fields, deliveries });
    }
}

impl Spans {
    fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_sync_is_one_trace_from_the_connection_to_the_call() {
    // While one subscriber is all there is, a call site that another test's thread reaches first is switched off for good.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let mut journey = Journey::begin(Engine::Sqlite).await;
    let (tenant, key) = journey.world.tenant("pool").await;
    journey.world.customers(&tenant, &key, &["ada@example.org"]).await;
    journey.connect(&tenant, "mailjet").await;
    journey.world.accept(&tenant, &key, &["ada@example.org"]).await;
    journey.sync(0).await;

    let connection = journey.accounts[0].connection.id.to_string();
    let seen = spans.all();
    let under_a_step = |span: &&Seen| span.path.starts_with("sync > sync.step");
    for span in seen.iter().filter(under_a_step) {
        assert_eq!(span.fields["connection.id"], connection, "{span:?}");
        assert_eq!(span.fields["provider"], "mailjet", "{span:?}");
    }
    let calls: Vec<&Seen> = seen.iter().filter(|span| span.path == "sync > sync.step > provider.call").collect();
    assert!(calls.iter().any(|call| call.fields["step"] == "walk"), "{calls:#?}");
    let pushed =
        calls.iter().find(|call| call.fields["step"] == "run" && call.fields["http.method"] == "POST").unwrap();
    assert!(pushed.fields.contains_key("run.id") && pushed.fields.contains_key("http.status"), "{pushed:?}");
    assert!(!format!("{seen:?}").contains("ada@"), "nobody is named");
    journey.end().await;
}

#[tokio::test]
async fn a_delivery_can_be_followed_from_its_request_to_what_came_of_it() {
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let spans = Spans::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let world = World::new(Engine::Sqlite).await;
    let (tenant, key) = world.tenant("pool").await;
    world.address(&tenant, &key, "ada@example.org").await;
    let connection = connect(&world.core, &tenant, &key, "mailjet", "a").await;
    let served = Served::new(&world.core, "").await;
    let (url, secret) = hook(&world.core, &connection, &key);
    let body = r#"{"event":"unsub","time":1793696300,"email":"ada@example.org","mj_list_id":1}"#;
    for (secret, body) in [(&*secret, body), ("guess", body), (&*secret, "{")] {
        let post = served.http.post(served.at(&url)).basic_auth("x", Some(secret)).body(body);
        post.send().await.unwrap();
        world.clock.advance(SECOND);
    }
    while world.core.sort_inbox(10).await.unwrap() > 0 {}

    let seen = spans.all();
    let of = |path: &str| seen.iter().filter(|span| span.path == path).cloned().collect::<Vec<_>>();
    let received = of("webhook.receive");
    let told: Vec<&str> = received.iter().map(|span| &*span.fields["intake"]).collect();
    assert_eq!(told, ["stored", "unauthorised", "stored"], "{received:?}");
    for (span, bytes) in received.iter().zip([body.len(), body.len(), 1]) {
        assert_eq!(span.fields["connection.id"], connection.id.to_string());
        assert_eq!((&*span.fields["provider"], &*span.fields["bytes"]), ("mailjet", &*bytes.to_string()));
    }
    let (first, last) = (&received[0].fields["delivery.id"], &received[2].fields["delivery.id"]);
    assert!(!received[1].fields.contains_key("delivery.id"), "nothing was kept");
    let commits = of("webhook.commit");
    let committed: Vec<_> = commits.iter().map(|span| (&*span.fields["deliveries"], span.deliveries.clone())).collect();
    assert_eq!(committed, [("1", vec![first.clone()]), ("1", vec![last.clone()])]);
    let read = of("webhook.apply > webhook.read");
    let events: Vec<_> = read.iter().map(|span| (&span.fields["delivery.id"], span.fields.get("events"))).collect();
    assert_eq!(events, [(first, Some(&"1".to_owned())), (last, None)], "the other cannot be read");
    assert!(read.iter().all(|span| span.fields["deliveries"] == "2" && span.fields["provider"] == "mailjet"));
    let kept: Vec<String> =
        world.core.store.deliveries(tenant.id, "", 10).await.unwrap().iter().map(|one| one.id.to_string()).collect();
    assert!(kept.contains(first) && kept.contains(last), "{kept:?}");
    assert!(!format!("{seen:?}").contains("ada@"), "nobody is named");
    served.end();
    world.end().await;
}
