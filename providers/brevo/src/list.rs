//! Reading the account: lists, fields, and what it holds about contacts.

use crate::wire::{self, Api};
use consentd_provider::{
    AccountFacts, AudienceRef, Capability, Cursor, EmailAddress, FieldKind, Gateway, Look, Method, Page, ProviderError,
    RemoteField, RemoteList, Sighting, path_segment, plain,
};
use serde_json::{Value, json};

const LISTS: &str = "/contacts/lists";
const FOLDERS: &str = "/contacts/folders";
const ATTRIBUTES: &str = "/contacts/attributes";
/// The folder for lists where the account has none.
const FOLDER: &str = "consentd";
/// The largest page of contacts (Brevo sheet 3.5).
const PAGE: usize = 1_000;
/// A deletion during a walk moves all later rows up by one (Brevo sheet 3.5), so pages overlap by this much.
const OVERLAP: usize = 20;

/// Attributes that are more than a value: one is the contact's identity, and changing it lifts a block; the other is
/// the block itself (Brevo sheet 3.3 and 3.13).
pub(crate) fn forbidden(attribute: &str) -> bool {
    attribute.eq_ignore_ascii_case("EMAIL") || attribute.eq_ignore_ascii_case("BLACKLIST")
}

pub(crate) async fn check(api: &Api, out: &dyn Gateway) -> Result<AccountFacts, ProviderError> {
    let account = api.get(out, "/account", "/account".into()).await?;
    if wire::text(&account, "email").is_empty() {
        return Err(ProviderError::Protocol("an account without its owner"));
    }
    let company = plain(wire::text(&account, "companyName"));
    Ok(AccountFacts { label: if company.is_empty() { "Brevo account".into() } else { company } })
}

pub(crate) async fn lists(api: &Api, out: &dyn Gateway) -> Result<Vec<RemoteList>, ProviderError> {
    api.all(out, LISTS, "lists").await?.iter().map(list).collect()
}

fn list(row: &Value) -> Result<RemoteList, ProviderError> {
    Ok(RemoteList { id: wire::needed_id(row, "id")?.to_string(), name: wire::text(row, "name").into() })
}

/// Names are not unique at Brevo, so an existing one is looked for first.
pub(crate) async fn create_list(api: &Api, out: &dyn Gateway, name: &str) -> Result<RemoteList, ProviderError> {
    if let Some(existing) = lists(api, out).await?.into_iter().find(|list| list.name == name) {
        return Ok(existing);
    }
    let folder = folder(api, out).await?;
    let body = json!({ "name": name, "folderId": folder });
    let created = api.write(out, Method::Post, LISTS, LISTS.into(), Some(&body)).await?;
    Ok(RemoteList { id: wire::needed_id(&created, "id")?.to_string(), name: name.into() })
}

/// A list needs a folder (Brevo sheet 3.13).
async fn folder(api: &Api, out: &dyn Gateway) -> Result<i64, ProviderError> {
    let path = format!("{FOLDERS}?limit=1&offset=0&sort=asc");
    let folders = wire::rows(api.get(out, FOLDERS, path).await?, "folders")?;
    if let Some(first) = folders.first() {
        return wire::needed_id(first, "id");
    }
    let created = api.write(out, Method::Post, FOLDERS, FOLDERS.into(), Some(&json!({ "name": FOLDER }))).await?;
    wire::needed_id(&created, "id")
}

pub(crate) async fn schema(api: &Api, out: &dyn Gateway) -> Result<Vec<RemoteField>, ProviderError> {
    let answer = api.get(out, ATTRIBUTES, ATTRIBUTES.into()).await?;
    if answer.get("attributes").is_none() {
        return Err(ProviderError::Protocol("an answer without attributes"));
    }
    let rows = wire::rows(answer, "attributes")?;
    Ok(rows.iter().map(field).filter(|field| !field.name.is_empty()).collect())
}

fn field(row: &Value) -> RemoteField {
    let name = wire::text(row, "name");
    let kind = match (wire::text(row, "category"), wire::text(row, "type")) {
        _ if forbidden(name) => FieldKind::Other,
        ("normal", "text") => FieldKind::Text,
        ("normal", "boolean") => FieldKind::Bool,
        ("normal", "float") => FieldKind::Number,
        _ => FieldKind::Other,
    };
    RemoteField { name: name.into(), kind }
}

