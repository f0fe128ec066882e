-- The first schema. Instants are microseconds since 1970 UTC. Released files are never edited.

CREATE TABLE meta (
    name  TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE tenant (
    id             UUID NOT NULL PRIMARY KEY,
    slug           TEXT COLLATE "C" NOT NULL UNIQUE,
    legal_name     TEXT COLLATE "C" NOT NULL,
    postal_address TEXT COLLATE "C" NOT NULL,
    contact        TEXT COLLATE "C" NOT NULL,
    privacy_url    TEXT COLLATE "C" NOT NULL,
    locale         TEXT COLLATE "C" NOT NULL,
    time_zone      TEXT COLLATE "C" NOT NULL,
    legacy_proof   BOOLEAN NOT NULL,
    sealed_key     BYTEA NOT NULL,
    created_at     BIGINT NOT NULL
);

-- The head of each tenant's history; locked by whoever appends.
CREATE TABLE chain_head (
    tenant_id UUID NOT NULL PRIMARY KEY REFERENCES tenant (id),
    seq       BIGINT NOT NULL,
    hash      BYTEA NOT NULL
);

CREATE TABLE purpose (
    tenant_id     UUID NOT NULL REFERENCES tenant (id),
    id            UUID NOT NULL,
    slug          TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    body          TEXT COLLATE "C" NOT NULL,
    text_version  BIGINT NOT NULL,
    validity_days BIGINT NOT NULL,
    is_default    BOOLEAN NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, slug)
);

-- `search` and the `_key` columns hold folded text, for searching.
CREATE TABLE record (
    tenant_id    UUID NOT NULL REFERENCES tenant (id),
    id           UUID NOT NULL,
    kind         TEXT COLLATE "C" NOT NULL,
    crm_id       TEXT COLLATE "C" NOT NULL,
    last_name    TEXT COLLATE "C" NOT NULL,
    first_name   TEXT COLLATE "C" NOT NULL,
    company      TEXT COLLATE "C" NOT NULL,
    language     TEXT COLLATE "C" NOT NULL,
    postcode     TEXT COLLATE "C" NOT NULL,
    town         TEXT COLLATE "C" NOT NULL,
    country      TEXT COLLATE "C" NOT NULL,
    prospect     BOOLEAN NOT NULL,
    professional BOOLEAN NOT NULL,
    bin          BOOLEAN NOT NULL,
    search       TEXT COLLATE "C" NOT NULL,
    town_key     TEXT COLLATE "C" NOT NULL,
    country_key  TEXT COLLATE "C" NOT NULL,
    tag_keys     TEXT COLLATE "C" NOT NULL,
    person       BYTEA NOT NULL,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, kind, crm_id)
);

CREATE TABLE record_tag (
    tenant_id UUID NOT NULL,
    record_id UUID NOT NULL,
    tag       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, record_id, tag),
    FOREIGN KEY (tenant_id, record_id) REFERENCES record (tenant_id, id) ON DELETE CASCADE
);

-- What a provider sees as one contact: all addresses that differ in case only. `mac` is the keyed digest of the folded address.
CREATE TABLE mailbox (
    tenant_id UUID NOT NULL REFERENCES tenant (id),
    id        UUID NOT NULL,
    mac       BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, mac)
);

-- The subject of consent: an exact address. Its text decides its mailbox, so it is unique if it is unique there; an index that begins with
-- the mailbox takes new rows at its end.
CREATE TABLE address (
    tenant_id  UUID NOT NULL,
    id         UUID NOT NULL,
    mailbox_id UUID NOT NULL,
    exact      TEXT COLLATE "C" NOT NULL,
    role       BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, mailbox_id, exact),
    FOREIGN KEY (tenant_id, mailbox_id) REFERENCES mailbox (tenant_id, id)
);
CREATE INDEX address_by_mailbox ON address (tenant_id, mailbox_id, id);

