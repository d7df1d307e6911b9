-- Finding passages by meaning.
--
-- A tenant of less than about 20,000 passages is searched exactly: every vector is compared. Vectors therefore lie in the
-- row itself, not beside it in TOAST: 384 numbers are 1,544 bytes, and reading each from another table costs several times the
-- comparison. The text moves out instead; only the passages that were found are read.
ALTER TABLE docket.chunks ALTER COLUMN embedding SET STORAGE PLAIN;

-- Large tenants are searched by this graph. Vectors have length one, so the inner product orders them as the cosine does and costs less.
CREATE INDEX chunks_by_meaning ON docket.chunks USING hnsw (embedding vector_ip_ops) WITH (m = 16, ef_construction = 200);

-- How many passages a tenant has decides which way is taken.
CREATE INDEX chunks_with_embedding ON docket.chunks (tenant_id, collection_id) WHERE embedding IS NOT NULL;

-- Every replica keeps an index of words in its own memory. A new number here asks all of them to build theirs anew.
CREATE SEQUENCE docket.keyword_index_epoch;
GRANT SELECT, USAGE ON SEQUENCE docket.keyword_index_epoch TO docket_app;
