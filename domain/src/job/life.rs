//! The life of a job: its states, what may happen in each, and the token that fences off who held it before.

use serde::{Deserialize, Serialize};

use crate::ids::{JobId, TenantId};

crate::named_enum! {
    /// Where a job stands.
    JobState, "job state" {
        /// Waits for its time or for a worker.
        Queued = "queued",
        /// A worker holds it.
        Running = "running",
        /// Ended well; kept only where somebody wants its result.
        Succeeded = "succeeded",
        /// Failed for good: a dead letter, to be looked at and redriven.
        Dead = "dead",
        /// Ended because somebody asked for it.
        Cancelled = "cancelled",
    }
}

impl JobState {
    /// Whether nothing happens any more by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Cancelled)
    }
}

/// The right to end a job: which one, and the number that was given with it. Whoever shows another number lost it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobLease {
    /// The tenant of the job.
    pub tenant_id: TenantId,
    /// The job.
    pub job_id: JobId,
    /// The fencing token: it grows with every change of hands and never falls.
    pub token: i64,
}

/// What can happen to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// A worker takes it.
    Claimed,
    /// Its holder says that it ended well.
    Succeeded {
        /// The token that the holder was given.
        token: i64,
    },
    /// Its holder says that it failed, and that it is worth another try.
    Failed {
        /// The token that the holder was given.
        token: i64,
    },
    /// Its holder says that it failed for good.
    GivenUp {
        /// The token that the holder was given.
        token: i64,
    },
    /// Its holder stopped it because somebody asked for it.
    Stopped {
        /// The token that the holder was given.
        token: i64,
    },
    /// Its holder gives it back untouched.
    HandedBack {
        /// The token that the holder was given.
        token: i64,
    },
    /// Its holder was silent for longer than its lease.
    LeaseEnded,
    /// Somebody wants it ended.
    CancelRequested,
    /// Somebody wants a dead one tried again.
    Redriven,
}

/// Why nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// The token is of an earlier holder.
    #[error("another worker holds this job by now")]
    Fenced,
    /// The state does not allow it.
    #[error("a job that is {0} cannot be changed like this")]
    State(JobState),
}

/// What the queue knows of a job's life. `migrations/0008_jobs.sql` does the same with rows; a test compares the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// Where it stands.
    pub state: JobState,
    /// How often it was begun, not counting what was handed back.
    pub attempt: u32,
    /// The fencing token of the last change of hands.
    pub token: i64,
    /// Whether somebody wants it ended while it runs.
    pub cancel_requested: bool,
}

impl Life {
    /// A job that was just enqueued.
    pub const NEW: Self = Self { state: JobState::Queued, attempt: 0, token: 0, cancel_requested: false };

    /// The job after something happened to it.
    pub fn after(self, happening: Happening) -> Result<Self, NotNow> {
        use Happening as H;
        use JobState as S;
        match (self.state, happening) {
            (S::Queued, H::Claimed) => {
                Ok(Self { state: S::Running, attempt: self.attempt + 1, token: self.token + 1, ..self })
            }
            (S::Queued, H::CancelRequested) => Ok(Self { state: S::Cancelled, ..self }),
            (S::Running, H::CancelRequested) => Ok(Self { cancel_requested: true, ..self }),
            (S::Running, H::LeaseEnded) => Ok(Self { state: S::Queued, token: self.token + 1, ..self }),
            (S::Dead, H::Redriven) => Ok(Self { token: self.token + 1, ..Self::NEW }),
            (
                S::Running,
                H::Succeeded { token }
                | H::Failed { token }
                | H::GivenUp { token }
                | H::Stopped { token }
                | H::HandedBack { token },
            ) if token == self.token => Ok(self.ended(happening)),
            // Also when it ended or was taken over in the meantime: the number tells.
            (
                _,
                H::Succeeded { .. } | H::Failed { .. } | H::GivenUp { .. } | H::Stopped { .. } | H::HandedBack { .. },
            ) => Err(NotNow::Fenced),
            (state, _) => Err(NotNow::State(state)),
        }
    }

    /// What the holder's word makes of a running job.
    fn ended(self, word: Happening) -> Self {
        let back = Self { state: JobState::Queued, token: self.token + 1, ..self };
        match word {
            Happening::Succeeded { .. } => Self { state: JobState::Succeeded, ..self },
            Happening::GivenUp { .. } => Self { state: JobState::Dead, ..self },
            Happening::Stopped { .. } => Self { state: JobState::Cancelled, ..self },
            Happening::HandedBack { .. } => Self { attempt: self.attempt.saturating_sub(1), ..back },
            _ => back,
        }
    }
}
