//! Reading a whole history and all that was folded from it, for checking.
//!
//! An engine hands over rows column by column, and that costs several times what checking them does. So the engine puts a page
//! together and hands it over as one row: the numbers and words of all its rows in one text, the bytes in one value.

use crate::domain::chain::{self, Header};
use crate::domain::consent::{Actor, Kind, State};
use crate::domain::fold::{Basis, Event, Flags, Negative, Standing};
use crate::domain::ids::{AddressId, PurposeId, StatementId, TenantId};
use crate::store::db::sql;
use crate::store::person_key::open_person;
use crate::store::{Store, StoreError, TenantKey};
use std::collections::HashMap;
use std::str::{FromStr, Split};
use uuid::Uuid;

/// A page as the engine hands it over: rows, rows with bytes of a wrong length, text, bytes.
type Packed = (i64, i64, String, Vec<u8>);

/// A page that does not come out even, or holds a value that this program never wrote.
#[derive(Debug)]
struct Unreadable;

/// Goes through a page row by row.
struct Rows<'p> {
    left: i64,
    texts: Split<'p, char>,
    bytes: &'p [u8],
}

impl<'p> Rows<'p> {
    fn new((count, odd, text, bytes): &'p Packed, table: &'static str) -> Result<Self, StoreError> {
        if *odd != 0 {
            return Err(StoreError::Corrupt { table, column: "id" });
        }
        Ok(Self { left: *count, texts: text.split(';'), bytes })
    }

    /// The next row's fields. `None` after the last row, unless something is left over that belongs to no row.
    fn next<const N: usize>(&mut self) -> Option<Result<[&'p str; N], Unreadable>> {
        if self.left == 0 {
            // No row makes an empty text, which is one field.
            let rest = self.texts.by_ref().any(|text| !text.is_empty());
            return (rest || !std::mem::take(&mut self.bytes).is_empty()).then_some(Err(Unreadable));
        }
        self.left -= 1;
        Some(self.texts.next().ok_or(Unreadable).and_then(fields))
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (chunk, rest) = self.bytes.split_first_chunk::<N>().ok_or(Unreadable)?;
        self.bytes = rest;
        Ok(*chunk)
    }

    fn slice(&mut self, length: usize) -> Result<&'p [u8], Unreadable> {
        let (slice, rest) = self.bytes.split_at_checked(length).ok_or(Unreadable)?;
        self.bytes = rest;
        Ok(slice)
    }
}

/// Exactly so many fields.
fn fields<const N: usize>(text: &str) -> Result<[&str; N], Unreadable> {
    let mut parts = text.split(',');
    let mut fields = [""; N];
    for field in &mut fields {
        *field = parts.next().ok_or(Unreadable)?;
    }
    if parts.next().is_none() { Ok(fields) } else { Err(Unreadable) }
}

fn number<T: FromStr>(text: &str) -> Result<T, Unreadable> {
    text.parse().map_err(|_| Unreadable)
}

/// A number, or none where the column is null.
fn optional<T: FromStr>(text: &str) -> Result<Option<T>, Unreadable> {
    if text.is_empty() { Ok(None) } else { number(text).map(Some) }
}

/// A page of the history, each line with its person's key.
pub struct LinesPage {
    tenant: TenantId,
    packed: Packed,
}

/// Keys that are remembered, at about 150 bytes each.
const OPENED: usize = 50_000;

/// The keys of persons spoken of lately, with what they were opened from: lines about a person often follow each other.
#[derive(Default)]
pub struct OpenedKeys(HashMap<AddressId, (Vec<u8>, [u8; 32])>);

/// A line of a page.
#[derive(Debug)]
pub struct WholeLine<'p> {
    /// Its open columns.
    pub header: Header,
    /// The keyed digest of its payload.
    pub payload_mac: chain::Hash,
    /// Its link of the chain.
    pub hash: chain::Hash,
    sealed_payload: &'p [u8],
    sealed_key: Option<&'p [u8]>,
}

