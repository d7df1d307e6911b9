//! The embedding model as the service uses it, against reference vectors from the published weights (see `scripts/embedding_reference.py`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::{Arc, LazyLock};

use docket::adapters::embedding::{EmbeddingProbe, EmbeddingSettings, OnnxEmbedder};
use docket::application::ports::embedder::{Embedder, EmbedderError, Urgency};
use docket::application::ports::health::{HealthProbe, ProbeState};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    text: String,
    ids: Vec<u32>,
    vector: Vec<f32>,
}

fn reference() -> Vec<Reference> {
    serde_json::from_str(include_str!("reference.json")).unwrap()
}

fn settings() -> EmbeddingSettings {
    EmbeddingSettings { model_dir: None, library: None, quantised: false, threads: 1, batch_tokens: 1024, window: 256 }
}

/// One model for all tests of this binary.
static EMBEDDER: LazyLock<Arc<OnnxEmbedder>> = LazyLock::new(|| Arc::new(OnnxEmbedder::new(settings())));

/// The same model with its products in whole numbers.
static QUANTISED: LazyLock<OnnxEmbedder> =
    LazyLock::new(|| OnnxEmbedder::new(EmbeddingSettings { quantised: true, ..settings() }));

fn close(left: &[f32], right: &[f32]) -> bool {
    left.iter().zip(right).all(|(left, right)| (left - right).abs() < 5e-5)
}

#[tokio::test]
async fn vectors_are_those_of_the_published_weights() {
    let rows = reference();
    let texts: Vec<String> = rows.iter().map(|row| row.text.clone()).collect();
    let vectors = EMBEDDER.embed(&texts, Urgency::Bulk).await.unwrap();
    assert_eq!(vectors.len(), rows.len());
    for (row, vector) in rows.iter().zip(&vectors) {
        assert_eq!(vector.len(), EMBEDDER.dimensions());
        let length = vector.iter().map(|value| value * value).sum::<f32>();
        assert!((length - 1.0).abs() < 1e-4, "{:?} has length {length}", row.text);
        assert!(close(vector, &row.vector), "{:?}: {:?} instead of {:?}", row.text, &vector[..8], row.vector);
    }
}

#[tokio::test]
async fn a_text_alone_has_the_vector_that_it_has_among_others() {
    let texts: Vec<String> = reference().into_iter().map(|row| row.text).collect();
    let together = EMBEDDER.embed(&texts, Urgency::Interactive).await.unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        let alone = EMBEDDER.embed(std::slice::from_ref(text), Urgency::Interactive).await.unwrap();
        assert!(close(&alone[0], vector), "{text:?}");
    }
}

#[tokio::test]
async fn in_whole_numbers_a_text_has_a_vector_beside_its_own() {
    let texts: Vec<String> = reference().into_iter().map(|row| row.text).collect();
    let exact = EMBEDDER.embed(&texts, Urgency::Bulk).await.unwrap();
    let whole = QUANTISED.embed(&texts, Urgency::Bulk).await.unwrap();
    assert_ne!(exact, whole);
    for (text, (exact, whole)) in texts.iter().zip(exact.iter().zip(&whole)) {
        let likeness: f32 = exact.iter().zip(whole).map(|(left, right)| left * right).sum();
        assert!(likeness > 0.96, "{text:?}: {likeness}");
    }
}

#[tokio::test]
async fn in_whole_numbers_a_vector_owes_nothing_to_the_texts_beside_it() {
    let texts: Vec<String> = reference().into_iter().map(|row| row.text).collect();
    let together = QUANTISED.embed(&texts, Urgency::Bulk).await.unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        let alone = QUANTISED.embed(std::slice::from_ref(text), Urgency::Interactive).await.unwrap();
        assert_eq!(&alone[0], vector, "{text:?}");
    }
}

#[tokio::test]
async fn in_whole_numbers_it_is_another_model() {
    assert_eq!((EMBEDDER.model(), QUANTISED.model()), ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2-int8"));
    assert_ne!(QUANTISED.identity().unwrap(), EMBEDDER.identity().unwrap());
}

#[tokio::test]
async fn a_directory_without_the_graph_that_is_wanted_is_refused_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("model.onnx"), "").unwrap();
    let model_dir = Some(directory.path().to_path_buf());
    let embedder = OnnxEmbedder::new(EmbeddingSettings { model_dir, quantised: true, ..settings() });
    let refused = embedder.embed(&["text".to_owned()], Urgency::Bulk).await;
    assert!(
        matches!(refused, Err(EmbedderError::NotInstalled(reason)) if reason.contains("model-int8.onnx is missing"))
    );
}

#[tokio::test]
async fn tokens_are_counted_as_the_model_sees_them() {
    for row in reference().iter().filter(|row| row.ids.len() < 256) {
        assert_eq!(EMBEDDER.count_tokens(&row.text).unwrap(), row.ids.len() - 2, "{:?}", row.text);
    }
    let words = ["reporting", "antidisestablishmentarianism", "12(3)(a),"];
    let sum: usize = words.iter().map(|word| EMBEDDER.count_tokens(word).unwrap()).sum();
    assert_eq!(EMBEDDER.count_tokens(&words.join(" ")).unwrap(), sum);
}

#[tokio::test]
async fn a_text_that_spells_a_mark_stays_a_text() {
    assert!(EMBEDDER.count_tokens("[SEP]").unwrap() > 1);
}

#[tokio::test]
async fn each_token_has_a_vector_of_length_one() {
    let vectors = EMBEDDER.embed_tokens(&["report within 72 hours".to_owned()], Urgency::Interactive).await.unwrap();
    let tokens = EMBEDDER.count_tokens("report within 72 hours").unwrap() + 2;
    assert_eq!(vectors[0].iter().count(), tokens);
    assert!(vectors[0].iter().all(|token| (token.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-4));
}

#[tokio::test]
async fn like_meanings_stand_closer_than_unlike_ones() {
    let texts = ["Who must report a breach?", "Companies have to notify incidents.", "The soup needs more salt."];
    let vectors = EMBEDDER.embed(&texts.map(str::to_owned), Urgency::Interactive).await.unwrap();
    let likeness = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    assert!(likeness(&vectors[0], &vectors[1]) > likeness(&vectors[0], &vectors[2]) + 0.2);
}

#[tokio::test]
async fn without_a_model_everything_says_so_and_nothing_panics() {
    let nowhere = EmbeddingSettings { model_dir: Some("/nowhere".into()), ..settings() };
    let embedder = Arc::new(OnnxEmbedder::new(nowhere));
    assert!(embedder.warm_up().is_err());
    let refused = embedder.embed(&["text".to_owned()], Urgency::Bulk).await;
    assert!(matches!(refused, Err(EmbedderError::NotInstalled(reason)) if reason.contains("model.onnx")));
    assert!(matches!(EmbeddingProbe(embedder).check().await, ProbeState::Down(_)));
    assert_eq!(EmbeddingProbe(EMBEDDER.clone()).check().await, ProbeState::Up);
}

#[tokio::test]
async fn no_texts_need_no_model() {
    assert!(EMBEDDER.embed(&[], Urgency::Bulk).await.unwrap().is_empty());
}
