//! Chat completions as real servers send them: what they leave out, add, and get wrong.

use docket::adapters::http_client::models::{Dialect, OpenAiModel};
use docket::application::ports::LanguageModel;
use docket::application::ports::language_model::{ModelError, ModelRequest, Sampling, StopReason};
use docket_domain::budget::Usage;

use crate::model_server::{Act, ModelServer, crumbs, end, head, piece, stream};
use crate::world::{KEY, PATIENT, Read, ask, endpoint, openai, read, request};

const ROLE: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#;
const TEN: &str = r#"{"choices":[{"index":0,"delta":{"content":"Ten "},"finish_reason":null}],"usage":null}"#;
const DAYS: &str = r#"{"choices":[{"index":0,"delta":{"content":"days [1]."},"finish_reason":null}]}"#;
const STOP: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":120,"completion_tokens":9,"total_tokens":129,
    "prompt_tokens_details":{"cached_tokens":100},"completion_tokens_details":{"reasoning_tokens":4}}}"#;
const DONE: &str = "[DONE]";

async fn played(script: Vec<Act>) -> Read {
    ask(&openai(&ModelServer::playing(script).await, PATIENT)).await
}

async fn told(events: &[&str]) -> Read {
    let lines: Vec<String> = events.iter().map(|event| event.replace('\n', " ")).collect();
    played(stream(&lines.iter().map(String::as_str).collect::<Vec<_>>())).await
}

fn complete(read: &Read) -> (&str, bool) {
    assert_eq!(read.end, Ok(StopReason::Complete), "{read:?}");
    (&read.text, read.estimated)
}

#[tokio::test]
async fn an_answer_by_the_book_has_its_text_usage_and_end() {
    let read = told(&[ROLE, TEN, DAYS, STOP, USAGE, DONE]).await;
    assert_eq!(complete(&read), ("Ten days [1].", false));
    let usage = Usage { input_tokens: 20, cache_read_tokens: 100, cache_write_tokens: 0, output_tokens: 9 };
    assert_eq!(read.usage, Some(usage), "cached tokens are not counted twice, thoughts are output");
}

#[tokio::test]
async fn the_request_names_the_model_its_limit_and_asks_for_usage() {
    let server = ModelServer::playing(stream(&[TEN, STOP, DONE])).await;
    ask(&openai(&server, PATIENT)).await;
    ask(&OpenAiModel::new(endpoint(&server, PATIENT), Dialect::OpenAi).unwrap()).await;
    let asked = server.asked();
    assert_eq!(asked[0].path, "/v1/chat/completions");
    assert_eq!(asked[0].headers["authorization"], format!("Bearer {KEY}"));
    let body = &asked[0].body;
    assert_eq!((&body["model"], &body["stream"], &body["max_tokens"]), (&"model-x".into(), &true.into(), &64.into()));
    assert_eq!(body["stream_options"]["include_usage"], true);
    assert_eq!(body["messages"][0]["role"], "system");
    let user = body["messages"][1]["content"].as_str().unwrap();
    assert!(user.contains("Reports are due in ten days.") && user.contains("How long?"));
    assert_eq!((&asked[1].body["max_completion_tokens"], asked[1].body.get("max_tokens")), (&64.into(), None));
}

#[tokio::test]
async fn a_temperature_is_named_only_where_the_likeliest_words_are_wanted() {
    let server = ModelServer::playing(stream(&[TEN, STOP, DONE])).await;
    let model = openai(&server, PATIENT);
    for sampling in [Sampling::Usual, Sampling::Likeliest] {
        read(model.stream(&ModelRequest { sampling, ..request() }).await.unwrap()).await;
    }
    let asked = server.asked();
    assert_eq!((asked[0].body.get("temperature"), &asked[1].body["temperature"]), (None, &0.into()));
}

#[tokio::test]
async fn without_a_report_of_usage_the_meter_estimates_and_says_so() {
    let read = told(&[TEN, DAYS, STOP, DONE]).await;
    assert_eq!((complete(&read), read.usage), (("Ten days [1].", true), None));
}

#[tokio::test]
async fn usage_in_every_chunk_is_cumulative_and_never_added_up() {
    let with = |text: &str, output: u32| {
        format!(
            r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}],"usage":{{"prompt_tokens":50,"completion_tokens":{output},"total_tokens":{}}}}}"#,
            50 + output
        )
    };
    let read = told(&[&with("a", 1), &with("b", 2), &with("c", 3), STOP, DONE]).await;
    assert_eq!(complete(&read), ("abc", false));
    assert_eq!(read.usage, Some(Usage { input_tokens: 50, output_tokens: 3, ..Usage::default() }));
}

#[tokio::test]
async fn reasoning_that_only_the_total_counts_is_charged_as_output() {
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":112}}"#;
    let read = told(&[TEN, STOP, usage, DONE]).await;
    assert_eq!(read.usage, Some(Usage { input_tokens: 10, output_tokens: 102, ..Usage::default() }));
}

