//! One call to a model on its way: counted, timed and traced, until it ends, fails, or is dropped.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt, stream};
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::Span;

use super::link::Permit;
use super::meter::UsageMeter;
use super::tab::{InVain, Tab};
use crate::application::ports::Clock;
use crate::application::ports::language_model::{ModelError, ModelEvent, ModelRequest, ModelStream, StopReason};
use crate::telemetry::gen_ai::Asked;

/// The watch over one call. Dropping it unfinished means that the client went away.
pub struct Call {
    permit: Option<Permit>,
    clock: Arc<dyn Clock>,
    /// The span of this call; whatever is done for it belongs into it.
    pub span: Span,
    began: Instant,
    meter: UsageMeter,
    asked: Asked,
    /// Where the attempt is put if it comes to nothing; none once somebody reads the answer and counts by himself.
    tab: Option<Tab>,
    /// The provider accepted the request: from here on its input is owed.
    accepted: bool,
    spoke: bool,
}

impl Call {
    /// Begins to watch a call; should it come to nothing, what it used is put on the tab.
    pub fn begin(permit: Permit, request: &ModelRequest, attempt: u16, clock: Arc<dyn Clock>, tab: Tab) -> Self {
        let link = permit.link();
        let (asked, input) = (link.asked.clone(), link.model.input_tokens_at_most(request));
        let span = asked.span(request.max_output_tokens, u32::from(attempt));
        let meter = UsageMeter::new(input);
        let (permit, tab, began) = (Some(permit), Some(tab), Instant::now());
        Self { permit, clock, span, began, meter, asked, tab, accepted: false, spoke: false }
    }

    /// The provider accepted the request and began to answer.
    pub const fn accepted(&mut self) {
        self.accepted = true;
    }

    /// The answer goes to somebody who counts what it uses.
    pub fn handed_over(&mut self) {
        self.tab = None;
    }

    /// Takes what the model sent.
    pub fn observe(&mut self, item: &Result<ModelEvent, ModelError>) {
        match item {
            Ok(event) => {
                self.meter.observe(event);
                match event {
                    ModelEvent::Text(_) if !self.spoke => {
                        self.spoke = true;
                        self.asked.first_text(&self.span, self.began.elapsed());
                    }
                    ModelEvent::End(reason) => {
                        if let Some(permit) = self.permit.take() {
                            permit.answered();
                            self.over(Ok(finish_reason(*reason)));
                        }
                    }
                    _ => {}
                }
            }
            Err(error) => self.failed(error),
        }
    }

    /// The call failed. Only the first verdict counts.
    pub fn failed(&mut self, error: &ModelError) {
        if let Some(permit) = self.permit.take() {
            permit.failed(error, self.clock.now());
            // Some say no only after they began to answer; what they did not report then, they did not do.
            let declined = matches!(error, ModelError::Refused(_) | ModelError::RateLimited { .. });
            self.accepted &= !declined || self.spoke || self.meter.has_report();
            self.over(Err(class(error)));
        }
    }

    fn over(&self, outcome: Result<&'static str, &'static str>) {
        self.asked.over(&self.span, self.began.elapsed(), outcome);
        // What was never accepted is not charged by any provider.
        if !self.accepted {
            return;
        }
        let metered = self.meter.read();
        self.asked.used(&self.span, metered.usage, metered.estimated);
        if let (Err(_), Some(tab)) = (outcome, &self.tab) {
            let (provider, model) = (self.asked.provider.clone(), self.asked.model.clone());
            tab.add(InVain { provider, model, metered });
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.permit.take().is_some() {
            self.over(Err("cancelled"));
        }
    }
}

/// Why a model stopped, in the words of the conventions for generative AI.
const fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Complete => "stop",
        StopReason::Length => "length",
        StopReason::Filtered => "content_filter",
    }
}

/// The class of a failure, one of a few words.
pub const fn class(error: &ModelError) -> &'static str {
    match error {
        ModelError::Unavailable(_) => "unavailable",
        ModelError::RateLimited { .. } => "rate_limited",
        ModelError::TimedOut(_) => "timeout",
        ModelError::Refused(_) => "refused",
        ModelError::Malformed(_) => "malformed",
    }
}

/// An answer under watch, ended by the deadline at the latest.
pub struct WatchedStream {
    /// What was read already to see whether the model answers at all.
    head: VecDeque<ModelEvent>,
    rest: ModelStream,
    call: Call,
    deadline: Pin<Box<Sleep>>,
    over: bool,
}

impl WatchedStream {
    /// `head` was observed by `call` already, `rest` was not.
    pub fn new(head: VecDeque<ModelEvent>, rest: ModelStream, call: Call, deadline: Instant) -> Self {
        Self { head, rest, call, deadline: Box::pin(sleep_until(deadline)), over: false }
    }
}

impl Stream for WatchedStream {
    type Item = Result<ModelEvent, ModelError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        let item = if let Some(event) = this.head.pop_front() {
            Ok(event)
        } else {
            let item = match this.rest.poll_next_unpin(context) {
                Poll::Ready(Some(item)) => item,
                Poll::Ready(None) => Err(ModelError::Malformed("the stream ended without an end".to_owned())),
                Poll::Pending => match this.deadline.as_mut().poll(context) {
                    Poll::Ready(()) => Err(ModelError::TimedOut("the whole answer")),
                    Poll::Pending => return Poll::Pending,
                },
            };
            this.call.observe(&item);
            item
        };
        if !matches!(item, Ok(ModelEvent::Text(_) | ModelEvent::Usage(_))) {
            this.over = true;
            // The connection goes with it.
            this.rest = stream::empty().boxed();
        }
        Poll::Ready(Some(item))
    }
}
