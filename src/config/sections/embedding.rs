//! The section `embedding`: the model that turns texts into vectors.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::sections::optional_path;
use crate::config::setting::{Rule, section};

/// The numbers that the model computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// Everything in single precision.
    Float32,
    /// Products in whole numbers of eight bits.
    Int8,
}

section! {
    /// Finding passages: the embedding model (on the CPU by ONNX Runtime) and the index of words.
    Embedding = "embedding" {
        /// Directory with `model.onnx` (or `model-int8.onnx`), `tokenizer.json` and `config.json`. Empty: found in the virtual environment. Another model than
        /// before has all passages embedded anew (docs/retrieval.md).
        #[serde(deserialize_with = "optional_path")]
        model_dir: Option<PathBuf> = "\"\"", Rule::OptionalText;
        /// `int8` multiplies whole numbers (`model-int8.onnx`): about half the time and less memory for slightly worse lists, by the figures of
        /// docs/retrieval.md. Each counts as a model of its own.
        precision: Precision = "\"float32\"", Rule::OneOf(&["float32", "int8"]);
        /// Shared library of ONNX Runtime. Empty: found in the virtual environment.
        #[serde(deserialize_with = "optional_path")]
        library: Option<PathBuf> = "\"\"", Rule::OptionalText;
        /// Threads of one inference. 0: one for each processor.
        threads: usize = "0", Rule::Integer { min: 0, max: 256 };
        /// Tokens of one inference at most, padding included. By `int8` each text is an inference of its own.
        batch_tokens: usize = "2048", Rule::Integer { min: 128, max: 65_536 };
        /// Tokens of a text that count; the model was trained with 256 and knows 512 positions.
        window: usize = "256", Rule::Integer { min: 8, max: 512 };
        /// Time between two looks for passages that the index of words does not know yet, in milliseconds.
        keyword_poll_ms: u64 = "250", Rule::Integer { min: 10, max: 60_000 };
        /// Searches of which a process remembers what they found, of all tenants, for a minute at most and until passages change. 0: none.
        search_cache: u64 = "2000", Rule::Integer { min: 0, max: 1_000_000 };
        /// Whether the model is loaded when the service starts, rather than at the first use.
        warm_up: bool = "true", Rule::Flag;
    }
}
