//! `docket eval answers`: a gold set asked through the whole way that answers take, on a database of its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use docket_domain::document::{Chunking, ChunkingStrategy};
use docket_domain::ids::TenantId;
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::administration::JsonAnswer;
use super::eval::{bar, hold_against, to_json, write};
use super::eval_judge::{self, Room};
use crate::application::demo::corpus::CorpusDocument;
use crate::application::demo::seed_documents::{missing_among, seed_documents};
use crate::application::evaluation::answers::{AnswerEvaluation, Graded};
use crate::application::evaluation::answers_report::{AnswersBaseline, AnswersReport, Measured, Part};
use crate::application::evaluation::gold::{GoldQuestion, Kind, read_questions};
use crate::application::evaluation::judge_report::{JudgeReport, JudgedBy};
use crate::application::evaluation::judged_answers::MEASURES;
use crate::application::evaluation::plugin_grader::PluginGrader;
use crate::application::knowledge::library::Library;
use crate::application::ports::embedder::EmbedderError;
use crate::application::request::Caller;
use crate::application::tenancy::TenancyWriting;
use crate::application::tenancy::create_tenant::{NewTenant, create_tenant};
use crate::bootstrap::{self, Parts};
use crate::config::{Config, Loaded};

const EXAMPLES: &str = "\
Examples:
  docket eval answers --dataset demo/gold
  docket eval answers --dataset demo/gold --report answers.json
  docket eval answers --dataset demo/gold --chunking sentence_window
  docket eval answers --dataset demo/gold --baseline eval/answers.json    exit 1 if a figure fell or a fault appeared
  docket eval answers --dataset demo/gold --judge openai --report judged.json
  DOCKET_MODELS__COMPATIBLE__BASE_URL=http://127.0.0.1:8000 DOCKET_MODELS__COMPATIBLE__MODEL=my-judge \\
    DOCKET_MODELS__PRICES=my-judge=0/0/0/0 docket eval answers --dataset demo/gold --judge compatible

The directory holds questions.jsonl, the corpus beside it manifest.json and the documents it names, as demo/gold and
demo/corpus do; demo/corpus/README.md describes both. The documents are read by the service's own jobs into a database of
the evaluation's own, each question is asked with the rights of its role in the tenant of the first document, and every
citation is looked up again in what was read.

With --judge, a model grades every answer, too, by ragas' definitions: about twelve calls for a question that is answered.
The provider needs its address, key, model and price (models.*), and need not be in models.chain. What it costs is bounded
by answers.monthly_budget_dollars; what it could not judge is counted, and is neither good nor bad.";

/// Arguments of `docket eval answers`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Directory with questions.jsonl
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Directory with manifest.json and the documents; `corpus` beside the dataset unless given
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// How the collections are cut: recursive, `sentence_window` or `fixed_tokens`
    #[arg(long, value_name = "STRATEGY", default_value = "recursive", conflicts_with_all = ["keep", "baseline"])]
    chunking: ChunkingStrategy,
    /// Have answers graded by this plugin of the group docket.graders, too
    #[arg(long, value_name = "NAME")]
    grader: Option<String>,
    /// Have answers graded by the model of this provider, too: openai, anthropic or compatible
    #[arg(long, value_name = "PROVIDER")]
    judge: Option<String>,
    /// Answers that are judged at once
    #[arg(long, value_name = "NUMBER", default_value_t = 4, requires = "judge", value_parser = clap::value_parser!(u8).range(1..=64))]
    judge_at_once: u8,
    /// Keep the evaluation's database here, and use again what it has read
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write all figures, and each question with its answer, as JSON to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Fail when a measure is lower than in this file by more than 0.005, or a fault more frequent
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Take this run's figures into the baseline instead
    #[arg(long, requires = "baseline")]
    update_baseline: bool,
}

