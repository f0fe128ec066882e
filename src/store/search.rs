//! Audiences by filter: the only place where SQL is put together at run time. Every value is bound; the pieces of text
//! are constants of this file.
//!
//! One person is one mailbox. Most have one spelling and one record: those are counted from `reach` by groups of equal
//! standing. A mailbox in several records is counted once; one with several spellings is looked at on its own, because
//! which of them speaks depends on the time.

use crate::clock::Timestamp;
use crate::domain::audience::{Behind, Filter, Membership};
use crate::domain::consent::{Actor, Kind, State};
use crate::domain::contact::fold;
use crate::domain::fold::{Basis, Flags, Standing};
use crate::domain::ids::{AddressId, ConnectionId, MailboxId, PurposeId, StatementId, TenantId};
use crate::domain::plan::{Held, eligibility};
use crate::store::address::hex_list;
use crate::store::db::{Query, sql};
use crate::store::{Db, Store, StoreError};
use std::collections::HashMap;
use uuid::Uuid;

/// People who all stand alike.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// How they stand, as far as it decides whether they are in or out.
    pub standing: Standing,
    /// Whether a record outside the bin holds them.
    pub in_crm: bool,
    /// How many.
    pub people: u64,
}

/// A spelling of a mailbox: mailbox, whether a record outside the bin holds it, and what decides which spelling speaks.
type SpellingRow = (Uuid, bool, String, i64, i64, Option<i64>, Option<i64>);

/// A value of a condition.
enum Value {
    Text(String),
    Bool(bool),
    Int(i64),
    Id(Uuid),
}

/// Conditions with the values they bind, `$1` first.
struct Conditions {
    text: String,
    values: Vec<Value>,
}

impl Conditions {
    fn new(tenant: TenantId, purpose: PurposeId) -> Self {
        Self {
            text: "r.tenant_id = $1 AND r.purpose_id = $2".into(),
            values: vec![Value::Id(tenant.0), Value::Id(purpose.0)],
        }
    }

    /// The placeholder of a new value.
    fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn and(&mut self, condition: &str) {
        self.text.push_str(" AND ");
        self.text.push_str(condition);
    }

    /// `column` is one of these texts.
    fn one_of(&mut self, column: &'static str, texts: impl Iterator<Item = String>) {
        let places: Vec<String> = texts.map(|text| self.bind(Value::Text(text))).collect();
        if !places.is_empty() {
            self.and(&format!("{column} IN ({})", places.join(", ")));
        }
    }

    /// `column` is like one of these patterns.
    fn like_one_of(&mut self, column: &'static str, patterns: impl Iterator<Item = String>) {
        let places: Vec<String> =
            patterns.map(|pattern| format!("{column} LIKE {} ESCAPE '\\'", self.bind(Value::Text(pattern)))).collect();
        if !places.is_empty() {
            self.and(&format!("({})", places.join(" OR ")));
        }
    }

    fn is(&mut self, column: &'static str, wanted: Option<bool>) {
        if let Some(wanted) = wanted {
            let place = self.bind(Value::Bool(wanted));
            self.and(&format!("{column} = {place}"));
        }
    }

    fn about_records(&mut self, filter: &Filter) {
        self.one_of("r.kind", filter.kinds.iter().map(|kind| kind.word().to_owned()));
        self.one_of("r.town_key", filter.towns.iter().map(|town| fold(town)));
        self.one_of("r.country_key", filter.countries.iter().map(|country| fold(country)));
        self.one_of("r.language", filter.languages.iter().map(|language| fold(language)));
        self.like_one_of("r.postcode", filter.postcodes.iter().map(|start| format!("{}%", escaped(start.trim()))));
        self.like_one_of("r.tag_keys", filter.any_tags.iter().map(|tag| tag_pattern(tag)));
        for tag in &filter.all_tags {
            self.like_one_of("r.tag_keys", std::iter::once(tag_pattern(tag)));
        }
        self.is("r.prospect", filter.prospect);
        self.is("r.professional", filter.professional);
        if filter.is_about_records() {
            self.and("r.kind <> ''");
        }
        let text = fold(&filter.text);
        if !text.is_empty() {
            self.like_one_of("r.search", std::iter::once(format!("%{}%", escaped(&text))));
        }
    }

