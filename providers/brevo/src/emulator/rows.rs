//! Attributes, clashes and filters of contacts.

use super::account::{Account, Contact, phone};
use super::answer::{Asked, error};
use crate::date::day;
use consentd_provider::{Response, Timestamp};
use serde_json::{Map, Value};

/// Attributes that no two contacts share, with the name that errors give them.
const UNIQUE: [&str; 3] = ["SMS", "WHATSAPP", "LANDLINE_NUMBER"];

impl Account {
    /// The values that Brevo takes: unknown names and wrong types are dropped in silence (Brevo sheet 3.2).
    pub(super) fn typed(&self, given: Option<&Value>) -> Map<String, Value> {
        let given = given.and_then(Value::as_object);
        let taken = given.into_iter().flatten().filter(|(name, value)| {
            let attribute = self.attributes.get(name.as_str());
            attribute.is_some_and(|attribute| match attribute.kind.as_str() {
                "float" | "id" => value.is_number(),
                "boolean" => value.is_boolean(),
                "multiple-choice" => value.is_array(),
                _ if attribute.category == "global" || attribute.category == "calculated" => false,
                "date" => value.as_str().is_some_and(|text| day(&format!("{text}T00:00")).is_some()),
                _ => value.is_string() || value.is_number(),
            })
        });
        taken.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Remembers who was given the numbers among these values.
    pub(super) fn index_phones(&mut self, id: i64, attributes: &Map<String, Value>) {
        for name in UNIQUE {
            if let Some(number) = attributes.get(name).and_then(phone) {
                self.phones.insert((name, number), id);
            }
        }
    }

    /// Other contacts that hold a new address or a new unique value, and how errors name it.
    pub(super) fn clashes(
        &self,
        id: i64,
        email: Option<&str>,
        attributes: &Map<String, Value>,
    ) -> Vec<(i64, &'static str)> {
        let mut clashes = Vec::new();
        if let Some(other) = email.and_then(|email| self.find(email, Some("email_id"))).filter(|other| *other != id) {
            clashes.push((other, "email"));
        }
        for name in UNIQUE {
            let number = attributes.get(name).and_then(phone);
            let other = number.and_then(|number| self.by_phone(name, &number)).filter(|other| *other != id);
            clashes.extend(other.map(|other| (other, name)));
        }
        clashes
    }
}

/// The instant of a query such as `modifiedSince`; the beginning of time when it is not given.
pub(super) fn since(asked: &Asked, name: &str) -> Result<Timestamp, Response> {
    let Some(text) = asked.query(name) else { return Ok(Timestamp::MIN) };
    instant(text).ok_or_else(|| error(400, "invalid_parameter", &format!("{name} is not valid")))
}

/// An RFC 3339 time.
fn instant(text: &str) -> Option<Timestamp> {
    let (date, clock) = text.split_once(['T', ' '])?;
    let zone = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
    let (clock, zone) = clock.split_at_checked(zone)?;
    let mut parts = clock.split(':');
    let (hours, minutes) = (parts.next()?.parse::<i64>().ok()?, parts.next()?.parse::<i64>().ok()?);
    let seconds = parts.next().unwrap_or("0").split('.').next()?.parse::<i64>().ok()?;
    let offset = match zone.strip_prefix(['+', '-']) {
        Some(offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
        None => 0,
    };
    let day = day(&format!("{date}T00:00Z"))?;
    Some((((day * 24 + hours) * 60 + minutes - offset) * 60 + seconds) * 1_000_000)
}

/// `equals(ATTRIBUTE,"value")`.
pub(super) struct Filter {
    attribute: String,
    value: String,
}

pub(super) fn filter(text: &str) -> Result<Filter, Response> {
    let inside = text.strip_prefix("equals(").and_then(|rest| rest.strip_suffix(')'));
    let parts = inside.and_then(|inside| inside.split_once(','));
    let (attribute, value) = parts.ok_or_else(|| error(400, "invalid_parameter", "filter is not valid"))?;
    Ok(Filter { attribute: attribute.trim().into(), value: value.trim().trim_matches('"').into() })
}

impl Filter {
    pub(super) fn holds(&self, contact: &Contact) -> bool {
        match contact.attributes.get(&self.attribute) {
            Some(Value::String(held)) => *held == self.value,
            Some(Value::Number(held)) => held.as_f64().is_some() && held.as_f64() == self.value.parse().ok(),
            Some(Value::Bool(held)) => held.to_string() == self.value,
            Some(_) => false,
            None => self.attribute == "EMAIL" && contact.email == self.value.to_lowercase(),
        }
    }
}
