//! Set the working-day calendar of a tenant, as a whole; and read it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use docket_domain::calendar::{TenantCalendar, Weekend};
use docket_domain::principal::Scope;
use docket_domain::tenancy::Tenant;
use time::{Date, OffsetDateTime};

use super::unit_of_work::{Act, Decide, Decision, Forget, Subject, Target, TenancyPresenter, TenancyWriting};
use crate::application::cases::Calendars;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::CalendarStore;
use crate::application::ports::tenancy_store::Effect;
use crate::application::request::{Caller, Claim, IfMatch, Written};

/// What the record says was done, or attempted.
const ACTION: &str = "calendar.set";

/// The days on which no work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaysOff {
    /// Of every week.
    pub weekend: Weekend,
    /// Holidays and closing days by name.
    pub holidays: BTreeMap<Date, String>,
}

/// The calendar of the caller's tenant; everybody in it may know.
pub async fn read_calendar(calendars: &Calendars, caller: &Caller) -> Result<TenantCalendar, UseCaseError> {
    caller.require_scope(Scope::CasesRead)?;
    Ok(calendars.store().calendar(caller.actor.tenant_id).await?)
}

/// Sets the calendar of the caller's tenant. It holds for deadlines that begin, resume or are extended from now on; due
/// dates that were given stay.
pub async fn set_calendar(
    writing: &TenancyWriting,
    calendars: &Calendars,
    caller: &Caller,
    (claim, if_match): (Option<&Claim>, IfMatch),
    days_off: Result<DaysOff, Vec<Invalid>>,
    presenter: &dyn TenancyPresenter,
) -> Result<Written, UseCaseError> {
    writing.require_admin(caller, ACTION).await?;
    let tenant = caller.actor.tenant_id;
    let act = Act { caller, target: Target::Existing(tenant), claim, presenter, attempted: ACTION };
    let written = writing.carry_out(act, &SetCalendar { store: calendars.store(), if_match, days_off }).await?;
    calendars.forget(tenant).await;
    Ok(written)
}

struct SetCalendar<'a> {
    store: &'a dyn CalendarStore,
    if_match: IfMatch,
    days_off: Result<DaysOff, Vec<Invalid>>,
}

#[async_trait]
impl Decide for SetCalendar<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant = tenant.ok_or(UseCaseError::NotFound("tenant"))?;
        let before = self.store.calendar(tenant.id).await?;
        self.if_match.check(before.version)?;
        let DaysOff { weekend, holidays } = self.days_off.clone().map_err(UseCaseError::Invalid)?;
        let version = before.version + 1;
        let after = TenantCalendar { tenant_id: tenant.id, version, weekend, holidays, updated_at: Some(now) };
        Ok(Decision {
            effects: vec![Effect::SetCalendar(after.clone())],
            action: ACTION,
            subject: Subject::Calendar(after),
            created: false,
            before: before.to_record(),
            secret: None,
            forget: Forget::Nothing,
        })
    }
}
