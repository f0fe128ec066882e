//! Faults of an emulated provider's API.

use super::{Call, Emulator, Entry, Reply};
use crate::{Response, Timestamp};
use std::collections::VecDeque;

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The connection is refused.
    Refuse,
    /// The connection breaks before the call is applied.
    Reset,
    /// No answer, and nothing applied.
    Hang,
    /// Applied, then no answer.
    ApplyThenHang,
    /// No answer; applied this many microseconds later.
    HangThenApply(i64),
    /// 429 with these headers.
    Throttle(Vec<(String, String)>),
    /// 429 as an HTML page without any header.
    ThrottleHtml,
    /// A 5xx status, nothing applied.
    Status(u16),
    /// A 5xx status although it was applied.
    ApplyThenStatus(u16),
    /// 200 with an HTML page.
    Html,
    /// Applied, but the JSON of the answer is cut in the middle.
    TruncatedJson,
    /// 401 as for a revoked key.
    Unauthorised,
}

/// Which calls meet a fault, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// Only calls whose `METHOD /path` holds this text, without regard to case; empty for all.
    pub matching: String,
    /// How many calls; `u32::MAX` until healed.
    pub times: u32,
    /// What happens to them.
    pub fault: Fault,
}

#[derive(Default)]
pub(super) struct Faults {
    rules: VecDeque<FaultRule>,
    late: Vec<(Timestamp, Call)>,
}

impl Faults {
    pub(super) fn add(&mut self, rule: FaultRule) {
        self.rules.push_back(rule);
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Applies the calls that hung and whose time has come.
    pub(super) fn land_late_calls(&mut self, now: Timestamp, inner: &mut dyn Emulator, log: &mut Vec<Entry>) {
        let (due, waiting) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = waiting;
        let due: Vec<(Timestamp, Call)> = due;
        for (at, call) in due {
            let status = inner.handle(at.max(now), &call).status;
            log.push(Entry { at: now, what: format!("late {} {}", call.method, call.path), status });
        }
    }

    pub(super) fn apply(&mut self, now: Timestamp, call: Call, inner: &mut dyn Emulator) -> Reply {
        let Some(fault) = self.next(&call) else {
            return Reply::Answer(inner.handle(now, &call));
        };
        match fault {
            Fault::Refuse => Reply::Refuse,
            Fault::Reset => Reply::Reset,
            Fault::Hang => Reply::Hang,
            Fault::ApplyThenHang => {
                inner.handle(now, &call);
                Reply::Hang
            }
            Fault::HangThenApply(after) => {
                self.late.push((now.saturating_add(after), call));
                Reply::Hang
            }
            Fault::Throttle(headers) => Reply::Answer(Response {
                status: 429,
                headers,
                body: br#"{"code":"too_many_requests","message":"Too many requests"}"#.to_vec(),
            }),
            Fault::ThrottleHtml => html(429, "Rate limit exceeded"),
            Fault::Status(status) => html(status, "Something went wrong"),
            Fault::ApplyThenStatus(status) => {
                inner.handle(now, &call);
                html(status, "Something went wrong")
            }
            Fault::Html => html(200, "It works"),
            Fault::TruncatedJson => {
                let mut answer = inner.handle(now, &call);
                answer.body.truncate(answer.body.len() / 2);
                Reply::Answer(answer)
            }
            Fault::Unauthorised => Reply::Answer(Response {
                status: 401,
                headers: vec![("content-type".into(), "application/json".into())],
                body: br#"{"code":"unauthorized","message":"Key not found"}"#.to_vec(),
            }),
        }
    }

    fn next(&mut self, call: &Call) -> Option<Fault> {
        let what = format!("{} {}", call.method, call.path).to_ascii_lowercase();
        let index = self.rules.iter().position(|rule| what.contains(&rule.matching.to_ascii_lowercase()))?;
        let rule = self.rules.get_mut(index)?;
        let fault = rule.fault.clone();
        if rule.times != u32::MAX {
            rule.times = rule.times.saturating_sub(1);
            if rule.times == 0 {
                self.rules.remove(index);
            }
        }
        Some(fault)
    }
}

fn html(status: u16, words: &str) -> Reply {
    Reply::Answer(Response {
        status,
        headers: vec![("content-type".into(), "text/html".into())],
        body: format!("<html><body>{words}</body></html>").into_bytes(),
    })
}
