//! Listing: filters, sorts, search, and cursors that work only where they were made.

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, complete_case};

async fn many(app: &TestApp, count: usize) {
    for number in 0..count {
        let mut case = complete_case();
        case["reference"] = json!(format!("R-{number:03}"));
        case["severity"] = json!(if number % 2 == 0 { "low" } else { "high" });
        assert_eq!(app.post("/v1/cases", Role::Reporter, &case).await.status, 201);
    }
}

async fn walk(app: &TestApp, query: &str) -> Vec<String> {
    let mut references = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/v1/cases?{query}{cursor}"), Role::Supervisor).await.json();
        let items = page["items"].as_array().unwrap();
        references.extend(items.iter().map(|case| case["reference"].as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return references,
        }
    }
}

#[tokio::test]
async fn pages_cover_everything_once_in_both_directions() {
    let app = TestApp::start().await;
    many(&app, 11).await;
    let expected: Vec<_> = (0..11).map(|number| format!("R-{number:03}")).collect();
    assert_eq!(walk(&app, "limit=3&sort=opened_at").await, expected);
    let mut descending = walk(&app, "limit=4").await;
    descending.reverse();
    assert_eq!(descending, expected);
    assert_eq!(walk(&app, "limit=2&severity=low").await.len(), 6);
    assert_eq!(walk(&app, "limit=11").await.len(), 11, "a page that ends exactly at the end has no next");
}

#[tokio::test]
async fn a_cursor_works_only_with_its_own_filter_sort_and_tenant() {
    let app = TestApp::start().await;
    many(&app, 3).await;
    let page = app.get("/v1/cases?limit=1&severity=low", Role::Supervisor).await.json();
    let cursor = page["next"].as_str().unwrap();
    for query in ["severity=high", "severity=low&sort=opened_at", ""] {
        let answer = app.get(&format!("/v1/cases?{query}&cursor={cursor}"), Role::Supervisor).await;
        answer.assert_problem(400, "invalid-cursor");
    }
    let foreign = &app.tenants[1].keys[&Role::Supervisor];
    let request = app.request(Method::GET, &format!("/v1/cases?limit=1&severity=low&cursor={cursor}"), foreign);
    Answer::of(request).await.assert_problem(400, "invalid-cursor");
    for bad in ["x", "AAAA", &"A".repeat(900)] {
        app.get(&format!("/v1/cases?cursor={bad}"), Role::Supervisor).await.assert_problem(400, "invalid-cursor");
    }
}

#[tokio::test]
async fn search_finds_words_in_title_respondent_narrative_and_reference() {
    let app = TestApp::start().await;
    many(&app, 2).await;
    let found = async |query: &'static str| {
        let page = app.get(&format!("/v1/cases?q={query}"), Role::Supervisor).await;
        assert_eq!(page.status, 200, "{}", page.text);
        page.json()["items"].as_array().unwrap().len()
    };
    assert_eq!(found("buoys").await, 2, "stemmed, title");
    assert_eq!(found("northgate").await, 2, "respondent");
    assert_eq!(found("%22near%20misses%22").await, 2, "phrase, narrative");
    assert_eq!(found("R-001").await, 1, "reference");
    assert_eq!(found("buoy%20-dark").await, 0, "without");
    assert_eq!(found("tenant").await, 0, "the tenant's own lexeme is not a word");
    assert_eq!(found("%27%26%7C!()%3A*").await, 0, "operators are no syntax error");
}

#[tokio::test]
async fn filters_combine_and_a_page_is_never_larger_than_allowed() {
    let app = TestApp::start().await;
    many(&app, 4).await;
    let page: Value = app.get("/v1/cases?limit=100000&count=true", Role::Supervisor).await.json();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["count"]), (4, &json!(4)));
    let reporter = app.principal(Role::Reporter);
    let query = format!(
        "/v1/cases?state=draft,closed&severity=high&reporter_id={reporter}&case_type=navigation-aid&opened_from=2020-01-01T00:00:00Z"
    );
    assert_eq!(app.get(&query, Role::Supervisor).await.json()["items"].as_array().unwrap().len(), 2);
    let by_deadline = app.get("/v1/cases?sort=due_at&count=true", Role::Supervisor).await.json();
    assert_eq!(by_deadline["items"], json!([]), "drafts have no deadline");
    assert_eq!(by_deadline["count"], json!(0), "and the count is that of the list");
    let answer = app.get("/v1/cases?state=open&limit=x&sort=title&odd=1&count=2", Role::Supervisor).await;
    assert_eq!(answer.assert_problem(400, "invalid-query")["errors"].as_array().unwrap().len(), 5);
}
