//! One misdeed each: loops, sleeps, crashes, hogs, exits, noise, forks, size, and plugins that are not there.

use std::time::{Duration, Instant};

use bytes::Bytes;
use docket::application::ports::Plugins;
use docket::application::ports::plugins::{PluginCall, PluginError, PluginGroup};
use docket::telemetry::{RequestContext, SpanId, scope};
use serde_json::json;

use crate::{pool, trouble};

const SHORT: Option<Duration> = Some(Duration::from_millis(300));

#[tokio::test]
async fn a_plugin_that_never_ends_is_stopped_at_its_deadline_and_its_worker_replaced() {
    let pool = pool(|_| {});
    let first = trouble(&pool, json!({}), None).await.unwrap();
    for deed in ["endless", "sleep_in_c"] {
        let error = trouble(&pool, json!({"deed": deed}), SHORT).await.unwrap_err();
        assert!(matches!(error, PluginError::TimedOut(_)), "{deed}: {error}");
        let next = trouble(&pool, json!({}), None).await.unwrap();
        assert_ne!(first["pid"], next["pid"], "{deed}");
    }
}

#[tokio::test]
async fn a_crash_is_an_answer_and_the_next_call_finds_another_worker() {
    let pool = pool(|_| {});
    let error = trouble(&pool, json!({"deed": "segfault"}), None).await.unwrap_err();
    assert_eq!(error, PluginError::Died("segmentation fault".to_owned()));
    let error = trouble(&pool, json!({"deed": "leave"}), None).await.unwrap_err();
    assert_eq!(error, PluginError::Died("it left with exit code 7".to_owned()));
    trouble(&pool, json!({}), None).await.unwrap();
}

#[tokio::test]
async fn memory_beyond_the_limit_is_refused_to_the_plugin_alone() {
    let pool = pool(|_| {});
    let error = trouble(&pool, json!({"deed": "hog"}), None).await.unwrap_err();
    let PluginError::Raised { kind, message } = &error else { panic!("{error}") };
    assert!(kind == "memory" && message.starts_with("MemoryError"), "{error}");
    trouble(&pool, json!({}), None).await.unwrap();
}

#[tokio::test]
async fn exceptions_and_exits_are_typed_and_leave_the_worker_alive() {
    let pool = pool(|_| {});
    let before = trouble(&pool, json!({}), None).await.unwrap();
    for (deed, expected) in [("exit", "exit"), ("raise", "exception")] {
        let error = trouble(&pool, json!({"deed": deed}), None).await.unwrap_err();
        let PluginError::Raised { kind, .. } = &error else { panic!("{error}") };
        assert_eq!(kind, expected);
    }
    assert_eq!(before["pid"], trouble(&pool, json!({}), None).await.unwrap()["pid"]);
}

#[tokio::test]
async fn noise_on_every_stream_does_not_reach_the_connection() {
    let pool = pool(|_| {});
    trouble(&pool, json!({"deed": "noise"}), None).await.unwrap();
    trouble(&pool, json!({}), None).await.unwrap();
}

