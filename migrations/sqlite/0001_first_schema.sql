-- The first schema. Instants are microseconds since 1970 UTC. Released files are never edited. Tables without row ids have
-- their key as their only tree, so an insert writes less; not where an index that is not unique is the way in, because the planner then
-- takes the first column of the key for narrower than it is.

CREATE TABLE meta (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE tenant (
    id             BLOB NOT NULL PRIMARY KEY,
    slug           TEXT NOT NULL UNIQUE,
    legal_name     TEXT NOT NULL,
    postal_address TEXT NOT NULL,
    contact        TEXT NOT NULL,
    privacy_url    TEXT NOT NULL,
    locale         TEXT NOT NULL,
    time_zone      TEXT NOT NULL,
    legacy_proof   INTEGER NOT NULL,
    sealed_key     BLOB NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;

-- The head of each tenant's history; locked by whoever appends.
CREATE TABLE chain_head (
    tenant_id BLOB NOT NULL PRIMARY KEY REFERENCES tenant (id),
    seq       INTEGER NOT NULL,
    hash      BLOB NOT NULL
) STRICT;

CREATE TABLE purpose (
    tenant_id     BLOB NOT NULL REFERENCES tenant (id),
    id            BLOB NOT NULL,
    slug          TEXT NOT NULL,
    name          TEXT NOT NULL,
    body          TEXT NOT NULL,
    text_version  INTEGER NOT NULL,
    validity_days INTEGER NOT NULL,
    is_default    INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, slug)
) STRICT;

-- `search` and the `_key` columns hold folded text, for searching.
CREATE TABLE record (
    tenant_id    BLOB NOT NULL REFERENCES tenant (id),
    id           BLOB NOT NULL,
    kind         TEXT NOT NULL,
    crm_id       TEXT NOT NULL,
    last_name    TEXT NOT NULL,
    first_name   TEXT NOT NULL,
    company      TEXT NOT NULL,
    language     TEXT NOT NULL,
    postcode     TEXT NOT NULL,
    town         TEXT NOT NULL,
    country      TEXT NOT NULL,
    prospect     INTEGER NOT NULL,
    professional INTEGER NOT NULL,
    bin          INTEGER NOT NULL,
    search       TEXT NOT NULL,
    town_key     TEXT NOT NULL,
    country_key  TEXT NOT NULL,
    tag_keys     TEXT NOT NULL,
    person       BLOB NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, kind, crm_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE record_tag (
    tenant_id BLOB NOT NULL,
    record_id BLOB NOT NULL,
    tag       TEXT NOT NULL,
    PRIMARY KEY (tenant_id, record_id, tag),
    FOREIGN KEY (tenant_id, record_id) REFERENCES record (tenant_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What a provider sees as one contact: all addresses that differ in case only. `mac` is the keyed digest of the folded address.
CREATE TABLE mailbox (
    tenant_id BLOB NOT NULL REFERENCES tenant (id),
    id        BLOB NOT NULL,
    mac       BLOB NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, mac)
) STRICT, WITHOUT ROWID;

-- The subject of consent: an exact address. Its text decides its mailbox, so it is unique if it is unique there; an index that begins with
-- the mailbox takes new rows at its end.
CREATE TABLE address (
    tenant_id  BLOB NOT NULL,
    id         BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    exact      TEXT NOT NULL,
    role       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, mailbox_id, exact),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailbox (tenant_id, id)
) STRICT;

CREATE TABLE record_address (
    tenant_id  BLOB NOT NULL,
    record_id  BLOB NOT NULL,
    position   INTEGER NOT NULL,
    address_id BLOB NOT NULL,
    mailbox_id BLOB NOT NULL,
    PRIMARY KEY (tenant_id, record_id, position),
    FOREIGN KEY (tenant_id, record_id) REFERENCES record (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, address_id) REFERENCES address (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_address_by_mailbox ON record_address (tenant_id, mailbox_id, record_id);
CREATE INDEX address_by_mailbox ON address (tenant_id, mailbox_id, id);

-- The key of a person's payloads. Destroying the row is the erasure.
CREATE TABLE subject_key (
    tenant_id  BLOB NOT NULL,
    address_id BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    PRIMARY KEY (tenant_id, address_id)
) STRICT, WITHOUT ROWID;

-- The history. Append-only: the triggers below refuse everything else.
CREATE TABLE statement (
    tenant_id   BLOB NOT NULL REFERENCES tenant (id),
    seq         INTEGER NOT NULL,
    id          BLOB NOT NULL,
    address_id  BLOB NOT NULL,
    purpose_id  BLOB,
    kind        TEXT NOT NULL,
    actor       TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    detail      INTEGER,
    payload     BLOB NOT NULL,
    payload_mac BLOB NOT NULL,
    hash        BLOB NOT NULL,
    PRIMARY KEY (tenant_id, seq),
    UNIQUE (tenant_id, id)
) STRICT;
CREATE INDEX statement_by_address ON statement (tenant_id, address_id, seq);

-- The fold of the history, kept for speed; can be dropped and rebuilt.
CREATE TABLE standing (
    tenant_id      BLOB NOT NULL,
    address_id     BLOB NOT NULL,
    purpose_id     BLOB NOT NULL,
    mailbox_id     BLOB NOT NULL,
    state          TEXT NOT NULL,
    seq            INTEGER NOT NULL,
    since          INTEGER NOT NULL,
    basis_seq      INTEGER,
    basis_id       BLOB,
    basis_at       INTEGER,
    valid_until    INTEGER,
    negative_seq   INTEGER,
    annullable     INTEGER NOT NULL,
    asked_at       INTEGER,
    asked_since    INTEGER,
    asks           INTEGER NOT NULL,
    flags          INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, address_id, purpose_id)
) STRICT;
CREATE INDEX standing_by_mailbox ON standing (tenant_id, mailbox_id, purpose_id);
CREATE INDEX standing_by_state ON standing (tenant_id, purpose_id, state);

-- Who can be reached for a purpose: one row a mailbox and record, so that a filter reads one table. Derived from standing, record and
-- record_address; can be dropped and made anew. The nil record stands for a mailbox in no record. Where a mailbox has several
-- spellings, `spelled` says so, and state, flags and validity are read from `standing` instead.
CREATE TABLE reach (
    tenant_id    BLOB NOT NULL,
    purpose_id   BLOB NOT NULL,
    mailbox_id   BLOB NOT NULL,
    record_id    BLOB NOT NULL,
    spelled      INTEGER NOT NULL,
    shared       INTEGER NOT NULL,
    in_crm       INTEGER NOT NULL,
    state        TEXT NOT NULL,
    flags        INTEGER NOT NULL,
    valid_until  INTEGER,
    kind         TEXT NOT NULL,
    prospect     INTEGER NOT NULL,
    professional INTEGER NOT NULL,
    language     TEXT NOT NULL,
    postcode     TEXT NOT NULL,
    town_key     TEXT NOT NULL,
    country_key  TEXT NOT NULL,
    tag_keys     TEXT NOT NULL,
    search       TEXT NOT NULL,
    PRIMARY KEY (tenant_id, purpose_id, mailbox_id, record_id)
) STRICT, WITHOUT ROWID;
-- Counting by standing reads stretches of this index and nothing else, whatever is asked of records. Searching texts reads the table.
-- The ids stand before what filters look at, so that an import writes it in the order of its rows and not all over the place.
CREATE INDEX reach_by_state ON reach (tenant_id, purpose_id, spelled, shared, state, flags, in_crm, valid_until, mailbox_id, record_id,
    kind, postcode, prospect, professional, language, country_key, town_key, tag_keys);

-- Keyed digests of people who said no; kept after erasure, checked before import. The nil purpose means all.
CREATE TABLE suppression (
    tenant_id  BLOB NOT NULL,
    mac        BLOB NOT NULL,
    purpose_id BLOB NOT NULL,
    reason     TEXT NOT NULL,
    since      INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, mac, purpose_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    tenant_id      BLOB NOT NULL,
    hash           BLOB NOT NULL PRIMARY KEY,
    class          TEXT NOT NULL,
    address_id     BLOB NOT NULL,
    purpose_id     BLOB NOT NULL,
    text_version   INTEGER NOT NULL,
    issued_at      INTEGER NOT NULL,
    handed_over_at INTEGER,
    expires_at     INTEGER,
    opens          INTEGER NOT NULL,
    prefetched     INTEGER NOT NULL,
    decided        TEXT,
    decided_at     INTEGER
) STRICT;

-- An account at a provider, by the keyed digest of its credentials: one daemon at a time owns it, however many connections of whichever
-- tenants speak to it. `epoch` grows with each change of owner, and whoever writes for the account names it.
CREATE TABLE account (
    id          BLOB NOT NULL PRIMARY KEY,
    epoch       INTEGER NOT NULL,
    lease_owner BLOB,
    lease_until INTEGER NOT NULL
) STRICT;

CREATE TABLE connection (
    tenant_id          BLOB NOT NULL REFERENCES tenant (id),
    id                 BLOB NOT NULL PRIMARY KEY,
    slug               TEXT NOT NULL,
    provider           TEXT NOT NULL,
    base_url           TEXT NOT NULL,
    account_id         BLOB NOT NULL REFERENCES account (id),
    sealed_credentials BLOB NOT NULL,
    options            TEXT NOT NULL,
    list_id            TEXT NOT NULL,
    purpose_id         BLOB NOT NULL,
    mapping            TEXT NOT NULL,
    cron               TEXT NOT NULL,
    time_zone          TEXT NOT NULL,
    next_at            INTEGER,
    guard_percent      INTEGER NOT NULL,
    guard_count        INTEGER NOT NULL,
    state              TEXT NOT NULL,
    state_reason       TEXT NOT NULL,
    hook_key           TEXT NOT NULL UNIQUE,
    sealed_hooks       BLOB NOT NULL,
    hooks_state        TEXT NOT NULL,
    walked_at          INTEGER,
    walk_wanted_at     INTEGER,
    backoff_until      INTEGER NOT NULL,
    failures           INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    UNIQUE (tenant_id, slug),
    FOREIGN KEY (tenant_id, purpose_id) REFERENCES purpose (tenant_id, id)
) STRICT;
CREATE INDEX connection_due ON connection (next_at) WHERE state = 'active';

-- What we believe a provider holds about a mailbox.
CREATE TABLE holding (
    tenant_id       BLOB NOT NULL,
    connection_id   BLOB NOT NULL,
    mailbox_id      BLOB NOT NULL,
    address_id      BLOB NOT NULL,
    held            TEXT NOT NULL,
    basis_seq       INTEGER NOT NULL,
    digest          BLOB NOT NULL,
    person          BLOB NOT NULL,
    mapping         BLOB NOT NULL,
    unsettled_until INTEGER NOT NULL,
    add_unknown_at  INTEGER NOT NULL,
    seen_mailable_at INTEGER NOT NULL,
    taken_off_at    INTEGER NOT NULL,
    PRIMARY KEY (connection_id, mailbox_id)
) STRICT;
CREATE INDEX holding_by_mailbox ON holding (tenant_id, mailbox_id);
CREATE INDEX holding_unknown ON holding (connection_id, unsettled_until) WHERE held = 'unknown';

-- One line a contact and call, committed before the first byte is sent.
CREATE TABLE ledger (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    batch_id      BLOB NOT NULL,
    n             INTEGER NOT NULL,
    run_id        BLOB,
    mailbox_id    BLOB NOT NULL,
    address_id    BLOB NOT NULL,
    op            TEXT NOT NULL,
    basis_seq     INTEGER NOT NULL,
    head_seq      INTEGER NOT NULL,
    settled       INTEGER NOT NULL,
    outcome       TEXT NOT NULL,
    job           TEXT NOT NULL,
    digest        BLOB NOT NULL,
    issued_at     INTEGER NOT NULL,
    answered_at   INTEGER,
    PRIMARY KEY (connection_id, batch_id, n)
) STRICT;
CREATE INDEX ledger_by_mailbox ON ledger (connection_id, mailbox_id, issued_at);
CREATE INDEX ledger_open ON ledger (connection_id, outcome, job);

-- Withdrawals on their way to a provider, with their own budget and ahead of everything else.
CREATE TABLE withdrawal (
    tenant_id      BLOB NOT NULL,
    connection_id  BLOB NOT NULL,
    mailbox_id     BLOB NOT NULL,
    address_id     BLOB NOT NULL,
    scope          TEXT NOT NULL,
    reason         TEXT NOT NULL,
    basis_seq      INTEGER NOT NULL,
    requested_at   INTEGER NOT NULL,
    phase          TEXT NOT NULL,
    run_at         INTEGER NOT NULL,
    attempts       INTEGER NOT NULL,
    settled        INTEGER NOT NULL,
    watch          INTEGER NOT NULL,
    in_effect_at   INTEGER,
    PRIMARY KEY (connection_id, mailbox_id)
) STRICT;
CREATE INDEX withdrawal_due ON withdrawal (connection_id, phase, run_at);
CREATE INDEX withdrawal_open ON withdrawal (connection_id, run_at, phase) WHERE phase <> 'done';
CREATE INDEX withdrawal_waiting ON withdrawal (connection_id, requested_at) WHERE in_effect_at IS NULL;

CREATE TABLE run (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    id            BLOB NOT NULL PRIMARY KEY,
    cause         TEXT NOT NULL,
    dry           INTEGER NOT NULL,
    state         TEXT NOT NULL,
    is_open       INTEGER NOT NULL,
    cancelling    INTEGER NOT NULL,
    confirmed_by  TEXT NOT NULL,
    guard         TEXT NOT NULL,
    error         TEXT NOT NULL,
    cursor        BLOB,
    requested_at  INTEGER NOT NULL,
    tries         INTEGER NOT NULL,
    resume_at     INTEGER NOT NULL,
    planned_at    INTEGER,
    finished_at   INTEGER
) STRICT;
CREATE UNIQUE INDEX run_one_open ON run (connection_id) WHERE is_open;
CREATE INDEX run_by_connection ON run (connection_id, requested_at);

CREATE TABLE run_item (
    tenant_id  BLOB NOT NULL,
    run_id     BLOB NOT NULL,
    n          INTEGER NOT NULL,
    mailbox_id BLOB NOT NULL,
    address_id BLOB NOT NULL,
    action     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    code       TEXT NOT NULL,
    message    TEXT NOT NULL,
    PRIMARY KEY (run_id, n)
) STRICT;
CREATE INDEX run_item_open ON run_item (run_id, outcome, action, n);

CREATE TABLE run_skip (
    tenant_id BLOB NOT NULL,
    run_id    BLOB NOT NULL,
    reason    TEXT NOT NULL,
    people    INTEGER NOT NULL,
    PRIMARY KEY (run_id, reason)
) STRICT;

-- What a walk saw at the provider. Strangers of the account appear as a keyed digest; the address of one who is on the
-- managed list is kept sealed, since it may have to be taken off.
CREATE TABLE remote_contact (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    remote_id     TEXT NOT NULL,
    walk_id       BLOB NOT NULL,
    mac           BLOB,
    on_list       INTEGER,
    unsubscribed  INTEGER,
    sealed_email  BLOB,
    blocked       INTEGER,
    PRIMARY KEY (connection_id, remote_id)
) STRICT;
CREATE INDEX remote_contact_by_mac ON remote_contact (connection_id, mac);

CREATE TABLE walk (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL PRIMARY KEY,
    id            BLOB NOT NULL,
    cursor        TEXT,
    pages         INTEGER NOT NULL,
    started_at    INTEGER NOT NULL,
    finished_at   INTEGER
) STRICT;

-- Something that a person should see: drift, tasks, alarms. One open line a thing.
CREATE TABLE incident (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    kind          TEXT NOT NULL,
    subject       BLOB NOT NULL,
    detail        TEXT NOT NULL,
    count         INTEGER NOT NULL,
    opened_at     INTEGER NOT NULL,
    seen_at       INTEGER NOT NULL,
    closed_at     INTEGER,
    PRIMARY KEY (connection_id, kind, subject)
) STRICT;

-- Webhook deliveries, exactly as they came.
CREATE TABLE inbox (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    id            BLOB NOT NULL PRIMARY KEY,
    received_at   INTEGER NOT NULL,
    digest        BLOB NOT NULL,
    body          BLOB NOT NULL,
    state         TEXT NOT NULL,
    note          TEXT NOT NULL,
    attempts      INTEGER NOT NULL,
    repeats       INTEGER NOT NULL,
    lease_until   INTEGER NOT NULL,
    UNIQUE (connection_id, digest)
) STRICT;
CREATE INDEX inbox_open ON inbox (state, received_at);

-- Events that were read from deliveries; a repeat is counted, not applied.
CREATE TABLE event (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    fingerprint   BLOB NOT NULL,
    inbox_id      BLOB NOT NULL,
    kind          TEXT NOT NULL,
    disposition   TEXT NOT NULL,
    seen_at       INTEGER NOT NULL,
    repeats       INTEGER NOT NULL,
    PRIMARY KEY (connection_id, fingerprint)
) STRICT, WITHOUT ROWID;
-- For noticing floods.
CREATE INDEX event_withdrawn ON event (seen_at, tenant_id, connection_id) WHERE disposition = 'withdrawn';

-- Bulk jobs that a provider still works on.
CREATE TABLE job (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    run_id        BLOB NOT NULL,
    name          TEXT NOT NULL,
    state         TEXT NOT NULL,
    polls         INTEGER NOT NULL,
    next_at       INTEGER NOT NULL,
    started_at    INTEGER NOT NULL,
    PRIMARY KEY (connection_id, name)
) STRICT;
CREATE INDEX job_running ON job (connection_id, next_at) WHERE state = 'running';

-- Mailboxes that somebody else changed at the provider; looked at before anything is believed.
CREATE TABLE touched (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    mailbox_id    BLOB NOT NULL,
    since         INTEGER NOT NULL,
    PRIMARY KEY (connection_id, mailbox_id)
) STRICT;

-- Mailboxes whose consent was raised since the last plan, so that a plan costs the change and not the base.
CREATE TABLE dirty (
    tenant_id     BLOB NOT NULL,
    connection_id BLOB NOT NULL,
    mailbox_id    BLOB NOT NULL,
    since         INTEGER NOT NULL,
    PRIMARY KEY (connection_id, mailbox_id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER statement_no_update BEFORE UPDATE ON statement
BEGIN
    SELECT RAISE(ABORT, 'the history is append-only');
END;
CREATE TRIGGER statement_no_delete BEFORE DELETE ON statement
BEGIN
    SELECT RAISE(ABORT, 'the history is append-only');
END;
-- REPLACE deletes without asking the trigger above.
CREATE TRIGGER statement_no_replace BEFORE INSERT ON statement
WHEN EXISTS (SELECT 1 FROM statement WHERE tenant_id = NEW.tenant_id AND seq = NEW.seq)
  OR EXISTS (SELECT 1 FROM statement WHERE tenant_id = NEW.tenant_id AND id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'the history is append-only');
END;
