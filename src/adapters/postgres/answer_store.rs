//! Answers in PostgreSQL: claims under a lease, results under a fencing token, and judgments.

use async_trait::async_trait;
use docket_domain::case::{Confidentiality, visibility::Sight};
use docket_domain::ids::{PrincipalId, TenantId};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::error::{store_error, unreadable};
use super::housekeeping::interval;
use crate::application::ports::StoreError;
use crate::application::ports::answer_store::{
    AnswerClaim, AnswerStore, Claimed, Feedback, Finished, FinishedAnswer, JudgedAnswer, KeptAnswer,
};

/// [`AnswerStore`] on PostgreSQL, by the functions and tables of `migrations/0023_answers.sql`.
#[derive(Debug, Clone)]
pub struct PgAnswerStore {
    pool: PgPool,
}

impl PgAnswerStore {
    /// A store on a pool of [`super::connect`].
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}

fn kept(id: Uuid, principal: Uuid, body: String, confidentiality: &str) -> Result<KeptAnswer, StoreError> {
    let confidentiality: Confidentiality = confidentiality.parse().map_err(unreadable)?;
    Ok(KeptAnswer { id, principal_id: PrincipalId(principal), body, confidentiality })
}

#[async_trait]
impl AnswerStore for PgAnswerStore {
    #[tracing::instrument(name = "SELECT claim_answer", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "SELECT", db.stored_procedure.name = "claim_answer"))]
    async fn claim(&self, tenant: TenantId, claim: &AnswerClaim<'_>) -> Result<Claimed, StoreError> {
        let row = sqlx::query!(
            r#"SELECT verdict AS "verdict!", id, token, body, confidentiality
               FROM docket.claim_answer($1, $2, $3, $4, $5, $6, $7, $8, $9)"#,
            tenant.0,
            claim.id,
            claim.principal_id.0,
            &claim.key_hash[..],
            &claim.fingerprint.0[..],
            claim.question,
            claim.now,
            interval(claim.lease),
            interval(claim.key_lifetime)
        );
        let row = row.fetch_one(&self.pool).await.map_err(store_error)?;
        Ok(match (row.verdict.as_str(), row.id, row.token, row.body, row.confidentiality) {
            ("mine", Some(id), Some(token), ..) => Claimed::Mine { id, token },
            ("done", Some(id), _, Some(body), Some(confidentiality)) => {
                Claimed::Done(Box::new(kept(id, claim.principal_id.0, body, &confidentiality)?))
            }
            ("key_reused", ..) => Claimed::KeyReused,
            _ => Claimed::InFlight,
        })
    }

