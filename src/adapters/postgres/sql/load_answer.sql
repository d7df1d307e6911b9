-- The answer stored under a key, and whether it has expired by the clock of this server.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
SELECT fingerprint, status, etag, location, body, expires_at <= now() AS "expired!"
FROM docket.idempotency_keys
WHERE (SELECT ready FROM context) AND principal_id = $2 AND key = $3
