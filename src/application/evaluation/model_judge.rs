//! A language model as judge: asked through the chain that answers use, charged in the same ledger, and never guessed at.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use docket_domain::budget::Usage;
use futures::StreamExt;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::judge_prompts::Task;
use super::judge_replies::Unreadable;
use crate::application::error::UseCaseError;
use crate::application::knowledge::answering::{Answering, cost_at_most};
use crate::application::knowledge::settling::Account;
use crate::application::ports::language_model::{ModelError, ModelEvent, ModelRequest, Sampling, StopReason};
use crate::application::ports::usage_ledger::{CallOutcome, CallPurpose};
use crate::application::request::Caller;

/// Output tokens of a reply at least: verdicts with their reasons on many statements, and the thoughts of models that think.
const OUTPUT_TOKENS: u32 = 2_000;
/// Characters that are kept of what was wrong.
const DETAIL_MAX: usize = 300;
/// How long is waited before a provider that is failing or limits the rate is asked again. Nobody waits for an evaluation, and
/// what the chain gives up for a reader's sake would be lost to it; together it is longer than a breaker's first pause.
pub const PATIENCE: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(10)];
/// After so many calls in a row for which all patience was in vain, there is none any more until one succeeds.
const IN_VAIN: u32 = 4;

docket_domain::named_enum! {
    /// Why something was not judged.
    Why, "reason" {
        /// It replied twice with something else than was asked for.
        Unreadable = "unreadable reply",
        /// It, or its provider, refuses to judge this.
        Refused = "refused",
        /// Its provider limits the rate.
        RateLimited = "rate limited",
        /// It does not answer, not in time, or not by its protocol.
        Unavailable = "unavailable",
        /// The budget does not cover the call.
        Budget = "budget used up",
    }
}

/// Something that was not judged: neither good nor bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{why}: {detail}")]
pub struct NotJudged {
    /// Why.
    pub why: Why,
    /// What was wrong, in words.
    pub detail: String,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// This one thing was not judged.
    #[error(transparent)]
    NotJudged(#[from] NotJudged),
    /// Nothing can be judged any more.
    #[error(transparent)]
    Fatal(UseCaseError),
}

impl From<UseCaseError> for JudgeError {
    fn from(error: UseCaseError) -> Self {
        let why = match &error {
            UseCaseError::BudgetExhausted { .. } => Why::Budget,
            UseCaseError::Model(ModelError::Refused(_)) => Why::Refused,
            UseCaseError::Model(ModelError::RateLimited { .. }) => Why::RateLimited,
            UseCaseError::Model(_) => Why::Unavailable,
            _ => return Self::Fatal(error),
        };
        not_judged(why, &error)
    }
}

fn not_judged(why: Why, detail: &dyn std::fmt::Display) -> JudgeError {
    JudgeError::NotJudged(NotJudged { why, detail: detail.to_string().chars().take(DETAIL_MAX).collect() })
}

/// What judging took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Spent {
    /// Calls, failed ones included.
    pub calls: u64,
    /// Requests that were sent for them, at least.
    pub requests: u64,
    /// Replies that could be read.
    pub read: u64,
    /// Calls that were made because a reply could not be read.
    pub asked_again: u64,
    /// Tokens.
    #[serde(flatten)]
    pub tokens: Usage,
    /// Nano-dollars.
    pub cost_nanos: u64,
    /// Calls whose tokens docket counted because the provider did not say.
    pub estimated: u64,
}

/// A model that judges.
pub struct Judge {
    /// Asks the judge and no other model; everything else as for answers.
    answering: Answering,
    /// Whose budget pays.
    caller: Caller,
    patience: Vec<Duration>,
    /// Calls in a row for which patience was in vain.
    in_vain: AtomicU32,
    /// Whether the model takes a temperature.
    takes_temperature: AtomicBool,
    spent: Mutex<Spent>,
}

impl Judge {
    /// The judge that `answering` asks; `caller` is who judges, and `patience` usually [`PATIENCE`].
    pub fn new(answering: Answering, caller: Caller, patience: &[Duration]) -> Self {
        Self {
            answering,
            caller,
            patience: patience.to_vec(),
            in_vain: AtomicU32::new(0),
            takes_temperature: AtomicBool::new(true),
            spent: Mutex::default(),
        }
    }

    /// What it took until now.
    pub fn spent(&self) -> Spent {
        *self.spent.lock()
    }

    /// Whether every call was made at temperature 0; some models refuse to be told one.
    pub fn at_temperature_zero(&self) -> bool {
        self.takes_temperature.load(Ordering::Relaxed)
    }

