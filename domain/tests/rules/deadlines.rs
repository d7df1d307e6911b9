//! Working time, and the notices of a deadline: owed in their order, each once, whatever happens to the clock.

use std::collections::BTreeSet;

use docket_domain::calendar::{Calendar, DayOfWeek, TenantCalendar, Weekend};
use docket_domain::case::deadline::{self, adopt, give, owed, resume};
use docket_domain::case::{Case, CaseChanges, Command, CommandInput, Notice, Severity, State, decide, fields};
use docket_domain::principal::{Actor, Role};
use proptest::prelude::*;
use time::macros::{date, datetime};
use time::{Date, Duration, OffsetDateTime};

use crate::world::{NOW, TENANT, WORKER, actor, case_in, input};

/// Monday morning.
const MONDAY: OffsetDateTime = datetime!(2026-11-23 08:00 UTC);

fn supervisor() -> Actor {
    actor(WORKER, &[Role::Supervisor])
}

fn calendar(weekend: &[DayOfWeek], holidays: &[Date]) -> Calendar {
    Calendar { weekend: Weekend::of(weekend.iter().copied()).unwrap(), holidays: holidays.iter().copied().collect() }
}

fn apply(case: &Case, command: Command, now: OffsetDateTime) -> Case {
    decide(case, command, &input(), &supervisor(), now, &Calendar::default()).expect("allowed")
}

/// Submitted on a Monday morning with ten working days: due two weeks later.
fn running() -> Case {
    let draft = Case { severity: Severity::High, ..case_in(State::Draft) };
    let case = apply(&draft, Command::Submit, MONDAY);
    Case { state: State::UnderReview, ..case }
}

/// Gives every notice that is owed, as a sweep would.
fn sweep(mut case: Case, now: OffsetDateTime, calendar: &Calendar) -> (Case, Vec<Notice>) {
    let mut given = Vec::new();
    while let Some(notice) = owed(&case, now) {
        case = give(&case, notice, now, calendar);
        given.push(notice);
        assert!(given.len() <= 3, "no more than three notices a deadline: {given:?}");
    }
    (case, given)
}

#[test]
fn weekends_and_holidays_do_not_count() {
    let monday_off = calendar(&[DayOfWeek::Saturday, DayOfWeek::Sunday], &[date!(2026 - 11 - 23)]);
    // Friday plus one working day over a weekend and a holiday Monday.
    assert_eq!(monday_off.add_working_days(datetime!(2026-11-20 09:30 UTC), 1), datetime!(2026-11-24 09:30 UTC));
    assert_eq!(monday_off.add_working_days(datetime!(2026-11-21 09:30 UTC), 0), datetime!(2026-11-21 09:30 UTC));
    let gulf = calendar(&[DayOfWeek::Friday, DayOfWeek::Saturday], &[]);
    assert_eq!(gulf.add_working_days(datetime!(2026-11-19 09:30 UTC), 1), datetime!(2026-11-22 09:30 UTC));
    let none = calendar(&[], &[]);
    assert_eq!(none.add_working_days(datetime!(2026-11-20 09:30 UTC), 2), datetime!(2026-11-22 09:30 UTC));
    assert_eq!(Weekend::of(DayOfWeek::ALL.iter().copied()), None, "somebody must work");
}

#[test]
fn graver_cases_are_due_sooner() {
    let now = datetime!(2026-11-20 12:00 UTC);
    let due = |severity: &Severity| deadline::due_at(now, *severity, &Calendar::default());
    let due: Vec<_> = Severity::ALL.iter().map(due).collect();
    assert!(due.windows(2).all(|pair| pair[0] > pair[1]));
    assert_eq!((due[3], due[0]), (datetime!(2026-11-25 12:00 UTC), datetime!(2027-02-12 12:00 UTC)));
}

