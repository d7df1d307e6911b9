//! R10: a deterministic simulation of lanes, leases, retries and breakers under a virtual clock.
//!
//! Workers claim, send, crash, freeze past their lease and come back; the receiver has outages and poisoned events. Whatever
//! the seed: nothing is lost, no case is reordered, a late report changes nothing, and only poison is given up.
//! `DOCKET_SIMULATION_SEEDS` says how many seeds (1,000 by default, 10,000 in the long form).

use std::collections::BTreeMap;

use docket_domain::outbox::{Breaker, BreakerState, Failure, Lane, LaneState, Schedule, Settled, Verdict, judge};
use time::{Duration, OffsetDateTime};

const LEASE: Duration = Duration::seconds(60);

/// `SplitMix64`: a seed repeats the run exactly.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A send on its way: which lane, which head, under which token, and when its report arrives; none if the worker died.
struct Send {
    case: usize,
    head: u64,
    token: u64,
    reports_at: Option<OffsetDateTime>,
    failure: Option<Failure>,
    /// Whether the receiver had taken another event since the lane failed before.
    took_another: bool,
}

struct World {
    random: Random,
    now: OffsetDateTime,
    lanes: Vec<Lane>,
    emitted: Vec<u64>,
    /// What the receiver saw, by case, in order.
    seen: BTreeMap<usize, Vec<u64>>,
    poison: Vec<(usize, u64)>,
    given_up: Vec<(usize, u64)>,
    on_the_way: Vec<Send>,
    breaker: Breaker,
    tokens: u64,
    outage_until: OffsetDateTime,
    /// When it was last noted that the receiver took an event.
    taken_at: Option<OffsetDateTime>,
}

impl World {
    fn new(seed: u64) -> Self {
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut random = Random(seed);
        let cases = 2 + usize::try_from(random.below(5)).expect("small");
        let poison = (0..random.below(3)).map(|_| (0, 1 + random.below(5))).collect();
        Self {
            lanes: vec![Lane::empty(now); cases],
            emitted: vec![0; cases],
            seen: BTreeMap::new(),
            poison,
            given_up: Vec::new(),
            on_the_way: Vec::new(),
            breaker: Breaker::default(),
            tokens: 0,
            outage_until: now,
            taken_at: None,
            random,
            now,
        }
    }

    fn emit(&mut self) {
        let cases = self.lanes.len() as u64;
        let case = usize::try_from(self.random.below(cases)).expect("small");
        self.emitted[case] += 1;
        self.lanes[case].enqueue(self.emitted[case]);
    }

    fn claim_and_send(&mut self) {
        let room = match self.breaker.state(self.now) {
            BreakerState::Closed => 4,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => return,
        };
        let mut due: Vec<usize> = (0..self.lanes.len()).collect();
        due.sort_by_key(|case| self.lanes[*case].due_at);
        let mut claimed = 0;
        for case in due {
            self.tokens += 1;
            let Some(head) = self.lanes[case].claim(self.tokens, self.now, LEASE) else { continue };
            claimed += 1;
            self.send(case, head);
            if claimed == room {
                break;
            }
        }
    }

    fn send(&mut self, case: usize, head: u64) {
        let down = self.now < self.outage_until;
        let failure = if down {
            Some(Failure::Outage { retry_after: None })
        } else if self.poison.contains(&(case, head)) {
            Some(Failure::Rejected { retry_after: None })
        } else {
            self.seen.entry(case).or_default().push(head);
            None
        };
        let failed_at = self.lanes[case].failed_at;
        let took_another = failed_at.is_some_and(|failed| self.taken_at.is_some_and(|taken| taken > failed));
        // One in eight workers dies before it reports; one in eight freezes past its lease and reports too late.
        let reports_at = match self.random.below(8) {
            0 => None,
            1 => Some(self.now + LEASE * 2),
            _ => Some(self.now + Duration::milliseconds(i64::try_from(self.random.below(5_000)).expect("small"))),
        };
        self.on_the_way.push(Send { case, head, token: self.tokens, reports_at, failure, took_another });
        // One in twenty is told to stop and hands its lane back, whether or not the event arrived.
        if self.random.below(20) == 0 {
            let (now, token) = (self.now, self.tokens);
            assert_eq!(self.lanes[case].hand_back(token, now), Settled::Accepted);
            assert_eq!(self.lanes[case].hand_back(token, now), Settled::Fenced, "it was handed back already");
        }
    }

