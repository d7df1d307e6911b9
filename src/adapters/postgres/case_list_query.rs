//! The SQL of case lists: visibility, filters, search, order and page.
//!
//! A list ends after a page, so the plan to want is an index in the list's order, read until the page is full. Three
//! things stand in its way, and each has its answer here:
//!
//! * a tenant that the planner does not know: its id stands in the text, beside row-level security, as a constant whose
//!   share of the table is known (the tenant is set before, see `case_reader::begin_reading`);
//! * a viewer who may see only a small part: a branch for each reason to see a case, each in order by its own index;
//! * words: reading in order is best if many cases hold them, the index of words if few do. A search looks at the next few
//!   cases in order first, and then as far as [`super::case_search`] finds worth while. Each branch looks at so many of its own;
//!   a page that reaches further back than one of them looked would lack its cases, and [`deepest`] tells so.
//!
//! Planning takes longer than most lists do. Where the plan to want is the same for all values, it is kept ([`keeps_plan`]); where
//! it depends on them, it is made for each list anew.

use docket_domain::case::Confidentiality;
use docket_domain::case::visibility::Sight;
use sqlx::{Postgres, QueryBuilder};

use super::case_row::CASE_COLUMNS;
use crate::application::ports::case_reader::{CaseFilter, CaseSort, Position, Viewer};
use crate::faults::Fault;

/// Which of the cases that a viewer may see a branch of the list gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Branch {
    /// All that the viewer may see, by one condition.
    Whole,
    /// Those of one confidentiality, seen by role.
    Level(Confidentiality),
    /// Those that the viewer reported and does not see by role.
    Reported,
    /// Those assigned to the viewer that it neither reported nor sees by role.
    Assigned,
}

/// How far a search looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Among so many next cases of each branch in the list's order.
    Near(u32),
    /// Among all.
    Whole,
}

/// Pages that people and programs ask for, and the one case more that says whether another page follows.
const USUAL: [u32; 8] = [11, 21, 26, 31, 51, 101, 151, 201];

/// Which part of a list to give: its order, where the page before ended, how many, and how far a search looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub(super) sort: CaseSort,
    pub(super) after: Option<Position>,
    pub(super) limit: u32,
    pub(super) reach: Reach,
}

/// Whether one plan serves whatever values are asked for: by a filter of no index of its own, in order of opening, there is
/// nothing to choose. Pages of unusual sizes are planned anew, so that nobody fills the connections' memory with plans.
pub(super) fn keeps_plan(filter: &CaseFilter, page: Page) -> bool {
    // Taken apart, so that a new filter is thought of here.
    let CaseFilter {
        states: _,
        severities: _,
        opened_from: _,
        opened_before: _,
        text: _,
        confidentialities,
        assignee_id,
        reporter_id,
        case_type,
        reference,
        due_before,
        overdue_at,
    } = filter;
    let by_persons = assignee_id.is_some() || reporter_id.is_some();
    let by_deadline = due_before.is_some() || overdue_at.is_some() || page.sort == CaseSort::DueAscending;
    let by_name = case_type.is_some() || reference.is_some() || !confidentialities.is_empty();
    !by_persons && !by_deadline && !by_name && matches!(page.reach, Reach::Near(_)) && USUAL.contains(&page.limit)
}

/// One page of a list. A near search that does not fill the page, or fills it from behind where one of its branches stopped looking
/// ([`deepest`]), must be followed by one that looks further.
pub(super) fn page(viewer: Viewer, filter: &CaseFilter, page: Page) -> QueryBuilder<Postgres> {
    let branches = branches(viewer.sight, filter, page);
    let mut query = QueryBuilder::new("");
    if let [only] = branches[..] {
        push_branch(&mut query, only, viewer, filter, page);
        return query;
    }
    query.push(format!("SELECT {CASE_COLUMNS} FROM ("));
    for (number, branch) in branches.into_iter().enumerate() {
        query.push(if number == 0 { "(" } else { " UNION ALL (" });
        push_branch(&mut query, branch, viewer, filter, page);
        query.push(")");
    }
    query.push(") AS visible");
    push_order(&mut query, page.sort, page.limit);
    query
}

