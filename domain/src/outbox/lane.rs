//! A lane: the undelivered events of one case for one destination, delivered strictly in order by whoever holds the lease.
//!
//! This is the model; the database keeps lanes as rows and carries out the same steps in SQL. The simulation in the tests
//! drives the model through crashes, expired leases and outages under a virtual clock.

use std::collections::BTreeSet;

use time::{Duration, OffsetDateTime};

use super::verdict::Verdict;

/// Whether the lane moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneState {
    /// Its head is tried when it is due.
    Ready,
    /// Its head was given up; nothing moves until somebody redrives or skips it.
    Dead,
}

/// What became of a report about a claimed head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It counts.
    Accepted,
    /// The claim was no longer the reporter's: somebody else has the lane, and the report changes nothing.
    Fenced,
}

/// The lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// Sequences that wait, the lowest is the head.
    pub pending: BTreeSet<u64>,
    /// Whether it moves.
    pub state: LaneState,
    /// Failed attempts of the head.
    pub attempts: u16,
    /// When the head may be claimed; while it is claimed, when the claim ends.
    pub due_at: OffsetDateTime,
    /// When the head last failed.
    pub failed_at: Option<OffsetDateTime>,
    /// The claim's fencing token.
    pub token: Option<u64>,
}

impl Lane {
    /// A lane without anything in it.
    pub fn empty(now: OffsetDateTime) -> Self {
        Self {
            pending: BTreeSet::new(),
            state: LaneState::Ready,
            attempts: 0,
            due_at: now,
            failed_at: None,
            token: None,
        }
    }

    /// Adds an event behind the others.
    pub fn enqueue(&mut self, sequence: u64) {
        self.pending.insert(sequence);
    }

    /// Takes the head under a lease; none when there is nothing due or somebody else holds it.
    pub fn claim(&mut self, token: u64, now: OffsetDateTime, lease: Duration) -> Option<u64> {
        let head = *self.pending.first()?;
        if self.state == LaneState::Dead || self.due_at > now {
            return None;
        }
        self.token = Some(token);
        self.due_at = now + lease;
        Some(head)
    }

    /// The head arrived.
    pub fn delivered(&mut self, token: u64, head: u64, now: OffsetDateTime) -> Settled {
        if self.token != Some(token) {
            return Settled::Fenced;
        }
        self.pending.remove(&head);
        self.failed_at = None;
        self.step(0, now)
    }

    /// The head did not arrive.
    pub fn failed(&mut self, token: u64, verdict: Verdict, now: OffsetDateTime) -> Settled {
        if self.token != Some(token) {
            return Settled::Fenced;
        }
        self.failed_at = Some(now);
        match verdict {
            Verdict::Retry { attempts, after } => self.step(attempts, now + after),
            Verdict::Dead { attempts } => {
                self.state = LaneState::Dead;
                self.step(attempts, now)
            }
            Verdict::Disable => self.step(self.attempts, now),
        }
    }

    /// The holder stops before it knows what became of the head: the lane is due at once, and nothing counts.
    pub fn hand_back(&mut self, token: u64, now: OffsetDateTime) -> Settled {
        if self.token != Some(token) {
            return Settled::Fenced;
        }
        self.step(self.attempts, now)
    }

    /// Tries a dead head again from the first attempt.
    pub fn redrive(&mut self, now: OffsetDateTime) {
        self.state = LaneState::Ready;
        self.failed_at = None;
        self.step(0, now);
    }

    /// Gives the head up for good and goes on with the next; none when another is the head by now.
    pub fn skip(&mut self, head: u64, now: OffsetDateTime) -> Option<u64> {
        if self.pending.first() != Some(&head) {
            return None;
        }
        self.pending.remove(&head);
        self.redrive(now);
        Some(head)
    }

    fn step(&mut self, attempts: u16, due_at: OffsetDateTime) -> Settled {
        self.attempts = attempts;
        self.due_at = due_at;
        self.token = None;
        Settled::Accepted
    }
}
