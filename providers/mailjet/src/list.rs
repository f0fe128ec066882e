//! Reading the account: lists, fields, and what it holds about contacts.

use crate::wire::{self, Api, PAGE};
use consentd_provider::{
    AccountFacts, AudienceRef, Capability, Cursor, EmailAddress, FieldKind, Gateway, Look, Method, Page, ProviderError,
    RemoteField, RemoteList, Sighting, Timestamp, instant, path_segment,
};
use serde_json::{Value, json};
use std::collections::HashSet;

const LISTS: &str = "/v3/REST/contactslist";
const FIELDS: &str = "/v3/REST/contactmetadata";

/// A 401 elsewhere is not always about the credentials; here it is (Mailjet sheet 1.2).
pub(crate) async fn check(api: &Api, out: &dyn Gateway) -> Result<AccountFacts, ProviderError> {
    let route = "/v3/REST/user";
    let user = wire::first(api.rows(out, Method::Get, route, route.into(), None).await?)?;
    // The user's name is an address, so the label is made of the number.
    Ok(AccountFacts { label: format!("user {}", wire::needed_id(&user, "ID")?) })
}

pub(crate) async fn lists(api: &Api, out: &dyn Gateway) -> Result<Vec<RemoteList>, ProviderError> {
    let rows = api.all(out, LISTS, "&IsDeleted=false").await?;
    rows.iter().filter(|row| wire::flag(row, "IsDeleted") != Some(true)).map(list).collect()
}

fn list(row: &Value) -> Result<RemoteList, ProviderError> {
    Ok(RemoteList { id: wire::needed_id(row, "ID")?.to_string(), name: wire::text(row, "Name").into() })
}

/// Names are unique, deleted lists included; a deleted one is not revived, because its members would come back with
/// it (Mailjet sheet 3.3).
pub(crate) async fn create_list(api: &Api, out: &dyn Gateway, name: &str) -> Result<RemoteList, ProviderError> {
    let created = api.rows(out, Method::Post, LISTS, LISTS.into(), Some(&json!({ "Name": name }))).await;
    let refused = match created {
        Ok(rows) => return list(&wire::first(rows)?),
        Err(error) if duplicate(&error) => error,
        Err(error) => return Err(error),
    };
    let named = api.all(out, LISTS, &format!("&IsDeleted=false&Name={}", path_segment(name))).await?;
    let existing =
        named.iter().find(|row| wire::text(row, "Name") == name && wire::flag(row, "IsDeleted") != Some(true));
    existing.map_or_else(|| Err(explained(refused)), list)
}

/// A name that is taken, although no list that one could use has it.
fn explained(refused: ProviderError) -> ProviderError {
    match refused {
        ProviderError::Rejected { status, code, .. } => ProviderError::Rejected {
            status,
            code,
            reason: "a deleted list has this name; restore it at Mailjet or choose another name".into(),
        },
        other => other,
    }
}

fn duplicate(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Rejected { code, .. } if code == "MJ18")
}

pub(crate) async fn schema(api: &Api, out: &dyn Gateway) -> Result<Vec<RemoteField>, ProviderError> {
    let rows = api.all(out, FIELDS, "").await?;
    Ok(rows.iter().map(field).filter(|field| !field.name.is_empty()).collect())
}

fn field(row: &Value) -> RemoteField {
    // Bulk calls write static properties only (Mailjet sheet 3.2).
    let kind = match (wire::text(row, "NameSpace"), wire::text(row, "Datatype")) {
        ("historic", _) => FieldKind::Other,
        (_, "str") => FieldKind::Text,
        (_, "bool") => FieldKind::Bool,
        (_, "int" | "float") => FieldKind::Number,
        _ => FieldKind::Other,
    };
    RemoteField { name: wire::text(row, "Name").into(), kind }
}

