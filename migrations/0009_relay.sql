-- Events leave the building: how far each destination has been told, and what is still to be told.
--
-- The feed is the outbox in commit order. Each reader of it keeps a cursor per tenant: `webhooks` (which writes one delivery
-- a matching endpoint) and every sink (which is handed the events themselves). A cursor row is held under a lease with a
-- token while events are being sent; no lock and no transaction is.
CREATE TABLE docket.relay_cursors (
    tenant_id      uuid NOT NULL REFERENCES docket.tenants (id),
    reader         text NOT NULL,
    -- Everything up to and including this event has been handed on.
    transaction_id xid8 NOT NULL,
    event_id       uuid NOT NULL,
    lease_token    uuid,
    leased_until   timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (tenant_id, reader)
) WITH (fillfactor = 50);

-- Where a tenant wants to be told by HTTP (Standard Webhooks).
CREATE TABLE docket.webhook_endpoints (
    tenant_id         uuid NOT NULL REFERENCES docket.tenants (id),
    id                uuid NOT NULL,
    name              text NOT NULL,
    url               text NOT NULL,
    -- Empty means every type.
    event_types       text[] NOT NULL,
    enabled           boolean NOT NULL,
    -- Why the service itself disabled it: `gone` after 410.
    disabled_reason   text,
    -- The first transaction whose events it is told: the oldest that was running when it was created.
    since_transaction xid8 NOT NULL DEFAULT pg_snapshot_xmin(pg_current_snapshot()),
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

-- What an endpoint's messages are signed with, sealed by a key that is not in the database. While a secret is being
-- rotated two of them are live, and a message carries both signatures.
CREATE TABLE docket.webhook_secrets (
    tenant_id   uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    id          uuid NOT NULL,
    sealed      bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    PRIMARY KEY (tenant_id, endpoint_id, id),
    FOREIGN KEY (tenant_id, endpoint_id) REFERENCES docket.webhook_endpoints (tenant_id, id) ON DELETE CASCADE
);

-- The events that a destination has not got yet, one row each. Rows go when they are delivered or skipped.
CREATE TABLE docket.deliveries (
    tenant_id      uuid NOT NULL,
    destination_id uuid NOT NULL,
    case_id        uuid NOT NULL,
    sequence       bigint NOT NULL,
    event_id       uuid NOT NULL,
    PRIMARY KEY (tenant_id, destination_id, case_id, sequence)
);

-- One lane a destination and case, for as long as something waits in it. Workers claim lanes, never single deliveries, and
-- send a lane's lowest sequence first: that keeps the order of a case while other cases overtake it. A claim moves `due_at`
-- behind the lease, so that a worker that died frees the lane by the mere passing of time (the database's).
CREATE TABLE docket.delivery_lanes (
    tenant_id      uuid NOT NULL,
    destination_id uuid NOT NULL,
    case_id        uuid NOT NULL,
    -- The name of the sink; none for a webhook endpoint.
    sink           text,
    -- Deliveries in the lane.
    pending        integer NOT NULL CHECK (pending > 0),
    -- `dead`: the head was given up and parks the lane until somebody redrives or skips it.
    state          text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'dead')),
    -- Failed attempts of the head.
    attempts       smallint NOT NULL DEFAULT 0,
    due_at         timestamptz NOT NULL DEFAULT now(),
    lease_token    uuid,
    last_error     text,
    -- When the lane last made progress: began, or got rid of a delivery.
    waiting_since  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, destination_id, case_id)
) WITH (fillfactor = 70);
CREATE INDEX delivery_lanes_due ON docket.delivery_lanes (tenant_id, destination_id, due_at) WHERE state = 'ready';
CREATE INDEX delivery_lanes_dead ON docket.delivery_lanes (tenant_id, destination_id, case_id) WHERE state = 'dead';

-- What was tried: the delivery log of an endpoint.
CREATE TABLE docket.delivery_attempts (
    tenant_id      uuid NOT NULL,
    destination_id uuid NOT NULL,
    id             uuid NOT NULL,
    event_id       uuid NOT NULL,
    event_type     text NOT NULL,
    case_id        uuid,
    sequence       bigint,
    attempt        smallint NOT NULL,
    outcome        text NOT NULL,
    status         smallint,
    duration_ms    integer NOT NULL,
    -- The beginning of the answer, or of what went wrong.
    detail         text,
    attempted_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, destination_id, id)
);
CREATE INDEX delivery_attempts_by_age ON docket.delivery_attempts (tenant_id, attempted_at);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['relay_cursors', 'webhook_endpoints', 'webhook_secrets', 'deliveries', 'delivery_lanes',
                                'delivery_attempts'] LOOP
        EXECUTE format('ALTER TABLE docket.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE docket.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format('CREATE POLICY tenant_isolation ON docket.%I USING (tenant_id = (SELECT docket.current_tenant()))
                        WITH CHECK (tenant_id = docket.current_tenant())', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON docket.%I TO docket_app', name);
    END LOOP;