#[test]
fn a_pause_gives_back_the_working_time_it_took_and_never_moves_the_due_date_backwards() {
    let (due, paused, all) = (datetime!(2026-12-01 12:00 UTC), datetime!(2026-11-20 12:00 UTC), Calendar::default());
    assert_eq!(resume(due, paused, paused + Duration::hours(5), &all), due + Duration::hours(5));
    // Friday noon to Monday noon: one working day was lost.
    assert_eq!(resume(due, paused, paused + Duration::days(3), &all), due + Duration::days(1));
    let saturday = datetime!(2026-11-21 10:00 UTC);
    assert_eq!(resume(due, saturday, saturday + Duration::hours(30), &all), due, "nobody works on a weekend");
    assert_eq!(resume(due, paused, paused - Duration::hours(5), &all), due, "the clock went backwards");
    assert_eq!(resume(paused, due, due + Duration::days(9), &all), paused, "what had passed stays passed");
}

#[test]
fn the_ends_of_the_calendar_are_no_panic() {
    let (first, last, all) = (datetime!(0001-01-01 12:00 UTC), datetime!(9999-12-31 12:00 UTC), Calendar::default());
    assert_eq!(all.add_working_days(last, 5), last);
    assert!(resume(last, first, last, &all) >= last);
    assert!(all.after(last, Duration::days(4000)) >= last);
    assert!(all.before(first, Duration::days(4_000_000)) <= first);
    assert!(
        all.before(last, Duration::seconds(i64::MAX)) <= last && all.after(first, Duration::seconds(i64::MAX)) >= last
    );
}

#[test]
fn warnings_come_at_three_quarters_and_nine_tenths_of_the_working_time_and_the_breach_at_the_end() {
    let case = running();
    assert_eq!(case.due_at, Some(datetime!(2026-12-07 08:00 UTC)));
    // Two and a half working days before the end, over a weekend; one day before it, too.
    let steps = [
        (datetime!(2026-12-02 20:00 UTC), Notice::Warned75),
        (datetime!(2026-12-04 08:00 UTC), Notice::Warned90),
        (datetime!(2026-12-07 08:00 UTC), Notice::Breached),
    ];
    let mut case = case;
    for (at, notice) in steps {
        assert_eq!(case.notices.next_at, Some(at));
        assert_eq!(owed(&case, at - Duration::microseconds(1)), None);
        assert_eq!(owed(&case, at), Some(notice));
        let before = case.version;
        let given;
        (case, given) = sweep(case, at, &Calendar::default());
        assert_eq!((given, case.version), (vec![notice], before + 1));
    }
    assert_eq!((case.notices.next_at, case.notices.breached_at), (None, case.due_at));
    assert_eq!(sweep(case, MONDAY + Duration::days(900), &Calendar::default()).1, []);
}

#[test]
fn after_a_jump_of_the_clock_every_notice_is_given_once_and_in_order() {
    let (case, given) = sweep(running(), MONDAY + Duration::days(400), &Calendar::default());
    assert_eq!(given, [Notice::Warned75, Notice::Warned90, Notice::Breached]);
    assert_eq!(sweep(case, MONDAY - Duration::days(1), &Calendar::default()).1, [], "and back again");
}

#[test]
fn while_a_question_is_out_nothing_is_owed_and_afterwards_as_much_time_is_left_as_before() {
    let asked = apply(&running(), Command::RequestInformation, MONDAY + Duration::days(1));
    assert_eq!((asked.notices.next_at, owed(&asked, NOW + Duration::days(500))), (None, None));
    let answered = apply(&asked, Command::ReceiveInformation, MONDAY + Duration::days(8));
    assert_eq!(answered.due_at, Some(datetime!(2026-12-14 08:00 UTC)), "five working days later");
    assert_eq!(answered.notices.next_at, Some(datetime!(2026-12-09 20:00 UTC)));
}

#[test]
fn a_breach_that_happened_before_the_clock_stopped_stays_owed_and_warnings_do_not() {
    let due = running().due_at.unwrap();
    let proposed = Case { state: State::DecisionProposed, proposed_by: None, ..running() };
    for (case, command) in
        [(running(), Command::RequestInformation), (running(), Command::Withdraw), (proposed, Command::ApproveDecision)]
    {
        let late = apply(&case, command, due + Duration::minutes(1));
        let added =
            if late.state == State::Withdrawn { late } else { apply(&late, Command::AddNote, due + Duration::days(2)) };
        assert_eq!(sweep(added, due + Duration::days(3), &Calendar::default()).1, [Notice::Breached], "{command}");
        let in_time = apply(&case, command, due - Duration::minutes(1));
        assert_eq!(sweep(in_time, due + Duration::days(3), &Calendar::default()).1, [], "{command}");
    }
}

