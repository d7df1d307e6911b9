-- What a company register said of the respondent of a case: one row for each event that asked and got an answer.
CREATE TABLE docket.register_entries (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    case_id         uuid NOT NULL,
    -- The event that led to the look-up.
    event_id        uuid NOT NULL,
    -- The respondent as it was when the register was asked.
    asked_name      text NOT NULL,
    -- Null together when the register knows no such company.
    company_number  text,
    company_name    text,
    company_status  text CHECK (company_status IN ('active', 'in_liquidation', 'dissolved')),
    company_address text,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES docket.cases (tenant_id, id) ON DELETE CASCADE,
    CHECK (num_nulls(company_number, company_name, company_status, company_address) IN (0, 4))
);
-- An event that is handed on again writes nothing a second time, whoever writes.
CREATE UNIQUE INDEX register_entries_once ON docket.register_entries (tenant_id, case_id, event_id);
CREATE INDEX register_entries_of_case ON docket.register_entries (tenant_id, case_id, id);
ALTER TABLE docket.register_entries ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.register_entries FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.register_entries
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT ON docket.register_entries TO docket_app;
