//! Generates the probes from the OpenAPI document: every operation, every place in it where something of another tenant
//! can be named, each twice: naming what the other tenant has, and naming what nobody has.

use docket_domain::case::Command;
use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::probe::Probe;
use super::world::{World, kind, parameters};
use crate::support::commands::{new_case, transition};
use crate::support::random::Random;
use crate::support::stage::{ROLES, Tenant};

/// Stands for the id of a fresh draft of one's own, made just before the probe is sent.
pub const FRESH: &str = "00000000-0000-7000-8000-00000000f4e5";

/// Two requests that must be answered alike.
pub struct Pair {
    /// Who asks: the tenant and the role.
    pub tenant: usize,
    pub role: Role,
    pub foreign: Probe,
    pub missing: Probe,
    /// Whether the answer must be a refusal: so it is when the thing itself, not a filter, is named.
    pub refused: bool,
}

/// All pairs for one tenant asking after the other.
pub fn pairs(tenant: usize, own: &World, other: &World, people: &Tenant, operations: &[Operation]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for operation in operations {
        let mut found = paths(own, other, people, operation);
        found.extend(repeated(other, operation).into_iter().map(|both| (both, true)));
        found.extend(bodies(other, operation).into_iter().map(|both| (both, false)));
        found.extend(queries(own, other, operation).into_iter().map(|both| (both, false)));
        found.extend(headers(own, other, operation).into_iter().map(|both| (both, false)));
        for ((foreign, missing), refused) in found {
            for role in ROLES {
                let (foreign, missing) = (foreign.clone(), missing.clone());
                pairs.push(Pair { tenant, role, foreign, missing, refused });
            }
        }
    }
    pairs
}

/// Method, path and description of an operation.
pub type Operation = (Method, String, Value);
type Both = (Probe, Probe);

/// The request as it names something of the other tenant, and as it names something that nobody has.
fn both(probe: &Probe, foreign: &str) -> Both {
    let missing = Uuid::now_v7().to_string();
    let mut named = probe.clone();
    named.named.push(foreign.to_owned());
    let renamed = probe.naming(foreign, &missing);
    (named, renamed)
}

/// Ids in the path: each place foreign while the others are own, and all foreign; with each precondition, with each
/// command, dry and in earnest.
fn paths(own: &World, other: &World, people: &Tenant, (method, path, described): &Operation) -> Vec<(Both, bool)> {
    let names = parameters(path);
    let mut choices: Vec<Vec<usize>> = (0..names.len()).map(|place| vec![place]).collect();
    if names.len() > 1 {
        choices.push((0..names.len()).collect());
    }
    let mut found = Vec::new();
    for foreign_places in choices {
        let mut filled = path.clone();
        let mut foreign_ids = Vec::new();
        for (place, name) in names.iter().enumerate() {
            let kind = kind(path, name);
            let world = if foreign_places.contains(&place) { other } else { own };
            filled = filled.replace(&format!("{{{name}}}"), &world.ids[kind]);
            if foreign_places.contains(&place) {
                foreign_ids.push(other.ids[kind].clone());
            }
        }
        for probe in variants(method, &filled, described, people) {
            let start = (probe.clone(), probe);
            let pair =
                foreign_ids.iter().fold(start, |(foreign, missing), id| (both(&foreign, id).0, both(&missing, id).1));
            found.push((pair, true));
        }
    }
    found
}

/// The ways in which one operation can be asked for.
fn variants(method: &Method, path: &str, described: &Value, people: &Tenant) -> Vec<Probe> {
    let mut plain = Probe::new(method.clone(), path);
    if *method == Method::GET {
        let mut found = vec![plain.clone()];
        for (name, value) in
            [("if-none-match", "\"v1\""), ("if-none-match", "\"v6\""), ("if-none-match", "*"), ("range", "bytes=0-3")]
        {
            let mut probe = plain.clone();
            probe.set(name, value);
            found.push(probe);
        }
        return found;
    }
    plain.set("idempotency-key", &Uuid::new_v4().to_string());
    let mut found = Vec::new();
    for body in sent_bodies(path, people) {
        let mut probe = plain.clone();
        probe.body = Some(body);
        probe.set("if-match", "\"v6\"");
        found.push(probe.clone());
        if documents(described, "dry_run") {
            probe.path.push_str("?dry_run=true");
            found.push(probe);
        }
    }
    let first = found[0].clone();
    if documents(described, "If-Match") {
        for tag in ["\"v1\"", "\"v999\"", "*", "W/\"v6\"", "\"foreign\""] {
            let mut probe = first.clone();
            probe.set("if-match", tag);
            found.push(probe);
        }
    }
    for absent in ["if-match", "idempotency-key"] {
        let mut probe = first.clone();
        probe.headers.remove(absent);
        found.push(probe);
    }
    let unreadable = Probe { body: Some(json!({"unknown": 1})), ..first };
    found.push(unreadable);
    found
}

/// The exact requests that the other tenant finished, with the keys under which it finished them.
fn repeated(other: &World, (method, path, _): &Operation) -> Vec<Both> {
    let case = &other.ids["case"];
    let of_operation = |probe: &&Probe| probe.method == *method && probe.path.replace(case.as_str(), "{id}") == *path;
    other.finished.iter().filter(of_operation).map(|probe| both(probe, case)).collect()
}

