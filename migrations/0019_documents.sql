-- Documents: what questions are answered from. A document's bytes lie where evidence lies; here is what was read in them.
--
-- A document is read anew whenever its content changes. Every reading is a *generation*: its text and its chunks are
-- written, the ones before are removed, and the document points at the new number, all in one transaction, so that a
-- search sees one generation or the other and never a mixture.
--
-- Offsets are counted in Unicode code points of `document_texts.text`, from 0, ends excluded: what PostgreSQL's
-- `substr(text, char_start + 1, char_end - char_start)` and Python's `text[char_start:char_end]` give.

CREATE EXTENSION IF NOT EXISTS vector;

-- Documents that belong together and are cut alike.
CREATE TABLE docket.collections (
    tenant_id         uuid NOT NULL REFERENCES docket.tenants (id),
    id                uuid NOT NULL,
    name              text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    chunking_strategy text NOT NULL CHECK (chunking_strategy IN ('recursive', 'sentence_window', 'fixed_tokens')),
    -- In tokens; in sentences for 'sentence_window'.
    chunk_size        integer NOT NULL CHECK (chunk_size BETWEEN 1 AND 4000),
    chunk_overlap     integer NOT NULL CHECK (chunk_overlap >= 0 AND chunk_overlap < chunk_size),
    created_by        uuid NOT NULL,
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT collections_name UNIQUE (tenant_id, name)
);
ALTER TABLE docket.collections ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.collections FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.collections
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON docket.collections TO docket_app;

CREATE TABLE docket.documents (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    collection_id   uuid NOT NULL,
    title           text NOT NULL,
    -- Under which name it came: a file's path or a URL. The same name again replaces the content. Confidentiality is part
    -- of the name, so that nobody learns by an upload what is there but hidden from them.
    source          text NOT NULL CHECK (length(source) BETWEEN 1 AND 2000),
    url             text,
    media_type      text NOT NULL,
    sha256          bytea NOT NULL CHECK (octet_length(sha256) = 32),
    size_bytes      bigint NOT NULL CHECK (size_bytes >= 0),
    language        text,
    confidentiality text NOT NULL CHECK (confidentiality IN ('public', 'internal', 'restricted')),
    status          text NOT NULL CHECK (status IN ('queued', 'processing', 'ready', 'failed')),
    -- Why the last reading failed: a word for programs and a sentence for people.
    failure_code    text,
    failure_reason  text,
    -- How often the content was replaced: 1 for the first. `generation` is the reading that searches see, 0 before any.
    version         integer NOT NULL DEFAULT 1 CHECK (version >= 1),
    generation      integer NOT NULL DEFAULT 0 CHECK (generation >= 0 AND generation <= version),
    pages           integer CHECK (pages >= 0),
    chunk_count     integer NOT NULL DEFAULT 0 CHECK (chunk_count >= 0),
    job_id          uuid,
    created_by      uuid NOT NULL,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    CONSTRAINT documents_source UNIQUE (tenant_id, collection_id, confidentiality, source),
    FOREIGN KEY (tenant_id, collection_id) REFERENCES docket.collections (tenant_id, id),
    -- The bytes stay as long as a document has them: the sweeper finds them in use.
    FOREIGN KEY (tenant_id, sha256) REFERENCES docket.evidence_blobs (tenant_id, sha256)
);
CREATE INDEX documents_by_content ON docket.documents (tenant_id, sha256);
ALTER TABLE docket.documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.documents FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.documents
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON docket.documents TO docket_app;

