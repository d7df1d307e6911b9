-- Lists that a filter or the viewer's sight cuts down to a small part of a large tenant.
--
-- Each index is in the order of a list, so that a page is read off it and reading stops there. The columns at the end do
-- not order anything: filters on them are judged in the index, without a visit to the row. None is a column
-- that a transition changes as a rule (due_at is in an index of its own anyway), so transitions stay HOT updates.
CREATE INDEX cases_by_type
    ON docket.cases (tenant_id, case_type, opened_at DESC, id DESC, severity, confidentiality);
-- Who sees only public cases reads them here, however few they are.
CREATE INDEX cases_by_confidentiality
    ON docket.cases (tenant_id, confidentiality, opened_at DESC, id DESC, severity);
-- The working list: the same order as before, now with what it is filtered by.
DROP INDEX docket.cases_open_by_opened;
CREATE INDEX cases_open_by_opened
    ON docket.cases (tenant_id, opened_at DESC, id DESC, severity, confidentiality, case_type, due_at)
    WHERE closed_at IS NULL;

-- The planner evaluates `current_tenant()` while it plans, and statements set their tenant only when they run. It therefore
-- compared with NULL, expected no row of any tenant, and found every index that begins with the tenant equally good: a
-- case was looked up by id through an index by date, past all rows of its tenant. Behind a sub-select the value is unknown
-- instead of NULL, and the estimate is an average tenant. The check of written rows needs no estimate and stays.
DO $$
DECLARE
    policy record;
BEGIN
    FOR policy IN
        SELECT tablename FROM pg_policies
        WHERE schemaname = 'docket' AND policyname = 'tenant_isolation' AND qual = '(tenant_id = docket.current_tenant())'
    LOOP
        EXECUTE format(
            'ALTER POLICY tenant_isolation ON docket.%I USING (tenant_id = (SELECT docket.current_tenant()))',
            policy.tablename);
    END LOOP;
END
$$;
