//! How far a search for words looks: near in the list's order, or at everything that the index of words finds.
//!
//! Reading in order costs what lies between the cases of a page, the index what all cases together cost that hold the
//! words: one is fast where words are frequent, the other where they are rare. The planner's statistics know how frequent; they
//! are asked only when the first few hundred cases did not fill the page.

use serde_json::Value;
use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder};

use super::case_list_query::{Reach, is_narrow, push_words};
use crate::application::ports::case_reader::{CaseFilter, Viewer};

/// Cases that every search looks at first: about a millisecond's worth, and enough for words that one case in twenty holds.
pub(super) const FIRST: u32 = 400;
/// Of so many cases somebody with a narrow sight sees one, about; where his cases have no index of their own, he passes the others.
const NARROW: u32 = 10;
/// No search looks at more cases in order: some 70 milliseconds' worth.
const FURTHEST: f64 = 32_768.0;
/// How many cases hold all words of a phrase, for one that holds the phrase. Words of real texts stand together more often.
const WORDS_FOR_A_PHRASE: f64 = 40.0;
/// What using the index of words costs, in cases that could be read meanwhile.
const INDEX: f64 = 3_500.0;

/// How many cases of the tenant there are, by the planner's statistics.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Estimate {
    all: f64,
    /// With all the words.
    with_words: f64,
}

impl Estimate {
    /// Where to look for a page of `limit` cases. Near, twice as far as it should take, because words come in clusters.
    fn reach(self, limit: u32, phrase: bool, passes: u32) -> Reach {
        let found = if phrase { self.with_words / WORDS_FOR_A_PHRASE } else { self.with_words };
        let needed = 2.0 * f64::from(limit) * (self.all / found.max(1.0)).max(1.0);
        let read = needed * f64::from(passes);
        if read <= FURTHEST && read / 2.0 < self.with_words + INDEX {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 2 to FURTHEST")]
            return Reach::Near((needed as u32).next_power_of_two().max(2 * FIRST));
        }
        Reach::Whole
    }
}

/// Whether anything but words and times of opening restricts a search: those alone are helped by every index in order of opening.
fn is_filtered(filter: &CaseFilter) -> bool {
    let CaseFilter { opened_from, opened_before, text, .. } = filter.clone();
    *filter != CaseFilter { opened_from, opened_before, text, ..CaseFilter::default() }
}

/// How many cases are passed for each that the viewer sees.
fn passes(viewer: Viewer, filter: &CaseFilter) -> u32 {
    if is_narrow(viewer.sight) && is_filtered(filter) { NARROW } else { 1 }
}

/// Where to look for the rest of a page that the first cases did not fill.
pub(super) async fn reach(
    connection: &mut PgConnection,
    viewer: Viewer,
    filter: &CaseFilter,
    limit: u32,
) -> Result<Reach, sqlx::Error> {
    let cases = format!("SELECT 1 FROM docket.cases WHERE tenant_id = '{}'", viewer.tenant_id);
    let mut question = QueryBuilder::new(format!("EXPLAIN (FORMAT JSON) {cases} UNION ALL {cases}"));
    push_words(&mut question, viewer, filter, Reach::Whole);
    let plan: Json<Value> = question.build_query_scalar().persistent(false).fetch_one(connection).await?;
    let phrase = filter.text.as_ref().is_some_and(|text| text.contains('"'));
    Ok(estimate(&plan.0).map_or(Reach::Whole, |estimate| estimate.reach(limit, phrase, passes(viewer, filter))))
}

/// Reads the estimates; none if the plan has another form than it is known to have.
fn estimate(plan: &Value) -> Option<Estimate> {
    let parts = plan[0]["Plan"]["Plans"].as_array()?;
    let members: Vec<&Value> = parts.iter().filter(|part| part["Parent Relationship"] == "Member").collect();
    let [all, words] = members[..] else { return None };
    // Above the index of words the tenant is counted twice: as a word, and as a column.
    let words = of_index(words).unwrap_or(words);
    Some(Estimate { all: all["Plan Rows"].as_f64()?, with_words: words["Plan Rows"].as_f64()? })
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

    fn reach(with_words: f64, phrase: bool) -> Reach {
        Estimate { all: 500_000.0, with_words }.reach(26, phrase, 1)
    }

    #[test]
    fn frequent_words_are_looked_for_in_order_and_rare_ones_in_their_index() {
        assert_eq!(reach(20_000.0, false), Reach::Near(2_048));
        assert_eq!(reach(1_000.0, false), Reach::Whole, "500 cases lie between two of a page");
        assert_eq!(reach(0.0, false), Reach::Whole);
        assert_eq!(reach(200_000.0, true), Reach::Near(8_192), "a phrase of frequent words is no frequent one");
        assert_eq!(reach(10_000.0, true), Reach::Whole);
        assert_eq!(reach(900_000.0, false), Reach::Near(800), "estimates may be off");
        let passing = Estimate { all: 500_000.0, with_words: 5_000.0 }.reach(26, false, NARROW);
        assert_eq!(passing, Reach::Whole, "52,000 cases would be read for 5,200 that are seen");
    }
}
