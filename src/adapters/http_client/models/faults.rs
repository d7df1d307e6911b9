//! What a provider's refusals mean: statuses, error objects, and broken connections as errors of the port.

use std::error::Error as _;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::super::retry_after::retry_after;
use crate::application::ports::language_model::ModelError;

/// What is kept of a provider's words, in characters.
const WORDS_MAX: usize = 300;
/// The longest wait that a provider may ask for.
const WAIT_MAX: Duration = Duration::from_hours(1);

/// The kinds of failure that providers name, whatever their words for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Refused,
    Limited,
    Failing,
}

/// An answer whose status is not 200.
pub(super) fn by_status(status: StatusCode, headers: &HeaderMap, body: &[u8], key: Option<&str>) -> ModelError {
    let said = serde_json::from_slice::<Value>(body).ok();
    let error = said.as_ref().map(|said| said.get("error").unwrap_or(said));
    let words = error.map_or_else(|| String::from_utf8_lossy(body).into_owned(), message);
    let words = clean(&format!("{status}: {words}"), key);
    // An account without credit answers 429, too; waiting does not fill it.
    let out_of_credit = error.is_some_and(|error| code(error).contains("insufficient_quota"));
    match status.as_u16() {
        429 if out_of_credit => ModelError::Refused(words),
        429 | 529 => ModelError::RateLimited { retry_after: wait(headers) },
        408 | 500..=599 => ModelError::Unavailable(words),
        300..=399 => ModelError::Refused(format!("{status}: redirects are not followed; set the final base address")),
        400..=499 => ModelError::Refused(words),
        _ => ModelError::Malformed(words),
    }
}

/// An error object in the place of an answer, or in the middle of one.
pub(super) fn by_object(error: &Value, key: Option<&str>) -> ModelError {
    let words = clean(&message(error), key);
    match kind(error) {
        Kind::Refused => ModelError::Refused(words),
        Kind::Limited => ModelError::RateLimited { retry_after: None },
        Kind::Failing => ModelError::Unavailable(words),
    }
}

/// A request that got no head of an answer, or a body that broke off.
pub(super) fn by_connection(error: &reqwest::Error) -> ModelError {
    if error.is_timeout() {
        return ModelError::TimedOut(if error.is_connect() {
            "no connection"
        } else {
            "the provider's answer stopped"
        });
    }
    // The innermost cause says what happened; the address is left out, it may hold a key.
    let mut cause = error.source();
    let mut words = if error.is_connect() { "no connection".to_owned() } else { "the connection broke".to_owned() };
    while let Some(inner) = cause {
        cause = inner.source();
        if cause.is_none() {
            words = format!("{words}: {inner}");
        }
    }
    ModelError::Unavailable(clean(&words, None))
}

/// `Retry-After`, or the finer `retry-after-ms` of some providers.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let millis = headers.get("retry-after-ms").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    millis.map(Duration::from_millis).or_else(|| retry_after(headers)).map(|wait| wait.min(WAIT_MAX))
}

fn message(error: &Value) -> String {
    let text = error.as_str().or_else(|| error.get("message")?.as_str()).or_else(|| error.get("detail")?.as_str());
    text.map_or_else(|| error.to_string(), str::to_owned)
}

/// Type and code together, as one text to look for words in.
fn code(error: &Value) -> String {
    let text = |name: &str| match error.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    format!("{} {}", text("type"), text("code")).to_ascii_lowercase()
}

fn kind(error: &Value) -> Kind {
    let code = code(error);
    let names = |words: &[&str]| words.iter().any(|word| code.contains(word));
    if names(&["insufficient_quota", "billing"]) {
        Kind::Refused
    } else if names(&["rate_limit", "overloaded", "too_many", "429", "529"]) {
        Kind::Limited
    } else if names(&["invalid", "authentication", "permission", "not_found", "too_large", "exceeded", "badrequest"])
        || ["400", "401", "402", "403", "404", "413", "422"]
            .iter()
            .any(|status| code.split(' ').any(|word| word == *status))
    {
        Kind::Refused
    } else {
        Kind::Failing
    }
}

