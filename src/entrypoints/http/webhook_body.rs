//! Webhook endpoints and waiting deliveries on the wire: representations, forms and the words of administrative answers.

use docket_domain::case::EventType;
use docket_domain::ids::{CaseId, DestinationId, EventId};
use docket_domain::webhook::Endpoint;
use docket_domain::webhook::endpoint::{NAME_MAX, OVERLAP_MAX_SECONDS, URL_MAX};
use serde::Serialize;
use serde_json::Value;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use uuid::Uuid;

use super::form::Form;
use crate::application::error::Invalid;
use crate::application::ports::delivery_log::LaneFilter;
use crate::application::request::Rendered;
use crate::application::tenancy::unit_of_work::DeliverySubject;
use crate::application::webhooks::administer::{EndpointChanges, NewEndpoint};

/// Overlap of a rotation when the client names none, in seconds: a day.
const OVERLAP_DEFAULT_SECONDS: u64 = 86_400;
/// Longest reason for a skip, in characters.
const REASON_MAX: usize = 2_000;

/// A webhook endpoint, never with its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookEndpoint)]
pub struct EndpointBody {
    /// Identifier; `destination_id` of what waits for it.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// Where messages are posted.
    pub url: String,
    /// Which events; empty means all.
    pub event_types: Vec<String>,
    /// Whether messages are sent. New events are not queued for a disabled endpoint; what waits already goes on waiting.
    pub enabled: bool,
    /// `gone` when the service disabled it because it answered 410.
    pub disabled_reason: Option<String>,
    /// When it was registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// The signing secret (`whsec_...`). Only in the first answer that made it; a replay does not hold it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl EndpointBody {
    /// The endpoint as it is shown; with its secret only when that has just been made.
    pub fn new(endpoint: &Endpoint, secret: Option<&str>) -> Self {
        let endpoint = endpoint.clone();
        Self {
            id: endpoint.id.0,
            name: endpoint.name,
            url: endpoint.url,
            event_types: endpoint.event_types.iter().map(|name| format!("docket.{name}")).collect(),
            enabled: endpoint.enabled,
            disabled_reason: endpoint.disabled_reason,
            created_at: endpoint.created_at,
            updated_at: endpoint.updated_at,
            secret: secret.map(str::to_owned),
        }
    }
}

/// What a client sends to register an endpoint.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct CreateWebhook {
    /// For people.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Where messages are posted: `https://`, to a host of the public internet.
    #[schema(min_length = 1, max_length = 2000)]
    url: String,
    /// Which events, for instance `docket.case.created`; absent or empty means all.
    event_types: Option<Vec<String>>,
    /// False registers it without sending anything.
    enabled: Option<bool>,
}

/// What a client sends to change an endpoint; what is absent stays.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct PatchWebhook {
    /// For people.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Where messages are posted.
    #[schema(min_length = 1, max_length = 2000)]
    url: Option<String>,
    /// Which events from now on.
    event_types: Option<Vec<String>>,
    /// True sends again, what waited first.
    enabled: Option<bool>,
}

/// What a client sends to give an endpoint a new secret.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct RotateSecret {
    /// How long messages are also signed with the secret before, in seconds; a day by default.
    #[schema(maximum = 604_800)]
    overlap_seconds: Option<u64>,
}

/// What a client sends to have events sent again.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct ReplayRange {
    /// From this instant on (RFC 3339).
    #[schema(format = DateTime)]
    from: String,
    /// Before this instant.
    #[schema(format = DateTime)]
    until: String,
}

/// What a client sends to try given-up events again.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct RedriveDeliveries {
    /// Only of this destination.
    destination_id: Option<Uuid>,
    /// Only of this case.
    case_id: Option<Uuid>,
}

/// What a client sends to give up the event at the head of a case.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct SkipDelivery {
    /// The event; it must be the head still.
    event_id: Uuid,
    /// Why; kept in the audit trail.
    #[schema(min_length = 1, max_length = 2000)]
    reason: String,
}

