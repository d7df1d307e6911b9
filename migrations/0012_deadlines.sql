-- Deadlines that are looked after: a calendar for each tenant, what was told of a case's deadline, and what is owed next.
--
-- `next_notice_at` says when the next warning or the breach of a case is owed; null when nothing is. It changes when the
-- clock of a case starts, stops or gets another end, when a notice is given, and never otherwise, so its index
-- leaves all other updates HOT. The rules are in `domain/src/case/deadline.rs`.
ALTER TABLE docket.cases
    -- The working time of the present deadline; null when nobody knows when it began, and then it has no warnings.
    ADD COLUMN deadline_seconds bigint CHECK (deadline_seconds >= 0),
    ADD COLUMN warned_75_at     timestamptz,
    ADD COLUMN warned_90_at     timestamptz,
    ADD COLUMN breached_at      timestamptz,
    ADD COLUMN next_notice_at   timestamptz;
CREATE INDEX cases_next_notice ON docket.cases (next_notice_at, tenant_id, id) WHERE next_notice_at IS NOT NULL;

-- The days on which a tenant does not work. No row: Saturdays and Sundays, and that is version 1.
CREATE TABLE docket.calendars (
    tenant_id  uuid PRIMARY KEY REFERENCES docket.tenants (id),
    version    bigint NOT NULL CHECK (version >= 2),
    -- Names of days; never all seven.
    weekend    text[] NOT NULL CHECK (cardinality(weekend) <= 6 AND weekend <@ ARRAY[
                   'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']),
    updated_at timestamptz NOT NULL
);
ALTER TABLE docket.calendars ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.calendars FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.calendars
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE ON docket.calendars TO docket_app;

CREATE TABLE docket.calendar_holidays (
    tenant_id uuid NOT NULL REFERENCES docket.calendars (tenant_id),
    day       date NOT NULL,
    name      text NOT NULL,
    PRIMARY KEY (tenant_id, day)
);
ALTER TABLE docket.calendar_holidays ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.calendar_holidays FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.calendar_holidays
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, DELETE ON docket.calendar_holidays TO docket_app;

-- Deadlines are watched for all tenants at once, and the role of the service sees one at a time. What crosses that line
-- is in the two functions below: they run as their owner, give away ids and counts, and change nothing.
CREATE POLICY deadline_functions ON docket.cases TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY deadline_functions ON docket.tenants FOR SELECT TO CURRENT_USER USING (true);

-- Cases of which something is owed at `p_now`, in the order in which it fell due, after the one named by the other
-- parameters.
CREATE FUNCTION docket.due_notices(p_now timestamptz, p_after_at timestamptz, p_after_tenant uuid, p_after_case uuid,
                                   p_limit integer)
    RETURNS TABLE (next_notice_at timestamptz, tenant_id uuid, case_id uuid)
    LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan
    AS $$
BEGIN
    RETURN QUERY
    SELECT c.next_notice_at, c.tenant_id, c.id FROM docket.cases c
    WHERE c.next_notice_at <= p_now
      AND (c.next_notice_at, c.tenant_id, c.id) > (p_after_at, p_after_tenant, p_after_case)
    ORDER BY c.next_notice_at, c.tenant_id, c.id LIMIT p_limit;
END
$$;

-- How many undecided cases are past their deadline, for a gauge; counting ends at `p_cap`. Read tenant by tenant off the
-- index of open cases by deadline.
CREATE FUNCTION docket.overdue_cases(p_now timestamptz, p_cap integer) RETURNS bigint
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    AS $$
    SELECT count(*) FROM (
        SELECT FROM docket.tenants t CROSS JOIN LATERAL (
            SELECT FROM docket.cases c
            WHERE c.tenant_id = t.id AND c.closed_at IS NULL AND c.due_at < p_now AND c.state <> 'decided'
              AND c.due_at < coalesce(c.clock_paused_at, p_now)
            LIMIT p_cap) late
        LIMIT p_cap) counted
$$;

DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname = 'docket' AND p.proname IN ('due_notices', 'overdue_cases')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_function);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO docket_app', v_function);
    END LOOP;
END
$$;

-- Deadlines that run already are watched from now on, for their breach: when they began is not known. Those that passed
-- before anybody watched are overdue, but not breached after the fact.
UPDATE docket.cases SET next_notice_at = due_at
WHERE due_at > now() AND clock_paused_at IS NULL
  AND state IN ('submitted', 'under_review', 'escalated', 'decision_proposed');
