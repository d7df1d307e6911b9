//! Vectors kept between evaluations: one file for each model, a record for each text, found by the text's hash.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::application::evaluation::corpus::Vectors;

/// The file, read whole. Records are only ever added; a half-written one at the end is cut off.
pub struct VectorFile {
    file: File,
    known: HashMap<[u8; 32], Vec<f32>>,
}

impl VectorFile {
    /// Opens the file of a model under `$XDG_CACHE_HOME/docket` or `~/.cache/docket`.
    pub fn open(model: &str, window: usize, dimensions: usize) -> io::Result<Self> {
        let directory = directory()?;
        std::fs::create_dir_all(&directory)?;
        let path = directory.join(format!("vectors-{model}-{window}-{dimensions}.f32"));
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut reader = BufReader::new(&file);
        let mut record = vec![0; 32 + dimensions * 4];
        let mut known = HashMap::new();
        let mut whole = 0;
        while reader.read_exact(&mut record).is_ok() {
            let (hash, numbers) = record.split_at(32);
            let numbers = numbers.chunks_exact(4).map(|bytes| bytes.try_into().map_or(0.0, f32::from_le_bytes));
            known.insert(hash.try_into().unwrap_or_default(), numbers.collect());
            whole += record.len() as u64;
        }
        file.set_len(whole)?;
        Ok(Self { file, known })
    }
}

fn directory() -> io::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("docket")).ok_or_else(|| io::Error::other("neither XDG_CACHE_HOME nor HOME is set"))
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl Vectors for VectorFile {
    fn get(&self, text: &str) -> Option<Vec<f32>> {
        self.known.get(&hash(text)).cloned()
    }

    fn put(&mut self, texts: &[String], vectors: &[Vec<f32>]) -> io::Result<()> {
        let mut records = Vec::new();
        for (text, vector) in texts.iter().zip(vectors) {
            records.extend_from_slice(&hash(text));
            records.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
            self.known.insert(hash(text), vector.clone());
        }
        self.file.write_all(&records)
    }
}