#[tokio::test]
async fn the_end_is_believed_without_its_mark_but_not_without_any_sign() {
    assert_eq!(complete(&told(&[TEN, STOP, USAGE]).await), ("Ten ", false));
    assert_eq!(complete(&told(&[TEN, DONE]).await), ("Ten ", true));
    let cut = told(&[TEN, DAYS]).await;
    assert!(matches!(cut.end, Err(ModelError::Unavailable(_))), "{cut:?}");
    assert_eq!(cut.text, "Ten days [1].");
    let broken = played(vec![head(), piece(format!("data: {TEN}\n\n")), Act::Cut]).await;
    assert!(matches!(broken.end, Err(ModelError::Unavailable(_))), "{broken:?}");
    let late = played(vec![head(), piece(format!("data: {TEN}\n\ndata: {STOP}\n\n")), Act::Cut]).await;
    assert_eq!(complete(&late), ("Ten ", true));
    let silent = played(vec![head(), piece(format!("data: {TEN}\n\ndata: {STOP}\n\n")), Act::Hang]).await;
    assert_eq!(complete(&silent), ("Ten ", true));
}

#[tokio::test]
async fn an_error_in_the_middle_ends_the_answer_with_that_error() {
    let limit = r#"{"error":{"message":"Rate limit reached","type":"rate_limit_exceeded","code":null}}"#;
    assert_eq!(told(&[limit]).await.end, Err(ModelError::RateLimited { retry_after: None }));
    let broken = format!(r#"{{"error":{{"message":"worker died, key {KEY}","type":"server_error","code":500}}}}"#);
    let read = told(&[TEN, &broken, DONE]).await;
    assert_eq!(read.text, "Ten ");
    assert_eq!(read.end, Err(ModelError::Unavailable("worker died, key (key)".to_owned())));
    let other = r#"{"object":"error","message":"too long","type":"BadRequestError","code":400}"#;
    assert_eq!(told(&[other]).await.end, Err(ModelError::Refused("too long".to_owned())));
    let named = vec![head(), piece("event: error\ndata: {\"message\":\"gone\"}\n\n"), end()];
    assert_eq!(played(named).await.end, Err(ModelError::Unavailable("gone".to_owned())));
}

#[tokio::test]
async fn carriage_returns_marks_comments_and_split_characters_change_nothing() {
    let accents = r#"{"choices":[{"delta":{"content":"é日本🦀"}}]}"#;
    let events = [ROLE, accents, STOP, USAGE, DONE].map(|event| event.replace('\n', " "));
    for (line, between) in [("\r", ""), ("\r\n", ": keep-alive\r\n\r\n"), ("\n", "event: message\nid: 1\n")] {
        let body: Vec<String> = events.iter().map(|event| format!("{between}data: {event}{line}{line}")).collect();
        let read = played(vec![head(), crumbs(format!("\u{feff}{}", body.concat())), end()]).await;
        assert_eq!(complete(&read), ("é日本🦀", false), "{line:?}");
    }
    let lines: String = TEN.split(',').collect::<Vec<_>>().join(",\ndata: ");
    let read = played(vec![head(), piece(format!("data: {lines}\n\ndata: [DONE]\n\n")), end()]).await;
    assert_eq!(complete(&read), ("Ten ", true), "data over several lines");
}

#[tokio::test]
async fn reasons_to_stop_and_other_shapes_of_text_are_understood() {
    for (wire, reason) in [
        ("stop", StopReason::Complete),
        ("length", StopReason::Length),
        ("content_filter", StopReason::Filtered),
        ("tool_calls", StopReason::Complete),
        ("eos_token", StopReason::Complete),
    ] {
        let read = told(&[TEN, &STOP.replace("stop", wire), DONE]).await;
        assert_eq!(read.end, Ok(reason), "{wire}");
    }
    let parts = r#"{"choices":[{"delta":{"content":[{"type":"thinking"},{"type":"text","text":"Ten"}]}}]}"#;
    let thought = r#"{"choices":[{"delta":{"reasoning_content":"hm","content":""}}]}"#;
    let other = r#"{"choices":[{"index":1,"delta":{"content":"another"}}]}"#;
    assert_eq!(complete(&told(&[thought, "{}", parts, other, STOP, DONE]).await), ("Ten", true));
}

#[tokio::test]
async fn what_is_no_chunk_is_malformed() {
    for nonsense in ["{\"choices\":", "<html>", "{\"choices\":7}", "null and void"] {
        let read = told(&[TEN, nonsense]).await;
        assert!(matches!(read.end, Err(ModelError::Malformed(_))), "{nonsense}: {read:?}");
    }
    let endless = vec![head(), piece(format!("data: {}", "x".repeat(400_000))), Act::Hang];
    assert!(matches!(played(endless).await.end, Err(ModelError::Malformed(_))));
}