/// Words of a provider made fit for a log: short, one line, and without the key, which some repeat.
fn clean(words: &str, key: Option<&str>) -> String {
    let words = match key {
        Some(key) if !key.is_empty() => words.replace(key, "(key)"),
        _ => words.to_owned(),
    };
    let line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MAX).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    fn status(code: u16, body: &Value) -> ModelError {
        let status = StatusCode::from_u16(code).unwrap_or_default();
        by_status(status, &HeaderMap::new(), body.to_string().as_bytes(), Some("sk-secret"))
    }

    #[test]
    fn a_status_says_whether_another_try_can_help() {
        let body = json!({"error": {"message": "no sk-secret here", "type": "x"}});
        for code in [500, 502, 503, 504, 408] {
            assert!(matches!(status(code, &body), ModelError::Unavailable(_)), "{code}");
        }
        for code in [400, 401, 402, 403, 404, 413, 422, 302] {
            assert!(matches!(status(code, &body), ModelError::Refused(_)), "{code}");
        }
        for code in [429, 529] {
            assert_eq!(status(code, &body), ModelError::RateLimited { retry_after: None }, "{code}");
        }
        assert!(matches!(status(204, &body), ModelError::Malformed(_)));
        let empty = json!({"error": {"message": "buy more", "code": "insufficient_quota"}});
        assert!(matches!(status(429, &empty), ModelError::Refused(_)), "waiting does not fill an account");
        assert_eq!(status(401, &body), ModelError::Refused("401 Unauthorized: no (key) here".to_owned()));
    }

    #[test]
    fn the_wait_that_a_provider_asks_for_is_kept_up_to_an_hour() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("999999"));
        let limited = by_status(StatusCode::TOO_MANY_REQUESTS, &headers, b"", None);
        assert_eq!(limited, ModelError::RateLimited { retry_after: Some(WAIT_MAX) });
        headers.insert("retry-after-ms", HeaderValue::from_static("250"));
        let limited = by_status(StatusCode::TOO_MANY_REQUESTS, &headers, b"", None);
        assert_eq!(limited, ModelError::RateLimited { retry_after: Some(Duration::from_millis(250)) });
    }

    #[test]
    fn error_objects_of_many_makes_are_understood() {
        let of = |error: Value| by_object(&error, None);
        assert!(matches!(of(json!({"type": "server_error", "message": "m"})), ModelError::Unavailable(_)));
        assert!(matches!(of(json!("something broke")), ModelError::Unavailable(_)));
        assert!(matches!(of(json!({"type": "api_error", "message": "m"})), ModelError::Unavailable(_)));
        assert!(matches!(of(json!({"code": 500, "message": "m"})), ModelError::Unavailable(_)));
        for limited in
            [json!({"type": "overloaded_error"}), json!({"code": "rate_limit_exceeded"}), json!({"code": 429})]
        {
            assert_eq!(of(limited.clone()), ModelError::RateLimited { retry_after: None }, "{limited}");
        }
        for refused in [
            json!({"type": "invalid_request_error"}),
            json!({"code": "context_length_exceeded"}),
            json!({"type": "authentication_error"}),
            json!({"type": "BadRequestError", "code": 400}),
            json!({"type": "billing_error"}),
        ] {
            assert!(matches!(of(refused.clone()), ModelError::Refused(_)), "{refused}");
        }
    }

    #[test]
    fn words_of_a_provider_are_one_short_line() {
        let long = "x\n".repeat(1_000);
        let ModelError::Unavailable(words) = by_object(&json!({"message": long}), None) else { panic!("another kind") };
        assert!(words.len() <= WORDS_MAX && !words.contains('\n'));
    }
}
