//! Bodies for every command of the transition table, complete enough to be accepted when the table allows the command.

use docket_domain::case::Command;
use docket_domain::principal::Role;
use serde_json::{Value, json};

use super::random::Random;
use super::stage::Tenant;

/// A case that can be submitted as it is; `marker` finds it again.
pub fn new_case(marker: &str, confidentiality: &str) -> Value {
    json!({
        "title": format!("Unlit buoy {marker}"),
        "narrative": "The buoy was dark for three nights; two vessels reported near misses.",
        "respondent": "Northgate Pilots",
        "case_type": "navigation-aid",
        "severity": "high",
        "confidentiality": confidentiality,
        "attributes": {"marker": marker}
    })
}

/// The body of `POST /v1/cases/{id}/transitions`; `text` is what the note, question, answer or reason says.
pub fn transition(command: Command, text: &str, tenant: &Tenant, target: Option<&str>, random: &mut Random) -> Value {
    let mut body = json!({"command": command.as_str()});
    match command {
        Command::Escalate | Command::ReturnForRework | Command::Reopen => body["reason"] = json!(text),
        Command::RequestInformation => body["question"] = json!(text),
        Command::ReceiveInformation => body["answer"] = json!(text),
        Command::ProposeDecision => body["decision"] = json!(text),
        Command::AddNote => body["body"] = json!(text),
        Command::Assign => {
            body["assignee_id"] = json!(tenant.principals[random.pick(&[Role::Caseworker, Role::Supervisor])]);
        }
        Command::ExtendDeadline => {
            body["reason"] = json!(text);
            body["due_at"] = json!("2099-01-01T00:00:00Z");
        }
        Command::Link => {
            body["reason"] = json!(text);
            body["target_case_id"] = json!(target.unwrap_or("00000000-0000-7000-8000-000000000000"));
        }
        _ => {}
    }
    body
}
