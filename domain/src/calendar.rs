//! Working days: which days a tenant works, and arithmetic on working time. Days are days of UTC.
//!
//! A working day counts whole, 24 hours from midnight to midnight; a weekend day or holiday counts nothing. So
//! "n working days later" is the same time of day, and a share of a deadline is a share of its working time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use time::{Date, Duration, OffsetDateTime, Time, Weekday};

use crate::ids::TenantId;
use crate::named_enum;

/// Greatest number of holidays in a calendar: more than twenty years of them.
pub const HOLIDAYS_MAX: usize = 500;
/// Greatest length of a holiday's name, in characters.
pub const HOLIDAY_NAME_MAX: usize = 100;

const DAY_SECONDS: i64 = 86_400;

named_enum! {
    /// A day of the week.
    DayOfWeek, "day of the week" {
        /// The first day by ISO 8601.
        Monday = "monday",
        /// The second.
        Tuesday = "tuesday",
        /// The third.
        Wednesday = "wednesday",
        /// The fourth.
        Thursday = "thursday",
        /// The fifth.
        Friday = "friday",
        /// The sixth.
        Saturday = "saturday",
        /// The seventh.
        Sunday = "sunday",
    }
}

/// The days of each week on which no work is done; never all seven, or no deadline would ever end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weekend(u8);

impl Weekend {
    /// The weekend of these days, in any order; none when they are the whole week.
    pub fn of(days: impl IntoIterator<Item = DayOfWeek>) -> Option<Self> {
        let bits = days.into_iter().fold(0, |bits, day| bits | 1 << day as u8);
        (bits != 0b111_1111).then_some(Self(bits))
    }

    /// The days, Monday first.
    pub fn days(self) -> impl Iterator<Item = DayOfWeek> {
        DayOfWeek::ALL.iter().copied().filter(move |day| self.0 & 1 << *day as u8 != 0)
    }

    fn has(self, day: Weekday) -> bool {
        self.0 & 1 << day.number_days_from_monday() != 0
    }

    /// How many of `count` days from a day of the week on are in the weekend.
    fn count(self, first: Weekday, count: i64) -> i64 {
        let (weeks, rest) = (count.div_euclid(7), count.rem_euclid(7));
        let begin = i64::from(first.number_days_from_monday());
        let in_rest = (begin..begin + rest).filter(|day| self.0 & 1 << (day % 7) != 0).count();
        weeks * i64::from(self.0.count_ones()) + i64::try_from(in_rest).unwrap_or(0)
    }
}

impl Default for Weekend {
    /// Saturday and Sunday.
    fn default() -> Self {
        Self(0b110_0000)
    }
}

/// The days on which no work is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Of every week.
    pub weekend: Weekend,
    /// Public holidays and closing days.
    pub holidays: BTreeSet<Date>,
}

