//! Notices of deadlines on fakes: what is written, when, by whom, and what a case that moves meanwhile makes of it.

use docket::application::cases::give_notice::{Breach, ESCALATION, escalate_breached, give_notices};
use docket::application::cases::system_act::Acted;
use docket::application::request::{Caller, IfMatch};
use docket_domain::audit::Outcome;
use docket_domain::calendar::{DayOfWeek, TenantCalendar, Weekend};
use docket_domain::case::deadline::due_at;
use docket_domain::case::{Case, Command, CommandInput, EventType, Notice, Severity, State};
use docket_domain::ids::{CaseId, JobId, PrincipalId};
use docket_domain::job::JobLease;
use docket_domain::principal::Actor;
use time::macros::{date, datetime};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::desk::{Ask, Desk, TENANT, ask};

/// docket itself.
fn system() -> Caller {
    Caller { actor: Actor::system(TENANT), request_id: "sweep".to_owned(), trace_id: "0".repeat(32), traceparent: None }
}

/// A critical case, submitted now.
async fn submitted(desk: &Desk) -> Case {
    let id = desk.draft_with(|new| new.severity = Severity::Critical).await;
    desk.transition(ask(id, Command::Submit, &format!("submit-{id}"))).await.unwrap();
    desk.case(id)
}

async fn sweep_at(desk: &Desk, id: CaseId, at: OffsetDateTime) -> Vec<Notice> {
    desk.clock.advance(at - docket::application::ports::Clock::now(desk.clock.as_ref()));
    give_notices(&desk.writing, &system(), id).await.unwrap()
}

fn breach_of(desk: &Desk) -> (Breach, JobLease) {
    let contents = desk.store.contents();
    let job = contents.enqueued.last().unwrap();
    assert_eq!((job.kind.as_str(), job.tenant_id, job.requested_by), (ESCALATION, TENANT, PrincipalId::SYSTEM));
    let lease = JobLease { tenant_id: TENANT, job_id: JobId(Uuid::nil()), token: 1 };
    (serde_json::from_value(job.payload.clone()).unwrap(), lease)
}

#[tokio::test]
async fn a_deadline_warns_twice_breaches_and_escalates_each_by_its_own_act_of_the_system() {
    let desk = Desk::new();
    let case = submitted(&desk).await;
    let due = case.due_at.unwrap();
    assert_eq!(
        due,
        due_at(datetime!(2026-11-21 10:00 UTC), Severity::Critical, &docket_domain::calendar::Calendar::default())
    );
    let warned_at = case.notices.next_at.unwrap();
    assert_eq!(sweep_at(&desk, case.id, warned_at - Duration::SECOND).await, []);
    assert_eq!(sweep_at(&desk, case.id, warned_at).await, [Notice::Warned75]);
    assert_eq!(sweep_at(&desk, case.id, warned_at).await, [], "once");
    assert_eq!(sweep_at(&desk, case.id, due).await, [Notice::Warned90, Notice::Breached]);
    let (breach, lease) = breach_of(&desk);
    let escalated = escalate_breached(&desk.writing, &system(), breach, lease).await.unwrap();
    assert!(matches!(escalated, Acted::Done(case) if case.state == State::Escalated));
    let contents = desk.store.contents();
    let events: Vec<_> = contents.events.iter().skip(2).map(|event| event.event_type).collect();
    let expected = [
        EventType::CaseDeadlineWarned75,
        EventType::CaseDeadlineWarned90,
        EventType::CaseDeadlineBreached,
        EventType::CaseEscalated,
    ];
    assert_eq!(events, expected);
    assert_eq!(contents.events[2].data["due_at"], "2026-11-25T10:00:00Z");
    for record in &contents.audit[2..] {
        assert_eq!((record.actor_id, record.outcome), (PrincipalId::SYSTEM, Outcome::Allowed), "{}", record.action);
        assert!(record.reason.as_deref().unwrap().contains("2026-11-25T10:00:00Z"), "{:?}", record.reason);
    }
    assert_eq!(contents.enqueued.len(), 1);
}

