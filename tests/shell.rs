//! The shell around the API, over real sockets: limits, time, drain, problems, ids and traces.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "shell/support.rs"]
mod support;

use std::time::{Duration, Instant};

use support::{Answer, Server, TRACEPARENT, gzip_bomb};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn every_answer_carries_request_id_trace_and_secure_headers() {
    let server = Server::start().await;
    let answer = server.get("/v1/hello", &[("X-Request-Id", "my-id.1"), ("traceparent", TRACEPARENT)]).await;
    assert_eq!((answer.status, answer.header("x-request-id")), (200, "my-id.1"));
    assert_eq!(&answer.header("traceresponse")[3..35], &TRACEPARENT[3..35], "the caller's trace is continued");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(answer.body.contains(&TRACEPARENT[3..35]), "the handler sees the context: {}", answer.body);
    let other = server.get("/v1/hello", &[("X-Request-Id", "two words"), ("traceparent", "00-nonsense-01")]).await;
    assert_eq!(other.header("x-request-id").len(), 36);
    assert_ne!(&other.header("traceresponse")[3..35], &TRACEPARENT[3..35]);
}

#[tokio::test]
async fn every_error_of_the_framework_is_a_problem() {
    let server = Server::start().await;
    let cases: &[(&str, &str, u16, &str)] = &[
        ("GET", "/v1/nothing", 404, "not-found"),
        ("DELETE", "/v1/hello", 405, "method-not-allowed"),
        ("GET", "/v1/panic", 500, "internal"),
        ("GET", "/v1/slow", 503, "service-unavailable"),
        ("GET", "/v1/problem", 409, "conflict"),
        ("GET", &format!("/v1/hello?q={}", "x".repeat(9_000)), 414, "uri-too-long"),
    ];
    for (method, path, status, slug) in cases {
        server.request(method, path, &[], b"").await.assert_problem(*status, slug);
    }
    assert_eq!(server.request("DELETE", "/v1/hello", &[], b"").await.header("allow"), "GET,HEAD");
    assert_eq!(server.get("/v1/slow", &[]).await.header("retry-after"), "1");
    assert_eq!(server.get("/v1/hello", &[]).await.status, 200, "a panic takes nobody else down");
    // What the alert DocketPanicked watches; no drill can make a handler panic.
    let counted = server.get("/metrics", &[]).await.body;
    assert!(counted.contains("http_server_panics_total{route=\"/v1/panic\"}"), "{counted}");
    let large = "x".repeat(40_000);
    server.get("/v1/hello", &[("X-Large", &large)]).await.assert_problem(431, "headers-too-large");
}

