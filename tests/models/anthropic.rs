//! The Messages interface as it is sent: cumulative usage, pings, and errors in the middle.

use std::fmt::Write as _;

use docket::application::ports::LanguageModel;
use docket::application::ports::language_model::{ModelError, ModelRequest, Sampling, StopReason};
use docket_domain::budget::Usage;

use crate::model_server::{Act, ModelServer, crumbs, end, head};
use crate::world::{KEY, Read, anthropic, ask, read, request};

const START: &str = r#"{"type":"message_start","message":{"id":"m","role":"assistant","content":[],"stop_reason":null,
    "usage":{"input_tokens":25,"cache_creation_input_tokens":300,"cache_read_input_tokens":1200,"output_tokens":1}}}"#;
const BLOCK: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const PING: &str = r#"{"type":"ping"}"#;
const TEN: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Ten "}}"#;
const DAYS: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"days é [1]."}}"#;
const THOUGHT: &str = r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#;
const BLOCK_END: &str = r#"{"type":"content_block_stop","index":0}"#;
const DELTA: &str =
    r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

/// The script of these events, each with its name, cut after every byte.
fn script(events: &[&str]) -> Vec<Act> {
    let mut body = String::new();
    for event in events {
        let name = event.split('"').nth(3).unwrap();
        write!(body, "event: {name}\ndata: {}\n\n", event.replace('\n', " ")).unwrap();
    }
    vec![head(), crumbs(body), end()]
}

async fn told(events: &[&str]) -> Read {
    ask(&anthropic(&ModelServer::playing(script(events)).await)).await
}

#[tokio::test]
async fn an_answer_by_the_book_has_its_text_usage_and_end() {
    let read = told(&[START, BLOCK, PING, THOUGHT, TEN, DAYS, BLOCK_END, DELTA, STOP]).await;
    assert_eq!((read.text.as_str(), read.end, read.estimated), ("Ten days é [1].", Ok(StopReason::Complete), false));
    let usage = Usage { input_tokens: 25, cache_read_tokens: 1_200, cache_write_tokens: 300, output_tokens: 15 };
    assert_eq!(read.usage, Some(usage), "counts are cumulative, and those left out later still hold");
}

#[tokio::test]
async fn a_temperature_is_named_only_where_the_likeliest_words_are_wanted() {
    let server = ModelServer::playing(script(&[START, TEN, DELTA, STOP])).await;
    let model = anthropic(&server);
    for sampling in [Sampling::Usual, Sampling::Likeliest] {
        read(model.stream(&ModelRequest { sampling, ..request() }).await.unwrap()).await;
    }
    let asked = server.asked();
    assert_eq!((asked[0].body.get("temperature"), &asked[1].body["temperature"]), (None, &0.into()));
}

#[tokio::test]
async fn the_request_marks_what_may_be_cached_and_carries_key_and_version() {
    let server = ModelServer::playing(script(&[START, TEN, DELTA, STOP])).await;
    ask(&anthropic(&server)).await;
    let asked = server.asked().remove(0);
    assert_eq!(asked.path, "/v1/messages");
    assert_eq!((asked.headers["x-api-key"].as_str(), asked.headers["anthropic-version"].as_str()), (KEY, "2023-06-01"));
    assert!(!asked.headers.contains_key("authorization"));
    let (body, ephemeral) = (&asked.body, serde_json::json!({"type": "ephemeral"}));
    assert_eq!((&body["stream"], &body["max_tokens"]), (&true.into(), &64.into()));
    assert_eq!(body["system"][0]["cache_control"], ephemeral);
    let content = &body["messages"][0]["content"];
    assert_eq!((&content[0]["cache_control"], content[1].get("cache_control")), (&ephemeral, None));
    assert!(content[0]["text"].as_str().unwrap().contains("Reports are due in ten days."));
    assert!(content[1]["text"].as_str().unwrap().contains("How long?"));
}

#[tokio::test]
async fn an_overload_in_the_middle_is_a_limit_and_other_errors_are_what_they_say() {
    let error = |kind: &str| format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"why"}}}}"#);
    let read = told(&[START, TEN, &error("overloaded_error")]).await;
    assert_eq!((read.text.as_str(), read.end), ("Ten ", Err(ModelError::RateLimited { retry_after: None })));
    assert!(read.estimated, "what came after the first report is estimated");
    assert_eq!(told(&[&error("api_error")]).await.end, Err(ModelError::Unavailable("why".to_owned())));
    assert_eq!(told(&[&error("invalid_request_error")]).await.end, Err(ModelError::Refused("why".to_owned())));
}

#[tokio::test]
async fn reasons_to_stop_are_understood_and_unknown_events_are_passed_over() {
    for (wire, reason) in [
        ("end_turn", StopReason::Complete),
        ("stop_sequence", StopReason::Complete),
        ("max_tokens", StopReason::Length),
        ("model_context_window_exceeded", StopReason::Length),
        ("refusal", StopReason::Filtered),
        ("pause_turn", StopReason::Complete),
    ] {
        let later = r#"{"type":"content_block_sparkle","index":0,"anything":{"at":["all"]}}"#;
        let read = told(&[START, TEN, later, &DELTA.replace("end_turn", wire), STOP]).await;
        assert_eq!(read.end, Ok(reason), "{wire}");
    }
}

#[tokio::test]
async fn the_last_event_may_be_missing_but_not_the_reason_to_stop() {
    assert_eq!(told(&[START, TEN, DELTA]).await.end, Ok(StopReason::Complete));
    let cut = told(&[START, TEN, DAYS]).await;
    assert!(matches!(cut.end, Err(ModelError::Unavailable(_))), "{cut:?}");
    let nonsense = told(&[START, TEN, r#"{"type":"message_delta"}"#]).await;
    assert!(matches!(nonsense.end, Err(ModelError::Malformed(_))), "{nonsense:?}");
}
