//! Loading single cases; those that are asked for at the same moment share a statement ([`super::together`]).

use std::pin::pin;

use docket_domain::idempotency::Fingerprint;
use docket_domain::ids::{CaseId, TenantId};
use uuid::Uuid;

use super::case_row::{case_row, hash32};
use super::error::store_error;
use super::lane::Lane;
use super::together::{Line, Shared};
use crate::application::ports::StoreError;
use crate::application::ports::case_store::{KeyScope, Loaded, StoredAnswer, StoredCase};
use crate::application::request::Rendered;

const NOTHING: Loaded = Loaded { case: None, answer: None };

/// What a row of either statement says.
macro_rules! loaded {
    ($row:expr) => {{
        let mut row = $row;
        let answer = match (row.fingerprint.take(), row.status.take(), row.body.take(), row.expired.take()) {
            (Some(fingerprint), Some(status), Some(body), Some(expired)) => hash32(fingerprint).map(|hash| {
                let status = u16::try_from(status).unwrap_or(500);
                let rendered = Rendered { status, etag: row.etag.take(), location: row.location.take(), body };
                Some(StoredAnswer { fingerprint: Fingerprint(hash), rendered, expired })
            }),
            _ => Ok(None),
        };
        answer.and_then(|answer| Ok(Loaded { case: Some(StoredCase::try_from(case_row!(row))?), answer }))
    }};
}

/// Loads cases for the reader and the store; clones share their groups.
#[derive(Debug, Clone)]
pub struct CaseLoader {
    line: Line<Loading>,
}

/// The statements.
#[derive(Debug, Clone)]
struct Loading {
    lane: Lane,
}

#[derive(Debug)]
struct Request {
    tenant: TenantId,
    case: CaseId,
    principal: Option<Uuid>,
    key: Option<String>,
}

impl CaseLoader {
    /// A loader on a lane.
    pub fn new(lane: Lane) -> Self {
        Self { line: Line::new(Loading { lane }) }
    }

    /// The case and the answer stored under the key, in one consistent view.
    pub async fn load(&self, tenant: TenantId, case: CaseId, key: Option<KeyScope<'_>>) -> Result<Loaded, StoreError> {
        let principal = key.map(|scope| scope.principal_id.0);
        let Some(mut running) = self.line.begin(tenant) else {
            let key = key.map(|scope| scope.key.as_str().to_owned());
            return self.line.join(Request { tenant, case, principal, key }).await;
        };
        let key = key.map(|scope| scope.key.as_str());
        let alone = pin!(self.line.statement().alone(tenant, case, principal, key));
        running.during(alone).await.map_err(store_error)?
    }
}

impl Shared for Loading {
    type Request = Request;
    type Answer = Result<Loaded, StoreError>;
    const OF_ONE: usize = 1;
    const OF_ALL: usize = 8;

    fn tenant(request: &Request) -> TenantId {
        request.tenant
    }

    async fn together(&self, group: &[Request]) -> Vec<Self::Answer> {
        match self.rows(group).await.map_err(store_error) {
            Ok(answers) => answers,
            Err(error) => group.iter().map(|_| Err(error.again())).collect(),
        }
    }

    fn lost() -> Self::Answer {
        Err(StoreError::Unavailable("the statement that was to load the case was given up".into()))
    }
}

impl Loading {
    async fn alone(
        &self,
        tenant: TenantId,
        case: CaseId,
        principal: Option<Uuid>,
        key: Option<&str>,
    ) -> Result<Result<Loaded, StoreError>, sqlx::Error> {
        let mut leased = self.lane.acquire().await?;
        let found =
            sqlx::query_file!("src/adapters/postgres/sql/load_case.sql", tenant.to_string(), case.0, principal, key)
                .fetch_optional(leased.connection())
                .await;
        self.lane.settle(leased, &found);
        Ok(found?.map_or(Ok(NOTHING), |row| loaded!(row)))
    }

    async fn rows(&self, group: &[Request]) -> Result<Vec<Result<Loaded, StoreError>>, sqlx::Error> {
        let Some(tenant) = group.first().map(|first| first.tenant) else { return Ok(Vec::new()) };
        let cases: Vec<Uuid> = group.iter().map(|request| request.case.0).collect();
        let principals: Vec<Option<Uuid>> = group.iter().map(|request| request.principal).collect();
        let keys: Vec<Option<&str>> = group.iter().map(|request| request.key.as_deref()).collect();
        let mut leased = self.lane.acquire().await?;
        let found = sqlx::query_file!(
            "src/adapters/postgres/sql/load_cases.sql",
            tenant.to_string(),
            &cases,
            &principals as &[Option<Uuid>],
            &keys as &[Option<&str>]
        )
        .fetch_all(leased.connection())
        .await;
        self.lane.settle(leased, &found);
        let mut answers: Vec<Result<Loaded, StoreError>> = group.iter().map(|_| Ok(NOTHING)).collect();
        for row in found? {
            let place = usize::try_from(row.place).unwrap_or(0);
            if let Some(answer) = place.checked_sub(1).and_then(|index| answers.get_mut(index)) {
                *answer = loaded!(row);
            }
        }
        Ok(answers)
    }
}
