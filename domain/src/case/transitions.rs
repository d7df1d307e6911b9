//! The transition table: the single source of the case's life cycle.
//!
//! A row reads: in this state, this command, leads to that state, for these roles, if these guards hold. What is not in
//! the table is refused. Rows are grouped by command; a command appears at most once per state.

use super::guard::Guard;
use super::names::{Command, State};
use crate::principal::{Role, Roles};

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Transition {
    /// The state the case is in.
    pub from: State,
    /// What is asked.
    pub command: Command,
    /// The state the case is in afterwards; equal to `from` for commands that only add something.
    pub to: State,
    /// Who may ask.
    pub roles: Roles,
    /// What must hold, judged in this order; the first that fails is the reason given.
    pub guards: &'static [Guard],
}

const ANYONE: Roles = Roles::of(&[Role::Reporter, Role::Caseworker, Role::Supervisor, Role::System]);
const STAFF: Roles = Roles::of(&[Role::Caseworker, Role::Supervisor, Role::System]);
const SUPERVISION: Roles = Roles::of(&[Role::Supervisor, Role::System]);

use Command as C;
use Guard as G;
use State::{
    AwaitingInformation, Closed, Decided, DecisionProposed, Draft, Escalated, Submitted, UnderReview, Withdrawn,
};

/// The guards that recur, named once.
const SUBMIT: &[Guard] = &[G::OwnCaseIfReporter, G::Complete];
const OWN: &[Guard] = &[G::OwnCaseIfReporter];
const REVIEW: &[Guard] = &[G::AssigneePresent, G::AssigneeNotReporter];
const ASK: &[Guard] = &[G::QuestionGiven];
const ANSWER: &[Guard] = &[G::OwnCaseIfReporter, G::OpenInformationRequest, G::AnswerGiven];
const REASON: &[Guard] = &[G::ReasonGiven];
const PROPOSE: &[Guard] = &[G::AssigneePresent, G::NoOpenInformationRequest, G::DecisionGiven];
const APPROVE: &[Guard] = &[G::FourEyes, G::NoOpenInformationRequest];
const CLOSE: &[Guard] = &[G::NoOpenInformationRequest];
const EXTEND: &[Guard] = &[G::NotExtendedBefore, G::BeforeExpiry, G::ExtensionIsLater, G::ReasonGiven];
const ASSIGN: &[Guard] = &[G::NewAssigneeNotReporter, G::CaseworkerAssignsItself];
const NOTE: &[Guard] = &[G::OwnCaseIfReporter, G::NoteGiven];
const EVIDENCE: &[Guard] = &[G::OwnCaseIfReporter, G::EvidenceGiven];
const LINK: &[Guard] = &[G::TargetGiven, G::ReasonGiven];

const fn row(from: State, command: Command, to: State, roles: Roles, guards: &'static [Guard]) -> Transition {
    Transition { from, command, to, roles, guards }
}

