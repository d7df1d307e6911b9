//! One audit record: who did what to which case, when, with what outcome.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
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

/// How one value became another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The members that differ, before.
    pub left: Value,
    /// The members that differ, after.
    pub right: Value,
    /// The change as a JSON Patch (RFC 6902).
    pub patch: Value,
}

impl Changes {
    /// The members that differ between two values that become JSON objects; values that do not are replaced whole.
    ///
    /// Works on top-level members because a case is flat but for `attributes`, which is small: the patch stays short and can
    /// be read aloud. Members are compared whole, by their text: nearly all are the same, and what is the same never becomes a
    /// tree of values, which cost a seventh of a transition's CPU when it was made of all of both cases.
    pub fn between(before: &impl Serialize, after: &impl Serialize) -> Result<Self, serde_json::Error> {
        let (before, after) = (serde_json::to_string(before)?, serde_json::to_string(after)?);
        if !(before.starts_with('{') && after.starts_with('{')) {
            let after: Value = serde_json::from_str(&after)?;
            let patch = json!([{"op": "replace", "path": "", "value": after}]);
            return Ok(Self { left: serde_json::from_str(&before)?, right: after, patch });
        }
        let (old, new): (Members<'_>, Members<'_>) = (serde_json::from_str(&before)?, serde_json::from_str(&after)?);
        let (mut left, mut right, mut patch) = (Map::new(), Map::new(), Vec::new());
        for (Name(name), text) in &new {
            let previous = old.get(name.as_ref());
            if previous.is_some_and(|previous| previous.get() == text.get()) {
                continue;
            }
            let value: Value = serde_json::from_str(text.get())?;
            let previous: Option<Value> = previous.map(|text| serde_json::from_str(text.get())).transpose()?;
            // Objects may stand in another order and be the same.
            if previous.as_ref() == Some(&value) {
                continue;
            }
            let op = if previous.is_some() { "replace" } else { "add" };
            patch.push(json!({"op": op, "path": pointer::step(name), "value": value}));
            left.extend(previous.map(|previous| (name.to_string(), previous)));
            right.insert(name.to_string(), value);
        }
        for (Name(name), text) in old.iter().filter(|(Name(name), _)| !new.contains_key(name.as_ref())) {
            left.insert(name.to_string(), serde_json::from_str(text.get())?);
            patch.push(json!({"op": "remove", "path": pointer::step(name)}));
        }
        Ok(Self { left: Value::Object(left), right: Value::Object(right), patch: Value::Array(patch) })
    }
}

/// The members of an object by name, each as its text.
type Members<'a> = BTreeMap<Name<'a>, &'a RawValue>;

/// A member's name: borrowed from the text unless it was escaped there.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl Borrow<str> for Name<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_recorded_and_the_patch_says_how() {
        let before = json!({"a": 1, "b": 2, "gone": true});
        let after = json!({"a": 1, "b": 3, "x/y~z": null});
        let Changes { left, right, patch } = Changes::between(&before, &after).unwrap();
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
        let changes = Changes::between(&json!(null), &json!({"a": 1})).unwrap();
        assert_eq!((changes.left, changes.right), (json!(null), json!({"a": 1})));
        assert_eq!(changes.patch, json!([{"op": "replace", "path": "", "value": {"a": 1}}]));
    }
}