CREATE TABLE record_address (
    tenant_id  UUID NOT NULL,
    record_id  UUID NOT NULL,
    position   BIGINT NOT NULL,
    address_id UUID NOT NULL,
    mailbox_id UUID NOT NULL,
    PRIMARY KEY (tenant_id, record_id, position),
    FOREIGN KEY (tenant_id, record_id) REFERENCES record (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, address_id) REFERENCES address (tenant_id, id)
);
CREATE INDEX record_address_by_mailbox ON record_address (tenant_id, mailbox_id, record_id);

-- The key of a person's payloads. Destroying the row is the erasure.
CREATE TABLE subject_key (
    tenant_id  UUID NOT NULL,
    address_id UUID NOT NULL,
    sealed     BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, address_id)
);

-- The history. Append-only: the triggers below refuse everything else.
CREATE TABLE statement (
    tenant_id   UUID NOT NULL REFERENCES tenant (id),
    seq         BIGINT NOT NULL,
    id          UUID NOT NULL,
    address_id  UUID NOT NULL,
    purpose_id  UUID,
    kind        TEXT COLLATE "C" NOT NULL,
    actor       TEXT COLLATE "C" NOT NULL,
    recorded_at BIGINT NOT NULL,
    detail      BIGINT,
    payload     BYTEA NOT NULL,
    payload_mac BYTEA NOT NULL,
    hash        BYTEA NOT NULL,
    PRIMARY KEY (tenant_id, seq),
    UNIQUE (tenant_id, id)
);
CREATE INDEX statement_by_address ON statement (tenant_id, address_id, seq);

-- The fold of the history, kept for speed; can be dropped and rebuilt.
CREATE TABLE standing (
    tenant_id      UUID NOT NULL,
    address_id     UUID NOT NULL,
    purpose_id     UUID NOT NULL,
    mailbox_id     UUID NOT NULL,
    state          TEXT COLLATE "C" NOT NULL,
    seq            BIGINT NOT NULL,
    since          BIGINT NOT NULL,
    basis_seq      BIGINT,
    basis_id       UUID,
    basis_at       BIGINT,
    valid_until    BIGINT,
    negative_seq   BIGINT,
    annullable     BOOLEAN NOT NULL,
    asked_at       BIGINT,
    asked_since    BIGINT,
    asks           BIGINT NOT NULL,
    flags          BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, address_id, purpose_id)
);
CREATE INDEX standing_by_mailbox ON standing (tenant_id, mailbox_id, purpose_id);
CREATE INDEX standing_by_state ON standing (tenant_id, purpose_id, state);

-- Who can be reached for a purpose: one row a mailbox and record, so that a filter reads one table. Derived from standing, record and
-- record_address; can be dropped and made anew. The nil record stands for a mailbox in no record. Where a mailbox has several
-- spellings, `spelled` says so, and state, flags and validity are read from `standing` instead.
CREATE TABLE reach (
    tenant_id    UUID NOT NULL,
    purpose_id   UUID NOT NULL,
    mailbox_id   UUID NOT NULL,
    record_id    UUID NOT NULL,
    spelled      BOOLEAN NOT NULL,
    shared       BOOLEAN NOT NULL,
    in_crm       BOOLEAN NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    flags        BIGINT NOT NULL,
    valid_until  BIGINT,
    kind         TEXT COLLATE "C" NOT NULL,
    prospect     BOOLEAN NOT NULL,
    professional BOOLEAN NOT NULL,
    language     TEXT COLLATE "C" NOT NULL,
    postcode     TEXT COLLATE "C" NOT NULL,
    town_key     TEXT COLLATE "C" NOT NULL,
    country_key  TEXT COLLATE "C" NOT NULL,
    tag_keys     TEXT COLLATE "C" NOT NULL,
    search       TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, purpose_id, mailbox_id, record_id)
);
-- Narrower than on SQLite: an entry here may not hold long texts, and groups are counted by hashing.
CREATE INDEX reach_by_state ON reach (tenant_id, purpose_id, spelled, shared, state, flags, in_crm, valid_until, mailbox_id, record_id, kind);

-- Keyed digests of people who said no; kept after erasure, checked before import. The nil purpose means all.
CREATE TABLE suppression (
    tenant_id  UUID NOT NULL,
    mac        BYTEA NOT NULL,
    purpose_id UUID NOT NULL,
    reason     TEXT COLLATE "C" NOT NULL,
    since      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, mac, purpose_id)
);

