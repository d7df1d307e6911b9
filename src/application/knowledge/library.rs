//! Bringing documents in and taking them out: acts on the tenant's chain, each with the job that reads the document.
//!
//! A document is known by its collection, its confidentiality and its source (a path or a URL). Bringing it again with
//! other content replaces it: the old content is searched until the new one was read. Bringing content that is there
//! already changes nothing and answers with the document that has it; unless reading it failed, or its job ended without
//! having read it: then it is read anew.

use std::sync::Arc;

use async_trait::async_trait;
use docket_domain::case::Confidentiality;
use docket_domain::case::visibility::Sight;
use docket_domain::document::visibility::{may_curate, may_see};
use docket_domain::document::{Chunk, Chunking, Collection, Document, DocumentStatus};
use docket_domain::ids::{CollectionId, DocumentId, JobId};
use docket_domain::job::Priority;
use docket_domain::principal::Scope;
use docket_domain::tenancy::Tenant;
use serde_json::Value;
use time::OffsetDateTime;

use super::ingest_document::{INGEST_DOCUMENT, payload};
use crate::application::error::{Invalid, UseCaseError};
use crate::application::evidence::file_name::extension;
use crate::application::evidence::receive_file::{Received, discard};
use crate::application::ports::case_reader::Viewer;
use crate::application::ports::document_store::{DocumentFilter, Place};
use crate::application::ports::job_store::NewJob;
use crate::application::ports::tenancy_store::{DocumentEffect, Effect};
use crate::application::ports::{BlobStore, ChunkStore, DocumentStore, JobStore, StoreError};
use crate::application::request::{Caller, Claim, Written};
use crate::application::tenancy::unit_of_work::{Act, Decide, Decision, Forget, Subject, Target, require_claim};
use crate::application::tenancy::{TenancyPresenter, TenancyWriting};

/// The collection of documents that name none.
pub const DEFAULT_COLLECTION: &str = "default";

/// The longest source, in bytes: the database looks sources up by an index, whose entries are short.
pub const SOURCE_BYTES_MAX: usize = 2_000;

/// Everything about documents but reading them.
#[derive(Clone)]
pub struct Library {
    /// Acts on the tenant's chain.
    pub tenancy: TenancyWriting,
    /// Documents and collections.
    pub documents: Arc<dyn DocumentStore>,
    /// Passages.
    pub chunks: Arc<dyn ChunkStore>,
    /// Their bytes.
    pub blobs: Arc<dyn BlobStore>,
    /// The jobs that read them.
    pub jobs: Arc<dyn JobStore>,
}

/// A document that somebody brings; its bytes are staged.
#[derive(Debug, Clone)]
pub struct NewDocument {
    /// The collection; made when there is none.
    pub collection: String,
    /// How a new collection is cut.
    pub chunking: Chunking,
    /// Under which name it comes.
    pub source: String,
    /// Where it was fetched from.
    pub url: Option<String>,
    /// What it is called until somebody reads what it calls itself.
    pub title: String,
    /// Who may see it.
    pub confidentiality: Confidentiality,
    /// Its bytes.
    pub received: Received,
}

impl Library {
    /// Fails unless the caller may bring documents of this confidentiality at all; asked before bytes are taken in.
    pub async fn require_curator(
        &self,
        caller: &Caller,
        claim: Option<&Claim>,
        confidentiality: Confidentiality,
    ) -> Result<(), UseCaseError> {
        caller.require_scope(Scope::KnowledgeWrite)?;
        require_claim(caller, claim)?;
        if may_curate(&caller.actor, confidentiality) {
            return Ok(());
        }
        let denial = UseCaseError::Forbidden(format!("your roles may not bring {confidentiality} documents"));
        Err(self.tenancy.denied(caller, "document.bring", denial).await?)
    }

    /// Brings a document; see the top of this file. The staged bytes are gone afterwards in any case.
    pub async fn bring(
        &self,
        caller: &Caller,
        claim: Option<&Claim>,
        new: NewDocument,
        presenter: &dyn TenancyPresenter,
    ) -> Result<Written, UseCaseError> {
        let outcome = self.bring_staged(caller, claim, &new, presenter).await;
        discard(self.blobs.as_ref(), new.received.staged).await;
        outcome
    }

