//! One audit record: who did what to which case, when, with what outcome.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::case::names::State;
use crate::ids::{CaseId, PrincipalId, TenantId};
use crate::named_enum;
use crate::principal::{PrincipalKind, Roles};

named_enum! {
    /// How an attempt ended.
    Outcome, "outcome" {
        /// It was done.
        Allowed = "allowed",
        /// The actor was not entitled.
        Denied = "denied",
        /// The case or the input did not permit it.
        Conflict = "conflict",
    }
}

/// What was attempted, as dotted words, for instance `case.escalate` or `key.revoke`.
pub type AuditAction = String;

/// The change of state that an act brought about, or would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateChange {
    /// Before.
    pub from: Option<State>,
    /// After.
    pub to: Option<State>,
}

/// One entry of a chain. Its canonical JSON (RFC 8785) is what is hashed: every member counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Position in its chain, from 1, without gaps.
    pub seq: u64,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The case, or the tenant's own id for administrative acts.
    pub chain_id: Uuid,
    /// The case when the chain is a case's.
    pub case_id: Option<CaseId>,
    /// Who acted.
    pub actor_id: PrincipalId,
    /// Person, program or docket itself.
    pub actor_type: PrincipalKind,
    /// The roles that held.
    pub actor_roles: Roles,
    /// For whom a program acted.
    pub on_behalf_of: Option<PrincipalId>,
    /// The agent run that acted, if one did.
    pub agent_run_id: Option<Uuid>,
    /// What was attempted.
    pub action: AuditAction,
    /// How it ended.
    pub outcome: Outcome,
    /// The status the client saw; none for acts from the command line.
    pub http_status: Option<u16>,
    /// The request.
    pub request_id: String,
    /// The trace (W3C, 32 hexadecimal digits).
    pub trace_id: String,
    /// SHA-256 of the idempotency key, hexadecimal.
    pub idempotency_key_hash: Option<String>,
    /// The reason given.
    pub reason: Option<String>,
    /// State before and after.
    pub states: StateChange,
    /// The version of the case after the act.
    pub case_version: Option<u64>,
    /// The guard that refused, with its sentence.
    pub guard_results: Option<Value>,
    /// The members that changed, before.
    pub before: Option<Value>,
    /// The members that changed, after (the whole case when it was created).
    pub after: Option<Value>,
    /// The change as a JSON Patch (RFC 6902).
    pub diff: Option<Value>,
    /// When, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub occurred_at: OffsetDateTime,
}

impl AuditRecord {
    /// The bytes that are hashed: canonical JSON (RFC 8785).
    pub fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_jcs::to_vec(self)
    }
}

/// The members that differ between two JSON objects, as (before, after, JSON Patch). Members are compared whole.
///
/// Works on top-level members because a case is flat but for `attributes`, which is small: the patch stays short and can
/// be read aloud.
pub fn changes(before: &Value, after: &Value) -> (Value, Value, Value) {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        let patch = serde_json::json!([{"op": "replace", "path": "", "value": after}]);
        return (before.clone(), after.clone(), patch);
    };
    let mut left = serde_json::Map::new();
    let mut right = serde_json::Map::new();
    let mut patch = Vec::new();
    for (name, value) in new.iter().filter(|(name, value)| old.get(*name) != Some(*value)) {
        let op = if let Some(previous) = old.get(name) {
            left.insert(name.clone(), previous.clone());
            "replace"
        } else {
            "add"
        };
        patch.push(serde_json::json!({"op": op, "path": pointer(name), "value": value}));
        right.insert(name.clone(), value.clone());
    }
    for (name, value) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        left.insert(name.clone(), value.clone());
        patch.push(serde_json::json!({"op": "remove", "path": pointer(name)}));
    }
    (Value::Object(left), Value::Object(right), Value::Array(patch))
}

/// A one-step JSON Pointer (RFC 6901).
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_recorded_and_the_patch_says_how() {
        let before = json!({"a": 1, "b": 2, "gone": true});
        let after = json!({"a": 1, "b": 3, "x/y~z": null});
        let (left, right, patch) = changes(&before, &after);
        assert_eq!(left, json!({"b": 2, "gone": true}));
        assert_eq!(right, json!({"b": 3, "x/y~z": null}));
        assert_eq!(
            patch,
            json!([
                {"op": "replace", "path": "/b", "value": 3},
                {"op": "add", "path": "/x~1y~0z", "value": null},
                {"op": "remove", "path": "/gone"},
            ])
        );
    }

    #[test]
    fn values_that_are_not_objects_are_replaced_whole() {
        assert_eq!(changes(&json!(null), &json!(1)).2, json!([{"op": "replace", "path": "", "value": 1}]));
    }
}