impl WholeLine<'_> {
    /// What the fold sees of it.
    #[must_use]
    pub const fn event(&self) -> Event {
        let h = &self.header;
        Event { seq: h.seq, id: h.id, kind: h.kind, actor: h.actor, at: h.at, detail: h.detail }
    }

    /// The key of the person spoken of; `None` when it was destroyed.
    ///
    /// # Errors
    /// [`StoreError::Vault`] when it is not the key that was kept.
    pub fn person(&self, key: &TenantKey, opened: &mut OpenedKeys) -> Result<Option<[u8; 32]>, StoreError> {
        let Some(sealed) = self.sealed_key else { return Ok(None) };
        let address = self.header.address;
        if let Some((known, person)) = opened.0.get(&address)
            && known == sealed
        {
            return Ok(Some(*person));
        }
        let person = open_person(key, address, sealed)?;
        if opened.0.len() == OPENED {
            opened.0.clear();
        }
        opened.0.insert(address, (sealed.to_vec(), person));
        Ok(Some(person))
    }

    /// Whether the payload opens under the person's key, belongs to this line, and is the one that the chain commits to.
    #[must_use]
    pub fn opens(&self, person: [u8; 32]) -> bool {
        let key = TenantKey::for_person(self.header.tenant, person);
        key.open(self.header.id.0, "payload", self.sealed_payload)
            .is_ok_and(|plain| chain::payload_mac(&person, &plain) == self.payload_mac)
    }
}

impl LinesPage {
    /// How many lines it holds.
    #[must_use]
    pub const fn len(&self) -> i64 {
        self.packed.0
    }

    /// Whether it holds no line.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The position of its last line.
    fn last(&self) -> Option<i64> {
        let (_, text) = self.packed.2.rsplit_once(';').unwrap_or(("", &self.packed.2));
        text.split_once(',').and_then(|(seq, _)| seq.parse().ok())
    }

    /// Its lines in their order. Ends after the first that cannot be read.
    pub fn lines(&self) -> impl Iterator<Item = Result<WholeLine<'_>, StoreError>> {
        let mut rows = Some(Rows::new(&self.packed, "statement"));
        std::iter::from_fn(move || {
            let line = match rows.as_mut()? {
                Ok(rows) => self
                    .line(rows.next()?, rows)
                    .map_err(|_| StoreError::Corrupt { table: "statement", column: "kind" }),
                Err(_) => Err(StoreError::Corrupt { table: "statement", column: "id" }),
            };
            if line.is_err() {
                rows = None;
            }
            Some(line)
        })
    }

    fn line<'p>(
        &self,
        fields: Result<[&str; 7], Unreadable>,
        rows: &mut Rows<'p>,
    ) -> Result<WholeLine<'p>, Unreadable> {
        let [seq, kind, actor, at, detail, payload, sealed] = fields?;
        let id = StatementId(Uuid::from_bytes(rows.chunk()?));
        let address = AddressId(Uuid::from_bytes(rows.chunk()?));
        let [has_purpose] = rows.chunk()?;
        let purpose = PurposeId(Uuid::from_bytes(rows.chunk()?));
        let header = Header {
            tenant: self.tenant,
            seq: number(seq)?,
            id,
            address,
            purpose: (has_purpose == 1).then_some(purpose),
            kind: Kind::parse(kind).ok_or(Unreadable)?,
            actor: Actor::parse_word(actor).ok_or(Unreadable)?,
            at: number(at)?,
            detail: optional(detail)?,
        };
        let (payload_mac, hash) = (rows.chunk()?, rows.chunk()?);
        let sealed_payload = rows.slice(number(payload)?)?;
        let sealed_key = match optional(sealed)? {
            Some(length) => Some(rows.slice(length)?),
            None => None,
        };
        Ok(WholeLine { header, payload_mac, hash, sealed_payload, sealed_key })
    }
}

/// Where a standing is kept.
pub type Place = (AddressId, PurposeId);

/// A page of kept standings.
pub struct StandingsPage(Packed);

impl StandingsPage {
    /// Its standings in their order.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn standings(&self) -> Result<Vec<(Place, Standing)>, StoreError> {
        let corrupt = || StoreError::Corrupt { table: "standing", column: "state" };
        let mut rows = Rows::new(&self.0, "standing")?;
        let mut found = Vec::new();
        while let Some(fields) = rows.next() {
            found.push(fields.and_then(|fields| standing(fields, &mut rows)).map_err(|_| corrupt())?);
        }
        Ok(found)
    }
}

