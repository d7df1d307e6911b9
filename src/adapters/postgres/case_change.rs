//! Acts on existing cases as PostgreSQL takes them: one alone, or several in one statement ([`super::together`]).

use std::pin::pin;

use docket_domain::ids::{CaseId, TenantId};
use futures::future::join_all;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::case_row::signed;
use super::lane::Lane;
use super::together::{Line, Shared};
use crate::application::ports::case_store::{AnswerToStore, CaseWrite, Commit, NewEvent};
use crate::faults::Fault;

/// The values of one act, in the order of the statements' parameters. Owned, because an act that waits for company outlives
/// the request that brought it.
#[derive(Debug, Clone)]
pub(super) struct Act {
    tenant: TenantId,
    id: CaseId,
    lock_key: Option<i64>,
    decided_version: i64,
    decided_seq: i64,
    version: i64,
    state: &'static str,
    assignee_id: Option<Uuid>,
    proposed_by: Option<Uuid>,
    decision: Option<String>,
    open_information_requests: i32,
    deadline_extended: bool,
    due_at: Option<OffsetDateTime>,
    clock_paused_at: Option<OffsetDateTime>,
    updated_at: OffsetDateTime,
    closed_at: Option<OffsetDateTime>,
    seq: i64,
    hash: [u8; 32],
    occurred_at: OffsetDateTime,
    actor_id: Uuid,
    action: String,
    outcome: &'static str,
    record: String,
    prev_hash: [u8; 32],
    event: Option<Event>,
    answer: Option<Answer>,
    deadline_seconds: Option<i64>,
    warned_75_at: Option<OffsetDateTime>,
    warned_90_at: Option<OffsetDateTime>,
    breached_at: Option<OffsetDateTime>,
    next_notice_at: Option<OffsetDateTime>,
}

#[derive(Debug, Clone)]
struct Event {
    id: Uuid,
    kind: &'static str,
    traceparent: Option<String>,
    data: String,
}

#[derive(Debug, Clone)]
struct Answer {
    key: String,
    fingerprint: [u8; 32],
    status: i16,
    etag: Option<String>,
    location: Option<String>,
    body: String,
    expires_at: OffsetDateTime,
}

impl Act {
    /// The values of a write that changes a case.
    pub(super) fn of(write: &CaseWrite) -> Self {
        let (case, audit) = (&write.case, &write.audit);
        Self {
            tenant: case.tenant_id,
            id: case.id,
            lock_key: lock_key(write),
            decided_version: signed(write.decided_on.0),
            decided_seq: signed(write.decided_on.1.seq),
            version: signed(case.version),
            state: case.state.as_str(),
            assignee_id: case.assignee_id.map(|id| id.0),
            proposed_by: case.proposed_by.map(|id| id.0),
            decision: case.decision.clone(),
            open_information_requests: i32::try_from(case.open_information_requests).unwrap_or(i32::MAX),
            deadline_extended: case.deadline_extended,
            due_at: case.due_at,
            clock_paused_at: case.clock_paused_at,
            updated_at: case.updated_at,
            closed_at: case.closed_at,
            seq: signed(write.head.seq),
            hash: write.head.hash,
            occurred_at: audit.occurred_at,
            actor_id: audit.actor_id.0,
            action: audit.action.clone(),
            outcome: audit.outcome.as_str(),
            record: write.canonical.clone(),
            prev_hash: write.decided_on.1.hash,
            event: write.event.as_ref().map(Event::of),
            answer: write.answer.as_ref().map(Answer::of),
            deadline_seconds: case.notices.working_seconds.map(signed),
            warned_75_at: case.notices.warned_75_at,
            warned_90_at: case.notices.warned_90_at,
            breached_at: case.notices.breached_at,
            next_notice_at: case.notices.next_at,
        }
    }

    /// Commits this act, or makes it part of the transaction that the connection is in.
    pub(super) async fn commit(&self, connection: &mut PgConnection) -> Result<Commit, sqlx::Error> {
        let (event, answer) = (self.event.as_ref(), self.answer.as_ref());
        let row = sqlx::query_file!(
            "src/adapters/postgres/sql/commit_change.sql",
            self.tenant.to_string(),
            self.lock_key,
            self.id.0,
            self.decided_version,
            self.decided_seq,
            self.version,
            self.state,
            self.assignee_id,
            self.proposed_by,
            self.decision.as_deref(),
            self.open_information_requests,
            self.deadline_extended,
            self.due_at,
            self.clock_paused_at,
            self.updated_at,
            self.closed_at,
            self.seq,
            &self.hash[..],
            self.occurred_at,
            self.actor_id,
            self.action,
            self.outcome,
            self.record,
            &self.prev_hash[..],
            event.map(|event| event.id),
            event.map(|event| event.kind),
            event.and_then(|event| event.traceparent.as_deref()),
            event.map(|event| event.data.as_str()),
            answer.map(|answer| answer.key.as_str()),
            answer.map(|answer| &answer.fingerprint[..]),
            answer.map(|answer| answer.status),
            answer.and_then(|answer| answer.etag.as_deref()),
            answer.and_then(|answer| answer.location.as_deref()),
            answer.map(|answer| answer.body.as_str()),
            answer.map(|answer| answer.expires_at),
            self.deadline_seconds,
            self.warned_75_at,
            self.warned_90_at,
            self.breached_at,
            self.next_notice_at,
        )
        .fetch_one(connection)
        .await?;
        Ok(outcome(row.free, row.moved > 0))
    }
}

