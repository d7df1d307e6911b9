//! Deadlines: when a case must be decided, the clock that stands still while a question is out, and the notices on the way.
//!
//! A deadline begins when a case is submitted, reopened or given another severity, and ends when it is decided. It counts
//! working time. At 75 % and 90 % of it a warning is given, at its end the breach, each once. `next_at` says when the
//! next one is owed, so that whoever looks after deadlines reads one index and no rule. A clock that stops owes no
//! more warnings; a breach that had happened by then stays owed.

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use super::aggregate::Case;
use super::event::EventType;
use super::names::{Severity, State};
pub use crate::calendar::Calendar;
use crate::named_enum;

named_enum! {
    /// What is told of a deadline on its way.
    Notice, "notice" {
        /// 75 % of the working time is used up.
        Warned75 = "warned_75",
        /// 90 % of the working time is used up.
        Warned90 = "warned_90",
        /// All of it is.
        Breached = "breached",
    }
}

impl Notice {
    /// The event that tells of it.
    pub const fn event_type(self) -> EventType {
        match self {
            Self::Warned75 => EventType::CaseDeadlineWarned75,
            Self::Warned90 => EventType::CaseDeadlineWarned90,
            Self::Breached => EventType::CaseDeadlineBreached,
        }
    }

    /// What was done, in dotted words, for the audit trail.
    pub const fn action(self) -> &'static str {
        self.event_type().as_str()
    }

    /// The share of the working time that is left when it is owed, in percent.
    const fn left(self) -> u64 {
        match self {
            Self::Warned75 => 25,
            Self::Warned90 => 10,
            Self::Breached => 0,
        }
    }
}

/// What was told of the present deadline, and when the next thing is to be told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notices {
    /// The working time of the deadline, pauses not counted, in seconds. None when nobody knows when it began: then there
    /// are no warnings.
    pub working_seconds: Option<u64>,
    /// When the first warning was given.
    #[serde(with = "time::serde::rfc3339::option")]
    pub warned_75_at: Option<OffsetDateTime>,
    /// When the second warning was given.
    #[serde(with = "time::serde::rfc3339::option")]
    pub warned_90_at: Option<OffsetDateTime>,
    /// When the breach was recorded.
    #[serde(with = "time::serde::rfc3339::option")]
    pub breached_at: Option<OffsetDateTime>,
    /// From when on the next notice is owed.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_at: Option<OffsetDateTime>,
}

/// The working days within which a case of this severity must be decided.
pub const fn working_days(severity: Severity) -> u32 {
    match severity {
        Severity::Low => 60,
        Severity::Medium => 30,
        Severity::High => 10,
        Severity::Critical => 3,
    }
}

/// When a case submitted at `submitted_at` is due.
pub fn due_at(submitted_at: OffsetDateTime, severity: Severity, calendar: &Calendar) -> OffsetDateTime {
    calendar.add_working_days(submitted_at, working_days(severity))
}

/// The due date after the clock stood still from `paused_at` to `now`: as much working time is left as was left then. Never
/// earlier than before; a deadline that had passed before the pause stays where it was.
pub fn resume(
    due: OffsetDateTime,
    paused_at: OffsetDateTime,
    now: OffsetDateTime,
    calendar: &Calendar,
) -> OffsetDateTime {
    if due <= paused_at || now <= paused_at {
        return due;
    }
    calendar.after(now, calendar.working_time(paused_at, due)).max(due)
}

/// Whether the deadline's clock runs: between submission and decision, but not while a question is out.
pub const fn clock_runs(state: State) -> bool {
    matches!(state, State::Submitted | State::UnderReview | State::Escalated | State::DecisionProposed)
}

/// Whether the case is undecided and past its deadline. A clock that stands still does not pass it.
pub fn is_overdue(case: &Case, now: OffsetDateTime) -> bool {
    let undecided = clock_runs(case.state) || case.state == State::AwaitingInformation;
    undecided && case.due_at.is_some_and(|due| due < case.clock_paused_at.unwrap_or(now))
}

/// A new deadline, by the case's severity, counted from now.
pub(super) fn begin(case: &mut Case, now: OffsetDateTime, calendar: &Calendar) {
    let due = due_at(now, case.severity, calendar);
    case.due_at = Some(due);
    case.notices = Notices { working_seconds: Some(seconds(calendar.working_time(now, due))), ..Notices::default() };
    schedule(case, now, calendar);
}

