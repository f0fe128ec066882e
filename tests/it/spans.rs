//! What a trace shows: every call to a provider stands below the step of the connection that made it.

use crate::journey::Journey;
use crate::world::Engine;
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
}

/// Keeps every span that ends.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Seen>>>);

#[derive(Default)]
struct Fields(HashMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
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
        self.0.lock().unwrap().push(Seen { path, fields });
    }
}

impl Spans {
    fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn a_sync_is_one_trace_from_the_connection_to_the_call() {
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
