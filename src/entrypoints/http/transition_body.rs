//! A command on the wire: which members each command takes is derived from the guards of the transition table.

use docket_domain::case::transitions::TRANSITIONS;
use docket_domain::case::{Command, CommandInput, LinkKind};
use docket_domain::ids::{CaseId, PrincipalId};
use docket_domain::text::{PROSE_MAX, REASON_MAX};
use serde_json::Value;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::case_body::names_schema;
use super::form::Form;
use crate::application::cases::transition_case::TransitionCommand;
use crate::application::error::Invalid;
use crate::application::evidence::stored_content::NamedContent;

/// The members that a command must carry, as the guards of its rows say.
pub fn required_members(command: Command) -> Vec<&'static str> {
    let rows = TRANSITIONS.iter().filter(|row| row.command == command);
    let mut members: Vec<_> = rows.flat_map(|row| row.guards).filter_map(|guard| guard.input_field()).collect();
    members.sort_unstable();
    members.dedup();
    members.iter().map(|member| if *member == "evidence" { "sha256" } else { *member }).collect()
}

/// The members that a command may carry besides.
pub const fn optional_members(command: Command) -> &'static [&'static str] {
    match command {
        Command::Withdraw | Command::Close | Command::ApproveDecision | Command::DeEscalate => &["reason"],
        Command::Link => &["kind"],
        Command::AddEvidence => &["file_name", "description"],
        _ => &[],
    }
}

/// What a client asks for: the command and what came along.
pub struct ParsedTransition {
    /// The command with its input.
    pub command: TransitionCommand,
    /// The digest of content stored before, for `add_evidence`.
    pub stored_content: Option<NamedContent>,
}

/// Reads `{"command": ..., members}`. Mistakes in the members are kept inside, because state and role are judged first.
pub fn parse_transition(body: Value) -> Result<ParsedTransition, Vec<Invalid>> {
    let mut form = Form::new(body);
    if !form.has("command") {
        form.error("command", format!("is required; one of: {}", all_commands()));
        return Err(form.finish("command").err().unwrap_or_default());
    }
    match form.name::<Command>("command") {
        Some(command) => Ok(parse_members(command, form)),
        None => Err(form.finish("command and the members of that command").err().unwrap_or_default()),
    }
}

/// Reads the members of a known command.
pub fn parse_members(command: Command, mut form: Form) -> ParsedTransition {
    let required = required_members(command);
    let takes = |member: &str| required.contains(&member) || optional_members(command).contains(&member);
    let mut input = CommandInput::default();
    if takes("reason") {
        input.reason = prose(&mut form, "reason", REASON_MAX, required.contains(&"reason"));
    }
    if takes("question") {
        input.question = form.required_prose("question", PROSE_MAX);
    }
    if takes("answer") {
        input.answer = form.required_prose("answer", PROSE_MAX);
    }
    if takes("decision") {
        input.decision = form.required_prose("decision", PROSE_MAX);
    }
    if takes("body") {
        input.body = form.required_prose("body", PROSE_MAX);
    }
    if takes("due_at") {
        input.due_at = form.required_instant("due_at");
    }
    if takes("assignee_id") {
        input.assignee_id = form.required_uuid("assignee_id").map(PrincipalId);
    }
    if takes("target_case_id") {
        input.target_case_id = form.required_uuid("target_case_id").map(CaseId);
        input.link_kind = form.name::<LinkKind>("kind");
    }
    let stored_content = takes("sha256").then(|| NamedContent {
        sha256: form.required_line("sha256", 64).unwrap_or_default(),
        file_name: form.line("file_name", 255).unwrap_or_default(),
        description: form.line("description", 500).unwrap_or_default(),
    });
    let allowed = [&["command"], &required[..], optional_members(command)].concat().join(", ");
    let input = form.finish(&allowed).map(|()| input);
    ParsedTransition { command: TransitionCommand { command, input, file: None }, stored_content }
}

fn prose(form: &mut Form, name: &str, max: usize, required: bool) -> Option<String> {
    if required { form.required_prose(name, max) } else { form.prose(name, max) }
}

fn all_commands() -> String {
    Command::ALL.iter().map(|command| command.as_str()).collect::<Vec<_>>().join(", ")
}

/// The body of `POST /v1/cases/{id}/transitions`, one shape for each command.
pub struct TransitionBody;

impl PartialSchema for TransitionBody {
    fn schema() -> RefOr<Schema> {
        let one_of = Command::ALL.iter().fold(OneOfBuilder::new(), |one_of, command| one_of.item(shape(*command)));
        one_of.description(Some("One command with its members; see the transition table in the docs.")).into()
    }
}

impl ToSchema for TransitionBody {
    fn name() -> std::borrow::Cow<'static, str> {
        "Transition".into()
    }
}

fn shape(command: Command) -> ObjectBuilder {
    let object = ObjectBuilder::new()
        .title(Some(title(command)))
        .property("command", names_schema(std::iter::once(command.as_str())))
        .required("command")
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    let object = required_members(command)
        .into_iter()
        .fold(object, |object, member| object.property(member, member_schema(member)).required(member));
    optional_members(command).iter().fold(object, |object, member| object.property(*member, member_schema(member)))
}

/// A name of its own among all schemas of the document: generated clients make it the name of a type.
fn title(command: Command) -> String {
    let words = command.as_str().split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
    words.chain(std::iter::once("Command".to_owned())).collect()
}

fn member_schema(member: &str) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    match member {
        "due_at" => text.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
        "assignee_id" | "target_case_id" => text.format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))),
        "kind" => names_schema(LinkKind::ALL.iter().map(|kind| kind.as_str())),
        "sha256" => text.pattern(Some("^[0-9a-f]{64}$")),
        "file_name" => text.max_length(Some(255)),
        "description" => text.max_length(Some(500)),
        "reason" => text.min_length(Some(1)).max_length(Some(REASON_MAX)),
        _ => text.min_length(Some(1)).max_length(Some(PROSE_MAX)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_command_says_which_members_it_lacks() {
        for command in Command::ALL {
            let parsed =
                parse_transition(json!({"command": command.as_str()})).unwrap_or_else(|_| panic!("a known command"));
            let lacking = parsed.command.input.err().unwrap_or_default();
            assert_eq!(lacking.len(), required_members(*command).len(), "{command}: {lacking:?}");
        }
    }

    #[test]
    fn members_of_other_commands_are_refused() {
        let parsed =
            parse_transition(json!({"command": "submit", "reason": "x"})).unwrap_or_else(|_| panic!("a known command"));
        assert_eq!(parsed.command.input.expect_err("mistake")[0].pointer, "/reason");
    }

    #[test]
    fn an_unknown_command_is_told_which_there_are() {
        let mistakes = parse_transition(json!({"command": "explode"})).err().expect("mistake");
        assert!(mistakes[0].detail.contains("submit, start_review"), "{mistakes:?}");
        assert_eq!(parse_transition(json!({})).err().expect("mistake")[0].pointer, "/command");
    }
}
