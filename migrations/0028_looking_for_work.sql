-- How the relay looks for work: asked several times a second, so each question is one step in an index, whatever lies behind
-- the cursors. As EXISTS with an estimate of "a third of the table comes after" the planner walked through the whole outbox.
CREATE OR REPLACE FUNCTION docket.relay_backlog(sinks text[]) RETURNS TABLE (tenant uuid, reader text) LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
    AS $$
DECLARE
    tenants uuid[];
    horizon xid8 := pg_snapshot_xmin(pg_current_snapshot());
BEGIN
    PERFORM set_config('docket.tenant', '00000000-0000-0000-0000-000000000000', true);
    SELECT coalesce(array_agg(id), '{}') INTO tenants FROM docket.tenants
    WHERE id <> '00000000-0000-0000-0000-000000000000';
    FOREACH tenant IN ARRAY tenants LOOP
        PERFORM set_config('docket.tenant', tenant::text, true);
        -- The first event behind the cursor, if it is below the horizon.
        RETURN QUERY
            SELECT c.tenant_id, c.reader FROM docket.relay_cursors c
            CROSS JOIN LATERAL (SELECT e.transaction_id FROM docket.outbox_events e
                                WHERE e.tenant_id = tenant AND (e.transaction_id, e.id) > (c.transaction_id, c.event_id)
                                ORDER BY e.transaction_id, e.id LIMIT 1) AS first
            WHERE c.tenant_id = tenant AND (c.reader = 'webhooks' OR c.reader = ANY(sinks))
              AND first.transaction_id < horizon;
        -- Sinks that have read nothing yet.
        RETURN QUERY
            SELECT tenant, s.name FROM unnest(sinks) AS s (name)
            CROSS JOIN LATERAL (SELECT e.transaction_id FROM docket.outbox_events e
                                WHERE e.tenant_id = tenant ORDER BY e.transaction_id, e.id LIMIT 1) AS first
            WHERE first.transaction_id < horizon
              AND NOT EXISTS (SELECT FROM docket.relay_cursors c WHERE c.tenant_id = tenant AND c.reader = s.name);
        RETURN QUERY
            SELECT tenant, 'lanes'::text
            WHERE EXISTS (SELECT FROM docket.delivery_lanes l
                          WHERE l.tenant_id = tenant AND l.state = 'ready' AND l.due_at <= now());
    END LOOP;
    PERFORM set_config('docket.tenant', '', true);
END
$$;

-- Rows of these come and go: clean early, wherever the server's own settings would wait.
ALTER TABLE docket.deliveries SET (autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE docket.delivery_lanes SET (autovacuum_vacuum_scale_factor = 0.02);