#[tokio::test]
async fn an_escalation_that_the_rules_refuse_is_recorded_beside_the_breach() {
    let desk = Desk::new();
    let case = submitted(&desk).await;
    desk.store.contents().cases.get_mut(&(TENANT, case.id)).unwrap().case.state = State::DecisionProposed;
    sweep_at(&desk, case.id, case.due_at.unwrap()).await;
    let (breach, lease) = breach_of(&desk);
    let refused = escalate_breached(&desk.writing, &system(), breach, lease).await.unwrap();
    assert!(matches!(refused, Acted::Refused(refusal) if refusal.rule() == "state"));
    let contents = desk.store.contents();
    let last = contents.audit.last().unwrap();
    assert_eq!((last.action.as_str(), last.outcome), ("case.escalate", Outcome::Conflict));
    assert!(
        last.guard_results.is_some() && contents.audit[contents.audit.len() - 2].action == "case.deadline_breached"
    );
}

#[tokio::test]
async fn an_escalation_is_moot_when_the_case_got_another_deadline_or_is_gone() {
    let desk = Desk::new();
    let case = submitted(&desk).await;
    sweep_at(&desk, case.id, case.due_at.unwrap()).await;
    let (breach, lease) = breach_of(&desk);
    let before = desk.written();
    desk.store.contents().cases.get_mut(&(TENANT, case.id)).unwrap().case.notices.breached_at = None;
    assert_eq!(escalate_breached(&desk.writing, &system(), breach, lease).await.unwrap(), Acted::Nothing);
    desk.store.contents().cases.clear();
    assert_eq!(escalate_breached(&desk.writing, &system(), breach, lease).await.unwrap(), Acted::Nothing);
    assert_eq!((desk.written(), give_notices(&desk.writing, &system(), case.id).await.unwrap()), (before, vec![]));
}

#[tokio::test]
async fn a_breach_that_loses_to_an_extension_is_judged_again_and_is_none() {
    let desk = Desk::new();
    let case = submitted(&desk).await;
    let due = case.due_at.unwrap();
    sweep_at(&desk, case.id, due - Duration::SECOND).await;
    let seen = desk.case(case.id);
    let later = due + Duration::days(30);
    let extend = Ask {
        if_match: IfMatch::Version(seen.version),
        input: Ok(CommandInput { due_at: Some(later), reason: Some("agreed".to_owned()), ..CommandInput::default() }),
        ..ask(case.id, Command::ExtendDeadline, "extend")
    };
    desk.transition(extend).await.unwrap();
    let extended = desk.store.contents().cases[&(TENANT, case.id)].clone();
    // The sweep loads the case as it was before the extension; its commit finds the extension there.
    let mut before = extended.clone();
    before.case = seen;
    desk.store.contents().cases.insert((TENANT, case.id), before);
    desk.store.meanwhile(move |contents| {
        contents.cases.insert((TENANT, extended.case.id), extended);
    });
    assert_eq!(sweep_at(&desk, case.id, due).await, []);
    let now = desk.case(case.id);
    assert_eq!((now.due_at, now.notices.breached_at, desk.store.contents().enqueued.len()), (Some(later), None, 0));
}

#[tokio::test]
async fn deadlines_are_reckoned_by_the_tenants_calendar_which_is_read_once() {
    let desk = Desk::new();
    let gulf = TenantCalendar {
        version: 2,
        weekend: Weekend::of([DayOfWeek::Friday, DayOfWeek::Saturday]).unwrap(),
        holidays: [date!(2026 - 11 - 23), date!(2026 - 11 - 24)].map(|day| (day, "Founding days".to_owned())).into(),
        ..TenantCalendar::unset(TENANT)
    };
    desk.calendars.calendars.lock().unwrap().insert(TENANT, gulf.clone());
    // From Saturday on, Sunday, Wednesday and Thursday count.
    assert_eq!(submitted(&desk).await.due_at, Some(datetime!(2026-11-26 10:00 UTC)));
    submitted(&desk).await;
    assert_eq!(desk.calendars.reads(), 1);
    desk.writing.calendars.forget(TENANT).await;
    desk.calendars.calendars.lock().unwrap().insert(TENANT, TenantCalendar::unset(TENANT));
    assert_eq!(submitted(&desk).await.due_at, Some(datetime!(2026-11-25 10:00 UTC)));
    assert_eq!(desk.calendars.reads(), 2);
}
