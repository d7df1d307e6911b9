//! Creating, editing and deleting: who may, when, and what changes.

use docket_domain::case::deadline::{Calendar, due_at};
use docket_domain::case::fields::{create, edit, may_create, may_delete, may_edit};
use docket_domain::case::{Case, CaseChanges, Confidentiality, NewCase, Refusal, Severity, State};
use docket_domain::ids::CaseId;
use docket_domain::principal::{Actor, Role};
use serde_json::json;
use uuid::Uuid;

use super::world::{NOW, REPORTER, STRANGER, TENANT, actor, case_in};

const EDITABLE: [State; 5] =
    [State::Draft, State::Submitted, State::UnderReview, State::AwaitingInformation, State::Escalated];

fn new_case() -> NewCase {
    NewCase {
        reference: "R-9".to_owned(),
        title: "Title".to_owned(),
        narrative: "Narrative".to_owned(),
        respondent: "Respondent".to_owned(),
        case_type: "type".to_owned(),
        severity: Severity::High,
        confidentiality: Confidentiality::Restricted,
        attributes: json!({"district": 4}).as_object().unwrap().clone(),
    }
}

fn title() -> CaseChanges {
    CaseChanges { title: Some("New".to_owned()), ..CaseChanges::default() }
}

fn hold(legal_hold: bool) -> CaseChanges {
    CaseChanges { legal_hold: Some(legal_hold), ..CaseChanges::default() }
}

fn change(case: &Case, changes: CaseChanges, actor: &Actor) -> Result<Case, Refusal> {
    edit(case, changes, actor, NOW, &Calendar::default())
}

#[test]
fn a_new_case_is_a_draft_of_whoever_opened_it() {
    let id = CaseId(Uuid::from_u128(5));
    let case = create(id, new_case(), &actor(REPORTER, &[Role::Reporter]), NOW).unwrap();
    let expected = Case {
        id,
        tenant_id: TENANT,
        reference: "R-9".to_owned(),
        version: 1,
        title: "Title".to_owned(),
        narrative: "Narrative".to_owned(),
        respondent: "Respondent".to_owned(),
        case_type: "type".to_owned(),
        severity: Severity::High,
        confidentiality: Confidentiality::Restricted,
        assignee_id: None,
        opened_at: NOW,
        created_at: NOW,
        updated_at: NOW,
        attributes: new_case().attributes,
        ..case_in(State::Draft)
    };
    assert_eq!(case, expected);
}

#[test]
fn reporters_and_staff_create_cases_and_nobody_else() {
    let may = [Role::Reporter, Role::Caseworker, Role::Supervisor, Role::System];
    for role in Role::ALL {
        let made = create(CaseId(Uuid::nil()), new_case(), &actor(STRANGER, &[*role]), NOW);
        assert_eq!(made.is_ok(), may.contains(role), "{role}");
        assert_eq!(may_create(&actor(STRANGER, &[*role])).is_ok(), made.is_ok(), "{role}");
        if let Err(refusal) = made {
            assert!(refusal.is_by_role() && refusal.rule() == "role" && refusal.input_field().is_none());
            assert_eq!(refusal.to_string(), "creating a case needs one of the roles: reporter, caseworker, supervisor");
        }
    }
}

#[test]
fn fields_change_by_staff_until_a_decision_is_proposed_and_by_the_reporter_in_its_own_draft() {
    for (state, role) in State::ALL.iter().flat_map(|state| Role::ALL.iter().map(move |role| (*state, *role))) {
        let case = case_in(state);
        let staff = matches!(role, Role::Caseworker | Role::Supervisor | Role::System);
        let creates = staff || role == Role::Reporter;
        for (who, owner) in [(REPORTER, true), (STRANGER, false)] {
            let anything = [title(), hold(true)].map(|changes| change(&case, changes, &actor(who, &[role])).is_ok());
            assert_eq!(may_edit(&case, &actor(who, &[role])).is_ok(), anything != [false; 2], "{state} {role} {owner}");
            let by_role = staff || (state == State::Draft && owner && creates);
            match change(&case, title(), &actor(who, &[role])) {
                Ok(next) => {
                    assert!(by_role && EDITABLE.contains(&state), "{state} {role} {owner}");
                    let expected = Case { title: "New".to_owned(), version: 8, updated_at: NOW, ..case.clone() };
                    assert_eq!(next, expected);
                }
                Err(refusal) => {
                    assert!(!(by_role && EDITABLE.contains(&state)), "{state} {role} {owner}");
                    assert_eq!(refusal.is_by_role(), !by_role, "{state} {role} {owner}");
                }
            }
        }
    }
    let refusal = change(&case_in(State::Closed), title(), &actor(STRANGER, &[Role::Supervisor])).unwrap_err();
    assert_eq!(refusal.to_string(), "the fields of a case in state `closed` cannot be changed");
    assert_eq!(refusal.rule(), "state");
}

