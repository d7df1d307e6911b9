//! What the tests of models share: a request, adapters against the stand-in, and reading an answer to its end.

use std::time::Duration;

use docket::adapters::http_client::models::{AnthropicModel, Dialect, Endpoint, OpenAiModel, Timeouts};
use docket::application::models::UsageMeter;
use docket::application::ports::LanguageModel;
use docket::application::ports::language_model::{
    GroundingPassage, ModelError, ModelEvent, ModelRequest, ModelStream, Sampling, StopReason,
};
use docket_domain::budget::Usage;
use docket_domain::ids::TenantId;
use futures::StreamExt;
use secrecy::SecretString;

use crate::model_server::ModelServer;

pub const KEY: &str = "sk-test-0123456789";

pub fn request() -> ModelRequest {
    ModelRequest {
        tenant_id: TenantId(uuid::Uuid::nil()),
        instructions: "Answer from the passages.".to_owned(),
        question: "How long?".to_owned(),
        passages: vec![GroundingPassage {
            number: 1,
            title: "Code of practice".to_owned(),
            text: "Reports are due in ten days.".to_owned(),
        }],
        max_output_tokens: 64,
        sampling: Sampling::Usual,
    }
}

/// Long enough that no slow machine reaches them.
pub const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(30),
    first_token: Duration::from_mins(1),
    idle: Duration::from_mins(1),
    total: Duration::from_mins(2),
};

pub fn endpoint(server: &ModelServer, timeouts: Timeouts) -> Endpoint {
    Endpoint {
        provider: "compatible".to_owned(),
        base_url: server.url(),
        api_key: Some(SecretString::from(KEY)),
        model: "model-x".to_owned(),
        timeouts,
    }
}

pub fn openai(server: &ModelServer, timeouts: Timeouts) -> OpenAiModel {
    OpenAiModel::new(endpoint(server, timeouts), Dialect::Compatible).unwrap()
}

pub fn anthropic(server: &ModelServer) -> AnthropicModel {
    AnthropicModel::new(endpoint(server, PATIENT)).unwrap()
}

/// An answer read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub text: String,
    pub usage: Option<Usage>,
    pub estimated: bool,
    pub end: Result<StopReason, ModelError>,
}

pub async fn read(mut stream: ModelStream) -> Read {
    let mut meter = UsageMeter::new(1_000);
    let (mut text, mut usage, mut end) = (String::new(), None, None);
    while let Some(item) = stream.next().await {
        assert_eq!(end, None, "nothing follows the end");
        match item {
            Ok(event) => {
                meter.observe(&event);
                match event {
                    ModelEvent::Text(more) => {
                        assert!(!more.is_empty());
                        text.push_str(&more);
                    }
                    ModelEvent::Usage(report) => usage = Some(report),
                    ModelEvent::End(reason) => end = Some(Ok(reason)),
                }
            }
            Err(error) => end = Some(Err(error)),
        }
    }
    Read { text, usage, estimated: meter.read().estimated, end: end.expect("an end or an error") }
}

pub async fn ask(model: &dyn LanguageModel) -> Read {
    match model.stream(&request()).await {
        Ok(stream) => read(stream).await,
        Err(error) => Read { text: String::new(), usage: None, estimated: true, end: Err(error) },
    }
}