/// Ids in the body: what is to be linked, assigned, attached or given a key.
fn bodies(other: &World, (method, path, _): &Operation) -> Vec<Both> {
    let case = other.ids["case"].as_str();
    let principal = other.ids["principal"].as_str();
    let fresh = format!("/v1/cases/{FRESH}");
    let places: Vec<(String, Value, &str)> = match (method, path.as_str()) {
        (&Method::POST, "/v1/cases/{id}/links") => {
            vec![(format!("{fresh}/links"), json!({"target_case_id": case, "reason": "r"}), case)]
        }
        (&Method::PUT, "/v1/cases/{id}/assignment") => {
            vec![(format!("{fresh}/assignment"), json!({"assignee_id": principal}), principal)]
        }
        (&Method::POST, "/v1/cases/{id}/transitions") => {
            let link = json!({"command": "link", "target_case_id": case, "reason": "r"});
            let assign = json!({"command": "assign", "assignee_id": principal});
            let attach = json!({"command": "add_evidence", "sha256": other.content, "file_name": "a.txt"});
            let to = |query: &str| format!("{fresh}/transitions{query}");
            ["", "?dry_run=true"]
                .into_iter()
                .flat_map(|query| {
                    [
                        (to(query), link.clone(), case),
                        (to(query), assign.clone(), principal),
                        (to(query), attach.clone(), other.content.as_str()),
                    ]
                })
                .collect()
        }
        (&Method::POST, "/v1/api-keys") => {
            vec![(path.clone(), json!({"principal_id": principal, "label": "probe"}), principal)]
        }
        _ => Vec::new(),
    };
    let pair = |(path, body, foreign): (String, Value, &str)| {
        let mut probe = Probe::new(method.clone(), &path);
        probe.set("idempotency-key", &Uuid::new_v4().to_string());
        probe.set("if-match", "\"v1\"");
        probe.body = Some(body);
        if foreign == other.content {
            let missing = probe.naming(foreign, &"0f".repeat(32));
            probe.named.push(foreign.to_owned());
            return (probe, missing);
        }
        both(&probe, foreign)
    };
    places.into_iter().map(pair).collect()
}

/// Filters and cursors.
fn queries(own: &World, other: &World, (method, path, described): &Operation) -> Vec<Both> {
    let mut found = Vec::new();
    if *method != Method::GET {
        return found;
    }
    let mut ask = |path: &str, name: &str, foreign: &str, missing: &str| {
        let probe = Probe::new(Method::GET, &format!("{path}?{name}={foreign}"));
        let renamed = probe.naming(foreign, missing);
        found.push((Probe { named: vec![foreign.to_owned()], ..probe }, renamed));
    };
    let filled = own.fill(path);
    for parameter in described["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "query") {
        let name = parameter["name"].as_str().unwrap_or_default();
        match name {
            "cursor" | "after" => {
                let Some(cursor) = other.cursors.get(path) else { continue };
                let changed = changed(own.cursors.get(path).unwrap_or(cursor));
                ask(&filled, name, cursor, &changed);
                let foreign_path = other.fill(path);
                if foreign_path != filled {
                    ask(&foreign_path, name, cursor, &changed);
                }
            }
            "witness" => ask(&filled, name, &other.witness, &unknown_witness(&other.witness)),
            "q" | "reference" | "case_type" => ask(&filled, name, &other.mark, "secretofx"),
            _ if parameter["schema"]["format"] == "uuid" => {
                for id in other.ids.values() {
                    ask(&filled, name, id, &Uuid::now_v7().to_string());
                }
            }
            _ => {}
        }
    }
    found
}

/// Headers by which a client might try to choose its tenant.
fn headers(own: &World, other: &World, (method, path, _): &Operation) -> Vec<Both> {
    if *method != Method::GET {
        return Vec::new();
    }
    let tenant = &other.ids["tenant"];
    let names = ["x-tenant-id", "docket-tenant", "x-forwarded-user"];
    let pair = |name| {
        let mut probe = Probe::new(Method::GET, &own.fill(path));
        probe.set(name, tenant);
        both(&probe, tenant)
    };
    names.into_iter().map(pair).collect()
}

/// Bodies that the operation would accept from its own tenant.
fn sent_bodies(path: &str, people: &Tenant) -> Vec<Value> {
    let mut random = Random::new(1);
    match path.rsplit('/').next().unwrap_or_default() {
        "cases" => vec![new_case("matrix", "public")],
        "transitions" => {
            let of = |command: &Command| transition(*command, "probe", people, None, &mut random);
            Command::ALL.iter().map(of).collect()
        }
        "notes" => vec![json!({"body": "probe"})],
        "assignment" => vec![json!({"assignee_id": Uuid::now_v7()})],
        "links" => vec![json!({"target_case_id": Uuid::now_v7(), "reason": "probe"})],
        "rotate" | "rotate-secret" => vec![json!({"overlap_seconds": 60})],
        "replay" => vec![json!({"from": "2020-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z"})],
        "skip" => vec![json!({"reason": "probe"})],
        "feedback" => vec![json!({"helpful": true})],
        "cancel" | "redrive" | "test" => vec![json!({})],
        _ if path.starts_with("/v1/webhooks") => vec![json!({"name": "probe"}), json!({"enabled": true})],
        _ if path.starts_with("/v1/tenants") => vec![json!({"suspended": true})],
        _ if path.starts_with("/v1/principals") => vec![json!({"display_name": "probe"}), json!({"roles": ["admin"]})],
        _ => vec![json!({"narrative": "probe"}), json!({"legal_hold": true})],
    }
}

fn documents(described: &Value, name: &str) -> bool {
    described["parameters"].as_array().into_iter().flatten().any(|one| one["name"] == name)
}

/// The cursor with its first byte changed: nobody was given it.
fn changed(cursor: &str) -> String {
    format!("{}{}", if cursor.starts_with('A') { "B" } else { "A" }, cursor.get(1..).unwrap_or_default())
}

fn unknown_witness(witness: &str) -> String {
    let number = witness.split(':').next().unwrap_or_default();
    format!("{number}:{}", "0f".repeat(32))
}