/// How many cases a list has in all.
pub(super) fn count(viewer: Viewer, filter: &CaseFilter, sort: CaseSort) -> QueryBuilder<Postgres> {
    let mut query =
        QueryBuilder::new(format!("SELECT count(*) FROM docket.cases WHERE tenant_id = '{}'", viewer.tenant_id));
    push_visibility(&mut query, Branch::Whole, viewer);
    push_filter(&mut query, filter);
    push_sortable(&mut query, sort);
    push_words(&mut query, viewer, filter, Reach::Whole);
    query
}

/// The branches of a list, which never share a case.
///
/// A list by deadline, in order or up to a time, keeps one condition: only open cases stand in it, and they are few. Each branch
/// would read all those that are due. So does a whole search, which would visit the index of words once for each branch, and a near one of
/// somebody who sees nearly everything and seldom passes a case that he does not see.
fn branches(sight: Sight, filter: &CaseFilter, page: Page) -> Vec<Branch> {
    let sees_all = sight.internal && sight.restricted;
    let by_deadline = filter.due_before.is_some() || filter.overdue_at.is_some() || page.sort == CaseSort::DueAscending;
    let search_of_one = filter.text.is_some() && (page.reach == Reach::Whole || !is_narrow(sight));
    if sees_all || !sight.public || search_of_one || by_deadline {
        return vec![Branch::Whole];
    }
    let asked =
        |level: &Confidentiality| filter.confidentialities.is_empty() || filter.confidentialities.contains(level);
    let levels = Confidentiality::ALL.iter().copied().filter(|level| sight.covers(*level) && asked(level));
    levels.map(Branch::Level).chain([Branch::Reported, Branch::Assigned]).collect()
}

/// Whether somebody sees only the smaller part of the cases.
pub(super) const fn is_narrow(sight: Sight) -> bool {
    !sight.internal
}

fn push_branch(query: &mut QueryBuilder<Postgres>, branch: Branch, viewer: Viewer, filter: &CaseFilter, page: Page) {
    let Page { sort, after, limit, reach } = page;
    if filter.text.is_none() {
        query.push(format!("SELECT {CASE_COLUMNS} FROM docket.cases WHERE tenant_id = '{}'", viewer.tenant_id));
        push_visibility(query, branch, viewer);
        push_filter(query, filter);
        push_position(query, sort, after);
        push_order(query, sort, limit);
        return;
    }
    query.push(format!(
        "SELECT {CASE_COLUMNS} FROM (SELECT {CASE_COLUMNS}, search FROM docket.cases WHERE tenant_id = '{}'",
        viewer.tenant_id
    ));
    push_filter(query, filter);
    push_position(query, sort, after);
    match reach {
        Reach::Near(cases) => {
            push_visibility(query, branch, viewer);
            push_order(query, sort, cases);
            query.push(") AS near WHERE true");
            push_words(query, viewer, filter, reach);
        }
        Reach::Whole => {
            push_words(query, viewer, filter, reach);
            // `OFFSET 0` keeps the planner from reading in order once more, and from gathering all that the viewer may see
            // before it looks for the words.
            query.push(" OFFSET 0) AS found WHERE true");
            push_visibility(query, branch, viewer);
        }
    }
    push_order(query, sort, limit);
}

