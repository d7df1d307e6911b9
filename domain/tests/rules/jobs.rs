//! The rules of jobs: every history of happenings keeps the promises of the queue, whoever lies about its token.

use std::time::Duration;

use docket_domain::job::life::{Happening, NotNow};
use docket_domain::job::low_water::{BEGINNING, LowWater, Scan};
use docket_domain::job::window::Pace;
use docket_domain::job::{JobState, LeaseTerms, Life, RetryPolicy, Verdict};
use proptest::prelude::*;
use time::macros::datetime;
use uuid::Uuid;

/// What a worker with some token, old or new, might say.
fn happening() -> impl Strategy<Value = (u8, i64)> {
    (0_u8..9, 0_i64..4)
}

fn build((which, behind): (u8, i64), token: i64) -> Happening {
    let token = token - behind;
    match which {
        0 => Happening::Claimed,
        1 => Happening::Succeeded { token },
        2 => Happening::Failed { token },
        3 => Happening::GivenUp { token },
        4 => Happening::Stopped { token },
        5 => Happening::HandedBack { token },
        6 => Happening::LeaseEnded,
        7 => Happening::CancelRequested,
        _ => Happening::Redriven,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn only_the_latest_holder_ends_a_job_and_no_ended_job_moves(history in prop::collection::vec(happening(), 1..60)) {
        let mut life = Life::NEW;
        let mut holder = None;
        let mut latest = 0;
        for one in history {
            let happening = build(one, life.token);
            let before = life;
            let Ok(after) = life.after(happening) else { continue };
            life = after;
            match happening {
                Happening::Claimed => {
                    prop_assert!(after.token > latest, "no number is given twice");
                    latest = after.token;
                    prop_assert_eq!(before.state, JobState::Queued);
                    holder = Some(after.token);
                }
                Happening::Succeeded { token } | Happening::Failed { token } | Happening::GivenUp { token }
                | Happening::Stopped { token } | Happening::HandedBack { token } => {
                    prop_assert_eq!(holder.take(), Some(token), "nobody else may end it");
                }
                Happening::LeaseEnded => holder = None,
                Happening::CancelRequested => prop_assert!(!before.state.is_final()),
                Happening::Redriven => prop_assert_eq!(before.state, JobState::Dead),
            }
            prop_assert_eq!(life.state == JobState::Running, holder.is_some());
        }
    }

    #[test]
    fn a_delay_lies_between_nothing_and_a_doubling_ceiling(attempt in 1_u32..80, random: u64, base in 1_u64..100_000) {
        let policy = RetryPolicy { max_attempts: 100, base: Duration::from_millis(base), cap: Duration::from_hours(1) };
        let delay = policy.delay(attempt, random);
        prop_assert!(delay <= policy.ceiling(attempt) && policy.ceiling(attempt) <= policy.cap);
        prop_assert!(policy.ceiling(attempt) <= policy.ceiling(attempt + 1));
        prop_assert!(policy.delay(attempt, u64::MAX) >= policy.delay(attempt, random));
    }

    #[test]
    fn a_mark_only_moves_ahead(ids in prop::collection::vec(0_u128..1_000, 1..30)) {
        let mut marks = LowWater::default();
        let mut seen = BEGINNING;
        for id in ids {
            let position = (datetime!(2026-11-21 10:00 UTC), Uuid::from_u128(id));
            marks.given("probe", 2, position);
            seen = seen.max(position);
            prop_assert_eq!(marks.from("probe", 2, Scan::Ahead), seen);
            prop_assert!(marks.from("probe", 2, Scan::LookBack) < seen);
        }
        prop_assert_eq!(marks.from("probe", 2, Scan::Sweep), BEGINNING);
        prop_assert_eq!(marks.from("probe", 1, Scan::Ahead), BEGINNING, "lanes have marks of their own");
        marks.given("probe", 0, (datetime!(2026-11-21 10:00 UTC), Uuid::nil()));
        prop_assert_eq!(marks.from("probe", 0, Scan::Ahead), BEGINNING, "what was given back is never passed over");
    }
}

#[test]
fn the_ceiling_doubles_until_the_cap() {
    let policy = RetryPolicy { max_attempts: 9, base: Duration::from_secs(10), cap: Duration::from_mins(2) };
    let seconds: Vec<u64> = (1..7).map(|attempt| policy.ceiling(attempt).as_secs()).collect();
    assert_eq!(seconds, [10, 20, 40, 80, 120, 120]);
    assert_eq!(policy.delay(2, 0), Duration::ZERO);
    assert_eq!(policy.delay(2, 1 << 63), Duration::from_secs(10), "half of the numbers, half of the ceiling");
}

#[test]
fn the_last_attempt_and_a_failure_that_would_repeat_itself_are_final() {
    let policy = RetryPolicy { max_attempts: 3, base: Duration::from_secs(1), cap: Duration::from_mins(1) };
    assert_eq!(policy.judge(2, true, None, u64::MAX), Verdict::Retry(policy.delay(2, u64::MAX)));
    assert_eq!(policy.judge(3, true, None, 0), Verdict::Dead);
    assert_eq!(policy.judge(1, false, None, 0), Verdict::Dead);
    let asked = Duration::from_secs(90);
    assert_eq!(policy.judge(1, true, Some(asked), 0), Verdict::Retry(asked), "the other side knows when it is ready");
    assert_eq!(RetryPolicy::ONCE.judge(1, true, None, 0), Verdict::Dead);
}

#[test]
fn a_job_that_was_begun_too_often_is_not_begun_again() {
    let policy = RetryPolicy { max_attempts: 3, ..RetryPolicy::default() };
    assert!(policy.may_begin(3) && !policy.may_begin(4));
}

#[test]
fn a_worker_that_lost_its_lease_is_fenced_even_before_another_took_the_job() {
    let running = Life::NEW.after(Happening::Claimed).unwrap();
    let lost = running.after(Happening::LeaseEnded).unwrap();
    let late = Happening::Succeeded { token: running.token };
    assert_eq!(lost.after(late), Err(NotNow::Fenced));
    let taken = lost.after(Happening::Claimed).unwrap();
    assert_eq!(taken.after(late), Err(NotNow::Fenced));
    assert_eq!((taken.attempt, taken.state), (2, JobState::Running));
    let ended = taken.after(Happening::Succeeded { token: taken.token }).unwrap();
    assert_eq!(ended.after(Happening::Succeeded { token: taken.token }), Err(NotNow::Fenced), "a job ends once");
}

#[test]
fn what_is_handed_back_costs_no_attempt_and_what_is_lost_costs_one() {
    let running = Life::NEW.after(Happening::Claimed).unwrap();
    assert_eq!(running.after(Happening::HandedBack { token: running.token }).unwrap().attempt, 0);
    assert_eq!(running.after(Happening::LeaseEnded).unwrap().attempt, 1);
}

#[test]
fn leases_are_renewed_well_before_they_end() {
    let terms = LeaseTerms { length: Duration::from_secs(30) };
    assert!(terms.renew_every() * 3 < terms.length, "two renewals may fail");
    assert!(!terms.is_over(terms.length.checked_sub(Duration::from_millis(1)).unwrap()) && terms.is_over(terms.length));
    assert!(terms.look_every() <= terms.length);
}

#[test]
fn looks_from_the_beginning_take_a_hundredth_of_the_time_at_most() {
    let mut marks = LowWater::default();
    assert_eq!(marks.scan(Duration::ZERO), Scan::Sweep, "a new worker knows nothing");
    let took = Duration::from_secs(2);
    marks.looked(Scan::Sweep, took, took);
    assert_eq!(marks.scan(took), Scan::Ahead);
    assert_eq!(marks.scan(took + Duration::from_millis(250)), Scan::LookBack);
    assert_ne!(marks.scan(took + took * 99), Scan::Sweep);
    assert_eq!(marks.scan(took + took * 100), Scan::Sweep);
}

#[test]
fn quick_jobs_are_fetched_ahead_and_slow_ones_are_left_for_others() {
    let mut pace = Pace::new(10, 1_000);
    assert_eq!(pace.window(), 20, "nothing is known yet");
    pace.observe(Duration::from_secs(30));
    assert_eq!(pace.window(), 10, "half a second brings no second one to its turn");
    for _ in 0..100 {
        pace.observe(Duration::from_micros(100));
    }
    assert_eq!(pace.window(), 1_000);
    assert_eq!(Pace::new(50, 10).window(), 50, "what runs at once is always held");
}