CREATE TABLE token (
    tenant_id      UUID NOT NULL,
    hash           BYTEA NOT NULL PRIMARY KEY,
    class          TEXT COLLATE "C" NOT NULL,
    address_id     UUID NOT NULL,
    purpose_id     UUID NOT NULL,
    text_version   BIGINT NOT NULL,
    issued_at      BIGINT NOT NULL,
    handed_over_at BIGINT,
    expires_at     BIGINT,
    opens          BIGINT NOT NULL,
    prefetched     BOOLEAN NOT NULL,
    decided        TEXT COLLATE "C",
    decided_at     BIGINT
);

-- An account at a provider, by the keyed digest of its credentials: one daemon at a time owns it, however many connections of whichever
-- tenants speak to it. `epoch` grows with each change of owner, and whoever writes for the account names it.
CREATE TABLE account (
    id          UUID NOT NULL PRIMARY KEY,
    epoch       BIGINT NOT NULL,
    lease_owner UUID,
    lease_until BIGINT NOT NULL
);

CREATE TABLE connection (
    tenant_id          UUID NOT NULL REFERENCES tenant (id),
    id                 UUID NOT NULL PRIMARY KEY,
    slug               TEXT COLLATE "C" NOT NULL,
    provider           TEXT COLLATE "C" NOT NULL,
    base_url           TEXT COLLATE "C" NOT NULL,
    account_id         UUID NOT NULL REFERENCES account (id),
    sealed_credentials BYTEA NOT NULL,
    options            TEXT COLLATE "C" NOT NULL,
    list_id            TEXT COLLATE "C" NOT NULL,
    purpose_id         UUID NOT NULL,
    mapping            TEXT COLLATE "C" NOT NULL,
    cron               TEXT COLLATE "C" NOT NULL,
    time_zone          TEXT COLLATE "C" NOT NULL,
    next_at            BIGINT,
    guard_percent      BIGINT NOT NULL,
    guard_count        BIGINT NOT NULL,
    state              TEXT COLLATE "C" NOT NULL,
    state_reason       TEXT COLLATE "C" NOT NULL,
    hook_key           TEXT COLLATE "C" NOT NULL UNIQUE,
    sealed_hooks       BYTEA NOT NULL,
    hooks_state        TEXT COLLATE "C" NOT NULL,
    walked_at          BIGINT,
    walk_wanted_at     BIGINT,
    backoff_until      BIGINT NOT NULL,
    failures           BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    UNIQUE (tenant_id, slug),
    FOREIGN KEY (tenant_id, purpose_id) REFERENCES purpose (tenant_id, id)
);
CREATE INDEX connection_due ON connection (next_at) WHERE state = 'active';

-- What we believe a provider holds about a mailbox.
CREATE TABLE holding (
    tenant_id       UUID NOT NULL,
    connection_id   UUID NOT NULL,
    mailbox_id      UUID NOT NULL,
    address_id      UUID NOT NULL,
    held            TEXT COLLATE "C" NOT NULL,
    basis_seq       BIGINT NOT NULL,
    digest          BYTEA NOT NULL,
    person          BYTEA NOT NULL,
    mapping         BYTEA NOT NULL,
    unsettled_until BIGINT NOT NULL,
    add_unknown_at  BIGINT NOT NULL,
    seen_mailable_at BIGINT NOT NULL,
    taken_off_at    BIGINT NOT NULL,
    PRIMARY KEY (connection_id, mailbox_id)
);
CREATE INDEX holding_by_mailbox ON holding (tenant_id, mailbox_id);
CREATE INDEX holding_unknown ON holding (connection_id, unsettled_until) WHERE held = 'unknown';

