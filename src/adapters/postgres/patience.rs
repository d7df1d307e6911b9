//! How long those who work in the background wait for a statement.
//!
//! The server ends a statement after its time limit and says so. An answer that never comes, because the way to the server was
//! cut without a word, would be waited for until the network gives up: a quarter of an hour and more.

use std::time::Duration;

use sqlx::PgPool;

use super::error::store_error;
use crate::application::ports::StoreError;

/// Time for the server's own limit to be told.
const MARGIN: Duration = Duration::from_secs(5);
/// The server's limit where none was set.
const UNLIMITED: Duration = Duration::from_mins(10);

/// The longest that a statement is waited for: time for a connection, the server's own limit, and a margin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience(Duration);

impl Patience {
    /// With the statements of this pool.
    pub fn of(pool: &PgPool) -> Self {
        let limit = pool.connect_options().get_options().and_then(statement_timeout).unwrap_or(UNLIMITED);
        Self(pool.options().get_acquire_timeout() + limit + MARGIN)
    }

    /// The outcome of a statement, or a failure of the connection when there is none in time.
    pub async fn wait<T>(self, statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
        let outcome = tokio::time::timeout(self.0, statement).await;
        outcome.unwrap_or_else(|_| Err(no_answer()))
    }

    /// The same for statements whose failures are sorted already.
    pub async fn whole<T>(self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let outcome = tokio::time::timeout(self.0, work).await;
        outcome.unwrap_or_else(|_| Err(store_error(no_answer())))
    }
}

fn no_answer() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

/// The limit that [`super::connect`] gives to its connections.
fn statement_timeout(options: &str) -> Option<Duration> {
    let (_, after) = options.split_once("statement_timeout=")?;
    let digits = after.split(|other: char| !other.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|limit| *limit > 0).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

    use super::*;

    #[test]
    fn the_limit_is_that_of_the_pools_statements() {
        let options = PgConnectOptions::new().options([("application", "x"), ("statement_timeout", "15000")]);
        assert_eq!(statement_timeout(options.get_options().unwrap()), Some(Duration::from_secs(15)));
        assert_eq!(statement_timeout("-c timezone=UTC"), None);
        assert_eq!(statement_timeout("-c statement_timeout=0"), None, "no limit");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_never_comes_is_an_outage_of_the_store() {
        let options = PgConnectOptions::new().options([("statement_timeout", "15000")]);
        let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(3)).connect_lazy_with(options);
        let began = tokio::time::Instant::now();
        let never = Patience::of(&pool).wait(std::future::pending::<Result<(), _>>()).await;
        assert_eq!(began.elapsed(), Duration::from_secs(23));
        assert!(matches!(store_error(never.unwrap_err()), StoreError::Unavailable(_)));
    }
}
