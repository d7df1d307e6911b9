//! The rows of the queue live as the domain says: random histories, played on both, end in the same state.

use std::time::Duration;

use docket::application::ports::job_queue::{JobQueue, Settlement};
use docket::application::ports::job_store::JobStore;
use docket_domain::ids::{JobId, WorkerId};
use docket_domain::job::life::Happening;
use docket_domain::job::{JobLease, JobState, Life};

use crate::bench::Bench;

/// A small generator with a seed (`SplitMix64`), so that a failure can be played again.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// Does to the row what the model is told; whether something happened.
async fn play(bench: &Bench, id: JobId, holder: &mut WorkerId, happening: Happening) -> bool {
    let lease = |token| JobLease { tenant_id: bench.tenant, job_id: id, token };
    let settle = async |token, settlement| bench.queue.settle(&[(lease(token), settlement)]).await.unwrap() == 1;
    match happening {
        Happening::Claimed => bench.claim(*holder, "probe", 1).await.len() == 1,
        Happening::Succeeded { token } => settle(token, Settlement::Succeeded(None)).await,
        Happening::Failed { token } => {
            settle(token, Settlement::Retry { delay: Duration::ZERO, error: "again".into() }).await
        }
        Happening::GivenUp { token } => settle(token, Settlement::Dead { error: "enough".into() }).await,
        Happening::Stopped { token } => settle(token, Settlement::Cancelled).await,
        Happening::HandedBack { token } if token % 2 == 0 => {
            settle(token, Settlement::Postponed { delay: Duration::ZERO, error: "down".into() }).await
        }
        Happening::HandedBack { .. } => {
            let handed = bench.queue.retire(*holder).await.unwrap();
            *holder = bench.worker().await;
            handed == 1
        }
        Happening::LeaseEnded => {
            bench.silence(*holder).await;
            let jobs = bench.queue.reap().await.unwrap();
            *holder = bench.worker().await;
            jobs == 1
        }
        Happening::CancelRequested | Happening::Redriven => unreachable!("acts of people, tested with the API"),
    }
}

#[tokio::test]
async fn random_histories_end_alike_in_the_model_and_in_the_database() {
    let bench = Bench::new().await;
    for seed in 0..25 {
        let mut random = Random(seed);
        let (id, mut life) = (bench.enqueue(bench.job("probe")).await, Life::NEW);
        let mut holder = bench.worker().await;
        for step in 0..12 {
            let token = life.token - i64::try_from(random.next(3) / 2).unwrap();
            let happening = match random.next(9) {
                0..3 => Happening::Claimed,
                3 => Happening::Succeeded { token },
                4 => Happening::Failed { token },
                5 => Happening::GivenUp { token },
                6 => Happening::Stopped { token },
                7 if life.state == JobState::Running => Happening::HandedBack { token: life.token },
                _ => Happening::LeaseEnded,
            };
            let expected = life.after(happening);
            let happened = play(&bench, id, &mut holder, happening).await;
            assert_eq!(happened, expected.is_ok(), "seed {seed}, step {step}: {happening:?} on {life:?}");
            life = expected.unwrap_or(life);
            let job = bench.store.get(bench.tenant, id).await.unwrap().unwrap();
            assert_eq!((job.state, job.attempt), (life.state, life.attempt), "seed {seed}, step {step}: {happening:?}");
        }
        bench.queue.retire(holder).await.unwrap();
        let owner = bench.owner().await;
        sqlx::query("DELETE FROM docket.jobs").execute(&owner).await.unwrap();
        owner.close().await;
    }
}