#[test]
fn a_clock_that_was_stopped_too_late_cannot_be_extended() {
    let due = running().due_at.unwrap();
    let late = apply(&running(), Command::RequestInformation, due + Duration::minutes(1));
    let input = CommandInput { due_at: Some(due + Duration::days(30)), ..input() };
    let now = due + Duration::minutes(2);
    let refused = decide(&late, Command::ExtendDeadline, &input, &supervisor(), now, &Calendar::default());
    assert_eq!(refused.unwrap_err().rule(), "before_expiry");
}

#[test]
fn an_extension_brings_back_the_warnings_that_would_now_come_later() {
    let (warned, _) = sweep(running(), datetime!(2026-12-04 09:00 UTC), &Calendar::default());
    let extend = |due| {
        let input = CommandInput { due_at: Some(due), ..input() };
        let now = datetime!(2026-12-04 10:00 UTC);
        decide(&warned, Command::ExtendDeadline, &input, &supervisor(), now, &Calendar::default()).unwrap()
    };
    let long = extend(datetime!(2027-01-04 08:00 UTC));
    assert_eq!((long.notices.warned_75_at, long.notices.warned_90_at), (None, None));
    assert_eq!(owed(&long, long.notices.next_at.unwrap()), Some(Notice::Warned75));
    let short = extend(datetime!(2026-12-08 08:00 UTC));
    assert!(short.notices.warned_75_at.is_some() && short.notices.warned_90_at.is_none(), "{:?}", short.notices);
}

#[test]
fn reopening_and_another_severity_begin_a_deadline_with_notices_of_its_own() {
    let (over, _) = sweep(running(), MONDAY + Duration::days(60), &Calendar::default());
    let now = MONDAY + Duration::days(63);
    let changes = CaseChanges { severity: Some(Severity::Critical), ..CaseChanges::default() };
    let graver = fields::edit(&over, changes, &supervisor(), now, &Calendar::default()).unwrap();
    let closed = Case { state: State::Closed, closed_at: Some(now), ..over };
    for anew in [graver, apply(&closed, Command::Reopen, now)] {
        assert_eq!(anew.notices.breached_at, None);
        assert_eq!(sweep(anew, now + Duration::days(300), &Calendar::default()).1.len(), 3);
    }
}

#[test]
fn a_case_from_elsewhere_is_told_only_what_is_still_to_come() {
    let notices = |due| {
        let mut case = Case { due_at: Some(due), opened_at: MONDAY, ..case_in(State::UnderReview) };
        adopt(&mut case, MONDAY + Duration::days(10), &Calendar::default());
        sweep(case, MONDAY + Duration::days(1000), &Calendar::default()).1
    };
    assert_eq!(notices(MONDAY + Duration::days(9)), []);
    assert_eq!(notices(MONDAY + Duration::days(11)), [Notice::Breached]);
    assert_eq!(notices(MONDAY + Duration::days(50)).len(), 3);
}

#[test]
fn the_calendar_before_anybody_set_one_is_the_default() {
    let unset = TenantCalendar::unset(TENANT);
    assert_eq!((unset.rules(), unset.etag()), (Calendar::default(), "\"v1\"".to_owned()));
    assert_eq!(unset.to_record()["weekend"], serde_json::json!(["saturday", "sunday"]));
}

/// Any weekend that leaves a day, and holidays around the instants of these tests.
fn calendars() -> impl Strategy<Value = Calendar> {
    (0_u8..127, prop::collection::btree_set(0_i32..400, 0..40)).prop_map(|(bits, days)| {
        let days_off = DayOfWeek::ALL.iter().copied().filter(|day| bits & 1 << *day as u8 != 0);
        let holiday = |day: i32| Date::from_julian_day(MONDAY.date().to_julian_day() - 200 + day).unwrap();
        let holidays: BTreeSet<Date> = days.into_iter().map(holiday).collect();
        Calendar { weekend: Weekend::of(days_off).unwrap(), holidays }
    })
}

