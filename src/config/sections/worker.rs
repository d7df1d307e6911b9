//! The section `worker`: how background work takes jobs, and how long what has ended is kept.

use crate::config::setting::{Rule, section};

section! {
    /// Background work: how jobs are taken and held, and how long ended ones are kept.
    Worker = "worker" {
        /// Time that a worker may be silent before its jobs go to others, in milliseconds.
        lease_ms: u64 = "15000", Rule::Integer { min: 500, max: 600_000 };
        /// Time between two looks for jobs when nobody hints that there are any, in milliseconds.
        poll_ms: u64 = "500", Rule::Integer { min: 10, max: 60_000 };
        /// Jobs that one process holds at most, running and fetched ahead.
        window: usize = "8000", Rule::Integer { min: 16, max: 100_000 };
        /// Days that results and cancelled jobs are kept.
        finished_days: u32 = "7", Rule::Integer { min: 1, max: 3_650 };
        /// Days that dead letters are kept.
        dead_days: u32 = "90", Rule::Integer { min: 1, max: 3_650 };
    }
}
