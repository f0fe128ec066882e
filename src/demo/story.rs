//! The story, step by step.

use crate::clock::{SECOND, Timestamp};
use crate::demo::Play;
use crate::demo::cast::ROLES;
use crate::demo::crowd::{answer, one_click};
use crate::demo::house::{Gone, House, folded};
use crate::demo::stage::{Stage, held};
use crate::demo::sums::Sums;
use crate::demo::tell::{Teller, grouped};
use crate::domain::consent::{AskBasis, Language};
use crate::domain::triage::Verdict;
use crate::gateway::Courier;
use crate::service::connection::NewConnection;
use crate::service::import::{ImportMode, ImportOptions, ImportReport};
use crate::store::{Address, RunState};
use anyhow::{Context, ensure};
use consentd_provider::HookMode;
use consentd_provider::emulator::{Fault, FaultRule, Happening};
use std::ops::ControlFlow;
use std::time::Duration;

/// How long a provider is away.
const OUTAGE: Duration = Duration::from_secs(3);
/// The most people that each tenant asks; the others stay not asked, as with any company that has just begun.
const ASKED: usize = 2_500;
/// People who are asked in one transaction.
const ASKED_AT_ONCE: usize = 500;

/// Tells the whole story. True when all numbers agree.
pub(super) async fn tell(play: &Play, stage: &Stage) -> anyhow::Result<bool> {
    let mut teller = Teller::new(play.quiet);
    let mut sums = Sums::default();
    set(&mut teller, stage);
    let mut houses = found(&mut teller, stage, play.contacts).await?;
    import(&mut teller, stage, &houses, &mut sums).await?;
    ask(&mut teller, &mut houses, &mut sums).await?;
    connect(&mut teller, &houses, &mut sums).await?;
    sync(&mut teller, &houses, &mut sums).await?;
    people_act(&mut teller, &mut houses).await?;
    behind_our_back(&mut teller, &mut houses, &mut sums).await?;
    outage(&mut teller, &mut houses).await?;
    what_came_back(&mut teller, &houses, &mut sums).await?;
    history(&mut teller, &houses, &mut sums).await?;
    summary(&mut teller, &houses, &mut sums).await
}

fn set(teller: &mut Teller, stage: &Stage) {
    teller.step("The stage");
    teller.say(format_args!("consentd        http://{}", stage.daemon));
    for provider in &stage.providers {
        teller.say(format_args!("{:<15} http://{} (emulated)", provider.descriptor.name, provider.sandbox.address()));
    }
    teller.say(format_args!("database, key   {}", stage.folder.display()));
}

async fn found<'a>(teller: &mut Teller, stage: &'a Stage, contacts: usize) -> anyhow::Result<Vec<House<'a>>> {
    teller.step("Two tenants");
    let mut houses = Vec::new();
    for (role, provider) in ROLES.iter().zip(&stage.providers) {
        let house = House::found(role, provider, &stage.core, contacts).await?;
        teller.say(format_args!("{} {} and mails through {}.", role.legal_name, role.trade, provider.descriptor.name));
        houses.push(house);
    }
    Ok(houses)
}

