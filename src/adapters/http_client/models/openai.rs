//! Chat completions as OpenAI defined them and many servers speak them, streaming.

use async_trait::async_trait;
use docket_domain::budget::Usage;
use http::header::AUTHORIZATION;
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

/// What the servers do not agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's own service: the limit of output is `max_completion_tokens`.
    OpenAi,
    /// Servers that follow it: the limit of output is `max_tokens`.
    Compatible,
}

/// A model behind chat completions.
pub struct OpenAiModel {
    transport: Transport,
    endpoint: Endpoint,
    dialect: Dialect,
    prefixes: PrefixCache,
}

impl OpenAiModel {
    /// The model at `endpoint`.
    pub fn new(endpoint: Endpoint, dialect: Dialect) -> Result<Self, EndpointError> {
        let transport = Transport::new(&endpoint, "chat/completions", (AUTHORIZATION, "Bearer "), &[])?;
        Ok(Self { transport, endpoint, dialect, prefixes: PrefixCache::default() })
    }

    /// The same, with the beginnings of prompts that this process remembers.
    #[must_use]
    pub fn remembering(self, prefixes: PrefixCache) -> Self {
        Self { prefixes, ..self }
    }

    fn body(&self, request: &ModelRequest) -> Value {
        let prompt = self.prefixes.prompt(request);
        let limit = match self.dialect {
            Dialect::OpenAi => "max_completion_tokens",
            Dialect::Compatible => "max_tokens",
        };
        // What stays the same from question to question comes first: providers cache the beginning of a prompt.
        let mut body = json!({
            "model": self.endpoint.model,
            "messages": [
                {"role": "system", "content": prompt.prefix.system},
                {"role": "user", "content": format!("{}\n\n{}", prompt.prefix.passages, prompt.question)},
            ],
            "stream": true,
            "stream_options": {"include_usage": true},
            limit: request.max_output_tokens,
        });
        if request.sampling == Sampling::Likeliest {
            body["temperature"] = json!(0);
        }
        body
    }
}

#[async_trait]
impl LanguageModel for OpenAiModel {
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
        let decoder = Chunks { key: self.transport.key().map(str::to_owned), counted: Counted::default() };
        Ok(stream_of(reader, decoder))
    }
}

#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<WireUsage>,
    error: Option<Value>,
    object: Option<String>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<Content>,
    /// The thoughts of models that show them, under the two names that are in use.
    reasoning_content: Option<Value>,
    reasoning: Option<Value>,
}

/// Text, or parts of which some are text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    text: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    /// The name that some servers use for `cached_tokens`.
    prompt_cache_hit_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

/// Counts as the wire has them; each is cumulative and never goes down.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    prompt: u64,
    cached: u64,
    completion: u64,
    total: u64,
}

impl Counted {
    fn take(&mut self, usage: &WireUsage) {
        let details = usage.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        let raise = |count: &mut u64, reported: Option<u64>| *count = (*count).max(reported.unwrap_or_default());
        raise(&mut self.prompt, usage.prompt_tokens);
        raise(&mut self.completion, usage.completion_tokens);
        raise(&mut self.total, usage.total_tokens);
        raise(&mut self.cached, details.or(usage.prompt_cache_hit_tokens));
    }

    /// The prompt's tokens hold the cached ones. Reasoning is part of the completion's tokens, except with servers that
    /// count it in the total alone: so the total is believed where it is larger.
    fn usage(self) -> Usage {
        Usage {
            input_tokens: self.prompt.saturating_sub(self.cached),
            cache_read_tokens: self.cached.min(self.prompt),
            cache_write_tokens: 0,
            output_tokens: self.completion.max(self.total.saturating_sub(self.prompt)),
        }
    }
}

/// The decoder of one answer.
struct Chunks {
    key: Option<String>,
    counted: Counted,
}

impl Decoder for Chunks {
    fn decode(&mut self, event: &SseEvent, answer: &mut Answer) -> Result<(), ModelError> {
        let data = event.data.trim();
        if data == "[DONE]" {
            answer.complete();
            return Ok(());
        }
        if data.is_empty() {
            return Ok(());
        }
        let chunk: Chunk = serde_json::from_str(data)
            .map_err(|error| ModelError::Malformed(format!("a chunk cannot be read ({:?})", error.classify())))?;
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            return Err(faults::by_object(&error, self.key.as_deref()));
        }
        if chunk.object.as_deref() == Some("error") || event.kind == "error" {
            let whole = serde_json::from_str(data).unwrap_or(Value::Null);
            return Err(faults::by_object(&whole, self.key.as_deref()));
        }
        // The chunk with the usage has no choices, or an empty list of them.
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index == 0) {
            if let Some(delta) = choice.delta {
                if delta.reasoning_content.or(delta.reasoning).is_some_and(|thought| !thought.is_null()) {
                    answer.works();
                }
                match delta.content {
                    Some(Content::Text(text)) => answer.text(&text),
                    Some(Content::Parts(parts)) => {
                        parts.iter().filter_map(|part| part.text.as_deref()).for_each(|text| answer.text(text));
                    }
                    None => {}
                }
            }
            if let Some(reason) = choice.finish_reason.as_deref().filter(|reason| !reason.is_empty()) {
                answer.stopped(stop_reason(reason));
            }
        }
        if let Some(usage) = chunk.usage {
            self.counted.take(&usage);
            answer.usage(self.counted.usage());
        }
        Ok(())
    }
}

fn stop_reason(wire: &str) -> StopReason {
    match wire {
        "length" | "max_tokens" => StopReason::Length,
        "content_filter" => StopReason::Filtered,
        _ => StopReason::Complete,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::answer::tests::{decode_all, nonsense};
    use super::*;

    const WORDS: &[&str] = &[
        "\"choices\":",
        "\"delta\":",
        "\"content\":",
        "\"text\":",
        "\"prompt_tokens\":",
        "\"total_tokens\":",
        "\"error\":",
        "[DONE]",
        "{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}",
        "{\"usage\":{\"prompt_tokens\":18446744073709551615,\"total_tokens\":18446744073709551615}}",
    ];

    proptest! {
        #[test]
        fn no_chunk_makes_it_panic(events in proptest::collection::vec(nonsense(WORDS), 0..6)) {
            decode_all(Chunks { key: None, counted: Counted::default() }, &events);
        }
    }
}
