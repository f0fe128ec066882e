//! `/u/{token}`: no more mails, with one click of a button here or of the mail program's own (RFC 8058).

use crate::service::link::Decision;
use crate::web::pages::consent::{carry_out, header};
use crate::web::pages::one_click::Form;
use crate::web::pages::{FORM, Token};
use crate::web::state::State;
use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Response};

pub(in crate::web) use crate::web::pages::consent::show;

/// Unsubscribes, whatever else the body says: nobody posts here for anything else, and it can always be lifted.
pub(in crate::web) async fn decide(
    Shared(state): Shared<State>,
    Token(token): Token,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    // A body that cannot be read unsubscribes too.
    let body = axum::body::to_bytes(body, FORM).await.unwrap_or_default();
    let form = Form::read(header(&headers, &CONTENT_TYPE), &body);
    carry_out(&state, &token, Some(Decision::Refuse), &form, &headers).await
}