END
$$;

-- Which tenants have something to hand on: rows of (tenant, reader), where the reader is `webhooks`, one of the given sinks, or
-- `lanes` for deliveries that are due. One round trip for all tenants, each looked at under its own setting, so that row-level
-- security stays what it is.
CREATE FUNCTION docket.relay_backlog(sinks text[]) RETURNS TABLE (tenant uuid, reader text) LANGUAGE plpgsql AS $$
DECLARE
    tenants uuid[];
    horizon xid8 := pg_snapshot_xmin(pg_current_snapshot());
BEGIN
    PERFORM set_config('docket.tenant', '00000000-0000-0000-0000-000000000000', true);
    SELECT coalesce(array_agg(id), '{}') INTO tenants FROM docket.tenants
    WHERE id <> '00000000-0000-0000-0000-000000000000';
    FOREACH tenant IN ARRAY tenants LOOP
        PERFORM set_config('docket.tenant', tenant::text, true);
        RETURN QUERY
            SELECT c.tenant_id, c.reader FROM docket.relay_cursors c
            WHERE c.tenant_id = tenant AND (c.reader = 'webhooks' OR c.reader = ANY(sinks))
              AND EXISTS (SELECT FROM docket.outbox_events e
                          WHERE e.tenant_id = tenant AND (e.transaction_id, e.id) > (c.transaction_id, c.event_id)
                            AND e.transaction_id < horizon);
        RETURN QUERY
            SELECT tenant, s.name FROM unnest(sinks) AS s (name)
            WHERE NOT EXISTS (SELECT FROM docket.relay_cursors c WHERE c.tenant_id = tenant AND c.reader = s.name)
              AND EXISTS (SELECT FROM docket.outbox_events e WHERE e.tenant_id = tenant AND e.transaction_id < horizon);
        RETURN QUERY
            SELECT tenant, 'lanes'::text
            WHERE EXISTS (SELECT FROM docket.delivery_lanes l
                          WHERE l.tenant_id = tenant AND l.state = 'ready' AND l.due_at <= now());
    END LOOP;
    PERFORM set_config('docket.tenant', '', true);
END
$$;

-- What waits, per destination kind (`webhook` or the sink's name), over all tenants: for the gauges.
CREATE FUNCTION docket.relay_waiting()
    RETURNS TABLE (sink text, pending bigint, dead bigint, parked bigint, oldest_seconds double precision) LANGUAGE plpgsql AS $$
DECLARE
    tenants uuid[];
    one uuid;
BEGIN
    PERFORM set_config('docket.tenant', '00000000-0000-0000-0000-000000000000', true);
    SELECT coalesce(array_agg(id), '{}') INTO tenants FROM docket.tenants
    WHERE id <> '00000000-0000-0000-0000-000000000000';
    FOREACH one IN ARRAY tenants LOOP
        PERFORM set_config('docket.tenant', one::text, true);
        RETURN QUERY
            SELECT coalesce(l.sink, 'webhook'), sum(l.pending)::bigint, count(*) FILTER (WHERE l.state = 'dead'),
                   coalesce(sum(l.pending - 1) FILTER (WHERE l.state = 'dead'), 0)::bigint,
                   extract(epoch FROM now() - min(l.waiting_since))::double precision
            FROM docket.delivery_lanes l WHERE l.tenant_id = one GROUP BY 1;
        -- What a reader has not come to yet: its age is that of the first event behind its cursor.
        RETURN QUERY
            SELECT CASE c.reader WHEN 'webhooks' THEN 'webhook' ELSE c.reader END, 0::bigint, 0::bigint, 0::bigint,
                   extract(epoch FROM now() - first.occurred_at)::double precision
            FROM docket.relay_cursors c
            CROSS JOIN LATERAL (SELECT e.occurred_at FROM docket.outbox_events e
                                WHERE e.tenant_id = one AND (e.transaction_id, e.id) > (c.transaction_id, c.event_id)
                                ORDER BY e.transaction_id, e.id LIMIT 1) AS first
            WHERE c.tenant_id = one;
    END LOOP;
    PERFORM set_config('docket.tenant', '', true);
END
$$;
