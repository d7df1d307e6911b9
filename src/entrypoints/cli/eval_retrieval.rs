//! `docket eval retrieval`: the pipelines on judged questions, over documents as they are or cut in different ways.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use docket_domain::document::{Chunking, ChunkingStrategy};
use indicatif::ProgressBar;

use super::Failure;
use super::eval::{bar, hold_against, to_json, write};
use super::eval_answers::{read_corpus, read_gold};
use super::eval_report::{chunking_table, plot, share_table, table};
use super::eval_vectors::VectorFile;
use crate::application::evaluation::chunkings::{CutRun, UNCUT, compare_cuts};
use crate::application::evaluation::corpus::{cut_parts, embed, index_words, parts};
use crate::application::evaluation::cutting::{ReadDocument, gold_dataset};
use crate::application::evaluation::dataset::Dataset;
use crate::application::evaluation::gold::GoldQuestion;
use crate::application::evaluation::late_interaction::compare;
use crate::application::evaluation::pipelines::{Evaluation, Outcomes};
use crate::application::evaluation::report::{Baseline, Report};
use crate::application::knowledge::plugin_reranker::PluginReranker;
use crate::application::ports::Embedder;
use crate::application::ports::document_parser::FileToParse;
use crate::bootstrap::{self, retrieval};
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket eval retrieval --dataset ../shared/data/cisa_faq
  docket eval retrieval --dataset DIR --rerank-questions 0 --report report.json --plot report.svg
  docket eval retrieval --dataset DIR --baseline eval/baseline.json    exit 1 if a figure fell
  docket eval retrieval --dataset DIR --chunking recursive,sentence_window,fixed_tokens
  docket eval retrieval --dataset demo/gold --chunking recursive,sentence_window,fixed_tokens

The directory holds documents.jsonl ({_id, title, text}), queries.jsonl ({_id, text}) and qrels.tsv (query-id, corpus-id, score); or the
same as corpus.jsonl, queries.jsonl and qrels/test.tsv, as BEIR publishes them; or questions.jsonl, with the documents that its quotes stand in beside it, as demo/gold and demo/corpus do. Nothing is
written to a database. Vectors and comparisons are kept under ~/.cache/docket.";

/// Shares of the order before reranking that `--shares` tries.
const SHARES: [f64; 9] = [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// Arguments of `docket eval retrieval`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Directory with documents.jsonl, queries.jsonl and qrels.tsv, in BEIR's layout, or with questions.jsonl
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Directory with manifest.json and the documents of questions.jsonl; `corpus` beside the dataset unless given
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Cut the documents as collections with these strategies do, and compare: recursive, `sentence_window`, `fixed_tokens`
    #[arg(long, value_name = "STRATEGY", value_delimiter = ',', conflicts_with_all = ["baseline", "shares"])]
    chunking: Vec<ChunkingStrategy>,
    /// Questions that are reranked, evenly spread; all of them unless given, which takes minutes the first time
    #[arg(long, value_name = "N", conflicts_with = "baseline")]
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
pub(super) async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    let report = evaluate(&args, &loaded).await?;
    if report.chunkings.is_empty() {
        println!("{}", table(&report));
    } else {
        println!("{}", chunking_table(&report));
    }
    if let Some(path) = &args.report {
        write(path, &to_json(&report)?)?;
    }
    if let Some(path) = &args.plot {
        write(path, &plot(&report))?;
    }
    let Some(path) = &args.baseline else { return Ok(()) };
    let own = |_: Option<&Baseline>| report.baseline();
    hold_against(path, args.update_baseline, (&report.dataset, own), |known| report.regressions(known))
}

/// What is judged, before anything is cut.
enum Source {
    /// Documents.
    Documents(Dataset),
    /// Quotes in documents.
    Quotes(Vec<ReadDocument>, Vec<GoldQuestion>),
}

impl Source {
    fn cut(&self, chunking: Chunking) -> Result<Dataset, Failure> {
        match self {
            Self::Documents(dataset) => Ok(dataset.cut(chunking)),
            Self::Quotes(documents, questions) => {
                gold_dataset(documents, questions, chunking).map_err(|error| Failure::usage(error.to_string()))
            }
        }
    }
}

