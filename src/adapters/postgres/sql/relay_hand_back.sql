-- Lanes that their claimer lets go of: due at once, everything else as it was. Locked in the order in which all writers of
-- several lanes lock them.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready),
claimed AS (SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[]) AS given (destination_id, case_id, token)),
mine AS MATERIALIZED (
    SELECT l.destination_id, l.case_id
    FROM docket.delivery_lanes l JOIN claimed c ON c.destination_id = l.destination_id AND c.case_id = l.case_id
    WHERE (SELECT ready FROM context) AND l.lease_token = c.token
    ORDER BY l.destination_id, l.case_id
    FOR UPDATE OF l
),
freed AS (
    UPDATE docket.delivery_lanes l SET lease_token = NULL, due_at = now()
    FROM mine
    WHERE (SELECT ready FROM context) AND l.destination_id = mine.destination_id AND l.case_id = mine.case_id
    RETURNING 1
)
SELECT count(*) AS "freed!" FROM freed
