//! What the queue does, measured. The label `kind` is bounded: only kinds that have a handler are ever claimed.

use metrics::Unit;

use super::metrics::{Kind, Metric, metric};

/// Attempts that ended.
pub const JOB_ATTEMPTS: &str = "docket_job_attempts_total";
/// From due to begun.
pub const JOB_WAIT: &str = "docket_job_wait_seconds";
/// From begun to ended.
pub const JOB_DURATION: &str = "docket_job_duration_seconds";
/// Jobs in the hands of this process.
pub const JOBS_HELD: &str = "docket_jobs_held";
/// Jobs that wait.
pub const JOBS_WAITING: &str = "docket_jobs_waiting";
/// How long the oldest waiting job has been due.
pub const JOBS_OLDEST: &str = "docket_jobs_oldest_age_seconds";
/// Dead letters.
pub const JOBS_DEAD: &str = "docket_jobs_dead";
/// Ends of jobs that were refused because another worker had them.
pub const JOBS_FENCED: &str = "docket_jobs_fenced_total";
/// Leases that this process lost.
pub const LEASES_LOST: &str = "docket_job_leases_lost_total";
/// Jobs taken back from workers that stopped answering.
pub const JOBS_REAPED: &str = "docket_jobs_reaped_total";
/// Jobs handed back by this process when it stopped, or because the answer of a claim was lost.
pub const JOBS_HANDED_BACK: &str = "docket_jobs_handed_back_total";

/// Every metric of the queue.
pub const METRICS: &[Metric] = &[
    metric(
        JOB_ATTEMPTS,
        Kind::Counter,
        Unit::Count,
        "Attempts that ended: succeeded, committed (with their effect), retried, dead, cancelled.",
        &["kind", "outcome"],
    ),
    metric(JOB_WAIT, Kind::Histogram, Unit::Seconds, "Time from when a job was due until it was begun.", &["kind"]),
    metric(JOB_DURATION, Kind::Histogram, Unit::Seconds, "Time that an attempt took.", &["kind"]),
    metric(JOBS_HELD, Kind::Gauge, Unit::Count, "Jobs in the hands of this process: running and fetched.", &["kind"]),
    metric(JOBS_WAITING, Kind::Gauge, Unit::Count, "Jobs that wait, counted up to 10,000.", &["kind"]),
    metric(JOBS_OLDEST, Kind::Gauge, Unit::Seconds, "How long the oldest waiting job has been due.", &["kind"]),
    metric(JOBS_DEAD, Kind::Gauge, Unit::Count, "Dead letters, counted up to 10,000.", &["kind"]),
    metric(
        JOBS_FENCED,
        Kind::Counter,
        Unit::Count,
        "Ends of jobs that the database refused because another worker had the job by then.",
        &[],
    ),
    metric(LEASES_LOST, Kind::Counter, Unit::Count, "Times that this process lost its lease and began anew.", &[]),
    metric(JOBS_REAPED, Kind::Counter, Unit::Count, "Jobs taken back from workers that stopped answering.", &[]),
    metric(
        JOBS_HANDED_BACK,
        Kind::Counter,
        Unit::Count,
        "Jobs handed back when this process stopped, or because the answer of a claim was lost.",
        &[],
    ),
];
