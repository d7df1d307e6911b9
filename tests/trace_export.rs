//! Traces: a dead collector costs requests nothing, and one that comes back gets spans with the caller's trace.
//!
//! One test in a process of its own, because telemetry is set up once a process.
#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(dead_code, reason = "the support module is shared with tests/shell.rs")]

#[path = "shell/support.rs"]
mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use docket::config::{Sources, load};
use docket::telemetry;
use support::{Server, TRACEPARENT};

/// Takes one export after the other and answers 200, until the caller's trace has come.
fn collect(listener: &TcpListener, wanted: &[u8]) -> Vec<u8> {
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let (mut seen, mut buffer) = (Vec::new(), [0; 8_192]);
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            seen.extend_from_slice(&buffer[..count]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        if seen.windows(wanted.len()).any(|window| window == wanted) {
            return seen;
        }
    }
}

#[test]
fn a_dead_collector_has_no_effect_and_a_living_one_gets_the_callers_trace() {
    // A port on which nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let environment = vec![
        ("DOCKET_TELEMETRY__OTLP_ENDPOINT".to_owned(), format!("http://127.0.0.1:{port}")),
        ("DOCKET_TELEMETRY__LOG_FILTER".to_owned(), "info,opentelemetry=off,docket::access=off".to_owned()),
    ];
    let config = load(&Sources { environment, ..Sources::default() }).unwrap().config;
    let guard = telemetry::init(&config).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ask = async |server: &Server| server.get("/v1/hello", &[("traceparent", TRACEPARENT)]).await;
    let collector = runtime.block_on(async {
        let server = Server::start().await;
        let began = Instant::now();
        for _ in 0..200 {
            let answer = ask(&server).await;
            assert_eq!(answer.status, 200);
            assert_eq!(&answer.header("traceresponse")[3..35], &TRACEPARENT[3..35]);
        }
        assert!(began.elapsed() < Duration::from_secs(10), "200 requests took {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(ask(&server).await.status, 200, "also after the first export has failed");

        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let trace_id = hex::decode(&TRACEPARENT[3..35]).unwrap();
        let collector = std::thread::spawn(move || collect(&listener, &trace_id));
        ask(&server).await;
        collector
    });
    let began = Instant::now();
    guard.shutdown();
    assert!(began.elapsed() < Duration::from_millis(2_500), "the last flush took {:?}", began.elapsed());
    let export = collector.join().unwrap();
    for part in ["POST /v1/traces", "application/x-protobuf", "GET /v1/hello", "http.response.status_code", "docket"] {
        assert!(export.windows(part.len()).any(|window| window == part.as_bytes()), "{part} is missing in the export");
    }
}