/// Evaluates.
pub(super) async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    if let Some(provider) = &args.judge {
        eval_judge::check(&loaded.config, provider)?;
    }
    let (corpus, questions) = read_gold(&args.dataset, args.corpus.as_deref())?;
    let documents = read_corpus(&corpus)?;
    let place = Place::new(args.keep.clone())?;
    let config = place.apply(loaded.config);
    let database = bootstrap::database(&config).await?;
    let parts = Parts::from_pool(database.pool.clone());
    let plugins = parts.plugins(&config);
    let marking = args.grader.clone().map(|name| PluginGrader { plugins, name });
    let outcome = evaluate(&config, &parts, documents, &questions, (&args, marking.as_ref())).await;
    database.close().await.map_err(|error| Failure::new(format!("cannot close the database: {error}")))?;
    let Outcome { model, graded, judge } = outcome?;
    let name = args.dataset.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let judge = judge.map(|by| JudgeReport::new(by, &graded));
    let report = AnswersReport::new(&name, &model, graded).judged(judge);
    println!("{}", table(&report));
    if let Some(judge) = &report.judge {
        println!("{}", eval_judge::summary(judge));
    }
    if let Some(path) = &args.report {
        write(path, &to_json(&report)?)?;
    }
    if let Some(why) = report.judge.as_ref().and_then(JudgeReport::judged_nothing) {
        return Err(Failure::new(format!("the judge judged nothing: {why}")));
    }
    let Some(path) = &args.baseline else { return Ok(()) };
    let own = |known: Option<&AnswersBaseline>| report.baseline(known);
    hold_against(path, args.update_baseline, (report.dataset.as_str(), own), |known| report.regressions(known))
}

/// Where the evaluation keeps its database and its bytes; gone with the value unless somebody wants to keep it.
struct Place {
    directory: PathBuf,
    keep: bool,
}

impl Place {
    fn new(keep: Option<PathBuf>) -> Result<Self, Failure> {
        let temporary = || std::env::temp_dir().join(format!("docket-eval-{}", std::process::id()));
        let place = Self { keep: keep.is_some(), directory: keep.unwrap_or_else(temporary) };
        std::fs::create_dir_all(&place.directory).map_err(|error| cannot_read(&place.directory, &error))?;
        Ok(place)
    }

    fn apply(&self, mut config: Config) -> Config {
        config.database.url = None;
        config.database.migration_url = None;
        config.database.embedded_data_dir = self.directory.join("postgres");
        config.storage.url = format!("file:{}", self.directory.join("bytes").display());
        config.data_dir.clone_from(&self.directory);
        config
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}

fn cannot_read(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("cannot read {}: {error}", path.display()))
}

/// Where the documents of a gold set are, and its questions.
pub(super) fn read_gold(dataset: &Path, corpus: Option<&Path>) -> Result<(PathBuf, Vec<GoldQuestion>), Failure> {
    let corpus = corpus.map_or_else(|| dataset.join("../corpus"), Path::to_path_buf);
    let path = dataset.join("questions.jsonl");
    let file = File::open(&path).map_err(|error| cannot_read(&path, &error))?;
    let questions = read_questions(BufReader::new(file)).map_err(|error| Failure::usage(error.to_string()))?;
    Ok((corpus, questions))
}

/// The documents that a manifest names, with their bytes.
pub(super) fn read_corpus(directory: &Path) -> Result<Vec<(CorpusDocument, Bytes)>, Failure> {
    let path = directory.join("manifest.json");
    let manifest = std::fs::read(&path).map_err(|error| cannot_read(&path, &error))?;
    let documents: Vec<CorpusDocument> =
        serde_json::from_slice(&manifest).map_err(|error| cannot_read(&path, &error))?;
    let read = |document: CorpusDocument| {
        let path = directory.join(&document.file);
        let bytes = std::fs::read(&path).map_err(|error| cannot_read(&path, &error))?;
        Ok((document, Bytes::from(bytes)))
    };
    documents.into_iter().map(read).collect()
}

