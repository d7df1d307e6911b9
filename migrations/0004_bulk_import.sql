-- Bulk import: how far each file has got, so that an import that was killed goes on where it stopped.
--
-- A run is named by what is imported and how: the SHA-256 of the file's bytes, and the SHA-256 over mapping, format and
-- encoding. Its row moves in the same transaction as the batch it counts, so the two can never disagree.
CREATE TABLE docket.import_runs (
    tenant_id    uuid NOT NULL REFERENCES docket.tenants (id),
    id           uuid NOT NULL,
    file_sha256  bytea NOT NULL CHECK (octet_length(file_sha256) = 32),
    plan_sha256  bytea NOT NULL CHECK (octet_length(plan_sha256) = 32),
    -- The name of the file, for people; the same bytes under another name are the same run.
    file_name    text NOT NULL,
    -- Everything before this byte of the file is settled: committed, or rejected and reported.
    bytes_done   bigint NOT NULL DEFAULT 0 CHECK (bytes_done >= 0),
    lines_done   bigint NOT NULL DEFAULT 0 CHECK (lines_done >= 0),
    -- The length of the file of rejected rows when the batch was committed; what stands behind it is written again.
    errors_bytes bigint NOT NULL DEFAULT 0 CHECK (errors_bytes >= 0),
    imported     bigint NOT NULL DEFAULT 0,
    updated      bigint NOT NULL DEFAULT 0,
    unchanged    bigint NOT NULL DEFAULT 0,
    skipped      bigint NOT NULL DEFAULT 0,
    rejected     bigint NOT NULL DEFAULT 0,
    started_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    -- None while it runs or after it was killed.
    finished_at  timestamptz,
    PRIMARY KEY (tenant_id, id)
);
-- At most one unfinished run per file and plan: two imports of the same file at the same time are one too many.
CREATE UNIQUE INDEX import_runs_unfinished ON docket.import_runs (tenant_id, file_sha256, plan_sha256)
    WHERE finished_at IS NULL;
ALTER TABLE docket.import_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.import_runs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.import_runs
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT, UPDATE ON docket.import_runs TO docket_app;
