//! The port for writing cases: load with the key's stored answer, commit everything or nothing.

use async_trait::async_trait;
use docket_domain::audit::{AuditRecord, ChainHead};
use docket_domain::case::{Case, EventType, LinkKind, RegisterEntry};
use docket_domain::idempotency::{Fingerprint, IdempotencyKey};
use docket_domain::ids::{CaseId, EventId, EvidenceId, LinkId, NoteId, PrincipalId, RegisterEntryId, TenantId};
use docket_domain::job::JobLease;
use serde_json::Value;
use time::OffsetDateTime;

use super::StoreError;
use super::job_store::NewJob;
use crate::application::request::Rendered;

/// A case together with the head of its audit chain.
#[derive(Debug, Clone)]
pub struct StoredCase {
    /// The case.
    pub case: Case,
    /// The end of its chain, which the next record must follow.
    pub head: ChainHead,
}

/// The answer stored under an idempotency key.
#[derive(Debug, Clone)]
pub struct StoredAnswer {
    /// What the first request was.
    pub fingerprint: Fingerprint,
    /// The answer.
    pub rendered: Rendered,
    /// Whether the key counts as new, by the store's clock: whoever asks may have a wrong one.
    pub expired: bool,
}

/// What is known before a write is decided.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The case, whether or not the actor may see it; none when the tenant has no such case.
    pub case: Option<StoredCase>,
    /// The answer stored under the key, expired or not.
    pub answer: Option<StoredAnswer>,
}

/// Whose key.
#[derive(Debug, Clone, Copy)]
pub struct KeyScope<'a> {
    /// The principal that sent it.
    pub principal_id: PrincipalId,
    /// The key.
    pub key: &'a IdempotencyKey,
}

/// The answer to store with the effect.
#[derive(Debug, Clone)]
pub struct AnswerToStore {
    /// The principal that sent the key.
    pub principal_id: PrincipalId,
    /// The key.
    pub key: IdempotencyKey,
    /// What the request was.
    pub fingerprint: Fingerprint,
    /// The answer.
    pub rendered: Rendered,
    /// From when on the key counts as new, by the clock that also says when the act happened. The store takes from it how long
    /// the key lives, and keeps the time itself.
    pub expires_at: OffsetDateTime,
}

/// The event to put into the outbox.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The event's id.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// Thin data: identifiers, states and version, never prose.
    pub data: Value,
    /// The trace that whoever reacts continues.
    pub traceparent: Option<String>,
}

/// What kind of prose a note holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteKind {
    /// A remark.
    Note,
    /// A request for information.
    Question,
    /// Its answer.
    Answer,
}

impl NoteKind {
    /// The name in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Question => "question",
            Self::Answer => "answer",
        }
    }
}

/// A row that hangs on the case and is written with it.
#[derive(Debug, Clone)]
pub enum Attachment {
    /// Prose.
    Note {
        /// Its id.
        id: NoteId,
        /// Its kind.
        kind: NoteKind,
        /// Its text.
        body: String,
    },
    /// A file whose bytes are stored and verified already.
    Evidence {
        /// Its id.
        id: EvidenceId,
        /// SHA-256 of the bytes.
        sha256: [u8; 32],
        /// Their number.
        size_bytes: u64,
        /// Their media type, as detected.
        media_type: String,
        /// The name to show and download under.
        file_name: String,
        /// What it shows.
        description: String,
        /// Whether the bytes came with this request; otherwise the tenant must know the content already.
        fresh: bool,
    },
    /// A link to another case.
    Link {
        /// Its id.
        id: LinkId,
        /// The other case.
        target: CaseId,
        /// How they belong together.
        kind: LinkKind,
        /// Why.
        reason: String,
    },
    /// An answer of the company register.
    RegisterEntry {
        /// Its id.
        id: RegisterEntryId,
        /// The event that led to the look-up; written once for each.
        event_id: EventId,
        /// The answer.
        entry: RegisterEntry,
    },
}