async fn import(teller: &mut Teller, stage: &Stage, houses: &[House<'_>], sums: &mut Sums) -> anyhow::Result<()> {
    teller.step("Their customer files come in. Nobody becomes a recipient by that.");
    for house in houses {
        let name = |what: &str| format!("{}-{what}.csv", house.role.slug);
        stage.file(&name("customers"), &house.files.customers)?;
        stage.file(&name("refusals"), &house.files.refusals)?;
        stage.file(&name("list"), &house.files.list)?;
        teller.say(format_args!("{}:", house.role.legal_name));
        let count = house.files.count;
        let report = take_in(house, stage, &name("customers"), ImportMode::Records).await?;
        let verdict = |verdict| report.verdicts.get(&verdict).copied().unwrap_or(0);
        teller.count(report.rows, "rows in the customer file, of which");
        for (verdict_of, expected, what) in [
            (Verdict::New, count.people, "people, now known, never asked"),
            (Verdict::Role, count.roles, "role addresses (info@…), known, asked by nobody"),
            (Verdict::InBin, count.bin, "in the CRM's bin"),
            (Verdict::Duplicate, count.repeated, "repeated rows, left out"),
            (Verdict::Invalid, count.invalid, "addresses that cannot be read, left out"),
        ] {
            teller.count(verdict(verdict_of), what);
            sums.same(what, verdict(verdict_of), expected);
        }
        sums.same("rows and verdicts of the customer file", report.rows, report.verdicts.values().sum::<u64>());
        let report = take_in(house, stage, &name("refusals"), ImportMode::OptOuts).await?;
        teller.count(report.refusals, "refusals from before: final, whatever else the files say");
        sums.same("refusals from before", report.refusals, house.files.refused);
        let report = take_in(house, stage, &name("list"), ImportMode::List).await?;
        let listed = house.files.listed;
        let verdict = |verdict| report.verdicts.get(&verdict).copied().unwrap_or(0);
        teller.count(report.rows, "addresses on a list that somebody found; of them");
        teller.count(verdict(Verdict::External), "in no record: external, never asked, never synced");
        sums.same("externals", verdict(Verdict::External), listed.strangers);
        sums.same("known people on the list", verdict(Verdict::NotAsked), listed.known);
        sums.same("refused people on the list", verdict(Verdict::Refused), listed.refused);
    }
    Ok(())
}

async fn take_in(house: &House<'_>, stage: &Stage, name: &str, mode: ImportMode) -> anyhow::Result<ImportReport> {
    let file = std::fs::File::open(stage.folder.join(name))?;
    let options = ImportOptions::new(mode, name, "demo");
    let go_on = |_: &ImportReport| ControlFlow::Continue(());
    Ok(house.core.run_import(&house.tenant, &house.key, Box::new(file), None, &options, &go_on).await?)
}

async fn ask(teller: &mut Teller, houses: &mut [House<'_>], sums: &mut Sums) -> anyhow::Result<()> {
    teller.step("People are asked, and answer by their own link over HTTP");
    for house in houses {
        let mut people = house.askable().await?;
        sums.same("people who could be asked", people.len(), house.files.count.people - house.files.refused);
        people.truncate(ASKED);
        let mut links = Vec::with_capacity(people.len());
        for part in people.chunks(ASKED_AT_ONCE) {
            let basis = AskBasis::ExistingCustomer;
            let made =
                house.core.request_consent(&house.tenant, &house.key, &house.purpose, part, &basis, "demo").await?;
            for (address, link) in part.iter().zip(made) {
                links.push((address.clone(), link?));
            }
            teller.progress("asked", links.len(), people.len());
        }
        let asked = links.len();
        house.answers = answer(links, house.role.seed(), |done| teller.progress("answered", done, asked)).await?;
        teller.say(format_args!("{}:", house.role.legal_name));
        teller.count(asked, "people were asked; of them");
        teller.count(house.answers.accepted.len(), "said yes");
        teller.count(house.answers.refused.len(), "said no");
        teller.count(house.answers.scanned, "links were clicked by a mail scanner, which is no yes");
        teller.count(house.answers.silent, "did not answer");
        sums.same("asked and answers", asked, house.answers.total());
        sums.same_people("who may be mailed by the store", &house.expected(), &house.audience().await?);
    }
    Ok(())
}

async fn connect(teller: &mut Teller, houses: &[House<'_>], sums: &mut Sums) -> anyhow::Result<()> {
    teller.step("Their accounts are connected in shadow mode: read, plan, write nothing");
    for house in houses {
        let fields = [("first_name", "vorname_prenom"), ("town", "ort_ville"), ("postcode", "plz_cp")];
        let new = NewConnection {
            slug: "main".into(),
            provider: house.provider.descriptor.id.into(),
            base_url: house.provider.sandbox.base_url(house.provider.descriptor.default_base_url),
            credentials: house.provider.credentials(),
            options: house.provider.options(),
            list: String::new(),
            purpose: house.purpose.id,
            mapping: fields.into_iter().map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned())).collect(),
            cron: "0 2 * * *".into(),
            time_zone: house.tenant.time_zone.clone(),
            guard_percent: 10,
            guard_count: 50,
        };
        let connection = house.core.add_connection(&house.tenant, &house.key, new).await?;
        let name = "Campaigns (consentd)";
        house.patiently(async || house.core.bind_list(&connection, &house.key, name).await).await?;
        house.patiently(async || house.core.create_missing_fields(&connection, &house.key).await).await?;
        house.core.request_run(&house.connection().await?, "first", false).await?;
    }
    for house in houses {
        let run = house.run_until(RunState::AwaitingConfirmation, |_| {}).await?;
        let report = house.core.report(&run).await?;
        let to_add = report.planned.get("add").copied().unwrap_or(0);
        teller.say(format_args!("{} at {}:", house.role.legal_name, house.provider.descriptor.name));
        teller.count(report.people, "people were looked at; the plan:");
        for (action, count) in &report.planned {
            teller.count(*count, &format!("{action}, because consent stands"));
        }
        for (reason, count) in &report.skipped {
            teller.count(*count, &format!("left alone: {}", reason.replace('_', " ")));
        }
        sums.same("people to add and people who said yes", to_add, house.answers.accepted.len());
        sums.same("people at the provider before", house.mailable().await?.len(), 0);
    }
    Ok(())
}

async fn sync(teller: &mut Teller, houses: &[House<'_>], sums: &mut Sums) -> anyhow::Result<()> {
    teller.step("A person confirms the plans, and the first sync runs");
    for house in houses {
        house.core.confirm_run(&house.connection().await?, "demo").await?;
    }
    for house in houses {
        let began = house.core.now();
        let account = house.account()?;
        let calls = held(&account).log().len();
        let run = house.run_until(RunState::Done, |run| {
            teller.progress(run.state.word(), 0, house.answers.accepted.len());
        });
        let report = house.core.report(&run.await?).await?;
        let connection = house.connection().await?;
        let hooks = async || house.core.hooks(&connection, &house.key, HookMode::Repair).await;
        let hooks = house.patiently(hooks).await?;
        ensure!(hooks.healthy, "the webhooks of {} are not healthy: {hooks:?}", house.role.slug);
        let seconds = (house.core.now() - began) / SECOND;
        let calls = held(&account).log().len().saturating_sub(calls);
        let words = format!("are on the list now ({calls} calls, {seconds} s); webhooks are registered");
        teller.say(format_args!("{} at {}:", house.role.legal_name, house.provider.descriptor.name));
        teller.count(house.mailable().await?.len(), &words);
        sums.same("planned and finished", report.planned.values().sum::<i64>(), report.outcomes.values().sum::<i64>());
        sums.same("still open after the sync", report.outcomes.get("open").copied().unwrap_or(0), 0);
        sums.same_people("who is mailable at the provider", &house.expected(), &house.mailable().await?);
    }
    Ok(())
}

async fn people_act(teller: &mut Teller, houses: &mut [House<'_>]) -> anyhow::Result<()> {
    teller.step("Campaigns go out; people unsubscribe, mailboxes bounce, some complain. Webhooks tell us.");
    for house in houses.iter_mut() {
        let total = house.answers.accepted.len();
        let mut rest = house.answers.accepted.iter().cloned();
        let mut some = |share: usize, least: usize| rest.by_ref().take((total / share).max(least)).collect::<Vec<_>>();
        house.gone = Gone {
            unsubscribed: some(150, 3),
            bounced: some(300, 2),
            complained: some(600, 1),
            by_staff: Vec::new(),
            by_link: Vec::new(),
        };
        let list = house.connection().await?.list;
        for (people, what) in [
            (&house.gone.unsubscribed, Happening::Unsubscribes(Some(list))),
            (&house.gone.bounced, Happening::HardBounces),
            (&house.gone.complained, Happening::Complains),
        ] {
            happen(house, people, &what)?;
        }
    }
    for house in houses.iter() {
        house.settle().await?;
        teller.say(format_args!("{} at {}:", house.role.legal_name, house.provider.descriptor.name));
        teller.count(house.gone.unsubscribed.len(), "unsubscribed: withdrawn here, everywhere");
        teller.count(house.gone.bounced.len(), "bounced: nobody is mailed there any more, consent stays as it was");
        teller.count(house.gone.complained.len(), "complained: never again");
    }
    Ok(())
}

fn happen(house: &House<'_>, people: &[Address], what: &Happening) -> anyhow::Result<()> {
    let account = house.account()?;
    let mut account = held(&account);
    for person in people {
        let known = account.happen(house.provider.now(), person.email.as_str(), what);
        ensure!(
            known,
            "{} does not know somebody to whom this should happen: {what:?}",
            house.provider.descriptor.name
        );
    }
    Ok(())
}

async fn behind_our_back(teller: &mut Teller, houses: &mut [House<'_>], sums: &mut Sums) -> anyhow::Result<()> {
    teller.step("Somebody works in the providers' consoles; no webhook tells us. The daily walk finds it.");
    for house in houses.iter_mut() {
        let list = house.connection().await?.list;
        let gone = folded(house.gone.all());
        let staff = house.answers.accepted.iter().find(|person| !gone.contains(&person.email.folded())).cloned();
        let staff = staff.context("nobody is left")?;
        let refused = house.answers.refused.first().cloned().context("nobody refused")?;
        happen(house, std::slice::from_ref(&staff), &Happening::UnsubscribedByStaff(list.clone()))?;
        happen(house, std::slice::from_ref(&refused), &Happening::HostileImport(list))?;
        sums.holds("the import reaches the provider", house.mailable().await?.contains(&refused.email.folded()));
        house.gone.by_staff.push(staff);
        house.walk().await?;
        house.settle().await?;
        teller.say(format_args!("{} at {}:", house.role.legal_name, house.provider.descriptor.name));
        teller.count(1, "was unsubscribed by staff: found, withdrawn here too");
        teller.count(1, "had said no and was imported there all the same: found, taken off again");
    }
    Ok(())
}

async fn outage(teller: &mut Teller, houses: &mut [House<'_>]) -> anyhow::Result<()> {
    teller.step("The providers are down while people withdraw by their own link. Nothing is lost.");
    let courier = Courier::new(Duration::from_secs(30))?;
    for house in houses.iter_mut() {
        held(&house.account()?).fault(FaultRule {
            matching: String::new(),
            times: u32::MAX,
            fault: Fault::Status(503),
        });
        let gone = folded(house.gone.all());
        let left = house.answers.accepted.iter().filter(|person| !gone.contains(&person.email.folded()));
        let people: Vec<Address> = left.take((house.answers.accepted.len() / 600).max(2)).cloned().collect();
        for person in &people {
            let mut tx = house.core.store.begin().await?;
            let link = house.core.unsubscribe_link(&mut tx, &house.tenant, person, &house.purpose).await?;
            tx.commit().await?;
            one_click(&courier, &link).await?;
        }
        house.gone.by_link = people;
    }
    if let Some(house) = houses.first() {
        house.core.clock.sleep(OUTAGE).await;
    }
    for house in houses.iter() {
        let still = house.mailable().await?.len().saturating_sub(house.expected().len());
        held(&house.account()?).heal();
        let back = house.core.now();
        house.settle().await?;
        let seconds = (house.core.now() - back) / SECOND;
        teller.say(format_args!("{} at {}:", house.role.legal_name, house.provider.descriptor.name));
        teller.count(house.gone.by_link.len(), "withdrew with one click; here it counted at once");
        teller.count(still, &format!("waited for the provider, and were off its list {seconds} s after it was back"));
    }
    Ok(())
}

async fn what_came_back(teller: &mut Teller, houses: &[House<'_>], sums: &mut Sums) -> anyhow::Result<()> {
    teller.step("What came back, and what differs now");
    for house in houses {
        house.walk().await?;
        house.settle().await?;
        let connection = house.connection().await?;
        teller.say(format_args!("{} at {}:", house.role.legal_name, house.provider.descriptor.name));
        let mut events = 0;
        for (kind, outcome, count, _) in house.core.store.event_counts(house.tenant.id, connection.id).await? {
            events += count;
            teller.count(count, &format!("webhook events: {} ({outcome})", kind.replace('_', " ")));
        }
        let at_least = house.gone.unsubscribed.len() + house.gone.bounced.len() + house.gone.complained.len();
        sums.holds("every happening was told by a webhook", usize::try_from(events).is_ok_and(|n| n >= at_least));
        let remote = house.core.store.remote_summary(house.tenant.id, connection.id).await?;
        let expected = house.expected().len();
        let drift = remote.mailable.abs_diff(i64::try_from(expected)?);
        teller.count(
            remote.mailable,
            &format!("mailable there by the walk, {} here: drift {drift}", grouped(i64::try_from(expected)?)),
        );
        sums.same("the walk and the store", remote.mailable, expected);
        let times = house.core.store.withdrawal_times(house.tenant.id, connection.id, 0).await?;
        let median = times.get(times.len() / 2).copied().unwrap_or(0);
        let longest = times.last().copied().unwrap_or(0);
        teller.count(
            times.len(),
            &format!("withdrawals read back in effect: median {}, longest {}", span(median), span(longest)),
        );
    }
    Ok(())
}

/// A span of time in seconds.
fn span(time: Timestamp) -> String {
    format!("{}.{} s", time / SECOND, time % SECOND / (SECOND / 10))
}

async fn history(teller: &mut Teller, houses: &[House<'_>], sums: &mut Sums) -> anyhow::Result<()> {
    teller.step("The history: append-only, chained, verified");
    for house in houses {
        let found = house.core.verify(&house.tenant, &house.key).await?;
        let sound = found.is_sound();
        let head: String = found.head.chars().take(16).collect();
        let words =
            format!("lines of {}: {}, head {head}…", house.role.legal_name, if sound { "sound" } else { "BROKEN" });
        teller.count(found.lines, &words);
        sums.holds("the history is sound", sound);
    }
    let Some(house) = houses.first() else { return Ok(()) };
    let person = house.gone.unsubscribed.first().context("nobody unsubscribed")?;
    let lines = house.core.store.lines_of(house.tenant.id, person.id).await?;
    teller.say(format_args!("One person, {}:", person.email.as_str()));
    for line in &lines {
        let header = &line.header;
        let at = chrono::DateTime::from_timestamp_micros(header.at).unwrap_or_default().format("%H:%M:%S");
        teller.say(format_args!(
            "  {at}  {:<24} by the {}",
            header.kind.word().replace('_', " "),
            header.actor.as_word()
        ));
    }
    let standing = house.core.store.standings(house.tenant.id, person.id).await?;
    let state = standing.first().map(|kept| kept.standing.state).context("the person has no standing")?;
    teller.say(format_args!(
        "  stands as: {} ({})",
        state.status().name(house.tenant.locale),
        state.status().name(Language::En)
    ));
    sums.holds(
        "a history begins with the import",
        lines.first().is_some_and(|line| line.header.kind.word() == "imported"),
    );
    Ok(())
}

async fn summary(teller: &mut Teller, houses: &[House<'_>], sums: &mut Sums) -> anyhow::Result<bool> {
    teller.step("Summary");
    for house in houses {
        let (accepted, gone) = (house.answers.accepted.len(), house.gone.all().count());
        let (here, there) = (house.audience().await?, house.mailable().await?);
        teller.say(format_args!("{} at {}:", house.role.legal_name, house.provider.descriptor.name));
        teller.count(accepted, "said yes");
        for (people, how) in [
            (&house.gone.unsubscribed, "unsubscribed at the provider"),
            (&house.gone.bounced, "bounced"),
            (&house.gone.complained, "complained"),
            (&house.gone.by_staff, "unsubscribed by staff"),
            (&house.gone.by_link, "withdrew by link"),
        ] {
            teller.count(-i64::try_from(people.len())?, how);
        }
        teller.count(here.len(), "may be mailed, says consentd");
        teller.count(there.len(), &format!("would be mailed, says {}", house.provider.descriptor.name));
        sums.same("yes, less who left, and who may be mailed", accepted - gone, here.len());
        sums.same_people("who may be mailed here and there", &here, &there);
        sums.same_people("who may be mailed, and the story", &house.expected(), &here);
    }
    for wrong in sums.wrong() {
        teller.say(format_args!("WRONG: {wrong}"));
    }
    let all = sums.wrong().is_empty();
    let verdict = if all { "all agree" } else { "NOT all agree" };
    teller.say(format_args!("{} numbers were compared; {verdict}.", sums.compared()));
    Ok(all)
}