    fn about_membership(&mut self, filter: &Filter) {
        let (word, ConnectionId(connection)) = match filter.membership {
            None => return,
            Some(Membership::List(connection)) => ("EXISTS", connection),
            Some(Membership::NotYetSynced(connection)) => ("NOT EXISTS", connection),
        };
        let connection = self.bind(Value::Id(connection));
        let held = self.bind(Value::Text(Held::Subscribed.word().into()));
        self.and(&format!(
            "{word} (SELECT 1 FROM holding h WHERE h.tenant_id = r.tenant_id AND h.connection_id = {connection} \
             AND h.mailbox_id = r.mailbox_id AND h.held = {held})"
        ));
    }

    /// Narrows to the standings that fit the filter, by asking the one rule about every standing there can be.
    fn about_standing(&mut self, filter: &Filter, now: Timestamp) {
        if filter.statuses.is_empty() && filter.reasons.is_empty() && filter.flags.is_empty() {
            return;
        }
        let now_place = self.bind(Value::Int(now));
        let mut fitting = Vec::new();
        for state in State::ALL {
            for (in_crm, expired) in [(false, false), (false, true), (true, false), (true, true)] {
                let flags: Vec<i64> = (0..16)
                    .filter(|bits| {
                        let standing = typical(*state, Flags::from_bits(*bits), expired, now);
                        filter.fits(&standing, eligibility(&standing, in_crm, now))
                    })
                    .collect();
                if flags.is_empty() {
                    continue;
                }
                let state = self.bind(Value::Text(state.as_word().into()));
                let in_crm = self.bind(Value::Bool(in_crm));
                let expired = self.bind(Value::Bool(expired));
                let flags: Vec<String> = flags.into_iter().map(|bits| self.bind(Value::Int(bits))).collect();
                fitting.push(format!(
                    "(r.state = {state} AND r.in_crm = {in_crm} AND r.flags IN ({}) \
                     AND (r.valid_until IS NOT NULL AND r.valid_until <= {now_place}) = {expired})",
                    flags.join(", ")
                ));
            }
        }
        if fitting.is_empty() {
            self.and("FALSE");
        } else {
            self.and(&format!("({})", fitting.join(" OR ")));
        }
    }

    fn query<'d>(&self, db: &'d Db, text: String) -> Query<'d> {
        self.values.iter().fold(db.built(text), |query, value| match value {
            Value::Text(text) => query.bind(text.clone()),
            Value::Bool(value) => query.bind(*value),
            Value::Int(value) => query.bind(*value),
            Value::Id(id) => query.bind(*id),
        })
    }
}

/// Where somebody must stand to fit the filter: state, flags, and whether a record outside the bin holds the mailbox.
fn places(filter: &Filter, now: Timestamp) -> Vec<(State, i64, bool)> {
    let fits = |(state, flags, in_crm): &(State, i64, bool)| {
        [false, true].into_iter().any(|expired| {
            let standing = typical(*state, Flags::from_bits(*flags), expired, now);
            filter.fits(&standing, eligibility(&standing, *in_crm, now))
        })
    };
    let all = State::ALL.iter().flat_map(|state| (0..16).map(move |flags| (*state, flags)));
    all.flat_map(|(state, flags)| [(state, flags, false), (state, flags, true)]).filter(fits).collect()
}

/// Takes the special meaning from `%` and `_`.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

fn tag_pattern(tag: &str) -> String {
    format!("%|{}|%", escaped(&fold(tag).replace('|', " ")))
}

/// A standing of that state, with nothing but what decides whether somebody is in or out.
pub(super) fn typical(state: State, flags: Flags, expired: bool, now: Timestamp) -> Standing {
    let basis = Basis { seq: 0, id: StatementId(Uuid::nil()), at: 0, valid_until: expired.then_some(now) };
    Standing { state, flags, basis: Some(basis), ..Standing::default() }
}