/// How the case row changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChange {
    /// A new row.
    Insert,
    /// State, assignee, deadline and the other members that commands change.
    Lifecycle,
    /// The same, and title, narrative and the other members that an edit changes.
    Fields,
    /// Nothing but the chain's head: a refusal or a read was recorded.
    ChainOnly,
    /// The row goes; its audit trail stays.
    Delete,
}

/// Everything that one act writes. Committed as a whole or not at all.
#[derive(Debug, Clone)]
pub struct CaseWrite {
    /// How the row changes.
    pub change: RowChange,
    /// The case after the act.
    pub case: Case,
    /// The version and chain head that the act was decided on; version 0 for an insert.
    pub decided_on: (u64, ChainHead),
    /// The audit record, which follows that head.
    pub audit: AuditRecord,
    /// Its canonical form, and the head after it.
    pub canonical: String,
    /// The head after the record.
    pub head: ChainHead,
    /// The event, unless nothing changed.
    pub event: Option<NewEvent>,
    /// The answer to remember, when a key came with the request and the answer is terminal.
    pub answer: Option<AnswerToStore>,
    /// Rows that hang on the case.
    pub attachments: Vec<Attachment>,
    /// Jobs that this act causes: they exist if and only if it is committed.
    pub enqueues: Vec<NewJob>,
    /// The job of which this act is the effect: it ends in the same transaction, or the act is not committed.
    pub completes: Option<JobLease>,
}

/// How a commit ended. Everything but `Done` left nothing behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// All of it is durable.
    Done,
    /// The case or its chain moved since it was loaded, or is gone.
    Stale,
    /// Another request with the same key holds it at this moment.
    KeyInFlight,
    /// Another request with the same key committed since the load.
    KeyTaken,
    /// The tenant has a case with this reference already.
    ReferenceTaken,
    /// The case to link to does not exist in the tenant.
    NoSuchTarget,
    /// The same link exists already.
    LinkExists,
    /// The content to attach is not known (any more).
    NoSuchContent,
    /// The event's answer of the register is written already.
    EntryExists,
    /// Another worker has the job that the act was the effect of.
    LeaseLost,
}

/// Loads and commits cases.
///
/// Contract: `load` and `commit` each see only the given tenant. `commit` is atomic and durable when it returns
/// [`Commit::Done`]; it succeeds only if version and chain head are still those in `decided_on`; it never waits for
/// another holder of the same key. A cancelled or failed `commit` may or may not have taken effect: the caller finds out
/// by loading again with the same key. To add an implementation: pass `tests/application/case_store_contract.rs`.
#[async_trait]
pub trait CaseStore: Send + Sync + 'static {
    /// The case and the answer stored under the key, in one consistent view.
    async fn load(&self, tenant: TenantId, case: CaseId, key: Option<KeyScope<'_>>) -> Result<Loaded, StoreError>;
    /// The answer stored under the key, before a case exists.
    async fn load_answer(&self, tenant: TenantId, key: KeyScope<'_>) -> Result<Option<StoredAnswer>, StoreError>;
    /// Whether the tenant has this principal and its credentials are accepted: nobody else can be given a case.
    async fn is_assignable(&self, tenant: TenantId, principal: PrincipalId) -> Result<bool, StoreError>;
    /// Whether a link of this kind leads from the case to the target.
    async fn is_linked(
        &self,
        tenant: TenantId,
        case: CaseId,
        target: CaseId,
        kind: LinkKind,
    ) -> Result<bool, StoreError>;
    /// Forgets an answer that has expired by the store's clock, so that its key can be used anew.
    async fn forget_expired(&self, tenant: TenantId, key: KeyScope<'_>) -> Result<(), StoreError>;
    /// Commits one act.
    async fn commit(&self, write: &CaseWrite) -> Result<Commit, StoreError>;
}
