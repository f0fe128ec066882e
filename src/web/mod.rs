//! What the outside world sees over HTTP: webhook intake, the recipients' pages, health and metrics. The only module
//! that imports axum.

mod body;
mod doors;
mod guests;
mod headers;
mod hooks;
mod looks;
mod metrics;
mod operation;
mod pages;
mod server;
mod state;
mod visit;

pub use state::State;

pub(crate) use server::listen;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use std::time::Duration;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

/// All routes.
pub fn router(state: State) -> Router {
    let patience = state.request_time;
    let hooks = Router::new()
        .route("/hooks/{account}/{secret}", post(hooks::deliver))
        .layer(TimeoutLayer::with_status_code(hooks::COME_BACK, patience + Duration::from_secs(5)))
        .layer(CatchPanicLayer::custom(|_| hooks::panicked()));
    let pages = Router::new()
        .route("/c/{token}", get(pages::consent::show).post(pages::consent::decide))
        .route("/u/{token}", get(pages::unsubscribe::show).post(pages::unsubscribe::decide))
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::wrong_method)
        .layer(axum::middleware::from_fn_with_state(looks::Looks::new(state.looks_per_minute), looks::limit))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, patience))
        .layer(CatchPanicLayer::custom(|_| pages::panicked()));
    let operation = Router::new()
        .route("/healthz", get(operation::healthz))
        .route("/readyz", get(operation::readyz))
        .route("/metrics", get(metrics::metrics))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, patience));
    let strict = headers::Strict::new(&state.core.public_url);
    hooks
        .merge(operation)
        .merge(pages)
        .layer(axum::middleware::map_response_with_state(strict, headers::strict))
        .with_state(state)
}
