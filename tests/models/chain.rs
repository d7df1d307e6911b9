//! The rules of the chain, on models that fail as they are told and on time that passes by itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket::application::models::{Answered, ChainSettings, InVain, Metered, ModelChain, Tab};
use docket::application::ports::language_model::{ModelError, ModelEvent, ModelRequest, ModelStream, StopReason};
use docket::application::ports::{Clock, LanguageModel, Randomness};
use docket_domain::budget::Usage;
use docket_domain::job::RetryPolicy;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::time::Instant;
use uuid::Uuid;

use crate::world::{Read, read, request};

/// What a model does when it is asked.
#[derive(Debug, Clone)]
enum Turn {
    Answers,
    Refuses(ModelError),
    Hangs,
    /// Accepts the request, then fails before any text.
    BreaksBeforeText(ModelError),
    /// The same after a report of 7 tokens of input.
    BreaksAfterReport(ModelError),
    BreaksAfterText(ModelError),
    /// Accepts the request and says nothing.
    IsSilent,
    /// Sends one text and nothing more.
    StopsAfterText,
}

const REPORT: Usage = Usage { input_tokens: 7, cache_read_tokens: 0, cache_write_tokens: 0, output_tokens: 0 };

struct Actor {
    name: &'static str,
    turns: Mutex<VecDeque<Turn>>,
    asked: Mutex<Vec<Instant>>,
}

impl Actor {
    /// Takes these turns, the last one for ever.
    fn new(name: &'static str, turns: &[Turn]) -> Arc<Self> {
        Arc::new(Self { name, turns: Mutex::new(turns.iter().cloned().collect()), asked: Mutex::default() })
    }

    fn asked(&self) -> usize {
        self.asked.lock().len()
    }

    fn then(&self, turns: &[Turn]) {
        *self.turns.lock() = turns.iter().cloned().collect();
    }
}

#[async_trait]
impl LanguageModel for Actor {
    fn provider(&self) -> &str {
        self.name
    }

    fn model(&self) -> &'static str {
        "model"
    }

    fn input_tokens_at_most(&self, _: &ModelRequest) -> u64 {
        10
    }

    async fn stream(&self, _: &ModelRequest) -> Result<ModelStream, ModelError> {
        self.asked.lock().push(Instant::now());
        let turn = {
            let mut turns = self.turns.lock();
            if turns.len() > 1 { turns.pop_front().unwrap() } else { turns[0].clone() }
        };
        let text = Ok(ModelEvent::Text(self.name.to_owned()));
        Ok(match turn {
            Turn::Answers => stream::iter([text, Ok(ModelEvent::End(StopReason::Complete))]).boxed(),
            Turn::Refuses(error) => return Err(error),
            Turn::Hangs => std::future::pending().await,
            Turn::BreaksBeforeText(error) => stream::iter([Err(error)]).boxed(),
            Turn::BreaksAfterReport(error) => stream::iter([Ok(ModelEvent::Usage(REPORT)), Err(error)]).boxed(),
            Turn::IsSilent => stream::pending().boxed(),
            Turn::BreaksAfterText(error) => stream::iter([text, Err(error)]).boxed(),
            Turn::StopsAfterText => stream::iter([text]).chain(stream::pending()).boxed(),
        })
    }
}

/// Follows the time of the runtime, which the tests stop.
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> OffsetDateTime {
        datetime!(2026-11-21 10:00 UTC) + self.0.elapsed()
    }

    fn new_id(&self) -> Uuid {
        Uuid::nil()
    }
}

/// The longest jitter.
struct Most;

impl Randomness for Most {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(u8::MAX);
    }
}

fn chain(actors: &[&Arc<Actor>]) -> ModelChain {
    let models = actors.iter().map(|actor| (*actor).clone() as Arc<dyn LanguageModel>).collect();
    let retry = RetryPolicy { max_attempts: 3, base: Duration::from_millis(100), cap: Duration::from_secs(2) };
    ModelChain::new(models, ChainSettings { retry }, Arc::new(RuntimeClock(Instant::now())), Arc::new(Most))
}

async fn ask(chain: &ModelChain, seconds: u64) -> Result<(Read, Answered), ModelError> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let (stream, answered) = chain.stream(&request(), deadline, &Tab::default()).await?;
    Ok((read(stream).await, answered))
}

async fn answered(chain: &ModelChain) -> (String, u16) {
    let (read, answered) = ask(chain, 60).await.unwrap();
    assert_eq!((read.end, &read.text), (Ok(StopReason::Complete), &answered.provider));
    (answered.provider, answered.attempts)
}

fn unavailable() -> ModelError {
    ModelError::Unavailable("broken".to_owned())
}

