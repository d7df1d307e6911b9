//! `docket ingest`: the documents of a directory, brought in and read, with a progress bar.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use console::style;
use docket_domain::case::Confidentiality;
use docket_domain::document::record::is_collection_name;
use docket_domain::document::{Chunking, ChunkingStrategy, Document, DocumentStatus};
use docket_domain::ids::{DocumentId, JobId};
use docket_domain::job::JobState;
use docket_domain::principal::Actor;
use futures::stream;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::administration::JsonAnswer;
use super::import::tenant;
use crate::application::error::UseCaseError;
use crate::application::evidence::receive_file::{Announced, receive_file};
use crate::application::knowledge::library::{DEFAULT_COLLECTION, Library, NewDocument};
use crate::application::ports::StoreError;
use crate::application::request::Caller;
use crate::bootstrap::{self, Parts};
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket ingest regulations/ --tenant harbour-safety
  docket ingest guide.pdf --tenant demo --confidentiality public
  docket ingest cisa/ --tenant demo --collection cisa --chunking sentence_window

Read are PDF, HTML, Markdown, text and DOCX; other files are passed over. A file that was ingested before is read again
only if it changed. What a running service reads meanwhile is the same work: it is shared, not done twice.

Exit codes: 0 every file can be searched, 1 some cannot (each with its reason), 2 wrong usage.";

/// How long no document was done when one looks whether somebody still reads them.
const QUIET: Duration = Duration::from_secs(2);
/// How long no document was done when those are given up whose jobs wait for something that is down.
const PATIENCE: Duration = Duration::from_mins(1);

/// Extensions that are read.
const EXTENSIONS: &[&str] = &["pdf", "html", "htm", "md", "txt", "docx"];

/// Arguments of `docket ingest`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Files, or directories with everything below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The tenant that gets the documents
    #[arg(long, value_name = "NAME")]
    tenant: String,
    /// The collection they go to; made when there is none
    #[arg(long, value_name = "NAME", default_value = DEFAULT_COLLECTION)]
    collection: String,
    /// How a new collection is cut: recursive, `sentence_window` or `fixed_tokens`
    #[arg(long, value_name = "STRATEGY", default_value = "recursive")]
    chunking: ChunkingStrategy,
    /// Who may see them: public, internal or restricted
    #[arg(long, value_name = "LEVEL", default_value = "internal")]
    confidentiality: Confidentiality,
}

/// Ingests, and tells what became of each file that cannot be searched.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    if !is_collection_name(&args.collection) {
        return Err(Failure::usage(
            "a collection's name is 1 to 63 lower-case letters, digits, hyphens and underscores",
        ));
    }
    let files = files(&args.paths)?;
    if files.is_empty() {
        return Err(Failure::usage(format!("there are no files to read: {}", EXTENSIONS.join(", "))));
    }
    let database = bootstrap::database(&loaded.config).await?;
    let parts = Parts::from_pool(database.pool.clone());
    let outcome = ingest(&args, &files, &parts, &loaded).await;
    database.close().await.map_err(|error| Failure::new(format!("cannot close the database: {error}")))?;
    outcome
}

async fn ingest(args: &Args, files: &[(PathBuf, String)], parts: &Parts, loaded: &Loaded) -> Result<(), Failure> {
    let tenant = tenant(parts, &args.tenant).await?;
    let caller =
        Caller { actor: Actor::system(tenant), request_id: String::new(), trace_id: String::new(), traceparent: None };
    let library = parts.library(&loaded.config, parts.administration(&loaded.config))?;
    let stop = CancellationToken::new();
    let service = bootstrap::ingest_service(parts, &loaded.config)?;
    let mut working = tokio::spawn({
        let stop = stop.clone();
        async move { service.run(stop).await }
    });
    let bar = bar(files.len());
    let mut problems = Vec::new();
    let mut waiting = Vec::new();
    for (path, source) in files {
        bar.set_message(source.clone());
        match bring(args, &library, &caller, path, source).await {
            Ok(id) => waiting.push((id, source.clone())),
            Err(error) => {
                problems.push((source.clone(), error));
                bar.inc(1);
            }
        }
    }
    let brought = waiting.len();
    let passages = tokio::select! {
        passages = wait(&library, &caller, waiting, &bar, &mut problems) => passages?,
        ended = &mut working => {
            bar.finish_and_clear();
            ended.map_err(|error| Failure::new(error.to_string()))??;
            return Err(Failure::new("reading stopped early; a running service reads the rest"));
        }
    };
    stop.cancel();
    let ended = working.await.map_err(|error| Failure::new(error.to_string()))?;
    bar.finish_and_clear();
    ended?;
    for (source, problem) in &problems {
        println!("{} {source}: {problem}", style("✗").red());
    }
    let readable = files.len() - problems.len();
    println!("{readable} of {} documents can be searched ({passages} passages, {brought} brought)", files.len());
    if problems.is_empty() { Ok(()) } else { Err(Failure::new(format!("{} could not be read", problems.len()))) }
}

