//! Looking at endpoints and their delivery log, and sending a test.

use async_trait::async_trait;
use docket_domain::ids::{CaseId, EndpointId, EventId};
use docket_domain::tenancy::Tenant;
use docket_domain::webhook::Endpoint;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::administer::DeliveryDesk;
use super::send::meaning;
use crate::application::error::UseCaseError;
use crate::application::events::envelope::Envelope;
use crate::application::events::relay::outcome_word;
use crate::application::ports::delivery_log::Attempt;
use crate::application::request::{Caller, Rendered};
use crate::application::tenancy::TenancyPresenter;
use crate::application::tenancy::unit_of_work::{
    Act, Decide, Decision, DeliverySubject, Forget, Subject, Target, require_admin,
};

/// The name of a test in the audit trail.
const TEST_ACT: &str = "webhook.test";
/// The type of a test message on the wire.
pub const TEST_TYPE: &str = "docket.webhook.test";

impl DeliveryDesk {
    /// The tenant's endpoints, a page at a time.
    pub async fn endpoints(
        &self,
        caller: &Caller,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Endpoint>, UseCaseError> {
        require_admin(caller)?;
        Ok(self.log.endpoints(caller.actor.tenant_id, after, limit).await?)
    }

    /// One endpoint.
    pub async fn endpoint(&self, caller: &Caller, id: EndpointId) -> Result<Endpoint, UseCaseError> {
        require_admin(caller)?;
        let found = self.log.endpoint(caller.actor.tenant_id, id).await?;
        found.ok_or(UseCaseError::NotFound("webhook endpoint"))
    }

    /// What was tried for an endpoint, newest first.
    pub async fn attempts(
        &self,
        caller: &Caller,
        id: EndpointId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Attempt>, UseCaseError> {
        self.endpoint(caller, id).await?;
        Ok(self.log.attempts(caller.actor.tenant_id, id.into(), after, limit).await?)
    }

    /// Sends a test message now, outside of the order of any case, and says how it went. Nothing is retried.
    ///
    /// The act is on the tenant's chain before the message leaves, so that none leaves unseen; how it went stands in the
    /// delivery log under the same event.
    pub async fn test(&self, caller: &Caller, id: EndpointId) -> Result<Attempt, UseCaseError> {
        self.tenancy.require_admin(caller, TEST_ACT).await?;
        let tenant = caller.actor.tenant_id;
        let target = self.log.target(tenant, id).await?.ok_or(UseCaseError::NotFound("webhook endpoint"))?;
        let (clock, event_id) = (&self.tenancy.clock, self.tenancy.clock.new_id());
        let target_tenant = Target::Existing(tenant);
        let act = Act { caller, target: target_tenant, claim: None, presenter: &Unworded, attempted: TEST_ACT };
        self.tenancy.carry_out(act, &Announced { id, event_id, url: target.url.clone() }).await?;
        let envelope = Envelope {
            specversion: "1.0",
            id: event_id,
            source: format!("urn:docket:tenant:{tenant}"),
            r#type: TEST_TYPE.to_owned(),
            subject: id.0,
            time: clock.now(),
            datacontenttype: "application/json",
            sequence: "0".to_owned(),
            sequencetype: "Integer",
            traceparent: caller.traceparent.clone(),
            data: json!({"test": true}),
        };
        let receipt = self.sending.send(&target, &envelope).await;
        let attempt = Attempt {
            id: clock.new_id(),
            destination: id.into(),
            event_id: EventId(event_id),
            event_type: TEST_TYPE.to_owned(),
            case_id: None::<CaseId>,
            sequence: None,
            attempt: 1,
            outcome: outcome_word(meaning(&receipt).failure).to_owned(),
            status: receipt.status,
            duration_ms: u32::try_from(receipt.took.as_millis()).unwrap_or(u32::MAX),
            detail: receipt.detail,
            attempted_at: clock.now(),
        };
        self.log.record(tenant, &attempt).await?;
        Ok(attempt)
    }
}

/// The record of a test that is about to be sent.
struct Announced {
    id: EndpointId,
    event_id: Uuid,
    url: String,
}

#[async_trait]
impl Decide for Announced {
    async fn decide(&self, _: Option<&Tenant>, _: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let body = json!({"id": self.id, "event_id": self.event_id, "event_type": TEST_TYPE, "url": self.url});
        Ok(Decision {
            effects: Vec::new(),
            action: TEST_ACT,
            subject: Subject::Delivery(DeliverySubject::Report { body, reason: None }),
            created: false,
            before: Value::Null,
            secret: None,
            forget: Forget::Nothing,
        })
    }
}

/// The answer is the attempt, which is not known yet; the record says that the act was accepted.
struct Unworded;

impl TenancyPresenter for Unworded {
    fn done(&self, _: &Subject, _: bool, _: Option<&str>) -> Rendered {
        Rendered { status: 200, etag: None, location: None, body: String::new() }
    }
}
