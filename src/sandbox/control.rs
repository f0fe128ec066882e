//! What a provider does not offer: making people act, causing faults, asking for the truth.

use super::accounts::{Account, Accounts, held};
use crate::clock::{SECOND, Timestamp};
use axum::extract::Query;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use consentd_provider::emulator::{Call, CourierFaults, Fault, FaultRule, Happening};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The sandbox's own calls, for people.
pub const CONTROL: &str = "\
On the port of each provider, below /_sandbox/. A call concerns the account whose credential it shows in the provider's
own header; without one the account with the number in ?account=N, or the only one there is.

  GET  accounts                        the accounts that were opened, with their numbers
  GET  truth?list=L&email=E            what is true about an address on a list
  GET  mailable?list=L                 whom a campaign to the list would reach
  GET  log?last=N                      what was asked and what happened, oldest first
  POST happen  {\"email\":E,\"what\":W,\"list\":L}
               W: unsubscribes (list optional), complains, hard_bounces, soft_bounces, blocked, deleted,
                  unsubscribed_by_staff (list), hostile_import (list)
  POST fault   {\"fault\":F,\"matching\":\"POST /path\",\"times\":N,\"status\":S,\"seconds\":T,\"headers\":{}}
               F: refuse, reset, hang, apply_then_hang, hang_then_apply (seconds), throttle (headers), throttle_html,
                  status (status), apply_then_status (status), html, truncated_json, unauthorised
               matching: part of METHOD and path, all calls when left out; times: until healed when left out
  POST heal    {}                      no more faults
  POST disturb {\"duplicate\":bool,\"reorder\":bool,\"delay_seconds\":T,\"drop\":N}    webhooks on their way
  POST set     {\"name\":N,\"value\":V}    a switch of the emulator; a wrong name is answered with those there are
  POST advance {\"seconds\":T}           moves the time of all accounts on this port ahead";

type Said = Result<Value, Wrong>;

/// Why a call of the sandbox was not carried out.
struct Wrong(StatusCode, String);

fn wrong(words: impl Into<String>) -> Wrong {
    Wrong(StatusCode::BAD_REQUEST, words.into())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    account: Option<usize>,
    list: Option<String>,
    email: Option<String>,
    last: Option<usize>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Unsubscribes,
    Complains,
    HardBounces,
    SoftBounces,
    Blocked,
    UnsubscribedByStaff,
    HostileImport,
    Deleted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Happen {
    email: String,
    what: What,
    list: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum FaultName {
    Refuse,
    Reset,
    Hang,
    ApplyThenHang,
    HangThenApply,
    Throttle,
    ThrottleHtml,
    Status,
    ApplyThenStatus,
    Html,
    TruncatedJson,
    Unauthorised,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultOrder {
    fault: FaultName,
    #[serde(default)]
    matching: String,
    times: Option<u32>,
    status: Option<u16>,
    seconds: Option<u32>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Disturb {
    duplicate: bool,
    reorder: bool,
    delay_seconds: u32,
    drop: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u32,
}

#[derive(Serialize)]
struct Logged<'a> {
    at: Timestamp,
    what: &'a str,
    status: u16,
}

/// Carries out one of the sandbox's own calls.
pub(super) fn answer(accounts: &Accounts, command: &str, credential: Option<&str>, call: &Call, uri: &Uri) -> Response {
    let (status, said) = match carry_out(accounts, command, credential, call, uri) {
        Ok(said) => (StatusCode::OK, said),
        Err(Wrong(status, words)) => (status, json!({ "error": words })),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{said}\n")).into_response()
}

fn carry_out(accounts: &Accounts, command: &str, credential: Option<&str>, call: &Call, uri: &Uri) -> Said {
    let Query(asked) = Query::<Asked>::try_from_uri(uri).map_err(|error| wrong(error.body_text()))?;
    let now = accounts.time.now();
    let account = || chosen(accounts, credential, asked.account);
    match (call.method.as_str(), command) {
        ("GET", "accounts") => {
            let lines = accounts.all();
            let lines = lines
                .iter()
                .zip(1..)
                .map(|(account, number)| json!({ "account": number, "calls": held(account).log().len() }));
            Ok(lines.collect())
        }
        ("GET", "truth") => {
            let (list, email) = (need(asked.list.as_ref(), "list")?, need(asked.email.as_ref(), "email")?);
            let truth = held(&account()?).truth(now, list, email);
            Ok(json!({
                "exists": truth.exists, "on_list": truth.on_list, "unsubscribed": truth.unsubscribed,
                "blocked": truth.blocked, "mailable": truth.mailable(),
            }))
        }
        ("GET", "mailable") => {
            let list = need(asked.list.as_ref(), "list")?;
            let addresses = held(&account()?).mailable(now, list);
            Ok(json!({ "list": list, "count": addresses.len(), "addresses": addresses }))
        }
        ("GET", "log") => {
            let account = account()?;
            let account = held(&account);
            let skip = asked.last.map_or(0, |last| account.log().len().saturating_sub(last));
            let lines = account.log().iter().skip(skip);
            Ok(json!(
                lines.map(|entry| Logged { at: entry.at, what: &entry.what, status: entry.status }).collect::<Vec<_>>()
            ))
        }
        ("POST", "happen") => {
            let order: Happen = body(call)?;
            let what = happening(order.what, order.list)?;
            if held(&account()?).happen(now, &order.email, &what) {
                return Ok(json!({ "happened": true }));
            }
            Err(Wrong(StatusCode::NOT_FOUND, "the provider does not know this contact".into()))
        }
        ("POST", "fault") => {
            let order: FaultOrder = body(call)?;
            held(&account()?).fault(rule(order)?);
            Ok(json!({ "fault": true }))
        }
        ("POST", "heal") => {
            held(&account()?).heal();
            Ok(json!({ "healed": true }))
        }
        ("POST", "disturb") => {
            let order: Disturb = body(call)?;
            held(&account()?).disturb(CourierFaults {
                duplicate: order.duplicate,
                reorder: order.reorder,
                delay: i64::from(order.delay_seconds) * SECOND,
                drop: order.drop,
            });
            Ok(json!({ "disturbed": true }))
        }
        ("POST", "set") => {
            let order: Set = body(call)?;
            held(&account()?).set(&order.name, &order.value).map_err(wrong)?;
            Ok(json!({ "set": true }))
        }
        ("POST", "advance") => {
            let order: Advance = body(call)?;
            accounts.time.advance(i64::from(order.seconds) * SECOND);
            Ok(json!({ "now": accounts.time.now() }))
        }
        _ => Err(Wrong(StatusCode::NOT_FOUND, format!("there is no such call. {CONTROL}"))),
    }
}

fn chosen(accounts: &Accounts, credential: Option<&str>, number: Option<usize>) -> Result<Account, Wrong> {
    if let Some(credential) = credential {
        return Ok(accounts.of(credential));
    }
    let all = accounts.all();
    let found = match (number, all.as_slice()) {
        (Some(number), _) => number.checked_sub(1).and_then(|index| all.get(index)),
        (None, [only]) => Some(only),
        (None, []) => return Err(wrong("no account was opened yet; show a credential to open one")),
        (None, _) => return Err(wrong("there are several accounts; show a credential or add ?account=N")),
    };
    found.map(Arc::clone).ok_or_else(|| wrong("there is no account with that number; see GET /_sandbox/accounts"))
}

fn need<'a>(value: Option<&'a String>, name: &str) -> Result<&'a str, Wrong> {
    value.map(String::as_str).ok_or_else(|| wrong(format!("add {name} to the query")))
}

fn body<T: DeserializeOwned>(call: &Call) -> Result<T, Wrong> {
    serde_json::from_slice(&call.body).map_err(|error| wrong(format!("the body cannot be used: {error}")))
}

fn happening(what: What, list: Option<String>) -> Result<Happening, Wrong> {
    let named = |list: Option<String>| list.ok_or_else(|| wrong("this happens to a list; add list"));
    Ok(match what {
        What::Unsubscribes => Happening::Unsubscribes(list),
        What::Complains => Happening::Complains,
        What::HardBounces => Happening::HardBounces,
        What::SoftBounces => Happening::SoftBounces,
        What::Blocked => Happening::Blocked,
        What::UnsubscribedByStaff => Happening::UnsubscribedByStaff(named(list)?),
        What::HostileImport => Happening::HostileImport(named(list)?),
        What::Deleted => Happening::Deleted,
    })
}

fn rule(order: FaultOrder) -> Result<FaultRule, Wrong> {
    let status = || order.status.ok_or_else(|| wrong("this fault has a status; add status"));
    let after = || order.seconds.ok_or_else(|| wrong("this fault has a delay; add seconds"));
    let fault = match order.fault {
        FaultName::Refuse => Fault::Refuse,
        FaultName::Reset => Fault::Reset,
        FaultName::Hang => Fault::Hang,
        FaultName::ApplyThenHang => Fault::ApplyThenHang,
        FaultName::HangThenApply => Fault::HangThenApply(i64::from(after()?) * SECOND),
        FaultName::Throttle => Fault::Throttle(order.headers.into_iter().collect()),
        FaultName::ThrottleHtml => Fault::ThrottleHtml,
        FaultName::Status => Fault::Status(status()?),
        FaultName::ApplyThenStatus => Fault::ApplyThenStatus(status()?),
        FaultName::Html => Fault::Html,
        FaultName::TruncatedJson => Fault::TruncatedJson,
        FaultName::Unauthorised => Fault::Unauthorised,
    };
    Ok(FaultRule { matching: order.matching, times: order.times.unwrap_or(u32::MAX), fault })
}
