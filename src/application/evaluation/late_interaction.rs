//! Late interaction for a whole set of questions at once.
//!
//! The token vectors of 13,000 passages fill gigabytes, and those of one passage take tens of milliseconds to compute. So each passage is
//! computed once, compared with every question that has it among its candidates, and forgotten. Only the questions' token vectors stay:
//! about 55 KB for each. What is kept for the next run is one number for each pair of question and passage.

use std::collections::{BTreeMap, HashMap};

use docket_domain::retrieval::max_sim;

use super::corpus::{BATCH, EvaluationError, Part, Vectors};
use super::dataset::Question;
use super::pipelines::Lists;
use crate::application::ports::embedder::{Embedder, TokenVectors, Urgency};

/// Compares each question with its candidates: `MaxSim` in the order of [`Lists::candidates`], nothing where a question has none. `known`
/// keeps the numbers by question and passage; `done` hears how many passages are compared.
pub async fn compare(
    (questions, lists): (&[Question], &[Lists]),
    parts: &[Part],
    embedder: &dyn Embedder,
    known: &mut dyn Vectors,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<Option<Vec<f64>>>, EvaluationError> {
    let pair = |question: usize, part: usize| format!("{}\0{}", questions[question].text, parts[part].text);
    let mut numbers: HashMap<(usize, usize), f64> = HashMap::new();
    let mut askers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (question, list) in lists.iter().enumerate() {
        for part in list.candidates.iter().flatten().copied() {
            match known.get(&pair(question, part)).and_then(|number| number.first().copied()) {
                Some(number) => drop(numbers.insert((question, part), f64::from(number))),
                None => askers.entry(part).or_default().push(question),
            }
        }
    }
    let asked = tokens_of_questions(questions, askers.values().flatten().copied(), embedder).await?;
    let mut missing: Vec<(usize, Vec<usize>)> = askers.into_iter().collect();
    // Of like length together, so that little is spent on padding.
    missing.sort_by_key(|(part, _)| parts[*part].text.len());
    for batch in missing.chunks(BATCH) {
        let texts: Vec<String> = batch.iter().map(|(part, _)| parts[*part].text.clone()).collect();
        let passages = embedder.embed_tokens(&texts, Urgency::Bulk).await?;
        let (mut pairs, mut found) = (Vec::new(), Vec::new());
        for ((part, askers), passage) in batch.iter().zip(&passages) {
            for question in askers {
                let tokens = &asked[question];
                // As exact as what is kept, so that the next run gives the same figures.
                #[allow(clippy::cast_possible_truncation)]
                let number = max_sim(&tokens.values, &passage.values, tokens.dimensions) as f32;
                numbers.insert((*question, *part), f64::from(number));
                pairs.push(pair(*question, *part));
                found.push(vec![number]);
            }
        }
        known.put(&pairs, &found)?;
        done(batch.len());
    }
    let of = |question: usize, part: &usize| numbers.get(&(question, *part)).copied().unwrap_or_default();
    let numbers_of = |(question, list): (usize, &Lists)| {
        list.candidates.as_ref().map(|parts| parts.iter().map(|part| of(question, part)).collect())
    };
    Ok(lists.iter().enumerate().map(numbers_of).collect())
}

async fn tokens_of_questions(
    questions: &[Question],
    wanted: impl Iterator<Item = usize>,
    embedder: &dyn Embedder,
) -> Result<HashMap<usize, TokenVectors>, EvaluationError> {
    let mut wanted: Vec<usize> = wanted.collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut tokens = HashMap::with_capacity(wanted.len());
    for batch in wanted.chunks(BATCH) {
        let texts: Vec<String> = batch.iter().map(|question| questions[*question].text.clone()).collect();
        tokens.extend(batch.iter().copied().zip(embedder.embed_tokens(&texts, Urgency::Bulk).await?));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use docket_domain::case::visibility::Sight;
    use parking_lot::Mutex;

    use super::*;
    use crate::application::ports::embedder::EmbedderError;

    /// A vector of length one for each letter from a to d; remembers which texts it was given.
    #[derive(Default)]
    struct Letters(Mutex<Vec<String>>);

    #[async_trait]
    impl Embedder for Letters {
        fn model(&self) -> &'static str {
            "letters"
        }

        fn dimensions(&self) -> usize {
            4
        }

        fn window(&self) -> usize {
            8
        }

        fn count_tokens(&self, text: &str) -> Result<usize, EmbedderError> {
            Ok(text.len())
        }

        async fn embed(&self, _: &[String], _: Urgency) -> Result<Vec<Vec<f32>>, EmbedderError> {
            Ok(Vec::new())
        }

        async fn embed_tokens(&self, texts: &[String], _: Urgency) -> Result<Vec<TokenVectors>, EmbedderError> {
            self.0.lock().extend(texts.iter().cloned());
            let vector = |letter: char| ('a'..='d').map(move |other| f32::from(u8::from(letter == other)));
            let vectors = |text: &String| text.chars().flat_map(vector).collect::<Arc<[f32]>>();
            Ok(texts.iter().map(|text| TokenVectors { dimensions: 4, values: vectors(text) }).collect())
        }
    }

    #[derive(Default)]
    struct Memory(HashMap<String, Vec<f32>>);

    impl Vectors for Memory {
        fn get(&self, text: &str) -> Option<Vec<f32>> {
            self.0.get(text).cloned()
        }

        fn put(&mut self, texts: &[String], vectors: &[Vec<f32>]) -> std::io::Result<()> {
            self.0.extend(texts.iter().cloned().zip(vectors.iter().cloned()));
            Ok(())
        }
    }

    #[tokio::test]
    async fn each_text_is_computed_once_whoever_asks_and_never_again() {
        let sight = Sight { public: true, internal: true, restricted: true };
        let question = |text: &str| Question { id: text.to_owned(), text: text.to_owned(), sight };
        let questions = ["ab", "cd", "a"].map(question);
        let parts = ["aac", "bd"].map(|text| Part { document: 0, text: text.to_owned() });
        let lists = [Some(vec![0, 1]), Some(vec![1, 0]), None].map(Lists::to_compare);
        let (embedder, mut known) = (Letters::default(), Memory::default());
        let expected = [Some(vec![0.5, 0.5]), Some(vec![0.5, 0.5]), None];
        for _ in 0..2 {
            let found = compare((&questions, &lists), &parts, &embedder, &mut known, &mut |_| ()).await.unwrap();
            assert_eq!(found, expected);
        }
        let mut computed = embedder.0.lock().clone();
        computed.sort();
        assert_eq!(computed, ["aac", "ab", "bd", "cd"]);
    }
}
