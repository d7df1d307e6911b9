//! S2: every operation of the OpenAPI document, as every role, with own, foreign and missing ids in every place that
//! takes one. What is foreign is answered as if it did not exist.

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::client::{Answer, Client, Request};
use crate::support::commands::new_case;
use crate::support::report::{Findings, bounded, turn};
use crate::support::service::Service;
use crate::support::stage::{ROLES, Stage};

/// Stands in the title of the other tenant's case; no answer may ever hold it.
const FOREIGN_MARK: &str = "foreignsecret";
/// Stands in the title of an own restricted case; roles that may not see it never read it.
const RESTRICTED_MARK: &str = "restrictedsecret";
/// Roles that see restricted cases in which they have no part.
const SEES_RESTRICTED: [Role; 2] = [Role::Supervisor, Role::Auditor];

struct Matrix {
    client: Client,
    stage: Stage,
    foreign_case: String,
    probes: std::cell::Cell<usize>,
}

#[tokio::test]
async fn a_foreign_id_is_answered_like_a_missing_one_everywhere() {
    let _turn = turn().await;
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let service = Service::start(&stage).await;
    let client = Client::new(&service.url, &findings);
    let mut matrix = Matrix { client, stage, foreign_case: String::new(), probes: 0.into() };
    matrix.foreign_case = matrix.create(1, Role::Supervisor, FOREIGN_MARK, "public").await;
    let restricted = matrix.create(0, Role::Supervisor, RESTRICTED_MARK, "restricted").await;
    for (method, path, operation) in operations(&service.url).await {
        for role in ROLES {
            matrix.ids_in_path(&method, &path, role).await;
            matrix.ids_in_query(&method, &path, &operation, role).await;
        }
    }
    for role in ROLES {
        matrix.ids_in_body(role).await;
        matrix.lists(role, &restricted).await;
        matrix.foreign_key(role).await;
    }
    matrix.cursors().await;
    let probes = matrix.probes.get();
    println!("S2: {}", bounded(findings.count(), "leaks", probes));
    findings.expect(probes > 200, || format!("only {probes} probes were made"));
    findings.assert_none();
}

/// Every operation that the service documents.
pub async fn operations(url: &str) -> Vec<(Method, String, Value)> {
    let text = reqwest::get(format!("{url}/openapi.json")).await.unwrap().text().await.unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if let Ok(method @ (Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE)) =
                method.to_uppercase().parse::<Method>()
            {
                operations.push((method, path.clone(), operation.clone()));
            }
        }
    }
    operations
}

impl Matrix {
    /// Sends a probe as a role of the first tenant and checks what every answer must keep.
    async fn probe(&self, role: Role, method: &Method, path: &str, body: Option<Value>) -> Answer {
        let request = Request {
            method: method.clone(),
            path: path.to_owned(),
            api_key: self.stage.tenants[0].keys[&role].clone(),
            key: (*method != Method::GET).then(|| Uuid::new_v4().to_string()),
            if_match: (*method != Method::GET).then(|| "\"v1\"".to_owned()),
            body: body.filter(|_| *method != Method::GET),
        };
        self.probes.set(self.probes.get() + 1);
        let Some(answer) = self.client.send(&request).await else {
            self.client.findings.add(format!("{role}: {method} {path} was not answered"));
            return Answer {
                status: 0,
                text: String::new(),
                etag: String::new(),
                location: String::new(),
                content_type: String::new(),
                retry_after: String::new(),
                replayed: false,
            };
        };
        let shows = |mark: &str| answer.text.contains(mark);
        self.client.findings.expect(answer.status < 500, || {
            format!("{role}: {method} {path} was answered {} {}", answer.status, answer.text)
        });
        self.client.findings.expect(!shows(FOREIGN_MARK), || {
            format!("{role}: {method} {path} shows another tenant's case: {}", answer.text)
        });
        self.client.findings.expect(SEES_RESTRICTED.contains(&role) || !shows(RESTRICTED_MARK), || {
            format!("{role}: {method} {path} shows a restricted case: {}", answer.text)
        });
        answer
    }

