//! What each tenant of the probes owns: one of everything that has an id, cursors of its lists, keys of finished requests.

use std::collections::BTreeMap;

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::belongings;
use super::probe::{Probe, Sender, Sent};
use crate::support::commands::new_case;
use crate::support::stage::Stage;

/// One tenant's belongings.
pub struct World {
    /// Stands in everything the tenant wrote; no answer to the other may hold it.
    pub mark: String,
    /// Identifier by kind: case, note, link, evidence, principal, `api_key`, tenant, endpoint, job, document, answer.
    pub ids: BTreeMap<&'static str, String>,
    /// SHA-256 of the stored evidence.
    pub content: String,
    /// `next` of each paged list, by its path in the document.
    pub cursors: BTreeMap<String, String>,
    /// A checkpoint as NUMBER:DIGEST.
    pub witness: String,
    /// Finished writes on the case: the idempotency key, and what was sent under it.
    pub finished: Vec<Probe>,
}

/// The kind of thing that a parameter of a path names.
pub fn kind(path: &str, parameter: &str) -> &'static str {
    match parameter {
        "note_id" => "note",
        "link_id" => "link",
        "evidence_id" => "evidence",
        _ if path.starts_with("/v1/principals") => "principal",
        _ if path.starts_with("/v1/api-keys") => "api_key",
        _ if path.starts_with("/v1/tenants") => "tenant",
        "destination_id" => "endpoint",
        _ if path.starts_with("/v1/webhooks") => "endpoint",
        _ if path.starts_with("/v1/jobs") => "job",
        _ if path.starts_with("/v1/documents") => "document",
        _ if path.starts_with("/v1/answers") => "answer",
        _ => "case",
    }
}

/// The parameters of a path, in order.
pub fn parameters(path: &str) -> Vec<&str> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).collect()
}

impl World {
    /// Creates it through the API.
    pub async fn build(sender: &Sender, stage: &Stage, tenant: usize, operations: &[(Method, String, Value)]) -> Self {
        let mark = format!("secretof{tenant}");
        let maker = Maker { sender, stage, tenant };
        let case = maker.make("/v1/cases", &new_case(&mark, "internal"), None).await;
        let other = maker.make("/v1/cases", &new_case(&mark, "internal"), None).await;
        let path = format!("/v1/cases/{case}");
        let mut finished = Vec::new();
        let mut note = String::new();
        for version in 1..=2 {
            let (key, body) = (Uuid::new_v4().to_string(), json!({"body": format!("{mark} note")}));
            let probe = Maker::write(&format!("{path}/notes"), &body, Some(version), &key);
            let sent = maker.deliver(&probe, Role::Reporter).await;
            note = last_segment(&sent);
            finished.push(probe);
        }
        let body = json!({"target_case_id": other, "reason": mark});
        let link = maker.make_as(Role::Caseworker, &format!("{path}/links"), &body, Some(3)).await;
        let mut evidence = String::new();
        let bytes = format!("{mark} evidence");
        for version in 4..=5 {
            let mut probe = Maker::write(&format!("{path}/evidence"), &Value::Null, Some(version), "");
            probe.set("idempotency-key", &Uuid::new_v4().to_string());
            probe.upload = Some(bytes.clone());
            evidence = last_segment(&maker.deliver(&probe, Role::Reporter).await);
        }
        let listed = maker.get(&format!("{path}/evidence"), Role::Auditor).await;
        let content = listed["items"][0]["sha256"].as_str().unwrap().to_owned();
        let mut sealed = Value::Null;
        for _ in 0..2 {
            let probe = Maker::write("/v1/audit/checkpoints", &Value::Null, None, &Uuid::new_v4().to_string());
            sealed = maker.deliver(&probe, Role::Auditor).await.json();
        }
        let keys = maker.get("/v1/api-keys", Role::Admin).await;
        let me = maker.get("/v1/whoami", Role::Admin).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let sown = belongings::sow(stage, tenant, &case, &mark).await;
        let mut ids = BTreeMap::from([
            ("case", case),
            ("note", note),
            ("link", link),
            ("evidence", evidence),
            ("principal", stage.tenants[tenant].principals[&Role::Caseworker].to_string()),
            ("api_key", text(&keys["items"][0]["id"])),
            ("tenant", text(&me["tenant"]["id"])),
        ]);
        ids.extend(sown);
        let witness = format!("{}:{}", sealed["number"], text(&sealed["digest"]));
        let mut world = Self { mark, ids, content, cursors: BTreeMap::new(), witness, finished };
        for (method, path, operation) in operations {
            let paged = operation["parameters"].as_array().into_iter().flatten();
            if *method == Method::GET && paged.into_iter().any(|one| one["name"] == "limit") {
                let (own, role) = (world.fill(path), lister(path));
                let page = maker.get(&format!("{own}?limit=1"), role).await;
                if let Some(next) = page["next"].as_str() {
                    world.cursors.insert(path.clone(), next.to_owned());
                }
            }
        }
        world
    }

    /// The path with the world's own ids in it.
    pub fn fill(&self, path: &str) -> String {
        parameters(path)
            .into_iter()
            .fold(path.to_owned(), |filled, name| filled.replace(&format!("{{{name}}}"), &self.ids[kind(path, name)]))
    }
}

/// A role of the tenant that may read the list.
fn lister(path: &str) -> Role {
    let administered = ["/v1/principals", "/v1/api-keys", "/v1/webhooks", "/v1/outbox", "/v1/jobs"];
    if administered.iter().any(|begin| path.starts_with(begin)) { Role::Admin } else { Role::Auditor }
}

fn last_segment(sent: &Sent) -> String {
    sent.header("location").rsplit('/').next().unwrap().to_owned()
}

/// Writes as a member of one tenant; what it asks for must succeed.
struct Maker<'a> {
    sender: &'a Sender,
    stage: &'a Stage,
    tenant: usize,
}

impl Maker<'_> {
    fn write(path: &str, body: &Value, version: Option<u64>, key: &str) -> Probe {
        let mut probe = Probe::new(Method::POST, path);
        probe.set("idempotency-key", key);
        if let Some(version) = version {
            probe.set("if-match", &format!("\"v{version}\""));
        }
        probe.body = Some(body.clone()).filter(|body| !body.is_null());
        probe
    }

    async fn make(&self, path: &str, body: &Value, version: Option<u64>) -> String {
        self.make_as(Role::Reporter, path, body, version).await
    }

    async fn make_as(&self, role: Role, path: &str, body: &Value, version: Option<u64>) -> String {
        let probe = Self::write(path, body, version, &Uuid::new_v4().to_string());
        last_segment(&self.deliver(&probe, role).await)
    }

    async fn deliver(&self, probe: &Probe, role: Role) -> Sent {
        let sent = self.sender.send(probe, &self.stage.tenants[self.tenant].keys[&role]).await;
        assert!(sent.status < 300, "{} {}: {sent:?}", probe.method, probe.path);
        sent
    }

    async fn get(&self, path: &str, role: Role) -> Value {
        self.sender.send(&Probe::new(Method::GET, path), &self.stage.tenants[self.tenant].keys[&role]).await.json()
    }
}
