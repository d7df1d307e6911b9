//! What the handlers share: the use cases' parts, put together by the composition root.

use std::sync::Arc;

use super::cursor::CursorSigner;
use super::event_stream::Streams;
use super::rate_limits::RateLimits;
use crate::application::cases::CaseWriting;
use crate::application::jobs::Registry;
use crate::application::knowledge::answering::Answering;
use crate::application::knowledge::library::Library;
use crate::application::knowledge::search::SearchPassages;
use crate::application::ports::{
    AuditStore, BlobStore, CaseReader, Clock, DocumentFetcher, EventFeed, EvidenceIndex, JobStore, RegisterEntries,
    Signer,
};
use crate::application::tenancy::{Authenticator, TenancyWriting};
use crate::application::webhooks::DeliveryDesk;

/// Shared by all requests of a process; cloning costs one reference count.
#[derive(Clone)]
pub struct ApiState(Arc<ApiParts>);

/// The parts.
pub struct ApiParts {
    /// Every write of a case.
    pub writing: CaseWriting,
    /// Reading cases.
    pub cases: Arc<dyn CaseReader>,
    /// The audit trail.
    pub audit: Arc<dyn AuditStore>,
    /// Signs and verifies checkpoints.
    pub signer: Arc<dyn Signer>,
    /// The bytes of evidence.
    pub blobs: Arc<dyn BlobStore>,
    /// What the database knows of them.
    pub evidence: Arc<dyn EvidenceIndex>,
    /// Largest evidence file, in bytes.
    pub max_evidence_bytes: u64,
    /// What the company register said of cases.
    pub register_entries: Arc<dyn RegisterEntries>,
    /// Committed events.
    pub events: Arc<dyn EventFeed>,
    /// Streams of them that are open.
    pub streams: Streams,
    /// Jobs of a tenant.
    pub jobs: Arc<dyn JobStore>,
    /// Documents.
    pub library: Library,
    /// Fetches documents by their addresses.
    pub fetcher: Arc<dyn DocumentFetcher>,
    /// The kinds of jobs there are.
    pub job_kinds: Registry,
    /// Finding passages.
    pub search: Arc<SearchPassages>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Tenants, principals and keys.
    pub tenancy: TenancyWriting,
    /// Webhook endpoints and what waits to be delivered.
    pub deliveries: DeliveryDesk,
    /// Answers from documents.
    pub answering: Answering,
    /// Who is asking.
    pub authenticator: Arc<Authenticator>,
    /// How much each may ask.
    pub limits: RateLimits,
    /// Signs page cursors.
    pub cursors: CursorSigner,
    /// Where clients reach this service, without a trailing slash.
    pub public_url: String,
    /// Page size when the client names none.
    pub page_size_default: u32,
    /// Largest page size; larger ones are coerced.
    pub page_size_max: u32,
}

impl ApiState {
    /// Shares the parts.
    pub fn new(parts: ApiParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl std::ops::Deref for ApiState {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0
    }
}