-- One line a contact and call, committed before the first byte is sent.
CREATE TABLE ledger (
    tenant_id     UUID NOT NULL,
    connection_id UUID NOT NULL,
    batch_id      UUID NOT NULL,
    n             BIGINT NOT NULL,
    run_id        UUID,
    mailbox_id    UUID NOT NULL,
    address_id    UUID NOT NULL,
    op            TEXT COLLATE "C" NOT NULL,
    basis_seq     BIGINT NOT NULL,
    head_seq      BIGINT NOT NULL,
    settled       BOOLEAN NOT NULL,
    outcome       TEXT COLLATE "C" NOT NULL,
    job           TEXT COLLATE "C" NOT NULL,
    digest        BYTEA NOT NULL,
    issued_at     BIGINT NOT NULL,
    answered_at   BIGINT,
    PRIMARY KEY (connection_id, batch_id, n)
);
CREATE INDEX ledger_by_mailbox ON ledger (connection_id, mailbox_id, issued_at);
CREATE INDEX ledger_open ON ledger (connection_id, outcome, job);

-- Withdrawals on their way to a provider, with their own budget and ahead of everything else.
CREATE TABLE withdrawal (
    tenant_id      UUID NOT NULL,
    connection_id  UUID NOT NULL,
    mailbox_id     UUID NOT NULL,
    address_id     UUID NOT NULL,
    scope          TEXT COLLATE "C" NOT NULL,
    reason         TEXT COLLATE "C" NOT NULL,
    basis_seq      BIGINT NOT NULL,
    requested_at   BIGINT NOT NULL,
    phase          TEXT COLLATE "C" NOT NULL,
    run_at         BIGINT NOT NULL,
    attempts       BIGINT NOT NULL,
    settled        BOOLEAN NOT NULL,
    watch          BIGINT NOT NULL,
    in_effect_at   BIGINT,
    PRIMARY KEY (connection_id, mailbox_id)
);
CREATE INDEX withdrawal_due ON withdrawal (connection_id, phase, run_at);
CREATE INDEX withdrawal_open ON withdrawal (connection_id, run_at, phase) WHERE phase <> 'done';
CREATE INDEX withdrawal_waiting ON withdrawal (connection_id, requested_at) WHERE in_effect_at IS NULL;

CREATE TABLE run (
    tenant_id     UUID NOT NULL,
    connection_id UUID NOT NULL,
    id            UUID NOT NULL PRIMARY KEY,
    cause         TEXT COLLATE "C" NOT NULL,
    dry           BOOLEAN NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    is_open       BOOLEAN NOT NULL,
    cancelling    BOOLEAN NOT NULL,
    confirmed_by  TEXT COLLATE "C" NOT NULL,
    guard         TEXT COLLATE "C" NOT NULL,
    error         TEXT COLLATE "C" NOT NULL,
    cursor        BYTEA,
    requested_at  BIGINT NOT NULL,
    tries         BIGINT NOT NULL,
    resume_at     BIGINT NOT NULL,
    planned_at    BIGINT,
    finished_at   BIGINT
);
CREATE UNIQUE INDEX run_one_open ON run (connection_id) WHERE is_open;
CREATE INDEX run_by_connection ON run (connection_id, requested_at);

CREATE TABLE run_item (
    tenant_id  UUID NOT NULL,
    run_id     UUID NOT NULL,
    n          BIGINT NOT NULL,
    mailbox_id UUID NOT NULL,
    address_id UUID NOT NULL,
    action     TEXT COLLATE "C" NOT NULL,
    reason     TEXT COLLATE "C" NOT NULL,
    outcome    TEXT COLLATE "C" NOT NULL,
    code       TEXT COLLATE "C" NOT NULL,
    message    TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, n)
);
CREATE INDEX run_item_open ON run_item (run_id, outcome, action, n);

CREATE TABLE run_skip (
    tenant_id UUID NOT NULL,
    run_id    UUID NOT NULL,
    reason    TEXT COLLATE "C" NOT NULL,
    people    BIGINT NOT NULL,
    PRIMARY KEY (run_id, reason)
);

