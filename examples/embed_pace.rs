//! How fast texts become vectors: single questions one after the other, and many texts at once. Reads
//! `{"queries": [...], "bulk": [...], "mixed": [...]}` from a file and prints one JSON object; `python -m bench.embedding` runs it.
#![allow(clippy::print_stdout, clippy::cast_precision_loss)]

use std::path::PathBuf;
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
    /// JSON with the texts.
    texts: PathBuf,
    /// Threads of one inference.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Deserialize)]
struct Texts {
    queries: Vec<String>,
    bulk: Vec<String>,
    mixed: Vec<String>,
}

/// Texts a second, and their vectors.
async fn rate(embedder: &OnnxEmbedder, texts: &[String]) -> anyhow::Result<(f64, Vec<Vec<f32>>)> {
    let began = Instant::now();
    let vectors = embedder.embed(texts, Urgency::Bulk).await?;
    Ok((texts.len() as f64 / began.elapsed().as_secs_f64(), vectors))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let texts: Texts = serde_json::from_slice(&std::fs::read(&arguments.texts)?)?;
    let embedder = OnnxEmbedder::new(EmbeddingSettings {
        model_dir: None,
        library: None,
        threads: arguments.threads,
        batch_tokens: 2_048,
        window: 256,
    });
    // The first of each lane loads the model and takes memory.
    for urgency in [Urgency::Interactive, Urgency::Bulk] {
        embedder.embed(&texts.queries[..1], urgency).await?;
    }
    embedder.embed(&texts.bulk[..texts.bulk.len().min(32)], Urgency::Bulk).await?;
    let mut milliseconds = Vec::with_capacity(texts.queries.len());
    for query in &texts.queries {
        let began = Instant::now();
        embedder.embed(std::slice::from_ref(query), Urgency::Interactive).await?;
        milliseconds.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    let (bulk, vectors) = rate(&embedder, &texts.bulk).await?;
    let (mixed, _) = rate(&embedder, &texts.mixed).await?;
    let counts = texts.bulk.iter().map(|text| embedder.count_tokens(text)).collect::<Result<Vec<_>, _>>()?;
    println!(
        "{}",
        json!({
            "query_ms": milliseconds, "bulk_per_second": bulk, "mixed_per_second": mixed, "tokens": counts,
            "vectors": vectors.get(..4),
        })
    );
    Ok(())
}