    async fn bring_staged(
        &self,
        caller: &Caller,
        claim: Option<&Claim>,
        new: &NewDocument,
        presenter: &dyn TenancyPresenter,
    ) -> Result<Written, UseCaseError> {
        self.require_curator(caller, claim, new.confidentiality).await?;
        if new.source.len() > SOURCE_BYTES_MAX {
            let detail = format!("has {} bytes; at most {SOURCE_BYTES_MAX} are allowed", new.source.len());
            return Err(UseCaseError::Invalid(vec![Invalid::new("/source", detail)]));
        }
        // As with evidence: bytes first, then the row that knows them, then a look whether a sweeper came in between.
        self.blobs.promote(new.received.staged, new.received.address).await?;
        let target = Target::Existing(caller.actor.tenant_id);
        let act = Act { caller, target, claim, presenter, attempted: "document.bring" };
        let written = self.tenancy.carry_out(act, &Bring { library: self, caller, new }).await?;
        if self.blobs.size(new.received.address).await? != Some(new.received.size_bytes) {
            self.blobs.promote(new.received.staged, new.received.address).await?;
        }
        Ok(written)
    }

    /// Removes a document with everything that was read in it.
    pub async fn remove(
        &self,
        caller: &Caller,
        claim: Option<&Claim>,
        id: DocumentId,
        presenter: &dyn TenancyPresenter,
    ) -> Result<Written, UseCaseError> {
        caller.require_scope(Scope::KnowledgeWrite)?;
        let target = Target::Existing(caller.actor.tenant_id);
        let act = Act { caller, target, claim, presenter, attempted: "document.delete" };
        self.tenancy.carry_out(act, &Remove { library: self, caller, id }).await
    }

    /// A document that the caller may know of.
    pub async fn read(&self, caller: &Caller, id: DocumentId) -> Result<Document, UseCaseError> {
        caller.require_scope(Scope::KnowledgeRead)?;
        let found = self.documents.get(caller.actor.tenant_id, id).await?;
        found.filter(|document| may_see(&caller.actor, document)).ok_or(UseCaseError::NotFound("document"))
    }

    /// Why nobody reads a document any more that was not read: its job died or was cancelled. None while somebody will.
    pub async fn abandoned(&self, document: &Document) -> Result<Option<String>, StoreError> {
        let waits =
            |document: &Document| matches!(document.status, DocumentStatus::Queued | DocumentStatus::Processing);
        if !waits(document) {
            return Ok(None);
        }
        let (tenant, job) = (document.tenant_id, document.job_id.map(JobId));
        let job = if let Some(id) = job { self.jobs.get(tenant, id).await? } else { None };
        let reason = match job {
            Some(job) if !job.state.is_final() => return Ok(None),
            Some(job) => format!("its job is {}: {}", job.state, job.error.as_deref().unwrap_or("no reason is known")),
            None => "its job is gone".to_owned(),
        };
        // The job may have ended well since the document was looked at.
        let now = self.documents.get(tenant, document.id).await?;
        Ok(now.is_some_and(|now| now.version == document.version && waits(&now)).then_some(reason))
    }

    /// A page of documents, newest first.
    pub async fn list(
        &self,
        caller: &Caller,
        collection: Option<&str>,
        status: Option<DocumentStatus>,
        before: Option<DocumentId>,
        limit: u32,
    ) -> Result<Vec<Document>, UseCaseError> {
        caller.require_scope(Scope::KnowledgeRead)?;
        let mut filter = DocumentFilter { collection: None, status };
        if let Some(name) = collection {
            let Some(found) = self.documents.collection(caller.actor.tenant_id, name).await? else {
                return Ok(Vec::new());
            };
            filter.collection = Some(found.id);
        }
        Ok(self.documents.list(viewer(caller), &filter, before, limit).await?)
    }

    /// Passages of a document from a place on.
    pub async fn passages(
        &self,
        caller: &Caller,
        id: DocumentId,
        from: u32,
        limit: u32,
    ) -> Result<Vec<Chunk>, UseCaseError> {
        self.read(caller, id).await?;
        Ok(self.chunks.of_document(viewer(caller), id, from, limit).await?)
    }
}

fn viewer(caller: &Caller) -> Viewer {
    let actor = &caller.actor;
    Viewer { tenant_id: actor.tenant_id, principal_id: actor.principal_id, sight: Sight::of(actor) }
}

struct Bring<'a> {
    library: &'a Library,
    caller: &'a Caller,
    new: &'a NewDocument,
}

