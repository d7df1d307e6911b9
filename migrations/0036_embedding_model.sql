-- Which model the stored vectors were made by. Vectors of different models must not be compared, and nothing in a vector says
-- whose it is: so one row says it of all of them, and whoever has another model takes the vectors out before it makes its own.
-- Whatever vectors there are when the first process after this migration claims the row are taken to be of that process's model.
--
-- A new table and functions; no existing row or table is touched, so it takes no time and no lock that anyone waits for.
CREATE TABLE docket.embedding_model (
    -- There is one row.
    only_one   boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    -- SHA-256 of what the model is made of, as its process computes it.
    identity   text NOT NULL,
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
ALTER TABLE docket.embedding_model ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.embedding_model FORCE ROW LEVEL SECURITY;
-- Vectors of all tenants come from one model: only the functions below, which run as their owner, reach the row.
CREATE POLICY model_functions ON docket.embedding_model TO CURRENT_USER USING (true) WITH CHECK (true);

-- Whether the stored vectors are of this model; a database that names none takes it for the one.
CREATE FUNCTION docket.claim_embedding_model(p_identity text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM docket.embedding_model) THEN
        INSERT INTO docket.embedding_model (identity) VALUES (p_identity) ON CONFLICT DO NOTHING;
    END IF;
    RETURN EXISTS (SELECT FROM docket.embedding_model m WHERE m.identity = p_identity);
END
$$;

-- Takes the vectors of a batch of passages behind a position out, and says where the batch ended. Nothing is returned once none is
-- left, and from then on the model is the one that is named; until then it is the one before, so that whoever dies halfway leaves
-- vectors of one model only. The lock on the row keeps two that do the same from removing what the quicker one has made since.
CREATE FUNCTION docket.forget_vectors_of_another_model(p_identity text, p_after_tenant uuid, p_after uuid, p_limit integer)
    RETURNS TABLE (last_tenant uuid, last_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
    AS $$
BEGIN
    PERFORM FROM docket.embedding_model m FOR UPDATE;
    IF EXISTS (SELECT FROM docket.embedding_model m WHERE m.identity = p_identity) THEN
        RETURN;
    END IF;
    RETURN QUERY
        WITH batch AS MATERIALIZED (
            SELECT c.tenant_id, c.id FROM docket.chunks c
            WHERE (c.tenant_id, c.id) > (p_after_tenant, p_after) AND c.embedding IS NOT NULL
            ORDER BY c.tenant_id, c.id LIMIT p_limit FOR UPDATE
        ),
        forgotten AS (
            UPDATE docket.chunks c SET embedding = NULL FROM batch b WHERE c.tenant_id = b.tenant_id AND c.id = b.id
        )
        SELECT b.tenant_id, b.id FROM batch b ORDER BY b.tenant_id DESC, b.id DESC LIMIT 1;
    IF NOT FOUND THEN
        UPDATE docket.embedding_model m SET identity = p_identity, claimed_at = clock_timestamp();
    END IF;
END
$$;

REVOKE ALL ON FUNCTION docket.claim_embedding_model(text) FROM PUBLIC;
REVOKE ALL ON FUNCTION docket.forget_vectors_of_another_model(text, uuid, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.claim_embedding_model(text) TO docket_app;
GRANT EXECUTE ON FUNCTION docket.forget_vectors_of_another_model(text, uuid, uuid, integer) TO docket_app;