/// The same deadline with a later end. Warnings come again, unless by the new end they would have been given already.
pub(super) fn extend(case: &mut Case, due: OffsetDateTime, now: OffsetDateTime, calendar: &Calendar) {
    let more = case.due_at.map_or(0, |old| seconds(calendar.working_time(old, due)));
    case.due_at = Some(due);
    case.deadline_extended = true;
    case.notices.working_seconds = case.notices.working_seconds.map(|working| working.saturating_add(more));
    let counted = case.clock_paused_at.unwrap_or(now);
    let stays = |notice| owed_at(&case.notices, notice, due, calendar) <= counted;
    let (first, second) = (stays(Notice::Warned75), stays(Notice::Warned90));
    case.notices.warned_75_at = case.notices.warned_75_at.filter(|_| first);
    case.notices.warned_90_at = case.notices.warned_90_at.filter(|_| second);
    schedule(case, now, calendar);
}

/// Lets the clock follow the state: it stands still exactly while the case awaits information.
pub(super) fn keep_clock(before: State, next: &mut Case, now: OffsetDateTime, calendar: &Calendar) {
    match (next.state == State::AwaitingInformation, next.clock_paused_at) {
        (true, None) => next.clock_paused_at = Some(now),
        (false, Some(paused_at)) => {
            next.due_at = next.due_at.map(|due| resume(due, paused_at, now, calendar));
            next.clock_paused_at = None;
        }
        _ => {}
    }
    if clock_runs(before) != clock_runs(next.state) {
        schedule(next, now, calendar);
    }
}

/// Takes up the deadline of a case that comes from elsewhere. What would have been told before now is not told any more:
/// a deadline that has passed is not breached again, and one in its last quarter gets no warnings.
pub fn adopt(case: &mut Case, now: OffsetDateTime, calendar: &Calendar) {
    case.notices = Notices::default();
    let Some(due) = case.due_at.filter(|due| *due > now) else { return };
    let working_seconds = Some(seconds(calendar.working_time(case.opened_at, due)));
    let whole = Notices { working_seconds, ..Notices::default() };
    if owed_at(&whole, Notice::Warned75, due, calendar) > now {
        case.notices = whole;
    }
    schedule(case, now, calendar);
}

/// Reckons anew what is owed of the same deadline, where the clock of a case was started or stopped elsewhere. What was told of
/// it stays told; a case that ended is judged by when it ended.
pub fn follow(before: &Case, case: &mut Case, now: OffsetDateTime, calendar: &Calendar) {
    let clock = |case: &Case| (clock_runs(case.state), case.clock_paused_at, case.due_at);
    if clock(before) != clock(case) {
        schedule(case, case.closed_at.unwrap_or(now), calendar);
    }
}

/// The notice that is owed now, if one is.
pub fn owed(case: &Case, now: OffsetDateTime) -> Option<Notice> {
    case.notices.next_at.filter(|at| *at <= now).map(|_| next_notice(case))
}

/// The case after a notice was given (version one higher).
pub fn give(case: &Case, notice: Notice, now: OffsetDateTime, calendar: &Calendar) -> Case {
    let mut next = case.clone();
    next.version += 1;
    next.updated_at = now;
    let given = match notice {
        Notice::Warned75 => &mut next.notices.warned_75_at,
        Notice::Warned90 => &mut next.notices.warned_90_at,
        Notice::Breached => &mut next.notices.breached_at,
    };
    *given = Some(now);
    schedule(&mut next, now, calendar);
    next
}

/// In their order, none left out; a clock that stands still, or a deadline without a known beginning, owes only its breach.
fn next_notice(case: &Case) -> Notice {
    let notices = &case.notices;
    if !clock_runs(case.state) || notices.working_seconds.is_none() {
        Notice::Breached
    } else if notices.warned_75_at.is_none() {
        Notice::Warned75
    } else if notices.warned_90_at.is_none() {
        Notice::Warned90
    } else {
        Notice::Breached
    }
}

/// Notes from when on the next notice is owed. To be asked only when the clock starts, stops or changes its end: a clock
/// that stopped before the end must not be found late because time went on.
fn schedule(case: &mut Case, now: OffsetDateTime, calendar: &Calendar) {
    let open = case.due_at.filter(|_| case.notices.breached_at.is_none());
    case.notices.next_at = open.and_then(|due| {
        if clock_runs(case.state) {
            Some(owed_at(&case.notices, next_notice(case), due, calendar))
        } else {
            Some(due).filter(|due| *due <= case.clock_paused_at.unwrap_or(now))
        }
    });
}

/// When so much working time is left that the notice is owed.
fn owed_at(notices: &Notices, notice: Notice, due: OffsetDateTime, calendar: &Calendar) -> OffsetDateTime {
    let left = notices.working_seconds.unwrap_or(0).saturating_mul(notice.left()) / 100;
    if left == 0 { due } else { calendar.before(due, Duration::seconds(i64::try_from(left).unwrap_or(i64::MAX))) }
}

fn seconds(amount: Duration) -> u64 {
    u64::try_from(amount.whole_seconds()).unwrap_or(0)
}