impl Bring<'_> {
    fn fresh_id(&self) -> uuid::Uuid {
        self.library.tenancy.clock.new_id()
    }

    fn job(&self, document: &Document, id: JobId) -> Result<NewJob, StoreError> {
        Ok(NewJob {
            id,
            tenant_id: document.tenant_id,
            kind: INGEST_DOCUMENT.parse().map_err(StoreError::internal)?,
            payload: payload(document.id, document.version),
            priority: Priority::Normal,
            run_at: None,
            unique_key: None,
            requested_by: self.caller.actor.principal_id,
            traceparent: self.caller.traceparent.clone(),
        })
    }

    /// Whether the document has this content, and was or will be read.
    async fn is_same(&self, document: &Document) -> Result<bool, StoreError> {
        let same = document.sha256 == hex::encode(self.new.received.address.sha256);
        Ok(same && document.status != DocumentStatus::Failed && self.library.abandoned(document).await?.is_none())
    }

    fn document(&self, collection: CollectionId, job: JobId, now: OffsetDateTime) -> Document {
        let NewDocument { source, url, title, confidentiality, received, .. } = self.new;
        Document {
            id: DocumentId(self.fresh_id()),
            tenant_id: self.caller.actor.tenant_id,
            collection_id: collection,
            title: title.clone(),
            source: source.clone(),
            url: url.clone(),
            media_type: media_type(received),
            sha256: hex::encode(received.address.sha256),
            size_bytes: received.size_bytes,
            language: None,
            confidentiality: *confidentiality,
            status: DocumentStatus::Queued,
            failure: None,
            version: 1,
            generation: 0,
            pages: None,
            chunk_count: 0,
            job_id: Some(job.0),
            created_by: self.caller.actor.principal_id,
            created_at: now,
            updated_at: now,
        }
    }
}

/// What parsers know a file as: Markdown is text to whoever keeps it, but not to whoever reads it.
fn media_type(received: &Received) -> String {
    if extension(&received.file_name) == "md" {
        return "text/markdown".to_owned();
    }
    received.kind.media_type.to_owned()
}

#[async_trait]
impl Decide for Bring<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, now: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant = tenant.ok_or(UseCaseError::NotFound("tenant"))?.id;
        let documents = self.library.documents.as_ref();
        let mut effects = Vec::new();
        let change = |effect| Effect::Document(Box::new(effect));
        let collection = if let Some(found) = documents.collection(tenant, &self.new.collection).await? {
            found.id
        } else {
            let made = Collection {
                id: CollectionId(self.fresh_id()),
                name: self.new.collection.clone(),
                chunking: self.new.chunking,
                created_by: self.caller.actor.principal_id,
                created_at: now,
            };
            let id = made.id;
            effects.push(change(DocumentEffect::CreateCollection(made)));
            id
        };
        let place = Place { collection, confidentiality: self.new.confidentiality };
        let sha256 = self.new.received.address.sha256;
        let by_source = documents.find_source(tenant, &place, &self.new.source).await?;
        let known = match by_source {
            Some(document) if self.is_same(&document).await? => Some(document),
            Some(document) => {
                let job = JobId(self.fresh_id());
                let before = serde_json::to_value(&document).map_err(StoreError::internal)?;
                let fresh = self.document(collection, job, now);
                let next = Document {
                    title: fresh.title,
                    url: fresh.url,
                    media_type: fresh.media_type,
                    sha256: fresh.sha256,
                    size_bytes: fresh.size_bytes,
                    ..document.queued_again(job, now)
                };
                effects.push(change(DocumentEffect::Replace(next.clone())));
                effects.push(Effect::EnqueueJob(self.job(&next, job)?));
                return Ok(decided(effects, "document.replace", next, false, before));
            }
            None => match documents.find_content(tenant, &place, sha256).await? {
                Some(document) if self.is_same(&document).await? => Some(document),
                _ => None,
            },
        };
        if let Some(document) = known {
            let before = serde_json::to_value(&document).map_err(StoreError::internal)?;
            return Ok(decided(effects, "document.bring_again", document, false, before));
        }
        let job = JobId(self.fresh_id());
        let document = self.document(collection, job, now);
        effects.push(change(DocumentEffect::Create(document.clone())));
        effects.push(Effect::EnqueueJob(self.job(&document, job)?));
        Ok(decided(effects, "document.create", document, true, Value::Null))
    }
}

struct Remove<'a> {
    library: &'a Library,
    caller: &'a Caller,
    id: DocumentId,
}

#[async_trait]
impl Decide for Remove<'_> {
    async fn decide(&self, tenant: Option<&Tenant>, _: OffsetDateTime) -> Result<Decision, UseCaseError> {
        let tenant = tenant.ok_or(UseCaseError::NotFound("tenant"))?.id;
        let actor = &self.caller.actor;
        let found = self.library.documents.get(tenant, self.id).await?;
        let document = found.filter(|document| may_see(actor, document)).ok_or(UseCaseError::NotFound("document"))?;
        if !may_curate(actor, document.confidentiality) {
            let level = document.confidentiality;
            return Err(UseCaseError::Forbidden(format!("your roles may not remove {level} documents")));
        }
        let before = serde_json::to_value(&document).map_err(StoreError::internal)?;
        let effects = vec![Effect::Document(Box::new(DocumentEffect::Delete(self.id)))];
        Ok(decided(effects, "document.delete", document, false, before))
    }
}

fn decided(effects: Vec<Effect>, action: &'static str, document: Document, created: bool, before: Value) -> Decision {
    let subject = Subject::Document(Box::new(document));
    Decision { effects, action, subject, created, before, secret: None, forget: Forget::Nothing }
}
