//! What the audit record says of the rows that hang on a case, so that the hash chain covers them.

use docket_domain::idempotency::hex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::application::ports::case_store::Attachment;

/// The member `attached` of the record's `after`: each row by its kind, with its id and what must not change of it. Prose stands
/// as its SHA-256: the record outlives the case, and the text need not. None when nothing was attached.
pub(super) fn named(attachments: &[Attachment]) -> Option<Value> {
    let rows: Vec<_> = attachments.iter().map(name).collect();
    (!rows.is_empty()).then_some(Value::Array(rows))
}

fn name(attachment: &Attachment) -> Value {
    match attachment {
        Attachment::Note { id, kind, body } => {
            json!({"note": {"body_sha256": hex(&Sha256::digest(body)), "id": id, "kind": kind.as_str()}})
        }
        Attachment::Evidence { id, sha256, size_bytes, media_type, file_name, .. } => json!({"evidence": {
            "file_name": file_name,
            "id": id,
            "media_type": media_type,
            "sha256": hex(sha256),
            "size_bytes": size_bytes,
        }}),
        Attachment::Link { id, target, kind, .. } => {
            json!({"link": {"id": id, "kind": kind.as_str(), "target_case_id": target}})
        }
        // What the register said stands in the record's reason.
        Attachment::RegisterEntry { id, event_id, .. } => json!({"register_entry": {"event_id": event_id, "id": id}}),
    }
}