impl Event {
    fn of(event: &NewEvent) -> Self {
        let (kind, traceparent) = (event.event_type.as_str(), event.traceparent.clone());
        Self { id: event.id.0, kind, traceparent, data: event.data.to_string() }
    }
}

impl Answer {
    fn of(answer: &AnswerToStore) -> Self {
        let rendered = &answer.rendered;
        Self {
            key: answer.key.as_str().to_owned(),
            fingerprint: answer.fingerprint.0,
            status: database_status(rendered.status),
            etag: rendered.etag.clone(),
            location: rendered.location.clone(),
            body: rendered.body.clone(),
            expires_at: answer.expires_at,
        }
    }
}

/// Commits acts on existing cases; clones share their groups.
#[derive(Debug, Clone)]
pub(super) struct CaseChanges {
    line: Line<Changing>,
}

/// The statements.
#[derive(Debug, Clone)]
struct Changing {
    lane: Lane,
}

impl CaseChanges {
    /// On a lane.
    pub(super) fn new(lane: Lane) -> Self {
        Self { line: Line::new(Changing { lane }) }
    }

    /// Commits an act, perhaps in one transaction with acts on other cases. Its outcome is its own.
    pub(super) async fn commit(&self, act: Act) -> Result<Commit, sqlx::Error> {
        let Some(mut running) = self.line.begin(act.tenant) else { return self.line.join(act).await };
        running.during(pin!(self.line.statement().alone(&act))).await
    }
}

impl Shared for Changing {
    type Request = Act;
    type Answer = Result<Commit, sqlx::Error>;
    /// While one waits for the disk, the acts of the next come together.
    const OF_ONE: usize = 1;
    const OF_ALL: usize = 8;

    fn tenant(act: &Act) -> TenantId {
        act.tenant
    }

    /// One act for each case: the second was decided on what the first changes.
    fn joins(group: &[Act], act: &Act) -> bool {
        group.iter().all(|other| other.id != act.id)
    }

    async fn together(&self, group: &[Act]) -> Vec<Self::Answer> {
        let Some(first) = group.first() else { return Vec::new() };
        if group.len() == 1 {
            return vec![self.alone(first).await];
        }
        match self.commit_all(group).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            // The statement as a whole was refused, for the sake of one of them: each gets what is its own.
            Err(sqlx::Error::Database(_)) => join_all(group.iter().map(|act| self.alone(act))).await,
            Err(error) => group.iter().map(|_| Err(again(&error))).collect(),
        }
    }

    fn lost() -> Self::Answer {
        Err(sqlx::Error::Io(std::io::Error::other("the statement that was to commit the act was given up")))
    }
}

impl Changing {
    async fn alone(&self, act: &Act) -> Result<Commit, sqlx::Error> {
        let mut leased = self.lane.acquire().await?;
        let outcome = act.commit(leased.connection()).await;
        self.lane.settle(leased, &outcome);
        outcome
    }

    /// Commits a group in one statement: outcomes in the order of the acts.
    async fn commit_all(&self, group: &[Act]) -> Result<Vec<Commit>, sqlx::Error> {
        let mut order: Vec<usize> = (0..group.len()).collect();
        // Cases are locked in the order of their ids, so that two groups never wait for each other.
        order.sort_unstable_by_key(|&index| group.get(index).map(|act| act.id.0));
        let sorted: Vec<&Act> = order.iter().filter_map(|&index| group.get(index)).collect();
        let mut leased = self.lane.acquire().await?;
        let rows = statement(leased.connection(), &sorted).await;
        self.lane.settle(leased, &rows);
        let mut outcomes = vec![Commit::Stale; group.len()];
        for (place, found) in rows? {
            let index = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
            let slot = index.and_then(|index| order.get(index)).and_then(|&index| outcomes.get_mut(index));
            if let Some(slot) = slot {
                *slot = found;
            }
        }
        Ok(outcomes)
    }
}

