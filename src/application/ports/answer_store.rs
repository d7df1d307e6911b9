//! The port that keeps answers: who is working on one, what came out, and what readers thought of it.

use async_trait::async_trait;
use docket_domain::case::{Confidentiality, visibility::Sight};
use docket_domain::idempotency::Fingerprint;
use docket_domain::ids::{PrincipalId, TenantId};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::StoreError;

/// A question that is about to be worked on.
#[derive(Debug, Clone)]
pub struct AnswerClaim<'a> {
    /// The id of the answer, if it becomes one.
    pub id: Uuid,
    /// Who asks.
    pub principal_id: PrincipalId,
    /// SHA-256 of the idempotency key.
    pub key_hash: [u8; 32],
    /// What the request was.
    pub fingerprint: Fingerprint,
    /// The question.
    pub question: &'a str,
    /// When.
    pub now: OffsetDateTime,
    /// How long the work may take before somebody else may take it over.
    pub lease: Duration,
    /// How long a key is remembered.
    pub key_lifetime: Duration,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// The caller works on it, under this token.
    Mine {
        /// The answer's id: of the claim, or of the one that was taken over.
        id: Uuid,
        /// What the work must name at its end.
        token: i64,
    },
    /// It was done before.
    Done(Box<KeptAnswer>),
    /// Somebody is working on it.
    InFlight,
    /// The key was used for another request.
    KeyReused,
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Its id.
    pub id: Uuid,
    /// Who asked.
    pub principal_id: PrincipalId,
    /// What it was sent as: JSON.
    pub body: String,
    /// The most confidential of what it was made from.
    pub confidentiality: Confidentiality,
}

/// An answer that is done.
#[derive(Debug, Clone)]
pub struct FinishedAnswer {
    /// Its id.
    pub id: Uuid,
    /// The token of the claim.
    pub token: i64,
    /// JSON.
    pub body: String,
    /// The most confidential of what it was made from.
    pub confidentiality: Confidentiality,
    /// The documents it was made from.
    pub document_ids: Vec<Uuid>,
    /// When.
    pub now: OffsetDateTime,
}

/// What became of the result of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// It is stored.
    Kept,
    /// The token was not the current one.
    LeaseLost,
    /// A document that it was made from is no longer there.
    SourcesGone,
}

/// What a reader thought of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// The answer.
    pub answer_id: Uuid,
    /// Who says so.
    pub principal_id: PrincipalId,
    /// 0 for the answer as a whole, else one of its citations, from 1.
    pub citation: u16,
    /// The judgment.
    pub helpful: bool,
    /// In words.
    pub comment: Option<String>,
    /// When.
    pub now: OffsetDateTime,
}

/// Feedback with the answer it is about: a case for an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedAnswer {
    /// The question.
    pub question: String,
    /// The answer as it was sent.
    pub body: String,
    /// What was thought of it.
    pub feedback: Feedback,
}

/// Keeps answers of a tenant.
///
/// Contract: of several claims with one key of one principal, exactly one is `Mine` until its lease is over; a later claim
/// takes the lease over with a larger token, and from then on the older token ends nothing. A key older than its lifetime
/// counts as new. `give_up` is false when the token is not the current one. `finish` stores nothing that was made from a document
/// which is gone, and an answer that it stored goes with the first of its documents that is deleted, also with one that is being
/// deleted meanwhile.
#[async_trait]
pub trait AnswerStore: Send + Sync + 'static {
    /// Claims a question.
    async fn claim(&self, tenant: TenantId, claim: &AnswerClaim<'_>) -> Result<Claimed, StoreError>;

    /// Stores the result of the claim.
    async fn finish(&self, tenant: TenantId, answer: &FinishedAnswer) -> Result<Finished, StoreError>;

    /// Ends a claim without a result and frees its key: the same request may be sent again.
    async fn give_up(&self, tenant: TenantId, id: Uuid, token: i64, cancelled: bool) -> Result<bool, StoreError>;

    /// An answer that is done; none when there is none of this id.
    async fn get(&self, tenant: TenantId, id: Uuid) -> Result<Option<KeptAnswer>, StoreError>;

    /// Keeps a judgment; a later one of the same reader on the same thing replaces it.
    async fn judge(&self, tenant: TenantId, feedback: &Feedback) -> Result<(), StoreError>;

    /// Judgments with their answers, by answer, reader and citation, after a place; only of answers made from what `sight`
    /// covers.
    async fn judged(
        &self,
        tenant: TenantId,
        sight: Sight,
        after: Option<(Uuid, PrincipalId, u16)>,
        limit: u32,
    ) -> Result<Vec<JudgedAnswer>, StoreError>;

    /// Removes answers older than `age`, up to `limit`; how many went.
    async fn purge(&self, age: Duration, limit: u32) -> Result<u64, StoreError>;
}
