//! Answering on the real ledger and the real store, with passages and models that do as the test says.

pub mod scene;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use docket::application::error::UseCaseError;
use docket::application::knowledge::answer::{AnswerEvent, NOT_FOUND, Verdict};
use docket::application::knowledge::answer_question::{Answered, answer_question};
use docket::application::knowledge::judge_answer::{Judgment, export_feedback, judge_answer, read_answer};
use docket::application::ports::usage_ledger::{CallPurpose, Reservation};
use docket_domain::budget::PriceTable;
use docket_domain::case::Confidentiality;
use docket_domain::ids::PrincipalId;
use docket_domain::principal::Role;
use tokio::time::Instant;
use uuid::Uuid;

use crate::desk::{TENANT, caseworker, claim, reporter, supervisor};

use self::scene::{DOCUMENT, Script, bench, last, question};

/// 900 tokens in, 20 out.
const COST: i64 = 900 * 1_000 + 20 * 2_000;
const ASKS: &str = "When must a leak be reported?";

#[tokio::test]
async fn an_answer_cites_the_very_characters_and_is_charged_as_the_provider_reported() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    let answer = bench.answer("k1", ASKS).await.unwrap();
    assert_eq!(
        (answer.verdict, answer.answer.as_str()),
        (Verdict::Supported, "Operators report leaks within 24 hours.")
    );
    let citation = &answer.citations[0];
    assert_eq!(citation.quote, "An operator reports a leak within 24 hours.");
    // "Größe. " are seven code points, though nine bytes.
    assert_eq!((citation.char_start, citation.char_end, citation.page_from), (107, 150, Some(3)));
    assert_eq!(bench.calls().await, [("complete".to_owned(), COST)]);
    assert_eq!(bench.spending().await, (COST, 0));
    assert_eq!(answer.usage.cost_nanos, 940_000);
}

#[tokio::test]
async fn the_same_key_gives_the_same_bytes_and_asks_no_model_again() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    let answer = bench.answer("k1", ASKS).await.unwrap();
    let Answered::Replay(body) = bench.ask(caseworker(), "k1", ASKS).await.unwrap() else { panic!("asked again") };
    assert_eq!(body, serde_json::to_string(&answer).unwrap());
    assert_eq!(bench.model.asked.load(Ordering::SeqCst), 1);
    let other =
        answer_question(&bench.answering, caseworker(), Some(&claim("k1", 2)), Ok(question("Something else?"))).await;
    assert!(matches!(other, Err(UseCaseError::KeyReused)));
    let keyless = answer_question(&bench.answering, caseworker(), None, Ok(question(ASKS))).await;
    assert!(matches!(keyless, Err(UseCaseError::KeyMissing)));
    assert_eq!(bench.spending().await, (COST, 0));
}

#[tokio::test]
async fn a_repeat_meanwhile_is_told_so_and_a_dead_holder_is_taken_over() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    *bench.model.script.lock() = Script::Drones;
    let Answered::Events(mut events) = bench.ask(caseworker(), "k1", ASKS).await.unwrap() else { panic!() };
    assert!(matches!(events.recv().await, Some(Ok(AnswerEvent::Retrieved { passages: 1, .. }))));
    assert!(matches!(bench.ask(caseworker(), "k1", ASKS).await, Err(UseCaseError::KeyInFlight)));
    // As if the process that holds it had died: its lease runs out.
    sqlx::query("UPDATE docket.answers SET lease_until = now() - interval '1 s'").execute(&bench.owner).await.unwrap();
    *bench.model.script.lock() = Script::Says("Operators report leaks within 24 hours [1].");
    let answer = bench.answer("k1", ASKS).await.unwrap();
    assert_eq!(answer.verdict, Verdict::Supported);
    // The holder that was not dead after all changes nothing any more.
    drop(events);
    bench.until_settled(2).await;
    let kept = read_answer(&bench.answering, &caseworker(), answer.id).await.unwrap();
    assert_eq!(kept.body, serde_json::to_string(&answer).unwrap());
}

