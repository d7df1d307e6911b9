//! Calls to language models, measured and traced under the names of OpenTelemetry.
//!
//! The names are those of the semantic conventions v1.41.1, the last release that has them all (docs/gen-ai/gen-ai-spans.md
//! and gen-ai-metrics.md); they move to a repository of their own afterwards, and the Rust crate marks them as deprecated.
//! So they stand here, once, and change when this file does. Metrics appear in Prometheus' spelling, with the unit as suffix.

use std::time::Duration;

use docket_domain::budget::Usage;
use metrics::Unit;
use opentelemetry::{StringValue, Value};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::metrics::{Kind, Metric};
use super::traces::mark_failed;

/// What is asked of the model.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
/// Who answers.
pub const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// The model that was asked for.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// The limit of output tokens.
pub const REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
/// Whether the answer streams.
pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
/// Why the model stopped.
pub const RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// Seconds until the first text.
pub const RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// Input tokens, those from a cache included.
pub const USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// Input tokens read from the provider's cache.
pub const USAGE_CACHE_READ: &str = "gen_ai.usage.cache_read.input_tokens";
/// Input tokens written to it.
pub const USAGE_CACHE_CREATION: &str = "gen_ai.usage.cache_creation.input_tokens";
/// Output tokens.
pub const USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// Whether tokens are input or output.
pub const TOKEN_TYPE: &str = "gen_ai.token.type";
/// How long the vectors are.
pub const EMBEDDINGS_DIMENSION_COUNT: &str = "gen_ai.embeddings.dimension.count";
/// The value of [`OPERATION_NAME`] for answers.
pub const CHAT: &str = "chat";
/// The value of [`OPERATION_NAME`] for vectors.
pub const EMBEDDINGS: &str = "embeddings";

/// `gen_ai.client.operation.duration`.
pub const OPERATION_DURATION: &str = "gen_ai_client_operation_duration_seconds";
/// `gen_ai.client.operation.time_to_first_chunk`.
pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai_client_operation_time_to_first_chunk_seconds";
/// `gen_ai.client.token.usage`.
pub const TOKEN_USAGE: &str = "gen_ai_client_token_usage";
/// Input tokens, by what the provider's own cache of prompts had to do with them.
pub const INPUT_TOKENS: &str = "docket_model_input_tokens_total";
/// Calls that were made once more.
pub const RETRIES: &str = "docket_model_retries_total";
/// Answers that another provider than the first gave.
pub const FALLBACKS: &str = "docket_model_fallbacks_total";
/// Providers that are left alone.
pub const BREAKERS: &str = "docket_model_breaker_open";

/// The buckets that the conventions ask for, in seconds.
pub const DURATION_BUCKETS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// The buckets that the conventions ask for, in tokens: powers of four.
pub const TOKEN_BUCKETS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// What every metric carries: bounded, because providers and models come from the configuration.
const LABELS: &[&str] = &["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"];

/// Every metric of model calls.
pub const METRICS: &[Metric] = &[
    Metric {
        name: OPERATION_DURATION,
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        help: "Time of a call to a model from the request to the end of its stream; error_type says how it failed.",
        labels: &["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type"],
    },
    Metric {
        name: TIME_TO_FIRST_CHUNK,
        kind: Kind::Histogram,
        unit: Unit::Seconds,
        help: "Time of a call to a model from the request to the first text.",
        labels: LABELS,
    },
    Metric {
        name: TOKEN_USAGE,
        kind: Kind::Histogram,
        unit: Unit::Count,
        help: "Tokens of a call to a model, input (cached ones included) and output.",
        labels: &["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type"],
    },
    Metric {
        name: INPUT_TOKENS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Input tokens as the provider counted them: read from its own cache of prompts, written to it, or read anew (none).",
        labels: &["gen_ai_provider_name", "gen_ai_request_model", "cache"],
    },
    Metric {
        name: RETRIES,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Calls that were made once more at the same provider because the first failed.",
        labels: &["gen_ai_provider_name"],
    },
    Metric {
        name: FALLBACKS,
        kind: Kind::Counter,
        unit: Unit::Count,
        help: "Answers given by a provider because those before it in the chain failed or were left alone.",
        labels: &["gen_ai_provider_name"],
    },
    Metric {
        name: BREAKERS,
        kind: Kind::Gauge,
        unit: Unit::Count,
        help: "1 while a provider is left alone because it failed several times in a row.",
        labels: &["gen_ai_provider_name"],
    },
];

