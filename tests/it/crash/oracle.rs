//! What was promised: every claim is known before it is submitted, becomes an obligation when it is acknowledged, and is
//! held against the history at the end. The oracle lives in the tests' process, the program in others.

use consentd::domain::consent::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// One thing that somebody says about one address; said once only, however often it is repeated.
pub type Name = (String, Kind);

#[derive(Default)]
struct Claim {
    /// What the line must show of it, if we know: the message id of an event.
    mark: Option<String>,
    acknowledged: bool,
}

/// A line of the history, as far as a claim is compared with it.
#[derive(Debug, Clone)]
pub struct Fact {
    pub address: String,
    pub kind: Kind,
    pub mark: Option<String>,
}

/// A promise that was broken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breach {
    /// It was acknowledged, and the history does not hold it.
    Lost(String, String),
    /// The history holds it more than once.
    Doubled(String, String, usize),
    /// The history holds what nobody said.
    NeverSaid(String, String),
    /// The history holds something else than was said.
    Altered(String, String),
    /// Somebody would be mailed who said no, or never yes.
    Mailed(String),
    /// Somebody would not be mailed who said yes and nothing since.
    NotMailed(String),
}

/// All claims so far.
#[derive(Default)]
pub struct Oracle {
    claims: BTreeMap<Name, Claim>,
}

/// Kinds that take a person off.
const NO: [Kind; 5] = [Kind::Refused, Kind::Withdrawn, Kind::ProviderUnsubscribed, Kind::Complained, Kind::HardBounced];

impl Oracle {
    /// Before it is submitted.
    pub fn claim(&mut self, name: &Name, mark: Option<&str>) {
        self.claims.entry(name.clone()).or_insert_with(|| Claim { mark: mark.map(str::to_owned), acknowledged: false });
    }

    /// It was answered well: from here on it is an obligation.
    pub fn acknowledge(&mut self, name: &Name) {
        self.claims.get_mut(name).expect("nothing is acknowledged that was not claimed").acknowledged = true;
    }

    /// It did not come about, as whom it concerns was not known there.
    pub fn retract(&mut self, name: &Name) {
        self.claims.remove(name);
    }

    /// Obligations and claims.
    pub fn counts(&self) -> (usize, usize) {
        (self.claims.values().filter(|claim| claim.acknowledged).count(), self.claims.len())
    }

    /// Obligations that the facts do not show yet.
    pub fn missing(&self, facts: &[Fact]) -> usize {
        let found: BTreeSet<(&str, Kind)> = facts.iter().map(|fact| (fact.address.as_str(), fact.kind)).collect();
        let owed = self.claims.iter().filter(|(_, claim)| claim.acknowledged);
        owed.filter(|((address, kind), _)| !found.contains(&(address.as_str(), *kind))).count()
    }

    /// Holds the history against the claims.
    pub fn judge(&self, facts: &[Fact]) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let mut found: BTreeMap<Name, usize> = BTreeMap::new();
        // That a withdrawal was read to be in effect, the program says itself.
        for fact in facts.iter().filter(|fact| fact.kind != Kind::InEffect) {
            let name = (fact.address.clone(), fact.kind);
            let (address, word) = (fact.address.clone(), fact.kind.word().to_owned());
            match self.claims.get(&name) {
                None => breaches.push(Breach::NeverSaid(address, word)),
                Some(claim) if claim.mark.is_some() && claim.mark != fact.mark => {
                    breaches.push(Breach::Altered(address, word));
                }
                Some(_) => {}
            }
            *found.entry(name).or_default() += 1;
        }
        for (name, claim) in &self.claims {
            let (address, word) = (name.0.clone(), name.1.word().to_owned());
            match found.get(name).copied().unwrap_or(0) {
                0 if claim.acknowledged => breaches.push(Breach::Lost(address, word)),
                0 | 1 => {}
                times => breaches.push(Breach::Doubled(address, word, times)),
            }
        }
        breaches
    }

    /// Holds whom a campaign would reach against the claims; the facts decide what was never answered.
    pub fn judge_mailing(&self, facts: &[Fact], mailable: &BTreeSet<String>) -> Vec<Breach> {
        let mut breaches = Vec::new();
        let said = |address: &str, kind: Kind| self.claims.get(&(address.to_owned(), kind));
        let mut people: BTreeSet<&str> = self.claims.keys().map(|(address, _)| address.as_str()).collect();
        people.extend(mailable.iter().map(String::as_str));
        let mut consenting: BTreeSet<&str> = BTreeSet::new();
        consenting.extend(facts.iter().filter(|fact| fact.kind == Kind::Accepted).map(|fact| fact.address.as_str()));
        for fact in facts.iter().filter(|fact| NO.contains(&fact.kind)) {
            consenting.remove(fact.address.as_str());
        }
        for person in people {
            let yes = said(person, Kind::Accepted);
            let mut noes = NO.iter().filter_map(|kind| said(person, *kind)).peekable();
            let unsaid = noes.peek().is_none();
            let no = noes.any(|claim| claim.acknowledged);
            let reached = mailable.contains(person);
            let must = unsaid && yes.is_some_and(|claim| claim.acknowledged) || consenting.contains(person) && !no;
            if reached && (no || yes.is_none() || !consenting.contains(person)) {
                breaches.push(Breach::Mailed(person.to_owned()));
            }
            if must && !reached {
                breaches.push(Breach::NotMailed(person.to_owned()));
            }
        }
        breaches
    }
}

