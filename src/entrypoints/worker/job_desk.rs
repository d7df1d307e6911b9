//! The jobs in a worker's hands: fetched, running, and how many more may be fetched of each kind.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use docket_domain::ids::JobId;
use docket_domain::job::JobLease;
use docket_domain::job::low_water::{LowWater, Scan};
use docket_domain::job::window::Pace;
use tokio_util::sync::CancellationToken;

use crate::application::jobs::{JobHandler, Registry};
use crate::application::ports::job_queue::{ClaimSlot, ClaimedJob, LANES};
use crate::telemetry::jobs::JOBS_HELD;

/// What is in hand of one kind.
struct KindDesk {
    kind: &'static str,
    handler: Arc<dyn JobHandler>,
    concurrency: usize,
    /// Fetched, not begun.
    waiting: VecDeque<ClaimedJob>,
    running: usize,
    /// Fetched, running, or ended without the database knowing yet.
    held: usize,
    pace: Pace,
    /// Whether the last claim brought all that it asked for, so that more is likely there.
    more: bool,
}

/// A job that the database says is ours.
struct Held {
    desk: usize,
    lease: JobLease,
    cancelled: CancellationToken,
    cancel_requested: bool,
}

/// A job that is to be begun.
pub struct Start {
    /// Which kind; given back when it ends.
    pub desk: usize,
    /// Its handler.
    pub handler: Arc<dyn JobHandler>,
    /// The job.
    pub job: ClaimedJob,
    /// Cancelled when it should end early.
    pub cancelled: CancellationToken,
}

/// All of it. Bounded: never more than `window` jobs are held, whatever waits in the database.
pub struct Desk {
    kinds: Vec<KindDesk>,
    places: HashMap<&'static str, usize>,
    held: HashMap<JobId, Held>,
    window: usize,
}

impl Desk {
    /// An empty desk for these kinds.
    pub fn new(registry: &Registry, window: usize) -> Self {
        let kinds: Vec<_> = registry
            .iter()
            .map(|handler| {
                let spec = handler.spec();
                KindDesk {
                    kind: spec.kind,
                    handler: handler.clone(),
                    concurrency: spec.concurrency.max(1),
                    waiting: VecDeque::new(),
                    running: 0,
                    held: 0,
                    // No kind fills the desk alone.
                    pace: Pace::new(spec.concurrency.max(1), window / 2),
                    more: false,
                }
            })
            .collect();
        let places = kinds.iter().enumerate().map(|(place, desk)| (desk.kind, place)).collect();
        Self { kinds, places, held: HashMap::new(), window }
    }

    /// What to claim now: of every kind that has room (`all`), or of those that likely have more and half of whose room is
    /// free. Nothing when the desk is full.
    pub fn slots(&self, all: bool, marks: &LowWater, scan: Scan) -> Vec<ClaimSlot> {
        let mut left = self.window.saturating_sub(self.held.len());
        let mut slots = Vec::new();
        for desk in &self.kinds {
            let window = desk.pace.window();
            let room = window.saturating_sub(desk.held).min(left);
            if room == 0 || !(all || (desk.more && room * 2 >= window)) {
                continue;
            }
            left -= room;
            let mut lane = 0;
            let from = [(); LANES].map(|()| {
                lane += 1;
                marks.from(desk.kind, lane - 1, scan)
            });
            slots.push(ClaimSlot { kind: desk.kind, wanted: u32::try_from(room).unwrap_or(u32::MAX), from });
        }
        slots
    }

    /// Takes in what a claim brought.
    pub fn take(&mut self, slots: &[ClaimSlot], jobs: Vec<ClaimedJob>, marks: &mut LowWater) {
        let mut brought: HashMap<usize, u32> = HashMap::new();
        for job in jobs {
            let Some(place) = self.places.get(job.kind.as_str()).copied() else { continue };
            let desk = &mut self.kinds[place];
            marks.given(desk.kind, job.lane, (job.run_at, job.lease.job_id.0));
            *brought.entry(place).or_default() += 1;
            desk.held += 1;
            let (lease, cancelled) = (job.lease, CancellationToken::new());
            let held = Held { desk: place, lease, cancelled, cancel_requested: false };
            desk.waiting.push_back(job);
            // Its end under the lease before is written, and we are about to hear of it.
            if let Some(before) = self.held.insert(lease.job_id, held) {
                self.kinds[before.desk].held -= 1;
            }
        }
        for slot in slots {
            if let Some(place) = self.places.get(slot.kind).copied() {
                self.kinds[place].more = brought.get(&place).is_some_and(|count| *count >= slot.wanted);
            }
        }
    }

