//! Deadlines over a running service and a real database, under a clock that the test moves and a queue that it drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use docket::adapters::postgres::PgJobQueue;
use docket::application::cases::give_notice::ESCALATION;
use docket::application::jobs::deadlines::WATCH;
use docket::application::jobs::run_job::{Ended, run_job};
use docket::application::ports::Clock;
use docket::application::ports::job_queue::{ClaimSlot, JobQueue, LANES};
use docket::application::ports::job_store::NewJob;
use docket_domain::ids::{JobId, PrincipalId, TenantId, WorkerId};
use docket_domain::job::low_water::BEGINNING;
use docket_domain::job::{JobKind, LeaseTerms, Priority};
use docket_domain::principal::Role;
use http::Method;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::frozen_clock::FrozenClock;
use crate::support::{Answer, TestApp, complete_case};

/// A service under a clock of its own, and a queue that is drained by hand.
struct Site {
    app: TestApp,
    clock: Arc<FrozenClock>,
    queue: Arc<dyn JobQueue>,
    random: AtomicU64,
}

impl Site {
    async fn new() -> Self {
        let clock = Arc::new(FrozenClock::new());
        let app = TestApp::start_at(clock.clone()).await;
        let queue = Arc::new(PgJobQueue::new(app.pool.clone()));
        Self { app, clock, queue, random: AtomicU64::new(0) }
    }

    /// A critical case in review, due after three working days.
    async fn in_review(&self) -> Value {
        let body = json!({"severity": "critical", "case_type": "x", "title": "t", "narrative": "n", "respondent": "r"});
        let id = self.app.post("/v1/cases", Role::Reporter, &body).await.json()["id"].as_str().unwrap().to_owned();
        let worker = self.app.principal(Role::Caseworker);
        for (role, body) in [
            (Role::Reporter, json!({"command": "submit"})),
            (Role::Supervisor, json!({"command": "assign", "assignee_id": worker})),
            (Role::Caseworker, json!({"command": "start_review"})),
        ] {
            let answer = self.app.command(&id, role, &body).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
        self.case(&id).await
    }

    async fn case(&self, id: &str) -> Value {
        self.app.get(&format!("/v1/cases/{id}"), Role::Supervisor).await.json()
    }

    fn go_to(&self, at: OffsetDateTime) {
        self.clock.advance(at - self.clock.now());
    }

    /// One sweep, by a worker of its own.
    async fn sweep(&self) {
        let job = NewJob {
            id: JobId(Uuid::now_v7()),
            tenant_id: TenantId::PLATFORM,
            kind: WATCH.parse::<JobKind>().unwrap(),
            payload: json!({}),
            priority: Priority::Normal,
            run_at: None,
            unique_key: None,
            requested_by: PrincipalId::SYSTEM,
            traceparent: None,
        };
        self.app.parts.jobs().enqueue(TenantId::PLATFORM, &[job]).await.unwrap();
        assert_eq!(self.drain(WATCH).await, 1);
    }

    /// Runs every job of a kind that waits; how many.
    async fn drain(&self, kind: &'static str) -> usize {
        let handlers = self.app.parts.job_kinds(&self.app.config).unwrap();
        let worker = WorkerId(Uuid::now_v7());
        let terms = LeaseTerms { length: std::time::Duration::from_mins(1) };
        self.queue.register(worker, "by hand", terms).await.unwrap();
        let slot = ClaimSlot { kind, wanted: 100, from: [BEGINNING; LANES] };
        let jobs = self.queue.claim(worker, &[slot]).await.unwrap();
        let count = jobs.len();
        for job in jobs {
            let (lease, handler) = (job.lease, handlers.get(kind).unwrap());
            let random = self.random.fetch_add(1, Ordering::Relaxed);
            match run_job(handler, &self.queue, job, CancellationToken::new(), random).await {
                Ended::Complete => drop(self.queue.complete(&[lease]).await.unwrap()),
                Ended::Settle(end) => drop(self.queue.settle(&[(lease, end)]).await.unwrap()),
                Ended::Nothing => {}
            }
        }
        count
    }

    /// What stands on the case's chain, as (action, outcome), and that the chain verifies.
    async fn story(&self, id: &str) -> Vec<(String, String)> {
        let trail = self.app.get(&format!("/v1/cases/{id}/audit?limit=200"), Role::Auditor).await.json();
        let verified = self.app.get(&format!("/v1/cases/{id}/audit/verify"), Role::Auditor).await;
        assert_eq!(verified.status, 200, "{}", verified.text);
        let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
        let items = trail["items"].as_array().unwrap_or_else(|| panic!("{trail}"));
        items.iter().map(|item| (text(item, "action"), text(item, "outcome"))).collect()
    }

    async fn count(&self, id: &str, action: &str, outcome: &str) -> usize {
        let story = self.story(id).await;
        story.iter().filter(|(known, how)| known == action && how == outcome).count()
    }
}

fn instant(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap_or_else(|| panic!("no instant: {value}")), &Rfc3339).unwrap()
}