/// Ada said yes; Bob said yes and then no; Cleo's no was never answered.
fn three_people() -> (Oracle, Vec<Fact>, BTreeSet<String>) {
    let mut oracle = Oracle::default();
    let mut facts = Vec::new();
    for (address, kind, mark, answered, kept) in [
        ("ada", Kind::Accepted, None, true, true),
        ("bob", Kind::Accepted, None, true, true),
        ("bob", Kind::ProviderUnsubscribed, Some("17"), true, true),
        ("cleo", Kind::Accepted, None, true, true),
        ("cleo", Kind::Complained, Some("18"), false, false),
    ] {
        let name = (address.to_owned(), kind);
        oracle.claim(&name, mark);
        if answered {
            oracle.acknowledge(&name);
        }
        if kept {
            facts.push(Fact { address: address.into(), kind, mark: mark.map(str::to_owned) });
        }
    }
    (oracle, facts, BTreeSet::from(["ada".to_owned(), "cleo".to_owned()]))
}

#[test]
fn the_oracle_is_content_when_all_is_well() {
    let (oracle, mut facts, mut mailable) = three_people();
    assert_eq!((oracle.judge(&facts), oracle.judge_mailing(&facts, &mailable)), (vec![], vec![]));
    assert_eq!((oracle.counts(), oracle.missing(&facts)), ((4, 5), 0));
    // What was not answered may have come about all the same, and then it holds.
    facts.push(Fact { address: "cleo".into(), kind: Kind::Complained, mark: Some("18".into()) });
    assert_eq!(oracle.judge(&facts), []);
    assert_eq!(oracle.judge_mailing(&facts, &mailable), [Breach::Mailed("cleo".into())]);
    mailable.remove("cleo");
    facts.push(Fact { address: "bob".into(), kind: Kind::InEffect, mark: None });
    assert_eq!((oracle.judge(&facts), oracle.judge_mailing(&facts, &mailable)), (vec![], vec![]));
}

#[test]
fn the_oracle_finds_every_broken_promise() {
    let unsubscribed = || ("bob".to_owned(), "provider_unsubscribed".to_owned());
    let broken = |change: &dyn Fn(&mut Vec<Fact>)| {
        let (oracle, mut facts, _) = three_people();
        change(&mut facts);
        oracle.judge(&facts)
    };
    let (address, word) = unsubscribed();
    assert_eq!(broken(&|facts| drop(facts.remove(2))), [Breach::Lost(address, word)]);
    let (address, word) = unsubscribed();
    assert_eq!(broken(&|facts| facts.push(facts[2].clone())), [Breach::Doubled(address, word, 2)]);
    let (address, word) = unsubscribed();
    assert_eq!(broken(&|facts| facts[2].mark = Some("71".into())), [Breach::Altered(address, word)]);
    let never = Fact { address: "ada".into(), kind: Kind::Withdrawn, mark: None };
    assert_eq!(broken(&|facts| facts.push(never.clone())), [Breach::NeverSaid("ada".into(), "withdrawn".into())]);

    let (oracle, facts, mailable) = three_people();
    let with = |person: &str| mailable.iter().cloned().chain([person.to_owned()]).collect();
    assert_eq!(oracle.judge_mailing(&facts, &with("bob")), [Breach::Mailed("bob".into())]);
    assert_eq!(oracle.judge_mailing(&facts, &with("dora")), [Breach::Mailed("dora".into())]);
    let neither = [Breach::NotMailed("ada".into()), Breach::NotMailed("cleo".into())];
    assert_eq!(oracle.judge_mailing(&facts, &BTreeSet::new()), neither);
    assert_eq!(oracle.missing(&facts[..2]), 2);
}
