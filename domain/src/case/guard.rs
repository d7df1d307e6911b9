//! Guards: the named conditions of the transition table, each with the sentence it refuses with.

use time::OffsetDateTime;

use super::aggregate::Case;
use super::decide::CommandInput;
use crate::named_enum;
use crate::principal::{Actor, Role, Roles};

named_enum! {
    /// A condition that must hold before a command is carried out.
    Guard, "guard" {
        /// Title, narrative, respondent and case type are filled in.
        Complete = "complete",
        /// A reporter may only touch the case it reported.
        OwnCaseIfReporter = "own_case_if_reporter",
        /// Someone is responsible.
        AssigneePresent = "assignee_present",
        /// The one responsible did not report the case.
        AssigneeNotReporter = "assignee_not_reporter",
        /// The new assignee did not report the case.
        NewAssigneeNotReporter = "new_assignee_not_reporter",
        /// A caseworker assigns only itself; supervisors assign anyone.
        CaseworkerAssignsItself = "caseworker_assigns_itself",
        /// Whoever proposed the decision cannot approve it.
        FourEyes = "four_eyes",
        /// No question is without an answer.
        NoOpenInformationRequest = "no_open_information_request",
        /// There is a question to answer.
        OpenInformationRequest = "open_information_request",
        /// The one extension is not used up.
        NotExtendedBefore = "not_extended_before",
        /// The deadline has not passed.
        BeforeExpiry = "before_expiry",
        /// The new deadline lies after the present one.
        ExtensionIsLater = "extension_is_later",
        /// A reason is given.
        ReasonGiven = "reason_given",
        /// A question is given.
        QuestionGiven = "question_given",
        /// An answer is given.
        AnswerGiven = "answer_given",
        /// The text of the decision is given.
        DecisionGiven = "decision_given",
        /// The text of the note is given.
        NoteGiven = "note_given",
        /// The evidence is given.
        EvidenceGiven = "evidence_given",
        /// The case to link to is given and is not the case itself.
        TargetGiven = "target_given",
    }
}

/// What a guard looks at.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The case before the command.
    pub case: &'a Case,
    /// Who asks.
    pub actor: &'a Actor,
    /// What was sent along; none when only the possibility is being asked for.
    pub input: Option<&'a CommandInput>,
    /// The time of the decision.
    pub now: OffsetDateTime,
}

