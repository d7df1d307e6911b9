//! The Messages interface of Anthropic, streaming.

use async_trait::async_trait;
use docket_domain::budget::Usage;
use http::HeaderName;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Decoder, stream_of};
use super::endpoint::{Endpoint, EndpointError};
use super::faults;
use super::sse::SseEvent;
use super::transport::Transport;
use crate::application::models::PrefixCache;
use crate::application::ports::LanguageModel;
use crate::application::ports::language_model::{ModelError, ModelRequest, ModelStream, Sampling, StopReason};

/// The version of the interface that is spoken here.
const VERSION: &str = "2023-06-01";

/// A model behind the Messages interface.
pub struct AnthropicModel {
    transport: Transport,
    endpoint: Endpoint,
    prefixes: PrefixCache,
}

impl AnthropicModel {
    /// The model at `endpoint`.
    pub fn new(endpoint: Endpoint) -> Result<Self, EndpointError> {
        let credential = (HeaderName::from_static("x-api-key"), "");
        let version = [(HeaderName::from_static("anthropic-version"), VERSION)];
        let transport = Transport::new(&endpoint, "messages", credential, &version)?;
        Ok(Self { transport, endpoint, prefixes: PrefixCache::default() })
    }

    /// The same, with the beginnings of prompts that this process remembers.
    #[must_use]
    pub fn remembering(self, prefixes: PrefixCache) -> Self {
        Self { prefixes, ..self }
    }

    fn body(&self, request: &ModelRequest) -> Value {
        let prompt = self.prefixes.prompt(request);
        let cached = json!({"type": "ephemeral"});
        // Two marks: what is the same for every question, and what is the same for every question about these passages.
        let mut body = json!({
            "model": self.endpoint.model,
            "max_tokens": request.max_output_tokens,
            "system": [{"type": "text", "text": prompt.prefix.system, "cache_control": cached}],
            "messages": [{"role": "user", "content": [
                {"type": "text", "text": prompt.prefix.passages, "cache_control": cached},
                {"type": "text", "text": prompt.question},
            ]}],
            "stream": true,
        });
        if request.sampling == Sampling::Likeliest {
            body["temperature"] = json!(0);
        }
        body
    }
}

#[async_trait]
impl LanguageModel for AnthropicModel {
    fn provider(&self) -> &str {
        &self.endpoint.provider
    }

    fn model(&self) -> &str {
        &self.endpoint.model
    }

    fn input_tokens_at_most(&self, request: &ModelRequest) -> u64 {
        self.prefixes.prompt(request).tokens_at_most()
    }

    async fn stream(&self, request: &ModelRequest) -> Result<ModelStream, ModelError> {
        let reader = self.transport.open(&self.body(request)).await?;
        let decoder = Messages { key: self.transport.key().map(str::to_owned), usage: Usage::default() };
        Ok(stream_of(reader, decoder))
    }
}

/// The events that matter; the others, and those of later versions, are passed over.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Block,
    },
    MessageDelta {
        delta: Stop,
        usage: Option<WireUsage>,
    },
    MessageStop,
    Error {
        error: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    usage: Option<WireUsage>,
}

/// A block of text has `text`; thoughts and calls of tools have other fields.
#[derive(Deserialize)]
struct Block {
    text: Option<String>,
}

#[derive(Deserialize)]
struct Stop {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
#[allow(clippy::struct_field_names, reason = "the names of the wire")]
struct WireUsage {
    input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        Self {
            input_tokens: wire.input_tokens.unwrap_or_default(),
            cache_read_tokens: wire.cache_read_input_tokens.unwrap_or_default(),
            cache_write_tokens: wire.cache_creation_input_tokens.unwrap_or_default(),
            output_tokens: wire.output_tokens.unwrap_or_default(),
        }
    }
}

/// The decoder of one answer.
struct Messages {
    key: Option<String>,
    usage: Usage,
}

impl Messages {
    /// Reports are cumulative, and later ones leave out what did not change.
    fn count(&mut self, wire: Option<WireUsage>, answer: &mut Answer) {
        if let Some(wire) = wire {
            self.usage = self.usage.at_least(wire.into());
            answer.usage(self.usage);
        }
    }
}

impl Decoder for Messages {
    fn decode(&mut self, event: &SseEvent, answer: &mut Answer) -> Result<(), ModelError> {
        let event: Event = serde_json::from_str(&event.data)
            .map_err(|error| ModelError::Malformed(format!("an event cannot be read ({:?})", error.classify())))?;
        match event {
            Event::MessageStart { message } => self.count(message.usage, answer),
            Event::ContentBlockStart { content_block: block } | Event::ContentBlockDelta { delta: block } => {
                answer.works();
                answer.text(block.text.as_deref().unwrap_or_default());
            }
            Event::MessageDelta { delta, usage } => {
                if let Some(reason) = delta.stop_reason {
                    answer.stopped(stop_reason(&reason));
                }
                self.count(usage, answer);
            }
            Event::MessageStop => answer.complete(),
            Event::Error { error } => return Err(faults::by_object(&error, self.key.as_deref())),
            Event::Other => {}
        }
        Ok(())
    }
}

fn stop_reason(wire: &str) -> StopReason {
    match wire {
        "max_tokens" | "model_context_window_exceeded" => StopReason::Length,
        "refusal" => StopReason::Filtered,
        _ => StopReason::Complete,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::answer::tests::{decode_all, nonsense};
    use super::*;

    const WORDS: &[&str] = &[
        "\"type\":",
        "\"message_start\"",
        "\"delta\":",
        "\"content_block_delta\"",
        "\"text\":",
        "\"error\"",
        "{\"type\":\"content_block_delta\",\"delta\":{\"text\":\"a\"}}",
        "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":18446744073709551615}}}",
    ];

    proptest! {
        #[test]
        fn no_event_makes_it_panic(events in proptest::collection::vec(nonsense(WORDS), 0..6)) {
            decode_all(Messages { key: None, usage: Usage::default() }, &events);
        }
    }
}