pub(crate) async fn create_field(api: &Api, out: &dyn Gateway, field: &RemoteField) -> Result<(), ProviderError> {
    let datatype = match field.kind {
        FieldKind::Text => "str",
        FieldKind::Bool => "bool",
        FieldKind::Number => "int",
        FieldKind::Other => return Err(ProviderError::Unsupported(Capability::CreateField)),
    };
    // The server folds the name anyway (Mailjet sheet 3.2).
    let body = json!({ "Name": field.name.to_lowercase(), "Datatype": datatype, "NameSpace": "static" });
    match api.rows(out, Method::Post, FIELDS, FIELDS.into(), Some(&body)).await {
        Ok(_) => Ok(()),
        Err(error) if duplicate(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A contact as the account knows it.
pub(crate) struct Contact {
    pub(crate) id: u64,
    pub(crate) excluded: bool,
    /// When the exclusion was set or taken back.
    pub(crate) exclusion_changed_at: Option<Timestamp>,
    pub(crate) complained: bool,
}

pub(crate) async fn contact(
    api: &Api,
    out: &dyn Gateway,
    email: &EmailAddress,
) -> Result<Option<Contact>, ProviderError> {
    let path = format!("/v3/REST/contact/{}", path_segment(email.as_str()));
    let rows = match api.rows(out, Method::Get, "/v3/REST/contact/{email}", path, None).await {
        Err(ProviderError::Rejected { status: 404, .. }) => return Ok(None),
        other => other?,
    };
    let row = wire::first(rows)?;
    if !wire::text(&row, "Email").eq_ignore_ascii_case(email.as_str()) {
        return Err(ProviderError::Protocol("an answer about another contact"));
    }
    Ok(Some(Contact {
        id: wire::needed_id(&row, "ID")?,
        excluded: wire::needed_flag(&row, "IsExcludedFromCampaigns")?,
        exclusion_changed_at: instant(wire::text(&row, "ExclusionFromCampaignsUpdatedAt")),
        complained: wire::flag(&row, "IsSpamComplaining").unwrap_or(false),
    }))
}

pub(crate) async fn look(
    api: &Api,
    out: &dyn Gateway,
    at: &AudienceRef,
    emails: &[EmailAddress],
) -> Result<Vec<Look>, ProviderError> {
    let list = wire::list_id(at)?;
    let mut looks = Vec::with_capacity(emails.len());
    for email in emails {
        looks.push(look_at(api, out, list, email).await?);
    }
    Ok(looks)
}

async fn look_at(api: &Api, out: &dyn Gateway, list: u64, email: &EmailAddress) -> Result<Look, ProviderError> {
    let Some(contact) = contact(api, out, email).await? else { return Ok(Look::default()) };
    // None when the contact was erased between the two calls.
    let Some(memberships) = memberships(api, out, contact.id).await? else { return Ok(Look::default()) };
    let row = memberships.iter().find(|row| row.list == list);
    Ok(Look {
        exists: true,
        on_list: row.is_some(),
        unsubscribed: row.is_some_and(|row| row.unsubscribed),
        blocked: contact.excluded || contact.complained,
    })
}

/// A list that a contact is on, or was and left.
struct Membership {
    list: u64,
    unsubscribed: bool,
}

/// The lists of a contact, `None` when there is no such contact.
async fn memberships(api: &Api, out: &dyn Gateway, contact: u64) -> Result<Option<Vec<Membership>>, ProviderError> {
    let path = format!("/v3/REST/contact/{contact}/getcontactslists");
    let rows = match api.rows(out, Method::Get, "/v3/REST/contact/{id}/getcontactslists", path, None).await {
        Err(ProviderError::Rejected { status: 404, .. }) => return Ok(None),
        other => other?,
    };
    let read = |row: &Value| {
        Ok(Membership { list: wire::needed_id(row, "ListID")?, unsubscribed: wire::needed_flag(row, "IsUnsub")? })
    };
    rows.iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// A list that a contact has left.
pub(crate) struct Departure {
    pub(crate) list: u64,
    pub(crate) at: Option<Timestamp>,
}

/// The lists that a contact has left. Only these rows tell when (Mailjet sheet 3.1 and 3.4).
pub(crate) async fn departures(api: &Api, out: &dyn Gateway, contact: u64) -> Result<Vec<Departure>, ProviderError> {
    let route = "/v3/REST/listrecipient";
    let path = format!("{route}?Contact={contact}&Limit={PAGE}&Sort=ID");
    let rows = api.rows(out, Method::Get, route, path, None).await?;
    let mut departures = Vec::new();
    for row in &rows {
        // A misspelt or ignored filter answers with the whole account (Mailjet sheet 1.7).
        if wire::needed_id(row, "ContactID")? != contact {
            return Err(ProviderError::Protocol("lists of another contact"));
        }
        if wire::needed_flag(row, "IsUnsubscribed")? {
            let at = instant(wire::text(row, "UnsubscribedAt"));
            departures.push(Departure { list: wire::needed_id(row, "ListID")?, at });
        }
    }
    Ok(departures)
}

/// The members of a list whom no campaign may reach, by folded address.
pub(crate) async fn excluded(api: &Api, out: &dyn Gateway, list: u64) -> Result<HashSet<String>, ProviderError> {
    let filter = format!("&ContactsList={list}&IsExcludedFromCampaigns=true");
    let rows = api.all(out, "/v3/REST/contact", &filter).await?;
    // Should the filter be ignored, the flag still tells (Mailjet sheet 1.7).
    let told = rows.iter().filter(|row| wire::flag(row, "IsExcludedFromCampaigns") == Some(true));
    Ok(told.map(|row| wire::text(row, "Email").to_ascii_lowercase()).collect())
}

/// A walk's two halves: addresses and exclusions come with contacts, unsubscriptions with recipients.
#[derive(Clone, Copy)]
enum Half {
    Contacts,
    Recipients,
}

impl Half {
    fn read(self, row: &Value) -> Result<Sighting, ProviderError> {
        match self {
            Self::Contacts => contact_row(row),
            Self::Recipients => recipient_row(row),
        }
    }
}

pub(crate) async fn walk(api: &Api, out: &dyn Gateway, of: &AudienceRef, from: &Cursor) -> Result<Page, ProviderError> {
    let list = wire::list_id(of)?;
    let (half, offset) = position(from)?;
    let route = match half {
        Half::Contacts => "/v3/REST/contact",
        Half::Recipients => "/v3/REST/listrecipient",
    };
    let path = format!("{route}?ContactsList={list}&Limit={PAGE}&Offset={offset}&Sort=ID");
    let rows = api.rows(out, Method::Get, route, path, None).await?;
    if rows.iter().any(|row| wire::id(row, "ListID").is_some_and(|other| other != list)) {
        // A misspelt or ignored filter answers with the whole account (Mailjet sheet 1.7).
        return Err(ProviderError::Protocol("a walk that shows another list"));
    }
    let offset = offset.saturating_add(rows.len());
    let next = match half {
        _ if rows.len() >= PAGE => Some(cursor(half, offset)),
        Half::Contacts => Some(cursor(Half::Recipients, 0)),
        Half::Recipients => None,
    };
    Ok(Page { sightings: rows.iter().map(|row| half.read(row)).collect::<Result<_, _>>()?, next })
}

fn cursor(half: Half, offset: usize) -> Cursor {
    let name = match half {
        Half::Contacts => "contacts",
        Half::Recipients => "recipients",
    };
    Cursor(Some(format!("{name}:{offset}")))
}

fn position(from: &Cursor) -> Result<(Half, usize), ProviderError> {
    let Some(text) = &from.0 else { return Ok((Half::Contacts, 0)) };
    let place = text.split_once(':').and_then(|(half, offset)| {
        let half = match half {
            "contacts" => Half::Contacts,
            "recipients" => Half::Recipients,
            _ => return None,
        };
        Some((half, offset.parse().ok()?))
    });
    place.ok_or_else(|| ProviderError::Rejected {
        status: 400,
        code: "cursor".into(),
        reason: "a cursor that is not of this adapter".into(),
    })
}

fn contact_row(row: &Value) -> Result<Sighting, ProviderError> {
    let complained = wire::flag(row, "IsSpamComplaining").unwrap_or(false);
    Ok(Sighting {
        remote_id: wire::needed_id(row, "ID")?.to_string(),
        email: EmailAddress::parse(wire::text(row, "Email")).ok(),
        on_list: None,
        unsubscribed: None,
        blocked: Some(wire::needed_flag(row, "IsExcludedFromCampaigns")? || complained),
    })
}

fn recipient_row(row: &Value) -> Result<Sighting, ProviderError> {
    Ok(Sighting {
        remote_id: wire::needed_id(row, "ContactID")?.to_string(),
        email: None,
        on_list: Some(true),
        unsubscribed: Some(wire::needed_flag(row, "IsUnsubscribed")?),
        blocked: None,
    })
}
