//! Bearer tokens of an OpenID Connect issuer: who gets through as whom, and what happens when keys or issuer change.

use std::time::Duration;

use docket::config::Config;
use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::issuer::{AUDIENCE, Behaviour, Issuer, SigningKey, now, rsa_key};
use crate::support::{Answer, TestApp, complete_case};

fn accept(config: &mut Config, issuer: &Issuer) {
    let oidc = &mut config.security.oidc;
    oidc.enabled = true;
    oidc.issuer = Some(issuer.url.clone());
    oidc.audience = Some(AUDIENCE.to_owned());
    oidc.jwks_min_refresh_seconds = 1;
    oidc.request_timeout_ms = 500;
    // Tests that are refused on purpose come from one address.
    config.limits.failed_logins_per_minute = 1_000.try_into().unwrap();
}

async fn start(issuer: &Issuer) -> TestApp {
    TestApp::start_with(|config| accept(config, issuer)).await
}

impl TestApp {
    async fn whoami(&self, token: &str) -> Answer {
        Answer::of(self.request(Method::GET, "/v1/whoami", token)).await
    }

    async fn wait_until(&self, token: &str, status: u16) -> Answer {
        for _ in 0..600 {
            let answer = self.whoami(token).await;
            if answer.status == status {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("never answered {status}: {}", self.whoami(token).await.text);
    }

    async fn issuer_state(&self) -> (u16, Value) {
        let patience = tokio::time::Instant::now() + Duration::from_secs(30);
        let answer = loop {
            let answer = Answer::of(self.client.get(format!("{}/readyz", self.url))).await;
            // A service that has just started builds its index of words first.
            let checks = answer.json()["checks"].as_array().unwrap().clone();
            let building = checks.iter().any(|one| one["name"] == "keyword_index" && one["state"] == "down");
            if !building || tokio::time::Instant::now() > patience {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let check =
            answer.json()["checks"].as_array().unwrap().iter().find(|one| one["name"] == "oidc_issuer").cloned();
        (answer.status, check.unwrap())
    }
}

#[tokio::test]
async fn a_token_user_acts_in_its_tenant_with_its_roles_and_the_trail_names_a_user() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    let app = start(&issuer).await;
    let token = key.token(&issuer.claims("grace", "alpha", &["reporter", "wizard"]));
    let me = app.whoami(&token).await.json();
    assert_eq!((&me["tenant"]["name"], &me["roles"]), (&json!("alpha"), &json!(["reporter"])), "{me}");
    assert_eq!(me["principal"]["display_name"], "Grace Visitor");
    assert_eq!(me["principal"]["external_id"], format!("{} grace", issuer.url));
    let request = app.request(Method::POST, "/v1/cases", &token).header("idempotency-key", Uuid::new_v4().to_string());
    let case = Answer::of(request.json(&complete_case())).await;
    assert_eq!(case.status, 201, "{}", case.text);
    let id = case.json()["id"].as_str().unwrap().to_owned();
    let trail = app.get(&format!("/v1/cases/{id}/audit"), Role::Auditor).await.json();
    let record = &trail["items"][0];
    assert_eq!((&record["actor_type"], &record["actor_id"]), (&json!("user"), &me["principal"]["id"]), "{trail}");
    let foreign = app.request(Method::GET, &format!("/v1/cases/{id}"), &app.tenants[1].keys[&Role::Supervisor]);
    assert_eq!(Answer::of(foreign).await.status, 404);
    // Its arrival stands on the tenant's own chain.
    let actions: Vec<(String, bool)> = sqlx::query_as(
        "SELECT action, record->>'request_id' <> '' FROM docket.audit_events WHERE actor_id = $1::text::uuid AND chain_id = tenant_id ORDER BY seq",
    )
    .bind(me["principal"]["id"].as_str().unwrap())
    .fetch_all(&app.superuser().await)
    .await
    .unwrap();
    assert_eq!(actions, [("principal.first_seen".to_owned(), true)], "with the request that brought it");
}

#[tokio::test]
async fn every_accepted_algorithm_works_and_roles_follow_the_token() {
    let (rsa, ec, ed) = (rsa_key(), SigningKey::ec("ec-1"), SigningKey::ed("ed-1"));
    let issuer = Issuer::start(&[rsa, &ec, &ed]).await;
    let app = start(&issuer).await;
    let claims = issuer.claims("grace", "beta", &["auditor"]);
    let pss = rsa.signed(&json!({"alg": "PS256", "kid": "rsa-1"}).to_string(), &claims.to_string());
    for token in [rsa.token(&claims), ec.token(&claims), ed.token(&claims), pss] {
        assert_eq!(app.whoami(&token).await.json()["roles"], json!(["auditor"]));
    }
    let promoted = ed.token(&issuer.claims("grace", "beta", &["admin"]));
    assert_eq!(app.whoami(&promoted).await.json()["roles"], json!(["admin"]));
    let audience = ed.token(&{
        let mut claims = claims.clone();
        claims["aud"] = json!(["another", AUDIENCE]);
        claims
    });
    assert_eq!(app.whoami(&audience).await.status, 200);
}

#[tokio::test]
async fn a_token_from_before_a_demotion_acts_and_brings_no_roles_back() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    let app = start(&issuer).await;
    let token_of = |ago: i64, role: &str| {
        let mut claims = issuer.claims("grace", "beta", &[role]);
        claims["iat"] = json!(now() - ago);
        key.token(&claims)
    };
    let me = app.whoami(&token_of(5, "reporter")).await.json();
    assert_eq!(app.whoami(&token_of(50, "admin")).await.json()["roles"], json!(["admin"]), "until it expires");
    let path = format!("/v1/principals/{}", me["principal"]["id"].as_str().unwrap());
    let stored = async || {
        Answer::of(app.request(Method::GET, &path, &app.tenants[1].keys[&Role::Admin])).await.json()["roles"].clone()
    };
    assert_eq!(stored().await, json!(["reporter"]));
    app.whoami(&token_of(1, "auditor")).await;
    assert_eq!(stored().await, json!(["auditor"]));
}

#[tokio::test]
async fn a_refusal_says_what_is_wrong_with_the_token_and_nothing_more() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    let app = start(&issuer).await;
    let good = issuer.claims("grace", "alpha", &["reporter"]);
    let changed = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        key.token(&claims)
    };
    for (token, why) in [
        (changed("exp", json!(now() - 61)), "the token has expired"),
        (changed("aud", json!("another")), "the token is for another audience"),
        (changed("iss", json!("https://other.example")), "the token is from another issuer"),
        (changed("tenant", json!("gamma")), "the token names no tenant of this service"),
        (changed("tenant", json!("platform")), "the token names no tenant of this service"),
        (changed("tenant", json!(Uuid::nil())), "the token names no tenant of this service"),
        (SigningKey::rsa("rsa-1").token(&good), "the token's signature is not valid"),
        ("no token".replace(' ', ""), "the token is not a signed JWT in compact form"),
    ] {
        let answer = app.whoami(&token).await;
        assert_eq!(answer.assert_problem(401, "unauthenticated")["detail"], why);
        let expected = format!("Bearer error=\"invalid_token\", error_description=\"{why}\"");
        assert_eq!(answer.header("www-authenticate"), expected);
    }
    let powerless = app.whoami(&changed("roles", json!(["operator", "system", "root"]))).await;
    powerless.assert_problem(403, "forbidden");
    assert!(powerless.header("www-authenticate").starts_with("Bearer error=\"insufficient_scope\""));
}

