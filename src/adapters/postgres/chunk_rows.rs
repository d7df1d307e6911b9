//! Writing passages: one statement for as many as fit, all values in arrays.

use docket_domain::ids::TenantId;
use sqlx::PgConnection;

use super::document_row::integer;
use crate::application::ports::document_store::NewChunk;

/// Passages of one statement: embeddings go as text, about 4 kB each.
const BATCH: usize = 500;

/// Inserts passages; the tenant is set already.
pub(super) async fn insert_chunks(
    connection: &mut PgConnection,
    tenant: TenantId,
    chunks: &[NewChunk],
) -> Result<(), sqlx::Error> {
    for batch in chunks.chunks(BATCH) {
        insert(connection, tenant, batch).await?;
    }
    Ok(())
}

async fn insert(connection: &mut PgConnection, tenant: TenantId, batch: &[NewChunk]) -> Result<(), sqlx::Error> {
    let Some(first) = batch.first().map(|new| &new.chunk) else { return Ok(()) };
    let column = |value: fn(&NewChunk) -> i32| batch.iter().map(value).collect::<Vec<_>>();
    let optional = |value: fn(&NewChunk) -> Option<i32>| batch.iter().map(value).collect::<Vec<_>>();
    let ids: Vec<_> = batch.iter().map(|new| new.chunk.id.0).collect();
    let texts: Vec<_> = batch.iter().map(|new| new.chunk.text.clone()).collect();
    // Arrays of arrays must be rectangular in PostgreSQL: each path goes as the text of an array in JSON.
    let headings: Vec<_> = batch.iter().map(|new| serde_json::json!(new.chunk.heading_path).to_string()).collect();
    let hashes: Vec<_> = batch.iter().map(|new| new.chunk.content_sha256.to_vec()).collect();
    let embeddings: Vec<_> = batch.iter().map(|new| new.embedding.as_deref().map(vector_text)).collect();
    sqlx::query!(
        "INSERT INTO docket.chunks
             (tenant_id, id, document_id, collection_id, generation, ordinal, text, heading_path, page_from, page_to,
              char_start, char_end, token_count, content_sha256, embedding, confidentiality, created_by)
         SELECT $1, n.id, $2, $3, $4, n.ordinal, n.text,
                ARRAY(SELECT json_array_elements_text(n.headings::json)), n.page_from, n.page_to,
                n.char_start, n.char_end, n.token_count, n.content_sha256, n.embedding::vector(384), $5, $6
         FROM unnest($7::uuid[], $8::integer[], $9::text[], $10::text[], $11::integer[], $12::integer[], $13::integer[],
                     $14::integer[], $15::integer[], $16::bytea[], $17::text[])
              AS n (id, ordinal, text, headings, page_from, page_to, char_start, char_end, token_count, content_sha256,
                    embedding)",
        tenant.0,
        first.document_id.0,
        first.collection_id.0,
        integer(first.generation),
        first.confidentiality.as_str(),
        first.created_by.0,
        &ids,
        &column(|new| integer(new.chunk.ordinal)),
        &texts,
        &headings,
        &optional(|new| new.chunk.page_from.map(integer)) as &[Option<i32>],
        &optional(|new| new.chunk.page_to.map(integer)) as &[Option<i32>],
        &column(|new| integer(new.chunk.char_start)),
        &column(|new| integer(new.chunk.char_end)),
        &column(|new| integer(new.chunk.token_count)),
        &hashes,
        &embeddings as &[Option<String>]
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What pgvector reads.
pub(super) fn vector_text(values: &[f32]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(values.len() * 10 + 2);
    text.push('[');
    for (index, value) in values.iter().enumerate() {
        let _ = write!(text, "{}{value}", if index == 0 { "" } else { "," });
    }
    text.push(']');
    text
}
