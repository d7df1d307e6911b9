-- Lists under a checkpoint the same heads that moved_heads.sql gave to be digested, under the same snapshot.
INSERT INTO docket.audit_checkpoint_heads (tenant_id, number, chain_id, seq, hash)
SELECT $1, $2, head.chain_id, head.seq, head.hash
FROM (
    SELECT id AS chain_id, audit_seq AS seq, audit_head AS hash FROM docket.cases
    UNION ALL
    SELECT id, audit_seq, audit_head FROM docket.tenants WHERE id = $1::uuid AND audit_seq > 0
    UNION ALL
    SELECT e.chain_id, e.seq, e.hash FROM docket.audit_events e
    WHERE e.action = 'case.delete' AND e.outcome = 'allowed'
      AND NOT EXISTS (SELECT FROM docket.cases c WHERE c.tenant_id = e.tenant_id AND c.id = e.chain_id)
) head
WHERE NOT EXISTS (
    SELECT FROM docket.audit_checkpoint_heads listed
    WHERE listed.tenant_id = $1 AND listed.chain_id = head.chain_id AND listed.seq = head.seq AND listed.hash = head.hash)
