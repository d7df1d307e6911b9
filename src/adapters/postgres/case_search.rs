//! How far a search for words looks: near in the list's order, or at everything that the index of words finds.
//!
//! Reading in order costs what lies between the cases of a page, the index what all cases together cost that hold the
//! words: one is fast where words are frequent, the other where they are rare. The planner's statistics know how frequent; they
//! are asked only when the first few hundred cases did not fill the page.

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder};

use super::case_list_query::{Branch, Reach, counts_filtered, push_filter, push_visibility, push_words};
use crate::application::ports::case_reader::{CaseFilter, Viewer};

/// Cases that every search looks at first: about a millisecond's worth, and enough for words that one case in twenty holds.
pub(super) const FIRST: u32 = 400;
/// No search looks at more cases in order: some 70 milliseconds' worth.
const FURTHEST: f64 = 32_768.0;
/// How many cases hold all words of a phrase, for one that holds the phrase. Words of real texts stand together more often.
const WORDS_FOR_A_PHRASE: f64 = 40.0;
/// What using the index of words costs, in cases that could be read meanwhile.
const INDEX: f64 = 1_000.0;

/// How many cases of the tenant there are, by the planner's statistics.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Estimate {
    /// Whatever is asked for.
    all: f64,
    /// Among which near cases are counted.
    counted: f64,
    /// Let through by the filter and seen by the viewer, whatever their words.
    open_to_view: f64,
    /// With all the words, whatever the filter.
    with_words: f64,
}

impl Estimate {
    /// Where to look for a page of `limit` cases. Near, twice as far as it should take, because words come in clusters.
    fn reach(self, limit: u32, phrase: bool) -> Reach {
        let found = if phrase { self.with_words / WORDS_FOR_A_PHRASE } else { self.with_words };
        let share = part(self.open_to_view, self.counted) * part(found, self.all);
        let needed = 2.0 * f64::from(limit) / share;
        if needed <= FURTHEST && needed < self.with_words + INDEX {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 2 to FURTHEST")]
            return Reach::Near((needed as u32).next_power_of_two().max(2 * FIRST));
        }
        Reach::Whole
    }
}

fn part(some: f64, of: f64) -> f64 {
    (some.max(1.0) / of.max(1.0)).min(1.0)
}

/// Where to look for the rest of a page that the first cases did not fill.
pub(super) async fn reach(
    connection: &mut PgConnection,
    viewer: Viewer,
    filter: &CaseFilter,
    limit: u32,
) -> Result<Reach, sqlx::Error> {
    let mut question = question(viewer, filter);
    let plan: Json<Value> = question.build_query_scalar().persistent(false).fetch_one(connection).await?;
    let phrase = filter.text.as_ref().is_some_and(|text| text.contains('"'));
    Ok(estimate(&plan.0).map_or(Reach::Whole, |estimate| estimate.reach(limit, phrase)))
}

/// Four plans in one, of which only the estimates are of interest.
fn question(viewer: Viewer, filter: &CaseFilter) -> QueryBuilder<sqlx::Postgres> {
    let cases = format!("SELECT 1 FROM docket.cases WHERE tenant_id = '{}'", viewer.tenant_id);
    let mut query = QueryBuilder::new(format!("EXPLAIN (FORMAT JSON) {cases} UNION ALL {cases}"));
    if counts_filtered(filter) {
        push_filter(&mut query, filter);
    }
    query.push(format!(" UNION ALL {cases}"));
    push_filter(&mut query, filter);
    push_visibility(&mut query, Branch::Whole, viewer);
    query.push(format!(" UNION ALL {cases}"));
    push_words(&mut query, viewer, filter, Reach::Whole);
    query
}

/// Reads the estimates; none if the plan has another form than it is known to have.
fn estimate(plan: &Value) -> Option<Estimate> {
    let members: Vec<&Value> =
        plan[0]["Plan"]["Plans"].as_array()?.iter().filter(|part| part["Parent Relationship"] == "Member").collect();
    let rows = |part: &Value| part["Plan Rows"].as_f64();
    let [all, counted, open_to_view, words] = members[..] else { return None };
    // Above the index of words the tenant is counted twice: as a word, and as a column.
    let with_words = of_index(words).unwrap_or(words);
    Some(Estimate {
        all: rows(all)?,
        counted: rows(counted)?,
        open_to_view: rows(open_to_view)?,
        with_words: rows(with_words)?,
    })
}

/// The node that reads the index of words.
fn of_index(plan: &Value) -> Option<&Value> {
    if plan["Index Name"] == "cases_by_search" {
        return Some(plan);
    }
    plan["Plans"].as_array()?.iter().find_map(of_index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(with_words: f64, open_to_view: f64, phrase: bool) -> Reach {
        Estimate { all: 500_000.0, counted: 500_000.0, open_to_view, with_words }.reach(26, phrase)
    }

    #[test]
    fn frequent_words_are_looked_for_in_order_and_rare_ones_in_their_index() {
        assert_eq!(reach(20_000.0, 500_000.0, false), Reach::Near(2_048));
        assert_eq!(reach(1_000.0, 500_000.0, false), Reach::Whole, "26,000 cases lie between those of a page");
        assert_eq!(reach(0.0, 500_000.0, false), Reach::Whole);
        assert_eq!(
            reach(20_000.0, 20_000.0, false),
            Reach::Whole,
            "few may be seen, so it is further to a page of them"
        );
        assert_eq!(
            reach(200_000.0, 500_000.0, true),
            Reach::Near(8_192),
            "a phrase of frequent words is no frequent one"
        );
        assert_eq!(reach(10_000.0, 500_000.0, true), Reach::Whole);
    }
}