fn bar(files: usize) -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(files as u64), target);
    if let Ok(form) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed_precise} {wide_msg}") {
        bar.set_style(form);
    }
    bar
}

/// The files to read and the names under which they are kept: their paths below what was named.
fn files(paths: &[PathBuf]) -> Result<Vec<(PathBuf, String)>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        let cannot = |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", path.display()));
        let metadata = std::fs::metadata(path).map_err(cannot)?;
        if metadata.is_file() {
            found.push((path.clone(), path.file_name().unwrap_or_default().to_string_lossy().into_owned()));
            continue;
        }
        let mut directories = vec![path.clone()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(&directory).map_err(cannot)? {
                let entry = entry.map_err(cannot)?;
                // Links are not followed: they may lead out of the directory, or around in it.
                let kind = entry.file_type().map_err(cannot)?;
                let entry = entry.path();
                if kind.is_dir() {
                    directories.push(entry);
                } else if kind.is_file() && is_read(&entry) {
                    let below = entry.strip_prefix(path).unwrap_or(&entry).to_string_lossy().into_owned();
                    found.push((entry, below));
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_read(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// Brings one file; what the sentence says is for people.
async fn bring(
    args: &Args,
    library: &Library,
    caller: &Caller,
    path: &Path,
    source: &str,
) -> Result<DocumentId, String> {
    let bytes = tokio::fs::read(path).await.map_err(|error| error.to_string())?;
    let size = bytes.len() as u64;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let announced = Announced { file_name: name.clone(), media_type: String::new() };
    let chunks = stream::iter([Ok::<Bytes, UseCaseError>(bytes.into())]);
    let staged = library.tenancy.clock.new_id();
    let tenant = caller.actor.tenant_id;
    let received = receive_file(library.blobs.as_ref(), tenant, staged, &announced, chunks, size).await;
    let new = NewDocument {
        collection: args.collection.clone(),
        chunking: Chunking::usual(args.chunking),
        source: source.to_owned(),
        url: None,
        title: name,
        confidentiality: args.confidentiality,
        received: received.map_err(in_words)?,
    };
    let written = library.bring(caller, None, new, &JsonAnswer).await.map_err(in_words)?;
    let answer: serde_json::Value = serde_json::from_str(&written.rendered.body).map_err(|error| error.to_string())?;
    answer["document"]["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(|| "no document came of it".to_owned())
}

fn in_words(error: UseCaseError) -> String {
    match error {
        UseCaseError::Invalid(fields) => {
            fields.iter().map(|field| format!("{} {}", field.pointer, field.detail)).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

/// Waits until every document was read; how many passages they have.
async fn wait(
    library: &Library,
    caller: &Caller,
    mut waiting: Vec<(DocumentId, String)>,
    bar: &ProgressBar,
    problems: &mut Vec<(String, String)>,
) -> Result<u64, Failure> {
    let mut passages = 0;
    let mut last_done = Instant::now();
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut still = Vec::new();
        for (id, source) in waiting {
            let found = library.documents.get(caller.actor.tenant_id, id).await;
            let Some(document) = found.map_err(|error| Failure::new(error.to_string()))? else {
                problems.push((source, "was removed meanwhile".to_owned()));
                bar.inc(1);
                continue;
            };
            match (document.status, &document.failure) {
                (DocumentStatus::Ready, _) => passages += u64::from(document.chunk_count),
                (DocumentStatus::Failed, Some(failure)) => {
                    problems.push((source, format!("{}: {}", failure.code, failure.reason)));
                }
                _ => match stuck(library, &document, last_done.elapsed()).await {
                    Ok(Some(reason)) => problems.push((source, reason)),
                    Ok(None) => {
                        bar.set_message(source.clone());
                        still.push((id, source));
                        continue;
                    }
                    Err(error) => return Err(Failure::new(error.to_string())),
                },
            }
            bar.inc(1);
        }
        waiting = still;
        if waiting.len() < before {
            last_done = Instant::now();
        }
        if !waiting.is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    Ok(passages)
}

/// Why a document will not be read any more, or not soon, when none was done for so long.
async fn stuck(library: &Library, document: &Document, quiet: Duration) -> Result<Option<String>, StoreError> {
    if quiet < QUIET {
        return Ok(None);
    }
    if let Some(reason) = library.abandoned(document).await? {
        return Ok(Some(format!("was not read, {reason}; ingest it again to have it read")));
    }
    let Some(id) = document.job_id.filter(|_| quiet >= PATIENCE) else { return Ok(None) };
    let job = library.jobs.get(document.tenant_id, JobId(id)).await?;
    let waits = job.filter(|job| job.state == JobState::Queued).and_then(|job| job.error);
    Ok(waits.map(|error| format!("is not read yet, its job {id} waits: {error}")))
}
