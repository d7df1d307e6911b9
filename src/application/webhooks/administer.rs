//! Administering endpoints: register, change, remove, give a new secret, send again. Every act is on the tenant's chain.

use std::sync::Arc;

use async_trait::async_trait;
use docket_domain::case::EventType;
use docket_domain::ids::EndpointId;
use docket_domain::tenancy::Tenant;
use docket_domain::webhook::Endpoint;
use docket_domain::webhook::endpoint::ENDPOINTS_MAX;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::message::{SECRET_BYTES, bound_to, secret_text};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::events::wakeups::Wakeups;
use crate::application::ports::tenancy_store::{DeliveryEffect, Effect};
use crate::application::ports::{DeliveryLog, StoreError};
use crate::application::request::{Caller, Claim, Written};
use crate::application::tenancy::unit_of_work::{
    Act, Decide, Decision, DeliverySubject, Forget, Subject, Target, require_claim,
};
use crate::application::tenancy::{TenancyPresenter, TenancyWriting};
use crate::application::webhooks::send::Sending;

/// Most events of one replay: they are queued in the transaction of the act.
pub const REPLAY_MAX: u64 = 100_000;

/// The parts that administering deliveries needs.
#[derive(Clone)]
pub struct DeliveryDesk {
    /// Acts on the tenant's chain.
    pub tenancy: TenancyWriting,
    /// Endpoints, lanes, log.
    pub log: Arc<dyn DeliveryLog>,
    /// Judges URLs, seals secrets, sends tests.
    pub sending: Sending,
    /// Wakes the relay when there is something to send again.
    pub wakeups: Wakeups,
}

/// A new endpoint.
#[derive(Debug, Clone)]
pub struct NewEndpoint {
    /// For people.
    pub name: String,
    /// Where messages are posted.
    pub url: String,
    /// Which events; empty means all.
    pub event_types: Vec<EventType>,
    /// Whether messages are sent from the start.
    pub enabled: bool,
}

/// What is to change of an endpoint; none stays.
#[derive(Debug, Clone, Default)]
pub struct EndpointChanges {
    /// For people.
    pub name: Option<String>,
    /// Where messages are posted.
    pub url: Option<String>,
    /// Which events.
    pub event_types: Option<Vec<EventType>>,
    /// Whether messages are sent.
    pub enabled: Option<bool>,
}

/// What an administrator does to endpoints.
#[derive(Debug, Clone)]
pub enum EndpointAct {
    /// Registers one.
    Create(Result<NewEndpoint, Vec<Invalid>>),
    /// Changes one.
    Update(EndpointId, Result<EndpointChanges, Vec<Invalid>>),
    /// Removes one and what waits for it.
    Delete(EndpointId),
    /// Gives one a new secret; the old one stays live for the overlap.
    Rotate(EndpointId, Result<Duration, Vec<Invalid>>),
    /// Sends events of a time range again.
    Replay(EndpointId, Result<(OffsetDateTime, OffsetDateTime), Vec<Invalid>>),
}

impl EndpointAct {
    /// The name of the act in the audit trail.
    const fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "webhook.create",
            Self::Update(..) => "webhook.update",
            Self::Delete(_) => "webhook.delete",
            Self::Rotate(..) => "webhook.rotate_secret",
            Self::Replay(..) => "webhook.replay",
        }
    }
}

impl DeliveryDesk {
    /// Carries an act out. Only the tenant's administrators may.
    pub async fn administer(
        &self,
        caller: &Caller,
        claim: Option<&Claim>,
        act: EndpointAct,
        presenter: &dyn TenancyPresenter,
    ) -> Result<Written, UseCaseError> {
        let attempted = act.name();
        self.tenancy.require_admin(caller, attempted).await?;
        let creates = !matches!(act, EndpointAct::Update(..) | EndpointAct::Delete(_));
        let claim = if creates { require_claim(caller, claim)? } else { claim };
        let target = Target::Existing(caller.actor.tenant_id);
        let work = Administer { desk: self, act };
        let written = self.tenancy.carry_out(Act { caller, target, claim, presenter, attempted }, &work).await?;
        self.wakeups.committed(caller.actor.tenant_id);
        Ok(written)
    }

    async fn check_url(&self, url: &str) -> Result<(), UseCaseError> {
        let refused = self.sending.sender.refusal(url).await;
        refused.map_or(Ok(()), |reason| Err(UseCaseError::Invalid(vec![Invalid::new("/url", reason)])))
    }

    fn fresh_secret(&self, endpoint: EndpointId) -> (Vec<u8>, String) {
        let mut secret = [0; SECRET_BYTES];
        self.tenancy.randomness.fill(&mut secret);
        (self.sending.sealer.seal(&secret, &bound_to(endpoint)), secret_text(&secret))
    }
}

struct Administer<'a> {
    desk: &'a DeliveryDesk,
    act: EndpointAct,
}

