-- Embeddings are looked up by what they are of: for each batch of passages that is embedded, and for each document that is
-- read. Without an index that read every passage of the tenant.
--
-- Building the index keeps passages from being written meanwhile; searches go on.
CREATE INDEX chunks_by_content ON docket.chunks (tenant_id, content_sha256) WHERE embedding IS NOT NULL;

-- Removals are noted for those who follow the passages, and were kept for ever. Whoever begins needs none that is older than
-- what it reads (`keyword_feed.rs`), so they are kept as long as a follower may sleep and no longer. Owner, rights and promises
-- are those of the purges of 0029.
CREATE FUNCTION docket.purge_chunk_deletions(p_before interval, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
    AS $$
DECLARE
    v_before timestamptz := clock_timestamp() - p_before;
    v_gone bigint;
BEGIN
    DELETE FROM docket.chunk_deletions d WHERE d.ctid = ANY (ARRAY(
        SELECT o.ctid FROM docket.chunk_deletions o WHERE o.deleted_at < v_before
        ORDER BY o.deleted_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END
$$;
REVOKE ALL ON FUNCTION docket.purge_chunk_deletions(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.purge_chunk_deletions(interval, integer) TO docket_app;
