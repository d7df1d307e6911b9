//! Seed the demo's documents: bring what is missing, leave what is there, and follow the reading for people who wait.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use docket_domain::document::{Chunking, DocumentStatus};
use docket_domain::ids::{DocumentId, TenantId};
use futures::stream;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::corpus::{self, CorpusDocument};
use super::seed_demo::system;
use crate::application::error::UseCaseError;
use crate::application::evidence::receive_file::{Announced, receive_file};
use crate::application::knowledge::library::{Library, NewDocument};
use crate::application::ports::StoreError;
use crate::application::ports::document_store::Place;
use crate::application::request::Rendered;
use crate::application::tenancy::unit_of_work::{Subject, TenancyPresenter};

/// How often the states of documents that are being read are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Why the demo's documents could not be seeded.
#[derive(Debug, thiserror::Error)]
pub enum DocumentsError {
    /// The manifest cannot be read.
    #[error("the manifest of the demo corpus is wrong: {0}")]
    Manifest(#[from] serde_json::Error),
    /// A document was refused.
    #[error("{0}: {1}")]
    Refused(String, #[source] UseCaseError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A document that its tenant does not have yet, or has with other content.
#[derive(Debug, Clone)]
pub struct Missing {
    tenant: TenantId,
    document: CorpusDocument,
    bytes: Bytes,
    /// How its collection is cut, if there is none yet.
    pub chunking: Chunking,
}

/// How far the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Documents that can be searched.
    pub ready: usize,
    /// Documents that cannot be read.
    pub failed: usize,
    /// Documents that were brought.
    pub total: usize,
    /// Passages of those that can be searched.
    pub passages: u64,
}

/// What of the corpus is not there. Nothing is written: a start that finds everything in its place does no work.
pub async fn missing_documents(library: &Library) -> Result<Vec<Missing>, DocumentsError> {
    let built_in = corpus::documents()?.into_iter().filter_map(|document| {
        let bytes = document.bytes()?;
        Some((document, Bytes::from_static(bytes)))
    });
    Ok(missing_among(library, built_in).await?)
}

/// What of these documents is not there; those of tenants that do not exist are passed over.
pub async fn missing_among(
    library: &Library,
    documents: impl Iterator<Item = (CorpusDocument, Bytes)> + Send,
) -> Result<Vec<Missing>, StoreError> {
    let mut tenants = BTreeMap::new();
    let mut missing = Vec::new();
    for (document, bytes) in documents {
        let tenant = match tenants.get(&document.tenant) {
            Some(known) => *known,
            None => library.tenancy.store.tenant_named(&document.tenant).await?.map(|tenant| tenant.id),
        };
        tenants.insert(document.tenant.clone(), tenant);
        let Some(tenant) = tenant else { continue };
        if !is_there(library, tenant, &document, &bytes).await? {
            missing.push(Missing { tenant, document, bytes, chunking: Chunking::default() });
        }
    }
    Ok(missing)
}

async fn is_there(
    library: &Library,
    tenant: TenantId,
    document: &CorpusDocument,
    bytes: &[u8],
) -> Result<bool, StoreError> {
    let Some(collection) = library.documents.collection(tenant, &document.collection).await? else { return Ok(false) };
    let place = Place { collection: collection.id, confidentiality: document.confidentiality };
    let found = library.documents.find_source(tenant, &place, document.source()).await?;
    let sha256 = hex::encode(Sha256::digest(bytes));
    let found = found.filter(|found| found.sha256 == sha256 && found.status != DocumentStatus::Failed);
    let Some(found) = found else { return Ok(false) };
    Ok(library.abandoned(&found).await?.is_none())
}

/// Brings documents and follows until each was read or refused, or until `stop`. Calls `told` whenever more of them are done.
/// The reading itself is a durable job of whoever works on the queue: what is cut short here goes on there.
pub async fn seed_documents(
    library: &Library,
    missing: Vec<Missing>,
    stop: &CancellationToken,
    told: &mut (dyn FnMut(Progress) + Send),
) -> Result<Progress, DocumentsError> {
    let mut waiting = Vec::with_capacity(missing.len());
    for one in missing {
        if stop.is_cancelled() {
            break;
        }
        let id = bring(library, &one).await.map_err(|error| DocumentsError::Refused(one.document.file.clone(), error));
        waiting.extend(id?.map(|id| (one.tenant, id)));
    }
    let mut progress = Progress { ready: 0, failed: 0, total: waiting.len(), passages: 0 };
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut still = Vec::new();
        for (tenant, id) in waiting {
            match library.documents.get(tenant, id).await? {
                Some(document) if document.status == DocumentStatus::Ready => {
                    progress.ready += 1;
                    progress.passages += u64::from(document.chunk_count);
                }
                Some(document)
                    if document.status != DocumentStatus::Failed && library.abandoned(&document).await?.is_none() =>
                {
                    still.push((tenant, id));
                }
                _ => progress.failed += 1,
            }
        }
        waiting = still;
        if waiting.len() < before {
            told(progress);
        }
        if !waiting.is_empty() && stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
            break;
        }
    }
    Ok(progress)
}

async fn bring(library: &Library, missing: &Missing) -> Result<Option<DocumentId>, UseCaseError> {
    let Missing { tenant, document, bytes, chunking } = missing;
    // What the bytes are is judged by name and content: the store knows Markdown as text.
    let announced = Announced { file_name: document.source().to_owned(), media_type: String::new() };
    let parts = stream::iter([Ok::<Bytes, UseCaseError>(bytes.clone())]);
    let staged = library.tenancy.clock.new_id();
    let received = receive_file(library.blobs.as_ref(), *tenant, staged, &announced, parts, bytes.len() as u64).await?;
    let new = NewDocument {
        collection: document.collection.clone(),
        chunking: *chunking,
        source: document.source().to_owned(),
        url: None,
        title: document.title.clone(),
        confidentiality: document.confidentiality,
        received,
    };
    let written = library.bring(&system(*tenant), None, new, &DocumentIdOnly).await?;
    Ok(written.rendered.body.parse().ok())
}

/// Takes down the id of the document.
struct DocumentIdOnly;

impl TenancyPresenter for DocumentIdOnly {
    fn done(&self, subject: &Subject, _: bool, _: Option<&str>) -> Rendered {
        let body = if let Subject::Document(document) = subject { document.id.to_string() } else { String::new() };
        Rendered { status: 201, etag: None, location: None, body }
    }
}