/// The whole life cycle.
pub const TRANSITIONS: &[Transition] = &[
    row(Draft, C::Submit, Submitted, ANYONE, SUBMIT),
    row(Submitted, C::StartReview, UnderReview, STAFF, REVIEW),
    row(UnderReview, C::RequestInformation, AwaitingInformation, STAFF, ASK),
    row(AwaitingInformation, C::RequestInformation, AwaitingInformation, STAFF, ASK),
    row(Escalated, C::RequestInformation, AwaitingInformation, STAFF, ASK),
    row(AwaitingInformation, C::ReceiveInformation, UnderReview, ANYONE, ANSWER),
    row(UnderReview, C::ReceiveInformation, UnderReview, ANYONE, ANSWER),
    row(Escalated, C::ReceiveInformation, Escalated, ANYONE, ANSWER),
    row(Decided, C::ReceiveInformation, Decided, ANYONE, ANSWER),
    row(Submitted, C::Escalate, Escalated, STAFF, REASON),
    row(UnderReview, C::Escalate, Escalated, STAFF, REASON),
    row(AwaitingInformation, C::Escalate, Escalated, STAFF, REASON),
    row(Escalated, C::DeEscalate, UnderReview, SUPERVISION, &[]),
    row(UnderReview, C::ProposeDecision, DecisionProposed, STAFF, PROPOSE),
    row(Escalated, C::ProposeDecision, DecisionProposed, STAFF, PROPOSE),
    row(DecisionProposed, C::ApproveDecision, Decided, SUPERVISION, APPROVE),
    row(DecisionProposed, C::ReturnForRework, UnderReview, SUPERVISION, REASON),
    row(Decided, C::RequestInformation, Decided, STAFF, ASK),
    row(Decided, C::Close, Closed, STAFF, CLOSE),
    row(Closed, C::Reopen, UnderReview, SUPERVISION, REASON),
    row(Draft, C::Withdraw, Withdrawn, ANYONE, OWN),
    row(Submitted, C::Withdraw, Withdrawn, ANYONE, OWN),
    row(UnderReview, C::Withdraw, Withdrawn, ANYONE, OWN),
    row(AwaitingInformation, C::Withdraw, Withdrawn, ANYONE, OWN),
    row(Escalated, C::Withdraw, Withdrawn, SUPERVISION, OWN),
    row(Submitted, C::ExtendDeadline, Submitted, SUPERVISION, EXTEND),
    row(UnderReview, C::ExtendDeadline, UnderReview, SUPERVISION, EXTEND),
    row(AwaitingInformation, C::ExtendDeadline, AwaitingInformation, SUPERVISION, EXTEND),
    row(Escalated, C::ExtendDeadline, Escalated, SUPERVISION, EXTEND),
    row(DecisionProposed, C::ExtendDeadline, DecisionProposed, SUPERVISION, EXTEND),
    row(Draft, C::Assign, Draft, STAFF, ASSIGN),
    row(Submitted, C::Assign, Submitted, STAFF, ASSIGN),
    row(UnderReview, C::Assign, UnderReview, STAFF, ASSIGN),
    row(AwaitingInformation, C::Assign, AwaitingInformation, STAFF, ASSIGN),
    row(Escalated, C::Assign, Escalated, SUPERVISION, ASSIGN),
    row(DecisionProposed, C::Assign, DecisionProposed, SUPERVISION, ASSIGN),
    row(Draft, C::AddNote, Draft, ANYONE, NOTE),
    row(Submitted, C::AddNote, Submitted, ANYONE, NOTE),
    row(UnderReview, C::AddNote, UnderReview, ANYONE, NOTE),
    row(AwaitingInformation, C::AddNote, AwaitingInformation, ANYONE, NOTE),
    row(Escalated, C::AddNote, Escalated, ANYONE, NOTE),
    row(DecisionProposed, C::AddNote, DecisionProposed, STAFF, NOTE),
    row(Decided, C::AddNote, Decided, STAFF, NOTE),
    row(Closed, C::AddNote, Closed, STAFF, NOTE),
    row(Draft, C::AddEvidence, Draft, ANYONE, EVIDENCE),
    row(Submitted, C::AddEvidence, Submitted, ANYONE, EVIDENCE),
    row(UnderReview, C::AddEvidence, UnderReview, ANYONE, EVIDENCE),
    row(AwaitingInformation, C::AddEvidence, AwaitingInformation, ANYONE, EVIDENCE),
    row(Escalated, C::AddEvidence, Escalated, STAFF, EVIDENCE),
    row(DecisionProposed, C::AddEvidence, DecisionProposed, STAFF, EVIDENCE),
    row(Draft, C::Link, Draft, STAFF, LINK),
    row(Submitted, C::Link, Submitted, STAFF, LINK),
    row(UnderReview, C::Link, UnderReview, STAFF, LINK),
    row(AwaitingInformation, C::Link, AwaitingInformation, STAFF, LINK),
    row(Escalated, C::Link, Escalated, STAFF, LINK),
    row(DecisionProposed, C::Link, DecisionProposed, STAFF, LINK),
    row(Decided, C::Link, Decided, STAFF, LINK),
    row(Closed, C::Link, Closed, STAFF, LINK),
];

/// The row for a state and a command, if the table has one.
pub fn find(from: State, command: Command) -> Option<&'static Transition> {
    TRANSITIONS.iter().find(|row| row.from == from && row.command == command)
}

/// The states in which a command is possible at all, in the table's order.
pub fn states_allowing(command: Command) -> impl Iterator<Item = State> {
    TRANSITIONS.iter().filter(move |row| row.command == command).map(|row| row.from)
}

/// Every role that may give `command` in some state.
pub fn roles_allowing(command: Command) -> impl Iterator<Item = Role> {
    Role::ALL
        .iter()
        .copied()
        .filter(move |role| TRANSITIONS.iter().any(|row| row.command == command && row.roles.has(*role)))
}
