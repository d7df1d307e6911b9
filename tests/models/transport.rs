//! What holds for every wire format: refusals, bounds of time and size, one connection for many requests, and letting go.

use std::time::Duration;

use docket::adapters::http_client::models::Timeouts;
use docket::application::ports::LanguageModel;
use docket::application::ports::language_model::{ModelError, ModelEvent, StopReason};
use futures::StreamExt;

use crate::model_server::{Act, ModelServer, answer, end, head, piece, stream};
use crate::world::{KEY, PATIENT, Read, ask, openai, request};

const TEXT: &str = r#"{"choices":[{"delta":{"content":"Ten"}}]}"#;
const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;

async fn played(script: Vec<Act>, timeouts: Timeouts) -> Read {
    ask(&openai(&ModelServer::playing(script).await, timeouts)).await
}

#[tokio::test]
async fn statuses_become_errors_and_the_wait_that_was_asked_for_is_kept() {
    let limited = played(answer(429, "retry-after: 7\r\n", "{}"), PATIENT).await;
    assert_eq!(limited.end, Err(ModelError::RateLimited { retry_after: Some(Duration::from_secs(7)) }));
    let failing = played(answer(503, "", "<html>busy</html>"), PATIENT).await;
    assert!(matches!(failing.end, Err(ModelError::Unavailable(words)) if words.contains("busy")));
    let words = format!(r#"{{"error":{{"message":"Incorrect key {KEY}"}}}}"#);
    let Err(ModelError::Refused(words)) = played(answer(401, "", &words), PATIENT).await.end else { panic!("refused") };
    assert!(words.contains("Incorrect key") && !words.contains(KEY), "{words}");
    let elsewhere = played(answer(307, "location: http://127.0.0.1:9/\r\n", ""), PATIENT).await;
    assert!(matches!(elsewhere.end, Err(ModelError::Refused(words)) if words.contains("base address")));
    let flood = played(answer(500, "", &"x".repeat(3_000_000)), PATIENT).await;
    assert!(matches!(flood.end, Err(ModelError::Unavailable(words)) if words.len() <= 300));
}

#[tokio::test]
async fn an_answer_that_is_no_stream_is_an_error_also_with_status_200() {
    let error = played(answer(200, "", r#"{"error":{"message":"down","type":"server_error"}}"#), PATIENT).await;
    assert_eq!(error.end, Err(ModelError::Unavailable("down".to_owned())));
    let whole = played(answer(200, "", r#"{"choices":[{"message":{"content":"Ten"}}]}"#), PATIENT).await;
    assert!(matches!(whole.end, Err(ModelError::Malformed(_))), "{whole:?}");
    let nobody = ModelServer::playing(vec![Act::Cut]).await;
    assert!(matches!(ask(&openai(&nobody, PATIENT)).await.end, Err(ModelError::Unavailable(_))));
}

#[tokio::test]
async fn a_provider_that_does_not_begin_stops_or_does_not_end_is_given_up() {
    let short = Duration::from_millis(300);
    let no_head = played(vec![Act::Hang], Timeouts { first_token: short, ..PATIENT }).await;
    assert_eq!(no_head.end, Err(ModelError::TimedOut("no first token")));
    let ping = || piece(": ping\n\ndata: {\"choices\":[]}\n\n");
    let no_text = vec![head(), ping(), Act::Pause(Duration::from_millis(100)), ping(), Act::Hang];
    let no_text = played(no_text, Timeouts { first_token: short, idle: PATIENT.idle, ..PATIENT }).await;
    assert_eq!(no_text.end, Err(ModelError::TimedOut("no first token")), "signs of life are no token");
    let stops = vec![head(), piece(format!("data: {TEXT}\n\n")), piece(": still here\n"), Act::Hang];
    let stops = played(stops, Timeouts { idle: short, ..PATIENT }).await;
    assert_eq!((stops.text.as_str(), stops.end), ("Ten", Err(ModelError::TimedOut("the provider's answer stopped"))));
    let again = [piece(format!("data: {TEXT}\n\n")), Act::Pause(Duration::from_millis(20))];
    let endless: Vec<Act> = [head()].into_iter().chain(again.into_iter().cycle().take(20_000)).collect();
    let endless = played(endless, Timeouts { total: Duration::from_millis(800), ..PATIENT }).await;
    assert_eq!(endless.end, Err(ModelError::TimedOut("not finished")));
}

#[tokio::test]
async fn dropping_the_answer_closes_the_connection_at_the_provider() {
    let server = ModelServer::playing(vec![head(), piece(format!("data: {TEXT}\n\n")), Act::Hang]).await;
    let model = openai(&server, PATIENT);
    let mut stream = model.stream(&request()).await.unwrap();
    assert_eq!(stream.next().await, Some(Ok(ModelEvent::Text("Ten".to_owned()))));
    assert_eq!(server.left(), 0);
    drop(stream);
    server.wait_for_left(1).await;

    let silent = ModelServer::playing(vec![Act::Hang]).await;
    let model = openai(&silent, PATIENT);
    let asking = tokio::spawn(async move { model.stream(&request()).await.is_ok() });
    while silent.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    asking.abort();
    silent.wait_for_left(1).await;
}

#[tokio::test]
async fn answers_that_came_to_their_end_leave_the_connection_to_the_next() {
    let mut script = stream(&[TEXT, STOP, "[DONE]"]);
    // The end of the body comes a little after the end of the answer, as it does on a network.
    script.truncate(script.len() - 1);
    script.extend([Act::Pause(Duration::from_millis(30)), end()]);
    let server = ModelServer::playing(script).await;
    let model = openai(&server, PATIENT);
    for _ in 0..5 {
        assert_eq!(ask(&model).await.end, Ok(StopReason::Complete));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(server.asked().len(), 5);
    assert!(server.connections() <= 2, "{} connections for five answers", server.connections());
}