/// The span of texts that become vectors in this process; in the process, so it is no client's.
pub fn embeddings_span(model: &str, dimensions: usize) -> Span {
    tracing::info_span!(
        "embeddings",
        otel.name = format!("{EMBEDDINGS} {model}"),
        { OPERATION_NAME } = EMBEDDINGS,
        { PROVIDER_NAME } = "docket",
        { REQUEST_MODEL } = model,
        { EMBEDDINGS_DIMENSION_COUNT } = dimensions,
    )
}

/// Who was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
}

impl Asked {
    /// The span of one call: a client's, named as the conventions ask.
    pub fn span(&self, max_tokens: u32, attempt: u32) -> Span {
        tracing::info_span!(
            "chat",
            otel.name = format!("{CHAT} {}", self.model),
            otel.kind = "client",
            { OPERATION_NAME } = CHAT,
            { PROVIDER_NAME } = self.provider,
            { REQUEST_MODEL } = self.model,
            { REQUEST_MAX_TOKENS } = max_tokens,
            { REQUEST_STREAM } = true,
            { RESPONSE_TIME_TO_FIRST_CHUNK } = Empty,
            { USAGE_INPUT_TOKENS } = Empty,
            { USAGE_CACHE_READ } = Empty,
            { USAGE_CACHE_CREATION } = Empty,
            { USAGE_OUTPUT_TOKENS } = Empty,
            docket.model.attempt = attempt,
            docket.usage.estimated = Empty,
        )
    }

    /// The first text came after `took`.
    pub fn first_text(&self, span: &Span, took: Duration) {
        span.record(RESPONSE_TIME_TO_FIRST_CHUNK, took.as_secs_f64());
        metrics::histogram!(
            TIME_TO_FIRST_CHUNK,
            "gen_ai_operation_name" => CHAT,
            "gen_ai_provider_name" => self.provider.clone(),
            "gen_ai_request_model" => self.model.clone(),
        )
        .record(took.as_secs_f64());
    }

    /// The call is over after `took`; `outcome` is why the model stopped or the class of the failure.
    pub fn over(&self, span: &Span, took: Duration, outcome: Result<&'static str, &'static str>) {
        let error = match outcome {
            Ok(reason) => {
                // A list, which a field of `tracing` cannot hold.
                span.set_attribute(RESPONSE_FINISH_REASONS, Value::Array(vec![StringValue::from(reason)].into()));
                ""
            }
            Err(class) => {
                mark_failed(span, class);
                class
            }
        };
        metrics::histogram!(
            OPERATION_DURATION,
            "gen_ai_operation_name" => CHAT,
            "gen_ai_provider_name" => self.provider.clone(),
            "gen_ai_request_model" => self.model.clone(),
            "error_type" => error,
        )
        .record(took.as_secs_f64());
    }

    /// What the call used.
    pub fn used(&self, span: &Span, usage: Usage, estimated: bool) {
        let input = usage.total().saturating_sub(usage.output_tokens);
        span.record(USAGE_INPUT_TOKENS, input);
        span.record(USAGE_CACHE_READ, usage.cache_read_tokens);
        span.record(USAGE_CACHE_CREATION, usage.cache_write_tokens);
        span.record(USAGE_OUTPUT_TOKENS, usage.output_tokens);
        span.record("docket.usage.estimated", estimated);
        let by_cache =
            [("read", usage.cache_read_tokens), ("written", usage.cache_write_tokens), ("none", usage.input_tokens)];
        for (cache, tokens) in by_cache.into_iter().filter(|(_, tokens)| *tokens > 0) {
            metrics::counter!(
                INPUT_TOKENS,
                "gen_ai_provider_name" => self.provider.clone(),
                "gen_ai_request_model" => self.model.clone(),
                "cache" => cache,
            )
            .increment(tokens);
        }
        for (kind, tokens) in [("input", input), ("output", usage.output_tokens)] {
            #[allow(clippy::cast_precision_loss, reason = "a histogram")]
            metrics::histogram!(
                TOKEN_USAGE,
                "gen_ai_operation_name" => CHAT,
                "gen_ai_provider_name" => self.provider.clone(),
                "gen_ai_request_model" => self.model.clone(),
                "gen_ai_token_type" => kind,
            )
            .record(tokens as f64);
        }
    }

    /// The call is made once more.
    pub fn retried(&self) {
        metrics::counter!(RETRIES, "gen_ai_provider_name" => self.provider.clone()).increment(1);
    }

    /// It answers because those before it did not.
    pub fn fell_back(&self) {
        metrics::counter!(FALLBACKS, "gen_ai_provider_name" => self.provider.clone()).increment(1);
    }

    /// Whether it is left alone.
    pub fn left_alone(&self, open: bool) {
        metrics::gauge!(BREAKERS, "gen_ai_provider_name" => self.provider.clone()).set(f64::from(u8::from(open)));
    }
}
