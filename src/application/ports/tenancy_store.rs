//! The port for tenants, principals and API keys: read them, and commit one administrative act as a whole.

use async_trait::async_trait;
use docket_domain::audit::{AuditRecord, ChainHead};
use docket_domain::budget::TenantBudget;
use docket_domain::calendar::TenantCalendar;
use docket_domain::document::{Collection, Document};
use docket_domain::ids::{ApiKeyId, CaseId, DestinationId, DocumentId, EndpointId, JobId, PrincipalId, TenantId};
use docket_domain::job::JobKind;
use docket_domain::tenancy::{ApiKey, Principal, Tenant};
use docket_domain::webhook::Endpoint;
use time::OffsetDateTime;
use uuid::Uuid;

use super::StoreError;
use super::case_store::{AnswerToStore, KeyScope, StoredAnswer};
use super::delivery_log::LaneFilter;
use super::job_store::NewJob;

/// One change of a tenant's rows.
#[derive(Debug, Clone)]
pub enum Effect {
    /// A new tenant; only on a chain that begins with this act.
    CreateTenant(Tenant),
    /// The tenant of the chain is suspended or resumed.
    SetSuspended(bool),
    /// A new principal.
    CreatePrincipal(Principal),
    /// Display name, roles and disabled of a principal change; the last write wins.
    UpdatePrincipal(Principal),
    /// The roles of a principal are those of a token that was issued then.
    NoteRolesIssued(PrincipalId, OffsetDateTime),
    /// A new key.
    CreateKey {
        /// The key.
        key: ApiKey,
        /// SHA-256 of its secret.
        secret_hash: [u8; 32],
    },
    /// Expiry and revocation of a key change.
    EndKey(ApiKey),
    /// Another working-day calendar.
    SetCalendar(TenantCalendar),
    /// Another budget for models.
    SetBudget(TenantBudget),
    /// A new job; the act is decided anew when its unique key was taken meanwhile.
    EnqueueJob(NewJob),
    /// A waiting job ends, a running one is asked to; the act is decided anew when it ended meanwhile.
    CancelJob {
        /// The job.
        id: JobId,
        /// Whether it ran when the act was decided.
        running: bool,
    },
    /// A dead letter goes back into the queue; the act is decided anew when it is none any more.
    RedriveJob(JobId),
    /// Up to so many dead letters of a kind go back into the queue.
    RedriveKind(JobKind, u32),
    /// Something about deliveries changes.
    Delivery(DeliveryEffect),
    /// A document or a collection changes; the act is decided anew when another came in between.
    Document(Box<DocumentEffect>),
}

/// One change of documents.
#[derive(Debug, Clone)]
pub enum DocumentEffect {
    /// A new collection.
    CreateCollection(Collection),
    /// A new document; its bytes are kept already.
    Create(Document),
    /// A document waits to be read anew, as its next version.
    Replace(Document),
    /// A document goes, with everything that was read in it.
    Delete(DocumentId),
}

/// One change about webhook endpoints and waiting deliveries.
#[derive(Debug, Clone)]
pub enum DeliveryEffect {
    /// A new endpoint with its first secret.
    CreateEndpoint {
        /// The endpoint.
        endpoint: Endpoint,
        /// The secret's id.
        secret_id: Uuid,
        /// The secret, sealed.
        sealed: Vec<u8>,
    },
    /// Name, URL, types and state of an endpoint change; the last write wins.
    UpdateEndpoint(Endpoint),
    /// An endpoint goes, with what waits for it.
    DeleteEndpoint(EndpointId),
    /// An endpoint gets a new secret; the one before stays live for a while, older ones end.
    RotateSecret {
        /// The endpoint.
        endpoint: EndpointId,
        /// The new secret's id.
        secret_id: Uuid,
        /// The new secret, sealed.
        sealed: Vec<u8>,
        /// When.
        now: OffsetDateTime,
        /// Until when the one before is live.
        previous_until: OffsetDateTime,
    },
    /// Events of a time range are sent to an endpoint again.
    Replay {
        /// The endpoint.
        endpoint: EndpointId,
        /// From this time on.
        from: OffsetDateTime,
        /// Before this time.
        until: OffsetDateTime,
    },
    /// Dead lanes are tried again.
    Redrive(LaneFilter),
    /// The head of a lane is given up for good, if it is still this one.
    SkipHead {
        /// The lane's destination.
        destination: DestinationId,
        /// The lane's case.
        case_id: CaseId,
        /// The head's place in the case.
        sequence: u64,
    },
}

