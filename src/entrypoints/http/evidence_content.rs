//! `/v1/cases/{id}/evidence/{evidence_id}/content`: the bytes, to be saved, never to be interpreted here.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use docket_domain::ids::{CaseId, EvidenceId};
use futures::{Stream, StreamExt};
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use super::extract::{Authenticated, NoQuery, PathIds};
use super::problem::{Problem, ProblemKind};
use super::state::ApiState;
use crate::application::error::UseCaseError;
use crate::application::evidence::media_type::served_type;
use crate::application::evidence::read_evidence::read_evidence;
use crate::application::ports::StoreError;
use crate::application::ports::blob_store::{ByteStream, ContentAddress};
use crate::application::ports::case_reader::EvidenceItem;

/// Download the bytes of an attachment; one range at a time may be asked for.
#[utoipa::path(get, path = "/v1/cases/{id}/evidence/{evidence_id}/content", tag = "evidence",
    params(("id" = Uuid, Path, description = "The case"), ("evidence_id" = Uuid, Path, description = "The attachment"),
        ("If-None-Match" = Option<String>, Header, description = "The ETag you have"),
        ("Range" = Option<String>, Header, description = "For instance bytes=0-1023")),
    responses(
        (status = 200, description = "The bytes, under their own media type where a browser would only show them",
            content((Vec<u8> = "application/octet-stream"), (Vec<u8> = "*/*")),
            headers(("ETag" = String), ("Repr-Digest" = String), ("Content-Disposition" = String))),
        (status = 206, description = "A part of the bytes", content((Vec<u8> = "application/octet-stream"), (Vec<u8> = "*/*"))),
        (status = 304, description = "You have these bytes"),
        (status = 416, description = "The range lies behind the end")))]
pub async fn get_evidence_content(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    PathIds(id, evidence_id): PathIds,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (case, evidence) = (CaseId(id), EvidenceId(evidence_id));
    let (cases, writing) = (state.cases.as_ref(), &state.writing);
    let item = read_evidence(cases, writing, &caller, case, evidence, "case.evidence.read").await?;
    let etag = format!("\"{}\"", hex::encode(item.sha256));
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = text(header::IF_NONE_MATCH);
    if known.trim() == "*" || known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        put(response.headers_mut(), header::ETAG, etag);
        return Ok(response);
    }
    // A range of other bytes than the client has is of no use to it (RFC 9110, section 13.1.5).
    let condition = text(header::IF_RANGE);
    let asked = Some(text(header::RANGE)).filter(|_| condition.is_empty() || condition == etag);
    let Ok(range) = asked.map_or(Ok(None), |range| parse_range(range, item.size_bytes)) else {
        let problem = Problem::new(ProblemKind::RangeNotSatisfiable, "the range lies behind the last byte");
        let size = HeaderValue::try_from(format!("bytes */{}", item.size_bytes));
        return Err(size.map_or(problem.clone(), |size| problem.with_header(header::CONTENT_RANGE, size)));
    };
    let (start, end) = range.unwrap_or((0, item.size_bytes));
    let address = ContentAddress { tenant_id: caller.actor.tenant_id, sha256: item.sha256 };
    let bytes = state.blobs.read(address, start..end).await.map_err(UseCaseError::from)?;
    let bytes = bytes.ok_or_else(|| {
        UseCaseError::from(StoreError::internal(format!("the bytes of evidence {evidence} are missing")))
    })?;
    let body = if range.is_some() { Body::from_stream(bytes) } else { Body::from_stream(checked(bytes, item.sha256)) };
    let mut response = Response::new(body);
    if range.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        put(response.headers_mut(), header::CONTENT_RANGE, format!("bytes {start}-{}/{}", end - 1, item.size_bytes));
    }
    describe(response.headers_mut(), &item, etag, end - start);
    Ok(response)
}

