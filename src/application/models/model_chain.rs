//! Asks one provider after the other until one answers.
//!
//! A request is repeated or sent elsewhere only before the first text: what a reader has seen is never taken back. Retries at
//! one provider are bounded by its budget, waits by the deadline; a provider that failed several times in a row is left
//! alone, and one that asked to wait is asked again when it said.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use docket_domain::job::RetryPolicy;
use futures::StreamExt;
use tokio::time::{Instant, sleep, timeout_at};
use tracing::Instrument;

use super::call::{Call, WatchedStream};
use super::link::Link;
use super::tab::Tab;
use crate::application::knowledge::answer::AnswerModel;
use crate::application::knowledge::answering::{AskModels, Asked};
use crate::application::ports::language_model::{ModelError, ModelEvent, ModelRequest, ModelStream};
use crate::application::ports::{Clock, LanguageModel, Randomness};

/// How often the chain is gone through: the second time only after a wait for a provider that asked for it.
const ROUNDS: u32 = 2;

/// How the chain tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainSettings {
    /// How a provider is tried again; the budget may forbid it.
    pub retry: RetryPolicy,
}

impl Default for ChainSettings {
    /// One further try at the same provider, within a tenth of a second.
    fn default() -> Self {
        let (base, cap) = (Duration::from_millis(100), Duration::from_secs(2));
        Self { retry: RetryPolicy { max_attempts: 2, base, cap } }
    }
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The provider.
    pub provider: String,
    /// The model; the key of the price table.
    pub model: String,
    /// Requests that were sent for this answer, to whichever provider.
    pub attempts: u16,
}

/// Providers in the order in which they are asked. One for the process: it remembers how each of them is.
#[derive(Clone)]
pub struct ModelChain {
    links: Vec<Arc<Link>>,
    settings: ChainSettings,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

/// One request on its way through the chain.
struct Search<'a> {
    request: &'a ModelRequest,
    deadline: Instant,
    tab: &'a Tab,
    attempts: u16,
    last: Option<ModelError>,
}

impl ModelChain {
    /// A chain of these models.
    pub fn new(
        models: Vec<Arc<dyn LanguageModel>>,
        settings: ChainSettings,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self { links: models.into_iter().map(Link::new).collect(), settings, clock, randomness }
    }

    /// The models in the order in which they are asked.
    pub fn models(&self) -> Vec<Arc<dyn LanguageModel>> {
        self.links.iter().map(|link| link.model.clone()).collect()
    }

    /// Asks. Returns with the first text or the end of an answer without text; every wait, also those for the rest of the
    /// stream, ends by `deadline`. Fails with what the last provider said, when none answered. What was used in vain until
    /// then is on the tab, also when this is dropped.
    pub async fn stream(
        &self,
        request: &ModelRequest,
        deadline: Instant,
        tab: &Tab,
    ) -> Result<(ModelStream, Answered), ModelError> {
        let mut search = Search { request, deadline, tab, attempts: 0, last: None };
        for _ in 0..ROUNDS {
            for (place, link) in self.links.iter().enumerate() {
                if let Some((stream, mut call)) = self.ask_one(place, link, &mut search).await? {
                    if place > 0 {
                        link.asked.fell_back();
                    }
                    call.handed_over();
                    let (provider, model) = (link.asked.provider.clone(), link.asked.model.clone());
                    let answered = Answered { provider, model, attempts: search.attempts };
                    let (head, rest) = stream;
                    return Ok((WatchedStream::new(head, rest, call, deadline).boxed(), answered));
                }
            }
            if !self.wait_for_a_pause(&search).await {
                break;
            }
        }
        let nobody = || ModelError::Unavailable("every model provider is left alone after failures".to_owned());
        Err(search.last.unwrap_or_else(nobody))
    }

