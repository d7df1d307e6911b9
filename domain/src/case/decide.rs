//! The decision: a pure function of (case, command, actor, now) to the new case or the refusal.

use time::OffsetDateTime;

use super::aggregate::Case;
use super::deadline::{self, Calendar};
use super::guard::{Facts, Guard, own_case_if_reporter};
use super::names::{Command, LinkKind, State};
use super::transitions::{self, Transition};
use crate::ids::{CaseId, EvidenceId, PrincipalId};
use crate::principal::{Actor, Role};

/// What may be sent along with a command; which members a command needs is said by its guards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandInput {
    /// Why (escalate, reopen, return, extend, link; optional for withdraw).
    pub reason: Option<String>,
    /// What is asked (`request_information`).
    pub question: Option<String>,
    /// What was answered (`receive_information`).
    pub answer: Option<String>,
    /// The decision's text (`propose_decision`).
    pub decision: Option<String>,
    /// The new deadline (`extend_deadline`).
    pub due_at: Option<OffsetDateTime>,
    /// Who becomes responsible (assign).
    pub assignee_id: Option<PrincipalId>,
    /// The note's text (`add_note`).
    pub body: Option<String>,
    /// The attachment, stored already (`add_evidence`).
    pub evidence_id: Option<EvidenceId>,
    /// The case to link to (link).
    pub target_case_id: Option<CaseId>,
    /// How the two belong together (link).
    pub link_kind: Option<LinkKind>,
}

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The table has no row for this state and command.
    #[error("`{command}` is not possible in state `{state}`; it is possible in: {possible}")]
    WrongState {
        /// What was asked.
        command: Command,
        /// Where the case stands.
        state: State,
        /// Where it would have been possible, separated by commas.
        possible: String,
    },
    /// None of the actor's roles is in the row.
    #[error("`{command}` in state `{state}` needs one of the roles: {allowed}")]
    WrongRole {
        /// What was asked.
        command: Command,
        /// Where the case stands.
        state: State,
        /// The roles that would do, separated by commas.
        allowed: String,
    },
    /// A guard does not hold.
    #[error("{reason}")]
    GuardFailed {
        /// Which guard.
        guard: Guard,
        /// Its sentence.
        reason: String,
    },
    /// The fields cannot be changed, or the case cannot be deleted, by this actor or in this state.
    #[error("{reason}")]
    NotAllowed {
        /// Whether the actor's role is the cause (403) rather than the case's state (409).
        by_role: bool,
        /// The sentence.
        reason: String,
    },
}

impl Refusal {
    /// Whether the actor, not the case or the input, is the cause.
    pub const fn is_by_role(&self) -> bool {
        match self {
            Self::WrongRole { .. } => true,
            Self::NotAllowed { by_role, .. } => *by_role,
            Self::GuardFailed { guard, .. } => matches!(guard, Guard::OwnCaseIfReporter),
            Self::WrongState { .. } => false,
        }
    }

    /// The member of the input that was refused, when the input is the cause.
    pub const fn input_field(&self) -> Option<&'static str> {
        match self {
            Self::GuardFailed { guard, .. } => guard.input_field(),
            _ => None,
        }
    }

    /// The name of the rule that refused.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::WrongState { .. } => "state",
            Self::WrongRole { .. } => "role",
            Self::GuardFailed { guard, .. } => guard.as_str(),
            Self::NotAllowed { by_role, .. } => {
                if *by_role {
                    "role"
                } else {
                    "state"
                }
            }
        }
    }
}

/// One line of the list of actions: a command and whether it would be accepted now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The command.
    pub command: Command,
    /// The state it would lead to, when the table has a row.
    pub to: Option<State>,
    /// Members the command must carry.
    pub requires: Vec<&'static str>,
    /// Why it would be refused; none when it would be accepted.
    pub refusal: Option<Refusal>,
}

/// Decides `command` on `case`: the case after it (version one higher), or why not.
///
/// Checks in order: the table's row, the role, the guards as the row lists them.
pub fn decide(
    case: &Case,
    command: Command,
    input: &CommandInput,
    actor: &Actor,
    now: OffsetDateTime,
    calendar: &Calendar,
) -> Result<Case, Refusal> {
    let row = admit(case, command, actor)?;
    check_guards(row, &Facts { case, actor, input: Some(input), now })?;
    Ok(apply(case, row, input, actor, now, calendar))
}