async fn evaluate(args: &Args, loaded: &Loaded) -> Result<Report, Failure> {
    let judged = if args.dataset.join("questions.jsonl").exists() {
        read_quotes(args, loaded).await?
    } else {
        Source::Documents(read(&args.dataset)?)
    };
    let name = args.dataset.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut machine = Machine::new(args, loaded)?;
    let mut runs = Vec::new();
    // Texts with judged quotes are found in passages alone: uncut they are as long as a collection never has them.
    if let Source::Documents(dataset) = &judged {
        runs.push(CutRun::new(UNCUT, dataset, machine.run(dataset, false).await?));
    }
    let usual = matches!(judged, Source::Quotes(..)) && args.chunking.is_empty();
    for strategy in args.chunking.iter().copied().chain(usual.then(|| Chunking::default().strategy)) {
        let dataset = judged.cut(Chunking::usual(strategy))?;
        eprintln!("{strategy}: {} passages", dataset.documents.len());
        let outcomes = machine.run(&dataset, true).await?;
        runs.push(CutRun::new(strategy.as_str(), &dataset, outcomes));
    }
    let Some(first) = runs.first() else { return Err(Failure::usage("there is nothing to run")) };
    let mut report = Report::new(&name, first.passages, machine.embedder.model(), &first.outcomes);
    if !args.chunking.is_empty() {
        report.chunkings = compare_cuts(&runs);
    }
    Ok(report)
}

/// What pipelines are run with.
struct Machine<'a> {
    args: &'a Args,
    embedder: Arc<dyn Embedder>,
    vectors: VectorFile,
    pairs: VectorFile,
    reranker: Option<PluginReranker>,
}

impl<'a> Machine<'a> {
    fn new(args: &'a Args, loaded: &Loaded) -> Result<Self, Failure> {
        let unkept = |error| Failure::new(format!("cannot keep vectors: {error}"));
        let embedder: Arc<dyn Embedder> = Arc::new(retrieval::embedder(&loaded.config));
        let (model, window) = (embedder.model(), embedder.window());
        let vectors = VectorFile::open(model, window, embedder.dimensions()).map_err(unkept)?;
        let pairs = VectorFile::open(&format!("{model}-maxsim"), window, 1).map_err(unkept)?;
        let reranker = retrieval::plugin_reranker(&loaded.config, || bootstrap::plugins(&loaded.config));
        Ok(Self { args, embedder, vectors, pairs, reranker })
    }

    /// What every pipeline achieves on this dataset; `cut` when its documents are passages already.
    async fn run(&mut self, dataset: &Dataset, cut: bool) -> Result<Outcomes, Failure> {
        let words = retrieval::keyword_index();
        let began = Instant::now();
        index_words(dataset, &words).map_err(anyhow::Error::from)?;
        eprintln!("{} passages indexed by words in {:.1} s", dataset.documents.len(), began.elapsed().as_secs_f64());
        let (parts, texts) = if cut {
            cut_parts(dataset)
        } else {
            let parts = parts(dataset, self.embedder.as_ref()).map_err(anyhow::Error::from)?;
            let texts = parts.iter().map(|part| part.text.clone()).collect();
            (parts, texts)
        };
        let bar = self::bar(texts.len() + dataset.questions.len(), "embedding");
        let mut done = |count: usize| bar.inc(count as u64);
        let (embedder, known) = (self.embedder.as_ref(), &mut self.vectors);
        let vectors = embed(&texts, embedder, known, &mut done).await.map_err(anyhow::Error::from)?;
        let questions: Vec<String> = dataset.questions.iter().map(|question| question.text.clone()).collect();
        let questions = embed(&questions, embedder, known, &mut done).await.map_err(anyhow::Error::from)?;
        bar.finish_and_clear();
        let evaluation = Evaluation {
            dataset,
            words: &words,
            parts: &parts,
            vectors: &vectors,
            questions: &questions,
            reranker: self.reranker.as_ref(),
            reranked_questions: self.args.rerank_questions.unwrap_or(usize::MAX).min(dataset.questions.len()),
        };
        let bar = self::bar(dataset.questions.len(), "searching");
        let lists = evaluation.search(&mut || bar.inc(1)).map_err(anyhow::Error::from)?;
        bar.finish_and_clear();
        let bar = ProgressBar::new_spinner().with_message("passages compared token by token");
        let mut done = |count: usize| bar.inc(count as u64);
        let asked = (dataset.questions.as_slice(), lists.as_slice());
        let compared =
            compare(asked, &parts, embedder, &mut self.pairs, &mut done).await.map_err(anyhow::Error::from)?;
        bar.finish_and_clear();
        let bar = self::bar(dataset.questions.len(), "judging");
        let outcomes = evaluation.judge_all(&lists, &compared, &mut || bar.inc(1)).await;
        bar.finish_and_clear();
        if self.args.shares {
            println!("{}", share_table(&evaluation.shares(&lists, &compared, &SHARES)));
        }
        Ok(outcomes.map_err(anyhow::Error::from)?)
    }
}