impl Store {
    /// The people a filter finds who have one spelling, by groups that stand alike.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audience_groups(
        &self,
        tenant: TenantId,
        purpose: PurposeId,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Vec<Group>, StoreError> {
        let places = places(filter, now);
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let mut conditions = Conditions::new(tenant, purpose);
        let (yes, no) = (conditions.bind(Value::Bool(true)), conditions.bind(Value::Bool(false)));
        // The index of standings lacks the search texts, and holdings are found fastest in the order of mailboxes: SQLite is
        // kept from that index by the plus.
        let is_sqlite = matches!(self.db, Db::Sqlite { .. });
        let by_rows = !filter.text.is_empty() || filter.membership.is_some();
        let plus = if is_sqlite && by_rows { "+" } else { "" };
        conditions.about_records(filter);
        conditions.about_membership(filter);
        let now_place = conditions.bind(Value::Int(now));
        let found = conditions.text.clone();
        let expired = format!("r.valid_until IS NOT NULL AND r.valid_until <= {now_place}");
        let mut states: Vec<State> = places.iter().map(|(state, ..)| *state).collect();
        states.dedup();
        if states.len() < State::ALL.len() {
            conditions.one_of("r.state", states.into_iter().map(|state| state.as_word().to_owned()));
        }
        let narrowed = conditions.text.clone();
        let alone = if is_sqlite && !by_rows {
            let rows: Vec<String> = places
                .iter()
                .map(|(state, flags, in_crm)| {
                    let state = conditions.bind(Value::Text(state.as_word().into()));
                    let (flags, in_crm) = (conditions.bind(Value::Int(*flags)), conditions.bind(Value::Bool(*in_crm)));
                    format!("({state}, {flags}, {in_crm})")
                })
                .collect();
            // Counting a stretch of the index costs half of what telling its rows apart does.
            let count = format!(
                "SELECT COUNT(*) FROM reach r WHERE {found} AND r.spelled = {no} AND r.shared = {no} \
                 AND r.state = p.column1 AND r.flags = p.column2 AND r.in_crm = p.column3"
            );
            format!(
                "SELECT p.column1, p.column2, p.column3, ({count}), ({count} AND r.valid_until <= {now_place}) \
                 FROM (VALUES {}) p",
                rows.join(", ")
            )
        } else {
            format!(
                "SELECT r.state, r.flags, r.in_crm, COUNT(*), CAST(SUM(CASE WHEN {expired} THEN 1 ELSE 0 END) AS BIGINT) \
                 FROM reach r WHERE {narrowed} AND {plus}r.spelled = {no} AND {plus}r.shared = {no} \
                 GROUP BY r.state, r.flags, r.in_crm"
            )
        };
        let text = format!(
            "{alone} UNION ALL SELECT r.state, r.flags, r.in_crm, COUNT(DISTINCT r.mailbox_id), \
             COUNT(DISTINCT CASE WHEN {expired} THEN r.mailbox_id END) \
             FROM reach r WHERE {narrowed} AND r.spelled = {no} AND r.shared = {yes} GROUP BY r.state, r.flags, r.in_crm"
        );
        let rows: Vec<(String, i64, bool, i64, i64)> = conditions.query(&self.db, text).all().await?;
        let mut groups = Vec::with_capacity(rows.len() * 2);
        for (state, flags, in_crm, people, expired) in rows {
            let state = State::parse_word(&state).ok_or(StoreError::Corrupt { table: "reach", column: "state" })?;
            for (people, expired) in [(people - expired, false), (expired, true)] {
                let standing = typical(state, Flags::from_bits(flags), expired, now);
                groups.push(Group { standing, in_crm, people: u64::try_from(people).unwrap_or(0) });
            }
        }
        Ok(groups)
    }

