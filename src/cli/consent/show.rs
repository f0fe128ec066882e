//! `consentd consent show`

use crate::cli::{CliError, Context, Exit, output};
use crate::domain::consent::{Act, AskBasis, OperatorAct, State};
use crate::domain::fold::{Flags, Standing};
use crate::service::Core;
use crate::service::person::{Dossier, Stance};
use crate::store::{EVERY_PURPOSE, Purpose, Suppression, Tenant, TenantKey};
use clap::Args;
use serde_json::{Value, json};

/// See [`super::ConsentCommand::Show`].
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// The address.
    email: String,
}

/// One thing that may, or may not, be done next.
struct Next {
    action: &'static str,
    by: &'static str,
    why_not: Option<String>,
}

impl Show {
    pub(super) async fn run(
        self,
        context: &Context,
        core: &Core,
        tenant: &Tenant,
        key: &TenantKey,
    ) -> Result<Exit, CliError> {
        let email = Context::email(&self.email)?;
        let dossier = core.dossier(tenant, key, &email).await?;
        if dossier.stances.is_empty() && dossier.suppressions.is_empty() {
            return Err(CliError::new(Exit::NotFound, "not_found", "there is no such address in the CRM's records")
                .hint("It was never asked and is never synced. Next: consentd import check FILE"));
        }
        let purposes = core.store.purposes(tenant.id).await?;
        let held: Vec<Value> = dossier
            .held
            .iter()
            .map(|at| json!({ "connection": at.connection, "held": at.held.word(), "withdrawing": at.withdrawing }))
            .collect();
        let data = json!({
            "address": email.as_str(), "known": !dossier.stances.is_empty(),
            "purposes": dossier.stances.iter().map(|stance| stance_json(core, stance)).collect::<Vec<_>>(),
            "providers": held,
            "suppressed": dossier.suppressions.iter().map(|entry| suppression_json(entry, &purposes)).collect::<Vec<_>>(),
        });
        output::data(context, &data, || text(context, core, tenant, &dossier, email.as_str()));
        Ok(Exit::Done)
    }
}

fn text(context: &Context, core: &Core, tenant: &Tenant, dossier: &Dossier, email: &str) -> String {
    let mut text = format!("{email}\n");
    if dossier.stances.is_empty() {
        text += "in no record here, and on the suppression list: never asked, never synced\n";
    }
    for stance in &dossier.stances {
        let s = &stance.standing;
        let since =
            if s.since == 0 { String::new() } else { format!(" since {}", output::time(s.since, &tenant.time_zone)) };
        let how = stance
            .last
            .map_or_else(String::new, |(kind, actor)| format!("{} by {}", words(kind.word()), actor.as_word()));
        let mut facts = vec![
            ("status", format!("{}{since}", s.state.status().name(context.language()))),
            ("last said", how),
            ("flags", flags(s.flags).join(", ").replace('_', " ")),
        ];
        if let Some(until) = s.basis.and_then(|basis| basis.valid_until) {
            facts.push(("valid until", output::time(until, &tenant.time_zone)));
        }
        if let Some(asked) = s.asked_at {
            facts.push(("last asked", output::time(asked, &tenant.time_zone)));
        }
        facts.push(("mailable now", if s.sendable(core.now()) { "yes" } else { "no" }.to_owned()));
        for next in nexts(s, core) {
            let verdict =
                next.why_not.map_or_else(|| format!("may be done by the {}", next.by), |why| format!("no: {why}"));
            facts.push((next.action, verdict));
        }
        let more = format!("\n{} ({})\n{}", stance.purpose.name, stance.purpose.slug, output::facts(&facts));
        text += &more;
    }
    if !dossier.held.is_empty() {
        let mut table = output::table(&["CONNECTION", "BELIEVED", "WITHDRAWAL"]);
        for at in &dossier.held {
            table.add_row([&*at.connection, at.held.word(), if at.withdrawing { "on its way" } else { "" }]);
        }
        let more = format!("\n{}", output::lines(&table));
        text += &more;
    }
    text
}

fn words(word: &str) -> String {
    word.replace('_', " ")
}

/// The flags that are set, as stable words.
fn flags(flags: Flags) -> Vec<&'static str> {
    let named = [(Flags::HARD_BOUNCE, "hard_bounce"), (Flags::COMPLAINT, "complaint"), (Flags::ERASED, "erased")];
    named.into_iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, word)| word).collect()
}

/// What may be done next, and by whom.
fn nexts(standing: &Standing, core: &Core) -> Vec<Next> {
    let staff = |action, act: OperatorAct| {
        let denied = standing.allows(&Act::Operator(act), core.now()).err();
        Next { action, by: "staff", why_not: denied.map(|denied| denied.to_string()) }
    };
    let said_no = matches!(standing.state, State::Refused | State::Withdrawn);
    let asking = if matches!(standing.state, State::NotAsked) { "request" } else { "renew" };
    let mut nexts = vec![staff(asking, OperatorAct::Request(AskBasis::ExistingCustomer))];
    let already = said_no.then(|| "the person has refused or withdrawn already".to_owned());
    nexts.push(Next { action: "withdraw", by: "staff", why_not: already });
    if standing.flags.has(Flags::HARD_BOUNCE) {
        nexts.push(staff("clear-bounce", OperatorAct::ClearBounce));
    }
    if standing.state != State::Accepted {
        let erased = standing.flags.has(Flags::ERASED).then(|| "the person's data was erased on request".to_owned());
        nexts.push(Next { action: "accept", by: "recipient only", why_not: erased });
    }
    nexts
}

fn stance_json(core: &Core, stance: &Stance) -> Value {
    let s = &stance.standing;
    let next: Vec<Value> = nexts(s, core)
        .into_iter()
        .map(|next| json!({ "action": next.action, "by": next.by, "allowed": next.why_not.is_none(), "why_not": next.why_not }))
        .collect();
    json!({
        "purpose": stance.purpose.slug, "address": stance.address.email.as_str(), "status": s.state.status().word(),
        "state": s.state.as_word(), "since": (s.since != 0).then(|| output::instant(s.since)),
        "last": stance.last.map(|(kind, actor)| json!({ "said": kind.word(), "by": actor.as_word() })),
        "flags": flags(s.flags), "mailable": s.sendable(core.now()),
        "accepted_at": s.basis.map(|basis| output::instant(basis.at)),
        "valid_until": s.basis.and_then(|basis| basis.valid_until).map(output::instant),
        "asked_at": s.asked_at.map(output::instant), "next": next,
    })
}

fn suppression_json(entry: &Suppression, purposes: &[Purpose]) -> Value {
    let purpose = purposes.iter().find(|purpose| purpose.id == entry.purpose).map(|purpose| purpose.slug.as_str());
    json!({
        "purpose": purpose, "every_purpose": entry.purpose == EVERY_PURPOSE, "reason": entry.reason,
        "since": output::instant(entry.since),
    })
}
