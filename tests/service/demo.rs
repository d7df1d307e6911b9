//! `docket demo`: what it writes for scripts, and that the keys it hands out work, also after one of them was revoked.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::process::Service;

const ROLES: [&str; 5] = ["admin", "auditor", "caseworker", "reporter", "supervisor"];

/// The keys of each tenant by role, as the file says; it belongs to its owner alone.
fn keys(data: &Path, service: &Service) -> BTreeMap<String, BTreeMap<String, String>> {
    let path = data.join("demo.json");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(file["url"], service.url.as_str());
    let tenants = file["tenants"].as_array().unwrap().iter();
    let named = |tenant: &Value| serde_json::from_value(tenant["keys"].clone()).unwrap();
    tenants.map(|tenant| (tenant["name"].as_str().unwrap().to_owned(), named(tenant))).collect()
}

async fn get(service: &Service, key: &str, path: &str) -> (u16, Value) {
    let request = reqwest::Client::new().get(format!("{}{path}", service.url)).bearer_auth(key);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn the_demo_hands_out_keys_that_work_keeps_them_and_replaces_them_when_one_was_revoked() {
    let data = tempfile::tempdir().unwrap();
    let mut first = Service::demo(data.path()).await;
    let handed_out = keys(data.path(), &first);
    assert_eq!(handed_out.keys().collect::<Vec<_>>(), ["harbour-safety", "rail-oversight"]);
    for (tenant, by_role) in &handed_out {
        assert_eq!(by_role.keys().collect::<Vec<_>>(), ROLES);
        for (role, key) in by_role {
            let (status, me) = get(&first, key, "/v1/whoami").await;
            assert_eq!((status, &me["tenant"]["name"], &me["roles"]), (200, &json!(tenant), &json!([role])));
        }
        let (_, cases) = get(&first, &by_role["supervisor"], "/v1/cases?limit=1").await;
        assert_eq!(cases["items"].as_array().unwrap().len(), 1, "{tenant} has cases");
    }
    assert_eq!(first.interrupt(), Some(0));

    let mut second = Service::demo(data.path()).await;
    assert_eq!(keys(data.path(), &second), handed_out, "a second start keeps the keys");
    let admin = &handed_out["rail-oversight"]["admin"];
    let (_, listed) = get(&second, admin, "/v1/api-keys").await;
    let reporter = &handed_out["rail-oversight"]["reporter"];
    let is_reporters = |key: &&Value| reporter.contains(key["prefix"].as_str().unwrap());
    let found = listed["items"].as_array().unwrap().iter().find(is_reporters).unwrap();
    let path = format!("{}/v1/api-keys/{}", second.url, found["id"].as_str().unwrap());
    let revoking = reqwest::Client::new().delete(path).bearer_auth(admin).header("idempotency-key", "revoke");
    assert!(revoking.send().await.unwrap().status().is_success());
    assert_eq!(second.interrupt(), Some(0));

    let mut third = Service::demo(data.path()).await;
    let renewed = keys(data.path(), &third);
    assert_eq!(renewed["harbour-safety"], handed_out["harbour-safety"], "the other tenant keeps its keys");
    assert_ne!(&renewed["rail-oversight"]["reporter"], reporter);
    assert_eq!(get(&third, &renewed["rail-oversight"]["reporter"], "/v1/whoami").await.0, 200);
    assert_eq!(get(&third, reporter, "/v1/whoami").await.0, 401);
    assert_eq!(third.interrupt(), Some(0));
}