/// Judges every command on `case` without input, for the list of available actions.
pub fn verdicts(case: &Case, actor: &Actor, now: OffsetDateTime) -> Vec<Verdict> {
    let facts = Facts { case, actor, input: None, now };
    let judge = |command: &Command| {
        let row = transitions::find(case.state, *command);
        let guards = row.map_or(&[][..], |row| row.guards);
        let refusal = admit(case, *command, actor).and_then(|row| check_guards(row, &facts)).err();
        let mut requires: Vec<_> = guards.iter().filter_map(|guard| guard.input_field()).collect();
        requires.dedup();
        Verdict { command: *command, to: row.map(|row| row.to), requires, refusal }
    };
    Command::ALL.iter().map(judge).collect()
}

/// Whether `actor` may give `command` on this case in any state at all. Unlike [`admit`] the verdict does not change while
/// the case moves on, so it can be asked again when a finished request is repeated.
pub fn authorize(case: &Case, command: Command, actor: &Actor) -> Result<(), Refusal> {
    let mut rows = transitions::TRANSITIONS
        .iter()
        .filter(|row| row.command == command && row.roles.intersects(actor.roles))
        .peekable();
    if rows.peek().is_none() {
        let allowed = join(transitions::roles_allowing(command).filter(|role| *role != Role::System).map(Role::as_str));
        let reason = format!("`{command}` needs one of the roles: {allowed}");
        return Err(Refusal::NotAllowed { by_role: true, reason });
    }
    match own_case_if_reporter(case, actor) {
        Err(reason) if rows.all(|row| row.guards.contains(&Guard::OwnCaseIfReporter)) => {
            Err(Refusal::GuardFailed { guard: Guard::OwnCaseIfReporter, reason })
        }
        _ => Ok(()),
    }
}

/// The row for this command, if the state has one and the actor may use it.
pub fn admit(case: &Case, command: Command, actor: &Actor) -> Result<&'static Transition, Refusal> {
    let row = transitions::find(case.state, command).ok_or_else(|| Refusal::WrongState {
        command,
        state: case.state,
        possible: join(transitions::states_allowing(command).map(State::as_str)),
    })?;
    if row.roles.intersects(actor.roles) {
        Ok(row)
    } else {
        let allowed = row.roles.iter().filter(|role| *role != Role::System).map(Role::as_str);
        Err(Refusal::WrongRole { command, state: case.state, allowed: join(allowed) })
    }
}

fn check_guards(row: &Transition, facts: &Facts<'_>) -> Result<(), Refusal> {
    for guard in row.guards {
        guard.check(facts).map_err(|reason| Refusal::GuardFailed { guard: *guard, reason })?;
    }
    Ok(())
}

fn join(names: impl Iterator<Item = &'static str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn apply(
    case: &Case,
    row: &Transition,
    input: &CommandInput,
    actor: &Actor,
    now: OffsetDateTime,
    calendar: &Calendar,
) -> Case {
    let mut next = case.clone();
    next.version += 1;
    next.state = row.to;
    next.updated_at = now;
    match row.command {
        Command::Submit => deadline::begin(&mut next, now, calendar),
        Command::RequestInformation => next.open_information_requests += 1,
        Command::ReceiveInformation => next.open_information_requests -= 1,
        Command::ProposeDecision => {
            next.proposed_by = Some(actor.principal_id);
            next.decision.clone_from(&input.decision);
        }
        Command::ReturnForRework => forget_decision(&mut next),
        Command::Reopen => {
            forget_decision(&mut next);
            // The matter begins anew: the old deadline says nothing about it, and neither does its extension.
            next.deadline_extended = false;
            next.clock_paused_at = None;
            deadline::begin(&mut next, now, calendar);
        }
        Command::ExtendDeadline => {
            if let Some(due) = input.due_at {
                deadline::extend(&mut next, due, now, calendar);
            }
        }
        Command::Assign => next.assignee_id = input.assignee_id,
        _ => {}
    }
    next.closed_at = next.state.is_terminal().then_some(case.closed_at.unwrap_or(now));
    deadline::keep_clock(case.state, &mut next, now, calendar);
    next
}

fn forget_decision(next: &mut Case) {
    next.proposed_by = None;
    next.decision = None;
}