#[test]
fn each_field_alone_counts_as_a_change_of_fields_also_beside_a_legal_hold() {
    let each = [
        title(),
        CaseChanges { narrative: Some("n".to_owned()), ..CaseChanges::default() },
        CaseChanges { respondent: Some("r".to_owned()), ..CaseChanges::default() },
        CaseChanges { case_type: Some("c".to_owned()), ..CaseChanges::default() },
        CaseChanges { severity: Some(Severity::Low), ..CaseChanges::default() },
        CaseChanges { confidentiality: Some(Confidentiality::Public), ..CaseChanges::default() },
        CaseChanges { attributes: Some(new_case().attributes), ..CaseChanges::default() },
    ];
    let supervisor = actor(STRANGER, &[Role::Supervisor]);
    for changes in each {
        let with_hold = CaseChanges { legal_hold: Some(true), ..changes.clone() };
        assert!(change(&case_in(State::Decided), with_hold.clone(), &supervisor).is_err(), "{changes:?}");
        assert!(change(&case_in(State::UnderReview), with_hold, &supervisor).unwrap().legal_hold, "{changes:?}");
        let (before, after) = (case_in(State::UnderReview), change(&case_in(State::UnderReview), changes, &supervisor));
        assert_ne!(Case { version: 7, updated_at: before.updated_at, ..after.unwrap() }, before);
    }
    assert!(change(&case_in(State::Decided), CaseChanges::default(), &supervisor).is_err(), "nothing is no way around");
}

#[test]
fn every_changed_field_reaches_the_case() {
    let changes = CaseChanges {
        title: Some("t".to_owned()),
        narrative: Some("n".to_owned()),
        respondent: Some("r".to_owned()),
        case_type: Some("c".to_owned()),
        severity: None,
        confidentiality: Some(Confidentiality::Restricted),
        legal_hold: Some(true),
        attributes: Some(new_case().attributes),
    };
    let before = case_in(State::UnderReview);
    let expected = Case {
        version: 8,
        updated_at: NOW,
        title: "t".to_owned(),
        narrative: "n".to_owned(),
        respondent: "r".to_owned(),
        case_type: "c".to_owned(),
        confidentiality: Confidentiality::Restricted,
        legal_hold: true,
        attributes: new_case().attributes,
        ..before.clone()
    };
    assert_eq!(change(&before, changes, &actor(STRANGER, &[Role::Supervisor])), Ok(expected));
}

#[test]
fn a_legal_hold_is_set_and_lifted_by_supervision_in_every_state() {
    for (state, role) in State::ALL.iter().flat_map(|state| Role::ALL.iter().map(move |role| (*state, *role))) {
        let supervision = matches!(role, Role::Supervisor | Role::System);
        for on in [true, false] {
            let case = Case { legal_hold: !on, ..case_in(state) };
            let held = change(&case, hold(on), &actor(REPORTER, &[role]));
            assert_eq!(held.as_ref().map(|case| case.legal_hold).ok(), supervision.then_some(on), "{state} {role}");
            if let Err(refusal) = held {
                assert!(refusal.is_by_role());
                assert_eq!(refusal.to_string(), "setting or lifting a legal hold needs the role supervisor");
            }
        }
    }
}

#[test]
fn a_changed_severity_counts_the_deadline_anew_and_the_same_one_does_not() {
    let supervisor = actor(STRANGER, &[Role::Supervisor]);
    let to = |severity| CaseChanges { severity: Some(severity), ..CaseChanges::default() };
    let before = case_in(State::UnderReview);
    let same = change(&before, to(before.severity), &supervisor).unwrap();
    assert_eq!((same.due_at, same.severity), (before.due_at, before.severity));
    let graver = change(&before, to(Severity::Critical), &supervisor).unwrap();
    assert_eq!(graver.due_at, Some(due_at(NOW, Severity::Critical, &Calendar::default())));
    assert_eq!((graver.severity, graver.clock_paused_at), (Severity::Critical, None));
    let draft = change(&case_in(State::Draft), to(Severity::Critical), &supervisor).unwrap();
    assert_eq!((draft.due_at, draft.severity), (None, Severity::Critical));
    let paused = change(&case_in(State::AwaitingInformation), to(Severity::Medium), &supervisor).unwrap();
    assert_eq!(paused.clock_paused_at, case_in(State::AwaitingInformation).clock_paused_at);
}

#[test]
fn own_drafts_are_deleted_by_their_reporter_and_drafts_and_withdrawn_cases_by_supervision() {
    for (state, role) in State::ALL.iter().flat_map(|state| Role::ALL.iter().map(move |role| (*state, *role))) {
        for (who, owner, held) in [(REPORTER, true, false), (STRANGER, false, false), (REPORTER, true, true)] {
            let case = Case { legal_hold: held, ..case_in(state) };
            let supervision = matches!(role, Role::Supervisor | Role::System);
            let creates = supervision || matches!(role, Role::Reporter | Role::Caseworker);
            let by_role = supervision || (owner && creates && state == State::Draft);
            let by_state = matches!(state, State::Draft | State::Withdrawn);
            let answer = may_delete(&case, &actor(who, &[role]));
            assert_eq!(answer.is_ok(), by_role && by_state && !held, "{state} {role} {owner} {held}");
            if let Err(refusal) = answer {
                assert_eq!(refusal.is_by_role(), !by_role, "{state} {role} {owner} {held}");
                let sentence = match (by_role, by_state) {
                    (false, _) => "deleting a case needs the role supervisor, or that it is your own draft".to_owned(),
                    (_, true) => "the case is under legal hold; a supervisor must lift the hold first".to_owned(),
                    _ => format!("a case in state `{state}` cannot be deleted; only draft and withdrawn cases can"),
                };
                assert_eq!(refusal.to_string(), sentence);
            }
        }
    }
}