    /// The documents are locked as a foreign key would lock them: a deletion under way is waited for, and one that comes later waits
    /// for this, so that its trigger sees the answer.
    #[tracing::instrument(name = "UPDATE answers", skip_all, fields(otel.kind = "client", db.system.name = "postgresql", db.operation.name = "UPDATE", db.collection.name = "answers"))]
    async fn finish(&self, tenant: TenantId, answer: &FinishedAnswer) -> Result<Finished, StoreError> {
        let done = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready),
               sources AS MATERIALIZED (
                   SELECT id FROM docket.documents
                   WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND id = ANY ($6)
                   ORDER BY id FOR KEY SHARE),
               kept AS (
                   UPDATE docket.answers
                   SET state = 'done', body = $4::text::json, confidentiality = $5, document_ids = $6, finished_at = $7
                   WHERE (SELECT ready FROM context) AND (SELECT count(*) FROM sources) = cardinality($6::uuid[])
                     AND tenant_id = $1::text::uuid AND id = $2 AND lease_token = $3 AND state = 'running'
                   RETURNING id)
               SELECT (SELECT count(*) FROM sources) = cardinality($6::uuid[]) AS "whole!",
                      EXISTS (SELECT FROM kept) AS "kept!""#,
            tenant.to_string(),
            answer.id,
            answer.token,
            answer.body,
            answer.confidentiality.as_str(),
            &answer.document_ids,
            answer.now
        );
        let done = done.fetch_one(&self.pool).await.map_err(store_error)?;
        Ok(match (done.kept, done.whole) {
            (true, _) => Finished::Kept,
            (false, true) => Finished::LeaseLost,
            (false, false) => Finished::SourcesGone,
        })
    }

    async fn give_up(&self, tenant: TenantId, id: Uuid, token: i64, cancelled: bool) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             UPDATE docket.answers SET state = $4, key_hash = NULL, finished_at = clock_timestamp()
             WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND id = $2 AND lease_token = $3
               AND state = 'running'",
            tenant.to_string(),
            id,
            token,
            if cancelled { "cancelled" } else { "failed" }
        );
        Ok(done.execute(&self.pool).await.map_err(store_error)?.rows_affected() == 1)
    }

    async fn get(&self, tenant: TenantId, id: Uuid) -> Result<Option<KeptAnswer>, StoreError> {
        let row = sqlx::query!(
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
               SELECT principal_id, body::text AS "body!", confidentiality AS "confidentiality!" FROM docket.answers
               WHERE (SELECT ready FROM context) AND tenant_id = $1::text::uuid AND id = $2 AND state = 'done'"#,
            tenant.to_string(),
            id
        );
        let row = row.fetch_optional(&self.pool).await.map_err(store_error)?;
        row.map(|row| kept(id, row.principal_id, row.body, &row.confidentiality)).transpose()
    }

    async fn judge(&self, tenant: TenantId, feedback: &Feedback) -> Result<(), StoreError> {
        sqlx::query!(
            "WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
             INSERT INTO docket.answer_feedback (tenant_id, answer_id, principal_id, citation, helpful, comment, created_at)
             SELECT $1::text::uuid, $2, $3, $4, $5, $6, $7 FROM context WHERE ready
             ON CONFLICT (tenant_id, answer_id, principal_id, citation)
             DO UPDATE SET helpful = excluded.helpful, comment = excluded.comment, created_at = excluded.created_at",
            tenant.to_string(),
            feedback.answer_id,
            feedback.principal_id.0,
            i16::try_from(feedback.citation).unwrap_or(i16::MAX),
            feedback.helpful,
            feedback.comment.as_deref(),
            feedback.now
        )
        .execute(&self.pool)
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn judged(
        &self,
        tenant: TenantId,
        sight: Sight,
        after: Option<(Uuid, PrincipalId, u16)>,
        limit: u32,
    ) -> Result<Vec<JudgedAnswer>, StoreError> {
        let covered = Confidentiality::ALL.iter().filter(|kind| sight.covers(**kind));
        let covered: Vec<String> = covered.map(|kind| kind.as_str().to_owned()).collect();
        let (answer, principal, citation) = after.unwrap_or((Uuid::nil(), PrincipalId(Uuid::nil()), 0));
        let rows = sqlx::query_as!(
            JudgedRow,
            r#"WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)
               SELECT f.answer_id, f.principal_id, f.citation, f.helpful, f.comment, f.created_at,
                      a.question, a.body::text AS "body!"
               FROM docket.answer_feedback f JOIN docket.answers a ON a.tenant_id = f.tenant_id AND a.id = f.answer_id
               WHERE (SELECT ready FROM context) AND f.tenant_id = $1::text::uuid AND a.state = 'done'
                 AND a.confidentiality = ANY ($6) AND (f.answer_id, f.principal_id, f.citation) > ($2, $3, $4)
               ORDER BY f.answer_id, f.principal_id, f.citation LIMIT $5"#,
            tenant.to_string(),
            answer,
            principal.0,
            // Nothing comes before citation 0 of the nil answer.
            i16::try_from(citation).unwrap_or(i16::MAX),
            i64::from(limit),
            &covered
        );
        let rows = rows.fetch_all(&self.pool).await.map_err(store_error)?;
        Ok(rows.into_iter().map(JudgedRow::read).collect())
    }

    async fn purge(&self, age: Duration, limit: u32) -> Result<u64, StoreError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let gone = sqlx::query_scalar!(r#"SELECT docket.purge_answers($1, $2) AS "gone!""#, interval(age), limit);
        let gone = gone.fetch_one(&self.pool).await.map_err(store_error)?;
        Ok(u64::try_from(gone).unwrap_or_default())
    }
}

struct JudgedRow {
    answer_id: Uuid,
    principal_id: Uuid,
    citation: i16,
    helpful: bool,
    comment: Option<String>,
    created_at: OffsetDateTime,
    question: String,
    body: String,
}

impl JudgedRow {
    fn read(self) -> JudgedAnswer {
        let feedback = Feedback {
            answer_id: self.answer_id,
            principal_id: PrincipalId(self.principal_id),
            citation: u16::try_from(self.citation).unwrap_or_default(),
            helpful: self.helpful,
            comment: self.comment,
            now: self.created_at,
        };
        JudgedAnswer { question: self.question, body: self.body, feedback }
    }
}