fn describe(headers: &mut HeaderMap, item: &EvidenceItem, etag: String, length: u64) {
    put(headers, header::CONTENT_TYPE, served_type(&item.media_type).to_owned());
    put(headers, header::CONTENT_LENGTH, length.to_string());
    put(headers, header::CONTENT_DISPOSITION, disposition(&item.file_name));
    put(headers, header::ETAG, etag);
    put(headers, header::ACCEPT_RANGES, "bytes".to_owned());
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned());
    put(headers, header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned());
    put(headers, header::CACHE_CONTROL, "private, no-cache".to_owned());
    let digest = format!("sha-256=:{}:", STANDARD.encode(item.sha256));
    put(headers, HeaderName::from_static("repr-digest"), digest);
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: String) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// Passes the bytes on and breaks the transfer off when they were not those that the hash names.
///
/// The last part is held back until the hash is known: once all announced bytes are out, a client takes them for good.
fn checked(bytes: ByteStream, expected: [u8; 32]) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
    let start = Checking { bytes, hasher: Sha256::new(), held: None, done: false };
    futures::stream::unfold(start, move |mut state| async move {
        while !state.done {
            match state.bytes.next().await {
                Some(Ok(part)) => {
                    state.hasher.update(&part);
                    if let Some(before) = state.held.replace(part) {
                        return Some((Ok(before), state));
                    }
                }
                Some(Err(error)) => {
                    state.done = true;
                    return Some((Err(error), state));
                }
                None => {
                    state.done = true;
                    if <[u8; 32]>::from(state.hasher.clone().finalize()) != expected {
                        tracing::error!(sha256 = hex::encode(expected), "the stored bytes of evidence were changed");
                        return Some((Err(StoreError::internal("the stored bytes were changed")), state));
                    }
                    return state.held.take().map(|last| (Ok(last), state));
                }
            }
        }
        None
    })
}

/// A download being checked.
struct Checking {
    bytes: ByteStream,
    hasher: Sha256,
    held: Option<Bytes>,
    done: bool,
}

/// One range of bytes as (first, one past the last); none when the whole is to be sent (no range, several, or a form that
/// is not understood: RFC 9110, section 14.2, lets us ignore those). An error when it lies behind the end.
fn parse_range(header: &str, size: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some((first, last)) = header.trim().strip_prefix("bytes=").and_then(|range| range.trim().split_once('-'))
    else {
        return Ok(None);
    };
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (start, end) = match (number(first), number(last)) {
        (Some(start), Some(last)) if start <= last => (start, last.saturating_add(1).min(size)),
        (Some(start), None) if last.is_empty() => (start, size),
        (None, Some(suffix)) if first.is_empty() => (size.saturating_sub(suffix), size),
        _ => return Ok(None),
    };
    if start < end { Ok(Some((start, end))) } else { Err(()) }
}

/// `attachment` with the name twice: in ASCII for old clients, and exactly (RFC 6266, RFC 8187).
fn disposition(name: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || " !#$&+-.^_`~()".contains(character);
    let fallback: String = name.chars().map(|character| if plain(character) { character } else { '_' }).collect();
    let encoded: String = name.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
        encoded
    });
    format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (header, range) in [
            ("", Ok(None)),
            ("bytes=0-0", Ok(Some((0, 1)))),
            ("bytes=2-", Ok(Some((2, 10)))),
            ("bytes=-3", Ok(Some((7, 10)))),
            ("bytes=-30", Ok(Some((0, 10)))),
            ("bytes=5-99", Ok(Some((5, 10)))),
            ("bytes=10-", Err(())),
            ("bytes=-0", Err(())),
            ("bytes=99999999999999999999999-", Err(())),
            ("bytes=3-2", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("lines=1-2", Ok(None)),
        ] {
            assert_eq!(parse_range(header, 10), range, "{header}");
        }
    }

    #[test]
    fn names_are_sent_for_old_and_new_clients() {
        assert_eq!(
            disposition("Prüf \"1\".pdf"),
            "attachment; filename=\"Pr_f _1_.pdf\"; filename*=UTF-8''Pr%C3%BCf%20%221%22.pdf"
        );
    }
}