#[async_trait]
impl Decide for Administer<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant = tenant.ok_or(UseCaseError::NotFound("tenant"))?;
        let found = async |id| {
            let endpoint = self.desk.log.endpoint(tenant.id, id).await?;
            endpoint.ok_or(UseCaseError::NotFound("webhook endpoint"))
        };
        match &self.act {
            EndpointAct::Create(new) => {
                let new = new.clone().map_err(UseCaseError::Invalid)?;
                self.create(tenant, new, now).await
            }
            EndpointAct::Update(id, changes) => {
                let before = found(*id).await?;
                let changes = changes.clone().map_err(UseCaseError::Invalid)?;
                if let Some(url) = changes.url.as_deref().filter(|url| *url != before.url) {
                    self.desk.check_url(url).await?;
                }
                let enabled = changes.enabled.unwrap_or(before.enabled);
                let after = Endpoint {
                    name: changes.name.unwrap_or_else(|| before.name.clone()),
                    url: changes.url.unwrap_or_else(|| before.url.clone()),
                    event_types: changes.event_types.unwrap_or_else(|| before.event_types.clone()),
                    disabled_reason: before.disabled_reason.clone().filter(|_| !enabled),
                    enabled,
                    updated_at: now,
                    ..before.clone()
                };
                decision(DeliveryEffect::UpdateEndpoint(after.clone()), "webhook.update", Some(&before), after, None)
            }
            EndpointAct::Delete(id) => {
                let before = found(*id).await?;
                let after = before.clone();
                decision(DeliveryEffect::DeleteEndpoint(*id), "webhook.delete", Some(&before), after, None)
            }
            EndpointAct::Rotate(id, overlap) => {
                let before = found(*id).await?;
                let previous_until = now + overlap.clone().map_err(UseCaseError::Invalid)?;
                let (sealed, text) = self.desk.fresh_secret(*id);
                let secret_id = self.desk.tenancy.clock.new_id();
                let effect = DeliveryEffect::RotateSecret { endpoint: *id, secret_id, sealed, now, previous_until };
                decision(effect, "webhook.rotate_secret", Some(&before), before.clone(), Some(text))
            }
            EndpointAct::Replay(id, range) => {
                found(*id).await?;
                let (from, until) = range.clone().map_err(UseCaseError::Invalid)?;
                let events = self.desk.log.count_range(tenant.id, *id, from, until).await?;
                if events > REPLAY_MAX {
                    let detail = format!("the range holds {events} events; at most {REPLAY_MAX} at once: narrow it");
                    return Err(UseCaseError::Invalid(vec![Invalid::new("/until", detail)]));
                }
                let rfc3339 = |at: OffsetDateTime| at.format(&time::format_description::well_known::Rfc3339);
                let (first, last) = (rfc3339(from), rfc3339(until));
                let (first, last) = (first.map_err(StoreError::internal)?, last.map_err(StoreError::internal)?);
                Ok(Decision {
                    effects: vec![Effect::Delivery(DeliveryEffect::Replay { endpoint: *id, from, until })],
                    action: "webhook.replay",
                    subject: Subject::Delivery(DeliverySubject::Report {
                        body: json!({"id": id, "from": first, "until": last, "events": events}),
                        reason: None,
                    }),
                    created: false,
                    before: Value::Null,
                    secret: None,
                    forget: Forget::Nothing,
                })
            }
        }
    }
}

impl Administer<'_> {
    async fn create(&self, tenant: &Tenant, new: NewEndpoint, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let limit = u32::try_from(ENDPOINTS_MAX).unwrap_or(u32::MAX);
        if self.desk.log.endpoints(tenant.id, None, limit).await?.len() >= ENDPOINTS_MAX {
            return Err(UseCaseError::Conflict(format!("a tenant has at most {ENDPOINTS_MAX} webhook endpoints")));
        }
        self.desk.check_url(&new.url).await?;
        let clock = &self.desk.tenancy.clock;
        let endpoint = Endpoint {
            id: EndpointId(clock.new_id()),
            name: new.name,
            url: new.url,
            event_types: new.event_types,
            enabled: new.enabled,
            disabled_reason: None,
            created_at: now,
            updated_at: now,
        };
        let (sealed, text) = self.desk.fresh_secret(endpoint.id);
        let (secret_id, record) = (clock.new_id(), endpoint.clone());
        let effect = DeliveryEffect::CreateEndpoint { endpoint: record, secret_id, sealed };
        decision(effect, "webhook.create", None, endpoint, Some(text))
    }
}

fn decision(
    effect: DeliveryEffect,
    action: &'static str,
    before: Option<&Endpoint>,
    after: Endpoint,
    secret: Option<String>,
) -> Result<Decision, UseCaseError> {
    let known = before.map(serde_json::to_value).transpose().map_err(StoreError::internal)?;
    Ok(Decision {
        effects: vec![Effect::Delivery(effect)],
        action,
        subject: Subject::Delivery(DeliverySubject::Endpoint(after)),
        created: action == "webhook.create" || action == "webhook.rotate_secret",
        before: known.unwrap_or(Value::Null),
        secret,
        forget: Forget::Nothing,
    })
}