/// The SQL form of `docket_domain::case::visibility::may_see`; `tests/api/visibility.rs` holds the two together.
///
/// Written as the shortest condition that the sight needs, so that a supervisor's lists carry no condition at all.
fn push_visibility(query: &mut QueryBuilder<Postgres>, branch: Branch, viewer: Viewer) {
    let sight = viewer.sight;
    let who = viewer.principal_id.0;
    if !sight.public {
        query.push(" AND false");
        return;
    }
    if Fault::ListWithoutVisibility.is_seeded() {
        return;
    }
    let levels = match (sight.internal, sight.restricted) {
        (true, true) if branch == Branch::Whole => return,
        (true, true) => "'public', 'internal', 'restricted'",
        (true, false) => "'public', 'internal'",
        (false, true) => "'public', 'restricted'",
        (false, false) => "'public'",
    };
    match branch {
        Branch::Whole => {
            query.push(format!(" AND (confidentiality IN ({levels}) OR reporter_id = ")).push_bind(who);
            query.push(" OR assignee_id = ").push_bind(who).push(")");
        }
        Branch::Level(level) => {
            query.push(format!(" AND confidentiality = '{}'", level.as_str()));
        }
        Branch::Reported => {
            query.push(format!(" AND confidentiality NOT IN ({levels}) AND reporter_id = ")).push_bind(who);
        }
        Branch::Assigned => {
            query.push(format!(" AND confidentiality NOT IN ({levels}) AND assignee_id = ")).push_bind(who);
            query.push(" AND reporter_id <> ").push_bind(who);
        }
    }
}

/// How many cases of its own the branch that came furthest looked at, when the last case of a page lies at this place: none if there
/// is but one branch, which cannot be ahead of another.
pub(super) fn deepest(
    viewer: Viewer,
    filter: &CaseFilter,
    page: Page,
    last: Position,
) -> Option<QueryBuilder<Postgres>> {
    let (branches, Reach::Near(cases)) = (branches(viewer.sight, filter, page), page.reach) else { return None };
    if branches.len() == 1 {
        return None;
    }
    let (column, _, until) = columns(page.sort);
    let mut query = QueryBuilder::new("SELECT max(looked) FROM (");
    for (number, branch) in branches.into_iter().enumerate() {
        query.push(if number == 0 { "SELECT" } else { " UNION ALL SELECT" });
        let tenant = viewer.tenant_id;
        query.push(format!(" count(*) AS looked FROM (SELECT FROM docket.cases WHERE tenant_id = '{tenant}'"));
        push_visibility(&mut query, branch, viewer);
        push_filter(&mut query, filter);
        push_position(&mut query, page.sort, page.after);
        query.push(format!(" AND ({column}, id) {until} (")).push_bind(last.at);
        query.push(", ").push_bind(last.id.0).push(format!(") LIMIT {cases}) AS branch"));
    }
    query.push(") AS branches");
    Some(query)
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &CaseFilter) {
    push_names(query, "state", filter.states.iter().map(|name| name.as_str()));
    if !filter.states.is_empty() && filter.states.iter().all(|state| !state.is_terminal()) {
        // Says the same in the words of the partial index over open cases.
        query.push(" AND closed_at IS NULL");
    }
    push_names(query, "severity", filter.severities.iter().map(|name| name.as_str()));
    push_names(query, "confidentiality", filter.confidentialities.iter().map(|name| name.as_str()));
    if let Some(assignee) = filter.assignee_id {
        query.push(" AND assignee_id = ").push_bind(assignee.0);
    }
    if let Some(reporter) = filter.reporter_id {
        query.push(" AND reporter_id = ").push_bind(reporter.0);
    }
    if let Some(case_type) = &filter.case_type {
        query.push(" AND case_type = ").push_bind(case_type.clone());
    }
    if let Some(reference) = &filter.reference {
        query.push(" AND reference = ").push_bind(reference.clone());
    }
    if let Some(from) = filter.opened_from {
        query.push(" AND opened_at >= ").push_bind(from);
    }
    if let Some(before) = filter.opened_before {
        query.push(" AND opened_at < ").push_bind(before);
    }
    if let Some(before) = filter.due_before {
        query.push(" AND closed_at IS NULL AND due_at < ").push_bind(before);
    }
    if let Some(now) = filter.overdue_at {
        // Twice: the first in the words of the index of open cases by deadline, the second for clocks that stand still.
        query.push(" AND closed_at IS NULL AND state <> 'decided' AND due_at < ").push_bind(now);
        query.push(" AND due_at < coalesce(clock_paused_at, ").push_bind(now).push(")");
    }
}