    /// The people a filter finds who have several spellings: where each spelling stands, and whether a record outside
    /// the bin holds the mailbox.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audience_spelled(
        &self,
        tenant: TenantId,
        purpose: PurposeId,
        filter: &Filter,
    ) -> Result<Vec<(Vec<Standing>, bool)>, StoreError> {
        let mut conditions = Conditions::new(tenant, purpose);
        let spelled = conditions.bind(Value::Bool(true));
        conditions.and(&format!("r.spelled = {spelled}"));
        conditions.about_records(filter);
        conditions.about_membership(filter);
        // Few columns, all people at once: this is read whatever the filter asks of standings.
        let text = format!(
            "SELECT f.mailbox_id, f.in_crm, s.state, s.flags, s.seq, s.basis_seq, s.valid_until \
             FROM (SELECT DISTINCT r.mailbox_id, r.in_crm FROM reach r WHERE {}) f \
             JOIN standing s ON s.tenant_id = $1 AND s.mailbox_id = f.mailbox_id AND s.purpose_id = $2 \
             ORDER BY f.mailbox_id, s.address_id",
            conditions.text
        );
        let rows: Vec<SpellingRow> = conditions.query(&self.db, text).all().await?;
        let mut people: Vec<(Vec<Standing>, bool)> = Vec::new();
        let mut last = None;
        for (mailbox, in_crm, state, flags, seq, basis_seq, valid_until) in rows {
            let state = State::parse_word(&state).ok_or(StoreError::Corrupt { table: "standing", column: "state" })?;
            let basis = basis_seq.map(|seq| Basis { seq, id: StatementId(Uuid::nil()), at: 0, valid_until });
            let standing = Standing { state, flags: Flags::from_bits(flags), basis, seq, ..Standing::default() };
            match people.last_mut() {
                Some((spellings, _)) if last == Some(mailbox) => spellings.push(standing),
                _ => people.push((vec![standing], in_crm)),
            }
            last = Some(mailbox);
        }
        Ok(people)
    }

    /// The mailboxes a filter finds, a page after `after`. Those with several spellings are found whatever they stand
    /// like; the caller weighs them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audience_mailboxes(
        &self,
        tenant: TenantId,
        purpose: PurposeId,
        filter: &Filter,
        after: Option<MailboxId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<MailboxId>, StoreError> {
        let mut conditions = Conditions::new(tenant, purpose);
        let after = conditions.bind(Value::Id(after.map_or(Uuid::nil(), |mailbox| mailbox.0)));
        conditions.and(&format!("r.mailbox_id > {after}"));
        conditions.about_records(filter);
        conditions.about_membership(filter);
        let before = std::mem::replace(&mut conditions.text, "TRUE".into());
        conditions.about_standing(filter, now);
        let standing = std::mem::replace(&mut conditions.text, before);
        conditions.and(&format!("(r.spelled OR ({standing}))"));
        let limit = conditions.bind(Value::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
        let found = &conditions.text;
        let text =
            format!("SELECT DISTINCT r.mailbox_id FROM reach r WHERE {found} ORDER BY r.mailbox_id LIMIT {limit}");
        let rows: Vec<(Uuid,)> = conditions.query(&self.db, text).all().await?;
        Ok(rows.into_iter().map(|(mailbox,)| MailboxId(mailbox)).collect())
    }

    /// The lines about addresses that concern a purpose, without their payloads.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lines_behind(
        &self,
        tenant: TenantId,
        purpose: PurposeId,
        addresses: &[AddressId],
    ) -> Result<HashMap<AddressId, Vec<Behind>>, StoreError> {
        let list = hex_list(addresses.iter().map(|address| address.0.as_bytes().as_slice()));
        let query = self.db.q(sql!(split "statement/behind")).bind(tenant.0).bind(purpose.0).bind(list);
        let rows: Vec<(Uuid, i64, String, String, i64)> = query.all().await?;
        let corrupt = |column| StoreError::Corrupt { table: "statement", column };
        let mut lines: HashMap<AddressId, Vec<Behind>> = HashMap::new();
        for (address, seq, kind, actor, at) in rows {
            let kind = Kind::parse(&kind).ok_or_else(|| corrupt("kind"))?;
            let actor = Actor::parse_word(&actor).ok_or_else(|| corrupt("actor"))?;
            lines.entry(AddressId(address)).or_default().push(Behind { seq, kind, actor, at });
        }
        Ok(lines)
    }
}
