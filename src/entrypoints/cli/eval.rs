//! `docket eval`: how good retrieval and answers are on judged sets of questions.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use super::eval_report::{plot, share_table, table};
use super::eval_vectors::VectorFile;
use crate::application::evaluation::corpus::{embed, index_words, parts};
use crate::application::evaluation::dataset::Dataset;
use crate::application::evaluation::late_interaction::compare;
use crate::application::evaluation::pipelines::Evaluation;
use crate::application::evaluation::report::Report;
use crate::application::ports::Embedder;
use crate::bootstrap::retrieval;
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket eval retrieval --dataset ../shared/data/cisa_faq
  docket eval retrieval --dataset DIR --rerank-questions 0 --report report.json --plot report.svg
  docket eval retrieval --dataset DIR --baseline eval/baseline.json    exit 1 if a figure fell
  docket eval answers --dataset demo/gold     see `docket eval answers --help`

For retrieval the directory holds documents.jsonl ({_id, title, text}), queries.jsonl ({_id, text}) and qrels.tsv (query-id, corpus-id,
score), as BEIR publishes them. Nothing is written to a database. Vectors and comparisons are kept under ~/.cache/docket.";

/// Shares of the order before reranking that `--shares` tries.
const SHARES: [f64; 9] = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// Arguments of `docket eval`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

/// What can be evaluated.
#[derive(Debug, Subcommand)]
enum What {
    /// Compare BM25, dense, fused and reranked retrieval
    Retrieval(RetrievalArgs),
    /// Ask a gold set through the whole way that answers take, and grade what comes
    Answers(super::eval_answers::Args),
}

/// Arguments of `docket eval retrieval`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct RetrievalArgs {
    /// Directory with documents.jsonl, queries.jsonl and qrels.tsv
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Questions that are reranked, evenly spread; all of them unless given, which takes minutes the first time
    #[arg(long, value_name = "N")]
    rerank_questions: Option<usize>,
    /// Also say what other shares of the order before reranking would give, on two halves of the questions
    #[arg(long)]
    shares: bool,
    /// Write all figures as JSON to this file
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Draw the figures as SVG into this file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Fail when a figure is lower than in this file by more than 0.005
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Take this run's figures into the baseline instead
    #[arg(long, requires = "baseline")]
    update_baseline: bool,
}

/// Evaluates.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    let args = match args.what {
        What::Retrieval(args) => args,
        What::Answers(args) => return super::eval_answers::run(args, loaded).await,
    };
    let report = evaluate(&args, &loaded).await?;
    println!("{}", table(&report));
    if let Some(path) = &args.report {
        write(path, &to_json(&report)?)?;
    }
    if let Some(path) = &args.plot {
        write(path, &plot(&report))?;
    }
    let Some(path) = &args.baseline else { return Ok(()) };
    let mut own = report.baseline();
    own.values_mut().flatten().for_each(|figure| *figure = (*figure * 10_000.0).round() / 10_000.0);
    hold_against(path, args.update_baseline, (&report.dataset, own), |known| report.regressions(known))
}

