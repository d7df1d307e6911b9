//! `/v1/cases/{id}/transitions` and `/actions`, and the shorter paths for assigning, noting and linking.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use docket_domain::case::{Command, State as CaseState};
use docket_domain::ids::CaseId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::case_body::{CaseBody, command_schema, state_schema};
use super::case_list::viewer;
use super::extract::{Authenticated, JsonBody, NoQuery, PathId, Query, WriteHeaders};
use super::form::Form;
use super::presenter::{Created, HttpPresenter, respond};
use super::problem::Problem;
use super::state::ApiState;
use super::transition_body::{ParsedTransition, TransitionBody, parse_members, parse_transition};
use crate::application::cases::available_actions::available_actions;
use crate::application::cases::transition_case::{TransitionCommand, action_name, transition_case};
use crate::application::cases::unit_of_work::ChangeRequest;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::evidence::stored_content::find_stored_content;
use crate::application::request::Caller;

/// Carry out one command. With `?dry_run=true` nothing changes and the verdict is the same.
#[utoipa::path(post, path = "/v1/cases/{id}/transitions", tag = "cases", request_body = TransitionBody,
    params(("id" = Uuid, Path, description = "The case"),
        ("dry_run" = Option<bool>, Query, description = "Judge only; needs no Idempotency-Key"),
        ("If-Match" = String, Header, description = "The ETag of the version you saw"),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this operation; required unless it is a dry run")),
    responses(
        (status = 200, description = "The case after the command", body = CaseBody<'static>, headers(("ETag" = String)))))]
pub async fn post_transition(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    query: Query,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let dry_run = only_dry_run(query)?;
    let parsed = match parse_transition(body.value) {
        Ok(parsed) => Ok(with_stored_content(&state, &caller, parsed).await?),
        Err(mistakes) => Err(mistakes),
    };
    let write = Write { caller: &caller, id, headers: &headers, canonical: &body.canonical, dry_run };
    carry_out(&state, &write, Created::Nothing, parsed).await
}

/// Assign the case; the same as the command `assign`, `?dry_run=true` included.
#[utoipa::path(put, path = "/v1/cases/{id}/assignment", tag = "cases", request_body = Object,
    params(("id" = Uuid, Path, description = "The case"),
        ("dry_run" = Option<bool>, Query, description = "Judge only; needs no Idempotency-Key"),
        ("If-Match" = String, Header, description = "The ETag of the version you saw"),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this operation; required unless it is a dry run")),
    responses(
        (status = 200, description = "The case after the command", body = CaseBody<'static>, headers(("ETag" = String)))))]
pub async fn put_assignment(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    query: Query,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let dry_run = only_dry_run(query)?;
    let write = Write { caller: &caller, id, headers: &headers, canonical: &body.canonical, dry_run };
    carry_out(&state, &write, Created::Nothing, Ok(members(Command::Assign, body.value))).await
}

/// Add a note; the same as the command `add_note`, `?dry_run=true` included.
#[utoipa::path(post, path = "/v1/cases/{id}/notes", tag = "cases", request_body = Object,
    params(("id" = Uuid, Path, description = "The case"),
        ("dry_run" = Option<bool>, Query, description = "Judge only; needs no Idempotency-Key"),
        ("If-Match" = String, Header, description = "The ETag of the version you saw"),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this operation; required unless it is a dry run")),
    responses(
        (status = 200, description = "A dry run: the case as it would be", body = CaseBody<'static>, headers(("ETag" = String))),
        (status = 201, description = "The case with the note", body = CaseBody<'static>, headers(("ETag" = String), ("Location" = String)))))]
pub async fn post_note(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    query: Query,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let dry_run = only_dry_run(query)?;
    let write = Write { caller: &caller, id, headers: &headers, canonical: &body.canonical, dry_run };
    carry_out(&state, &write, Created::OnCase("notes"), Ok(members(Command::AddNote, body.value))).await
}

/// Link the case to another; the same as the command `link`, `?dry_run=true` included.
#[utoipa::path(post, path = "/v1/cases/{id}/links", tag = "cases", request_body = Object,
    params(("id" = Uuid, Path, description = "The case"),
        ("dry_run" = Option<bool>, Query, description = "Judge only; needs no Idempotency-Key"),
        ("If-Match" = String, Header, description = "The ETag of the version you saw"),
        ("Idempotency-Key" = Option<String>, Header, description = "Your name for this operation; required unless it is a dry run")),
    responses(
        (status = 200, description = "A dry run: the case as it would be", body = CaseBody<'static>, headers(("ETag" = String))),
        (status = 201, description = "The case with the link", body = CaseBody<'static>, headers(("ETag" = String), ("Location" = String)))))]
pub async fn post_link(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId,
    query: Query,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let dry_run = only_dry_run(query)?;
    let write = Write { caller: &caller, id, headers: &headers, canonical: &body.canonical, dry_run };
    carry_out(&state, &write, Created::OnCase("links"), Ok(members(Command::Link, body.value))).await
}

/// Whether to judge only: the one parameter of a command.
fn only_dry_run(mut query: Query) -> Result<bool, UseCaseError> {
    let dry_run = query.flag("dry_run");
    query.finish()?;
    Ok(dry_run)
}

/// A command as it came in.
pub struct Write<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// Which case.
    pub id: uuid::Uuid,
    /// Key and version.
    pub headers: &'a WriteHeaders,
    /// What the fingerprint covers of the body.
    pub canonical: &'a [u8],
    /// Judge only.
    pub dry_run: bool,
}

/// Carries out a parsed command. An unreadable command cannot be judged against the table: its mistakes are told after
/// existence, replay and precondition were checked, as for any other invalid input.
pub async fn carry_out(
    state: &ApiState,
    write: &Write<'_>,
    created: Created,
    parsed: Result<TransitionCommand, Vec<Invalid>>,
) -> Result<Response, Problem> {
    let claim = write.headers.claim(write.canonical);
    // What is only judged creates nothing to point to.
    let created = if write.dry_run { Created::Nothing } else { created };
    let presenter = HttpPresenter::new(state, &write.caller.request_id, created);
    let action = parsed.as_ref().map_or_else(|_| "case.transition".to_owned(), |parsed| action_name(parsed.command));
    let request = ChangeRequest {
        caller: write.caller,
        case_id: CaseId(write.id),
        if_match: write.headers.if_match,
        claim: claim.as_ref(),
        dry_run: write.dry_run,
        presenter: &presenter,
        action: &action,
        completes: None,
    };
    let written = match parsed {
        Ok(command) => transition_case(&state.writing, request, &command).await?,
        Err(mistakes) => {
            crate::application::cases::transition_case::refuse_unreadable(&state.writing, request, mistakes).await?
        }
    };
    Ok(respond(written))
}

/// Looks up the content that `add_evidence` names; a mistake in its name is told where mistakes in members are told.
async fn with_stored_content(
    state: &ApiState,
    caller: &Caller,
    parsed: ParsedTransition,
) -> Result<TransitionCommand, UseCaseError> {
    let ParsedTransition { mut command, stored_content } = parsed;
    if let Some(named) = stored_content.filter(|_| command.input.is_ok()) {
        match find_stored_content(state.evidence.as_ref(), viewer(caller), named).await? {
            Ok(file) => command.file = Some(file),
            Err(mistakes) => command.input = Err(mistakes),
        }
    }
    Ok(command)
}

fn members(command: Command, body: Value) -> TransitionCommand {
    parse_members(command, Form::new(body)).command
}

/// One line of the list of actions.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActionBody {
    /// The command.
    #[schema(schema_with = command_schema)]
    pub command: Command,
    /// Whether it would be accepted now, given its members.
    pub allowed: bool,
    /// The state it would lead to; absent when the table has no such command in this state.
    #[schema(schema_with = state_schema)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<CaseState>,
    /// The members it must carry.
    pub requires: Vec<&'static str>,
    /// The rule that refuses: `state`, `role` or a guard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<&'static str>,
    /// Why it is refused, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Every command on a case, allowed or refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActionsBody {
    /// The version that was judged.
    pub version: u64,
    /// The state that was judged.
    #[schema(schema_with = state_schema)]
    pub state: CaseState,
    /// One line for each command.
    pub actions: Vec<ActionBody>,
}

/// List every command with allowed or refused, and the guard that refuses it in words.
#[utoipa::path(get, path = "/v1/cases/{id}/actions", tag = "cases",
    params(("id" = Uuid, Path, description = "The case")),
    responses(
        (status = 200, description = "The verdicts", body = ActionsBody)))]
pub async fn get_actions(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathId(id): PathId,
) -> Result<Json<ActionsBody>, Problem> {
    let (stored, verdicts) = available_actions(state.cases.as_ref(), &state.writing, &caller, CaseId(id)).await?;
    let actions = verdicts.into_iter().map(|verdict| ActionBody {
        command: verdict.command,
        allowed: verdict.refusal.is_none(),
        to: verdict.to,
        requires: verdict.requires,
        guard: verdict.refusal.as_ref().map(docket_domain::case::Refusal::rule),
        reason: verdict.refusal.map(|refusal| refusal.to_string()),
    });
    Ok(Json(ActionsBody { version: stored.case.version, state: stored.case.state, actions: actions.collect() }))
}
