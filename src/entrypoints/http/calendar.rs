//! `/v1/calendar`: the days on which a tenant does not work, by which its deadlines are reckoned.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use docket_domain::calendar::{DayOfWeek, HOLIDAY_NAME_MAX, HOLIDAYS_MAX, TenantCalendar, Weekend};
use docket_domain::text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use utoipa::ToSchema;

use super::case_body::names_schema;
use super::extract::{Authenticated, JsonBody, NoQuery, WriteHeaders};
use super::form::Form;
use super::presenter::{respond, show};
use super::problem::Problem;
use super::state::ApiState;
use super::tenancy_body::HttpTenancyPresenter;
use crate::application::error::Invalid;
use crate::application::request::Rendered;
use crate::application::tenancy::set_calendar::{DaysOff, read_calendar, set_calendar};

/// A holiday or closing day.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Holiday)]
pub struct HolidayBody {
    /// The day, for instance 2026-12-25.
    #[schema(format = Date, value_type = String)]
    pub date: String,
    /// What people call it.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
}

/// A calendar as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Calendar)]
pub struct CalendarBody {
    /// Grows by one with every change; 1 before the first.
    #[schema(minimum = 1)]
    pub version: u64,
    /// The days of each week on which no work is done, Monday first.
    #[schema(schema_with = weekend_schema)]
    pub weekend: Vec<DayOfWeek>,
    /// Holidays and closing days, earliest first.
    pub holidays: Vec<HolidayBody>,
    /// When it was set; null before the first change.
    #[serde(with = "time::serde::rfc3339::option")]
    pub updated_at: Option<OffsetDateTime>,
}

impl From<&TenantCalendar> for CalendarBody {
    fn from(calendar: &TenantCalendar) -> Self {
        let holiday = |(date, name): (&Date, &String)| HolidayBody { date: date.to_string(), name: name.clone() };
        Self {
            version: calendar.version,
            weekend: calendar.weekend.days().collect(),
            holidays: calendar.holidays.iter().map(holiday).collect(),
            updated_at: calendar.updated_at,
        }
    }
}

/// What a client sends to set the calendar, as a whole.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "documents the form for OpenAPI")]
pub struct SetCalendar {
    /// The days of each week on which no work is done; may be empty, never all seven.
    #[schema(schema_with = weekend_schema)]
    weekend: Vec<String>,
    /// Holidays and closing days, each day once.
    #[schema(max_items = 500)]
    holidays: Vec<HolidayBody>,
}

/// Get the calendar by which the tenant's deadlines are reckoned.
#[utoipa::path(get, path = "/v1/calendar", tag = "tenancy",
    responses(
        (status = 200, description = "The calendar", body = CalendarBody, headers(("ETag" = String)))))]
pub async fn get_calendar(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
) -> Result<Response, Problem> {
    let calendar = read_calendar(&state.writing.calendars, &caller).await?;
    Ok(show(rendered(&calendar)))
}

/// Set the calendar, as a whole. It holds for deadlines that begin, resume or are extended from now on.
#[utoipa::path(put, path = "/v1/calendar", tag = "tenancy", request_body = SetCalendar,
    params(("If-Match" = String, Header, description = "The ETag of the version you saw"),
        ("Idempotency-Key" = Option<String>, Header, description = "Optional here: If-Match already keeps a retry from doubling")),
    responses(
        (status = 200, description = "The calendar after the change", body = CalendarBody, headers(("ETag" = String)))))]
pub async fn put_calendar(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    headers: WriteHeaders,
    body: JsonBody,
) -> Result<Response, Problem> {
    let claim = headers.claim(&body.canonical);
    let (calendars, stamp) = (&state.writing.calendars, (claim.as_ref(), headers.if_match));
    let days_off = days_off(body.value);
    let written = set_calendar(&state.tenancy, calendars, &caller, stamp, days_off, &HttpTenancyPresenter).await?;
    Ok(respond(written))
}

/// The answer that shows a calendar.
pub fn rendered(calendar: &TenantCalendar) -> Rendered {
    let body = serde_json::to_string(&CalendarBody::from(calendar)).unwrap_or_default();
    Rendered { status: 200, etag: Some(calendar.etag()), location: None, body }
}