fn limited(seconds: u64) -> ModelError {
    ModelError::RateLimited { retry_after: Some(Duration::from_secs(seconds)) }
}

#[tokio::test(start_paused = true)]
async fn the_first_that_answers_is_heard_and_the_others_are_not_asked() {
    let (first, second) = (Actor::new("first", &[Turn::Answers]), Actor::new("second", &[Turn::Answers]));
    assert_eq!(answered(&chain(&[&first, &second])).await, ("first".to_owned(), 1));
    assert_eq!(second.asked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_first_text_is_repeated_and_then_sent_elsewhere() {
    for turn in [Turn::Refuses(unavailable()), Turn::BreaksBeforeText(unavailable())] {
        let (first, second) = (Actor::new("first", &[turn]), Actor::new("second", &[Turn::Answers]));
        assert_eq!(answered(&chain(&[&first, &second])).await, ("second".to_owned(), 4));
        let asked = first.asked.lock().clone();
        let waits: Vec<_> = asked.windows(2).map(|pair| (pair[1] - pair[0]).as_millis().div_ceil(10)).collect();
        assert_eq!(waits, [10, 20], "full jitter: up to a tenth of a second, then up to two");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_once_text_was_sent() {
    let first = Actor::new("first", &[Turn::BreaksAfterText(unavailable())]);
    let second = Actor::new("second", &[Turn::Answers]);
    let (read, answered) = ask(&chain(&[&first, &second]), 60).await.unwrap();
    assert_eq!((read.text.as_str(), read.end, answered.attempts), ("first", Err(unavailable()), 1));
    assert_eq!((first.asked(), second.asked()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_repeated_but_another_provider_may_take_the_request() {
    let refused = ModelError::Refused("no such model".to_owned());
    let (first, second) =
        (Actor::new("first", &[Turn::Refuses(refused.clone())]), Actor::new("second", &[Turn::Answers]));
    assert_eq!(answered(&chain(&[&first, &second])).await, ("second".to_owned(), 2));
    assert_eq!(ask(&chain(&[&first]), 60).await.unwrap_err(), refused);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_takes_only_its_share_of_the_time() {
    let (first, second) = (Actor::new("first", &[Turn::Hangs]), Actor::new("second", &[Turn::Answers]));
    let began = Instant::now();
    assert_eq!(answered(&chain(&[&first, &second])).await, ("second".to_owned(), 2));
    assert_eq!(began.elapsed().as_secs(), 30, "half of the minute");
    let (third, fourth) = (Actor::new("third", &[Turn::Hangs]), Actor::new("fourth", &[Turn::Hangs]));
    let began = Instant::now();
    assert_eq!(ask(&chain(&[&third, &fourth]), 60).await.unwrap_err(), ModelError::TimedOut("no first token"));
    assert_eq!(began.elapsed().as_secs(), 60, "the deadline is kept");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_finished_by_the_deadline_is_ended() {
    let first = Actor::new("first", &[Turn::StopsAfterText]);
    let began = Instant::now();
    let (read, _) = ask(&chain(&[&first]), 20).await.unwrap();
    assert_eq!((read.text.as_str(), read.end), ("first", Err(ModelError::TimedOut("the whole answer"))));
    assert_eq!(began.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_in_vain_is_on_the_tab_and_what_was_never_accepted_is_not() {
    let refused = ModelError::Refused("no".to_owned());
    for (turn, owed) in [
        (Turn::BreaksBeforeText(unavailable()), Some(10)),
        (Turn::BreaksAfterReport(unavailable()), Some(7)),
        (Turn::BreaksAfterReport(refused.clone()), Some(7)),
        (Turn::BreaksBeforeText(refused), None),
        (Turn::BreaksBeforeText(limited(1)), None),
        (Turn::Refuses(unavailable()), None),
        (Turn::IsSilent, Some(10)),
        (Turn::Hangs, None),
        (Turn::BreaksAfterText(unavailable()), None),
        (Turn::Answers, None),
    ] {
        let (first, second) =
            (Actor::new("first", std::slice::from_ref(&turn)), Actor::new("second", &[Turn::Answers]));
        let tab = Tab::default();
        let deadline = Instant::now() + Duration::from_mins(1);
        let (_, answered) = chain(&[&first, &second]).stream(&request(), deadline, &tab).await.unwrap();
        let in_vain = first.asked() - usize::from(answered.provider == "first");
        let expected = owed.map(|input_tokens| InVain {
            provider: "first".to_owned(),
            model: "model".to_owned(),
            metered: Metered { usage: Usage { input_tokens, ..Usage::default() }, estimated: true },
        });
        assert_eq!(tab.read(), vec![expected; in_vain].into_iter().flatten().collect::<Vec<_>>(), "{turn:?}");
    }
    // Given up by whoever asked.
    let (silent, tab, request) = (Actor::new("silent", &[Turn::IsSilent]), Tab::default(), request());
    let alone = chain(&[&silent]);
    let asking = alone.stream(&request, Instant::now() + Duration::from_mins(1), &tab);
    assert!(tokio::time::timeout(Duration::from_secs(1), asking).await.is_err());
    assert_eq!(tab.read().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_was_asked_for_is_kept_if_the_deadline_allows_it() {
    let first = Actor::new("first", &[Turn::Refuses(limited(7)), Turn::Answers]);
    let began = Instant::now();
    let alone = chain(&[&first]);
    assert_eq!(answered(&alone).await, ("first".to_owned(), 2));
    assert_eq!(began.elapsed().as_secs(), 7);
    let patient = Actor::new("patient", &[Turn::Refuses(limited(90))]);
    let began = Instant::now();
    let alone = chain(&[&patient]);
    assert_eq!(ask(&alone, 60).await.unwrap_err(), limited(90));
    assert!(began.elapsed() < Duration::from_secs(1), "a wait beyond the deadline is not begun");
    patient.then(&[Turn::Answers]);
    assert!(ask(&alone, 60).await.is_err(), "it asked to be left alone, by all requests");
    assert_eq!(patient.asked(), 1);
    let (read, waited) = ask(&alone, 120).await.unwrap();
    assert_eq!((read.end, waited.attempts), (Ok(StopReason::Complete), 1), "one with more time waits for it");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_asked_to_wait_is_passed_over_meanwhile() {
    let (first, second) = (Actor::new("first", &[Turn::Refuses(limited(30))]), Actor::new("second", &[Turn::Answers]));
    let both = chain(&[&first, &second]);
    assert_eq!(answered(&both).await, ("second".to_owned(), 2));
    assert_eq!(answered(&both).await, ("second".to_owned(), 1));
    first.then(&[Turn::Answers]);
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(answered(&both).await, ("first".to_owned(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_keeps_failing_is_left_alone_then_probed_by_one_request() {
    let (first, second) = (Actor::new("first", &[Turn::Hangs]), Actor::new("second", &[Turn::Answers]));
    let both = chain(&[&first, &second]);
    for _ in 0..5 {
        ask(&both, 4).await.unwrap();
    }
    assert_eq!(first.asked(), 5);
    let began = Instant::now();
    assert_eq!(answered(&both).await, ("second".to_owned(), 1));
    assert_eq!((first.asked(), began.elapsed().as_secs()), (5, 0), "nobody waits for it any more");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (one, other) = tokio::join!(ask(&both, 4), ask(&both, 4));
    assert_eq!((first.asked(), one.is_ok(), other.is_ok()), (6, true, true), "one of two asks it");
    first.then(&[Turn::Answers]);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(answered(&both).await.0, "first");
    assert_eq!(answered(&both).await.0, "first");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_after_text_counts_against_the_provider_too() {
    let first = Actor::new("first", &[Turn::BreaksAfterText(unavailable())]);
    let second = Actor::new("second", &[Turn::Answers]);
    let both = chain(&[&first, &second]);
    for _ in 0..5 {
        assert!(ask(&both, 4).await.unwrap().0.end.is_err());
    }
    assert_eq!(answered(&both).await, ("second".to_owned(), 1));
}

#[tokio::test(start_paused = true)]
async fn retries_stay_within_a_tenth_of_the_requests_and_two() {
    let turns: Vec<Turn> =
        (0..400).map(|n| if n % 2 == 0 { Turn::Refuses(unavailable()) } else { Turn::Answers }).collect();
    let (first, second) = (Actor::new("first", &turns), Actor::new("second", &[Turn::Answers]));
    let both = chain(&[&first, &second]);
    for _ in 0..200 {
        answered(&both).await;
    }
    assert!((201..=222).contains(&first.asked()), "{} requests for 200 answers", first.asked());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_away_says_nothing_about_the_provider() {
    let first = Actor::new("first", &[Turn::StopsAfterText]);
    let alone = chain(&[&first]);
    for _ in 0..20 {
        let deadline = Instant::now() + Duration::from_mins(1);
        drop(alone.stream(&request(), deadline, &Tab::default()).await.unwrap());
    }
    assert_eq!(first.asked(), 20);
    first.then(&[Turn::Hangs]);
    for _ in 0..20 {
        let deadline = Instant::now() + Duration::from_mins(1);
        let request = request();
        let tab = Tab::default();
        let asking = alone.stream(&request, deadline, &tab);
        assert!(tokio::time::timeout(Duration::from_millis(1), asking).await.is_err());
    }
    first.then(&[Turn::Answers]);
    assert_eq!(answered(&alone).await, ("first".to_owned(), 1));
}