    fn report(&mut self) {
        let now = self.now;
        let (ready, waiting) = std::mem::take(&mut self.on_the_way)
            .into_iter()
            .partition(|send: &Send| send.reports_at.is_some_and(|at| at <= now));
        self.on_the_way = waiting;
        let ready: Vec<Send> = ready;
        for send in ready {
            match send.failure {
                Some(Failure::Outage { .. }) => self.breaker.failed(now),
                _ => self.breaker.answered(),
            }
            if send.failure.is_none() {
                self.taken_at = Some(now);
            }
            let before = self.lanes[send.case].clone();
            let lane = &mut self.lanes[send.case];
            let settled = match send.failure {
                None => lane.delivered(send.token, send.head, now),
                Some(failure) => {
                    let verdict = judge(lane.attempts, failure, send.took_another, Schedule::WEBHOOK, 0.5);
                    if matches!(verdict, Verdict::Dead { .. }) && lane.token == Some(send.token) {
                        self.given_up.push((send.case, send.head));
                    }
                    lane.failed(send.token, verdict, now)
                }
            };
            if settled == Settled::Fenced {
                assert_eq!(self.lanes[send.case], before, "a late report changed something");
            }
        }
    }

    fn run(&mut self) {
        let mut to_emit = 5 + self.random.below(30);
        for _ in 0..20_000 {
            if to_emit > 0 && self.random.below(3) == 0 {
                self.emit();
                to_emit -= 1;
            }
            if self.random.below(200) == 0 {
                // Minutes, or days: longer than the whole ladder of attempts.
                let longest = if self.random.below(4) == 0 { 5_000 } else { 90 };
                self.outage_until =
                    self.now + Duration::minutes(i64::try_from(self.random.below(longest)).expect("small"));
            }
            if self.random.below(100) == 0 {
                // A process that starts again knows nothing of the receiver's health.
                self.breaker = Breaker::default();
            }
            self.report();
            self.claim_and_send();
            let idle = to_emit == 0 && self.on_the_way.is_empty();
            if idle && self.lanes.iter().all(|lane| lane.pending.is_empty() || lane.state == LaneState::Dead) {
                return;
            }
            // Steps from milliseconds to an hour, so that retries, leases and outages interleave.
            let scale = [50, 1_000, 10_000, 600_000][usize::try_from(self.random.below(4)).expect("small")];
            self.now += Duration::milliseconds(i64::try_from(1 + self.random.below(scale)).expect("small"));
            self.on_the_way.retain(|send| send.reports_at.is_some() || self.lanes[send.case].token == Some(send.token));
            self.on_the_way.retain(|send| send.reports_at.is_some());
        }
        panic!("not finished after 20,000 steps");
    }

    fn check(&self) {
        for (case, lane) in self.lanes.iter().enumerate() {
            let empty = Vec::new();
            let seen = self.seen.get(&case).unwrap_or(&empty);
            let mut first = seen.clone();
            first.dedup();
            let parked_at = lane.pending.first().copied().unwrap_or(self.emitted[case] + 1);
            let expected: Vec<u64> = (1..parked_at).collect();
            assert!(seen.is_sorted(), "case {case} was reordered: {seen:?}");
            assert_eq!(first, expected, "case {case}: delivered is not what was emitted up to the parked event");
            assert_eq!(lane.pending.is_empty(), lane.state == LaneState::Ready, "only a dead lane keeps events");
        }
        for dead in &self.given_up {
            assert!(self.poison.contains(dead), "{dead:?} was given up although nothing was wrong with it");
        }
    }
}

#[test]
fn whatever_the_seed_nothing_is_lost_reordered_or_given_up_without_cause() {
    let seeds = std::env::var("DOCKET_SIMULATION_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000);
    for seed in 0..seeds {
        let outcome = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            world.run();
            world.check();
        });
        assert!(outcome.is_ok(), "seed {seed} failed");
    }
}
