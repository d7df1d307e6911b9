//! Denied acts of administration: the refusal stands on the chain of the caller's own tenant, then it is answered.

use docket_domain::audit::chain::link_hash;
use docket_domain::audit::{AuditRecord, ChainHead, Outcome};
use docket_domain::principal::Role;
use serde_json::json;

use super::unit_of_work::{ATTEMPTS, TenancyWriting, attempt, require_admin, require_operator};
use crate::application::error::UseCaseError;
use crate::application::ports::StoreError;
use crate::application::ports::tenancy_store::{TenancyCommit, TenancyWrite};
use crate::application::request::Caller;

impl TenancyWriting {
    /// Fails unless the caller administers its tenant; the denial is recorded.
    pub async fn require_admin(&self, caller: &Caller, attempted: &str) -> Result<(), UseCaseError> {
        match require_admin(caller) {
            Ok(()) => Ok(()),
            Err(denial) => Err(self.denied(caller, attempted, denial).await?),
        }
    }

    /// Fails unless the caller runs the platform; the denial is recorded.
    pub async fn require_operator(&self, caller: &Caller, attempted: &str) -> Result<(), UseCaseError> {
        match require_operator(caller) {
            Ok(()) => Ok(()),
            Err(denial) => Err(self.denied(caller, attempted, denial).await?),
        }
    }

    /// Records the denial and hands it back, to be answered with. A tenant that has no row has no chain.
    pub async fn denied(
        &self,
        caller: &Caller,
        attempted: &str,
        denial: UseCaseError,
    ) -> Result<UseCaseError, UseCaseError> {
        let own = caller.actor.tenant_id;
        for _ in 0..ATTEMPTS {
            let Some((_, head)) = self.store.tenant(own, own).await? else { return Ok(denial) };
            let audit = AuditRecord {
                seq: head.seq + 1,
                http_status: (!caller.actor.roles.has(Role::System)).then_some(403),
                guard_results: Some(json!([{"guard": "role", "detail": denial.to_string()}])),
                ..attempt(caller, own, attempted, Outcome::Denied, self.clock.now())
            };
            let canonical = audit.canonical().map_err(StoreError::internal)?;
            let write = TenancyWrite {
                tenant_id: own,
                acting_tenant: own,
                decided_on: head,
                effects: Vec::new(),
                head: ChainHead { seq: audit.seq, hash: link_hash(&head.hash, &canonical) },
                audit,
                canonical: String::from_utf8(canonical).map_err(StoreError::internal)?,
                answer: None,
            };
            if self.store.commit(&write).await? == TenancyCommit::Done {
                return Ok(denial);
            }
        }
        Err(UseCaseError::Contention)
    }
}
