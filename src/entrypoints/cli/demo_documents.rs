//! The documents of `docket demo`: brought and read beside the service, told in a line now and then.

use std::time::Instant;

use console::style;
use tokio_util::sync::CancellationToken;

use super::Failure;
use crate::application::demo::seed_documents::{Missing, Progress, missing_documents, seed_documents};
use crate::application::knowledge::library::Library;

/// How many lines tell of the reading while it goes on.
const STEPS: usize = 4;

/// The documents to bring, after saying what there is.
pub(super) async fn look(library: &Library) -> Result<Vec<Missing>, Failure> {
    let missing = missing_documents(library).await.map_err(anyhow::Error::from)?;
    if missing.is_empty() {
        println!("  {} the demo documents are in their place", style("✓").green());
    } else {
        println!("  {} {} demo documents are read as soon as docket serves", style("…").cyan(), missing.len());
    }
    Ok(missing)
}

/// Brings them while the service runs. A failure is told and harms nothing else: the cases are there without documents.
pub(super) async fn bring(library: Library, missing: Vec<Missing>, stop: CancellationToken) {
    if missing.is_empty() {
        return;
    }
    let (began, mut told) = (Instant::now(), 0);
    let mut tell = |progress: Progress| {
        let (finished, quarter) = (progress.ready + progress.failed, progress.total.div_ceil(STEPS));
        if finished < progress.total && finished / quarter > told {
            told = finished / quarter;
            println!("  {} {finished} of {} demo documents read", style("…").cyan(), progress.total);
        }
    };
    match seed_documents(&library, missing, &stop, &mut tell).await {
        Err(error) => println!("  {} the demo documents: {error}", style("✗").red()),
        Ok(progress) if progress.ready + progress.failed < progress.total => {}
        Ok(Progress { ready, failed, total, passages }) => {
            let mark = if failed == 0 { style("✓").green() } else { style("✗").red() };
            let seconds = began.elapsed().as_secs_f64();
            println!("  {mark} {ready} of {total} demo documents can be asked ({passages} passages, {seconds:.1} s)");
        }
    }
}
