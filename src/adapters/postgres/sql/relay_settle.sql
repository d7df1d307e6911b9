-- The end of a claim, if it is still the claimer's. A lane that becomes empty goes, any other moves on; a lane that got its
-- next event while this statement ran matches neither, and the statement is run again. Where the endpoint is to be disabled,
-- it is locked before the lane, as everywhere: whoever deletes it at this moment locks it first, too.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready),
endpoint AS MATERIALIZED (
    SELECT FROM docket.webhook_endpoints WHERE (SELECT ready FROM context) AND $11 AND id = $2 FOR NO KEY UPDATE
),
gone AS (
    DELETE FROM docket.delivery_lanes
    WHERE (SELECT ready FROM context) AND $5 AND destination_id = $2 AND case_id = $3 AND lease_token = $4 AND pending = 1
    RETURNING 1
),
moved AS (
    UPDATE docket.delivery_lanes
    SET lease_token = NULL, pending = pending - CASE WHEN $5 THEN 1 ELSE 0 END, attempts = coalesce($7, attempts),
        state = $8, due_at = now() + make_interval(secs => $9), last_error = $10, failed_at = $12,
        waiting_since = CASE WHEN $5 THEN now() ELSE waiting_since END
    WHERE (SELECT ready FROM context) AND destination_id = $2 AND case_id = $3 AND lease_token = $4
      AND (NOT $5 OR pending > 1) AND (NOT $11 OR EXISTS (SELECT FROM endpoint))
    RETURNING 1
),
settled AS (SELECT FROM gone UNION ALL SELECT FROM moved),
removed AS (
    DELETE FROM docket.deliveries
    WHERE (SELECT ready FROM context) AND $5 AND destination_id = $2 AND case_id = $3 AND sequence = $6
      AND EXISTS (SELECT FROM settled)
),
disabled AS (
    UPDATE docket.webhook_endpoints SET enabled = false, disabled_reason = 'gone', updated_at = now()
    WHERE (SELECT ready FROM context) AND $11 AND id = $2 AND EXISTS (SELECT FROM settled)
)
SELECT count(*) AS "settled!" FROM settled