/// The three files, under their names here or under those that BEIR gives them.
fn read(directory: &Path) -> Result<Dataset, Failure> {
    let open = |names: &[&'static str]| {
        let there = names.iter().copied().find(|name| directory.join(name).exists());
        let Some(name) = there else {
            let reason = format!("{} has no {}", directory.display(), names.join(" and no "));
            return Err(Failure::usage(reason));
        };
        let path = directory.join(name);
        let file =
            File::open(&path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
        Ok((name, BufReader::new(file)))
    };
    let documents = open(&["documents.jsonl", "corpus.jsonl"])?;
    let dataset = Dataset::read(documents, open(&["queries.jsonl"])?, open(&["qrels.tsv", "qrels/test.tsv"])?);
    dataset.map_err(|error| Failure::usage(format!("{}: {error}", directory.display())))
}

/// The questions of a gold set, and what the service's parsers read in the documents of the tenant that the first belongs to.
async fn read_quotes(args: &Args, loaded: &Loaded) -> Result<Source, Failure> {
    let (corpus, questions) = read_gold(&args.dataset, args.corpus.as_deref())?;
    let documents = read_corpus(&corpus)?;
    let asked = documents.first().map(|(document, _)| document.tenant.clone());
    let parser = bootstrap::parser(&loaded.config);
    let mut read = Vec::with_capacity(documents.len());
    for (document, bytes) in documents.into_iter().filter(|(document, _)| Some(&document.tenant) == asked.as_ref()) {
        let name = document.source().to_owned();
        let file = FileToParse { name: name.clone(), media_type: document.media_type, bytes };
        let extracted = parser.parse(file).await;
        let extracted = extracted.map_err(|error| Failure::new(format!("{name} cannot be read: {error}")))?;
        read.push(ReadDocument { name, confidentiality: document.confidentiality, extracted });
    }
    Ok(Source::Quotes(read, questions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_as_beir_publishes_it_is_read() {
        let directory = std::env::temp_dir().join(format!("docket-beir-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("qrels")).unwrap();
        let write = |name: &str, content: &str| std::fs::write(directory.join(name), content).unwrap();
        write("corpus.jsonl", "{\"_id\": \"d1\", \"title\": \"T\", \"text\": \"x\", \"metadata\": {}}\n");
        write("queries.jsonl", "{\"_id\": \"q1\", \"text\": \"a\"}\n{\"_id\": \"q2\", \"text\": \"b\"}\n");
        let missing = read(&directory).unwrap_err();
        assert!(missing.to_string().contains("no qrels.tsv and no qrels/test.tsv"), "{missing}");
        write("qrels/train.tsv", "query-id\tcorpus-id\tscore\nq2\td1\t1\n");
        write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\n");
        let dataset = read(&directory).unwrap();
        let questions: Vec<&str> = dataset.questions.iter().map(|question| question.id.as_str()).collect();
        assert_eq!((dataset.documents.len(), questions), (1, vec!["q1"]));
        write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1 d1 1\n");
        let wrong = read(&directory).unwrap_err();
        assert!(wrong.to_string().contains("qrels/test.tsv, line 2"), "{wrong}");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
