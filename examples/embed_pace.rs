//! Embeds what it is told, line by line, and says how long it took: so two of these and a peer can take turns within seconds.
//! `python -m bench.embedding` drives it.
//!
//! A line in: `{"texts": [...], "urgency": "interactive" or "bulk"}`. A line out: `{"milliseconds": …, "tokens": [...],
//! "vectors": [the first four]}`.
#![allow(clippy::print_stdout)]

use std::io::BufRead as _;
use std::time::Instant;

use clap::Parser;
use docket::adapters::embedding::{EmbeddingSettings, OnnxEmbedder};
use docket::application::ports::Embedder;
use docket::application::ports::embedder::Urgency;
use serde::Deserialize;
use serde_json::json;

/// Measures the embedder, with its tokenizer, as the service uses it.
#[derive(Parser)]
struct Arguments {
    /// Threads of one inference.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Products in whole numbers.
    #[arg(long)]
    quantised: bool,
}

#[derive(Deserialize)]
struct Order {
    texts: Vec<String>,
    urgency: Pace,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Pace {
    /// One text after the other.
    Interactive,
    /// All at once.
    Bulk,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let embedder = OnnxEmbedder::new(EmbeddingSettings {
        model_dir: None,
        library: None,
        quantised: arguments.quantised,
        threads: arguments.threads,
        batch_tokens: 2_048,
        window: 256,
    });
    for line in std::io::stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let (mut milliseconds, mut vectors) = (Vec::new(), Vec::new());
        let (size, urgency) = match order.urgency {
            Pace::Interactive => (1, Urgency::Interactive),
            Pace::Bulk => (order.texts.len().max(1), Urgency::Bulk),
        };
        for texts in order.texts.chunks(size) {
            let began = Instant::now();
            vectors.extend(embedder.embed(texts, urgency).await?);
            milliseconds.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        let tokens = order.texts.iter().map(|text| embedder.count_tokens(text)).collect::<Result<Vec<_>, _>>()?;
        println!("{}", json!({ "milliseconds": milliseconds, "tokens": tokens, "vectors": vectors.get(..4) }));
    }
    Ok(())
}