/// One statement for all of them: pairs of place (from 1) and outcome.
#[allow(clippy::too_many_lines, reason = "a column for each parameter of the statement")]
async fn statement(connection: &mut PgConnection, acts: &[&Act]) -> Result<Vec<(i64, Commit)>, sqlx::Error> {
    fn column<'a, T>(acts: &[&'a Act], value: impl Fn(&'a Act) -> T) -> Vec<T> {
        acts.iter().map(|act| value(act)).collect()
    }
    fn event<'a, T>(acts: &[&'a Act], value: impl Fn(&'a Event) -> Option<T>) -> Vec<Option<T>> {
        column(acts, |act| act.event.as_ref().and_then(&value))
    }
    fn answer<'a, T>(acts: &[&'a Act], value: impl Fn(&'a Answer) -> Option<T>) -> Vec<Option<T>> {
        column(acts, |act| act.answer.as_ref().and_then(&value))
    }
    let tenant = acts.first().map(|act| act.tenant.to_string()).unwrap_or_default();
    let rows = sqlx::query_file!(
        "src/adapters/postgres/sql/commit_changes.sql",
        tenant,
        &column(acts, |act| act.lock_key) as &[Option<i64>],
        &column(acts, |act| act.id.0),
        &column(acts, |act| act.decided_version),
        &column(acts, |act| act.decided_seq),
        &column(acts, |act| act.version),
        &column(acts, |act| act.state) as &[&str],
        &column(acts, |act| act.assignee_id) as &[Option<Uuid>],
        &column(acts, |act| act.proposed_by) as &[Option<Uuid>],
        &column(acts, |act| act.decision.as_deref()) as &[Option<&str>],
        &column(acts, |act| act.open_information_requests),
        &column(acts, |act| act.deadline_extended),
        &column(acts, |act| act.due_at) as &[Option<OffsetDateTime>],
        &column(acts, |act| act.clock_paused_at) as &[Option<OffsetDateTime>],
        &column(acts, |act| act.updated_at),
        &column(acts, |act| act.closed_at) as &[Option<OffsetDateTime>],
        &column(acts, |act| act.seq),
        &column(acts, |act| &act.hash[..]) as &[&[u8]],
        &column(acts, |act| act.occurred_at),
        &column(acts, |act| act.actor_id),
        &column(acts, |act| act.action.as_str()) as &[&str],
        &column(acts, |act| act.outcome) as &[&str],
        &column(acts, |act| act.record.as_str()) as &[&str],
        &column(acts, |act| &act.prev_hash[..]) as &[&[u8]],
        &event(acts, |event| Some(event.id)) as &[Option<Uuid>],
        &event(acts, |event| Some(event.kind)) as &[Option<&str>],
        &event(acts, |event| event.traceparent.as_deref()) as &[Option<&str>],
        &event(acts, |event| Some(event.data.as_str())) as &[Option<&str>],
        &answer(acts, |answer| Some(answer.key.as_str())) as &[Option<&str>],
        &answer(acts, |answer| Some(&answer.fingerprint[..])) as &[Option<&[u8]>],
        &answer(acts, |answer| Some(answer.status)) as &[Option<i16>],
        &answer(acts, |answer| answer.etag.as_deref()) as &[Option<&str>],
        &answer(acts, |answer| answer.location.as_deref()) as &[Option<&str>],
        &answer(acts, |answer| Some(answer.body.as_str())) as &[Option<&str>],
        &answer(acts, |answer| Some(answer.expires_at)) as &[Option<OffsetDateTime>],
        &column(acts, |act| act.deadline_seconds) as &[Option<i64>],
        &column(acts, |act| act.warned_75_at) as &[Option<OffsetDateTime>],
        &column(acts, |act| act.warned_90_at) as &[Option<OffsetDateTime>],
        &column(acts, |act| act.breached_at) as &[Option<OffsetDateTime>],
        &column(acts, |act| act.next_notice_at) as &[Option<OffsetDateTime>],
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.place, outcome(row.free, row.moved))).collect())
}

/// What the statement's row says of an act or a new case: whether its key was free, whether it was written.
pub(super) const fn outcome(free: bool, written: bool) -> Commit {
    match (free, written) {
        (false, _) => Commit::KeyInFlight,
        (true, false) => Commit::Stale,
        (true, true) => Commit::Done,
    }
}

/// The same failure once more, for another act that it struck too.
fn again(error: &sqlx::Error) -> sqlx::Error {
    match error {
        sqlx::Error::PoolTimedOut => sqlx::Error::PoolTimedOut,
        sqlx::Error::PoolClosed => sqlx::Error::PoolClosed,
        other => sqlx::Error::Io(std::io::Error::other(other.to_string())),
    }
}

/// The advisory lock that stands for "a request with this key is running": 64 bits of a hash over the key's scope.
pub(super) fn lock_key(write: &CaseWrite) -> Option<i64> {
    let answer = write.answer.as_ref().filter(|_| !Fault::KeyLockNotTaken.is_seeded())?;
    let mut hasher = Sha256::new();
    hasher.update(write.case.tenant_id.0.as_bytes());
    hasher.update(answer.principal_id.0.as_bytes());
    hasher.update(answer.key.as_str());
    let digest: [u8; 32] = hasher.finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    Some(i64::from_be_bytes(first))
}

/// A status as the table keeps it.
pub(super) fn database_status(status: u16) -> i16 {
    i16::try_from(status).unwrap_or(500)
}