async fn evaluate(args: &RetrievalArgs, loaded: &Loaded) -> Result<Report, Failure> {
    let dataset = read(&args.dataset)?;
    let name = args.dataset.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let embedder = retrieval::embedder(&loaded.config);
    let words = retrieval::keyword_index();
    let began = Instant::now();
    index_words(&dataset, &words).map_err(anyhow::Error::from)?;
    eprintln!("{} passages indexed by words in {:.1} s", dataset.documents.len(), began.elapsed().as_secs_f64());
    let parts = parts(&dataset, &embedder).map_err(anyhow::Error::from)?;
    let texts: Vec<String> = parts.iter().map(|part| part.text.clone()).collect();
    let unkept = |error| Failure::new(format!("cannot keep vectors: {error}"));
    let mut file = VectorFile::open(embedder.model(), embedder.window(), embedder.dimensions()).map_err(unkept)?;
    let bar = bar(texts.len() + dataset.questions.len(), "embedding");
    let mut done = |count: usize| bar.inc(count as u64);
    let vectors = embed(&texts, &embedder, &mut file, &mut done).await.map_err(anyhow::Error::from)?;
    let questions: Vec<String> = dataset.questions.iter().map(|question| question.text.clone()).collect();
    let questions = embed(&questions, &embedder, &mut file, &mut done).await.map_err(anyhow::Error::from)?;
    bar.finish_and_clear();
    let reranker = retrieval::plugin_reranker(&loaded.config, || crate::bootstrap::plugins(&loaded.config));
    let evaluation = Evaluation {
        dataset: &dataset,
        words: &words,
        parts: &parts,
        vectors: &vectors,
        questions: &questions,
        reranker: reranker.as_ref(),
        reranked_questions: args.rerank_questions.unwrap_or(usize::MAX).min(dataset.questions.len()),
    };
    let bar = self::bar(dataset.questions.len(), "searching");
    let lists = evaluation.search(&mut || bar.inc(1)).map_err(anyhow::Error::from)?;
    bar.finish_and_clear();
    let mut pairs = VectorFile::open(&format!("{}-maxsim", embedder.model()), embedder.window(), 1).map_err(unkept)?;
    let bar = ProgressBar::new_spinner().with_message("passages compared token by token");
    let mut done = |count: usize| bar.inc(count as u64);
    let asked = (dataset.questions.as_slice(), lists.as_slice());
    let compared = compare(asked, &parts, &embedder, &mut pairs, &mut done).await.map_err(anyhow::Error::from)?;
    bar.finish_and_clear();
    let bar = self::bar(dataset.questions.len(), "judging");
    let outcomes = evaluation.judge_all(&lists, &compared, &mut || bar.inc(1)).await.map_err(anyhow::Error::from)?;
    bar.finish_and_clear();
    if args.shares {
        println!("{}", share_table(&evaluation.shares(&lists, &compared, &SHARES)));
    }
    Ok(Report::new(&name, dataset.documents.len(), embedder.model(), &outcomes))
}

pub(super) fn bar(length: usize, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {human_pos}/{human_len}  {per_sec}  {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}

fn read(directory: &Path) -> Result<Dataset, Failure> {
    let open = |name: &str| {
        let path = directory.join(name);
        let file =
            File::open(&path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
        Ok::<_, Failure>(BufReader::new(file))
    };
    let dataset = Dataset::read(open("documents.jsonl")?, open("queries.jsonl")?, open("qrels.tsv")?);
    dataset.map_err(|error| Failure::usage(format!("{}: {error}", directory.display())))
}

/// Holds a run against what the baseline file knows of its dataset, or takes the run's own figures into it. The file holds
/// several datasets by name.
pub(super) fn hold_against<B: Serialize + DeserializeOwned>(
    path: &Path,
    update: bool,
    (dataset, own): (&str, B),
    regressions: impl FnOnce(&B) -> Vec<String>,
) -> Result<(), Failure> {
    let mut known: BTreeMap<String, B> = match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| Failure::usage(format!("{} is no baseline: {error}", path.display())))?,
        Err(error) if update && error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(Failure::usage(format!("cannot read {}: {error}", path.display()))),
    };
    if update {
        known.insert(dataset.to_owned(), own);
        return write(path, &(to_json(&known)? + "\n"));
    }
    let Some(baseline) = known.get(dataset) else {
        return Err(Failure::new(format!("{} knows nothing of {dataset}", path.display())));
    };
    let fallen = regressions(baseline);
    if fallen.is_empty() { Ok(()) } else { Err(Failure::new(fallen.join("\n"))) }
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map_err(|error| Failure::new(format!("cannot write JSON: {error}")))
}

pub(super) fn write(path: &Path, content: &str) -> Result<(), Failure> {
    std::fs::write(path, content).map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}