/// Reads the form of a new endpoint.
pub fn new_endpoint(body: Value) -> Result<NewEndpoint, Vec<Invalid>> {
    let mut form = Form::new(body);
    let name = form.required_line("name", NAME_MAX).unwrap_or_default();
    let url = form.required_line("url", URL_MAX).unwrap_or_default();
    let event_types = read_types(&mut form).unwrap_or_default();
    let enabled = form.boolean("enabled").unwrap_or(true);
    form.finish("name, url, event_types, enabled")?;
    Ok(NewEndpoint { name, url, event_types, enabled })
}

/// Reads the changes of an endpoint.
pub fn endpoint_changes(body: Value) -> Result<EndpointChanges, Vec<Invalid>> {
    let mut form = Form::new(body);
    let changes = EndpointChanges {
        name: form.filled_line("name", NAME_MAX),
        url: form.filled_line("url", URL_MAX),
        event_types: read_types(&mut form),
        enabled: form.boolean("enabled"),
    };
    form.finish("name, url, event_types, enabled")?;
    Ok(changes)
}

/// Reads the overlap of a rotation.
pub fn secret_overlap(body: Value) -> Result<Duration, Vec<Invalid>> {
    let mut form = Form::new(body);
    let seconds = form.whole_number("overlap_seconds", 0, OVERLAP_MAX_SECONDS).unwrap_or(OVERLAP_DEFAULT_SECONDS);
    form.finish("overlap_seconds")?;
    Ok(Duration::seconds(i64::try_from(seconds).unwrap_or(0)))
}

/// Reads a time range.
pub fn replay_range(body: Value) -> Result<(OffsetDateTime, OffsetDateTime), Vec<Invalid>> {
    let mut form = Form::new(body);
    let (from, until) = (form.required_instant("from"), form.required_instant("until"));
    if let (Some(from), Some(until)) = (from, until)
        && from >= until
    {
        form.error("until", "must lie after `from`");
    }
    form.finish("from, until")?;
    Ok((from.unwrap_or(OffsetDateTime::UNIX_EPOCH), until.unwrap_or(OffsetDateTime::UNIX_EPOCH)))
}

/// Reads which lanes to redrive.
pub fn redrive(body: Value) -> Result<LaneFilter, Vec<Invalid>> {
    let mut form = Form::new(body);
    let filter = LaneFilter {
        dead: Some(true),
        destination: form.uuid("destination_id").map(DestinationId),
        case_id: form.uuid("case_id").map(CaseId),
    };
    form.finish("destination_id, case_id")?;
    Ok(filter)
}

/// Reads what is skipped and why.
pub fn skip(body: Value) -> Result<(EventId, String), Vec<Invalid>> {
    let mut form = Form::new(body);
    let event = form.required_uuid("event_id").unwrap_or_default();
    let reason = form.required_prose("reason", REASON_MAX).unwrap_or_default();
    form.finish("event_id, reason")?;
    Ok((EventId(event), reason))
}

fn read_types(form: &mut Form) -> Option<Vec<EventType>> {
    let mut types = Vec::new();
    for name in form.names("event_types")? {
        match name.strip_prefix("docket.").unwrap_or(&name).parse::<EventType>() {
            Ok(known) => types.push(known),
            Err(error) => form.error("event_types", error.to_string()),
        }
    }
    types.sort_unstable();
    types.dedup();
    Some(types)
}

/// The answer about an act on deliveries.
pub fn rendered(subject: &DeliverySubject, created: bool, secret: Option<&str>) -> Rendered {
    let (path, body) = match subject {
        DeliverySubject::Endpoint(endpoint) => {
            let body = serde_json::to_string(&EndpointBody::new(endpoint, secret));
            (format!("/v1/webhooks/{}", endpoint.id), body.unwrap_or_default())
        }
        DeliverySubject::Report { body, .. } => (String::new(), body.to_string()),
    };
    let status = if created { 201 } else { 200 };
    Rendered { status, etag: None, location: created.then_some(path), body }
}
