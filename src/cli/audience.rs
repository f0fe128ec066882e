//! `consentd audience …`

use super::import::{cannot_write, create};
use crate::cli::{CliError, Context, Exit, output};
use crate::domain::audience::{Filter, Flag, Member, Membership, Summary};
use crate::domain::consent::{Language, Status};
use crate::domain::contact::RecordKind;
use crate::service::Core;
use crate::service::audience::MemberFormat;
use crate::store::{Purpose, Tenant};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// Who would be reached, and why everybody else would not.
///
/// Example: consentd audience summary --tag pool
#[derive(Debug, Subcommand)]
pub(super) enum AudienceCommand {
    /// Count the people that a filter finds: available, and out for which reason.
    ///
    /// Example: consentd audience summary --kind customer --postcode 28
    Summary(Summing),
    /// List the people that a filter finds, each with status and reason.
    ///
    /// Example: consentd audience list --status accepted --csv available.csv
    List(Listing),
}

/// Which people are meant. Every option that is given must fit.
#[derive(Debug, Args)]
struct Who {
    /// For what; the default purpose when left out.
    #[arg(long, value_name = "SLUG")]
    purpose: Option<String>,
    /// A kind of record; may be repeated, one is enough.
    #[arg(long, value_enum)]
    kind: Vec<Kind>,
    /// A tag; may be repeated, one is enough.
    #[arg(long)]
    tag: Vec<String>,
    /// A tag that must be there; may be repeated.
    #[arg(long)]
    all_tags: Vec<String>,
    /// The beginning of a postcode; may be repeated, one is enough.
    #[arg(long, value_name = "DIGITS")]
    postcode: Vec<String>,
    /// A town; may be repeated, one is enough.
    #[arg(long)]
    town: Vec<String>,
    /// A country as the records name it; may be repeated, one is enough.
    #[arg(long)]
    country: Vec<String>,
    /// A language of records: de, fr, …; may be repeated, one is enough.
    #[arg(long, value_name = "CODE")]
    language: Vec<String>,
    /// Prospects only, or nobody who is one.
    #[arg(long, value_name = "true|false")]
    prospect: Option<bool>,
    /// Businesses only, or nobody who is one.
    #[arg(long, value_name = "true|false")]
    professional: Option<bool>,
    /// Part of a name, company or address.
    #[arg(long, value_name = "TEXT", default_value = "")]
    text: String,
    /// A status by the four names; may be repeated, one is enough.
    #[arg(long, value_enum)]
    status: Vec<Name>,
    /// A flag; may be repeated, one is enough.
    #[arg(long, value_enum)]
    flag: Vec<Mark>,
    /// On the list of that connection and mailable.
    #[arg(long, value_name = "CONNECTION", conflicts_with = "not_on_list_of")]
    on_list_of: Option<String>,
    /// Not, or not yet, on the list of that connection.
    #[arg(long, value_name = "CONNECTION")]
    not_on_list_of: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Summing {
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, Args)]
pub(super) struct Listing {
    #[command(flatten)]
    who: Who,
    /// The most people to print; --csv always writes all.
    #[arg(long, value_name = "PEOPLE", default_value_t = 1_000)]
    limit: usize,
    /// Write all of them to a file that does not exist yet.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Customer,
    AddressBook,
    Supplier,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Name {
    NotAsked,
    Waiting,
    Accepted,
    Refused,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mark {
    HardBounce,
    Complaint,
    Erased,
}

/// People read in one go.
const PAGE: usize = 1_000;

impl Who {
    async fn filter(&self, core: &Core, tenant: &Tenant) -> Result<(Purpose, Filter), CliError> {
        let purpose = core.purpose(tenant, self.purpose.as_deref()).await?;
        let membership = match (&self.on_list_of, &self.not_on_list_of) {
            (Some(slug), _) => Some(Membership::List(core.find_connection(tenant, slug).await?.id)),
            (None, Some(slug)) => Some(Membership::NotYetSynced(core.find_connection(tenant, slug).await?.id)),
            (None, None) => None,
        };
        let kind = |kind: &Kind| match kind {
            Kind::Customer => RecordKind::Customer,
            Kind::AddressBook => RecordKind::AddressBook,
            Kind::Supplier => RecordKind::Supplier,
        };
        let status = |name: &Name| match name {
            Name::NotAsked => Status::NotAsked,
            Name::Waiting => Status::Waiting,
            Name::Accepted => Status::Accepted,
            Name::Refused => Status::Refused,
        };
        let flag = |mark: &Mark| match mark {
            Mark::HardBounce => Flag::HardBounce,
            Mark::Complaint => Flag::Complaint,
            Mark::Erased => Flag::Erased,
        };
        let filter = Filter {
            kinds: self.kind.iter().map(kind).collect(),
            any_tags: self.tag.clone(),
            all_tags: self.all_tags.clone(),
            postcodes: self.postcode.clone(),
            towns: self.town.clone(),
            countries: self.country.clone(),
            languages: self.language.clone(),
            prospect: self.prospect,
            professional: self.professional,
            text: self.text.clone(),
            statuses: self.status.iter().map(status).collect(),
            reasons: Vec::new(),
            flags: self.flag.iter().map(flag).collect(),
            membership,
        };
        Ok((purpose, filter))
    }
}

impl AudienceCommand {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let core = context.core().await?;
        let (tenant, _) = context.tenant(&core).await?;
        match self {
            Self::Summary(summing) => {
                let (purpose, filter) = summing.who.filter(&core, &tenant).await?;
                let summary = core.audience_summary(&tenant, &purpose, &filter).await?;
                let data = json!({ "purpose": purpose.slug, "summary": summary });
                output::data(context, &data, || text(&summary, context.language()));
                Ok(Exit::Done)
            }
            Self::List(listing) => listing.run(context, &core, &tenant).await,
        }
    }
}

/// The heading above the numbers, and what the first of them counts, in the words of the CRM.
const fn headings(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::De => ("ZUSAMMENFASSUNG IHRER LISTE", "verfügbare Empfänger"),
        Language::Fr => ("RÉSUMÉ DE VOTRE LISTE", "destinataires disponibles"),
        Language::En => ("SUMMARY OF YOUR LIST", "recipients available"),
        Language::Es => ("RESUMEN DE SU LISTA", "destinatarios disponibles"),
    }
}

