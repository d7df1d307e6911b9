//! Readiness of PostgreSQL: it answers, and its tables are those this version needs.

use async_trait::async_trait;
use sqlx::PgPool;

use crate::application::ports::health::{HealthProbe, ProbeState};

/// Asks the database for an answer through the service's own pool.
#[derive(Debug, Clone)]
pub struct DatabaseProbe(pub PgPool);

#[async_trait]
impl HealthProbe for DatabaseProbe {
    fn name(&self) -> &'static str {
        "database"
    }

    fn required(&self) -> bool {
        true
    }

    async fn check(&self) -> ProbeState {
        match sqlx::query("SELECT 1").execute(&self.0).await {
            Ok(_) => ProbeState::Up,
            Err(error) => {
                tracing::debug!(%error, "the database probe failed");
                ProbeState::Down("the database does not answer".to_owned())
            }
        }
    }
}

/// Checks that the role of the pool can neither see past row-level security nor, as the tables' owner, switch it off: a service
/// that could must not take requests.
#[derive(Debug, Clone)]
pub struct RowSecurityProbe(pub PgPool);

#[async_trait]
impl HealthProbe for RowSecurityProbe {
    fn name(&self) -> &'static str {
        "row_security"
    }

    fn required(&self) -> bool {
        true
    }

    async fn check(&self) -> ProbeState {
        let query = "SELECT rolsuper OR rolbypassrls OR EXISTS (
                 SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = 'docket' AND pg_has_role(current_user, c.relowner, 'USAGE'))
             FROM pg_roles WHERE rolname = current_user";
        match sqlx::query_scalar::<_, bool>(query).fetch_one(&self.0).await {
            Ok(false) => ProbeState::Up,
            Ok(true) => ProbeState::Down(
                "the service's role can bypass row-level security or owns the tables under it".to_owned(),
            ),
            Err(_) => ProbeState::Down("the database does not answer".to_owned()),
        }
    }
}
