//! `POST /v1/search`: passages of documents, and why each was found.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use docket_domain::case::Confidentiality;
use docket_domain::ids::DocumentId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::extract::{Authenticated, JsonBody, NoQuery};
use super::form::Form;
use super::problem::Problem;
use super::state::ApiState;
use crate::application::error::{Invalid, UseCaseError};
use crate::application::knowledge::search_order::{Hit, Place, SearchOrder, SearchResult};

/// Passages when the client names no number, and at most.
const LIMIT: (usize, u64) = (10, 50);
/// Characters of a question.
const LONGEST_QUERY: usize = 2_000;

/// A search.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "documents the form; the form itself is read member by member")]
pub struct Search {
    /// What is looked for, in plain words; at most 2,000 characters.
    query: String,
    /// Only the collection of this name.
    collection: Option<String>,
    /// Only these documents.
    document_ids: Option<Vec<Uuid>>,
    /// Only these confidentialities: public, internal, restricted.
    confidentialities: Option<Vec<String>>,
    /// Passages at most: 10 by default, up to 50.
    limit: Option<u32>,
    /// How words and meaning become one list: convex (default), rrf, keywords, meaning.
    fusion: Option<String>,
    /// Compare the first 30 candidates token by token; takes about a second.
    rerank: Option<bool>,
    /// Variety in percent: 100 for relevance alone, less to leave out passages that say the same.
    relevance_percent: Option<u32>,
}

/// A place in the list of one stage.
#[derive(Debug, Serialize, ToSchema)]
pub struct StagePlace {
    /// From 1.
    pub rank: u32,
    /// As the stage counts; only to be compared within it.
    pub score: f64,
}

/// Where each stage saw the passage; absent where it did not.
#[derive(Debug, Serialize, ToSchema)]
pub struct StagePlaces {
    /// BM25.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keywords: Option<StagePlace>,
    /// Cosine similarity of the embeddings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<StagePlace>,
    /// Both together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fusion: Option<StagePlace>,
    /// Late interaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<StagePlace>,
}

/// A passage that was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchHit {
    /// The passage.
    pub chunk_id: Uuid,
    /// Its document.
    pub document_id: Uuid,
    /// The document's title.
    pub title: String,
    /// The headings above it, outermost first.
    pub headings: Vec<String>,
    /// The passage itself.
    pub text: String,
    /// The page on which it begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_from: Option<u32>,
    /// The page on which it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_to: Option<u32>,
    /// Where it begins in the document's text, in code points.
    pub char_start: u32,
    /// Where it ends.
    pub char_end: u32,
    /// public, internal or restricted.
    pub confidentiality: &'static str,
    /// The score of the last stage; only to be compared within this answer.
    pub score: f64,
    /// Why it stands here.
    pub stages: StagePlaces,
}

/// What a stage did.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchStage {
    /// keywords, meaning, read, rerank or diversity.
    pub stage: &'static str,
    /// Passages that came out of it.
    pub passages: usize,
    /// Wall time; keywords and meaning run at the same time.
    pub milliseconds: f64,
}

/// What a search found.
#[derive(Debug, Serialize, ToSchema)]
pub struct SearchAnswer {
    /// Best first.
    pub hits: Vec<SearchHit>,
    /// In the order in which they ran.
    pub stages: Vec<SearchStage>,
    /// `exact` or `hnsw`: how the nearest passages were found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'static str>,
    /// What was left out, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub degraded: Option<String>,
}

/// Find passages by words and by meaning. Passages that the caller may not see are not there.
#[utoipa::path(post, path = "/v1/search", tag = "knowledge", request_body = Search,
    responses(
        (status = 200, description = "Passages, best first", body = SearchAnswer),
        (status = 404, description = "There is no such collection")))]
pub async fn post_search(
    State(state): State<ApiState>,
    Authenticated(caller): Authenticated,
    _: NoQuery,
    body: JsonBody,
) -> Result<Response, Problem> {
    let order = search_order(body.value).map_err(UseCaseError::Invalid)?;
    let result = state.search.search(&caller, &order).await?;
    Ok(Json(SearchAnswer::from(result)).into_response())
}

fn search_order(body: Value) -> Result<SearchOrder, Vec<Invalid>> {
    let mut form = Form::new(body);
    let query = form.required_prose("query", LONGEST_QUERY);
    let collection = form.filled_line("collection", 63);
    let documents = form.names("document_ids").unwrap_or_default();
    let levels = form.names("confidentialities").unwrap_or_default();
    let limit = form.whole_number("limit", 1, LIMIT.1);
    let fusion = form.name("fusion").unwrap_or_default();
    let rerank = form.boolean("rerank").unwrap_or(false);
    let percent = form.whole_number("relevance_percent", 0, 100);
    let documents = documents.iter().map(|text| Uuid::parse_str(text).map(DocumentId));
    let documents = documents.collect::<Result<Vec<_>, _>>().unwrap_or_else(|_| {
        form.error("document_ids", "must be a list of UUIDs");
        Vec::new()
    });
    let levels = levels.iter().map(|text| text.parse::<Confidentiality>());
    let confidentialities = levels.collect::<Result<Vec<_>, _>>().unwrap_or_else(|_| {
        form.error("confidentialities", "must be a list of: public, internal, restricted");
        Vec::new()
    });
    form.finish("query, collection, document_ids, confidentialities, limit, fusion, rerank, relevance_percent")?;
    Ok(SearchOrder {
        query: query.unwrap_or_default(),
        collection,
        documents,
        confidentialities,
        limit: limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(LIMIT.0),
        fusion,
        rerank,
        diversity: percent.and_then(|percent| u32::try_from(percent).ok()).map(|percent| f64::from(percent) / 100.0),
    })
}

impl From<SearchResult> for SearchAnswer {
    fn from(result: SearchResult) -> Self {
        let stage = |report: &crate::application::knowledge::search_order::StageReport| SearchStage {
            stage: report.stage,
            passages: report.passages,
            milliseconds: (report.milliseconds * 1_000.0).round() / 1_000.0,
        };
        Self {
            stages: result.stages.iter().map(stage).collect(),
            hits: result.hits.into_iter().map(SearchHit::from).collect(),
            method: result.method.map(crate::application::ports::passage_index::Method::as_str),
            degraded: result.degraded,
        }
    }
}

impl From<Hit> for SearchHit {
    fn from(hit: Hit) -> Self {
        let place = |place: Option<Place>| place.map(|Place { rank, score }| StagePlace { rank, score });
        let chunk = hit.found.chunk;
        Self {
            chunk_id: chunk.id.0,
            document_id: chunk.document_id.0,
            title: hit.found.title,
            headings: chunk.heading_path,
            text: chunk.text,
            page_from: chunk.page_from,
            page_to: chunk.page_to,
            char_start: chunk.char_start,
            char_end: chunk.char_end,
            confidentiality: chunk.confidentiality.as_str(),
            score: hit.score,
            stages: StagePlaces {
                keywords: place(hit.places.keywords),
                meaning: place(hit.places.meaning),
                fusion: place(hit.places.fusion),
                rerank: place(hit.places.rerank),
            },
        }
    }
}