impl Calendar {
    /// Whether work is done on `date`.
    pub fn is_working_day(&self, date: Date) -> bool {
        !self.weekend.has(date.weekday()) && !self.holidays.contains(&date)
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

    /// The working time between two instants; zero when `until` is not after `from`. Whole seconds.
    pub fn working_time(&self, from: OffsetDateTime, until: OffsetDateTime) -> Duration {
        if until <= from {
            return Duration::ZERO;
        }
        let days = self.working_days(from.date(), until.date());
        let begun = self.seconds_into(from);
        Duration::seconds(days * DAY_SECONDS - begun + self.seconds_into(until))
    }

    /// The first instant at which `amount` of working time has passed since `from`; `from` itself for nothing.
    /// Saturates at the end of the calendar.
    pub fn after(&self, from: OffsetDateTime, amount: Duration) -> OffsetDateTime {
        let Some(room) = self.room(amount) else { return last_instant() };
        let Some(far) = from.checked_add(room) else { return last_instant() };
        let span = (far - from).whole_seconds();
        let (mut low, mut high) = (0, span);
        while low < high {
            let middle = i64::midpoint(low, high);
            let enough = self.working_time(from, from + Duration::seconds(middle)) >= amount;
            if enough { high = middle } else { low = middle + 1 }
        }
        from + Duration::seconds(low)
    }

    /// The last instant at which `amount` of working time is left until `until`; `until` itself for nothing. Saturates at the
    /// beginning of the calendar.
    pub fn before(&self, until: OffsetDateTime, amount: Duration) -> OffsetDateTime {
        let first = until.replace_date_time(time::PrimitiveDateTime::MIN);
        let Some(far) = self.room(amount).and_then(|room| until.checked_sub(room)) else { return first };
        let (mut low, mut high) = (0, (until - far).whole_seconds());
        while low < high {
            let middle = i64::midpoint(low, high);
            let enough = self.working_time(until - Duration::seconds(middle), until) >= amount;
            if enough { high = middle } else { low = middle + 1 }
        }
        until - Duration::seconds(low)
    }

    /// Time in which `amount` of working time is sure to pass: every week has a working day, but for holidays.
    fn room(&self, amount: Duration) -> Option<Duration> {
        let days = amount.whole_seconds().max(0) / DAY_SECONDS + 2;
        let holidays = i64::try_from(self.holidays.len()).ok()?;
        days.checked_add(holidays)?.checked_mul(7).and_then(|days| days.checked_mul(DAY_SECONDS)).map(Duration::seconds)
    }

    /// The working days from `first` on, before `end`.
    fn working_days(&self, first: Date, end: Date) -> i64 {
        let days = i64::from(end.to_julian_day()) - i64::from(first.to_julian_day());
        let holidays = self.holidays.range(first..end).filter(|date| !self.weekend.has(date.weekday())).count();
        days - self.weekend.count(first.weekday(), days) - i64::try_from(holidays).unwrap_or(0)
    }

    /// How much of its day has counted at an instant.
    fn seconds_into(&self, at: OffsetDateTime) -> i64 {
        if self.is_working_day(at.date()) { (at.time() - Time::MIDNIGHT).whole_seconds() } else { 0 }
    }
}

fn last_instant() -> OffsetDateTime {
    time::PrimitiveDateTime::MAX.assume_utc()
}

/// The calendar of one tenant, with what people want to know of it. Version 1 is what holds before anybody set one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantCalendar {
    /// Whose.
    pub tenant_id: TenantId,
    /// Grows by one with every change; the strong ETag is `"v<version>"`.
    pub version: u64,
    /// The days of each week on which no work is done.
    pub weekend: Weekend,
    /// Holidays and closing days by name.
    pub holidays: BTreeMap<Date, String>,
    /// When it was set; none for the one that holds before.
    pub updated_at: Option<OffsetDateTime>,
}

impl TenantCalendar {
    /// What holds before anybody set a calendar: Saturdays and Sundays, no holidays.
    pub fn unset(tenant_id: TenantId) -> Self {
        Self { tenant_id, version: 1, weekend: Weekend::default(), holidays: BTreeMap::new(), updated_at: None }
    }

    /// What deadlines are reckoned by.
    pub fn rules(&self) -> Calendar {
        Calendar { weekend: self.weekend, holidays: self.holidays.keys().copied().collect() }
    }

    /// The strong entity tag of this version (RFC 9110, section 8.8.3).
    pub fn etag(&self) -> String {
        format!("\"v{}\"", self.version)
    }

    /// The form that the audit trail records.
    pub fn to_record(&self) -> Value {
        let holidays: Vec<_> =
            self.holidays.iter().map(|(date, name)| json!({"date": date.to_string(), "name": name})).collect();
        let weekend: Vec<_> = self.weekend.days().map(DayOfWeek::as_str).collect();
        json!({"id": self.tenant_id, "version": self.version, "weekend": weekend, "holidays": holidays})
    }
}
