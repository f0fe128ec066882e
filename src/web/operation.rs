//! `GET /healthz` and `GET /readyz`: whether the process runs, and whether it can do its work.

use crate::web::state::State;
use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

/// The process runs, and is worth keeping.
pub(super) async fn healthz(Shared(state): Shared<State>) -> (StatusCode, &'static str) {
    if state.bag.is_emptied() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the intake of webhooks has ended; restart\n")
    }
}

/// The database answers, the schema is current, intake and workers live, and nobody is stopping us.
pub(super) async fn readyz(Shared(state): Shared<State>) -> impl IntoResponse {
    let schema = state.core.store.db.pending().await;
    let parts = [
        ("database", schema.is_ok()),
        ("schema", schema.is_ok_and(|pending| pending.is_empty())),
        ("intake", state.bag.is_emptied()),
        ("workers", state.life.works(state.core.now())),
        ("accepting", !state.life.is_stopping()),
    ];
    let ready = parts.iter().all(|(_, good)| *good);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body: serde_json::Map<_, _> = parts.into_iter().map(|(name, good)| (name.to_owned(), good.into())).collect();
    (status, [(CONTENT_TYPE, "application/json")], serde_json::Value::Object(body).to_string())
}