fn id_of(case: &Value) -> &str {
    case["id"].as_str().unwrap()
}

#[tokio::test]
async fn warnings_the_breach_and_the_escalation_come_once_and_are_shown() {
    let site = Site::new().await;
    let case = site.in_review().await;
    let (id, due) = (id_of(&case), instant(&case["due_at"]));
    site.sweep().await;
    assert_eq!(site.case(id).await, case, "nothing is owed yet");
    // 58 hours of working time from Saturday on: the warnings are owed 14.5 and 5.8 hours before the end.
    site.go_to(due - Duration::hours(10));
    site.sweep().await;
    site.sweep().await;
    let warned = site.case(id).await;
    assert_eq!(
        (instant(&warned["deadline_warned_75_at"]), &warned["deadline_warned_90_at"]),
        (site.clock.now(), &Value::Null)
    );
    assert_eq!(warned["version"], case["version"].as_u64().unwrap() + 1);
    let list = site.app.get("/v1/cases?overdue=true&count=true", Role::Supervisor).await.json();
    assert_eq!((&list["items"], &list["count"]), (&json!([]), &json!(0)));
    site.go_to(due + Duration::hours(1));
    site.sweep().await;
    let late = site.case(id).await;
    assert_eq!((instant(&late["deadline_breached_at"]), &late["state"]), (site.clock.now(), &json!("under_review")));
    let list = site.app.get("/v1/cases?overdue=true&sort=due_at&count=true", Role::Supervisor).await.json();
    assert_eq!((&list["items"][0]["id"], &list["count"]), (&case["id"], &json!(1)));
    assert_eq!((site.drain(ESCALATION).await, site.drain(ESCALATION).await), (1, 0));
    site.sweep().await;
    assert_eq!(site.case(id).await["state"], "escalated");
    for action in ["case.deadline_warned_75", "case.deadline_warned_90", "case.deadline_breached", "case.escalate"] {
        assert_eq!(site.count(id, action, "allowed").await, 1, "{action}");
    }
    let feed = site.app.get("/v1/events?limit=200", Role::Supervisor).await.text;
    for event in ["case.deadline_warned_75", "case.deadline_warned_90", "case.deadline_breached"] {
        assert!(feed.contains(event), "{feed}");
    }
}

#[tokio::test]
async fn sweeps_at_the_same_time_of_many_cases_give_every_notice_once() {
    let site = Arc::new(Site::new().await);
    let mut cases = Vec::new();
    for _ in 0..8 {
        cases.push(site.in_review().await);
    }
    site.go_to(instant(&cases[7]["due_at"]) + Duration::DAY);
    let sweeps: Vec<_> = (0..4)
        .map(|_| {
            let site = site.clone();
            tokio::spawn(async move { site.sweep_alone().await })
        })
        .collect();
    for sweep in sweeps {
        sweep.await.unwrap();
    }
    assert_eq!(site.drain(ESCALATION).await, 8);
    for case in &cases {
        let story = site.story(id_of(case)).await;
        let of = |action: &str| story.iter().filter(|(known, _)| known == action).count();
        let counts = ["case.deadline_warned_75", "case.deadline_warned_90", "case.deadline_breached", "case.escalate"];
        assert_eq!(counts.map(of), [1, 1, 1, 1], "{story:?}");
    }
}

impl Site {
    /// A sweep by a handler of its own, past the queue: what a redelivered job is.
    async fn sweep_alone(&self) {
        let handlers = self.app.parts.job_kinds(&self.app.config).unwrap();
        let job = docket::application::ports::job_queue::ClaimedJob {
            lease: docket_domain::job::JobLease {
                tenant_id: TenantId::PLATFORM,
                job_id: JobId(Uuid::now_v7()),
                token: 1,
            },
            kind: WATCH.to_owned(),
            payload: "{}".to_owned(),
            lane: 3,
            run_at: self.clock.now(),
            attempt: 1,
            requested_by: PrincipalId::SYSTEM,
            traceparent: None,
            waited: std::time::Duration::ZERO,
        };
        let ended = run_job(handlers.get(WATCH).unwrap(), &self.queue, job, CancellationToken::new(), 0).await;
        assert!(matches!(ended.word(), "succeeded"), "{ended:?}");
    }
}