#[tokio::test]
async fn a_disabled_principal_and_a_suspended_tenant_are_refused_at_once() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    let app = start(&issuer).await;
    let token = key.token(&issuer.claims("grace", "alpha", &["reporter"]));
    let me = app.whoami(&token).await.json();
    let path = format!("/v1/principals/{}", me["principal"]["id"].as_str().unwrap());
    let change = |disabled: bool| {
        let request = app.request(Method::PATCH, &path, app.key(Role::Admin)).json(&json!({"disabled": disabled}));
        Answer::of(request.header("idempotency-key", Uuid::new_v4().to_string()))
    };
    assert_eq!(change(true).await.status, 200);
    let refused = app.whoami(&token).await.assert_problem(401, "unauthenticated");
    assert_eq!(refused["detail"], "the token's principal is disabled in this service");
    let promoted = key.token(&issuer.claims("grace", "alpha", &["admin"]));
    assert_eq!(app.whoami(&promoted).await.status, 401, "another role does not bring it back");
    assert_eq!(change(false).await.status, 200);
    assert_eq!(app.whoami(&token).await.status, 200);
    let tenant = format!("/v1/tenants/{}", me["tenant"]["id"].as_str().unwrap());
    let request = app.request(Method::PATCH, &tenant, &app.operator_key).json(&json!({"suspended": true}));
    let suspended = Answer::of(request.header("idempotency-key", Uuid::new_v4().to_string())).await;
    assert_eq!(suspended.status, 200, "{}", suspended.text);
    app.whoami(&token).await.assert_problem(401, "unauthenticated");
}

