-- What every write leaves behind, in the same transaction as its effect: the audit record, the event, the stored answer.

-- The audit trail. `record` is the canonical JSON (RFC 8785) that was hashed, kept to the letter (type json, not jsonb);
-- the other columns repeat members of it for searching. No foreign key: deleting a case never deletes its trail.
CREATE TABLE docket.audit_events (
    tenant_id   uuid NOT NULL,
    -- The case, or the tenant's own id for administrative acts.
    chain_id    uuid NOT NULL,
    seq         bigint NOT NULL CHECK (seq >= 1),
    occurred_at timestamptz NOT NULL,
    actor_id    uuid NOT NULL,
    action      text NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('allowed', 'denied', 'conflict')),
    record      json NOT NULL,
    prev_hash   bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash        bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (tenant_id, chain_id, seq)
);
ALTER TABLE docket.audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.audit_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.audit_events
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
-- Append-only twice: the application has no right to change rows, and a trigger refuses everybody else, too.
GRANT SELECT, INSERT ON docket.audit_events TO docket_app;
CREATE FUNCTION docket.refuse_change_of_audit_trail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'DK002';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON docket.audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION docket.refuse_change_of_audit_trail();

-- Signed statements over the heads of chains; the key that signs lies outside the database.
CREATE TABLE docket.audit_checkpoints (
    tenant_id    uuid NOT NULL REFERENCES docket.tenants (id),
    number       bigint NOT NULL CHECK (number >= 1),
    heads        bigint NOT NULL,
    heads_digest bytea NOT NULL CHECK (octet_length(heads_digest) = 32),
    previous     bytea NOT NULL CHECK (octet_length(previous) = 32),
    public_key   bytea NOT NULL CHECK (octet_length(public_key) = 32),
    signature    bytea NOT NULL CHECK (octet_length(signature) = 64),
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, number)
);
ALTER TABLE docket.audit_checkpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.audit_checkpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.audit_checkpoints
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT ON docket.audit_checkpoints TO docket_app;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON docket.audit_checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION docket.refuse_change_of_audit_trail();

-- The heads that a checkpoint lists: those that moved since the one before.
CREATE TABLE docket.audit_checkpoint_heads (
    tenant_id uuid NOT NULL,
    number    bigint NOT NULL,
    chain_id  uuid NOT NULL,
    seq       bigint NOT NULL,
    hash      bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (tenant_id, chain_id, number),
    FOREIGN KEY (tenant_id, number) REFERENCES docket.audit_checkpoints (tenant_id, number)
);
CREATE INDEX audit_checkpoint_heads_of_number ON docket.audit_checkpoint_heads (tenant_id, number, chain_id);
ALTER TABLE docket.audit_checkpoint_heads ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.audit_checkpoint_heads FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.audit_checkpoint_heads
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT ON docket.audit_checkpoint_heads TO docket_app;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON docket.audit_checkpoint_heads
    FOR EACH STATEMENT EXECUTE FUNCTION docket.refuse_change_of_audit_trail();

-- The transactional outbox: the event of each change, written with it. `transaction_id` orders the feed by commit: a
-- reader takes only rows older than every running transaction, so that no late commit is ever skipped.
CREATE TABLE docket.outbox_events (
    tenant_id      uuid NOT NULL,
    id             uuid NOT NULL,
    case_id        uuid NOT NULL,
    -- The case's version after the change: the order in which a case's events must be delivered.
    sequence       bigint NOT NULL,
    type           text NOT NULL,
    actor_id       uuid NOT NULL,
    traceparent    text,
    data           jsonb NOT NULL,
    occurred_at    timestamptz NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (tenant_id, case_id, sequence)
);
CREATE INDEX outbox_events_feed ON docket.outbox_events (tenant_id, transaction_id, id);
ALTER TABLE docket.outbox_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.outbox_events FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.outbox_events
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT ON docket.outbox_events TO docket_app;

-- The answer to a request that was carried out, under the key its sender gave it.
CREATE TABLE docket.idempotency_keys (
    tenant_id    uuid NOT NULL,
    principal_id uuid NOT NULL,
    key          text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint  bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    status       smallint NOT NULL,
    etag         text,
    location     text,
    body         text NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, principal_id, key)
);
CREATE INDEX idempotency_keys_by_expiry ON docket.idempotency_keys (expires_at);
ALTER TABLE docket.idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.idempotency_keys
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT, DELETE ON docket.idempotency_keys TO docket_app;
