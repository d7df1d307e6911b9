//! PostgreSQL: the only module that knows SQL.
//!
//! Every statement that touches a tenant's rows begins with
//! `WITH context AS MATERIALIZED (SELECT set_config('docket.tenant', $1, true) IS NOT NULL AS ready)` and is gated by
//! `WHERE (SELECT ready FROM context)`. The planner turns the gate into a one-time filter above the scans, so the setting
//! is in place before row-level security asks for it, in the same round trip and the same implicit transaction. Were the
//! order ever different, the policies would see no tenant and the statement no rows: it fails closed.

pub mod answer_store;
mod assignees;
pub mod audit_store;
pub mod bulk_columns;
pub mod bulk_store;
pub mod calendar_store;
mod case_change;
mod case_list_query;
mod case_loader;
pub mod case_reader;
pub mod case_row;
mod case_search;
pub mod case_store;
mod chunk_rows;
pub mod chunk_store;
pub mod deadline_watch;
mod delivery_effects;
pub mod delivery_log;
mod document_effects;
mod document_row;
pub mod document_store;
pub mod embedded;
pub mod error;
pub mod event_feed;
pub mod evidence_index;
#[cfg(feature = "faults")]
mod faults;
pub mod health;
pub mod housekeeping;
#[cfg(feature = "faults")]
mod job_faults;
mod job_hint;
pub mod job_queue;
pub mod job_store;
pub mod key_store;
pub mod keyword_feed;
pub mod lane;
pub mod open;
pub mod passage_index;
mod patience;
pub mod pool;
mod register_entries;
mod relay_cursors;
#[cfg(feature = "faults")]
mod relay_fault;
pub mod relay_store;
mod remember;
pub mod server_statistics;
pub mod tenancy_reader;
pub mod tenancy_row;
pub mod tenancy_store;
mod together;
pub mod transaction;
pub mod usage_ledger;
pub mod vector_origin;
pub mod wakeup_channel;

pub use answer_store::PgAnswerStore;
pub use audit_store::PgAuditStore;
pub use bulk_store::PgBulkStore;
pub use calendar_store::PgCalendarStore;
pub use case_reader::PgCaseReader;
pub use case_store::PgCaseStore;
pub use chunk_store::PgChunkStore;
pub use deadline_watch::PgDeadlineWatch;
pub use delivery_log::PgDeliveryLog;
pub use document_store::PgDocumentStore;
pub use event_feed::PgEventFeed;
pub use evidence_index::PgEvidenceIndex;
pub use housekeeping::PgHousekeeping;
pub use job_queue::PgJobQueue;
pub use job_store::PgJobStore;
pub use key_store::PgKeyStore;
pub use keyword_feed::PgKeywordFeed;
pub use lane::Lane;
pub use passage_index::PgPassageIndex;
pub use pool::{Pool, connect, migrate};
pub use register_entries::PgRegisterEntries;
pub use relay_store::PgRelayStore;
pub use tenancy_store::PgTenancyStore;
pub use usage_ledger::PgUsageLedger;
pub use vector_origin::PgVectorOrigin;
pub use wakeup_channel::PgWakeupChannel;
