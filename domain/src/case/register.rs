//! What a company register says of a case's respondent, and on which cases it is written down.
//!
//! Not a command of the transition table: the state stays, and nobody asks for it but docket itself.

use time::OffsetDateTime;

use super::aggregate::Case;
use super::decide::Refusal;
use super::names::State;
use crate::principal::{Actor, Role};
use crate::text::{self, TextError};

/// Greatest length of a register's number for a company, in characters.
pub const NUMBER_MAX: usize = 50;
/// Greatest length of a company's name, in characters.
pub const NAME_MAX: usize = 300;
/// Greatest length of an address, in characters.
pub const ADDRESS_MAX: usize = 500;

crate::named_enum! {
    /// Whether a company still does business.
    CompanyStatus, "company status" {
        /// It does.
        Active = "active",
        /// It is being wound up.
        InLiquidation = "in_liquidation",
        /// It is gone.
        Dissolved = "dissolved",
    }
}

/// A company as the register knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// The register's number for it.
    pub number: String,
    /// Its name there.
    pub name: String,
    /// Whether it still does business.
    pub status: CompanyStatus,
    /// Its registered address; may be empty.
    pub address: String,
}

impl Company {
    /// A company from a register's words, which are foreign: bounded, one line each, number and name not empty.
    pub fn new(number: &str, name: &str, status: CompanyStatus, address: &str) -> Result<Self, TextError> {
        Ok(Self {
            number: text::required_line(number, NUMBER_MAX)?,
            name: text::required_line(name, NAME_MAX)?,
            status,
            address: text::line(address, ADDRESS_MAX)?,
        })
    }
}

/// An answer of the register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterEntry {
    /// The respondent as it was when the register was asked.
    pub asked_name: String,
    /// The company of that name; none when the register knows none.
    pub company: Option<Company>,
}

impl RegisterEntry {
    /// The sentence for the audit trail.
    pub fn summary(&self) -> String {
        match &self.company {
            Some(company) => format!(
                "the company register knows `{}` as {} ({}), {}",
                self.asked_name, company.name, company.number, company.status
            ),
            None => format!("the company register knows no `{}`", self.asked_name),
        }
    }
}

/// Whether anybody still works with what a register says: from the submission until a decision is proposed.
pub const fn is_worth_asking(state: State) -> bool {
    matches!(state, State::Submitted | State::UnderReview | State::AwaitingInformation | State::Escalated)
}

/// The case with an answer of the register written down (version one higher), or why not.
pub fn record(case: &Case, entry: &RegisterEntry, actor: &Actor, now: OffsetDateTime) -> Result<Case, Refusal> {
    let refused = |by_role, reason: &str| Err(Refusal::NotAllowed { by_role, reason: reason.to_owned() });
    if !actor.roles.has(Role::System) {
        return refused(true, "only docket itself writes down what the company register says");
    }
    if !is_worth_asking(case.state) {
        return refused(false, "what the company register says is written down only while the case is worked on");
    }
    if case.respondent != entry.asked_name {
        return refused(false, "the respondent changed after the company register was asked");
    }
    let mut next = case.clone();
    next.version += 1;
    next.updated_at = now;
    Ok(next)
}
