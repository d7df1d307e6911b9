//! The guards around the company register, on a register that does what the test says.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use docket::adapters::system::SystemRandomness;
use docket::application::enrichment::guarded_register::{GuardedRegister, RegisterLimits};
use docket::application::ports::CompanyRegister;
use docket::application::ports::company_register::RegisterError;
use docket_domain::case::{Company, CompanyStatus};
use docket_domain::job::RetryPolicy;
use docket_domain::resilience::breaker::{FIRST_PAUSE, THRESHOLD};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::fakes::FrozenClock;

type Answer = Result<Option<Company>, RegisterError>;

/// Answers in turn what it was told, then knows everybody; each question waits for its turn at the gate.
struct Puppet {
    answers: Mutex<Vec<Answer>>,
    gate: Semaphore,
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Puppet {
    /// One whose gate lets so many questions pass.
    fn with_gate(open: usize) -> Arc<Self> {
        let (answers, gate) = (Mutex::default(), Semaphore::new(open));
        let (asked, at_once, most_at_once) = Default::default();
        Arc::new(Self { answers, gate, asked, at_once, most_at_once })
    }

    fn says(self: Arc<Self>, answers: Vec<Answer>) -> Arc<Self> {
        *self.answers.lock() = answers;
        self
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until it was asked so often, and a while longer for a question too many.
    async fn was_asked(&self, times: usize) {
        let began = Instant::now();
        while self.asked() < times && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(self.asked(), times);
    }
}

#[async_trait]
impl CompanyRegister for Puppet {
    async fn look_up(&self, name: &str) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        let mut answers = self.answers.lock();
        if answers.is_empty() { Ok(Company::new("7", name, CompanyStatus::Active, "").ok()) } else { answers.remove(0) }
    }
}

struct Site {
    register: Arc<GuardedRegister>,
    clock: Arc<FrozenClock>,
}

fn site(puppet: &Arc<Puppet>, concurrency: usize, per_second: u32, max_attempts: u32) -> Site {
    let clock = Arc::new(FrozenClock::new());
    let tries = RetryPolicy { max_attempts, base: Duration::from_millis(1), cap: Duration::from_millis(2) };
    let limits = RegisterLimits { concurrency, per_second: NonZeroU32::new(per_second).unwrap(), tries };
    let register = GuardedRegister::new(puppet.clone(), clock.clone(), Arc::new(SystemRandomness), limits);
    Site { register: Arc::new(register), clock }
}

fn down() -> Answer {
    Err(RegisterError::unavailable("is down"))
}

/// So many questions at once, each in a task of its own.
fn ask(site: &Site, questions: usize) -> JoinSet<Answer> {
    let mut tasks = JoinSet::new();
    for number in 0..questions {
        let register = site.register.clone();
        tasks.spawn(async move { register.look_up(&format!("Company {number}")).await });
    }
    tasks
}

/// A site whose breaker was opened by failures and whose pause is over.
async fn half_open(puppet: &Arc<Puppet>) -> Site {
    let site = site(puppet, 20, 100_000, 1);
    puppet.gate.add_permits(THRESHOLD as usize);
    for _ in 0..THRESHOLD {
        assert_eq!(site.register.look_up("Northgate").await, down());
    }
    let refused = site.register.look_up("Northgate").await.unwrap_err();
    let RegisterError::Unavailable { retry_after, .. } = refused else { panic!("{refused}") };
    assert_eq!(retry_after, Duration::try_from(FIRST_PAUSE).ok(), "an open breaker says for how long");
    assert_eq!((puppet.asked(), site.register.is_down()), (THRESHOLD as usize, true), "nobody was asked");
    site.clock.advance(FIRST_PAUSE);
    site
}

#[tokio::test]
async fn no_more_questions_are_asked_at_once_than_allowed() {
    let puppet = Puppet::with_gate(0);
    let site = site(&puppet, 3, 100_000, 1);
    let tasks = ask(&site, 12);
    puppet.was_asked(3).await;
    puppet.gate.add_permits(12);
    assert!(tasks.join_all().await.iter().all(|answer| matches!(answer, Ok(Some(_)))));
    assert_eq!((puppet.asked(), puppet.most_at_once.load(Ordering::SeqCst)), (12, 3));
}

#[tokio::test]
async fn no_more_questions_are_asked_in_a_second_than_allowed() {
    let puppet = Puppet::with_gate(100);
    let (site, began) = (site(&puppet, 20, 10, 1), Instant::now());
    assert!(ask(&site, 15).join_all().await.iter().all(Result::is_ok));
    // Ten at once, and each further one a tenth of a second later.
    assert!(began.elapsed() >= Duration::from_millis(490), "{:?}", began.elapsed());
    assert_eq!(puppet.asked(), 15);
}

#[tokio::test]
async fn after_a_pause_one_question_alone_finds_out_whether_the_register_is_back() {
    let failures = THRESHOLD as usize;
    let puppet = Puppet::with_gate(0).says(vec![down(); failures]);
    let site = half_open(&puppet).await;
    let tasks = ask(&site, 8);
    puppet.was_asked(failures + 1).await;
    puppet.gate.add_permits(8);
    assert!(tasks.join_all().await.iter().all(|answer| matches!(answer, Ok(Some(_)))), "it is back for all");
    assert_eq!((puppet.asked(), site.register.is_down()), (failures + 8, false));
}

#[tokio::test]
async fn when_the_one_question_fails_all_that_waited_for_it_are_refused_unasked() {
    let failures = THRESHOLD as usize;
    let puppet = Puppet::with_gate(0).says(vec![down(); failures + 1]);
    let site = half_open(&puppet).await;
    let tasks = ask(&site, 8);
    puppet.was_asked(failures + 1).await;
    puppet.gate.add_permits(8);
    assert!(tasks.join_all().await.iter().all(Result::is_err));
    assert_eq!((puppet.asked(), site.register.is_down()), (failures + 1, true));
    site.clock.advance(FIRST_PAUSE);
    assert!(site.register.look_up("Northgate").await.is_err(), "the second pause is longer");
    assert_eq!(puppet.asked(), failures + 1);
}

#[tokio::test]
async fn a_probe_that_is_given_up_makes_way_for_the_next() {
    let failures = THRESHOLD as usize;
    let puppet = Puppet::with_gate(0).says(vec![down(); failures]);
    let site = half_open(&puppet).await;
    let mut given_up = ask(&site, 1);
    puppet.was_asked(failures + 1).await;
    let waiting = ask(&site, 1);
    given_up.shutdown().await;
    puppet.gate.add_permits(1);
    assert!(matches!(waiting.join_all().await[0], Ok(Some(_))));
    assert_eq!(puppet.asked(), failures + 2);
}

#[tokio::test]
async fn trouble_is_tried_again_a_few_times_and_a_refusal_or_a_wish_to_be_left_alone_is_not() {
    let wish = Err(RegisterError::Unavailable { reason: "is busy".into(), retry_after: Some(Duration::from_secs(9)) });
    let garbage = Err(RegisterError::Garbage("answers in verse".into()));
    let cases = [
        (vec![down(), garbage.clone()], 3, None),
        (vec![garbage.clone(), down(), garbage.clone()], 3, Some(garbage)),
        (vec![wish.clone()], 1, Some(wish)),
        (vec![Err(RegisterError::Refused(403))], 1, Some(Err(RegisterError::Refused(403)))),
    ];
    for (answers, asked, ending) in cases {
        let puppet = Puppet::with_gate(100).says(answers);
        let site = site(&puppet, 1, 100_000, 3);
        let answer = site.register.look_up("Northgate").await;
        match ending {
            None => assert!(matches!(&answer, Ok(Some(company)) if company.name == "Northgate"), "{answer:?}"),
            Some(ending) => assert_eq!(answer, ending),
        }
        assert_eq!((puppet.asked(), site.register.is_down()), (asked, false));
    }
}