/// Reads the form of [`SetCalendar`].
pub fn days_off(body: Value) -> Result<DaysOff, Vec<Invalid>> {
    let mut form = Form::new(body);
    let weekend = read_weekend(&mut form).unwrap_or_default();
    let holidays = read_holidays(&mut form);
    form.finish("weekend, holidays")?;
    Ok(DaysOff { weekend, holidays })
}

fn read_weekend(form: &mut Form) -> Option<Weekend> {
    let items = form.required_array("weekend", 7)?;
    let mut days = Vec::new();
    for (place, item) in items.iter().enumerate() {
        match item.as_str().map(str::parse::<DayOfWeek>) {
            Some(Ok(day)) => days.push(day),
            Some(Err(error)) => form.error(&format!("weekend/{place}"), error.to_string()),
            None => form.error(&format!("weekend/{place}"), "must be the name of a day, for instance \"saturday\""),
        }
    }
    let weekend = Weekend::of(days);
    if weekend.is_none() {
        form.error("weekend", "must leave at least one working day");
    }
    weekend
}

fn read_holidays(form: &mut Form) -> BTreeMap<Date, String> {
    let mut holidays = BTreeMap::new();
    for (place, item) in form.required_array("holidays", HOLIDAYS_MAX).unwrap_or_default().into_iter().enumerate() {
        match serde_json::from_value::<HolidayBody>(item) {
            Err(_) => {
                let detail = "must be an object with `date` and `name`, both strings";
                form.error(&format!("holidays/{place}"), detail);
            }
            Ok(HolidayBody { date, name }) => {
                let date = parse_date(&date).map_err(|error| form.error(&format!("holidays/{place}/date"), error));
                let name = text::required_line(&name, HOLIDAY_NAME_MAX);
                let name = name.map_err(|error| form.error(&format!("holidays/{place}/name"), error.to_string()));
                if let (Ok(date), Ok(name)) = (date, name)
                    && holidays.insert(date, name).is_some()
                {
                    form.error(&format!("holidays/{place}/date"), "this day stands in the list already");
                }
            }
        }
    }
    holidays
}

fn parse_date(text: &str) -> Result<Date, &'static str> {
    let format = format_description!("[year repr:full base:calendar sign:automatic]-[month]-[day]");
    let date = Date::parse(text, &format).ok().filter(|date| (1900..=9999).contains(&date.year()));
    date.filter(|_| text.len() == 10).ok_or("must be a date between the years 1900 and 9999, for instance 2026-12-25")
}

fn weekend_schema() -> utoipa::openapi::schema::ArrayBuilder {
    let days = names_schema(DayOfWeek::ALL.iter().map(|day| day.as_str()));
    utoipa::openapi::schema::ArrayBuilder::new().items(days).max_items(Some(7))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_mistake_in_a_calendar_is_told_with_its_pointer() {
        let pointers = |body| -> Vec<String> {
            let errors: Vec<Invalid> = days_off(body).expect_err("mistakes");
            errors.into_iter().map(|error| error.pointer).collect()
        };
        assert_eq!(pointers(json!({})), ["/weekend", "/holidays"]);
        let week = DayOfWeek::ALL;
        assert_eq!(pointers(json!({"weekend": week, "holidays": []})), ["/weekend"]);
        let holidays = json!([
            {"date": "2026-12-25", "name": "Christmas"},
            {"date": "2026-12-25", "name": "Again"},
            {"date": "2026-02-30", "name": ""},
            {"date": "2026-12-26"},
            {"date": "26-12-2026", "name": "x", "more": 1},
        ]);
        let found = pointers(json!({"weekend": ["friday", 6, "someday"], "holidays": holidays, "zone": "UTC"}));
        let wanted = [
            "/weekend/1",
            "/weekend/2",
            "/holidays/1/date",
            "/holidays/2/date",
            "/holidays/2/name",
            "/holidays/3",
            "/holidays/4",
            "/zone",
        ];
        assert_eq!(found, wanted);
        let many: Vec<_> = (0..=HOLIDAYS_MAX).map(|_| json!({"date": "2026-12-25", "name": "x"})).collect();
        assert_eq!(pointers(json!({"weekend": [], "holidays": many})), ["/holidays"]);
    }
}
