//! Attach content that the tenant stored before, named by its hash, without sending it again.

use super::{file_name, media_type};
use crate::application::cases::transition_case::StoredFile;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::ports::EvidenceIndex;
use crate::application::ports::case_reader::Viewer;

/// Content as a client names it.
#[derive(Debug, Clone, Default)]
pub struct NamedContent {
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
    /// The name to show; empty for the one it has elsewhere.
    pub file_name: String,
    /// What it shows.
    pub description: String,
}

/// The content, ready to be attached, or what is wrong with its name.
///
/// Only content of a case that the viewer may see is found: to know a hash is not to have the file.
pub async fn find_stored_content(
    index: &dyn EvidenceIndex,
    viewer: Viewer,
    named: NamedContent,
) -> Result<Result<StoredFile, Vec<Invalid>>, UseCaseError> {
    let wrong = |pointer: &str, detail: String| Ok(Err(vec![Invalid::new(pointer, detail)]));
    let Some(sha256) = hex::decode(&named.sha256).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) else {
        return wrong("/sha256", "must be 64 hexadecimal digits".to_owned());
    };
    let Some(known) = index.visible_content(viewer, sha256).await? else {
        return wrong(
            "/sha256",
            "no content with this hash is attached to a case that you may see; upload it".to_owned(),
        );
    };
    let wanted = if named.file_name.is_empty() { &known.file_name } else { &named.file_name };
    let file_name = match file_name::clean(wanted) {
        Ok(name) => name,
        Err(detail) => return wrong("/file_name", detail),
    };
    match media_type::by_name(&file_name) {
        Ok(kind) if kind.media_type == known.media_type => Ok(Ok(StoredFile {
            sha256,
            size_bytes: known.size_bytes,
            media_type: known.media_type,
            file_name,
            description: named.description,
            fresh: false,
        })),
        Ok(_) => wrong("/file_name", format!("must have an extension of {}", known.media_type)),
        Err(detail) => wrong("/file_name", detail),
    }
}