#[tokio::test]
async fn keys_rotate_without_a_restart_and_a_withdrawn_key_ends() {
    let (old, new) = (rsa_key(), SigningKey::ec("ec-2"));
    let issuer = Issuer::start(&[old]).await;
    let app = start(&issuer).await;
    let claims = issuer.claims("grace", "alpha", &["reporter"]);
    app.wait_until(&old.token(&claims), 200).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    issuer.publish(vec![old.jwk(), new.jwk()]);
    assert_eq!(app.whoami(&new.token(&claims)).await.status, 200, "an unknown key is looked up at once");
    assert_eq!(app.whoami(&old.token(&claims)).await.status, 200);
    issuer.publish(vec![new.jwk()]);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    // Any token with an unknown key makes the next fetch, and the withdrawn key is gone with it.
    app.whoami(&SigningKey::ec("nobody's").token(&claims)).await.assert_problem(401, "unauthenticated");
    app.whoami(&old.token(&claims)).await.assert_problem(401, "unauthenticated");
    assert_eq!(app.whoami(&new.token(&claims)).await.status, 200);
}

#[tokio::test]
async fn a_rotation_is_noticed_in_the_background() {
    let (old, new) = (rsa_key(), SigningKey::ed("ed-2"));
    let issuer = Issuer::start(&[old]).await;
    let app = TestApp::start_with(|config| {
        accept(config, &issuer);
        config.security.oidc.jwks_refresh_seconds = 1;
        config.security.oidc.jwks_min_refresh_seconds = 60;
    })
    .await;
    let claims = issuer.claims("grace", "alpha", &["reporter"]);
    app.wait_until(&old.token(&claims), 200).await;
    issuer.publish(vec![new.jwk()]);
    app.wait_until(&old.token(&claims), 401).await;
    assert_eq!(app.whoami(&new.token(&claims)).await.status, 200);
}

#[tokio::test]
async fn a_slow_issuer_holds_up_tokens_with_unknown_keys_only() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    let app = TestApp::start_with(|config| {
        accept(config, &issuer);
        config.security.oidc.request_timeout_ms = 3_000;
    })
    .await;
    let claims = issuer.claims("grace", "alpha", &["reporter"]);
    app.wait_until(&key.token(&claims), 200).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    issuer.behave(Behaviour::Slow(Duration::from_secs(2)));
    let asked = issuer.asked();
    let unknown = SigningKey::ed("unknown").token(&claims);
    let (held_up, quick) = tokio::join!(app.whoami(&unknown), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let started = std::time::Instant::now();
        for _ in 0..5 {
            assert_eq!(app.whoami(&key.token(&claims)).await.status, 200);
        }
        started.elapsed()
    });
    held_up.assert_problem(401, "unauthenticated");
    assert!(quick < Duration::from_secs(1), "{quick:?}");
    assert!(issuer.asked() <= asked + 1);
}

#[tokio::test]
async fn where_only_access_tokens_are_accepted_an_id_token_is_not() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    let app = TestApp::start_with(|config| {
        accept(config, &issuer);
        config.security.oidc.token_types = vec!["at+jwt".to_owned()];
    })
    .await;
    let claims = issuer.claims("grace", "alpha", &["reporter"]).to_string();
    for (kind, status) in [("at+jwt", 200), ("application/at+jwt", 200), ("JWT", 401)] {
        let header = json!({"alg": "RS256", "kid": "rsa-1", "typ": kind}).to_string();
        assert_eq!(app.whoami(&key.signed(&header, &claims)).await.status, status, "{kind}");
    }
    let bare = key.signed(&json!({"alg": "RS256", "kid": "rsa-1"}).to_string(), &claims);
    assert_eq!(app.whoami(&bare).await.status, 401);
}

