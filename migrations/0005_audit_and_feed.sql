-- What verifying and sealing the audit trail needs to stay cheap on large tenants.

-- The ends of the trails of deleted cases: a checkpoint lists them, too, although no case row keeps their head.
CREATE INDEX audit_events_deletions ON docket.audit_events (tenant_id, chain_id) WHERE action = 'case.delete';