/// Refuses a kept database whose vectors another model made: its figures would be those of neither.
async fn own_vectors(config: &Config, parts: &Parts) -> Result<(), Failure> {
    match parts.own_vectors(config).fit().await {
        Ok(true) | Err(EmbedderError::NotInstalled(_)) => Ok(()),
        Ok(false) => Err(Failure::usage(
            "what --keep names was embedded with another model; name another directory, or remove this one",
        )),
        Err(error) => Err(Failure::new(format!("cannot see by which model passages were embedded: {error}"))),
    }
}

/// Who answered, what came, and who judged it.
struct Outcome {
    model: String,
    graded: Vec<Graded>,
    judge: Option<JudgedBy>,
}

/// Reads the documents, asks every question, and has the answers judged where that is wanted.
async fn evaluate(
    config: &Config,
    parts: &Parts,
    documents: Vec<(CorpusDocument, Bytes)>,
    questions: &[GoldQuestion],
    (args, marking): (&Args, Option<&PluginGrader>),
) -> Result<Outcome, Failure> {
    let tenancy = parts.administration(config);
    let library = parts.library(config, tenancy.clone())?;
    let names: BTreeSet<String> = documents.iter().map(|(document, _)| document.tenant.clone()).collect();
    for name in &names {
        tenant(&tenancy, name).await?;
    }
    let first = documents.first().map(|(document, _)| document.tenant.clone());
    let asked = tenant(&tenancy, &first.ok_or_else(|| Failure::usage("the manifest names no document"))?).await?;
    own_vectors(config, parts).await?;
    bring(config, parts, &library, (documents, Chunking::usual(args.chunking))).await?;
    let stop = CancellationToken::new();
    let following = tokio::spawn(parts.follow_passages(config, stop.clone()));
    // Everything was read before, so an index that has caught up once is complete.
    parts.words_are_ready(std::time::Duration::from_mins(5)).await;
    let search = parts.search(config);
    let answering = parts.answering(config, search)?;
    let embedder = parts.embedder(config);
    let evaluation = AnswerEvaluation {
        answering: &answering,
        library: &library,
        embedder: embedder.as_ref(),
        grader: marking,
        tenant: asked,
    };
    let bar = bar(questions.len(), "asking");
    let (mut graded, materials) = evaluation.run(questions, &mut || bar.inc(1)).await.map_err(anyhow::Error::from)?;
    bar.finish_and_clear();
    let judge = match &args.judge {
        None => None,
        Some(provider) => {
            let judged_by = parts.answering_by(config, &answering, provider)?;
            let room = Room { answering: &answering, embedder: embedder.as_ref(), tenant: asked };
            let at_once = usize::from(args.judge_at_once);
            Some(eval_judge::judge(room, (provider, judged_by), (&mut graded, &materials), at_once).await?)
        }
    };
    stop.cancel();
    following.await.map_err(|error| Failure::new(error.to_string()))?;
    let models: Vec<String> = answering.models.models().iter().map(|model| model.model().to_owned()).collect();
    Ok(Outcome { model: models.join(", "), graded, judge })
}

async fn tenant(tenancy: &TenancyWriting, name: &str) -> Result<TenantId, Failure> {
    let named = || async { tenancy.store.tenant_named(name).await.map_err(anyhow::Error::from) };
    if let Some(found) = named().await? {
        return Ok(found.id);
    }
    let actor = docket_domain::principal::Actor::system(TenantId::PLATFORM);
    let caller = Caller { actor, request_id: "evaluation".to_owned(), trace_id: String::new(), traceparent: None };
    let new = NewTenant { name: name.to_owned(), display_name: name.to_owned(), admin: None };
    create_tenant(tenancy, &caller, None, Ok(new), &JsonAnswer).await.map_err(anyhow::Error::from)?;
    Ok(named().await?.ok_or_else(|| Failure::new(format!("the tenant {name} could not be made")))?.id)
}

