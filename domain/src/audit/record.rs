//! One audit record: who did what to which case, when, with what outcome.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::case::names::State;
use crate::ids::{CaseId, PrincipalId, TenantId};
use crate::named_enum;
use crate::pointer;
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

/// The integers up to here are numbers that a double holds exactly.
const EXACT: u64 = 1 << 53;

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

/// One entry of a chain. Its canonical JSON (RFC 8785) is what is hashed: every member counts. The members stand in the
/// order of their names, which is the order of the canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// What was attempted.
    pub action: AuditAction,
    /// Who acted.
    pub actor_id: PrincipalId,
    /// The roles that held.
    pub actor_roles: Roles,
    /// Person, program or docket itself.
    pub actor_type: PrincipalKind,
    /// The members that changed, after (the whole case when it was created); and as `attached` the rows that were hung on the
    /// case, which `diff` does not have.
    pub after: Option<Value>,
    /// The agent run that acted, if one did.
    pub agent_run_id: Option<Uuid>,
    /// The members that changed, before.
    pub before: Option<Value>,
    /// The case when the chain is a case's.
    pub case_id: Option<CaseId>,
    /// The version of the case after the act.
    pub case_version: Option<u64>,
    /// The case, or the tenant's own id for administrative acts.
    pub chain_id: Uuid,
    /// The change as a JSON Patch (RFC 6902).
    pub diff: Option<Value>,
    /// The guard that refused, with its sentence.
    pub guard_results: Option<Value>,
    /// The status the client saw; none for acts from the command line.
    pub http_status: Option<u16>,
    /// SHA-256 of the idempotency key, hexadecimal.
    pub idempotency_key_hash: Option<String>,
    /// When, UTC.
    #[serde(with = "time::serde::rfc3339")]
    pub occurred_at: OffsetDateTime,
    /// For whom a program acted.
    pub on_behalf_of: Option<PrincipalId>,
    /// How it ended.
    pub outcome: Outcome,
    /// The reason given.
    pub reason: Option<String>,
    /// The request.
    pub request_id: String,
    /// Position in its chain, from 1, without gaps.
    pub seq: u64,
    /// State before and after.
    pub states: StateChange,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The trace (W3C, 32 hexadecimal digits).
    pub trace_id: String,
}

impl AuditRecord {
    /// The bytes that are hashed: canonical JSON (RFC 8785).
    ///
    /// Written straight away when that yields the canonical form, as it does for nearly every record: the members are in
    /// order already, and numbers and names need no special care. Otherwise by the library, which sorts every object and
    /// costs several times as much.
    pub fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        let counts = [self.seq, self.case_version.unwrap_or(0)];
        let free = [&self.after, &self.before, &self.diff, &self.guard_results];
        let plain = counts.iter().all(|count| *count <= EXACT) && free.into_iter().flatten().all(is_plain);
        if plain { serde_json::to_vec(self) } else { serde_jcs::to_vec(self) }
    }
}

/// Whether plain serialisation of a value is its canonical form: no fractions (RFC 8785, section 3.2.2.3, wants them as
/// ECMAScript writes them), no integers that a double cannot hold, and in every object ASCII names in ascending order.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs)).is_some_and(|size| size <= EXACT)
        }
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(members) => {
            members.keys().is_sorted() && members.iter().all(|(name, value)| name.is_ascii() && is_plain(value))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => true,
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
        patch.push(serde_json::json!({"op": op, "path": pointer::step(name), "value": value}));
        right.insert(name.clone(), value.clone());
    }
    for (name, value) in old.iter().filter(|(name, _)| !new.contains_key(*name)) {
        left.insert(name.clone(), value.clone());
        patch.push(serde_json::json!({"op": "remove", "path": pointer::step(name)}));
    }
    (Value::Object(left), Value::Object(right), Value::Array(patch))
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
