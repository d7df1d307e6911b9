//! Ports: what the use cases need from the outside, one trait per file, each with its contract.

pub mod answer_store;
pub mod audit_store;
pub mod blob_store;
pub mod bulk_store;
pub mod calendar_store;
pub mod case_reader;
pub mod case_store;
pub mod chunk_store;
pub mod clock;
pub mod company_register;
pub mod deadline_watch;
pub mod delivery_log;
pub mod document_fetcher;
pub mod document_parser;
pub mod document_store;
pub mod embedder;
pub mod event_feed;
pub mod event_sink;
pub mod evidence_index;
pub mod health;
pub mod housekeeping;
pub mod identity_admission;
pub mod job_queue;
pub mod job_store;
pub mod key_store;
pub mod keyword_index;
pub mod language_model;
pub mod passage_index;
pub mod plugins;
pub mod randomness;
pub mod register_entries;
pub mod relay_store;
pub mod secret_sealer;
pub mod signer;
pub mod tenancy_store;
pub mod token_verifier;
pub mod usage_ledger;
pub mod vector_origin;
pub mod wakeup_channel;
pub mod webhook_sender;

pub use answer_store::AnswerStore;
pub use audit_store::AuditStore;
pub use blob_store::BlobStore;
pub use bulk_store::BulkStore;
pub use calendar_store::CalendarStore;
pub use case_reader::CaseReader;
pub use case_store::CaseStore;
pub use chunk_store::ChunkStore;
pub use clock::Clock;
pub use company_register::CompanyRegister;
pub use deadline_watch::DeadlineWatch;
pub use delivery_log::DeliveryLog;
pub use document_fetcher::DocumentFetcher;
pub use document_parser::DocumentParser;
pub use document_store::DocumentStore;
pub use embedder::Embedder;
pub use event_feed::EventFeed;
pub use event_sink::EventSink;
pub use evidence_index::EvidenceIndex;
pub use health::{HealthProbe, ProbeState};
pub use housekeeping::Housekeeping;
pub use identity_admission::IdentityAdmission;
pub use job_queue::JobQueue;
pub use job_store::JobStore;
pub use key_store::KeyStore;
pub use keyword_index::{KeywordFeed, KeywordIndex};
pub use language_model::LanguageModel;
pub use passage_index::PassageIndex;
pub use plugins::Plugins;
pub use randomness::Randomness;
pub use register_entries::RegisterEntries;
pub use relay_store::RelayStore;
pub use secret_sealer::SecretSealer;
pub use signer::Signer;
pub use tenancy_store::TenancyStore;
pub use token_verifier::TokenVerifier;
pub use usage_ledger::UsageLedger;
pub use vector_origin::VectorOrigin;
pub use wakeup_channel::WakeupChannel;
pub use webhook_sender::WebhookSender;

/// A store could not do its work. The cause is kept for the log and never shown to a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be reached or is overloaded; the same request may succeed later (503).
    #[error("the store is not available at the moment")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store is out of space (507).
    #[error("the store has no space left")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something that should not happen (500).
    #[error("the store failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// An internal failure with its cause.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// The same failure once more, for another request that it struck too.
    #[must_use]
    pub fn again(&self) -> Self {
        let (kind, cause): (fn(_) -> Self, _) = match self {
            Self::Unavailable(cause) => (Self::Unavailable, cause),
            Self::Full(cause) => (Self::Full, cause),
            Self::Internal(cause) => (Self::Internal, cause),
        };
        kind(cause.to_string().into())
    }
}
