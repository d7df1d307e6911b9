//! Taking a document in: as a form with a file, or as an address to fetch it from.

use axum::extract::Request;
use axum::extract::multipart::Field;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Map, Value};
use url::Url;

use super::document_body::{Labels, invalid, labels};
use super::problem::Problem;
use super::state::ApiState;
use super::upload_form::{UploadForm, broken};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::evidence::media_type;
use crate::application::evidence::receive_file::{Announced, Received, discard, receive_file};
use crate::application::ports::document_fetcher::FetchFailure;
use crate::application::request::Caller;

/// Longest text part, in bytes.
const TEXT_MAX: usize = 8 * 1024;
/// Most parts beside the file; which there are is judged when all are read.
const PARTS_MAX: usize = 32;

/// Reads a form. On any mistake, bytes that were staged already are forgotten again.
pub(super) async fn from_form(
    state: &ApiState,
    caller: &Caller,
    request: Request,
) -> Result<(Received, Labels), Problem> {
    let wanted = "send `multipart/form-data` with a part named `file`, or JSON with a `url`";
    let mut form = UploadForm::from_request(request, wanted).await?;
    let mut file = None;
    let outcome = read_parts(state, caller, &mut form, &mut file).await;
    let outcome = outcome.and_then(|body| Ok(labels(Value::Object(body))?));
    match (outcome, file) {
        (Ok(labels), Some(received)) if labels.url.is_none() => Ok((received, labels)),
        (outcome, Some(received)) => {
            discard(state.blobs.as_ref(), received.staged).await;
            Err(outcome.err().unwrap_or_else(|| invalid("/url", "is not a part beside a file").into()))
        }
        (Ok(_), None) => Err(invalid("/file", "is required: one part named `file` with a file name").into()),
        (Err(problem), None) => Err(problem),
    }
}

/// Reads a body that names an address, and fetches from there.
pub(super) async fn from_url(state: &ApiState, caller: &Caller, body: Value) -> Result<(Received, Labels), Problem> {
    let mut labels = labels(body)?;
    let url = labels.url.clone().ok_or_else(|| invalid("/url", "is required"))?;
    let limit = state.max_evidence_bytes;
    let fetched = state.fetcher.fetch(&url, limit).await.map_err(not_fetched)?;
    let announced = Announced { file_name: file_name(&url, &fetched.media_type), media_type: fetched.media_type };
    let chunks = fetched.bytes.map_err(not_fetched);
    let tenant = caller.actor.tenant_id;
    let received = receive_file(state.blobs.as_ref(), tenant, state.clock.new_id(), &announced, chunks, limit).await?;
    labels.source.get_or_insert(url);
    Ok((received, labels))
}

fn not_fetched(failure: FetchFailure) -> UseCaseError {
    match failure {
        FetchFailure::TooLarge { limit } => UseCaseError::TooLarge { limit },
        FetchFailure::Refused(words) | FetchFailure::Failed(words) => invalid("/url", &words),
        FetchFailure::Busy => UseCaseError::RateLimited { retry_after_seconds: 5 },
    }
}

/// A name for what came from an address: its last part, with an extension that fits the media type. Addresses name programs
/// and pages as they like; what the server says of its answer goes before that.
fn file_name(url: &str, media_type: &str) -> String {
    let url = Url::parse(url).ok();
    let last = url.as_ref().and_then(|url| url.path_segments()?.next_back()).unwrap_or_default();
    let stem: String =
        last.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect();
    let stem = if stem.is_empty() { "page".to_owned() } else { stem };
    let usual = match media_type {
        "text/markdown" | "text/x-markdown" => "md",
        said => match media_type::declared_as(said) {
            Some(kind) => kind.extensions[0],
            None => return stem,
        },
    };
    if media_type::by_name(&stem).is_ok_and(|kind| kind.may_be_declared(media_type)) {
        return stem;
    }
    format!("{stem}.{usual}")
}

async fn read_parts(
    state: &ApiState,
    caller: &Caller,
    form: &mut UploadForm,
    file: &mut Option<Received>,
) -> Result<Map<String, Value>, Problem> {
    let mut body = Map::new();
    while let Some(field) = form.next_part().await? {
        let name: String = field.name().unwrap_or_default().chars().take(60).collect();
        match name.as_str() {
            "file" if file.is_some() => return Err(invalid("/file", "was sent twice; send one file a request").into()),
            "file" => *file = Some(read_file(state, caller, field).await?),
            _ if body.len() == PARTS_MAX => {
                return Err(invalid("", "has more parts than a document has members").into());
            }
            _ if body.contains_key(&name) => return Err(invalid(&format!("/{name}"), "was sent twice").into()),
            _ => {
                let text = read_text(field, &name).await?;
                let number = name.starts_with("chunk_").then(|| text.parse::<u64>().ok()).flatten();
                body.insert(name, number.map_or(Value::String(text), Value::from));
            }
        }
    }
    Ok(body)
}

async fn read_file(state: &ApiState, caller: &Caller, field: Field<'_>) -> Result<Received, Problem> {
    let announced = Announced {
        file_name: field.file_name().unwrap_or_default().to_owned(),
        media_type: field.content_type().unwrap_or_default().to_owned(),
    };
    // The use case knows no HTTP: what broke the transfer is kept aside and told in its own words.
    let mut transfer = None;
    let chunks = field.map_err(|error| {
        transfer = Some(broken(&error));
        UseCaseError::Invalid(vec![Invalid::new("/file", "the transfer broke off")])
    });
    let (tenant, staged) = (caller.actor.tenant_id, state.clock.new_id());
    let limit = state.max_evidence_bytes;
    let received = receive_file(state.blobs.as_ref(), tenant, staged, &announced, chunks.boxed(), limit).await;
    received.map_err(|error| transfer.unwrap_or_else(|| error.into()))
}

async fn read_text(mut field: Field<'_>, name: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| broken(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > TEXT_MAX {
            return Err(invalid(&format!("/{name}"), "is too long").into());
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid(&format!("/{name}"), "must be UTF-8").into())
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn a_name_keeps_the_extension_that_fits_its_media_type_and_gets_one_otherwise() {
        const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        for (path, media_type, name) in [
            ("rules", "text/html", "rules.html"),
            ("rules.htm", "text/html", "rules.htm"),
            ("rules.php", "application/xhtml+xml", "rules.php.html"),
            ("", "application/xhtml+xml", "page.html"),
            ("rules.asp", "text/plain", "rules.asp.txt"),
            ("README.md", "text/plain", "README.md"),
            ("rules", "text/markdown", "rules.md"),
            ("rules.md", "text/markdown", "rules.md"),
            ("download", DOCX, "download.docx"),
            ("act.docx", DOCX, "act.docx"),
            ("act.pdf", "application/octet-stream", "act.pdf"),
            ("act.pdf", "", "act.pdf"),
            ("act.PDF", "application/pdf", "act.PDF"),
            ("act", "application/pdf", "act.pdf"),
        ] {
            assert_eq!(
                file_name(&format!("https://example.org/a/{path}?q=1"), media_type),
                name,
                "{path} {media_type}"
            );
        }
    }
}