#[tokio::test]
async fn headers_that_can_be_read_in_two_ways_are_refused() {
    let server = Server::start().await;
    for name in ["Authorization", "If-Match", "Content-Type"] {
        server.get("/v1/hello", &[(name, "a"), (name, "a")]).await.assert_problem(400, "malformed-request");
    }
    let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")];
    server.get("/v1/hello", &twice).await.assert_problem(400, "idempotency-key-malformed");
    let lengths =
        server.raw(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd").await;
    assert!(lengths.starts_with("HTTP/1.1 400"), "{lengths}");
    let hostless = server.raw(b"GET /v1/hello HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(hostless.starts_with("HTTP/1.1 400"), "{hostless}");
}

#[tokio::test]
async fn a_body_is_limited_as_sent_and_after_decompression() {
    let server = Server::start().await;
    let large = vec![b'x'; 5_000];
    server.request("POST", "/v1/echo", &[], &large).await.assert_problem(413, "payload-too-large");
    let chunked = [b"1388\r\n".as_slice(), &large, b"\r\n0\r\n\r\n"].concat();
    let head =
        b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
    Answer::parse(&server.raw(&[head, &chunked].concat()).await).assert_problem(413, "payload-too-large");
    let gzip = [("Content-Encoding", "gzip")];
    let small = server.request("POST", "/v1/echo", &gzip, &gzip_bomb(7)).await;
    assert_eq!((small.status, small.body.as_str()), (200, "1807"));
    server.request("POST", "/v1/echo", &gzip, &gzip_bomb(2_000)).await.assert_problem(413, "payload-too-large");
    let unknown = server.request("POST", "/v1/echo", &[("Content-Encoding", "br")], b"x").await;
    unknown.assert_problem(415, "unsupported-media-type");
    assert_eq!(unknown.header("accept-encoding"), "gzip");
    let upload = server.request("POST", "/v1/cases/1/evidence", &[], &large).await;
    assert_eq!((upload.status, upload.body.as_str()), (200, "5000"), "uploads have a limit of their own");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_the_clients_fault() {
    let server = Server::start().await;
    let answer = server.raw(b"POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").await;
    Answer::parse(&answer).assert_problem(408, "request-timeout");
}

#[tokio::test]
async fn too_many_requests_at_once_are_shed_at_once_but_health_answers() {
    let server = Server::start().await;
    let slow = (0..support::MAX_IN_FLIGHT).map(|_| server.get("/v1/slow", &[]));
    let probe = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let began = Instant::now();
        let shed = server.get("/v1/hello", &[]).await;
        shed.assert_problem(503, "service-unavailable");
        assert_eq!(shed.header("retry-after"), "1");
        assert!(began.elapsed() < Duration::from_millis(250), "{:?}", began.elapsed());
        assert_eq!(server.get("/healthz", &[]).await.status, 200);
    };
    tokio::join!(futures::future::join_all(slow), probe);
    assert_eq!(server.get("/v1/hello", &[]).await.status, 200);
}

#[tokio::test]
async fn a_connection_that_sends_nothing_or_half_a_head_is_closed() {
    let server = Server::start().await;
    for first in ["", "P", "GET /v1/hello HTT", "PRI * HTTP/2.0\r\n"] {
        let mut stream = server.connect().await;
        stream.write_all(first.as_bytes()).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok(), "still open after {first:?}");
    }
    let mut stream = server.connect().await;
    stream.write_all(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
    assert!(closed.is_ok(), "an idle connection stays open for ever");
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_loses_the_connection_and_who_takes_a_little_keeps_it() {
    let server = Server::start().await;
    let mut quiet = server.guests(1, "/v1/ticks").await;
    let mut taking = server.guests(1, "/v1/flood").await;
    let mut idle = server.guests(1, "/v1/flood").await;
    let began = Instant::now();
    let mut buffer = vec![0; 512 * 1024];
    while began.elapsed() < Duration::from_secs(4) {
        assert!(quiet[0].read(&mut buffer).await.unwrap() > 0, "who listens and hears little was sent away");
        assert!(taking[0].read(&mut buffer).await.unwrap() > 0);
        for _ in 0..16 {
            taking[0].read_exact(&mut buffer).await.expect("who takes slowly was sent away");
        }
    }
    // What the kernel kept is still there to be read, then it ends.
    let ended = tokio::time::timeout(Duration::from_secs(3), idle[0].read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok(), "who takes nothing keeps the connection");
    let counted = server.get("/metrics", &[]).await.body;
    assert!(counted.contains("http_server_connections_closed_total{reason=\"slow_reader\"}"), "{counted}");
}

#[tokio::test]
async fn who_opens_no_window_for_an_answer_over_http_2_loses_the_connection() {
    let server = Server::start().await;
    let (settings, window) = (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04", |size: u32| size.to_be_bytes());
    for (path, size) in [("/v1/flood", 0), ("/v1/flood", 20_000), ("/v1/hello", 0)] {
        let mut stream = server.connect().await;
        // GET by the static table of HPACK (RFC 7541, appendix A), then the path and the host written out.
        let head =
            [b"\x82\x86\x04".as_slice(), &[u8::try_from(path.len()).unwrap()], path.as_bytes(), b"\x01\x01x"].concat();
        let frame = [&[0, 0, u8::try_from(head.len()).unwrap(), 1, 5, 0, 0, 0, 1][..], &head].concat();
        let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), settings, &window(size), &frame].concat();
        stream.write_all(&preface).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{path} with a window of {size} keeps the connection");
        let sent = usize::try_from(size).unwrap();
        assert!(answer.len() > sent && answer.len() < sent + 3_000, "{} bytes of {path}", answer.len());
    }
    let mut stream = server.connect().await;
    let head = b"\x82\x86\x04\x09/v1/ticks\x01\x01x";
    let frame = [&[0, 0, u8::try_from(head.len()).unwrap(), 1, 5, 0, 0, 0, 1][..], head].concat();
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), settings, &window(60_000), &frame].concat();
    stream.write_all(&preface).await.unwrap();
    let kept = tokio::time::timeout(Duration::from_secs(4), stream.read_to_end(&mut Vec::new())).await;
    assert!(kept.is_err(), "a stream whose pieces are taken was ended");
}

