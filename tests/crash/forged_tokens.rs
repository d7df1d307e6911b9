//! S7: forged, expired, confused and stolen tokens. None is accepted, no address that a token names is asked, and an address
//! that keeps trying is turned away.

use docket_domain::principal::Role;
use serde_json::json;

use crate::forgeries::{Keys, forgeries};
use crate::issuer::{AUDIENCE, Issuer};
use crate::support::report::{Findings, bounded, turn};
use crate::support::service::Service;
use crate::support::stage::Stage;

/// Tries that an address has (`limits.failed_logins_per_minute`).
const TRIES: usize = 10;

/// Asks who a token speaks for, from a client's address of our choice.
struct Door {
    client: reqwest::Client,
    url: String,
}

/// What the door answered.
struct Reply {
    status: u16,
    challenge: String,
    text: String,
}

impl Door {
    async fn try_with(&self, credential: &str, address: usize) -> Reply {
        let client = format!("203.{}.{}.{}", address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
        let request = self.client.get(format!("{}/v1/whoami", self.url)).header("x-forwarded-for", client);
        let response = request.bearer_auth(credential).send().await.unwrap();
        let challenge = response.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
        Reply {
            status: response.status().as_u16(),
            challenge: challenge.unwrap_or_default(),
            text: response.text().await.unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_forged_token_is_accepted_and_guessing_ends_after_ten_tries() {
    let _turn = turn().await;
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let keys = Keys::new();
    let issuer = Issuer::start(&[]).await;
    issuer.publish(keys.published());
    let settings = [
        ("DOCKET_SECURITY__OIDC__ENABLED", "true"),
        ("DOCKET_SECURITY__OIDC__ISSUER", issuer.url.as_str()),
        ("DOCKET_SECURITY__OIDC__AUDIENCE", AUDIENCE),
        // Each forgery comes from an address of its own, or the lock-out would answer for the verifier.
        ("DOCKET_SERVER__TRUSTED_PROXIES", "127.0.0.1"),
    ];
    let mut service = Service::start_with(&stage, &settings).await;
    let door = Door { client: reqwest::Client::new(), url: service.url.clone() };

    // The door opens for good tokens, or nothing below would mean anything.
    let good = issuer.claims("alice", "tenant-0", &["reporter"]);
    for key in [&keys.rsa, &keys.ec, &keys.ed] {
        let reply = door.try_with(&key.token(&good), 0).await;
        assert_eq!(reply.status, 200, "a good token of {} was refused: {}", key.id, reply.text);
    }

    let forged = forgeries(&issuer, &keys);
    let (mut accepted, mut powerless) = (0, 0);
    for (number, forgery) in forged.iter().enumerate() {
        let reply = door.try_with(&forgery.token, number + 1).await;
        accepted += usize::from(reply.status < 400);
        powerless += usize::from(reply.status == 403);
        findings.expect(matches!(reply.status, 401 | 403 | 431), || {
            format!("{} was answered {}: {}", forgery.name, reply.status, reply.text)
        });
        findings.expect(reply.status == 431 || reply.challenge.starts_with("Bearer error="), || {
            format!("{} was answered without the error of RFC 6750: {:?}", forgery.name, reply.challenge)
        });
        let leaks = ["mallory", "forger", "/canary", "SELECT", "panicked"];
        let leak = leaks.iter().find(|leak| reply.text.contains(**leak) || reply.challenge.contains(**leak));
        findings.expect(leak.is_none(), || format!("the answer to {} repeats {leak:?}: {}", forgery.name, reply.text));
    }
    findings.expect(issuer.canary() == 0, || format!("{} requests reached the canary", issuer.canary()));

    let locked = brute_force(&door, &issuer, &keys, &findings).await;
    findings.expect(service.is_alive(), || "the service died of a token".to_owned());
    let reply = door.try_with(&keys.ec.token(&good), 0).await;
    findings.expect(reply.status == 200, || format!("a good token was answered {} afterwards", reply.status));

    // The oracle: nobody but alice has come in.
    let owner = stage.owner().await;
    let query = "SELECT external_id FROM docket.principals WHERE external_id IS NOT NULL";
    let known: Vec<String> = sqlx::query_scalar(query).fetch_all(&owner).await.unwrap();
    findings.expect(known == [format!("{} alice", issuer.url)], || format!("principals from tokens: {known:?}"));
    println!(
        "S7: {} ({} of them valid but without a role, answered 403); {} requests to the canary; keys fetched {} times; \
         {locked}",
        bounded(accepted, "accepted", forged.len()),
        powerless,
        issuer.canary(),
        issuer.asked(),
    );
    findings.assert_none();
}

/// Forged tokens and guessed keys from one address: ten are judged, then nothing is looked at any more.
async fn brute_force(door: &Door, issuer: &Issuer, keys: &Keys, findings: &Findings) -> String {
    let (guesser, neighbour) = (60_000, 60_001);
    let claims = json!({"iss": issuer.url, "aud": AUDIENCE, "sub": "mallory", "roles": [Role::Admin.as_str()]});
    let mut statuses = Vec::new();
    for number in 0..TRIES + 10 {
        let guess =
            if number % 2 == 0 { keys.own.token(&claims) } else { format!("dk_{number:012}_{}", "A".repeat(43)) };
        statuses.push(door.try_with(&guess, guesser).await.status);
    }
    let judged = statuses.iter().take_while(|status| **status == 401).count();
    findings.expect(judged == TRIES && statuses[judged..].iter().all(|status| *status == 429), || {
        format!("guessing was answered {statuses:?}")
    });
    let good = keys.ed.token(&issuer.claims("alice", "tenant-0", &["reporter"]));
    let own = door.try_with(&good, guesser).await.status;
    findings.expect(own == 429, || format!("the guesser's address was answered {own} with a good token"));
    let other = door.try_with(&good, neighbour).await.status;
    findings.expect(other == 200, || format!("another address was answered {other}"));
    format!("{judged} guesses judged, the other {} answered 429", statuses.len() - judged)
}
