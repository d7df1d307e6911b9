-- Claims due lanes, of each destination at most as many as it has room for, the longest due first.
WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready),
room AS (SELECT * FROM unnest($3::uuid[], $4::integer[]) AS given (id, room)),
destinations AS (
    SELECT w.id, coalesce(room.room, $2) AS room
    FROM docket.webhook_endpoints w LEFT JOIN room ON room.id = w.id
    WHERE (SELECT ready FROM context) AND w.enabled
    UNION ALL
    SELECT s.id, coalesce(room.room, $2) FROM unnest($5::uuid[]) AS s (id) LEFT JOIN room ON room.id = s.id
),
due AS MATERIALIZED (
    SELECT free.destination_id, free.case_id
    FROM destinations d
    CROSS JOIN LATERAL (
        SELECT l.destination_id, l.case_id FROM docket.delivery_lanes l
        WHERE (SELECT ready FROM context) AND l.destination_id = d.id AND l.state = 'ready' AND l.due_at <= now()
        ORDER BY l.due_at LIMIT d.room FOR UPDATE SKIP LOCKED
    ) AS free
    WHERE d.room > 0
    LIMIT $6
)
UPDATE docket.delivery_lanes l
SET lease_token = (SELECT gen_random_uuid()), due_at = now() + make_interval(secs => $7)
FROM due
WHERE (SELECT ready FROM context) AND l.destination_id = due.destination_id AND l.case_id = due.case_id
RETURNING l.destination_id, l.case_id, l.sink, l.attempts, l.failed_at, l.lease_token AS "lease_token!"
