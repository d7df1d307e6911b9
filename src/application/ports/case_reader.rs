//! The port for reading cases: single, listed, searched, and what hangs on them.

use async_trait::async_trait;
use docket_domain::case::visibility::Sight;
use docket_domain::case::{Case, Confidentiality, LinkKind, Severity, State};
use docket_domain::ids::{CaseId, EvidenceId, LinkId, NoteId, PrincipalId, TenantId};
use time::OffsetDateTime;

use super::StoreError;
use super::case_store::{NoteKind, StoredCase};

/// Who looks: what the SQL form of the visibility predicate needs.
#[derive(Debug, Clone, Copy)]
pub struct Viewer {
    /// The tenant looked at.
    pub tenant_id: TenantId,
    /// Who looks.
    pub principal_id: PrincipalId,
    /// What the roles let it see.
    pub sight: Sight,
}

/// What cases to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CaseFilter {
    /// In one of these states; empty for any.
    pub states: Vec<State>,
    /// Of one of these severities; empty for any.
    pub severities: Vec<Severity>,
    /// Of one of these confidentialities; empty for any.
    pub confidentialities: Vec<Confidentiality>,
    /// With this assignee.
    pub assignee_id: Option<PrincipalId>,
    /// With this reporter.
    pub reporter_id: Option<PrincipalId>,
    /// Of exactly this case type.
    pub case_type: Option<String>,
    /// With exactly this reference.
    pub reference: Option<String>,
    /// Opened at or after.
    pub opened_from: Option<OffsetDateTime>,
    /// Opened before.
    pub opened_before: Option<OffsetDateTime>,
    /// Due before (open cases only).
    pub due_before: Option<OffsetDateTime>,
    /// Overdue at this instant: undecided, and past the deadline before the clock stopped, if it did.
    pub overdue_at: Option<OffsetDateTime>,
    /// Words to find in title, respondent and narrative (PostgreSQL `websearch_to_tsquery` syntax). They are stemmed as English,
    /// which a reference is not: of it only parts without an English word are found.
    pub text: Option<String>,
}

/// The order of a list; the id breaks ties, in the same direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CaseSort {
    /// Latest opened first.
    #[default]
    OpenedDescending,
    /// Earliest opened first.
    OpenedAscending,
    /// Most pressing deadline first; only open cases that have one.
    DueAscending,
}

/// Where the page before ended: the sort key and id of its last case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// `opened_at` or `due_at`, by the sort.
    pub at: OffsetDateTime,
    /// The id.
    pub id: CaseId,
}

/// A note as read.
#[derive(Debug, Clone)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// Its kind.
    pub kind: NoteKind,
    /// Who wrote it.
    pub author_id: PrincipalId,
    /// Its text.
    pub body: String,
    /// When.
    pub created_at: OffsetDateTime,
}

/// An attachment as read.
#[derive(Debug, Clone)]
pub struct EvidenceItem {
    /// Its id.
    pub id: EvidenceId,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// Their number.
    pub size_bytes: u64,
    /// Their media type, as detected.
    pub media_type: String,
    /// The name to show.
    pub file_name: String,
    /// What it shows.
    pub description: String,
    /// Who attached it.
    pub added_by: PrincipalId,
    /// When.
    pub created_at: OffsetDateTime,
}

/// A link as read; only links whose other end the viewer may see are given.
#[derive(Debug, Clone)]
pub struct LinkItem {
    /// Its id.
    pub id: LinkId,
    /// The case it starts from.
    pub case_id: CaseId,
    /// The case it leads to.
    pub target_case_id: CaseId,
    /// How they belong together.
    pub kind: LinkKind,
    /// Why.
    pub reason: String,
    /// Who linked them.
    pub created_by: PrincipalId,
    /// When.
    pub created_at: OffsetDateTime,
}

/// Reads cases.
///
/// Contract: every method sees only the viewer's tenant, and `list`, `count` and `links` apply the visibility predicate
/// of `docket_domain::case::visibility` in the store itself. `get` does not: its caller applies the predicate, because a
/// refused read is recorded. Lists are in the order asked for, without gaps or repeats across pages while nothing changes.
#[async_trait]
pub trait CaseReader: Send + Sync + 'static {
    /// One case with its chain head.
    async fn get(&self, tenant: TenantId, case: CaseId) -> Result<Option<StoredCase>, StoreError>;
    /// A page of at most `limit` cases after `after`.
    async fn list(
        &self,
        viewer: Viewer,
        filter: &CaseFilter,
        sort: CaseSort,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<Case>, StoreError>;
    /// How many cases the list has in this order, which may leave some out.
    async fn count(&self, viewer: Viewer, filter: &CaseFilter, sort: CaseSort) -> Result<u64, StoreError>;
    /// Notes of a case after a note, oldest first.
    async fn notes(
        &self,
        tenant: TenantId,
        case: CaseId,
        after: Option<NoteId>,
        limit: u32,
    ) -> Result<Vec<Note>, StoreError>;
    /// Attachments of a case after one of them, oldest first.
    async fn evidence(
        &self,
        tenant: TenantId,
        case: CaseId,
        after: Option<EvidenceId>,
        limit: u32,
    ) -> Result<Vec<EvidenceItem>, StoreError>;
    /// Links of a case in both directions after a link, oldest first.
    async fn links(
        &self,
        viewer: Viewer,
        case: CaseId,
        after: Option<LinkId>,
        limit: u32,
    ) -> Result<Vec<LinkItem>, StoreError>;
}
