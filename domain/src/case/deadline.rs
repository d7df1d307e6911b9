//! Deadlines: working days by severity, and a clock that stands still while a question is out.

use std::collections::BTreeSet;

use time::{Date, Duration, OffsetDateTime, Weekday};

use super::names::Severity;

/// The days on which a tenant does not work, besides Saturdays and Sundays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Public holidays and closing days.
    pub holidays: BTreeSet<Date>,
}

impl Calendar {
    /// Whether work is done on `date`.
    pub fn is_working_day(&self, date: Date) -> bool {
        !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) && !self.holidays.contains(&date)
    }

    /// The same time of day, `days` working days later. Saturates at the end of the calendar (year 9999).
    pub fn add_working_days(&self, from: OffsetDateTime, days: u32) -> OffsetDateTime {
        let mut date = from.date();
        let mut left = days;
        while left > 0 {
            let Some(next) = date.next_day() else { break };
            date = next;
            if self.is_working_day(date) {
                left -= 1;
            }
        }
        from.replace_date(date)
    }
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

/// The due date after the clock stood still from `paused_at` to `now`; never earlier than before.
pub fn resume(due: OffsetDateTime, paused_at: OffsetDateTime, now: OffsetDateTime) -> OffsetDateTime {
    let pause = (now - paused_at).max(Duration::ZERO);
    due.checked_add(pause).unwrap_or(due)
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn weekends_and_holidays_do_not_count() {
        let calendar = Calendar { holidays: BTreeSet::from([date!(2026 - 11 - 23)]) };
        // Friday plus one working day over a weekend and a holiday Monday.
        assert_eq!(calendar.add_working_days(datetime!(2026-11-20 09:30 UTC), 1), datetime!(2026-11-24 09:30 UTC));
        assert_eq!(calendar.add_working_days(datetime!(2026-11-21 09:30 UTC), 0), datetime!(2026-11-21 09:30 UTC));
    }

    #[test]
    fn graver_cases_are_due_sooner() {
        let now = datetime!(2026-11-20 12:00 UTC);
        let due: Vec<_> = Severity::ALL.iter().map(|severity| due_at(now, *severity, &Calendar::default())).collect();
        assert!(due.windows(2).all(|pair| pair[0] > pair[1]));
        assert_eq!(due[3], datetime!(2026-11-25 12:00 UTC));
        assert_eq!(due[0], datetime!(2027-02-12 12:00 UTC));
    }

    #[test]
    fn a_pause_moves_the_due_date_by_its_length_and_never_backwards() {
        let due = datetime!(2026-12-01 12:00 UTC);
        let paused = datetime!(2026-11-20 12:00 UTC);
        assert_eq!(resume(due, paused, paused + Duration::hours(5)), due + Duration::hours(5));
        assert_eq!(resume(due, paused, paused - Duration::hours(5)), due);
    }

    #[test]
    fn the_end_of_the_calendar_is_not_a_panic() {
        let last = datetime!(9999-12-31 12:00 UTC);
        assert_eq!(Calendar::default().add_working_days(last, 5), last);
        assert_eq!(resume(last, datetime!(2000-01-01 0:00 UTC), last), last);
    }
}