#[tokio::test]
async fn who_comes_to_a_full_house_waits_at_the_door_until_somebody_leaves() {
    let server = Server::start().await;
    let mut guests = server.guests(support::MAX_CONNECTIONS, "/v1/endless").await;
    let mut late = server.connect().await;
    late.write_all(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let early = tokio::time::timeout(Duration::from_millis(300), late.read_to_end(&mut answer)).await;
    assert!(early.is_err() && answer.is_empty(), "one more was served: {answer:?}");
    guests.pop();
    tokio::time::timeout(Duration::from_secs(20), late.read_to_end(&mut answer))
        .await
        .expect("a place is free")
        .unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}

#[tokio::test]
async fn who_only_keeps_a_place_in_a_full_house_gives_it_to_who_comes() {
    let server = Server::start().await;
    let _guests = server.guests(support::MAX_CONNECTIONS, "/v1/hello").await;
    let came = Instant::now();
    for _ in 0..5 {
        assert_eq!(server.get("/v1/hello", &[]).await.status, 200);
    }
    assert!(came.elapsed() < Duration::from_millis(800), "waited {:?}, as long as idle ones may stay", came.elapsed());
}

#[tokio::test]
async fn who_works_in_a_full_house_gets_its_answer_and_then_makes_room() {
    let server = Server::start().await;
    let _guests = server.guests(support::MAX_CONNECTIONS - 1, "/v1/endless").await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /v1/short HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut late = server.connect().await;
    late.write_all(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let both = async {
        busy.read_to_end(&mut first).await.unwrap();
        late.read_to_end(&mut second).await.unwrap();
    };
    tokio::time::timeout(Duration::from_millis(1_200), both).await.expect("who waits does not wait for idleness");
    assert!(first.starts_with(b"HTTP/1.1 200"), "{first:?}");
    assert!(second.starts_with(b"HTTP/1.1 200"), "{second:?}");
}

#[tokio::test]
async fn the_first_chunk_of_a_stream_is_not_held_back_on_a_reused_connection() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    let mut waits = Vec::new();
    for _ in 0..21 {
        let began = Instant::now();
        stream.write_all(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let (mut text, mut buffer, mut wait) = (String::new(), [0; 1024], None);
        while !text.ends_with("0\r\n\r\n") {
            let count = stream.read(&mut buffer).await.unwrap();
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
            if text.contains("first") {
                wait.get_or_insert_with(|| began.elapsed());
            }
        }
        waits.push(wait.unwrap());
    }
    // The handler sends the first chunk 2 ms after the head; Nagle's algorithm would hold it until the client's delayed
    // ACK of the head, 40 ms later. The median, because a busy machine may hold up a few.
    waits.sort();
    assert!(waits[10] < Duration::from_millis(20), "{waits:?}");
}

#[tokio::test]
async fn shutdown_lets_requests_in_flight_finish_and_takes_no_new_ones() {
    let server = Server::start().await;
    let address = server.address;
    let (answer, ()) = tokio::join!(server.get("/v1/short", &[]), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        server.shutdown.cancel();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(tokio::net::TcpStream::connect(address).await.is_err(), "still accepting");
    });
    assert_eq!(answer.status, 200, "the request in flight was answered");
    tokio::time::timeout(Duration::from_secs(2), server.stopped()).await.expect("serve returns once drained");
}

#[tokio::test]
async fn who_was_let_in_before_the_shutdown_is_answered_though_nothing_was_asked_yet() {
    let server = Server::start().await;
    // Some are accepted by the time the server stops, the last ones stand in the listen queue.
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(server.connect().await);
    }
    server.shutdown.cancel();
    for mut client in clients {
        client.write_all(b"GET /v1/hello HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
    }
    tokio::time::timeout(Duration::from_secs(20), server.stopped()).await.expect("serve returns once drained");
}

#[tokio::test]
async fn shutdown_does_not_wait_longer_than_the_grace_period() {
    let server = Server::start().await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /v1/endless HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 20]).await.unwrap();
    server.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(3), server.stopped()).await.expect("the grace period is one second");
}

#[tokio::test]
async fn metrics_name_route_templates_and_never_paths() {
    let server = Server::start().await;
    server.request("POST", "/v1/cases/a-secret-id/evidence", &[], b"x").await;
    server.get("/v1/another-secret", &[]).await;
    let text = server.get("/metrics", &[]).await.body;
    assert!(text.contains("http_server_request_duration_seconds_bucket{"), "{text}");
    assert!(text.contains("route=\"/v1/cases/{id}/evidence\"") && text.contains("route=\"unmatched\""), "{text}");
    assert!(!text.contains("secret"), "{text}");
    for name in ["process_resident_memory_bytes", "docket_build_info", "http_server_connections", "tokio_alive_tasks"] {
        assert!(text.contains(&format!("# TYPE {name}")), "{name} is missing in {text}");
    }
}