    /// Asks, and asks once more if the reply cannot be read.
    pub async fn ask<T>(
        &self,
        task: Task<'_>,
        read: impl Fn(&str) -> Result<T, Unreadable> + Send,
    ) -> Result<T, JudgeError> {
        let reply = self.reply(task, false).await?;
        let verdict = if let Ok(verdict) = read(&reply) {
            verdict
        } else {
            self.spent.lock().asked_again += 1;
            let reply = self.reply(task, true).await?;
            read(&reply).map_err(|error| not_judged(Why::Unreadable, &error))?
        };
        self.spent.lock().read += 1;
        Ok(verdict)
    }

    /// One reply; a provider that fails is waited for.
    async fn reply(&self, task: Task<'_>, again: bool) -> Result<String, JudgeError> {
        let mut waits = self.patience.iter();
        loop {
            match self.likeliest(task, again).await {
                Err(UseCaseError::Model(error)) if error.is_temporary() => {
                    let patient = self.in_vain.load(Ordering::Relaxed) < IN_VAIN;
                    let Some(wait) = waits.next().filter(|_| patient) else {
                        self.in_vain.fetch_add(1, Ordering::Relaxed);
                        return Err(UseCaseError::Model(error).into());
                    };
                    sleep(*wait).await;
                }
                replied => {
                    self.in_vain.store(0, Ordering::Relaxed);
                    return Ok(replied?);
                }
            }
        }
    }

    /// One call, at temperature 0 as long as the model takes it.
    async fn likeliest(&self, task: Task<'_>, again: bool) -> Result<String, UseCaseError> {
        let sampling = if self.at_temperature_zero() { Sampling::Likeliest } else { Sampling::Usual };
        let replied = self.call(task, sampling, again).await;
        match replied {
            Err(UseCaseError::Model(ModelError::Refused(said)))
                if sampling == Sampling::Likeliest && said.to_lowercase().contains("temperature") =>
            {
                tracing::warn!(said, "the judge takes no temperature and is asked without one");
                self.takes_temperature.store(false, Ordering::Relaxed);
                self.call(task, Sampling::Usual, again).await
            }
            replied => replied,
        }
    }

    /// One call: reserved, asked, read to its end, settled.
    async fn call(&self, task: Task<'_>, sampling: Sampling, again: bool) -> Result<String, UseCaseError> {
        let answering = &self.answering;
        let tokens = answering.rules.max_output_tokens.max(OUTPUT_TOKENS);
        let request = task.request(self.caller.actor.tenant_id, tokens, sampling, again);
        let nanos = cost_at_most(answering.models.as_ref(), &answering.prices, &request)?;
        let mut account = Account::open(answering, &self.caller, (CallPurpose::Grade, None), nanos).await?;
        let mut requests = 0;
        let heard = self.hear(&request, &mut account, &mut requests).await;
        let outcome = match &heard {
            Ok((_, reason)) => CallOutcome::from(*reason),
            Err(_) => CallOutcome::Failed,
        };
        let (used, ..) = account.settle(outcome).await;
        {
            let mut spent = self.spent.lock();
            spent.calls += 1;
            spent.requests += u64::from(requests);
            spent.tokens = spent.tokens.plus(used.tokens);
            spent.cost_nanos = spent.cost_nanos.saturating_add(used.cost_nanos);
            spent.estimated += u64::from(used.estimated);
        }
        let (text, reason) = heard?;
        if reason == StopReason::Filtered {
            return Err(ModelError::Refused("its provider filtered the reply".to_owned()).into());
        }
        Ok(text)
    }

    async fn hear(
        &self,
        request: &ModelRequest,
        account: &mut Account<'_>,
        requests: &mut u16,
    ) -> Result<(String, StopReason), ModelError> {
        let deadline = Instant::now() + self.answering.rules.timeout;
        // Of a call that nobody took it is not known how many requests it was.
        *requests = 1;
        let mut asked = self.answering.models.ask(request, deadline, &account.tab()).await?;
        *requests = asked.model.attempts;
        account.accepted(&asked.model, request);
        let mut text = String::new();
        loop {
            let next = timeout_at(deadline, asked.stream.next()).await;
            let event = next.map_err(|_| ModelError::TimedOut("the whole answer"))?;
            let cut = || ModelError::Malformed("the stream ended without an end".to_owned());
            let event = event.ok_or_else(cut)??;
            account.observe(&event);
            match event {
                ModelEvent::Text(more) => text.push_str(&more),
                ModelEvent::Usage(_) => {}
                ModelEvent::End(reason) => return Ok((text, reason)),
            }
        }
    }
}