-- What a walk saw at the provider. Strangers of the account appear as a keyed digest; the address of one who is on the
-- managed list is kept sealed, since it may have to be taken off.
CREATE TABLE remote_contact (
    tenant_id     UUID NOT NULL,
    connection_id UUID NOT NULL,
    remote_id     TEXT COLLATE "C" NOT NULL,
    walk_id       UUID NOT NULL,
    mac           BYTEA,
    on_list       BOOLEAN,
    unsubscribed  BOOLEAN,
    sealed_email  BYTEA,
    blocked       BOOLEAN,
    PRIMARY KEY (connection_id, remote_id)
);
CREATE INDEX remote_contact_by_mac ON remote_contact (connection_id, mac);

CREATE TABLE walk (
    tenant_id     UUID NOT NULL,
    connection_id UUID NOT NULL PRIMARY KEY,
    id            UUID NOT NULL,
    cursor        TEXT COLLATE "C",
    pages         BIGINT NOT NULL,
    started_at    BIGINT NOT NULL,
    finished_at   BIGINT
);

-- Something that a person should see: drift, tasks, alarms. One open line a thing.
CREATE TABLE incident (
    tenant_id     UUID NOT NULL,
    connection_id UUID NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL,
    subject       UUID NOT NULL,
    detail        TEXT COLLATE "C" NOT NULL,
    count         BIGINT NOT NULL,
    opened_at     BIGINT NOT NULL,
    seen_at       BIGINT NOT NULL,
    closed_at     BIGINT,
    PRIMARY KEY (connection_id, kind, subject)
);

-- Webhook deliveries, exactly as they came.
CREATE TABLE inbox (
    tenant_id     UUID NOT NULL,
    connection_id UUID NOT NULL,
    id            UUID NOT NULL PRIMARY KEY,
    received_at   BIGINT NOT NULL,
    digest        BYTEA NOT NULL,
    body          BYTEA NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    note          TEXT COLLATE "C" NOT NULL,
    attempts      BIGINT NOT NULL,
    repeats       BIGINT NOT NULL,
    lease_until   BIGINT NOT NULL,
    UNIQUE (connection_id, digest)
);
CREATE INDEX inbox_open ON inbox (state, received_at);

-- Events that were read from deliveries; a repeat is counted, not applied.
CREATE TABLE event (
    tenant_id     UUID NOT NULL,
    connection_id UUID NOT NULL,
    fingerprint   BYTEA NOT NULL,
    inbox_id      UUID NOT NULL,
    kind          TEXT COLLATE "C" NOT NULL,
    disposition   TEXT COLLATE "C" NOT NULL,
    seen_at       BIGINT NOT NULL,
    repeats       BIGINT NOT NULL,
    PRIMARY KEY (connection_id, fingerprint)
);
-- For noticing floods.
CREATE INDEX event_withdrawn ON event (seen_at, tenant_id, connection_id) WHERE disposition = 'withdrawn';

-- Bulk jobs that a provider still works on.
CREATE TABLE job (
    tenant_id     UUID NOT NULL,
    connection_id UUID NOT NULL,
    run_id        UUID NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    polls         BIGINT NOT NULL,
    next_at       BIGINT NOT NULL,
    started_at    BIGINT NOT NULL,
    PRIMARY KEY (connection_id, name)
);
CREATE INDEX job_running ON job (connection_id, next_at) WHERE state = 'running';

-- Mailboxes that somebody else changed at the provider; looked at before anything is believed.
CREATE TABLE touched (
    tenant_id     UUID NOT NULL,
    connection_id UUID NOT NULL,
    mailbox_id    UUID NOT NULL,
    since         BIGINT NOT NULL,
    PRIMARY KEY (connection_id, mailbox_id)
);

-- Mailboxes whose consent was raised since the last plan, so that a plan costs the change and not the base.
CREATE TABLE dirty (
    tenant_id     UUID NOT NULL,
    connection_id UUID NOT NULL,
    mailbox_id    UUID NOT NULL,
    since         BIGINT NOT NULL,
    PRIMARY KEY (connection_id, mailbox_id)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history is append-only';
END
$$;
CREATE TRIGGER statement_no_change BEFORE UPDATE OR DELETE ON statement
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER statement_no_truncate BEFORE TRUNCATE ON statement
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
-- Nor has the daemon's own role the right to try.
REVOKE UPDATE, DELETE, TRUNCATE ON statement FROM CURRENT_USER, PUBLIC;
