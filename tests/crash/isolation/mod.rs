//! S2 by generation: from the OpenAPI document, every operation, every place in path, query, body and headers where
//! something of another tenant can be named, as every role of both tenants. What the other tenant has is answered like what
//! nobody has, to the byte; no answer holds anything of the other tenant; and nothing of it changes.

mod belongings;
mod pairs;
mod probe;
mod world;

use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use self::pairs::{FRESH, Pair, pairs};
use self::probe::{Probe, Sender, Sent};
use self::world::World;
use crate::support::commands::new_case;
use crate::support::report::{Findings, bounded, turn};
use crate::support::service::Service;
use crate::support::settings::{number, random, seed};
use crate::support::stage::Stage;
use crate::tenant_matrix::operations;

struct Battery {
    sender: Sender,
    stage: Stage,
    worlds: [World; 2],
    findings: Findings,
}

#[tokio::test]
async fn what_another_tenant_has_is_answered_to_the_byte_like_what_nobody_has() {
    let _turn = turn().await;
    let findings = Findings::default();
    let stage = Stage::start(2).await;
    let service = Service::start(&stage).await;
    let sender = Sender::new(&service.url);
    let operations = operations(&service.url).await;
    let worlds =
        [World::build(&sender, &stage, 0, &operations).await, World::build(&sender, &stage, 1, &operations).await];
    let battery = Battery { sender, stage, worlds, findings: findings.clone() };
    let before = [battery.possessions(0).await, battery.possessions(1).await];
    let mut all = Vec::new();
    for (tenant, other) in [(0, 1), (1, 0)] {
        let (own, theirs) = (&battery.worlds[tenant], &battery.worlds[other]);
        all.push(pairs(tenant, own, theirs, &battery.stage.tenants[tenant], &operations));
    }
    let possible = 2 * (all[0].len() + all[1].len());
    let seed = seed("S2");
    let wanted = usize::try_from(number("DOCKET_CRASH_PROBES", 2_400)).unwrap();
    let mut random = random(seed);
    for list in &mut all {
        random.shuffle(list);
        list.truncate(wanted.div_ceil(4));
    }
    let probes = battery.run(&all[0]).await + battery.run(&all[1]).await;
    let verdict = bounded(findings.count(), "leaks", probes);
    println!("S2 generated, seed {seed}: {verdict}; {possible} are possible");
    findings.expect(possible >= 5_000, || format!("only {possible} probes are possible"));
    findings.expect(probes >= wanted.min(possible), || format!("only {probes} probes were made"));
    for (tenant, before) in before.iter().enumerate() {
        let after = battery.possessions(tenant).await;
        findings.expect(after == *before, || format!("tenant {tenant} was changed: {before} became {after}"));
    }
    findings.assert_none();
}

impl Battery {
    /// What must stay as it is while the other tenant asks.
    async fn possessions(&self, tenant: usize) -> Value {
        let mut held = Vec::new();
        let case = &self.worlds[tenant].ids["case"];
        for (path, role) in [
            (format!("/v1/cases/{case}"), Role::Reporter),
            (format!("/v1/cases/{case}/notes"), Role::Reporter),
            (format!("/v1/cases/{case}/evidence"), Role::Reporter),
            (format!("/v1/cases/{case}/links"), Role::Reporter),
            (format!("/v1/principals/{}", self.worlds[tenant].ids["principal"]), Role::Admin),
            (format!("/v1/webhooks/{}", self.worlds[tenant].ids["endpoint"]), Role::Admin),
            (format!("/v1/outbox/{}/{case}", self.worlds[tenant].ids["endpoint"]), Role::Admin),
            (format!("/v1/jobs/{}", self.worlds[tenant].ids["job"]), Role::Admin),
            (format!("/v1/documents/{}", self.worlds[tenant].ids["document"]), Role::Auditor),
            (format!("/v1/answers/{}", self.worlds[tenant].ids["answer"]), Role::Caseworker),
        ] {
            let key = &self.stage.tenants[tenant].keys[&role];
            let sent = self.sender.send(&Probe::new(Method::GET, &path), key).await;
            assert_eq!(sent.status, 200, "its own tenant reads {path}: {}", sent.text);
            held.push(sent.json());
        }
        json!(held)
    }

    /// Sends the pairs one after the other, so that two sends differ in nothing but what they name; how many requests that
    /// were.
    async fn run(&self, pairs: &[Pair]) -> usize {
        let mut probes = 0;
        for pair in pairs {
            let mut tries = 0;
            let (foreign, difference) = loop {
                tries += 1;
                probes += 2;
                let (foreign, difference) = self.compare(pair).await;
                // The feed holds back what a transaction that is still open might precede; a moment later it does not.
                if difference.is_none() || pair.foreign.method != Method::GET || tries == 3 {
                    break (foreign, difference);
                }
            };
            let place = || {
                let probe = &pair.foreign;
                let body = probe.body.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("{}: {} {} {:?} {body}", pair.role, probe.method, probe.path, probe.headers)
            };
            self.findings.expect(difference.is_none(), || format!("{}: {}", place(), difference.unwrap_or_default()));
            self.findings.expect(!pair.refused || (400..500).contains(&foreign.status), || {
                format!("{} was answered {}", place(), foreign.status)
            });
            self.findings.expect(foreign.header("idempotent-replayed").is_empty(), || {
                format!("{} was answered from the store", place())
            });
        }
        probes
    }

    /// Sends both requests; the first answer, and how the second differs.
    async fn compare(&self, pair: &Pair) -> (Sent, Option<String>) {
        let foreign = self.ask(pair, &pair.foreign).await;
        let mut missing = pair.missing.clone();
        if let Some(key) = missing.headers.get_mut("idempotency-key") {
            // The first send may have been stored under the key; that would tell the two apart.
            *key = Uuid::new_v4().to_string();
        }
        let answer = self.ask(pair, &missing).await;
        let (left, right) = (foreign.blurred(&pair.foreign), answer.blurred(&pair.missing));
        let difference = (left != right).then(|| format!("foreign {left:?}, missing {right:?}"));
        (foreign, difference)
    }

    async fn ask(&self, pair: &Pair, probe: &Probe) -> Sent {
        let tenant = &self.stage.tenants[pair.tenant];
        let mut probe = probe.clone();
        if probe.path.contains(FRESH) {
            let mut create = Probe::new(Method::POST, "/v1/cases");
            create.set("idempotency-key", &Uuid::new_v4().to_string());
            create.body = Some(new_case("own", "internal"));
            let made = self.sender.send(&create, &tenant.keys[&Role::Reporter]).await.json();
            probe = probe.naming(FRESH, made["id"].as_str().unwrap());
        }
        let sent = self.sender.send(&probe, &tenant.keys[&pair.role]).await;
        let words = || format!("{}: {} {}", pair.role, probe.method, probe.path);
        self.findings.expect(sent.status < 500, || format!("{} was answered {} {}", words(), sent.status, sent.text));
        let other = &self.worlds[1 - pair.tenant];
        let unsaid = other.ids.values().chain([&other.mark, &other.content]).filter(|held| !probe.named.contains(held));
        for held in unsaid {
            self.findings.expect(!sent.text.contains(held.as_str()), || {
                format!("{} shows {held} of another tenant: {}", words(), sent.text)
            });
        }
        sent
    }
}
