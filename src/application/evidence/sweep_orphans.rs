//! Sweep orphans: remove stored bytes that no case uses and that are old enough to belong to no running upload.

use futures::StreamExt;
use time::{Duration, OffsetDateTime};

use crate::application::error::UseCaseError;
use crate::application::ports::blob_store::{ContentAddress, Listed, StoredObject};
use crate::application::ports::{BlobStore, EvidenceIndex};

/// The least age at which bytes may be removed: longer than the longest upload.
pub const LEAST_AGE: Duration = Duration::hours(1);

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects looked at.
    pub seen: u64,
    /// Contents removed that no case used.
    pub contents_removed: u64,
    /// Unfinished uploads removed.
    pub uploads_removed: u64,
}

/// Removes what is older than `older_than` (at least [`LEAST_AGE`]) and not in use; with `dry_run` only counts.
///
/// Content is removed while the database holds it as unused: an attachment that is committed at this moment either came
/// first, and the content stays, or waits, and then finds the content gone and stores it again.
pub async fn sweep_orphans(
    blobs: &dyn BlobStore,
    index: &dyn EvidenceIndex,
    now: OffsetDateTime,
    older_than: Duration,
    dry_run: bool,
) -> Result<Swept, UseCaseError> {
    let cutoff = now - older_than.max(LEAST_AGE);
    let mut swept = Swept::default();
    let mut listed = blobs.list();
    while let Some(next) = listed.next().await {
        let Listed { object, stored_at } = next?;
        swept.seen += 1;
        if stored_at >= cutoff {
            continue;
        }
        match object {
            StoredObject::Staged(staged) => {
                if !dry_run {
                    blobs.discard(staged).await?;
                }
                swept.uploads_removed += 1;
            }
            StoredObject::Content(content) => {
                swept.contents_removed += u64::from(remove_unused(blobs, index, content, dry_run).await?);
            }
        }
    }
    Ok(swept)
}

async fn remove_unused(
    blobs: &dyn BlobStore,
    index: &dyn EvidenceIndex,
    content: ContentAddress,
    dry_run: bool,
) -> Result<bool, UseCaseError> {
    let Some(hold) = index.hold_unused(content).await? else { return Ok(false) };
    if !dry_run {
        blobs.delete(content).await?;
        hold.forget().await?;
    }
    Ok(true)
}
