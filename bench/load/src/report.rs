//! Counting and the report.

use std::collections::BTreeMap;

use serde::Serialize;

/// What one connection counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Latencies of successful answers in microseconds.
    pub latencies: Vec<u32>,
    /// Answers that were not successful, by status; 0 stands for a broken connection.
    pub errors: BTreeMap<u16, u64>,
    /// The first unsuccessful body, to show what went wrong.
    pub first_error: Option<String>,
}

/// What is written to standard output.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Successful requests.
    requests: usize,
    /// The same a second.
    requests_per_second: f64,
    /// Latencies in milliseconds.
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Unsuccessful answers by status.
    errors: BTreeMap<u16, u64>,
    first_error: Option<String>,
}

impl Tally {
    /// Notes an unsuccessful answer.
    pub fn fail(&mut self, status: u16, body: &[u8]) {
        *self.errors.entry(status).or_default() += 1;
        self.first_error.get_or_insert_with(|| String::from_utf8_lossy(body).into_owned());
    }

    /// Adds another connection's counts.
    pub fn merge(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        for (status, count) in other.errors {
            *self.errors.entry(status).or_default() += count;
        }
        self.first_error = self.first_error.take().or(other.first_error);
    }

    /// The report over `seconds`.
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub fn report(mut self, seconds: f64) -> Report {
        self.latencies.sort_unstable();
        let at = |percent: usize| {
            let rank = (self.latencies.len() * percent).div_ceil(100).max(1) - 1;
            self.latencies.get(rank).map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
        };
        Report {
            requests: self.latencies.len(),
            requests_per_second: self.latencies.len() as f64 / seconds,
            p50_ms: at(50),
            p95_ms: at(95),
            p99_ms: at(99),
            max_ms: at(100),
            errors: self.errors,
            first_error: self.first_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let tally = Tally { latencies: (1..=100).rev().map(|value| value * 1_000).collect(), ..Tally::default() };
        let report = tally.report(10.0);
        let found = [report.p50_ms, report.p95_ms, report.p99_ms, report.max_ms, report.requests_per_second];
        assert!(found.iter().zip([50.0, 95.0, 99.0, 100.0, 10.0]).all(|(left, right)| (left - right).abs() < 1e-9));
    }
}
