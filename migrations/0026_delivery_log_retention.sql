-- The delivery log is kept for a time, not for ever. Attempts of all tenants, the oldest first, a batch at a time; the
-- function looks past row-level security as its owner, and is for the service alone.
CREATE INDEX delivery_attempts_retention ON docket.delivery_attempts (attempted_at);
CREATE POLICY queue_functions ON docket.delivery_attempts TO CURRENT_USER USING (true) WITH CHECK (true);

CREATE FUNCTION docket.purge_delivery_attempts(p_before interval, p_limit integer) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off
    AS $$
DECLARE
    v_gone bigint;
BEGIN
    DELETE FROM docket.delivery_attempts a WHERE a.ctid = ANY (ARRAY(
        SELECT o.ctid FROM docket.delivery_attempts o WHERE o.attempted_at < clock_timestamp() - p_before
        ORDER BY o.attempted_at LIMIT p_limit FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS v_gone = ROW_COUNT;
    RETURN v_gone;
END
$$;
REVOKE ALL ON FUNCTION docket.purge_delivery_attempts(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.purge_delivery_attempts(interval, integer) TO docket_app;