-- The text that was read in a document; what citations are checked against.
CREATE TABLE docket.document_texts (
    tenant_id   uuid NOT NULL,
    document_id uuid NOT NULL,
    generation  integer NOT NULL,
    text        text NOT NULL,
    -- Where each page begins, in code points; empty for formats without pages.
    page_starts integer[] NOT NULL,
    PRIMARY KEY (tenant_id, document_id),
    FOREIGN KEY (tenant_id, document_id) REFERENCES docket.documents (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE docket.document_texts ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.document_texts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.document_texts
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON docket.document_texts TO docket_app;

-- The passages that searches find. Rows are written once with their generation; only `embedding` may come later.
CREATE TABLE docket.chunks (
    tenant_id       uuid NOT NULL,
    id              uuid NOT NULL,
    document_id     uuid NOT NULL,
    collection_id   uuid NOT NULL,
    generation      integer NOT NULL CHECK (generation >= 1),
    ordinal         integer NOT NULL CHECK (ordinal >= 0),
    text            text NOT NULL,
    -- The headings above the passage, outermost first.
    heading_path    text[] NOT NULL,
    page_from       integer,
    page_to         integer,
    char_start      integer NOT NULL CHECK (char_start >= 0),
    char_end        integer NOT NULL CHECK (char_end > char_start),
    token_count     integer NOT NULL CHECK (token_count >= 0),
    -- SHA-256 of the text in UTF-8: under which its embedding is cached.
    content_sha256  bytea NOT NULL CHECK (octet_length(content_sha256) = 32),
    embedding       vector(384),
    -- Of the document, here so that a search decides who may see a passage without a join.
    confidentiality text NOT NULL CHECK (confidentiality IN ('public', 'internal', 'restricted')),
    created_by      uuid NOT NULL,
    -- The transaction that wrote the row: whoever follows the table reads rows below `pg_snapshot_xmin`, in this order,
    -- and misses none, because no transaction below it can still commit.
    written_by      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, document_id, generation, ordinal),
    CHECK (page_from IS NULL OR page_to >= page_from),
    FOREIGN KEY (tenant_id, document_id) REFERENCES docket.documents (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX chunks_to_follow ON docket.chunks (written_by, id);
CREATE INDEX chunks_without_embedding ON docket.chunks (tenant_id, id) WHERE embedding IS NULL;
ALTER TABLE docket.chunks ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.chunks FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.chunks
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON docket.chunks TO docket_app;

-- Generations that are gone, one row each, so that indexes outside the database can follow. Written by the trigger below:
-- no way of deleting chunks forgets it.
CREATE TABLE docket.chunk_deletions (
    tenant_id   uuid NOT NULL,
    document_id uuid NOT NULL,
    generation  integer NOT NULL,
    deleted_at  timestamptz NOT NULL DEFAULT now(),
    written_by  xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (tenant_id, document_id, generation)
);
CREATE INDEX chunk_deletions_to_follow ON docket.chunk_deletions (written_by, document_id, generation);
CREATE INDEX chunk_deletions_by_age ON docket.chunk_deletions (deleted_at);
ALTER TABLE docket.chunk_deletions ENABLE ROW LEVEL SECURITY;
ALTER TABLE docket.chunk_deletions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON docket.chunk_deletions
    USING (tenant_id = (SELECT docket.current_tenant())) WITH CHECK (tenant_id = (SELECT docket.current_tenant()));
GRANT SELECT, INSERT ON docket.chunk_deletions TO docket_app;

CREATE FUNCTION docket.note_deleted_chunks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO docket.chunk_deletions (tenant_id, document_id, generation)
    SELECT DISTINCT g.tenant_id, g.document_id, g.generation FROM gone g
    ON CONFLICT (tenant_id, document_id, generation)
        DO UPDATE SET written_by = pg_current_xact_id(), deleted_at = now();
    RETURN NULL;
END
$$;
GRANT UPDATE ON docket.chunk_deletions TO docket_app;
CREATE TRIGGER chunks_gone AFTER DELETE ON docket.chunks
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION docket.note_deleted_chunks();

-- An index over all tenants is kept by functions that run as their owner, as the queue is; only the owner has these policies.
CREATE POLICY follower_functions ON docket.chunks TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY follower_functions ON docket.chunk_deletions TO CURRENT_USER USING (true) WITH CHECK (true);

-- The next chunks after a position, in the order of their transactions, and up to where none can be missing any more.
CREATE FUNCTION docket.chunks_after(p_after xid8, p_after_id uuid, p_limit integer)
    RETURNS TABLE (written_by xid8, id uuid, tenant_id uuid, document_id uuid, collection_id uuid, generation integer,
                   text text, heading_path text[], confidentiality text, created_by uuid)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT c.written_by, c.id, c.tenant_id, c.document_id, c.collection_id, c.generation, c.text, c.heading_path,
           c.confidentiality, c.created_by
    FROM docket.chunks c
    WHERE (c.written_by, c.id) > (p_after, p_after_id) AND c.written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY c.written_by, c.id LIMIT p_limit
    $$;

-- The next deletions after a position, alike.
CREATE FUNCTION docket.chunk_deletions_after(p_after xid8, p_after_document uuid, p_after_generation integer, p_limit integer)
    RETURNS TABLE (written_by xid8, tenant_id uuid, document_id uuid, generation integer)
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS $$
    SELECT d.written_by, d.tenant_id, d.document_id, d.generation
    FROM docket.chunk_deletions d
    WHERE (d.written_by, d.document_id, d.generation) > (p_after, p_after_document, p_after_generation)
      AND d.written_by < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY d.written_by, d.document_id, d.generation LIMIT p_limit
    $$;

REVOKE ALL ON FUNCTION docket.chunks_after(xid8, uuid, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION docket.chunk_deletions_after(xid8, uuid, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION docket.chunks_after(xid8, uuid, integer) TO docket_app;
GRANT EXECUTE ON FUNCTION docket.chunk_deletions_after(xid8, uuid, integer, integer) TO docket_app;
