//! The wire names: each round-trips through text and JSON, and unknown ones say what would have fitted.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use docket_domain::audit::Outcome;
use docket_domain::case::{Command, Confidentiality, EventType, Guard, LinkKind, Severity, State};
use docket_domain::ids::{CaseId, PrincipalId, TenantId};
use docket_domain::principal::{Actor, PrincipalKind, Role, Roles, Scope, UnknownName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

#[track_caller]
fn round_trips<T>(all: &[T], kind: &str)
where
    T: Copy + Debug + Display + PartialEq + Serialize + DeserializeOwned + FromStr<Err = UnknownName>,
{
    let names: Vec<String> = all.iter().map(ToString::to_string).collect();
    for (value, name) in all.iter().zip(&names) {
        assert_eq!(name.parse::<T>().as_ref(), Ok(value));
        let json = serde_json::to_string(value).unwrap();
        assert_eq!(json, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *value);
        assert_eq!(format!("{value:>40}").trim_start(), name, "a width is kept");
        assert_eq!(format!("{value:>40}").len(), 40);
    }
    let error = "nonsense".parse::<T>().unwrap_err();
    assert_eq!(error.to_string(), format!("`nonsense` is not a {kind}; use one of: {}", names.join(", ")));
    assert_eq!("x".repeat(200).parse::<T>().unwrap_err().value.len(), 80, "a long name is cut");
}

#[test]
fn every_name_survives_text_and_json() {
    round_trips(State::ALL, "state");
    round_trips(Command::ALL, "command");
    round_trips(Severity::ALL, "severity");
    round_trips(Confidentiality::ALL, "confidentiality");
    round_trips(LinkKind::ALL, "link kind");
    round_trips(Guard::ALL, "guard");
    round_trips(EventType::ALL, "event type");
    round_trips(Outcome::ALL, "outcome");
    round_trips(Role::ALL, "role");
    round_trips(Scope::ALL, "scope");
    round_trips(PrincipalKind::ALL, "principal kind");
}

#[test]
fn closed_and_withdrawn_are_the_ends() {
    let ends: Vec<_> = State::ALL.iter().filter(|state| state.is_terminal()).collect();
    assert_eq!(ends, [&State::Closed, &State::Withdrawn]);
}

#[test]
fn every_command_has_an_event_of_its_own() {
    let expected = [
        "case.submitted",
        "case.review_started",
        "case.information_requested",
        "case.information_received",
        "case.escalated",
        "case.de_escalated",
        "case.decision_proposed",
        "case.decision_approved",
        "case.returned_for_rework",
        "case.closed",
        "case.reopened",
        "case.withdrawn",
        "case.deadline_extended",
        "case.assigned",
        "case.note_added",
        "case.evidence_added",
        "case.linked",
    ];
    let events: Vec<_> = Command::ALL.iter().map(|command| EventType::from(*command).as_str()).collect();
    assert_eq!(events, expected);
}

#[test]
fn identifiers_read_and_write_as_uuids() {
    let text = "0199f3a0-0000-7000-8000-000000000001";
    let id: CaseId = text.parse().unwrap();
    assert_eq!((id.to_string(), CaseId::from(id.0)), (text.to_owned(), id));
    assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
    assert!("case-1".parse::<CaseId>().is_err());
    assert_eq!((TenantId::PLATFORM.0, PrincipalId::SYSTEM.0), (Uuid::nil(), Uuid::nil()));
}

#[test]
fn the_system_actor_is_docket_itself_and_scopes_are_looked_up() {
    let tenant = TenantId(Uuid::from_u128(4));
    let system = Actor::system(tenant);
    assert_eq!(
        (system.tenant_id, system.principal_id, system.kind),
        (tenant, PrincipalId::SYSTEM, PrincipalKind::System)
    );
    assert_eq!((system.roles, system.on_behalf_of), (Roles::of(&[Role::System]), None));
    let reading = Actor { scopes: vec![Scope::CasesRead], ..system };
    assert!(reading.has_scope(Scope::CasesRead) && !reading.has_scope(Scope::CasesWrite));
}

#[test]
fn a_set_of_roles_lists_them_in_order_and_holds_each_once() {
    let set = Roles::of(&[Role::System, Role::Reporter, Role::System]);
    assert_eq!(set.iter().collect::<Vec<_>>(), [Role::Reporter, Role::System]);
    assert_eq!(Roles::default(), Roles::NONE);
    assert_eq!(Roles::of(Role::ALL).iter().count(), 7);
    assert!(serde_json::from_str::<Roles>("[\"root\"]").is_err());
    assert!(serde_json::from_str::<Roles>("\"admin\"").is_err());
}