#[tokio::test]
async fn a_plugin_that_forks_is_answered_once_and_what_stays_is_killed_with_the_worker() {
    let pool = pool(|settings| settings.recycle_after = 3);
    let first = trouble(&pool, json!({"deed": "fork"}), None).await.unwrap();
    let second = trouble(&pool, json!({"deed": "fork_and_stay"}), None).await.unwrap();
    let third = trouble(&pool, json!({}), None).await.unwrap();
    assert!(first["pid"] == second["pid"] && second["pid"] == third["pid"]);
    // Recycled: a fresh process.
    assert_ne!(third["pid"], trouble(&pool, json!({}), None).await.unwrap()["pid"]);
    let group = format!("-{}", third["pid"]);
    let ended = async {
        while std::process::Command::new("kill").args(["-0", "--", &group]).output().unwrap().status.success() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("the copy outlives its worker");
}

#[tokio::test]
async fn fifty_megabytes_go_there_and_back() {
    let pool = pool(|_| {});
    let text = "regulation ".repeat(50 * 1024 * 1024 / 11);
    let call = PluginCall {
        group: PluginGroup::Parsers,
        name: "text".to_owned(),
        arguments: json!({"name": "large.txt", "media_type": "text/plain"}),
        payload: Bytes::from(text.clone()),
        deadline: None,
    };
    // The text parser refuses to read novels of that length, after it got all of it.
    let error = pool.call(call).await.unwrap_err();
    assert!(matches!(&error, PluginError::Refused { reason, .. } if reason == "too_large"), "{error}");
    let answer = trouble(&pool, json!({"size": 50 * 1024 * 1024}), None).await.unwrap();
    assert_eq!(answer["text"].as_str().unwrap().len(), 50 * 1024 * 1024);
}

#[tokio::test]
async fn what_is_missing_unfit_or_cannot_be_imported_says_so() {
    let pool = pool(|_| {});
    let ask = async |name: &str| pool.self_test(PluginGroup::Enrichers, name).await.unwrap_err();
    assert!(matches!(ask("nobody").await, PluginError::Missing(_)));
    let kind = |error: PluginError| match error {
        PluginError::Raised { kind, .. } => kind,
        other => panic!("{other}"),
    };
    assert_eq!(kind(ask("unimportable").await), "import");
    assert_eq!(kind(ask("unfit").await), "exception");
    let found = pool.list().await.unwrap();
    let problem = |name: &str| found.iter().find(|plugin| plugin.name == name).unwrap().problem.clone();
    assert!(problem("unimportable").unwrap().contains("no_such_module_anywhere"));
    assert_eq!(problem("trouble"), None);
    for plugin in found.iter().filter(|plugin| plugin.package.as_deref() == Some("docket-plugins")) {
        pool.self_test(plugin.group, &plugin.name).await.unwrap_or_else(|error| panic!("{}: {error}", plugin.name));
    }
}

#[tokio::test]
async fn without_python_every_call_is_refused_with_the_reason() {
    for program in ["/nonexistent/docket", "/bin/false"] {
        let pool = pool(|settings| settings.program = Some(program.into()));
        let error = trouble(&pool, json!({}), None).await.unwrap_err();
        assert!(matches!(&error, PluginError::Unavailable(_)), "{program}: {error}");
    }
    let slow = pool(|settings| {
        settings.program = Some("/bin/cat".into());
        settings.startup = Duration::from_millis(50);
    });
    let error = trouble(&slow, json!({}), None).await.unwrap_err();
    assert!(matches!(&error, PluginError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let pool = pool(|settings| settings.queue = 1);
    trouble(&pool, json!({}), None).await.unwrap();
    let calls = (0..8).map(|_| trouble(&pool, json!({"sleep": 1}), None));
    let answers = futures::future::join_all(calls).await;
    let served = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.iter().filter(|answer| matches!(answer, Err(PluginError::Overloaded))).count();
    assert!(served >= 1 && refused >= 6 && served + refused == 8, "{answers:?}");
}

#[tokio::test]
async fn the_trace_goes_along_and_logs_and_counts_come_back() {
    let pool = pool(|_| {});
    let span = SpanId::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let context = std::sync::Arc::new(RequestContext::new("r1".to_owned(), span));
    let answer = scope(context, trouble(&pool, json!({"deed": "log"}), None)).await.unwrap();
    assert_eq!(answer["traceparent"], span.to_string());
}

#[tokio::test]
async fn two_workers_serve_two_calls_at_once() {
    let pool = pool(|settings| settings.workers = 2);
    let both =
        || async { tokio::join!(trouble(&pool, json!({"sleep": 2}), None), trouble(&pool, json!({"sleep": 2}), None)) };
    let (one, other) = both().await;
    assert_ne!(one.unwrap()["pid"], other.unwrap()["pid"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runtime_never_waits_for_a_plugin() {
    let pool = pool(|settings| settings.workers = 2);
    trouble(&pool, json!({}), None).await.unwrap();
    let deeds = ["endless", "noise", "segfault", "sleep_in_c", "hog", "leave"];
    let mischief = futures::future::join_all(
        deeds.iter().map(|deed| trouble(&pool, json!({"deed": deed}), Some(Duration::from_secs(2)))),
    );
    // The longest time for which a task that is ready was not run: a blocked thread would hold it for seconds.
    let watch = async {
        let mut longest = Duration::ZERO;
        loop {
            let began = Instant::now();
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            longest = longest.max(began.elapsed());
            if longest > Duration::from_secs(10) {
                return longest;
            }
        }
    };
    tokio::select! {
        answers = mischief => assert!(answers.iter().filter(|answer| answer.is_err()).count() >= 5, "{answers:?}"),
        longest = watch => panic!("nothing ran for {longest:?}"),
    }
    trouble(&pool, json!({}), None).await.unwrap();
}
