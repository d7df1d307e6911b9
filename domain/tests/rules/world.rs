//! A small world to decide in: fixed people, one case, and inputs that every guard is content with.

use docket_domain::case::deadline::Notices;
use docket_domain::case::{Case, Command, CommandInput, Confidentiality, Severity, State};
use docket_domain::ids::{CaseId, EvidenceId, PrincipalId, TenantId};
use docket_domain::principal::{Actor, PrincipalKind, Role, Roles, Scope};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Now, in this world: a Saturday morning.
pub const NOW: OffsetDateTime = datetime!(2026-11-21 10:00:00 UTC);
/// The tenant.
pub const TENANT: TenantId = TenantId(Uuid::from_u128(0x7e));
/// Who opened the case.
pub const REPORTER: PrincipalId = PrincipalId(Uuid::from_u128(1));
/// Who works on it.
pub const WORKER: PrincipalId = PrincipalId(Uuid::from_u128(2));
/// Who proposed the decision.
pub const PROPOSER: PrincipalId = PrincipalId(Uuid::from_u128(3));
/// Who has nothing to do with it.
pub const STRANGER: PrincipalId = PrincipalId(Uuid::from_u128(4));

/// Somebody with exactly these roles.
pub fn actor(principal_id: PrincipalId, roles: &[Role]) -> Actor {
    Actor {
        tenant_id: TENANT,
        principal_id,
        kind: PrincipalKind::User,
        roles: Roles::of(roles),
        scopes: Scope::ALL.to_vec(),
        on_behalf_of: None,
    }
}

/// Somebody who plays `role` in a case of this world: its reporter, or (for every other role) its worker.
pub fn player(role: Role) -> Actor {
    actor(if role == Role::Reporter { REPORTER } else { WORKER }, &[role])
}

/// A complete case in `state`, as its life would have left it.
pub fn case_in(state: State) -> Case {
    let submitted = !matches!(state, State::Draft);
    let proposed = matches!(state, State::DecisionProposed | State::Decided | State::Closed);
    let earlier = NOW - Duration::days(2);
    Case {
        id: CaseId(Uuid::from_u128(0xca5e)),
        tenant_id: TENANT,
        reference: "R-1".to_owned(),
        version: 7,
        state,
        title: "Valve".to_owned(),
        narrative: "It leaked.".to_owned(),
        respondent: "Example Pipelines".to_owned(),
        case_type: "inspection".to_owned(),
        severity: Severity::Medium,
        confidentiality: Confidentiality::Internal,
        reporter_id: REPORTER,
        assignee_id: Some(WORKER),
        proposed_by: proposed.then_some(PROPOSER),
        decision: proposed.then(|| "Fine.".to_owned()),
        open_information_requests: u32::from(state == State::AwaitingInformation),
        legal_hold: false,
        deadline_extended: false,
        due_at: submitted.then_some(NOW + Duration::days(20)),
        clock_paused_at: (state == State::AwaitingInformation).then_some(earlier),
        notices: Notices::default(),
        opened_at: earlier,
        created_at: earlier,
        updated_at: earlier,
        closed_at: state.is_terminal().then_some(earlier),
        attributes: serde_json::Map::new(),
    }
}

/// A case in `state` with which every guard of `command` is content, whoever plays.
pub fn case_for(state: State, command: Command) -> Case {
    let open = u32::from(command == Command::ReceiveInformation);
    Case { open_information_requests: open, ..case_in(state) }
}

/// Everything any command could ask for, in order.
pub fn input() -> CommandInput {
    let text = || Some("text".to_owned());
    CommandInput {
        reason: text(),
        question: text(),
        answer: text(),
        decision: text(),
        due_at: Some(NOW + Duration::days(30)),
        assignee_id: Some(WORKER),
        body: text(),
        evidence_id: Some(EvidenceId(Uuid::from_u128(0xe))),
        target_case_id: Some(CaseId(Uuid::from_u128(0x07e4))),
        link_kind: None,
    }
}
