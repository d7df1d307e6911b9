//! The port for the company register: an HTTP service of somebody else, asked about respondents.

use std::time::Duration;

use async_trait::async_trait;
use docket_domain::case::Company;

/// Why the register gave no answer that can be used. The words show no address and no byte of what it sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// It cannot be reached, does not answer in time, or says that it is not able to at the moment.
    #[error("the company register {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// How long it asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// It answered, and not as a register does.
    #[error("the company register {0}")]
    Garbage(String),
    /// It understood the question and refuses to answer: asking again would be refused again.
    #[error("the company register refuses the question with status {0}")]
    Refused(u16),
}

impl RegisterError {
    /// Whether the register is in trouble, so that leaving it alone for a while helps it.
    pub const fn is_trouble(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Garbage(_))
    }

    /// Unavailable, without a wish of its own.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::Unavailable { reason: reason.into(), retry_after: None }
    }
}

/// Asks the register.
///
/// Contract: one question is one request, without retries. The whole exchange is bounded in time and what is read of the
/// answer in size; redirects are not followed; dropping the future ends the exchange. Of several companies of the name, the
/// register's first is given. To add an implementation: answer the questions of `tests/api/enrichment.rs`.
#[async_trait]
pub trait CompanyRegister: Send + Sync + 'static {
    /// The company of this name; none when the register knows none.
    async fn look_up(&self, name: &str) -> Result<Option<Company>, RegisterError>;
}
