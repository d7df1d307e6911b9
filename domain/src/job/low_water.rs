//! Low-water marks: where a claim may begin to look.
//!
//! The index of waiting jobs keeps entries of jobs that were claimed, until the database may remove them; a transaction
//! that stays open anywhere forbids that. A claim that began at the first entry would visit them all, every time, and be
//! slower with each job. So a worker remembers, for each lane of each kind, the last job that it was given, and begins
//! there.
//!
//! That misses jobs which became visible behind the mark: their transaction committed late, or their claim was rolled
//! back. A look a little way back, several times a second, finds almost all of them, a look from the beginning the rest.
//! Looks from the beginning take at most a hundredth of the time: the longer the last one took, the later the next.

use std::collections::HashMap;
use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

/// A position in a lane: due since, and the id among those due at the same instant.
pub type Position = (OffsetDateTime, Uuid);

/// The position before all others.
pub const BEGINNING: Position = (OffsetDateTime::UNIX_EPOCH, Uuid::nil());

/// How far back the frequent look goes.
const BACK: Duration = Duration::from_secs(5);
/// How often it is made.
const LOOK_BACK_EVERY: Duration = Duration::from_millis(250);
/// How often a look from the beginning is made at most.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// The share of the time that looks from the beginning may take, as a divisor.
const SWEEP_SHARE: u32 = 100;

/// From where a claim looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// From the marks.
    Ahead,
    /// From a little before the marks.
    LookBack,
    /// From the beginning.
    Sweep,
}

/// The marks of one worker.
#[derive(Debug, Default)]
pub struct LowWater {
    marks: HashMap<(String, i16), Position>,
    last_look_back: Option<Duration>,
    /// When the last sweep ended, and how long it took.
    last_sweep: Option<(Duration, Duration)>,
}

impl LowWater {
    /// From where to look at `uptime` (of the worker, by a clock that never jumps).
    pub fn scan(&self, uptime: Duration) -> Scan {
        let sweep_due = self.last_sweep.is_none_or(|(ended, took)| {
            uptime.saturating_sub(ended) >= SWEEP_EVERY.max(took.saturating_mul(SWEEP_SHARE))
        });
        let look_due = self.last_look_back.is_none_or(|at| uptime.saturating_sub(at) >= LOOK_BACK_EVERY);
        match (sweep_due, look_due) {
            (true, _) => Scan::Sweep,
            (false, true) => Scan::LookBack,
            (false, false) => Scan::Ahead,
        }
    }

    /// The position from which to look in a lane.
    pub fn from(&self, kind: &str, lane: i16, scan: Scan) -> Position {
        // Lane 0 holds what was given back, with whatever time it had; it is short.
        if scan == Scan::Sweep || lane == 0 {
            return BEGINNING;
        }
        let Some(mark) = self.marks.get(&(kind.to_owned(), lane)) else { return BEGINNING };
        match scan {
            Scan::Ahead => *mark,
            _ => (mark.0 - BACK, Uuid::nil()),
        }
    }

    /// Remembers that a job at this position was given. Marks only move ahead.
    pub fn given(&mut self, kind: &str, lane: i16, position: Position) {
        let mark = self.marks.entry((kind.to_owned(), lane)).or_insert(BEGINNING);
        *mark = (*mark).max(position);
    }

    /// Remembers that a look ended at `uptime` and how long it took.
    pub fn looked(&mut self, scan: Scan, uptime: Duration, took: Duration) {
        match scan {
            Scan::Ahead => {}
            Scan::LookBack => self.last_look_back = Some(uptime),
            Scan::Sweep => {
                self.last_look_back = Some(uptime);
                self.last_sweep = Some((uptime, took));
            }
        }
    }
}
