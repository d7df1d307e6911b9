-- The next chains of a tenant in order of their id: those of its cases, those that only have records, and its own.
-- Distinct chains among the records are found by hopping along the primary key, one step a chain.
WITH RECURSIVE context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready),
recorded AS (
    (SELECT chain_id, 1::bigint AS place FROM docket.audit_events
     WHERE (SELECT ready FROM context) AND ($2::uuid IS NULL OR chain_id > $2)
     ORDER BY tenant_id, chain_id LIMIT 1)
    UNION ALL
    SELECT hop.chain_id, recorded.place + 1
    FROM recorded
    CROSS JOIN LATERAL (
        SELECT e.chain_id FROM docket.audit_events e WHERE e.chain_id > recorded.chain_id
        ORDER BY e.tenant_id, e.chain_id LIMIT 1) hop
    WHERE recorded.place < $3
)
SELECT id AS "id!" FROM (
    SELECT chain_id AS id FROM recorded
    UNION
    (SELECT id FROM docket.cases
     WHERE (SELECT ready FROM context) AND ($2::uuid IS NULL OR id > $2) ORDER BY tenant_id, id LIMIT $3)
    UNION
    SELECT id FROM docket.tenants
    WHERE (SELECT ready FROM context) AND id = $1::text::uuid AND ($2::uuid IS NULL OR id > $2)
) chains
ORDER BY id LIMIT $3
