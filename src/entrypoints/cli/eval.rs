//! `docket eval`: how good retrieval and answers are on judged sets of questions.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use crate::config::Loaded;

const EXAMPLES: &str = "\
Examples:
  docket eval retrieval --dataset ../shared/data/cisa_faq     see `docket eval retrieval --help`
  docket eval answers --dataset demo/gold                     see `docket eval answers --help`";

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
    Retrieval(super::eval_retrieval::Args),
    /// Ask a gold set through the whole way that answers take, and grade what comes
    Answers(super::eval_answers::Args),
}

/// Evaluates.
pub async fn run(args: Args, loaded: Loaded) -> Result<(), Failure> {
    match args.what {
        What::Retrieval(args) => super::eval_retrieval::run(args, loaded).await,
        What::Answers(args) => super::eval_answers::run(args, loaded).await,
    }
}

pub(super) fn bar(length: usize, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {human_pos}/{human_len}  {per_sec}  {eta}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}

/// Holds a run against what the baseline file knows of its dataset, or takes the run's own figures into it, made from what is
/// known. The file holds several datasets by name.
pub(super) fn hold_against<B: Serialize + DeserializeOwned>(
    path: &Path,
    update: bool,
    (dataset, own): (&str, impl FnOnce(Option<&B>) -> B),
    regressions: impl FnOnce(&B) -> Vec<String>,
) -> Result<(), Failure> {
    let mut known: BTreeMap<String, B> = match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|error| Failure::usage(format!("{} is no baseline: {error}", path.display())))?,
        Err(error) if update && error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => return Err(Failure::usage(format!("cannot read {}: {error}", path.display()))),
    };
    if update {
        let own = own(known.get(dataset));
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
