//! Due dates of imported cases are reckoned by the calendar of their tenant.

use docket_domain::case::{Severity, deadline};
use sqlx::Row;
use time::macros::datetime;
use time::{Duration, OffsetDateTime, Weekday};

use crate::harness::World;

/// So many working days later, at the same time of day.
fn later(from: OffsetDateTime, days: u32, works: impl Fn(Weekday) -> bool) -> OffsetDateTime {
    let (mut at, mut left) = (from, days);
    while left > 0 {
        at += Duration::DAY;
        left -= u32::from(works(at.weekday()));
    }
    at
}

#[tokio::test]
async fn an_imported_case_gets_the_due_date_of_its_tenants_calendar() {
    let world = World::new().await;
    world
        .rows(&format!(
            "INSERT INTO docket.calendars (tenant_id, version, weekend, updated_at)
             VALUES ('{}', 2, '{{thursday,friday,saturday,sunday}}', now())",
            world.one
        ))
        .await;
    let mapping = std::fs::read_to_string("mappings/docket.toml").unwrap();
    let mapping = mapping.replacen("name = \"docket\"", "name = \"dated\"\ndeadline_by_severity = true", 1);
    let mapping = world.file("dated.toml", mapping);
    let file = world.file(
        "cases.csv",
        "reference,state,title,severity,confidentiality,opened_at\nR-1,submitted,Loose rail,high,public,2026-11-02T09:00:00Z\n",
    );
    for tenant in ["one", "two"] {
        let said = world.docket(&["import", "cases", &file, "--tenant", tenant, "--mapping", &mapping]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let opened = datetime!(2026-11-02 09:00 UTC);
    let days = deadline::working_days(Severity::High);
    let short_week = |day| matches!(day, Weekday::Monday | Weekday::Tuesday | Weekday::Wednesday);
    let usual = |day| !matches!(day, Weekday::Saturday | Weekday::Sunday);
    for (tenant, expected) in [(world.one, later(opened, days, short_week)), (world.two, later(opened, days, usual))] {
        let sql = format!("SELECT due_at FROM docket.cases WHERE tenant_id = '{tenant}'");
        assert_eq!(world.rows(&sql).await[0].get::<OffsetDateTime, _>(0), expected);
    }
    let again = world.import(&file, &["--mapping", &mapping]);
    assert_eq!(again.count("unchanged"), 1, "the same calendar gives the same date: {again:?}");
    world.rows("UPDATE docket.cases SET due_at = due_at + interval '7 days', deadline_extended = true").await;
    let extended = world.import(&file, &["--mapping", &mapping, "--on-conflict", "update"]);
    assert_eq!(extended.count("unchanged"), 1, "a deadline that was extended is not shortened: {extended:?}");
}
