//! Keeps services running: a task each, started again after an error or a panic, later each time.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Service, ServiceState};
use crate::application::ports::HealthProbe;
use crate::telemetry::business::{WORKER_RESTARTS, WORKER_SERVICES};

/// How long to wait before a service starts again.
#[derive(Debug, Clone, Copy)]
pub struct Restarts {
    /// After the first failure; twice as long after each further one.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
    /// A service that ran for this long begins with `first` again.
    pub settled: Duration,
}

impl Default for Restarts {
    fn default() -> Self {
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(30));
        Self { first, longest, settled: Duration::from_mins(1) }
    }
}

/// Services and their states, ready to be run.
pub struct Worker {
    services: Vec<(Arc<dyn Service>, ServiceState)>,
    restarts: Restarts,
}

impl Worker {
    /// A worker of these services.
    pub fn new(services: Vec<Arc<dyn Service>>) -> Self {
        let with_state = |service: Arc<dyn Service>| {
            let state = ServiceState::new(service.name());
            (service, state)
        };
        Self { services: services.into_iter().map(with_state).collect(), restarts: Restarts::default() }
    }

    /// The same with other waits between restarts.
    #[must_use]
    pub fn with_restarts(mut self, restarts: Restarts) -> Self {
        self.restarts = restarts;
        self
    }

    /// One probe a service, for the health board.
    pub fn probes(&self) -> Vec<Arc<dyn HealthProbe>> {
        self.services.iter().map(|(_, state)| Arc::new(state.clone()) as Arc<dyn HealthProbe>).collect()
    }

    /// Runs every service until `stop` is cancelled and they have ended, or `grace` after that has passed; what still
    /// runs then is dropped.
    pub async fn run(self, stop: CancellationToken, grace: Duration) {
        let mut tasks = JoinSet::new();
        for (service, state) in self.services {
            tasks.spawn(supervise(service, state, self.restarts, stop.clone()));
        }
        stop.cancelled().await;
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            tracing::warn!(services = tasks.len(), "the grace period is over: dropping services that still run");
            tasks.shutdown().await;
        }
    }
}

/// Starts the service again until `stop` is cancelled.
async fn supervise(service: Arc<dyn Service>, state: ServiceState, restarts: Restarts, stop: CancellationToken) {
    let name = service.name();
    let mut wait = restarts.first;
    while !stop.is_cancelled() {
        state.up();
        metrics::gauge!(WORKER_SERVICES, "service" => name).set(1.0);
        tracing::debug!(service = name, "started");
        let began = Instant::now();
        let running = service.clone();
        let token = stop.clone();
        // A task of its own, so that a panic ends here; aborted when the supervisor is dropped.
        let mut task = JoinSet::new();
        task.spawn(async move { running.run(token).await });
        let reason = match task.join_next().await {
            Some(Ok(Ok(()))) if stop.is_cancelled() => break,
            Some(Ok(Ok(()))) => {
                tracing::error!(service = name, "ended although nobody asked it to");
                "ended"
            }
            Some(Ok(Err(error))) => {
                tracing::error!(service = name, error = format!("{error:#}"), "failed");
                "failed"
            }
            // The panic itself was logged where it happened.
            Some(Err(_)) | None => "panicked",
        };
        metrics::gauge!(WORKER_SERVICES, "service" => name).set(0.0);
        metrics::counter!(WORKER_RESTARTS, "service" => name, "reason" => reason).increment(1);
        if began.elapsed() >= restarts.settled {
            wait = restarts.first;
        }
        state.down(format!("{reason}; starts again within {} s", wait.as_secs().max(1)));
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(restarts.longest);
    }
    metrics::gauge!(WORKER_SERVICES, "service" => name).set(0.0);
    state.down("stopped");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::application::ports::ProbeState;

    /// Panics, then fails, then runs until it is stopped; takes `farewell` to end.
    struct Moody {
        starts: AtomicU32,
        farewell: Duration,
    }

    #[async_trait]
    impl Service for Moody {
        fn name(&self) -> &'static str {
            "moody"
        }

        async fn run(&self, stop: CancellationToken) -> anyhow::Result<()> {
            match self.starts.fetch_add(1, Ordering::SeqCst) {
                0 => panic!("first"),
                1 => anyhow::bail!("second"),
                2 => Ok(()),
                _ => {
                    stop.cancelled().await;
                    tokio::time::sleep(self.farewell).await;
                    Ok(())
                }
            }
        }
    }

    async fn run_for(farewell: Duration) -> (Arc<Moody>, Vec<ProbeState>, Duration) {
        let moody = Arc::new(Moody { starts: AtomicU32::new(0), farewell });
        let worker = Worker::new(vec![moody.clone()]);
        let probe = worker.probes().remove(0);
        assert!(!probe.required(), "a service that does not run degrades, it does not fail readiness");
        let stop = CancellationToken::new();
        let running = tokio::spawn(worker.run(stop.clone(), Duration::from_secs(8)));
        let mut states = Vec::new();
        for wait in [100, 300, 700, 2_000] {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            states.push(probe.check().await);
        }
        stop.cancel();
        let began = Instant::now();
        running.await.unwrap();
        (moody, states, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_panics_fails_or_ends_is_started_again_and_named_while_it_waits() {
        let (moody, states, took) = run_for(Duration::from_secs(1)).await;
        assert_eq!(moody.starts.load(Ordering::SeqCst), 4);
        for (state, word) in states.iter().zip(["panicked", "failed", "ended"]) {
            assert!(matches!(state, ProbeState::Down(reason) if reason.starts_with(word)), "{state:?} {word}");
        }
        assert_eq!(states[3], ProbeState::Up);
        assert_eq!(took, Duration::from_secs(1), "stopping waits for the work at hand");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_does_not_end_is_dropped_when_the_grace_period_is_over() {
        let (_, _, took) = run_for(Duration::from_hours(1)).await;
        assert_eq!(took, Duration::from_secs(8));
    }
}
