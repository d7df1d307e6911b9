//! What `/metrics` says of calls to models: OpenTelemetry's names, its buckets, and labels of a few words.

use std::sync::Arc;
use std::time::Duration;

use docket::adapters::http_client::models::{Dialect, Endpoint, OpenAiModel};
use docket::adapters::system::{SystemClock, SystemRandomness};
use docket::application::models::{ChainSettings, ModelChain, Tab};
use docket::application::ports::LanguageModel;
use docket::telemetry::metrics;
use tokio::time::Instant;

use crate::model_server::{ModelServer, answer, stream};
use crate::world::{PATIENT, endpoint, read, request};

const TEXT: &str = r#"{"choices":[{"delta":{"content":"Ten"},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":120,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":100}}}"#;

#[tokio::test]
async fn calls_are_measured_under_the_names_of_opentelemetry() {
    metrics::install().unwrap();
    let sick = ModelServer::playing(answer(500, "", "{}")).await;
    let well = ModelServer::playing(stream(&[TEXT, USAGE, "[DONE]"])).await;
    let model = |name: &str, server| -> Arc<dyn LanguageModel> {
        let endpoint = Endpoint { provider: name.to_owned(), ..endpoint(server, PATIENT) };
        Arc::new(OpenAiModel::new(endpoint, Dialect::Compatible).unwrap())
    };
    let models = vec![model("measured-sick", &sick), model("measured-well", &well)];
    let chain =
        ModelChain::new(models, ChainSettings::default(), Arc::new(SystemClock::new()), Arc::new(SystemRandomness));
    let deadline = Instant::now() + Duration::from_mins(1);
    let (stream, answered) = chain.stream(&request(), deadline, &Tab::default()).await.unwrap();
    assert_eq!((read(stream).await.text.as_str(), answered.attempts), ("Ten", 3));

    let page = metrics::render();
    let sample = |name: &str, labels: &[&str]| {
        let line = page.lines().find(|line| {
            line.split(['{', ' ']).next() == Some(name) && labels.iter().all(|label| line.contains(label))
        });
        let line = line.unwrap_or_else(|| panic!("no {name} with {labels:?}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    let count = |name: &str, labels: &[&str]| sample(name, labels).round().to_string();
    let sick = "gen_ai_provider_name=\"measured-sick\"";
    let well = "gen_ai_provider_name=\"measured-well\"";
    let duration = "gen_ai_client_operation_duration_seconds";
    assert_eq!(count(&format!("{duration}_count"), &[sick, "error_type=\"unavailable\""]), "2");
    let labels = [well, "error_type=\"\"", "gen_ai_operation_name=\"chat\"", "gen_ai_request_model=\"model-x\""];
    assert_eq!(count(&format!("{duration}_count"), &labels), "1");
    sample(&format!("{duration}_bucket"), &[well, "le=\"81.92\""]);
    assert_eq!(count("gen_ai_client_operation_time_to_first_chunk_seconds_count", &[well]), "1");
    assert_eq!(count("gen_ai_client_token_usage_sum", &[well, "gen_ai_token_type=\"input\""]), "120");
    assert_eq!(count("gen_ai_client_token_usage_sum", &[well, "gen_ai_token_type=\"output\""]), "9");
    sample("gen_ai_client_token_usage_bucket", &[well, "le=\"67108864\""]);
    assert_eq!(count("docket_model_retries_total", &[sick]), "1");
    assert_eq!(count("docket_model_fallbacks_total", &[well]), "1");
    assert_eq!(count("docket_model_breaker_open", &[sick]), "0");
}