    /// Foreign and missing must be told apart by nothing but the id that was sent.
    fn same(&self, place: &str, foreign: (&Answer, &str), missing: (&Answer, &str)) {
        let (left, right) = (blurred(foreign.0, foreign.1), blurred(missing.0, missing.1));
        self.client.findings.expect(left == right, || format!("{place}: foreign {left:?}, missing {right:?}"));
    }

    async fn ids_in_path(&self, method: &Method, path: &str, role: Role) {
        if !path.contains('{') {
            self.probe(role, method, path, Some(body_for(path))).await;
            return;
        }
        let own = self.create(0, Role::Reporter, "own", "internal").await;
        self.probe(role, method, &filled(path, &own), Some(body_for(path))).await;
        let missing_id = Uuid::now_v7().to_string();
        let foreign = self.probe(role, method, &filled(path, &self.foreign_case), Some(body_for(path))).await;
        let missing = self.probe(role, method, &filled(path, &missing_id), Some(body_for(path))).await;
        let place = format!("{role}: {method} {path}");
        self.same(&place, (&foreign, &self.foreign_case), (&missing, &missing_id));
        self.client.findings.expect((400..500).contains(&foreign.status), || {
            format!("{place} with a foreign id was answered {}", foreign.status)
        });
    }

    async fn ids_in_query(&self, method: &Method, path: &str, operation: &Value, role: Role) {
        if *method != Method::GET || path.contains('{') {
            return;
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let names = parameters.iter().filter(|one| one["in"] == "query" && one["schema"]["format"] == "uuid");
        for name in names.filter_map(|one| one["name"].as_str()) {
            let foreign_id = self.stage.tenants[1].principals[&Role::Supervisor].to_string();
            let missing_id = Uuid::now_v7().to_string();
            let foreign = self.probe(role, method, &format!("{path}?{name}={foreign_id}"), None).await;
            let missing = self.probe(role, method, &format!("{path}?{name}={missing_id}"), None).await;
            self.same(&format!("{role}: {path}?{name}"), (&foreign, &foreign_id), (&missing, &missing_id));
        }
    }

    /// Ids in bodies: the case to link to, the principal to assign.
    async fn ids_in_body(&self, role: Role) {
        let principal = self.stage.tenants[1].principals[&Role::Caseworker].to_string();
        let places: [(Method, &str, &str, Value); 4] = [
            (Method::POST, "links", &self.foreign_case, json!({"target_case_id": "ID", "reason": "r"})),
            (
                Method::POST,
                "transitions",
                &self.foreign_case,
                json!({"command": "link", "target_case_id": "ID", "reason": "r"}),
            ),
            (Method::PUT, "assignment", &principal, json!({"assignee_id": "ID"})),
            (Method::POST, "transitions", &principal, json!({"command": "assign", "assignee_id": "ID"})),
        ];
        for (method, segment, foreign_id, body) in places {
            let missing_id = Uuid::now_v7().to_string();
            let mut answers = Vec::new();
            for id in [foreign_id, &missing_id] {
                let own = self.create(0, Role::Reporter, "own", "internal").await;
                let body: Value = serde_json::from_str(&body.to_string().replace("ID", id)).unwrap();
                answers.push(self.probe(role, &method, &format!("/v1/cases/{own}/{segment}"), Some(body)).await);
            }
            let place = format!("{role}: {method} /v1/cases/{{id}}/{segment} {body}");
            self.same(&place, (&answers[0], foreign_id), (&answers[1], &missing_id));
        }
    }

    /// Lists, searches and counts hold what a GET of each case would show, no more.
    async fn lists(&self, role: Role, restricted: &str) {
        let hidden = !SEES_RESTRICTED.contains(&role);
        let single = self.probe(role, &Method::GET, &format!("/v1/cases/{restricted}"), None).await;
        self.client.findings.expect((single.status == 404) == hidden, || {
            format!("{role}: GET of a restricted case was answered {}", single.status)
        });
        for query in [format!("q={RESTRICTED_MARK}&count=true"), "confidentiality=restricted&count=true".to_owned()] {
            let page = self.probe(role, &Method::GET, &format!("/v1/cases?{query}"), None).await.json();
            let expected = i64::from(!hidden);
            self.client.findings.expect(page["count"] == expected, || {
                format!("{role}: ?{query} counts {} restricted cases instead of {expected}", page["count"])
            });
        }
        let page = self.probe(role, &Method::GET, &format!("/v1/cases?q={FOREIGN_MARK}&count=true"), None).await.json();
        self.client.findings.expect(page["count"] == 0, || format!("{role}: counts the other tenant's cases: {page}"));
    }

    /// A key that the other tenant used is a new key here.
    async fn foreign_key(&self, role: Role) {
        let key = Uuid::new_v4().to_string();
        for tenant in [1, 0] {
            let request = Request {
                method: Method::POST,
                path: "/v1/cases".to_owned(),
                api_key: self.stage.tenants[tenant].keys[&role].clone(),
                key: Some(key.clone()),
                if_match: None,
                body: Some(new_case("key", "public")),
            };
            self.probes.set(self.probes.get() + 1);
            let answer = self.client.send(&request).await.unwrap();
            self.client.findings.expect(!answer.replayed && matches!(answer.status, 201 | 403), || {
                format!(
                    "{role}: a key of another tenant was answered {} (replayed: {})",
                    answer.status, answer.replayed
                )
            });
        }
    }

    /// A cursor of another tenant, of another filter or with a changed byte is refused.
    async fn cursors(&self) {
        for tenant in [0, 1] {
            for number in 0..3 {
                self.create(tenant, Role::Reporter, &format!("page {number}"), "public").await;
            }
        }
        let mut cursors = Vec::new();
        for tenant in &self.stage.tenants {
            let request = Request {
                method: Method::GET,
                path: "/v1/cases?limit=1".to_owned(),
                api_key: tenant.keys[&Role::Auditor].clone(),
                key: None,
                if_match: None,
                body: None,
            };
            let page = self.client.send(&request).await.unwrap().json();
            cursors.push(page["next"].as_str().unwrap_or_default().to_owned());
        }
        let own =
            self.probe(Role::Auditor, &Method::GET, &format!("/v1/cases?limit=1&cursor={}", cursors[0]), None).await;
        self.client.findings.expect(own.status == 200, || format!("the own cursor was answered {}", own.status));
        let changed = format!("{}{}", if cursors[0].starts_with('A') { "B" } else { "A" }, &cursors[0][1..]);
        let bad = [
            format!("cursor={}", cursors[1]),
            format!("cursor={changed}"),
            format!("cursor={}&state=draft", cursors[0]),
            format!("cursor={}&sort=opened_at", cursors[0]),
        ];
        for query in bad {
            let answer = self.probe(Role::Auditor, &Method::GET, &format!("/v1/cases?limit=1&{query}"), None).await;
            self.client.findings.expect(answer.status == 400 && answer.slug() == "invalid-cursor", || {
                format!("a cursor that is not for this list was answered {} (?{query})", answer.status)
            });
        }
    }

    async fn create(&self, tenant: usize, role: Role, mark: &str, confidentiality: &str) -> String {
        let (api_key, key) = (&self.stage.tenants[tenant].keys[&role], Uuid::new_v4().to_string());
        self.client.create(api_key, &key, new_case(mark, confidentiality)).await
    }
}

/// Status and, of a problem, all that does not name the request or the id that was sent.
fn blurred(answer: &Answer, id: &str) -> (u16, String) {
    if answer.status < 400 {
        return (answer.status, String::new());
    }
    let mut body: Value = serde_json::from_str(&answer.text.replace(id, "ID")).unwrap_or_default();
    body["instance"] = json!("");
    (answer.status, body.to_string())
}

/// The path with every parameter replaced by the id.
fn filled(path: &str, id: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { id } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// A body that the operation accepts where it is one of the case tracker's; an empty object elsewhere.
fn body_for(path: &str) -> Value {
    match path.rsplit('/').next().unwrap_or_default() {
        "cases" => new_case("matrix", "public"),
        "transitions" => json!({"command": "add_note", "body": "probe"}),
        "notes" => json!({"body": "probe"}),
        "assignment" => json!({"assignee_id": Uuid::now_v7()}),
        "links" => json!({"target_case_id": Uuid::now_v7(), "reason": "probe"}),
        "{id}" => json!({"narrative": "probe"}),
        _ => json!({}),
    }
}
