//! The headers of a write: how a key is read, and what of a request goes into its fingerprint.

use axum::extract::FromRequestParts;
use docket::application::request::{Claim, IfMatch};
use docket::entrypoints::http::extract::WriteHeaders;
use docket::entrypoints::http::problem::{Problem, ProblemKind};
use http::{HeaderValue, Request};

/// The headers of `POST /v1/cases?b=2&a=1` with these.
async fn read(headers: &[(&'static str, &[u8])]) -> Result<WriteHeaders, Problem> {
    read_of("POST", "/v1/cases?b=2&a=1", headers).await
}

async fn read_of(method: &str, uri: &str, headers: &[(&'static str, &[u8])]) -> Result<WriteHeaders, Problem> {
    let mut request = Request::builder().method(method).uri(uri).body(()).unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_bytes(value).unwrap());
    }
    WriteHeaders::from_request_parts(&mut request.into_parts().0, &()).await
}

async fn claim(method: &str, uri: &str, headers: &[(&'static str, &[u8])], body: &[u8]) -> Claim {
    let headers = [headers, &[("idempotency-key", &b"k"[..])]].concat();
    read_of(method, uri, &headers).await.unwrap().claim(body).unwrap()
}

#[tokio::test]
async fn without_a_key_there_is_no_claim() {
    let headers = read(&[]).await.unwrap();
    assert!(headers.claim(b"{}").is_none());
    assert_eq!(headers.if_match, IfMatch::Absent);
}

#[tokio::test]
async fn a_key_is_taken_as_sent_or_out_of_its_quotes() {
    for value in [&b"key-1"[..], b"\"key-1\""] {
        let claim = read(&[("idempotency-key", value)]).await.unwrap().claim(b"{}").unwrap();
        assert_eq!(claim.key.as_str(), "key-1");
    }
}

#[tokio::test]
async fn a_malformed_or_doubled_key_is_refused() {
    for value in [&b""[..], &[b'k'; 256], b"a b", b"\xe9"] {
        let problem = read(&[("idempotency-key", value)]).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::IdempotencyKeyMalformed);
        assert_eq!(problem.detail, "an Idempotency-Key is 1 to 255 visible ASCII characters");
    }
    let problem = read(&[("idempotency-key", b"k"), ("idempotency-key", b"k")]).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::IdempotencyKeyMalformed);
    assert_eq!(problem.detail, "the Idempotency-Key header was sent twice");
}

#[tokio::test]
async fn the_version_seen_is_read_from_if_match() {
    for (value, expected) in [
        (&b"\"v3\""[..], IfMatch::Version(3)),
        (b"*", IfMatch::Absent),
        (b"W/\"v3\"", IfMatch::Absent),
        (b"\"v3x\"", IfMatch::Foreign),
        (b"\"v0\"", IfMatch::Foreign),
        (b"\"x\", \"v4\"", IfMatch::Version(4)),
        (b"*, \"v3", IfMatch::Foreign),
    ] {
        assert_eq!(read(&[("if-match", value)]).await.unwrap().if_match, expected, "{value:?}");
    }
}

#[tokio::test]
async fn a_retry_has_the_fingerprint_of_the_first_send() {
    let sent = claim("POST", "/v1/cases?b=2&a=1", &[("content-type", b"application/json")], b"{}").await;
    let retried = [("content-type", &b"application/json; charset=utf-8"[..]), ("user-agent", b"another")];
    let retried = claim("POST", "/v1/cases?a=1&b=2", &retried, b"{}").await;
    assert_eq!(sent.fingerprint, retried.fingerprint);
    let boundary = |value: &'static [u8]| [("content-type", value)];
    let upload = claim("POST", "/e", &boundary(b"multipart/form-data; boundary=x"), b"digest").await;
    let again = claim("POST", "/e", &boundary(b"multipart/form-data; boundary=y"), b"digest").await;
    assert_eq!(upload.fingerprint, again.fingerprint, "the boundary is random");
}

#[tokio::test]
async fn every_part_of_the_request_counts_for_the_fingerprint() {
    let json = [("content-type", &b"application/json"[..])];
    let sent = claim("POST", "/v1/cases?a=1", &json, b"{}").await.fingerprint;
    let seen = [json[0], ("if-match", b"\"v1\"")];
    let stale = [json[0], ("if-match", b"\"v2\"")];
    let others = [
        claim("PATCH", "/v1/cases?a=1", &json, b"{}").await.fingerprint,
        claim("POST", "/v1/cases/1?a=1", &json, b"{}").await.fingerprint,
        claim("POST", "/v1/cases?a=2", &json, b"{}").await.fingerprint,
        claim("POST", "/v1/cases", &json, b"{}").await.fingerprint,
        claim("POST", "/v1/cases?a=1", &[("content-type", b"text/plain")], b"{}").await.fingerprint,
        claim("POST", "/v1/cases?a=1", &[], b"{}").await.fingerprint,
        claim("POST", "/v1/cases?a=1", &seen, b"{}").await.fingerprint,
        claim("POST", "/v1/cases?a=1", &stale, b"{}").await.fingerprint,
        claim("POST", "/v1/cases?a=1", &json, b"[]").await.fingerprint,
    ];
    for (index, other) in others.iter().enumerate() {
        assert_ne!(*other, sent);
        assert!(!others[..index].contains(other));
    }
}
