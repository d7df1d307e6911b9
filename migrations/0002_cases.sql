-- Cases and what hangs on them.
--
-- The row is written often (every transition) and read in lists. Three choices follow from that:
-- * no index holds a column that every update changes (state, version, updated_at), so transitions stay HOT updates;
-- * fillfactor 80 leaves room on the page for them;
-- * working lists use partial indexes over open cases (`closed_at IS NULL`), which change only when a case is closed.
CREATE TABLE docket.cases (
    tenant_id       uuid NOT NULL REFERENCES docket.tenants (id),
    id              uuid NOT NULL,
    reference       text NOT NULL CHECK (length(reference) BETWEEN 1 AND 100),
    version         bigint NOT NULL CHECK (version >= 1),
    state           text NOT NULL CHECK (state IN ('draft', 'submitted', 'under_review', 'awaiting_information',
                        'escalated', 'decision_proposed', 'decided', 'closed', 'withdrawn')),
    severity        text NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    confidentiality text NOT NULL CHECK (confidentiality IN ('public', 'internal', 'restricted')),
    title           text NOT NULL,
    narrative       text NOT NULL,
    respondent      text NOT NULL,
    case_type       text NOT NULL,
    reporter_id     uuid NOT NULL,
    assignee_id     uuid,
    proposed_by     uuid,
    decision        text,
    open_information_requests integer NOT NULL DEFAULT 0 CHECK (open_information_requests >= 0),
    legal_hold      boolean NOT NULL DEFAULT false,
    deadline_extended boolean NOT NULL DEFAULT false,
    due_at          timestamptz,
    clock_paused_at timestamptz,
    opened_at       timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    closed_at       timestamptz,
    attributes      jsonb NOT NULL DEFAULT '{}',
    -- The head of the case's audit chain; the row's lock serialises its writers.
    audit_seq       bigint NOT NULL,
    audit_head      bytea NOT NULL CHECK (octet_length(audit_head) = 32),
    -- What full-text search looks at. The tenant is a lexeme of its own, so that one index answers
    -- "these words in this tenant" without visiting other tenants' rows.
    search          tsvector NOT NULL GENERATED ALWAYS AS (
                        setweight(to_tsvector('english', title), 'A')
                        || setweight(to_tsvector('english', respondent), 'B')
                        || setweight(to_tsvector('english', narrative), 'C')
                        || setweight(to_tsvector('simple', reference), 'A')
                        || array_to_tsvector(ARRAY['tenant:' || tenant_id::text])) STORED,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, reference)
) WITH (fillfactor = 80);

CREATE INDEX cases_by_opened ON docket.cases (tenant_id, opened_at DESC, id DESC);
CREATE INDEX cases_open_by_opened ON docket.cases (tenant_id, opened_at DESC, id DESC) WHERE closed_at IS NULL;
CREATE INDEX cases_open_by_due ON docket.cases (tenant_id, due_at, id) WHERE closed_at IS NULL AND due_at IS NOT NULL;
CREATE INDEX cases_by_assignee ON docket.cases (tenant_id, assignee_id, opened_at DESC, id DESC) WHERE assignee_id IS NOT NULL;
CREATE INDEX cases_by_reporter ON docket.cases (tenant_id, reporter_id, opened_at DESC, id DESC);
CREATE INDEX cases_by_search ON docket.cases USING gin (search);

ALTER TABLE docket.cases ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.cases FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.cases
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT, UPDATE, DELETE ON docket.cases TO docket_app;

-- Row-level security keeps an index from being used for an operator that might leak what it sees (an error message with
-- the value in it, say). Text search matching cannot: it takes a vector and a query and answers yes or no. Telling the
-- planner so needs a superuser; on a server where we are not, search still works, but visits the tenant's rows one by one.
DO $$
BEGIN
    ALTER FUNCTION pg_catalog.ts_match_vq(tsvector, tsquery) LEAKPROOF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'not a superuser: full-text search will not use its index under row-level security';
END
$$;

-- A legal hold is kept by the database itself: no role, not even the owner, deletes a held case.
CREATE FUNCTION docket.refuse_deletion_under_legal_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'case % is under legal hold', OLD.id USING ERRCODE = 'DK001';
END
$$;
CREATE TRIGGER legal_hold BEFORE DELETE ON docket.cases
    FOR EACH ROW WHEN (OLD.legal_hold) EXECUTE FUNCTION docket.refuse_deletion_under_legal_hold();

-- Notes, questions and answers: prose that belongs to a case.
CREATE TABLE docket.case_notes (
    tenant_id  uuid NOT NULL,
    id         uuid NOT NULL,
    case_id    uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('note', 'question', 'answer')),
    author_id  uuid NOT NULL,
    body       text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES docket.cases (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX case_notes_of_case ON docket.case_notes (tenant_id, case_id, id);
ALTER TABLE docket.case_notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.case_notes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.case_notes
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT ON docket.case_notes TO docket_app;

-- The bytes of evidence are stored once per tenant and content, outside the database; this row says that they are there.
-- It is written only after the bytes were stored and their hash verified.
CREATE TABLE docket.evidence_blobs (
    tenant_id  uuid NOT NULL REFERENCES docket.tenants (id),
    sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    media_type text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, sha256)
);
ALTER TABLE docket.evidence_blobs ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.evidence_blobs FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.evidence_blobs
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT, DELETE ON docket.evidence_blobs TO docket_app;

-- One attachment: a file name on a case, pointing at stored bytes.
CREATE TABLE docket.case_evidence (
    tenant_id   uuid NOT NULL,
    id          uuid NOT NULL,
    case_id     uuid NOT NULL,
    sha256      bytea NOT NULL,
    file_name   text NOT NULL,
    description text NOT NULL DEFAULT '',
    added_by    uuid NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES docket.cases (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, sha256) REFERENCES docket.evidence_blobs (tenant_id, sha256)
);
CREATE INDEX case_evidence_of_case ON docket.case_evidence (tenant_id, case_id, id);
CREATE INDEX case_evidence_of_blob ON docket.case_evidence (tenant_id, sha256);
ALTER TABLE docket.case_evidence ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.case_evidence FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.case_evidence
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT ON docket.case_evidence TO docket_app;

-- A link from one case to another, with a reason.
CREATE TABLE docket.case_links (
    tenant_id      uuid NOT NULL,
    id             uuid NOT NULL,
    case_id        uuid NOT NULL,
    target_case_id uuid NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('relates_to', 'duplicates', 'follows_from')),
    reason         text NOT NULL,
    created_by     uuid NOT NULL,
    created_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT case_links_once UNIQUE (tenant_id, case_id, target_case_id, kind),
    FOREIGN KEY (tenant_id, case_id) REFERENCES docket.cases (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, target_case_id) REFERENCES docket.cases (tenant_id, id) ON DELETE CASCADE,
    CHECK (case_id <> target_case_id)
);
CREATE INDEX case_links_to_target ON docket.case_links (tenant_id, target_case_id, id);
ALTER TABLE docket.case_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.case_links FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.case_links
    USING (tenant_id = docket.current_tenant()) WITH CHECK (tenant_id = docket.current_tenant());
GRANT SELECT, INSERT ON docket.case_links TO docket_app;