/// Brings the documents that are not there, and waits until each was read; one that cannot be read ends the evaluation.
async fn bring(
    config: &Config,
    parts: &Parts,
    library: &Library,
    (documents, chunking): (Vec<(CorpusDocument, Bytes)>, Chunking),
) -> Result<(), Failure> {
    let mut missing = missing_among(library, documents.into_iter()).await.map_err(anyhow::Error::from)?;
    if missing.is_empty() {
        return Ok(());
    }
    for document in &mut missing {
        document.chunking = chunking;
    }
    let (stop, service) = (CancellationToken::new(), bootstrap::ingest_service(parts, config)?);
    let working = tokio::spawn({
        let stop = stop.clone();
        async move { service.run(stop).await }
    });
    let bar = bar(missing.len(), "reading");
    let mut told = |progress: crate::application::demo::seed_documents::Progress| {
        bar.set_position((progress.ready + progress.failed) as u64);
    };
    let read = seed_documents(library, missing, &CancellationToken::new(), &mut told).await;
    bar.finish_and_clear();
    stop.cancel();
    working.await.map_err(|error| Failure::new(error.to_string()))??;
    let progress = read.map_err(anyhow::Error::from)?;
    if progress.failed > 0 {
        return Err(Failure::new(format!("{} documents could not be read", progress.failed)));
    }
    Ok(())
}

/// The figures for people: faults first, then the measures, over all questions and over each half.
fn table(report: &AnswersReport) -> String {
    let mut text =
        format!("{}: {} questions, answered by {}\n\n", report.dataset, report.questions.len(), report.model);
    let parts = [&report.all, &report.tuning, &report.held_out];
    text.push_str("| | all | tuning half | held-out half |\n|---|---|---|---|\n");
    let mut row = |name: &str, cell: &dyn Fn(&Part) -> String| {
        let cells = parts.map(cell);
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    };
    let answered = |kind: Kind| {
        move |part: &Part| {
            let tally = part.tallies.get(&kind).copied().unwrap_or_default();
            of(tally.answered, tally.questions)
        }
    };
    row("answerable: answered", &answered(Kind::Answerable));
    row("unanswerable: answered", &answered(Kind::Unanswerable));
    row("adversarial: answered", &answered(Kind::Adversarial));
    row("forbidden words said", &|part| of(part.forbidden, part.forbidding));
    row("citations that do not stand", &|part| of(part.invalid_citations, part.citations));
    for name in report.all.measures.keys() {
        row(name, &|part| cell(part.measures.get(name)));
        if report.judge.is_some() && MEASURES.contains(name) {
            row(&format!("{name}, judged"), &|part| judged_cell(part, name));
        }
    }
    for name in report.all.marks.keys() {
        row(&format!("mark: {name}"), &|part| cell(part.marks.get(name)));
    }
    text
}

fn cell(measured: Option<&Measured>) -> String {
    measured.map_or_else(String::new, |measured| {
        let figure = measured.figure;
        format!("{:.3} ({:.2} to {:.2}, n {})", figure.mean, figure.low, figure.high, measured.questions)
    })
}

/// A judge's measure, and how many answers it is not known of.
fn judged_cell(part: &Part, name: &str) -> String {
    let missing = part.not_judged.get(name).map(|number| format!("{number} not judged"));
    let measured = part.judged.get(name).map(|measured| cell(Some(measured)));
    measured.into_iter().chain(missing).collect::<Vec<_>>().join("; ")
}

/// A count of a whole; beside a zero, how large the rate may still be with 95 % (three divided by the trials).
fn of(count: usize, whole: usize) -> String {
    if count > 0 || whole == 0 {
        return format!("{count} of {whole}");
    }
    #[allow(clippy::cast_precision_loss, reason = "questions are counted in hundreds")]
    let at_most = (300.0 / whole as f64).min(100.0);
    format!("0 of {whole} (95 %: at most {at_most:.0} %)")
}