    /// The next job that may begin, if there is one.
    pub fn start_next(&mut self) -> Option<Start> {
        for (place, desk) in self.kinds.iter_mut().enumerate() {
            if desk.running >= desk.concurrency {
                continue;
            }
            let Some(job) = desk.waiting.pop_front() else { continue };
            desk.running += 1;
            let cancelled = self.held.get(&job.lease.job_id).map(|held| held.cancelled.clone()).unwrap_or_default();
            return Some(Start { desk: place, handler: desk.handler.clone(), job, cancelled });
        }
        None
    }

    /// An attempt ended; the job stays in hand until the database knows.
    pub fn ended(&mut self, desk: usize, took: Duration) -> &'static str {
        let desk = &mut self.kinds[desk];
        desk.running -= 1;
        desk.pace.observe(took);
        desk.kind
    }

    /// Whether somebody asked for the end of this job.
    pub fn was_cancelled(&self, lease: JobLease) -> bool {
        self.held.get(&lease.job_id).is_some_and(|held| held.cancel_requested)
    }

    /// The database knows: the job is out of our hands. A job that we have under another lease by now stays.
    pub fn release(&mut self, lease: JobLease) {
        if self.held.get(&lease.job_id).is_some_and(|held| held.lease == lease)
            && let Some(held) = self.held.remove(&lease.job_id)
        {
            self.kinds[held.desk].held -= 1;
        }
    }

    /// Everything in hand.
    pub fn leases(&self) -> Vec<JobLease> {
        self.held.values().map(|held| held.lease).collect()
    }

    /// Somebody wants these ended; those that were not begun are given to the caller to be ended now.
    pub fn cancel(&mut self, leases: &[JobLease]) -> Vec<JobLease> {
        let mut unbegun = Vec::new();
        for lease in leases {
            let Some(held) = self.held.get_mut(&lease.job_id).filter(|held| held.lease == *lease) else { continue };
            held.cancel_requested = true;
            held.cancelled.cancel();
            let desk = &mut self.kinds[held.desk];
            if let Some(at) = desk.waiting.iter().position(|job| job.lease == *lease) {
                desk.waiting.remove(at);
                unbegun.push(*lease);
            }
        }
        unbegun
    }

    /// Tells every running job to end early.
    pub fn cancel_all(&self) {
        self.held.values().for_each(|held| held.cancelled.cancel());
    }

    /// Drops what was not begun: it is handed back with the worker's lease.
    pub fn drop_waiting(&mut self) {
        for desk in &mut self.kinds {
            for job in std::mem::take(&mut desk.waiting) {
                self.held.remove(&job.lease.job_id);
                desk.held -= 1;
            }
        }
    }

    /// Whether more jobs are about to begin, and so to end.
    pub fn has_unbegun(&self) -> bool {
        self.kinds.iter().any(|desk| !desk.waiting.is_empty())
    }

    /// How many run now.
    pub fn running(&self) -> usize {
        self.kinds.iter().map(|desk| desk.running).sum()
    }

    /// Shows what is in hand.
    #[allow(clippy::cast_precision_loss, reason = "a gauge of some thousands at most")]
    pub fn show(&self) {
        for desk in &self.kinds {
            metrics::gauge!(JOBS_HELD, "kind" => desk.kind).set(desk.held as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

    use async_trait::async_trait;
    use docket_domain::ids::{PrincipalId, TenantId};
    use docket_domain::job::low_water::BEGINNING;
    use serde_json::Value;
    use time::OffsetDateTime;
    use uuid::Uuid;

    use super::*;
    use crate::application::jobs::{JobContext, JobError, KindSpec, Outcome};

    const WINDOW: usize = 20;

    /// A kind of which so many run at once.
    struct Kind(&'static str, usize);

    #[async_trait]
    impl JobHandler for Kind {
        fn spec(&self) -> KindSpec {
            KindSpec { concurrency: self.1, ..KindSpec::new(self.0, "Is counted.") }
        }

        async fn run(&self, _: &JobContext, _: &Value) -> Result<Outcome, JobError> {
            Ok(Outcome::Done)
        }
    }

    fn desk(kinds: &[(&'static str, usize)]) -> Desk {
        let handlers = kinds.iter().map(|(kind, at_once)| Arc::new(Kind(kind, *at_once)) as Arc<dyn JobHandler>);
        Desk::new(&Registry::new(handlers.collect()).unwrap(), WINDOW)
    }

    /// All that was asked for: the database never runs dry.
    fn brought(slots: &[ClaimSlot]) -> Vec<ClaimedJob> {
        let job = |kind: &str| ClaimedJob {
            lease: JobLease { tenant_id: TenantId(Uuid::nil()), job_id: JobId(Uuid::now_v7()), token: 1 },
            kind: kind.to_owned(),
            payload: "{}".to_owned(),
            lane: 3,
            run_at: OffsetDateTime::UNIX_EPOCH,
            attempt: 1,
            requested_by: PrincipalId::SYSTEM,
            traceparent: None,
            waited: Duration::ZERO,
        };
        slots.iter().flat_map(|slot| (0..slot.wanted).map(|_| job(slot.kind))).collect()
    }

    /// Claims once; how many jobs that brought.
    fn claim(desk: &mut Desk) -> usize {
        let mut marks = LowWater::default();
        let slots = desk.slots(true, &marks, Scan::Ahead);
        let jobs = brought(&slots);
        let count = jobs.len();
        desk.take(&slots, jobs, &mut marks);
        count
    }

    fn begin_all(desk: &mut Desk) -> Vec<(usize, JobLease)> {
        std::iter::from_fn(|| desk.start_next()).map(|start| (start.desk, start.job.lease)).collect()
    }

    #[test]
    fn never_more_than_the_window_is_held_whatever_waits_and_however_quick_the_jobs_are() {
        let mut desk = desk(&[("first", 4), ("second", 4), ("third", 30)]);
        let (mut most, mut ended, mut unknown) = (0, 0, Vec::new());
        for round in 0..300 {
            claim(&mut desk);
            most = most.max(desk.held.len());
            assert!(desk.held.len() <= WINDOW, "{} held in round {round}", desk.held.len());
            for (place, lease) in begin_all(&mut desk) {
                desk.ended(place, Duration::from_micros(50));
                unknown.push(lease);
                ended += 1;
            }
            // The database learns of the ends late, and until then they count as held.
            if round % 3 == 2 {
                unknown.drain(..).for_each(|lease| desk.release(lease));
            }
        }
        assert_eq!(most, WINDOW, "the window is used");
        assert!(ended > 1_000, "{ended}");
        while claim(&mut desk) > 0 {}
        assert_eq!(desk.held.len(), WINDOW);
        assert!(desk.slots(true, &LowWater::default(), Scan::Sweep).is_empty(), "a full desk claims nothing");
    }

    #[test]
    fn no_kind_fills_the_desk_alone_or_runs_more_than_it_allows() {
        let mut desk = desk(&[("quick", 4), ("other", 2)]);
        for _ in 0..50 {
            claim(&mut desk);
            let begun = begin_all(&mut desk);
            assert!(begun.iter().filter(|(place, _)| desk.kinds[*place].kind == "quick").count() <= 4);
            for (place, lease) in begun {
                desk.ended(place, Duration::from_micros(1));
                desk.release(lease);
            }
        }
        while claim(&mut desk) > 0 {}
        assert!(desk.kinds.iter().all(|kind| kind.held <= WINDOW / 2), "half of the desk each");
        assert_eq!(begin_all(&mut desk).len(), 6);
        assert_eq!((desk.running(), desk.start_next().is_none()), (6, true));
    }

    #[test]
    fn a_job_makes_room_when_the_database_knows_its_end_and_not_before() {
        let mut desk = desk(&[("slow", 1)]);
        while claim(&mut desk) > 0 {}
        let held = desk.held.len();
        let (place, running) = begin_all(&mut desk)[0];
        let waiting = desk.kinds[0].waiting[0].lease;
        assert_eq!(desk.cancel(&[running, waiting]), [waiting], "what has begun is only told");
        desk.ended(place, Duration::from_mins(1));
        assert!(desk.was_cancelled(running) && desk.held.len() == held);
        assert_eq!(claim(&mut desk), 0);
        desk.release(running);
        desk.release(running);
        desk.release(waiting);
        assert_eq!((desk.held.len(), desk.kinds[0].held), (held - 2, held - 2), "released once each");
        desk.drop_waiting();
        assert_eq!((desk.held.len(), desk.has_unbegun()), (0, false));
    }

    #[test]
    fn the_end_of_an_older_lease_does_not_release_the_job() {
        let mut desk = desk(&[("slow", 1)]);
        claim(&mut desk);
        let (_, lease) = begin_all(&mut desk)[0];
        let held = desk.held.len();
        let again = JobLease { token: lease.token + 1, ..lease };
        let slot = ClaimSlot { kind: "slow", wanted: 1, from: [BEGINNING; LANES] };
        let mut job = brought(std::slice::from_ref(&slot)).remove(0);
        job.lease = again;
        desk.take(&[slot], vec![job], &mut LowWater::default());
        desk.release(lease);
        assert_eq!((desk.held.len(), desk.kinds[0].held), (held, held), "the job is ours again");
        assert!(desk.leases().contains(&again) && !desk.leases().contains(&lease));
        desk.release(again);
        assert_eq!((desk.held.len(), desk.kinds[0].held), (held - 1, held - 1));
    }
}
