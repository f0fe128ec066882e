//! Reading an account: its name, lists, fields, and what it holds about one address.

use super::bench::{Bench, lift, people, person, withdraw};
use super::{Lab, Rule, Verdict, ensure};
use crate::emulator::Happening;
use crate::{Capability, EmailAddress, FieldKind, Look, ProviderError, RemoteField, Scope};

pub(super) const RULES: &[Rule] = &[
    Rule { number: 8, title: "check proves the credentials and names no person", examine: |lab| Box::pin(check(lab)) },
    Rule { number: 9, title: "all lists are read, and none is created twice", examine: |lab| Box::pin(lists(lab)) },
    Rule { number: 10, title: "all fields are read, and none is created twice", examine: |lab| Box::pin(fields(lab)) },
    Rule { number: 11, title: "a look answers each address in order", examine: |lab| Box::pin(look_in_order(lab)) },
    Rule { number: 12, title: "a look tells the truth in every state", examine: |lab| Box::pin(look_is_true(lab)) },
];

async fn check(lab: &Lab<'_>) -> Verdict {
    let bench = lab.bench().await?;
    let facts = bench.provider()?.check(&bench.wire).await?;
    ensure!(!facts.label.trim().is_empty(), "the account has no label");
    ensure!(!facts.label.contains('@'), "the account's label holds an address");
    Ok(())
}

async fn lists(lab: &Lab<'_>) -> Verdict {
    let bench = lab.bench().await?;
    let provider = bench.provider()?;
    if !bench.can(Capability::CreateList) {
        let refused = matches!(
            provider.create_list(&bench.wire, "A third purpose").await,
            Err(ProviderError::Unsupported(Capability::CreateList))
        );
        ensure!(refused, "creating a list is neither a capability nor refused");
        return Ok(());
    }
    let mut created = Vec::new();
    for number in 0..60 {
        created.push(provider.create_list(&bench.wire, &format!("Purpose {number} & more")).await?);
    }
    let all = provider.lists(&bench.wire).await?;
    for list in &created {
        let times = all.iter().filter(|one| one.id == list.id && one.name == list.name).count();
        ensure!(times == 1, "the list {:?} was read {times} times among {}", list.name, all.len());
        let again = provider.create_list(&bench.wire, &list.name).await?;
        ensure!(again == *list, "creating the list {:?} again gave another one", list.name);
    }
    let after = provider.lists(&bench.wire).await?.len();
    ensure!(after == all.len(), "creating existing lists made {} lists of {}", after, all.len());
    Ok(())
}

async fn fields(lab: &Lab<'_>) -> Verdict {
    let bench = lab.bench().await?;
    let provider = bench.provider()?;
    let before = provider.schema(&bench.wire).await?.len();
    let wanted: Vec<RemoteField> = (0..60)
        .map(|number| RemoteField {
            name: format!("SUITE_{number}"),
            kind: match number % 3 {
                0 => FieldKind::Text,
                1 => FieldKind::Bool,
                _ => FieldKind::Number,
            },
        })
        .collect();
    if !bench.can(Capability::CreateField) {
        let Some(field) = wanted.first() else { return Ok(()) };
        let answer = provider.create_field(&bench.wire, field).await;
        let refused = matches!(answer, Err(ProviderError::Unsupported(Capability::CreateField)));
        ensure!(refused, "creating a field is neither a capability nor refused");
        return Ok(());
    }
    for field in wanted.iter().chain(&wanted) {
        provider.create_field(&bench.wire, field).await?;
    }
    let all = provider.schema(&bench.wire).await?;
    for field in &wanted {
        let mut found = all.iter().filter(|one| one.name.eq_ignore_ascii_case(&field.name));
        let kind = found.next().map(|one| one.kind);
        ensure!(kind == Some(field.kind), "the field {field:?} was read back as {kind:?}");
        ensure!(found.next().is_none(), "the field {:?} was read twice", field.name);
    }
    ensure!(all.len() == before + wanted.len(), "{before} fields and {} new ones make {}", wanted.len(), all.len());
    Ok(())
}

async fn look_in_order(lab: &Lab<'_>) -> Verdict {
    let (kim, lee, gone) = (person("Kim.O'Brien+news")?, person("lee")?, person("nobody")?);
    let bench = lab.with(&[&kim, &lee]).await?;
    bench.apply(&bench.list, &[withdraw(&lee, Scope::Everything)]).await?;
    let provider = bench.provider()?;
    let asked = [gone.clone(), lee.clone(), kim.clone(), gone, kim.clone(), person("KIM.o'brien+NEWS")?];
    let looks = provider.look(&bench.wire, &bench.list, &asked).await?;
    let mailable: Vec<bool> = looks.iter().map(Look::mailable).collect();
    ensure!(mailable == [false, false, true, false, true, true], "six addresses were answered {mailable:?}");
    ensure!(looks.first() == Some(&Look::default()), "an unknown contact was seen as {:?}", looks.first());
    ensure!(provider.look(&bench.wire, &bench.list, &[]).await?.is_empty(), "a look at nobody saw somebody");
    let many = people("crowd", lab.subject().descriptor.look)?;
    let looks = provider.look(&bench.wire, &bench.list, &many).await?;
    let unknown = looks.len() == many.len() && looks.iter().all(|look| !look.exists);
    ensure!(unknown, "{} unknown addresses were given {} answers", many.len(), looks.len());
    Ok(())
}

async fn look_is_true(lab: &Lab<'_>) -> Verdict {
    let names = ["fresh", "left", "staff", "purpose", "all", "back", "other", "gone", "spam", "header"];
    let someone = names.into_iter().map(person).collect::<Result<Vec<_>, _>>()?;
    let [fresh, left, staff, purpose, all, back, other, gone, spam, header] = someone.as_slice() else { return Ok(()) };
    let bench = lab.with(&[fresh, left, staff, purpose, all, back, gone, spam, header]).await?;
    bench.enrol(&bench.other, &[other]).await?;
    let list = bench.list.list.clone();
    bench.happen(left, &Happening::Unsubscribes(Some(list.clone())))?;
    bench.happen(staff, &Happening::UnsubscribedByStaff(list.clone()))?;
    bench.happen(gone, &Happening::Deleted)?;
    bench.happen(header, &Happening::Unsubscribes(None))?;
    bench.happen(spam, &Happening::Complains)?;
    bench.apply(&bench.list, &[withdraw(purpose, Scope::Purpose), withdraw(all, Scope::Everything)]).await?;
    bench.apply(&bench.list, &[withdraw(back, Scope::Purpose)]).await?;
    bench.apply(&bench.list, &[lift(back)]).await?;
    for (name, email) in names.iter().zip(&someone) {
        same(&bench, name, email).await?;
    }
    bench.happen(left, &Happening::HostileImport(list))?;
    same(&bench, "imported by staff after leaving", left).await
}

async fn same(bench: &Bench, name: &str, email: &EmailAddress) -> Verdict {
    let (seen, truth) = (bench.look(email).await?, bench.truth(&bench.list, email));
    ensure!(seen == truth, "a look at the contact {name:?} saw {seen:?}, the truth is {truth:?}");
    Ok(())
}