pub(crate) async fn create_field(api: &Api, out: &dyn Gateway, field: &RemoteField) -> Result<(), ProviderError> {
    let kind = match field.kind {
        FieldKind::Text => "text",
        FieldKind::Bool => "boolean",
        FieldKind::Number => "float",
        FieldKind::Other => return Err(ProviderError::Unsupported(Capability::CreateField)),
    };
    let name = field.name.to_uppercase();
    let route = "/contacts/attributes/normal/{name}";
    let path = format!("{ATTRIBUTES}/normal/{}", path_segment(&name));
    let refused = match api.write(out, Method::Post, route, path, Some(&json!({ "type": kind }))).await {
        Ok(_) => return Ok(()),
        Err(error @ ProviderError::Rejected { .. }) => error,
        Err(error) => return Err(error),
    };
    // No code for an existing name is documented.
    let known = schema(api, out).await?.iter().any(|one| one.name.eq_ignore_ascii_case(&name));
    if known { Ok(()) } else { Err(refused) }
}

/// A contact as the account knows it.
pub(crate) struct Contact {
    pub(crate) id: i64,
    pub(crate) email: Option<EmailAddress>,
    pub(crate) blocked: bool,
    lists: Vec<i64>,
    unsubscribed: Vec<i64>,
    pub(crate) row: Value,
}

impl Contact {
    pub(crate) fn read(row: Value) -> Result<Self, ProviderError> {
        // Without these two a guess would be a guess about consent.
        let blocked = row.get("emailBlacklisted").and_then(Value::as_bool);
        let blocked = blocked.ok_or(ProviderError::Protocol("a contact without its block"))?;
        let lists = ids(&row, "listIds").ok_or(ProviderError::Protocol("a contact without its lists"))?;
        Ok(Self {
            id: wire::needed_id(&row, "id")?,
            email: EmailAddress::parse(wire::text(&row, "email")).ok(),
            blocked,
            lists,
            // Only accounts with unsubscription by list have it (Brevo sheet 3.1).
            unsubscribed: ids(&row, "listUnsubscribed").unwrap_or_default(),
            row,
        })
    }

    pub(crate) fn is_on(&self, list: i64) -> bool {
        self.lists.contains(&list)
    }

    pub(crate) fn is_unsubscribed(&self, list: i64) -> bool {
        self.unsubscribed.contains(&list)
    }
}

fn ids(row: &Value, name: &str) -> Option<Vec<i64>> {
    Some(row.get(name)?.as_array()?.iter().filter_map(wire::as_id).collect())
}

/// The path of a contact. Brevo keeps addresses in lower case, and mixed case has led to duplicates (Brevo sheet 3.14).
pub(crate) fn contact_path(email: &EmailAddress) -> String {
    format!("/contacts/{}", path_segment(&email.folded()))
}

pub(crate) async fn contact(
    api: &Api,
    out: &dyn Gateway,
    email: &EmailAddress,
) -> Result<Option<Contact>, ProviderError> {
    let row = match api.get(out, "/contacts/{email}", contact_path(email)).await {
        Err(error) if wire::unknown_contact(&error) => return Ok(None),
        other => other?,
    };
    let contact = Contact::read(row)?;
    if contact.email.as_ref().is_none_or(|found| found.folded() != email.folded()) {
        return Err(ProviderError::Protocol("an answer about another contact"));
    }
    Ok(Some(contact))
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
        looks.push(contact(api, out, email).await?.map_or(Look::default(), |contact| Look {
            exists: true,
            on_list: contact.is_on(list),
            unsubscribed: contact.is_unsubscribed(list),
            blocked: contact.blocked,
        }));
    }
    Ok(looks)
}

/// All contacts of the account, so that blocks of people off the list are seen too.
pub(crate) async fn walk(api: &Api, out: &dyn Gateway, of: &AudienceRef, from: &Cursor) -> Result<Page, ProviderError> {
    let list = wire::list_id(of)?;
    let offset = match &from.0 {
        None => 0,
        Some(text) => text.parse::<usize>().map_err(|_| ProviderError::Rejected {
            status: 400,
            code: "cursor".into(),
            reason: "a cursor that is not of this adapter".into(),
        })?,
    };
    // Oldest first: who is created during the walk comes at its end (Brevo sheet 3.5).
    let path = format!("/contacts?limit={PAGE}&offset={offset}&sort=asc");
    let answer = api.get(out, "/contacts", path).await?;
    if answer.get("contacts").is_none() {
        return Err(ProviderError::Protocol("an answer without contacts"));
    }
    let rows = wire::rows(answer, "contacts")?;
    let next = (rows.len() >= PAGE).then(|| Cursor(Some(offset.saturating_add(rows.len() - OVERLAP).to_string())));
    let sightings = rows.into_iter().map(|row| Contact::read(row).map(|contact| sighting(contact, list)));
    Ok(Page { sightings: sightings.collect::<Result<_, _>>()?, next })
}

fn sighting(contact: Contact, list: i64) -> Sighting {
    Sighting {
        remote_id: contact.id.to_string(),
        on_list: Some(contact.is_on(list)),
        unsubscribed: Some(contact.is_unsubscribed(list)),
        blocked: Some(contact.blocked),
        email: contact.email,
    }
}
