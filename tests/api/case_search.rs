//! Searching among thousands of cases: every page holds what a look at all cases holds, in its order, for every role.

use docket_domain::principal::Role;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

use crate::support::TestApp;

/// Cases of the first tenant whose words are rarer the higher their number is divisible by, newest last. Levels come in blocks, so that
/// one level has its cases elsewhere in time than another.
const CASES: &str = "
    INSERT INTO docket.cases
        (tenant_id, id, reference, version, state, severity, confidentiality, title, narrative, respondent, case_type, reporter_id,
         assignee_id, due_at, opened_at, created_at, updated_at, closed_at, attributes, audit_seq, audit_head)
    SELECT tenant_id, gen_random_uuid(), 'S-' || n, 1, CASE WHEN n % 4 = 0 THEN 'escalated' ELSE 'submitted' END,
           CASE WHEN n % 5 = 0 THEN 'critical' ELSE 'low' END,
           CASE WHEN n / 700 % 3 = 0 THEN CASE WHEN n % 9 = 0 THEN 'restricted' ELSE 'internal' END
                WHEN n % 13 = 0 THEN 'public' WHEN n / 700 % 3 = 1 THEN 'restricted' ELSE 'internal' END,
           concat_ws(' ', 'berth', CASE WHEN n % 3 = 0 THEN 'anchor' END, CASE WHEN n % 35 = 0 THEN 'ballast' END,
                     CASE WHEN n % 700 < 2 THEN 'capstan' END),
           CASE WHEN n % 6 = 0 THEN 'a red light' WHEN n % 2 = 0 THEN 'a light was red' ELSE 'a light was green' END,
           'Northgate', CASE WHEN n % 10 = 0 THEN 'wreck' ELSE 'buoy' END,
           CASE WHEN n % 11 = 0 THEN $1 ELSE $2 END, CASE WHEN n % 17 = 0 THEN $3 ELSE $2 END,
           CASE WHEN n % 2 = 0 THEN timestamptz '2026-03-01' + n * interval '7 minutes' END,
           timestamptz '2025-01-01' + n * interval '1 hour', now(), now(), NULL, '{}', 1, sha256('')
    FROM docket.principals, generate_series(1, $4::integer) AS n WHERE id = $1";

struct Archive {
    app: TestApp,
    owner: PgPool,
}

impl Archive {
    async fn of(cases: i32) -> Self {
        let app = TestApp::start().await;
        let owner = app.superuser().await;
        let people = [Role::Reporter, Role::Supervisor, Role::Caseworker].map(|role| app.tenants[0].principals[&role]);
        let filled = sqlx::query(CASES).bind(people[0]).bind(people[1]).bind(people[2]).bind(cases);
        filled.execute(&owner).await.unwrap();
        sqlx::query("ANALYZE docket.cases").execute(&owner).await.unwrap();
        Self { app, owner }
    }

    /// What the role must find: the condition over all cases, in order.
    async fn all(&self, role: Role, condition: &str, order: &str) -> Vec<String> {
        let levels: &[&str] = match role {
            Role::Reporter => &["public"],
            Role::Caseworker => &["public", "internal"],
            _ => &["public", "internal", "restricted"],
        };
        let levels: Vec<String> = levels.iter().map(ToString::to_string).collect();
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT reference FROM docket.cases
             WHERE (confidentiality = ANY ($1) OR reporter_id = $2 OR assignee_id = $2) AND {condition} ORDER BY {order}"
        )))
        .bind(levels)
        .bind(self.app.tenants[0].principals[&role])
        .fetch_all(&self.owner)
        .await
        .unwrap()
    }

    /// The first pages of a list.
    async fn pages(&self, role: Role, query: &str, pages: usize) -> Vec<String> {
        let (mut references, mut cursor) = (Vec::new(), String::new());
        for _ in 0..pages {
            let page = self.app.get(&format!("/v1/cases?{query}{cursor}"), role).await.json();
            let items = page["items"].as_array().unwrap();
            references.extend(items.iter().map(|case: &Value| case["reference"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        references
    }
}

#[tokio::test]
async fn pages_of_a_search_hold_what_a_look_at_all_cases_holds_in_its_order_for_every_role() {
    let archive = Archive::of(9_000).await;
    let someone: Uuid = archive.app.tenants[0].principals[&Role::Caseworker];
    let words = |text: &str| format!("search @@ websearch_to_tsquery('english', '{text}')");
    let searches = [
        ("q=berth".to_owned(), words("berth")),
        ("q=anchor".to_owned(), words("anchor")),
        ("q=ballast".to_owned(), words("ballast")),
        ("q=capstan".to_owned(), words("capstan")),
        ("q=sextant".to_owned(), words("sextant")),
        ("q=ballast%20anchor".to_owned(), words("ballast anchor")),
        ("q=%22red%20light%22".to_owned(), words("\"red light\"")),
        ("q=%22red%20light%22%20ballast".to_owned(), words("\"red light\" ballast")),
        ("q=ballast&state=escalated".to_owned(), format!("{} AND state = 'escalated'", words("ballast"))),
        ("q=anchor&severity=critical".to_owned(), format!("{} AND severity = 'critical'", words("anchor"))),
        (format!("q=anchor&assignee_id={someone}"), format!("{} AND assignee_id = '{someone}'", words("anchor"))),
        ("q=ballast&case_type=wreck".to_owned(), format!("{} AND case_type = 'wreck'", words("ballast"))),
        ("q=anchor&confidentiality=public".to_owned(), format!("{} AND confidentiality = 'public'", words("anchor"))),
    ];
    let mut compared = 0;
    for role in [Role::Reporter, Role::Caseworker, Role::Supervisor] {
        for (query, condition) in &searches {
            let sorts = [
                ("", "", "opened_at DESC, id DESC"),
                ("&sort=opened_at", "", "opened_at, id"),
                ("&sort=due_at", " AND due_at IS NOT NULL", "due_at, id"),
            ];
            for (sort, more, order) in sorts {
                let mut expected = archive.all(role, &format!("{condition}{more}"), order).await;
                let found = archive.pages(role, &format!("limit=25&{query}{sort}"), 4).await;
                expected.truncate(100);
                assert_eq!(found, expected, "{role:?}: {query}{sort}");
                compared += found.len();
            }
        }
    }
    assert!(compared > 4_000, "only {compared} cases were compared");
}

#[tokio::test]
async fn a_level_whose_cases_lie_close_together_hides_none_of_another() {
    let archive = Archive::of(9_000).await;
    for (role, near, far) in [(Role::Caseworker, "internal", "public"), (Role::Reporter, "public", "internal")] {
        // Of the newest 2,160 only the oldest sixty hold the word; those before them are of another level, and the role's own.
        sqlx::query(
            "UPDATE docket.cases SET confidentiality = CASE WHEN n > 6840 THEN $1 ELSE $2 END, reporter_id = $3,
                 title = CASE WHEN n <= 6900 AND (n > 6840 OR n % 10 = 0) THEN 'dredger' ELSE 'berth' END
             FROM (SELECT id AS found, substr(reference, 3)::integer AS n FROM docket.cases) AS numbered WHERE id = found",
        )
        .bind(near)
        .bind(far)
        .bind(archive.app.tenants[0].principals[&role])
        .execute(&archive.owner)
        .await
        .unwrap();
        let held = "search @@ to_tsquery('dredger')";
        let mut expected = archive.all(role, held, "opened_at DESC, id DESC").await;
        expected.truncate(100);
        assert_eq!(archive.pages(role, "limit=25&q=dredger", 4).await, expected, "{role}");
    }
}