impl Guard {
    /// The member of the command that this guard reads; such a guard judges the input (422), the others the case (409).
    pub const fn input_field(self) -> Option<&'static str> {
        match self {
            Self::ReasonGiven => Some("reason"),
            Self::QuestionGiven => Some("question"),
            Self::AnswerGiven => Some("answer"),
            Self::DecisionGiven => Some("decision"),
            Self::NoteGiven => Some("body"),
            Self::EvidenceGiven => Some("evidence"),
            Self::TargetGiven => Some("target_case_id"),
            Self::NewAssigneeNotReporter | Self::CaseworkerAssignsItself => Some("assignee_id"),
            Self::ExtensionIsLater => Some("due_at"),
            _ => None,
        }
    }

    /// Whether the guard can only be judged together with the command's input.
    pub const fn needs_input(self) -> bool {
        self.input_field().is_some()
    }

    /// Judges the guard: `Ok`, or the sentence that says why not and what would help.
    ///
    /// When no input is being looked at (`facts.input` is none), a guard on input holds if some input would satisfy it.
    pub fn check(self, facts: &Facts<'_>) -> Result<(), String> {
        match facts.input {
            Some(input) if self.needs_input() => self.check_input(facts, input),
            None if self.needs_input() => self.foresee(facts),
            _ => self.check_case(facts),
        }
    }

    /// Whether any input could satisfy the guard. Only one can be out of reach: who may assign nobody but itself, and
    /// reported the case, can assign nobody.
    fn foresee(self, facts: &Facts<'_>) -> Result<(), String> {
        let only_itself = !facts.actor.roles.intersects(SUPERVISION);
        let out_of_reach = only_itself && facts.case.reporter_id == facts.actor.principal_id;
        holds(self != Self::NewAssigneeNotReporter || !out_of_reach, || {
            "you reported this case; ask a supervisor to assign somebody else".to_owned()
        })
    }

    fn check_case(self, facts: &Facts<'_>) -> Result<(), String> {
        let case = facts.case;
        match self {
            Self::Complete => {
                let missing = case.missing_for_submission();
                holds(missing.is_empty(), || format!("the case is incomplete: fill in {}", missing.join(", ")))
            }
            Self::OwnCaseIfReporter => own_case_if_reporter(case, facts.actor),
            Self::AssigneePresent => {
                holds(case.assignee_id.is_some(), || "nobody is assigned; assign a caseworker first".to_owned())
            }
            Self::AssigneeNotReporter => holds(case.assignee_id != Some(case.reporter_id), || {
                "the assignee reported this case; assign somebody else".to_owned()
            }),
            Self::FourEyes => holds(case.proposed_by != Some(facts.actor.principal_id), || {
                "you proposed this decision; somebody else must approve it (four eyes)".to_owned()
            }),
            Self::NoOpenInformationRequest => holds(case.open_information_requests == 0, || {
                format!(
                    "{} information request(s) are still open; receive the answers first",
                    case.open_information_requests
                )
            }),
            Self::OpenInformationRequest => holds(case.open_information_requests > 0, || {
                "no information request is open, so there is nothing to answer".to_owned()
            }),
            Self::NotExtendedBefore => holds(!case.deadline_extended, || {
                "the deadline was extended before; only one extension is possible".to_owned()
            }),
            Self::BeforeExpiry => match case.due_at {
                None => Err("the case has no deadline yet".to_owned()),
                Some(due) => holds(case.clock_paused_at.unwrap_or(facts.now) < due, || {
                    format!("the deadline passed at {due}; it can be extended only before it passes")
                }),
            },
            _ => Ok(()),
        }
    }

    fn check_input(self, facts: &Facts<'_>, input: &CommandInput) -> Result<(), String> {
        let case = facts.case;
        match self {
            Self::ReasonGiven => given(input.reason.as_deref(), "give a reason"),
            Self::QuestionGiven => given(input.question.as_deref(), "give the question"),
            Self::AnswerGiven => given(input.answer.as_deref(), "give the answer"),
            Self::DecisionGiven => given(input.decision.as_deref(), "give the text of the decision"),
            Self::NoteGiven => given(input.body.as_deref(), "give the text of the note"),
            Self::EvidenceGiven => holds(input.evidence_id.is_some(), || "give the evidence".to_owned()),
            Self::TargetGiven => match input.target_case_id {
                None => Err("give the case to link to".to_owned()),
                Some(target) => holds(target != case.id, || "a case cannot be linked to itself".to_owned()),
            },
            Self::NewAssigneeNotReporter => match input.assignee_id {
                None => Err("give the principal to assign".to_owned()),
                Some(assignee) => holds(assignee != case.reporter_id, || {
                    "the new assignee reported this case; assign somebody else".to_owned()
                }),
            },
            Self::CaseworkerAssignsItself => {
                let anyone = facts.actor.roles.intersects(SUPERVISION);
                holds(anyone || input.assignee_id == Some(facts.actor.principal_id), || {
                    "a caseworker may assign only itself; ask a supervisor to assign somebody else".to_owned()
                })
            }
            Self::ExtensionIsLater => match (input.due_at, case.due_at) {
                (None, _) => Err("give the new deadline".to_owned()),
                (Some(new), Some(old)) => {
                    holds(new > old, || format!("the new deadline must lie after the present one, {old}"))
                }
                (Some(_), None) => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// Roles that assign anyone.
const SUPERVISION: Roles = Roles::of(&[Role::Supervisor, Role::System]);
/// Roles that act on cases of others.
const STAFF: Roles = Roles::of(&[Role::Caseworker, Role::Supervisor, Role::System]);

/// The guard that judges the actor alone: a reporter acts on its own cases only.
pub(super) fn own_case_if_reporter(case: &Case, actor: &Actor) -> Result<(), String> {
    holds(actor.roles.intersects(STAFF) || case.reporter_id == actor.principal_id, || {
        "a reporter may do this only on a case it reported itself".to_owned()
    })
}

fn holds(condition: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(sentence()) }
}

fn given(text: Option<&str>, sentence: &str) -> Result<(), String> {
    holds(text.is_some_and(|text| !text.trim().is_empty()), || sentence.to_owned())
}