    /// Tries one provider as often as it makes sense; none when the next one is to be asked.
    async fn ask_one(
        &self,
        place: usize,
        link: &Arc<Link>,
        search: &mut Search<'_>,
    ) -> Result<Option<(Begun, Call)>, ModelError> {
        let mut tries = 0;
        loop {
            let Ok(permit) = link.admit(self.clock.now()) else { return Ok(None) };
            let others = self.ready_after(place);
            let Some(until) = share(search.deadline, others) else {
                return Err(search.last.take().unwrap_or(ModelError::TimedOut("the whole answer")));
            };
            tries += 1;
            search.attempts = search.attempts.saturating_add(1);
            if tries == 1 {
                link.deposit();
            } else {
                link.asked.retried();
            }
            let mut call = Call::begin(permit, search.request, search.attempts, self.clock.clone(), search.tab.clone());
            let error = match begin(link, search.request, until, &mut call).await {
                Ok(begun) => return Ok(Some((begun, call))),
                Err(error) => error,
            };
            call.failed(&error);
            drop(call);
            tracing::warn!(
                provider = link.asked.provider, model = link.asked.model, attempt = search.attempts, %error,
                "a model did not answer"
            );
            let again = tries < self.settings.retry.max_attempts && worth_a_retry(&error, others > 0);
            let wait = self.settings.retry.delay(tries, self.random());
            let wait =
                if let ModelError::RateLimited { retry_after: Some(asked) } = &error { wait.max(*asked) } else { wait };
            search.last = Some(error);
            let in_time = Instant::now().checked_add(wait).is_some_and(|then| then < search.deadline);
            if !again || !in_time || !link.may_retry() {
                return Ok(None);
            }
            sleep(wait).await;
        }
    }

    /// When nobody could be asked at all: waits for the first provider that asked to wait, if that ends before the deadline.
    /// Broken ones are not waited for. False when there is nothing to wait for.
    async fn wait_for_a_pause(&self, search: &Search<'_>) -> bool {
        if search.attempts > 0 {
            return false;
        }
        let now = self.clock.now();
        let first = self.links.iter().filter_map(|link| link.asked_to_wait_until(now)).min();
        let Some(wait) = first.and_then(|first| Duration::try_from(first - now).ok()) else { return false };
        // Everybody who waits would come back at the same moment.
        let wait = wait + self.settings.retry.delay(1, self.random());
        let in_time = Instant::now().checked_add(wait).is_some_and(|then| then < search.deadline);
        if in_time {
            sleep(wait).await;
        }
        in_time
    }

    /// How many of the providers behind this place could be asked now.
    fn ready_after(&self, place: usize) -> u32 {
        let now = self.clock.now();
        let ready = self.links[place + 1..].iter().filter(|link| link.denied_until(now).is_none()).count();
        u32::try_from(ready).unwrap_or(u32::MAX)
    }

    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.randomness.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}

#[async_trait]
impl AskModels for ModelChain {
    fn models(&self) -> Vec<Arc<dyn LanguageModel>> {
        Self::models(self)
    }

    async fn ask(&self, request: &ModelRequest, deadline: Instant, tab: &Tab) -> Result<Asked, ModelError> {
        let (stream, Answered { provider, model: name, attempts }) = self.stream(request, deadline, tab).await?;
        Ok(Asked { stream, model: AnswerModel { provider, name, attempts } })
    }
}

/// What was read until the first text, and what follows.
type Begun = (VecDeque<ModelEvent>, ModelStream);

/// Sends the request and reads until it is clear that the model answers.
fn begin<'a>(
    link: &'a Link,
    request: &'a ModelRequest,
    until: Instant,
    call: &'a mut Call,
) -> impl Future<Output = Result<Begun, ModelError>> + Send + 'a {
    let span = call.span.clone();
    let beginning = async move {
        let mut stream = link.model.stream(request).await?;
        call.accepted();
        let mut head = VecDeque::new();
        while let Some(item) = stream.next().await {
            call.observe(&item);
            let event = item?;
            let clear = !matches!(event, ModelEvent::Usage(_));
            head.push_back(event);
            if clear {
                return Ok((head, stream));
            }
        }
        Err(ModelError::Malformed("the stream ended without an end".to_owned()))
    };
    let bounded =
        async move { timeout_at(until, beginning).await.unwrap_or(Err(ModelError::TimedOut("no first token"))) };
    bounded.instrument(span)
}

/// Until when a provider may take to begin, if `others` are left to be asked after it: an equal share of the time, so that one
/// that hangs does not take the time of those that would answer. None when there is no time left.
fn share(deadline: Instant, others: u32) -> Option<Instant> {
    let now = Instant::now();
    let left = deadline.checked_duration_since(now).filter(|left| !left.is_zero())?;
    Some(now + left / others.saturating_add(1))
}

/// Whether the same provider is asked once more. A broken connection or a 500 is often gone in a moment; silence, nonsense and
/// a limit of the rate are better answered by asking somebody else, while there is somebody.
const fn worth_a_retry(error: &ModelError, others: bool) -> bool {
    match error {
        ModelError::Unavailable(_) => true,
        ModelError::RateLimited { .. } | ModelError::TimedOut(_) | ModelError::Malformed(_) => !others,
        ModelError::Refused(_) => false,
    }
}
