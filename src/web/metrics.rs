//! `GET /metrics` for Prometheus. What is counted as it happens is there already; what has to be looked up is read now.

use crate::clock::Timestamp;
use crate::service::ServiceError;
use crate::web::state::State;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

/// States that a connection can be in; exactly one is 1.
const STATES: [&str; 4] = ["shadow", "active", "suspended", "paused"];

pub(super) async fn metrics(Shared(state): Shared<State>) -> Response {
    let Some(handle) = &state.metrics else { return StatusCode::NOT_FOUND.into_response() };
    if let Err(error) = read(&state).await {
        // What was counted is still worth a look when the database is gone.
        tracing::warn!(error = %error, "metrics cannot be read from the database");
    }
    handle.run_upkeep();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()).into_response()
}

async fn read(state: &State) -> Result<(), ServiceError> {
    let core = &state.core;
    let now = core.now();
    for known in ["new", "done", "quarantined", "failed"] {
        metrics::gauge!("consentd_inbox_deliveries", "state" => known).set(0.0);
    }
    metrics::gauge!("consentd_inbox_oldest_seconds").set(0.0);
    for count in core.store.inbox_counts().await? {
        if count.state == "new" {
            metrics::gauge!("consentd_inbox_oldest_seconds").set(seconds(now - count.oldest));
        }
        metrics::gauge!("consentd_inbox_deliveries", "state" => count.state).set(float(count.deliveries));
    }
    let waiting = core.store.waiting_withdrawals().await?;
    let oldest = waiting.iter().map(|waiting| waiting.oldest).min();
    metrics::gauge!("consentd_withdrawals_oldest_seconds").set(oldest.map_or(0.0, |at| seconds(now - at)));
    metrics::gauge!("consentd_withdrawals_waiting").set(float(waiting.iter().map(|waiting| waiting.count).sum()));
    for glance in core.store.glance().await? {
        let connection = glance.id.to_string();
        let own = waiting.iter().find(|waiting| waiting.connection.0 == glance.id);
        metrics::gauge!("consentd_connection_withdrawals_waiting", "connection" => connection.clone())
            .set(own.map_or(0.0, |own| float(own.count)));
        metrics::gauge!("consentd_connection_failures", "connection" => connection.clone()).set(float(glance.failures));
        for known in STATES {
            let is = if known == glance.state { 1.0 } else { 0.0 };
            metrics::gauge!(
                "consentd_connection_state", "connection" => connection.clone(),
                "provider" => glance.provider.clone(), "state" => known
            )
            .set(is);
        }
    }
    Ok(())
}

fn seconds(micros: Timestamp) -> f64 {
    float(micros.max(0)) / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
fn float(number: i64) -> f64 {
    number as f64
}