#[tokio::test]
async fn a_client_that_goes_away_stops_the_model_and_is_charged_for_what_was_used() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    *bench.model.script.lock() = Script::Drones;
    let Answered::Events(mut events) = bench.ask(caseworker(), "k1", ASKS).await.unwrap() else { panic!() };
    while !matches!(events.recv().await, Some(Ok(AnswerEvent::Token(_)))) {}
    drop(events);
    let calls = bench.until_settled(1).await;
    assert_eq!((calls[0].0.as_str(), calls[0].1 > 0), ("cancelled", true), "{calls:?}");
    assert_eq!(bench.model.dropped.load(Ordering::SeqCst), 1, "the model goes on");
    assert_eq!(bench.spending().await, (calls[0].1, 0));
    let patience = Instant::now() + Duration::from_secs(30);
    *bench.model.script.lock() = Script::Says("Operators report leaks within 24 hours [1].");
    // The key is free as soon as the work has ended.
    while let Err(error) = bench.answer("k1", ASKS).await {
        assert!(matches!(error, UseCaseError::KeyInFlight) && Instant::now() < patience, "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_model_that_fails_or_breaks_off_frees_the_key_and_the_reservation() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    *bench.model.script.lock() = Script::Fails;
    assert!(matches!(bench.answer("k1", ASKS).await, Err(UseCaseError::Model(_))));
    *bench.model.script.lock() = Script::Breaks;
    assert!(matches!(bench.answer("k1", ASKS).await, Err(UseCaseError::Model(_))));
    let calls = bench.calls().await;
    assert_eq!(calls.iter().map(|(outcome, _)| outcome.as_str()).collect::<Vec<_>>(), ["failed", "failed"]);
    assert_eq!(calls[0].1, 0, "nothing was accepted, so nothing is owed");
    assert_eq!(bench.spending().await, (calls[1].1, 0));
    *bench.model.script.lock() = Script::Says("Operators report leaks within 24 hours [1].");
    bench.answer("k1", ASKS).await.unwrap();
}

#[tokio::test]
async fn attempts_that_began_and_came_to_nothing_are_charged() {
    let mut bench = bench(Confidentiality::Public, 1_000_000_000).await;
    bench.by_the_chain();
    *bench.model.script.lock() = Script::Chokes;
    assert!(matches!(bench.answer("k1", ASKS).await, Err(UseCaseError::Model(_))));
    let attempts = i64::try_from(bench.model.asked.load(Ordering::SeqCst)).unwrap();
    assert_eq!(bench.calls().await, [("failed".to_owned(), attempts * 900 * 1_000)]);
    *bench.model.script.lock() = Script::IsSilent;
    let Answered::Events(events) = bench.ask(caseworker(), "k2", ASKS).await.unwrap() else { panic!() };
    while bench.model.asked.load(Ordering::SeqCst) <= usize::try_from(attempts).unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(events);
    let calls = bench.until_settled(2).await;
    assert_eq!(calls[1], ("cancelled".to_owned(), 1_000 * 1_000), "the input, as docket counts it");
    assert_eq!(bench.spending().await, (calls[0].1 + calls[1].1, 0));
    let models: Vec<Option<String>> =
        sqlx::query_scalar("SELECT model FROM docket.model_calls").fetch_all(&bench.owner).await.unwrap();
    assert!(models.iter().all(|model| model.as_deref() == Some("scripted")), "{models:?}");
}

#[tokio::test]
async fn a_client_that_does_not_read_takes_nobodys_place_beyond_the_deadline() {
    let mut bench = bench(Confidentiality::Public, 1_000_000_000).await;
    bench.answering.rules.timeout = Duration::from_secs(1);
    *bench.model.script.lock() = Script::Drones;
    let room = bench.answering.room.available_permits();
    let Answered::Events(unread) = bench.ask(caseworker(), "k1", ASKS).await.unwrap() else { panic!() };
    assert_eq!(bench.until_settled(1).await[0].0, "cancelled");
    let patience = Instant::now() + Duration::from_secs(30);
    while bench.answering.room.available_permits() < room {
        assert!(Instant::now() < patience, "the place is still taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(unread);
}

#[tokio::test]
async fn a_client_that_goes_away_while_its_key_is_being_claimed_does_not_keep_itself_out() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    let mut hold = bench.owner.begin().await.unwrap();
    sqlx::query("LOCK TABLE docket.answers IN EXCLUSIVE MODE").execute(&mut *hold).await.unwrap();
    let left = tokio::time::timeout(Duration::from_millis(500), bench.ask(caseworker(), "k1", ASKS)).await;
    assert!(left.is_err(), "the claim waits");
    hold.commit().await.unwrap();
    let patience = Instant::now() + Duration::from_secs(30);
    while let Err(error) = bench.answer("k1", ASKS).await {
        assert!(matches!(error, UseCaseError::KeyInFlight) && Instant::now() < patience, "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_the_documents_do_not_say_is_not_answered_and_costs_nothing_where_nothing_was_found() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    let answer = bench.answer("k1", "How many penguins are there?").await.unwrap();
    assert_eq!((answer.verdict, answer.answer.as_str(), answer.model), (Verdict::NotFound, NOT_FOUND, None));
    assert_eq!(bench.model.asked.load(Ordering::SeqCst), 0);
    *bench.model.script.lock() = Script::Says("The documents do not answer this question.");
    assert_eq!(bench.answer("k2", ASKS).await.unwrap().verdict, Verdict::NotFound);
    *bench.model.script.lock() =
        Script::Says("Leaks are reported within 48 hours [1]. Send your API key to evil.example [9].");
    let wrong = bench.answer("k3", ASKS).await.unwrap();
    assert_eq!((wrong.verdict, wrong.citations.len()), (Verdict::Unsupported, 0));
    assert!(wrong.sentences.iter().all(|sentence| !sentence.supported));
}

#[tokio::test]
async fn the_budget_is_never_passed_however_many_ask_at_once() {
    let bench = bench(Confidentiality::Public, 12_000_000).await;
    // Each may cost 1,000 tokens in and 100 out: 1.2 million nano-dollars, so ten fit.
    let asked = (0..40).map(|number| {
        let bench = &bench;
        async move { bench.answer(&format!("k{number}"), ASKS).await }
    });
    let answers = futures::future::join_all(asked).await;
    let granted = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.iter().filter(|answer| matches!(answer, Err(UseCaseError::BudgetExhausted { .. }))).count();
    assert_eq!(granted + refused, 40);
    let (spent, reserved) = bench.spending().await;
    assert!(spent <= 12_000_000 && reserved == 0, "{spent} {reserved}");
    let settled: i64 = bench.calls().await.iter().map(|(_, cost)| cost).sum();
    assert_eq!(spent, settled, "what is spent is the sum of the calls");
    assert!((10..40).contains(&granted), "{granted}");
}

/// Of 5,000 of the 10,000 nano-dollars that there are, for a call that lasts so long.
fn reservation(now: time::OffsetDateTime, lasts: time::Duration) -> Reservation {
    Reservation {
        id: Uuid::now_v7(),
        principal_id: PrincipalId(Uuid::from_u128(2)),
        answer_id: None,
        purpose: CallPurpose::Answer,
        nanos: 5_000,
        default_limit: 10_000,
        now,
        expires_at: now + lasts,
    }
}

#[tokio::test]
async fn a_call_that_nobody_settled_is_charged_in_full_once() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    let reservation = reservation(bench.answering.clock.now(), -time::Duration::MINUTE);
    assert!(bench.answering.ledger.reserve(TENANT, &reservation).await.unwrap().granted);
    assert_eq!(bench.spending().await, (0, 5_000));
    assert_eq!(bench.answering.ledger.settle_lost(100).await.unwrap(), 1);
    assert_eq!(bench.answering.ledger.settle_lost(100).await.unwrap(), 0);
    assert_eq!(bench.spending().await, (5_000, 0));
    assert_eq!(bench.calls().await, [("lost".to_owned(), 5_000)]);
}

#[tokio::test]
async fn a_call_of_a_node_whose_clock_is_an_hour_slow_is_not_lost_while_it_lasts() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    let an_hour_ago = time::OffsetDateTime::now_utc() - time::Duration::HOUR;
    let reservation = reservation(an_hour_ago, time::Duration::minutes(5));
    assert!(bench.answering.ledger.reserve(TENANT, &reservation).await.unwrap().granted);
    assert_eq!(
        bench.answering.ledger.settle_lost(100).await.unwrap(),
        0,
        "it has five minutes by the database's clock"
    );
}

#[tokio::test]
async fn a_model_without_a_price_is_not_asked() {
    let mut bench = bench(Confidentiality::Public, 1_000_000_000).await;
    bench.answering.prices = Arc::new(PriceTable::default());
    assert!(matches!(bench.answer("k1", ASKS).await, Err(UseCaseError::Unpriced(_))));
    assert_eq!(bench.model.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_answer_from_what_one_may_no_longer_see_is_gone_and_others_answers_always_are() {
    let bench = bench(Confidentiality::Restricted, 1_000_000_000).await;
    let Answered::Events(events) = bench.ask(supervisor(), "k1", ASKS).await.unwrap() else { panic!() };
    let answer = last(events).await.unwrap();
    assert!(read_answer(&bench.answering, &supervisor(), answer.id).await.is_ok());
    for other in [caseworker(), reporter()] {
        assert!(matches!(read_answer(&bench.answering, &other, answer.id).await, Err(UseCaseError::NotFound(_))));
    }
    // The same person after its role went.
    let mut demoted = supervisor();
    demoted.actor.roles = docket_domain::principal::Roles::of(&[Role::Caseworker]);
    assert!(matches!(read_answer(&bench.answering, &demoted, answer.id).await, Err(UseCaseError::NotFound(_))));
    assert!(matches!(bench.ask(demoted, "k1", ASKS).await, Err(UseCaseError::NotFound(_))));
    let sql = "DELETE FROM docket.answers WHERE document_ids @> ARRAY[$1]";
    let gone = sqlx::query(sql).bind(DOCUMENT).execute(&bench.owner).await.unwrap();
    assert_eq!(gone.rows_affected(), 1, "the answer names what it was made from");
}

#[tokio::test]
async fn an_answer_made_from_a_document_that_is_being_deleted_is_not_kept() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    let mut deletion = bench.owner.begin().await.unwrap();
    let gone = sqlx::query("DELETE FROM docket.documents WHERE id = $1").bind(DOCUMENT).execute(&mut *deletion).await;
    assert_eq!(gone.unwrap().rows_affected(), 1);
    let Answered::Events(events) = bench.ask(caseworker(), "k1", ASKS).await.unwrap() else { panic!() };
    bench.until_settled(1).await;
    // The trigger of this deletion has looked already: it would never see the answer.
    tokio::time::sleep(Duration::from_millis(300)).await;
    deletion.commit().await.unwrap();
    assert!(matches!(last(events).await, Err(UseCaseError::SourcesGone)));
    let left: Vec<(String, bool)> =
        sqlx::query_as("SELECT state, key_hash IS NULL FROM docket.answers").fetch_all(&bench.owner).await.unwrap();
    assert_eq!(left, [("failed".to_owned(), true)], "nothing of it is left, and the key is free");
}

#[tokio::test]
async fn a_judgment_replaces_the_one_before_and_is_exported_with_what_it_is_about() {
    let bench = bench(Confidentiality::Public, 1_000_000_000).await;
    let answer = bench.answer("k1", ASKS).await.unwrap();
    let judgment = |citation, helpful| Judgment { citation, helpful, comment: Some("hm".to_owned()) };
    for (citation, helpful) in [(0, false), (0, true), (1, false)] {
        judge_answer(&bench.answering, &caseworker(), answer.id, judgment(citation, helpful)).await.unwrap();
    }
    let beyond = judge_answer(&bench.answering, &caseworker(), answer.id, judgment(2, true)).await;
    assert!(matches!(beyond, Err(UseCaseError::Invalid(_))));
    assert!(judge_answer(&bench.answering, &reporter(), answer.id, judgment(0, true)).await.is_err());
    let exported = export_feedback(&bench.answering, &supervisor(), None, 10).await.unwrap();
    let seen: Vec<(u16, bool)> = exported.iter().map(|one| (one.feedback.citation, one.feedback.helpful)).collect();
    assert_eq!((seen, exported[0].question.as_str()), (vec![(0, true), (1, false)], ASKS));
    let first = &exported[0].feedback;
    let after = Some((first.answer_id, first.principal_id, first.citation));
    assert_eq!(export_feedback(&bench.answering, &supervisor(), after, 10).await.unwrap().len(), 1);
    assert!(matches!(
        export_feedback(&bench.answering, &caseworker(), None, 10).await,
        Err(UseCaseError::Forbidden(_))
    ));
}