fn standing(fields: [&str; 12], rows: &mut Rows<'_>) -> Result<(Place, Standing), Unreadable> {
    let [state, seq, since, basis_seq, basis_at, valid_until, negative, annullable, asked_at, asked_since, asks, flags] =
        fields;
    let address = AddressId(Uuid::from_bytes(rows.chunk()?));
    let purpose = PurposeId(Uuid::from_bytes(rows.chunk()?));
    let id = StatementId(Uuid::from_bytes(rows.chunk()?));
    let valid_until = optional(valid_until)?;
    let basis = match (optional(basis_seq)?, optional(basis_at)?) {
        (Some(seq), Some(at)) => Some(Basis { seq, id, at, valid_until }),
        _ => None,
    };
    let standing = Standing {
        state: State::parse_word(state).ok_or(Unreadable)?,
        basis,
        negative: optional(negative)?.map(|seq| Negative { seq, annullable: annullable == "1" }),
        asked_at: optional(asked_at)?,
        asks: number(asks)?,
        asked_since: optional(asked_since)?,
        flags: Flags::from_bits(number(flags)?),
        seq: number(seq)?,
        since: number(since)?,
    };
    Ok(((address, purpose), standing))
}

impl Store {
    /// The lines after a position, oldest first, at most `limit`, and the position to go on from.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Corrupt`] when even the positions cannot be read.
    pub async fn whole_lines(&self, tenant: TenantId, after: i64, limit: i64) -> Result<(LinesPage, i64), StoreError> {
        let query = self.db.q(sql!(split "statement/whole")).bind(tenant.0).bind(after).bind(limit);
        let page = LinesPage { tenant, packed: query.one().await? };
        let last = if page.is_empty() { Some(after) } else { page.last() };
        let last = last.filter(|last| page.is_empty() || *last > after);
        Ok((page, last.ok_or(StoreError::Corrupt { table: "statement", column: "seq" })?))
    }

    /// Kept standings in the order of address and purpose, after one of them, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn whole_standings(
        &self,
        tenant: TenantId,
        (address, purpose): Place,
        limit: i64,
    ) -> Result<StandingsPage, StoreError> {
        let query = self.db.q(sql!(split "standing/whole")).bind(tenant.0).bind(address.0).bind(purpose.0).bind(limit);
        Ok(StandingsPage(query.one().await?))
    }

    /// How many standings are kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing_count(&self, tenant: TenantId) -> Result<i64, StoreError> {
        Ok(self.db.q(sql!("standing/count")).bind(tenant.0).one::<(i64,)>().await?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(count: i64, odd: i64, text: &str, bytes: &[u8]) -> LinesPage {
        LinesPage { tenant: TenantId(Uuid::nil()), packed: (count, odd, text.to_owned(), bytes.to_vec()) }
    }

    /// One line's bytes: ids, a purpose, two digests, a payload of three bytes and a key of two.
    fn bytes() -> Vec<u8> {
        [vec![7; 32], vec![1], vec![8; 16], vec![9; 64], vec![3; 3], vec![2; 2]].concat()
    }

    const LINE: &str = "5,accepted,recipient,10,,3,2";

    #[test]
    fn a_page_is_read_line_by_line() {
        let page = page(2, 0, &format!("{LINE};6,imported,operator,11,-4,3,2"), &[bytes(), bytes()].concat());
        let lines: Vec<WholeLine<'_>> = page.lines().collect::<Result<_, _>>().unwrap();
        assert_eq!(lines.iter().map(|line| line.header.seq).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(lines.iter().map(|line| line.header.detail).collect::<Vec<_>>(), [None, Some(-4)]);
        assert_eq!((lines[0].sealed_payload, lines[0].sealed_key), (&[3; 3][..], Some(&[2; 2][..])));
        assert_eq!(page.last(), Some(6));
    }

    #[test]
    fn a_page_that_does_not_come_out_even_is_not_read() {
        let long = [bytes(), vec![0]].concat();
        for (count, odd, text, bytes) in [
            (1, 0, format!("{LINE};{LINE}"), bytes()),
            (1, 0, format!("{LINE},"), bytes()),
            (1, 0, LINE.replacen("accepted", "accepted,recipient", 1), bytes()),
            (2, 0, LINE.to_owned(), [bytes(), bytes()].concat()),
            (1, 0, LINE.to_owned(), long),
            (1, 0, LINE.to_owned(), bytes()[1..].to_vec()),
            (1, 1, LINE.to_owned(), bytes()),
        ] {
            let page = page(count, odd, &text, &bytes);
            assert!(page.lines().any(|line| line.is_err()), "{text}");
        }
    }
}
