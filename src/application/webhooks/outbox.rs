//! Administering what waits: try given-up events again, or give a lane's head up for good with a reason.

use async_trait::async_trait;
use docket_domain::ids::{CaseId, DestinationId, EventId};
use docket_domain::tenancy::Tenant;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::administer::DeliveryDesk;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::delivery_log::{LaneFilter, LaneKey, WaitingLane};
use crate::application::ports::tenancy_store::{DeliveryEffect, Effect};
use crate::application::request::{Caller, Claim, Written};
use crate::application::tenancy::TenancyPresenter;
use crate::application::tenancy::unit_of_work::{
    Act, Decide, Decision, DeliverySubject, Forget, Subject, Target, require_admin, require_claim,
};

/// Lanes that one redrive counts; more are redriven, too, and the answer says "at least".
const COUNTED: u32 = 10_000;

/// What an administrator does to what waits.
#[derive(Debug, Clone)]
pub enum OutboxAct {
    /// Tries dead lanes again.
    Redrive(Result<LaneFilter, Vec<Invalid>>),
    /// Gives the head of a lane up for good.
    Skip {
        /// The lane's destination.
        destination: DestinationId,
        /// The lane's case.
        case_id: CaseId,
        /// The event that must be the head, and why it is given up.
        input: Result<(EventId, String), Vec<Invalid>>,
    },
}

impl DeliveryDesk {
    /// What waits, a page at a time. Only the tenant's administrators may look.
    pub async fn waiting(
        &self,
        caller: &Caller,
        filter: &LaneFilter,
        after: Option<LaneKey>,
        limit: u32,
    ) -> Result<Vec<WaitingLane>, UseCaseError> {
        require_admin(caller)?;
        Ok(self.log.lanes(caller.actor.tenant_id, filter, after, limit).await?)
    }

    /// One lane.
    pub async fn lane(
        &self,
        caller: &Caller,
        destination: DestinationId,
        case_id: CaseId,
    ) -> Result<WaitingLane, UseCaseError> {
        let filter = LaneFilter { dead: None, destination: Some(destination), case_id: Some(case_id) };
        let found = self.waiting(caller, &filter, None, 1).await?.into_iter().next();
        found.ok_or(UseCaseError::NotFound("waiting delivery"))
    }

    /// Redrives or skips. Only the tenant's administrators may.
    pub async fn move_on(
        &self,
        caller: &Caller,
        claim: Option<&Claim>,
        act: OutboxAct,
        presenter: &dyn TenancyPresenter,
    ) -> Result<Written, UseCaseError> {
        let attempted = match act {
            OutboxAct::Redrive(_) => "outbox.redrive",
            OutboxAct::Skip { .. } => "outbox.skip",
        };
        self.tenancy.require_admin(caller, attempted).await?;
        let claim = require_claim(caller, claim)?;
        let target = Target::Existing(caller.actor.tenant_id);
        let work = MoveOn { desk: self, caller, act };
        let written = self.tenancy.carry_out(Act { caller, target, claim, presenter, attempted }, &work).await?;
        self.wakeups.committed(caller.actor.tenant_id);
        Ok(written)
    }
}

struct MoveOn<'a> {
    desk: &'a DeliveryDesk,
    caller: &'a Caller,
    act: OutboxAct,
}

#[async_trait]
impl Decide for MoveOn<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, _: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant = tenant.ok_or(UseCaseError::NotFound("tenant"))?;
        match &self.act {
            OutboxAct::Redrive(filter) => {
                let mut filter = filter.clone().map_err(UseCaseError::Invalid)?;
                filter.dead = Some(true);
                let lanes = self.desk.log.lanes(tenant.id, &filter, None, COUNTED).await?;
                if let (Some(_), Some(_), []) = (filter.destination, filter.case_id, &lanes[..]) {
                    return Err(UseCaseError::NotFound("dead delivery"));
                }
                let body = json!({
                    "id": tenant.id, "destination_id": filter.destination, "case_id": filter.case_id,
                    "redriven": lanes.len(),
                });
                Ok(decision(DeliveryEffect::Redrive(filter), "outbox.redrive", body, None))
            }
            OutboxAct::Skip { destination, case_id, input } => {
                let lane = self.desk.lane(self.caller, *destination, *case_id).await?;
                let (event_id, reason) = input.clone().map_err(UseCaseError::Invalid)?;
                if lane.event_id != event_id {
                    let detail = format!("the event at the head is {} now; look at it first", lane.event_id);
                    return Err(UseCaseError::Conflict(detail));
                }
                let body = json!({
                    "id": event_id, "destination_id": destination, "case_id": case_id, "sequence": lane.sequence,
                    "event_type": lane.event_type, "last_error": lane.last_error, "skipped": true,
                });
                let (destination, case_id, sequence) = (*destination, *case_id, lane.sequence);
                let effect = DeliveryEffect::SkipHead { destination, case_id, sequence };
                Ok(decision(effect, "outbox.skip", body, Some(reason)))
            }
        }
    }
}

fn decision(effect: DeliveryEffect, action: &'static str, body: Value, reason: Option<String>) -> Decision {
    Decision {
        effects: vec![Effect::Delivery(effect)],
        action,
        subject: Subject::Delivery(DeliverySubject::Report { body, reason }),
        created: false,
        before: Value::Null,
        secret: None,
        forget: Forget::Nothing,
    }
}