/// One round of a race: the clock passes the deadline while a command is on its way and a sweep looks.
async fn race(site: &Arc<Site>, round: u32, command: Value) -> (Value, u16) {
    let case = site.in_review().await;
    let (id, due) = (id_of(&case).to_owned(), instant(&case["due_at"]));
    site.go_to(due - Duration::MILLISECOND);
    // Both orders occur for certain: in the first round the breach comes before the command, in the second after it.
    if round == 0 {
        site.go_to(due);
        site.sweep_alone().await;
    }
    let (hold, released) = tokio::sync::oneshot::channel();
    let sweeping = {
        let site = site.clone();
        tokio::spawn(async move {
            if round == 1 {
                let _ = released.await;
            }
            for _ in 0..round % 7 {
                tokio::task::yield_now().await;
            }
            site.go_to(due);
            site.sweep_alone().await;
        })
    };
    let role = Role::Supervisor;
    let answer = site.app.command_at(&id, role, &command, &format!("\"v{}\"", case["version"])).await;
    let _ = hold.send(());
    sweeping.await.unwrap();
    site.sweep_alone().await;
    site.drain(ESCALATION).await;
    (site.case(&id).await, answer.status)
}

#[tokio::test]
async fn an_extension_and_a_breach_at_the_same_time_end_in_one_story() {
    let site = Arc::new(Site::new().await);
    let mut stories = [0, 0];
    for round in 0..40 {
        let due = (site.clock.now() + Duration::days(90)).format(&Rfc3339).unwrap();
        let command = json!({"command": "extend_deadline", "due_at": due, "reason": "agreed"});
        let (case, status) = race(&site, round, command).await;
        let id = id_of(&case);
        let breaches = site.count(id, "case.deadline_breached", "allowed").await;
        let escalations = site.count(id, "case.escalate", "allowed").await;
        if status == 200 {
            assert_eq!((breaches, escalations, &case["deadline_extended"]), (0, 0, &json!(true)), "{case}");
            assert_eq!(case["state"], "under_review");
        } else {
            assert!([409, 412].contains(&status), "{status}");
            assert_eq!((breaches, escalations, &case["deadline_extended"]), (1, 1, &json!(false)), "{case}");
            assert_eq!(case["state"], "escalated");
        }
        stories[usize::from(status == 200)] += 1;
    }
    assert!(stories[0] > 0 && stories[1] > 0, "one story never happened: {stories:?} breached, extended");
}

#[tokio::test]
async fn a_question_and_a_breach_at_the_same_time_end_in_one_story() {
    let site = Arc::new(Site::new().await);
    let mut stories = [0, 0];
    for round in 0..40 {
        let (case, status) = race(&site, round, json!({"command": "request_information", "question": "why?"})).await;
        let id = id_of(&case);
        let breaches = site.count(id, "case.deadline_breached", "allowed").await;
        let escalations = site.count(id, "case.escalate", "allowed").await;
        let paused_in_time =
            case["clock_paused_at"].as_str().is_some() && instant(&case["clock_paused_at"]) < instant(&case["due_at"]);
        assert!([200, 412].contains(&status), "{status}");
        if paused_in_time {
            assert_eq!((status, breaches, escalations, &case["state"]), (200, 0, 0, &json!("awaiting_information")));
        } else {
            assert_eq!((breaches, escalations, &case["state"]), (1, 1, &json!("escalated")), "{status} {case}");
        }
        stories[usize::from(paused_in_time)] += 1;
    }
    assert!(stories[0] > 0 && stories[1] > 0, "one story never happened: {stories:?} breached, paused");
}

