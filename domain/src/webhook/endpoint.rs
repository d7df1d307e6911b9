//! A webhook endpoint of a tenant.

use serde::Serialize;
use time::OffsetDateTime;

use crate::case::EventType;
use crate::ids::EndpointId;

/// What a signing secret begins with (Standard Webhooks).
pub const SECRET_PREFIX: &str = "whsec_";
/// Longest name, in characters.
pub const NAME_MAX: usize = 200;
/// Longest URL, in characters.
pub const URL_MAX: usize = 2_000;
/// Endpoints of one tenant.
pub const ENDPOINTS_MAX: usize = 32;
/// Longest time for which two secrets are live, in seconds: a week.
pub const OVERLAP_MAX_SECONDS: u64 = 604_800;

/// Where a tenant wants to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Endpoint {
    /// Identifier; also that of the destination.
    pub id: EndpointId,
    /// For people.
    pub name: String,
    /// Where messages are posted.
    pub url: String,
    /// Which events; empty means all.
    pub event_types: Vec<EventType>,
    /// Whether messages are sent. While it is not, they wait.
    pub enabled: bool,
    /// Why the service disabled it by itself: `gone` after the answer 410.
    pub disabled_reason: Option<String>,
    /// When it was registered.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
}
