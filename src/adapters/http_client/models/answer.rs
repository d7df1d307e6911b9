//! Turns the events of a provider into the stream that the port promises.

use std::collections::VecDeque;
use std::time::Duration;

use docket_domain::budget::Usage;
use futures::{StreamExt, stream};

use super::sse::SseEvent;
use super::transport::EventReader;
use crate::application::ports::language_model::{ModelError, ModelEvent, ModelStream, StopReason};

/// How long usage and the end are waited for once the model has said why it stopped.
const SETTLE_TIME: Duration = Duration::from_secs(2);

/// The most tokens of one kind that are believed: far beyond what any model reads or writes, and small enough that sums over
/// a month of nonsense do not overflow.
const TOKENS_MAX: u64 = 1_000_000_000;

/// What a wire format makes of events.
pub(super) trait Decoder: Send + 'static {
    /// Takes one event.
    fn decode(&mut self, event: &SseEvent, answer: &mut Answer) -> Result<(), ModelError>;
}

/// What has been understood so far.
#[derive(Debug, Default)]
pub(super) struct Answer {
    ready: VecDeque<ModelEvent>,
    /// The model has begun, if only to think.
    begun: bool,
    usage: Option<Usage>,
    stop: Option<StopReason>,
    complete: bool,
}

impl Answer {
    /// More text; empty text is none.
    pub(super) fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.begun = true;
            self.ready.push_back(ModelEvent::Text(text.to_owned()));
        }
    }

    /// The model works without showing it.
    pub(super) fn works(&mut self) {
        self.begun = true;
    }

    /// What the provider counted until now. A report that says nothing new is not repeated.
    pub(super) fn usage(&mut self, reported: Usage) {
        let usage = Usage {
            input_tokens: reported.input_tokens.min(TOKENS_MAX),
            cache_read_tokens: reported.cache_read_tokens.min(TOKENS_MAX),
            cache_write_tokens: reported.cache_write_tokens.min(TOKENS_MAX),
            output_tokens: reported.output_tokens.min(TOKENS_MAX),
        };
        if self.usage != Some(usage) {
            self.usage = Some(usage);
            self.ready.push_back(ModelEvent::Usage(usage));
        }
    }

    /// Why the model stopped. Usage may still follow.
    pub(super) fn stopped(&mut self, reason: StopReason) {
        self.stop = Some(reason);
    }

    /// The provider said that nothing follows.
    pub(super) fn complete(&mut self) {
        self.complete = true;
    }

    /// The end, unless it was given already. A stream that breaks after the model said why it stopped lost nothing but its
    /// manners.
    fn end(&mut self) -> Option<ModelEvent> {
        let reason = if self.complete { Some(self.stop.unwrap_or(StopReason::Complete)) } else { self.stop };
        reason.map(ModelEvent::End)
    }
}

struct Reading<D> {
    /// None once the answer is over.
    reader: Option<EventReader>,
    decoder: D,
    answer: Answer,
}

impl<D: Decoder> Reading<D> {
    async fn next(&mut self) -> Option<Result<ModelEvent, ModelError>> {
        loop {
            if let Some(event) = self.answer.ready.pop_front() {
                return Some(Ok(event));
            }
            let reader = self.reader.as_mut()?;
            if self.answer.complete {
                if let Some(reader) = self.reader.take() {
                    reader.finish();
                }
                return self.answer.end().map(Ok);
            }
            let failed = match reader.next().await {
                Ok(Some(event)) => match self.decoder.decode(&event, &mut self.answer) {
                    Ok(()) => {
                        if self.answer.begun {
                            reader.began();
                        }
                        if self.answer.stop.is_some() {
                            reader.hurry(SETTLE_TIME);
                        }
                        continue;
                    }
                    Err(error) => error,
                },
                Ok(None) => ModelError::Unavailable("the stream ended before the answer did".to_owned()),
                Err(error) => error,
            };
            self.reader = None;
            let last = match (&failed, self.answer.end()) {
                (ModelError::Unavailable(_) | ModelError::TimedOut(_), Some(end)) => Ok(end),
                _ => Err(failed),
            };
            return Some(last);
        }
    }
}

/// The answer as a stream: ends with the first error or the end.
pub(super) fn stream_of<D: Decoder>(reader: EventReader, decoder: D) -> ModelStream {
    let reading = Reading { reader: Some(reader), decoder, answer: Answer::default() };
    stream::unfold(reading, async |mut reading| reading.next().await.map(|event| (event, reading))).boxed()
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What every provider's JSON is made of.
    const COMMON: &[&str] =
        &["{", "}", "[", "]", ",", ":", "null", "18446744073709551615", "-1", "\"usage\":", "\"x\""];

    /// Pieces of what providers send, put together wrongly.
    pub(in super::super) fn nonsense(words: &'static [&'static str]) -> impl Strategy<Value = String> {
        let word = proptest::sample::select(words).prop_map(str::to_owned);
        let common = proptest::sample::select(COMMON).prop_map(str::to_owned);
        let piece = prop_oneof![2 => word, 2 => common, 1 => "[\\[\\]{},:\"0-9a-z]{0,3}", 1 => "\\PC{0,4}"];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    /// Decodes event after event until the first error, and checks what comes out of it.
    pub(in super::super) fn decode_all(mut decoder: impl Decoder, events: &[String]) {
        let mut answer = Answer::default();
        for data in events {
            let event = SseEvent { kind: "message".to_owned(), data: data.clone(), last_id: String::new() };
            if decoder.decode(&event, &mut answer).is_err() {
                break;
            }
        }
        for event in answer.ready {
            match event {
                ModelEvent::Text(text) => assert!(!text.is_empty()),
                ModelEvent::Usage(usage) => assert!(usage.total() <= 4 * TOKENS_MAX),
                ModelEvent::End(_) => panic!("decoders do not end the stream themselves"),
            }
        }
    }
}