proptest! {
    #[test]
    fn a_working_day_later_is_a_working_day_and_counts_what_lies_between(
        calendar in calendars(), minutes in 0_i64..200_000, days in 1_u32..90,
    ) {
        let from = MONDAY + Duration::minutes(minutes);
        let later = calendar.add_working_days(from, days);
        prop_assert!(calendar.is_working_day(later.date()));
        prop_assert_eq!(later.time(), from.time());
        let mut date = from.date();
        let mut counted = 0;
        while date < later.date() {
            date = date.next_day().unwrap();
            counted += u32::from(calendar.is_working_day(date));
        }
        prop_assert_eq!(counted, days);
        if calendar.is_working_day(from.date()) {
            prop_assert_eq!(calendar.working_time(from, later), Duration::days(i64::from(days)));
        }
    }

    #[test]
    fn working_time_adds_up_and_after_and_before_are_its_inverses(
        calendar in calendars(), minutes in 0_i64..200_000, length in 0_i64..90_000, share in 0_i64..100,
    ) {
        let (from, until) = (MONDAY + Duration::minutes(minutes), MONDAY + Duration::minutes(minutes + length));
        let between = from + Duration::seconds(length * 60 * share / 100);
        let whole = calendar.working_time(from, until);
        prop_assert_eq!(whole, calendar.working_time(from, between) + calendar.working_time(between, until));
        prop_assert!(whole <= until - from);
        let after = calendar.after(from, whole);
        prop_assert!(after <= until || whole == Duration::ZERO);
        prop_assert_eq!(calendar.working_time(from, after), whole);
        let before = calendar.before(until, whole);
        prop_assert!(before >= from);
        prop_assert_eq!(calendar.working_time(before, until), whole);
    }

    #[test]
    fn whatever_happens_each_notice_of_a_deadline_is_given_once_and_in_order(
        calendar in calendars(),
        steps in prop::collection::vec((0_usize..8, 1_i64..12_000), 1..40),
    ) {
        let draft = Case { severity: Severity::High, ..case_in(State::Draft) };
        let mut now = MONDAY;
        let mut case = decide(&draft, Command::Submit, &input(), &supervisor(), now, &calendar).unwrap();
        let mut given: Vec<Notice> = Vec::new();
        for (what, minutes) in steps {
            now += Duration::minutes(minutes);
            let commands = [
                Command::StartReview, Command::RequestInformation, Command::ReceiveInformation, Command::Escalate,
                Command::DeEscalate, Command::ExtendDeadline, Command::AddNote,
            ];
            if let Some(command) = commands.get(what) {
                let input = CommandInput { due_at: case.due_at.map(|due| due + Duration::days(5)), ..input() };
                if let Ok(next) = decide(&case, *command, &input, &supervisor(), now, &calendar) {
                    prop_assert!(next.due_at >= case.due_at);
                    if *command == Command::ExtendDeadline {
                        // A later end: the warnings that it takes back may come again.
                        given.retain(|notice| match notice {
                            Notice::Warned75 => next.notices.warned_75_at.is_some(),
                            Notice::Warned90 => next.notices.warned_90_at.is_some(),
                            Notice::Breached => true,
                        });
                    }
                    case = next;
                }
            } else {
                let told;
                (case, told) = sweep(case, now, &calendar);
                given.extend(told);
            }
            prop_assert!(given.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", given);
            prop_assert_eq!(case.notices.breached_at.is_some(), given.contains(&Notice::Breached));
            prop_assert!(case.notices.breached_at.is_none() || case.notices.next_at.is_none());
            prop_assert!(case.notices.breached_at.is_none_or(|at| case.due_at.unwrap() <= at));
            if deadline::clock_runs(case.state) && case.notices.breached_at.is_none() {
                prop_assert!(case.notices.next_at <= case.due_at && case.notices.next_at.is_some());
            }
        }
    }
}