#[tokio::test]
async fn a_storm_of_unknown_keys_asks_the_issuer_once() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    let app = TestApp::start_with(|config| {
        accept(config, &issuer);
        config.security.oidc.jwks_min_refresh_seconds = 60;
    })
    .await;
    let claims = issuer.claims("grace", "alpha", &["reporter"]);
    app.wait_until(&key.token(&claims), 200).await;
    let asked = issuer.asked();
    let stranger = SigningKey::ed("stranger");
    let tokens: Vec<String> = (0..40)
        .map(|number| {
            let header = json!({"alg": "EdDSA", "kid": format!("stranger-{number}")});
            stranger.signed(&header.to_string(), &claims.to_string())
        })
        .collect();
    let answers = futures::future::join_all(tokens.iter().map(|token| app.whoami(token))).await;
    assert!(answers.iter().all(|answer| answer.status == 401));
    assert!(issuer.asked() <= asked + 1, "asked {} times", issuer.asked() - asked);
}

#[tokio::test]
async fn known_keys_outlive_the_issuer_and_readiness_names_it_as_degraded() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    let app = start(&issuer).await;
    let claims = issuer.claims("grace", "alpha", &["reporter"]);
    app.wait_until(&key.token(&claims), 200).await;
    let (status, check) = app.issuer_state().await;
    assert_eq!((status, &check["state"]), (200, &json!("up")), "{check}");
    issuer.behave(Behaviour::Failing);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    app.whoami(&SigningKey::ec("unknown").token(&claims)).await.assert_problem(401, "unauthenticated");
    assert_eq!(app.whoami(&key.token(&claims)).await.status, 200, "the keys that were had hold on");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let (status, check) = app.issuer_state().await;
    assert_eq!((status, &check["state"], &check["required"]), (200, &json!("down"), &json!(false)));
    assert_eq!(check["detail"], "the issuer answers with status 500");
}

#[tokio::test]
async fn keys_that_are_too_old_are_no_longer_believed() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    let app = TestApp::start_with(|config| {
        accept(config, &issuer);
        config.security.oidc.jwks_refresh_seconds = 1;
        config.security.oidc.jwks_stale_seconds = 1;
    })
    .await;
    let token = key.token(&issuer.claims("grace", "alpha", &["reporter"]));
    app.wait_until(&token, 200).await;
    issuer.stop();
    let answer = app.wait_until(&token, 503).await;
    answer.assert_problem(503, "service-unavailable");
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(app.get("/v1/whoami", Role::Auditor).await.status, 200, "API keys do not need the issuer");
}

#[tokio::test]
async fn an_issuer_that_is_slow_giant_or_lying_gives_no_keys_and_is_found_when_it_recovers() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    for (behaviour, detail) in [
        (Behaviour::Slow(Duration::from_secs(5)), "the issuer does not answer in time"),
        (Behaviour::Giant, "the issuer answers with more than 262144 bytes"),
        (Behaviour::OtherIssuer, "the issuer's discovery document is of another issuer"),
        (Behaviour::Redirecting, "the issuer answers with status 302"),
    ] {
        issuer.behave(behaviour);
        let app = start(&issuer).await;
        let token = key.token(&issuer.claims("grace", "alpha", &["reporter"]));
        app.whoami(&token).await.assert_problem(503, "service-unavailable");
        assert_eq!(app.get("/v1/whoami", Role::Auditor).await.status, 200);
        let (status, check) = app.issuer_state().await;
        assert_eq!((status, check["state"].as_str()), (200, Some("down")));
        let told = check["detail"].as_str().unwrap();
        assert!(told == detail || (told == "the issuer does not answer" && detail.contains("in time")), "{told}");
        issuer.behave(Behaviour::Well);
        app.wait_until(&token, 200).await;
    }
    assert_eq!(issuer.canary(), 0, "no redirect was followed");
}

#[tokio::test]
async fn ten_forged_tokens_lock_the_address_out() {
    let key = rsa_key();
    let issuer = Issuer::start(&[key]).await;
    let app = TestApp::start_with(|config| {
        accept(config, &issuer);
        config.limits.failed_logins_per_minute = 10.try_into().unwrap();
    })
    .await;
    let claims = issuer.claims("grace", "alpha", &["reporter"]);
    assert_eq!(app.whoami(&key.token(&claims)).await.status, 200);
    let forger = SigningKey::ed("rsa-1");
    for _ in 0..10 {
        app.whoami(&forger.token(&claims)).await.assert_problem(401, "unauthenticated");
    }
    let locked = app.whoami(&key.token(&claims)).await;
    locked.assert_problem(429, "too-many-requests");
    assert_eq!(locked.header("retry-after"), "60");
}