fn text(summary: &Summary, language: Language) -> String {
    let (heading, available) = headings(language);
    let mut statuses = output::table(&["STATUS", "PEOPLE"]);
    for (status, people) in &summary.statuses {
        statuses.add_row([status.name(language).to_owned(), people.to_string()]);
    }
    let mut reasons = output::table(&["REASON", "PEOPLE"]);
    for (reason, people) in &summary.reasons {
        reasons.add_row([reason.word().replace('_', " "), people.to_string()]);
    }
    format!(
        "{heading}\n{} {available} ({} people found)\n\n{}\n{}",
        summary.available,
        summary.people,
        output::lines(&statuses),
        output::lines(&reasons)
    )
}

impl Listing {
    async fn run(self, context: &Context, core: &Core, tenant: &Tenant) -> Result<Exit, CliError> {
        let (purpose, filter) = self.who.filter(core, tenant).await?;
        if let Some(path) = &self.csv {
            let mut file = create(path)?;
            let people = core.write_audience(tenant, &purpose, &filter, MemberFormat::Csv, &mut file).await?;
            file.flush().map_err(|error| cannot_write(Some(path), &error))?;
            output::data(context, &json!({ "file": path, "people": people }), || {
                format!("wrote {people} people to {}", path.display())
            });
            return Ok(Exit::Done);
        }
        let mut members: Vec<Member> = Vec::new();
        let mut after = None;
        loop {
            let wanted = self.limit.saturating_sub(members.len()).min(PAGE);
            if wanted == 0 {
                break;
            }
            let page = core.audience_page(tenant, &purpose, &filter, after, wanted).await?;
            members.extend(page.members);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let people: Vec<Value> = members.iter().map(shown).collect();
        let data = json!({ "purpose": purpose.slug, "people": people, "more": after.is_some() });
        output::data(context, &data, || {
            let mut table = output::table(&["ADDRESS", "NAME", "TOWN", "STATUS", "SINCE", "REASON"]);
            for member in &members {
                let record = member.record.as_ref();
                let since =
                    if member.since == 0 { String::new() } else { output::time(member.since, &tenant.time_zone) };
                let name = record.map_or_else(String::new, |r| format!("{} {}", r.first_name, r.last_name));
                table.add_row([
                    member.address.clone(),
                    name.trim().to_owned(),
                    record.map_or_else(String::new, |r| r.town.clone()),
                    member.status.name(context.language()).to_owned(),
                    since,
                    member.reason.word().replace('_', " "),
                ]);
            }
            output::lines(&table)
        });
        if after.is_some() {
            output::hint(context, "There are more people. Raise --limit, or write all of them with --csv FILE.");
        }
        Ok(Exit::Done)
    }
}

fn shown(member: &Member) -> Value {
    json!({
        "address": member.address, "role": member.role, "status": member.status.word(), "reason": member.reason.word(),
        "available": member.reason.word() == "consented",
        "since": (member.since != 0).then(|| output::instant(member.since)), "record": member.record,
        "event": member.event.map(|event| json!({
            "seq": event.seq, "said": event.kind.word(), "by": event.actor.as_word(), "at": output::instant(event.at),
        })),
    })
}
