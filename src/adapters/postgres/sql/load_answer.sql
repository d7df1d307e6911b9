-- The answer stored under a key.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
SELECT fingerprint, status, etag, location, body, expires_at
FROM docket.idempotency_keys
WHERE (SELECT ready FROM context) AND principal_id = $2 AND key = $3
