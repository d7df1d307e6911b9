//! The measures of a ranking are those of `trec_eval` (see `scripts/trec_eval_reference.py`).

use std::collections::BTreeMap;

use docket_domain::retrieval::metrics::{Judgments, measure, trec_order};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    run: BTreeMap<String, f64>,
    judgments: Judgments,
    measures: BTreeMap<String, f64>,
}

#[test]
fn every_measure_is_what_trec_eval_says() {
    let rows: Vec<Row> = serde_json::from_str(include_str!("trec_eval.json")).unwrap();
    assert_eq!(rows.len(), 40);
    for (place, row) in rows.into_iter().enumerate() {
        let mut run: Vec<(String, f64)> = row.run.into_iter().collect();
        trec_order(&mut run);
        let found = measure(run.iter().map(|(id, _)| id.as_str()), &row.judgments, 10);
        let ours = [
            ("recall_10", found.recall),
            ("map_cut_10", found.average_precision),
            ("ndcg_cut_10", found.ndcg),
            ("recip_rank_10", found.reciprocal_rank),
        ];
        for (name, value) in ours {
            assert!(
                (value - row.measures[name]).abs() < 1e-9,
                "question {place}, {name}: {value} and {:?}",
                row.measures
            );
        }
    }
}