#[tokio::test]
async fn a_job_that_is_delivered_again_after_it_was_done_changes_nothing() {
    let site = Site::new().await;
    let case = site.in_review().await;
    site.go_to(instant(&case["due_at"]));
    site.sweep().await;
    let worker = WorkerId(Uuid::now_v7());
    let terms = LeaseTerms { length: std::time::Duration::from_mins(1) };
    site.queue.register(worker, "by hand", terms).await.unwrap();
    let slot = ClaimSlot { kind: ESCALATION, wanted: 1, from: [BEGINNING; LANES] };
    let job = site.queue.claim(worker, &[slot]).await.unwrap().remove(0);
    let handlers = site.app.parts.job_kinds(&site.app.config).unwrap();
    for _ in 0..2 {
        let handler = handlers.get(ESCALATION).unwrap();
        let ended = run_job(handler, &site.queue, job.clone(), CancellationToken::new(), 0).await;
        assert_eq!(ended, Ended::Nothing);
    }
    let story = site.story(id_of(&case)).await;
    assert_eq!(story.iter().filter(|(action, _)| action == "case.escalate").count(), 1, "{story:?}");
}

#[tokio::test]
async fn a_calendar_is_set_by_administrators_with_the_version_they_saw_and_holds_from_then_on() {
    let site = Site::new().await;
    let app = &site.app;
    let fresh = app.get("/v1/calendar", Role::Reporter).await;
    assert_eq!((fresh.status, fresh.header("etag")), (200, "\"v1\""));
    assert_eq!(
        fresh.json(),
        json!({"version": 1, "weekend": ["saturday", "sunday"], "holidays": [], "updated_at": null})
    );
    let wanted = json!({
        "weekend": ["friday", "saturday"],
        "holidays": [{"date": "2026-11-23", "name": "Founding day"}, {"date": "2026-11-24", "name": "Day after"}],
    });
    let put = async |role: Role, etag: Option<&str>, body: &Value| {
        let mut request = app.request(Method::PUT, "/v1/calendar", app.key(role)).json(body);
        if let Some(etag) = etag {
            request = request.header("if-match", etag);
        }
        Answer::of(request.header("idempotency-key", "once")).await
    };
    put(Role::Supervisor, Some("\"v1\""), &wanted).await.assert_problem(403, "forbidden");
    put(Role::Admin, None, &wanted).await.assert_problem(428, "precondition-required");
    let stale = put(Role::Admin, Some("\"v7\""), &wanted).await.assert_problem(412, "precondition-failed");
    assert_eq!(stale["current_version"], 1);
    put(Role::Admin, Some("\"v1\""), &json!({"weekend": []})).await.assert_problem(422, "validation-failed");
    let done = put(Role::Admin, Some("\"v1\""), &wanted).await;
    assert_eq!(
        (done.status, done.header("etag"), &done.json()["version"]),
        (200, "\"v2\"", &json!(2)),
        "{}",
        done.text
    );
    let again = put(Role::Admin, Some("\"v1\""), &wanted).await;
    assert_eq!((again.header("idempotent-replayed"), &again.text), ("true", &done.text));
    assert_eq!(app.get("/v1/calendar", Role::Auditor).await.text, done.text);
    let trail = app.get("/v1/audit", Role::Auditor).await.text;
    assert!(trail.contains("calendar.set") && trail.contains("Founding day"), "{trail}");
    // From Saturday on, Sunday, Wednesday and Thursday count.
    assert_eq!(instant(&site.in_review().await["due_at"]), time::macros::datetime!(2026-11-26 10:00 UTC));
    let other = app.request(Method::GET, "/v1/calendar", &app.tenants[1].keys[&Role::Admin]);
    assert_eq!(Answer::of(other).await.json()["version"], 1, "another tenant's calendar is its own");
}

#[tokio::test]
async fn a_clock_that_stands_still_is_not_overdue() {
    let site = Site::new().await;
    let case = site.in_review().await;
    let ask = json!({"command": "request_information", "question": "why?"});
    assert_eq!(site.app.command(id_of(&case), Role::Caseworker, &ask).await.status, 200);
    site.app.post("/v1/cases", Role::Reporter, &complete_case()).await;
    site.go_to(instant(&case["due_at"]) + Duration::days(30));
    site.sweep().await;
    let list = site.app.get("/v1/cases?overdue=true", Role::Supervisor).await.json();
    assert_eq!(list["items"], json!([]));
    assert!(site.case(id_of(&case)).await["clock_paused_at"].is_string());
    let answer = site
        .app
        .command(id_of(&case), Role::Caseworker, &json!({"command": "receive_information", "answer": "so"}))
        .await;
    assert!(instant(&answer.json()["due_at"]) > site.clock.now(), "{}", answer.text);
}