/// The words of a search. Near, they are made of the text once, by a subquery: a plan that does not know the text would make
/// them for every case. In a whole search the planner must see them, to estimate how many cases hold them.
pub(super) fn push_words(query: &mut QueryBuilder<Postgres>, viewer: Viewer, filter: &CaseFilter, reach: Reach) {
    if let Some(text) = &filter.text {
        let (open, close) = if matches!(reach, Reach::Near(_)) { ("(SELECT ", ")") } else { ("", "") };
        // A text without any word (only stop words or signs) finds nothing, rather than everything.
        query.push(" AND numnode(websearch_to_tsquery('english', ").push_bind(text.clone()).push(")) > 0");
        query.push(format!(" AND search @@ {open}(websearch_to_tsquery('english', ")).push_bind(text.clone());
        query.push(") && ").push_bind(format!("'tenant:{}'", viewer.tenant_id)).push(format!("::tsquery){close}"));
    }
}

fn push_names<'a>(query: &mut QueryBuilder<Postgres>, column: &str, names: impl Iterator<Item = &'a str>) {
    let names: Vec<String> = names.map(str::to_owned).collect();
    match names.as_slice() {
        [] => {}
        [one] => {
            query.push(format!(" AND {column} = ")).push_bind(one.clone());
        }
        _ => {
            query.push(format!(" AND {column} = ANY(")).push_bind(names).push(")");
        }
    }
}

/// What a list is sorted by, how what comes after a place compares with it, and what comes until it.
const fn columns(sort: CaseSort) -> (&'static str, &'static str, &'static str) {
    match sort {
        CaseSort::OpenedDescending => ("opened_at", "<", ">="),
        CaseSort::OpenedAscending => ("opened_at", ">", "<="),
        CaseSort::DueAscending => ("due_at", ">", "<="),
    }
}

/// A list by deadline has only the cases that have one and are open, in the words of the partial index over them.
fn push_sortable(query: &mut QueryBuilder<Postgres>, sort: CaseSort) {
    if sort == CaseSort::DueAscending {
        query.push(" AND closed_at IS NULL AND due_at IS NOT NULL");
    }
}

fn push_position(query: &mut QueryBuilder<Postgres>, sort: CaseSort, after: Option<Position>) {
    let (column, comparison, _) = columns(sort);
    push_sortable(query, sort);
    if let Some(position) = after {
        query.push(format!(" AND ({column}, id) {comparison} (")).push_bind(position.at);
        query.push(", ").push_bind(position.id.0).push(")");
    }
}

fn push_order(query: &mut QueryBuilder<Postgres>, sort: CaseSort, limit: u32) {
    let order = match sort {
        CaseSort::OpenedDescending => "opened_at DESC, id DESC",
        CaseSort::OpenedAscending => "opened_at, id",
        CaseSort::DueAscending => "due_at, id",
    };
    // A number in the text: a plan for any limit would be one for a tenth of the table.
    query.push(format!(" ORDER BY {order} LIMIT {limit}"));
}

#[cfg(test)]
mod tests {
    use docket_domain::case::State;
    use docket_domain::ids::PrincipalId;

    use super::*;

    fn kept(filter: &CaseFilter, limit: u32, sort: CaseSort, reach: Reach) -> bool {
        keeps_plan(filter, Page { sort, after: None, limit, reach })
    }

    #[test]
    fn a_plan_is_kept_where_no_value_could_change_it_and_for_usual_pages_alone() {
        let opened = CaseSort::OpenedDescending;
        let words =
            CaseFilter { text: Some("buoy".to_owned()), states: vec![State::Escalated], ..CaseFilter::default() };
        assert!(kept(&CaseFilter::default(), 26, opened, Reach::Near(400)));
        assert!(kept(&words, 26, opened, Reach::Near(400)));
        assert!(!kept(&words, 26, opened, Reach::Whole), "how many cases hold the words decides");
        assert!(!kept(&CaseFilter::default(), 27, opened, Reach::Near(400)), "there would be a plan for every size");
        assert!(!kept(&CaseFilter::default(), 26, CaseSort::DueAscending, Reach::Near(400)));
        let mine = CaseFilter { assignee_id: Some(PrincipalId(uuid::Uuid::nil())), ..CaseFilter::default() };
        assert!(!kept(&mine, 26, opened, Reach::Near(400)), "an index of its own may be better");
    }
}
