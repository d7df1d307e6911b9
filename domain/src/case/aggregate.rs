//! The case aggregate: everything a decision may depend on, in one value.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::deadline::Notices;
use super::names::{Confidentiality, Severity, State};
use crate::ids::{CaseId, PrincipalId, TenantId};

/// A case as it stands at one version. Its JSON form is what the audit trail records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// The case itself.
    pub id: CaseId,
    /// The tenant that owns it.
    pub tenant_id: TenantId,
    /// The tenant's own name for it, unique in the tenant; bulk import is idempotent by it.
    pub reference: String,
    /// Grows by one with every change; the strong ETag is `"v<version>"`.
    pub version: u64,
    /// Where it stands.
    pub state: State,
    /// One line.
    pub title: String,
    /// What happened; may be empty in a draft.
    pub narrative: String,
    /// Whom the case is about; may be empty in a draft.
    pub respondent: String,
    /// The tenant's classification; may be empty in a draft.
    pub case_type: String,
    /// Sets the deadline.
    pub severity: Severity,
    /// Who may know of it.
    pub confidentiality: Confidentiality,
    /// Who opened it.
    pub reporter_id: PrincipalId,
    /// Who is responsible, if anyone yet.
    pub assignee_id: Option<PrincipalId>,
    /// Who proposed the decision that waits for approval or was approved.
    pub proposed_by: Option<PrincipalId>,
    /// The proposed or approved decision.
    pub decision: Option<String>,
    /// Questions without an answer.
    pub open_information_requests: u32,
    /// While set, the case can be neither deleted nor purged.
    pub legal_hold: bool,
    /// Whether its one extension is used up.
    pub deadline_extended: bool,
    /// When it must be decided; none before it is submitted.
    #[serde(with = "time::serde::rfc3339::option")]
    pub due_at: Option<OffsetDateTime>,
    /// Since when the clock stands still, if it does.
    #[serde(with = "time::serde::rfc3339::option")]
    pub clock_paused_at: Option<OffsetDateTime>,
    /// What was told of the deadline, and when the next thing is to be told.
    #[serde(default)]
    pub notices: Notices,
    /// When the matter was opened (may lie long before `created_at` for imported cases).
    #[serde(with = "time::serde::rfc3339")]
    pub opened_at: OffsetDateTime,
    /// When it was entered here.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// When it was closed or withdrawn.
    #[serde(with = "time::serde::rfc3339::option")]
    pub closed_at: Option<OffsetDateTime>,
    /// Further fields of the tenant's own, flat JSON.
    pub attributes: Map<String, Value>,
}

impl Case {
    /// The strong entity tag of this version (RFC 9110, section 8.8.3).
    pub fn etag(&self) -> String {
        format!("\"v{}\"", self.version)
    }

    /// What is missing before the case can be submitted, by field name.
    pub fn missing_for_submission(&self) -> Vec<&'static str> {
        let fields = [
            ("title", &self.title),
            ("narrative", &self.narrative),
            ("respondent", &self.respondent),
            ("case_type", &self.case_type),
        ];
        fields.into_iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name).collect()
    }
}
