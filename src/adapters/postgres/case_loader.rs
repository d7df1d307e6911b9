//! Loading single cases: requests that arrive while others are being answered share the next statement.
//!
//! A statement costs the database far more than the rows it finds, so under load many small reads of one tenant are
//! cheaper as one. Nobody waits for company: a request that finds the loader idle is answered at once and alone; only those
//! that come while [`RUNNERS`] statements are on their way wait for one of them to return, and then go together. Each
//! statement begins after its requests arrived, so each request sees every commit that was acknowledged before it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use docket_domain::idempotency::Fingerprint;
use docket_domain::ids::{CaseId, TenantId};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::case_row::{case_row, hash32};
use super::error::store_error;
use super::lane::Lane;
use crate::application::ports::StoreError;
use crate::application::ports::case_store::{KeyScope, Loaded, StoredAnswer, StoredCase};
use crate::application::request::Rendered;

/// Statements on their way at the same time. Two keep the database busy while the service reads the rows of the other;
/// more would only make the groups smaller.
const RUNNERS: usize = 2;

/// Requests in one statement; bounds how long the first of a group waits for the rows of the last.
const GROUP: usize = 32;

/// Time after which a group is given up, so that a database that went silent does not hold the runners for good. PostgreSQL
/// itself ends a statement sooner.
const PATIENCE: Duration = Duration::from_secs(20);

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
    lane: Lane,
    line: Arc<Mutex<Line>>,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Request>,
    running: usize,
}

#[derive(Debug)]
struct Request {
    tenant: TenantId,
    case: CaseId,
    principal: Option<Uuid>,
    key: Option<String>,
    answer: oneshot::Sender<Result<Loaded, StoreError>>,
}

impl CaseLoader {
    /// A loader on a lane.
    pub fn new(lane: Lane) -> Self {
        Self { lane, line: Arc::default() }
    }

    /// The case and the answer stored under the key, in one consistent view.
    pub async fn load(&self, tenant: TenantId, case: CaseId, key: Option<KeyScope<'_>>) -> Result<Loaded, StoreError> {
        let principal = key.map(|scope| scope.principal_id.0);
        let Some(running) = self.begin() else {
            let key = key.map(|scope| scope.key.as_str().to_owned());
            let (answer, loaded) = oneshot::channel();
            self.wait(Request { tenant, case, principal, key, answer });
            return loaded.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the loader stopped".into())));
        };
        let loaded = self.alone(tenant, case, principal, key.map(|scope| scope.key.as_str())).await;
        drop(running);
        loaded.map_err(store_error)?
    }

    /// The right to send a statement now, unless enough are on their way.
    fn begin(&self) -> Option<Running> {
        let mut line = self.line();
        (line.running < RUNNERS).then(|| {
            line.running += 1;
            Running(self.clone())
        })
    }

    /// Joins the line. A runner may have ended since it was looked for; then this request starts one.
    fn wait(&self, request: Request) {
        let mut line = self.line();
        line.waiting.push_back(request);
        if line.running < RUNNERS {
            line.running += 1;
            tokio::spawn(Running(self.clone()).serve());
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

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

    async fn together(
        &self,
        tenant: TenantId,
        group: &[Request],
    ) -> Result<Vec<Result<Loaded, StoreError>>, sqlx::Error> {
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

/// The right to have one statement on its way; whoever drops it lets those who wait go on.
struct Running(CaseLoader);

impl Running {
    /// Answers groups until nobody waits.
    async fn serve(self) {
        while let Some(group) = self.next_group() {
            let outcome = match group.first() {
                Some(first) => tokio::time::timeout(PATIENCE, self.0.together(first.tenant, &group)).await,
                None => return,
            };
            let outcome = outcome.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(store_error);
            answer(group, outcome);
        }
    }

    /// Those at the head of the line who ask for the same tenant as the first.
    fn next_group(&self) -> Option<Vec<Request>> {
        let mut line = self.0.line();
        let tenant = line.waiting.front()?.tenant;
        let mut group = Vec::with_capacity(line.waiting.len().min(GROUP));
        let mut others = VecDeque::new();
        while let Some(request) = line.waiting.pop_front() {
            if request.answer.is_closed() {
                continue;
            }
            let joins = request.tenant == tenant && group.len() < GROUP;
            if joins { group.push(request) } else { others.push_back(request) }
        }
        line.waiting = others;
        Some(group)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.running -= 1;
        if !line.waiting.is_empty() && line.running < RUNNERS {
            line.running += 1;
            tokio::spawn(Running(self.0.clone()).serve());
        }
    }
}

fn answer(group: Vec<Request>, outcome: Result<Vec<Result<Loaded, StoreError>>, StoreError>) {
    match outcome {
        Ok(answers) => {
            for (request, answer) in group.into_iter().zip(answers) {
                // Who no longer listens was cancelled.
                let _ = request.answer.send(answer);
            }
        }
        Err(error) => {
            for request in group {
                let _ = request.answer.send(Err(error.again()));
            }
        }
    }
}
