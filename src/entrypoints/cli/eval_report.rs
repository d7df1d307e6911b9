//! An evaluation for people: a table, and a plot as SVG.

use std::fmt::Write as _;

use crate::application::evaluation::chunkings::{CutPipeline, CutReport};
use crate::application::evaluation::pipelines::ShareFigure;
use crate::application::evaluation::report::{Comparison, Figure, PipelineReport, Report};

/// The figures as a table; the last column compares with the two single lists.
pub fn table(report: &Report) -> String {
    let mut text = format!(
        "{}: {} passages, {}; mean and 95 % interval over the questions, all cut at 10\n\n",
        report.dataset, report.documents, report.model
    );
    let _ = writeln!(
        text,
        "| pipeline | questions | nDCG | Recall | MRR | MAP | against bm25 (nDCG, p) | against dense (nDCG, p) |"
    );
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for row in &report.pipelines {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {:.4} | {:.4} | {} | {} |",
            row.pipeline,
            row.questions,
            with_interval(row.ndcg),
            with_interval(row.recall),
            row.reciprocal_rank.mean,
            row.average_precision.mean,
            against(row, "bm25"),
            against(row, "dense")
        );
    }
    if let Some(row) = report.pipelines.iter().find(|row| row.pipeline.contains("maxsim"))
        && let Some(before) = row.against.get("convex")
    {
        let _ = write!(
            text,
            "\nReranking changed nDCG@10 by {:+.4} (p {:.4}) on its {} questions.",
            before.gain, before.p, row.questions
        );
    }
    text
}

/// The strategy that a collection has which says nothing; others are held against it.
const USUAL: &str = "recursive";

/// Every pipeline with every way of cutting, each held against the same pipeline with the first way and with the usual one.
pub fn chunking_table(report: &Report) -> String {
    let cuts = &report.chunkings;
    let mut text = format!("{}, {}; mean and 95 % interval over the questions\n\n", report.dataset, report.model);
    for cut in cuts {
        let _ = write!(text, "- {}: {} passages of {:.0} tokens", cut.chunking, cut.passages, cut.mean_tokens);
        if let Some((lost, all)) = cut.cut_in_two {
            let _ = write!(text, "; {} of {all} quotes stand whole in one", all - lost);
        }
        text.push('\n');
    }
    let first = cuts.first().map(|cut| cut.chunking.as_str());
    let usual = cuts.iter().map(|cut| cut.chunking.as_str()).find(|name| *name == USUAL && Some(*name) != first);
    let others: Vec<&str> = first.into_iter().chain(usual).collect();
    text.push_str("\n| chunking | pipeline | nDCG@10 | Recall@10 | Recall@5 | Recall in 1,000 tokens |");
    for other in &others {
        let _ = write!(text, " nDCG against {other} (p) | 1,000 tokens against {other} (p) |");
    }
    let _ = writeln!(text, "\n|{}", "---|".repeat(6 + 2 * others.len()));
    for (cut, row) in cuts.iter().flat_map(|cut| cut.pipelines.iter().map(move |row| (cut, row))) {
        text.push_str(&chunking_row(cut, row, &others));
    }
    text
}

fn chunking_row(cut: &CutReport, row: &CutPipeline, others: &[&str]) -> String {
    let mut text = format!(
        "| {} | {} | {} | {:.4} | {:.4} | {} |",
        cut.chunking,
        row.pipeline,
        with_interval(row.ndcg),
        row.recall.mean,
        row.recall_of_few.mean,
        with_interval(row.recall_of_tokens)
    );
    let cell = |found: Option<Comparison>| {
        found.map_or_else(|| " ".to_owned(), |found| format!(" {:+.4} ({:.4}) ", found.gain, found.p))
    };
    for other in others {
        let found = row.against.get(*other);
        let _ = write!(text, "{}|", cell(found.map(|found| found.ndcg)));
        let _ = write!(text, "{}|", cell(found.map(|found| found.recall_of_tokens)));
    }
    text + "\n"
}

/// nDCG@10 by the share that the order before reranking has; the share is chosen by the first half and reported on the second.
pub fn share_table(figures: &[ShareFigure]) -> String {
    let (tuning, held_out) = figures.first().map_or((0, 0), |figure| (figure.tuning.1, figure.held_out.1));
    let mut text = format!("| share | nDCG of {tuning} to choose by | nDCG of {held_out} held out |\n|---|---|---|\n");
    for figure in figures {
        let _ = writeln!(text, "| {:.1} | {:.4} | {:.4} |", figure.share, figure.tuning.0, figure.held_out.0);
    }
    text
}

fn with_interval(figure: Figure) -> String {
    format!("{:.4} ({:.3} to {:.3})", figure.mean, figure.low, figure.high)
}

fn against(row: &PipelineReport, other: &str) -> String {
    row.against.get(other).map_or_else(|| "-".to_owned(), |found| format!("{:+.4}, {:.4}", found.gain, found.p))
}

/// nDCG@10 of each pipeline as a bar with its interval.
pub fn plot(report: &Report) -> String {
    let (left, width, bar, gap) = (150.0, 520.0, 22.0, 14.0);
    let mut body = String::new();
    let mut top = 50.0;
    for row in &report.pipelines {
        let (figure, middle) = (row.ndcg, top + bar / 2.0);
        let at = |value: f64| left + value * width;
        let _ = writeln!(
            body,
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text>\n\
             <rect x=\"{left:.0}\" y=\"{top:.0}\" width=\"{:.1}\" height=\"{bar:.0}\" fill=\"#4477aa\"/>\n\
             <path d=\"M{:.1} {middle:.1}H{:.1}\" stroke=\"#222222\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{:.0}\">{:.3}</text>",
            left - 8.0,
            middle + 5.0,
            row.pipeline,
            figure.mean * width,
            at(figure.low),
            at(figure.high),
            at(figure.high) + 8.0,
            middle + 5.0,
            figure.mean
        );
        top += bar + gap;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{:.0}\" font-family=\"sans-serif\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"16\">nDCG@10 on {} ({} passages), 95 % intervals</text>\n{body}</svg>\n",
        top + 10.0,
        report.dataset,
        report.documents
    )
}