/// Everything that one administrative act writes. Committed as a whole or not at all.
#[derive(Debug, Clone)]
pub struct TenancyWrite {
    /// The tenant on whose rows and chain the act is.
    pub tenant_id: TenantId,
    /// The tenant whose administrator acts: the same, or the platform.
    pub acting_tenant: TenantId,
    /// The head of the tenant's chain that the act was decided on.
    pub decided_on: ChainHead,
    /// What changes, in this order.
    pub effects: Vec<Effect>,
    /// The record, which follows that head.
    pub audit: AuditRecord,
    /// Its canonical form.
    pub canonical: String,
    /// The head after it.
    pub head: ChainHead,
    /// The answer to remember, without secrets, kept for the acting tenant.
    pub answer: Option<AnswerToStore>,
}

/// How a commit ended. Everything but `Done` left nothing behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenancyCommit {
    /// All of it is durable.
    Done,
    /// The tenant's chain moved since it was loaded.
    Stale,
    /// Another request with the same key holds it at this moment.
    KeyInFlight,
    /// Another request with the same key committed since the load.
    KeyTaken,
    /// There is a tenant of this name.
    NameTaken,
}

/// Reads and writes tenants, principals and keys.
///
/// Contract: every method sees only the given tenant; the platform sees all tenants, but no tenant's principals or keys.
/// `commit` is atomic and durable when it returns [`TenancyCommit::Done`] and succeeds only if the chain's head is still
/// `decided_on`, so that what an act recorded as "before" was so. Lists are in the order of ids, begin after
/// `after` and hold at most `limit`. To add an implementation: pass the tests in `tests/tenancy.rs`.
#[async_trait]
pub trait TenancyStore: Send + Sync + 'static {
    /// The answer stored under a key.
    async fn load_answer(&self, tenant: TenantId, key: KeyScope<'_>) -> Result<Option<StoredAnswer>, StoreError>;
    /// Forgets the answer under a key if it has expired.
    async fn forget_expired(&self, tenant: TenantId, key: KeyScope<'_>) -> Result<(), StoreError>;
    /// A tenant with the head of its chain; `seen_by` must be it or the platform.
    async fn tenant(&self, seen_by: TenantId, id: TenantId) -> Result<Option<(Tenant, ChainHead)>, StoreError>;
    /// The tenant of this name, whoever asks.
    async fn tenant_named(&self, name: &str) -> Result<Option<Tenant>, StoreError>;
    /// All tenants but the platform.
    async fn tenants(&self, after: Option<Uuid>, limit: u32) -> Result<Vec<Tenant>, StoreError>;
    /// A principal.
    async fn principal(&self, tenant: TenantId, id: PrincipalId) -> Result<Option<Principal>, StoreError>;
    /// When the token was issued whose roles a principal has; none if no token set them.
    async fn roles_issued_at(&self, tenant: TenantId, id: PrincipalId) -> Result<Option<OffsetDateTime>, StoreError>;
    /// The tenant's principals.
    async fn principals(&self, tenant: TenantId, after: Option<Uuid>, limit: u32)
    -> Result<Vec<Principal>, StoreError>;
    /// A key, live or not.
    async fn key(&self, tenant: TenantId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;
    /// The tenant's keys, or those of one principal.
    async fn keys(
        &self,
        tenant: TenantId,
        principal: Option<PrincipalId>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError>;
    /// Commits one act.
    async fn commit(&self, write: &TenancyWrite) -> Result<TenancyCommit, StoreError>;
}
