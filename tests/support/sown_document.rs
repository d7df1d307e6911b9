//! A document of one passage, written past the service as an ingestion would have left it.

use sqlx::PgPool;
use uuid::Uuid;

/// Where it goes and what it says.
pub struct SownDocument<'a> {
    /// An administrator of the tenant.
    pub admin: Uuid,
    /// The name of the collection, made when there is none.
    pub collection: &'a str,
    pub title: &'a str,
    pub text: &'a str,
    pub confidentiality: &'a str,
}

impl SownDocument<'_> {
    /// Writes it; its id.
    pub async fn sow(&self, owner: &PgPool) -> Uuid {
        let (document, hash) = (Uuid::now_v7(), Uuid::now_v7().as_bytes().repeat(2));
        let sql = [
            "INSERT INTO docket.collections (tenant_id, id, name, chunking_strategy, chunk_size, chunk_overlap, created_by, created_at)
             SELECT tenant_id, gen_random_uuid(), $7, 'recursive', 400, 0, id, now() FROM docket.principals WHERE id = $1
             ON CONFLICT DO NOTHING",
            "INSERT INTO docket.evidence_blobs (tenant_id, sha256, size_bytes, media_type, created_at)
             SELECT tenant_id, $6, 1, 'text/plain', now() FROM docket.principals WHERE id = $1",
            "INSERT INTO docket.documents (tenant_id, id, collection_id, title, source, media_type, sha256, size_bytes,
                                           confidentiality, status, version, generation, chunk_count, created_by, created_at, updated_at)
             SELECT c.tenant_id, $2, c.id, $3, $3, 'text/plain', $6, 1, $5, 'ready', 1, 1, 1, $1, now(), now()
             FROM docket.collections c JOIN docket.principals p ON p.tenant_id = c.tenant_id AND p.id = $1 AND c.name = $7",
            "INSERT INTO docket.document_texts (tenant_id, document_id, generation, text, page_starts)
             SELECT tenant_id, $2, 1, $4, '{}' FROM docket.documents WHERE id = $2",
            "INSERT INTO docket.chunks (tenant_id, id, document_id, collection_id, generation, ordinal, text, heading_path, char_start,
                                        char_end, token_count, content_sha256, confidentiality, created_by)
             SELECT tenant_id, gen_random_uuid(), id, collection_id, 1, 0, $4, '{}', 0, length($4), 20, $6, $5, $1
             FROM docket.documents WHERE id = $2",
        ];
        for statement in sql {
            // Every statement takes the same parameters, used or not.
            let statement = format!(
                "WITH given AS (SELECT $1::uuid, $2::uuid, $3::text, $4::text, $5::text, $6::bytea, $7::text) {statement}"
            );
            let insert = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(self.admin).bind(document).bind(self.title);
            let insert = insert.bind(self.text).bind(self.confidentiality).bind(&hash).bind(self.collection);
            insert.execute(owner).await.unwrap();
        }
        document
    }
}
