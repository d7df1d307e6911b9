//! S6: abuse below and at the level of HTTP. The answer is a documented 4xx or a closed connection, memory stays bounded,
//! and a client that behaves is still served.

use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::client::{Client, Request};
use crate::support::report::{Findings, bounded, turn};
use crate::support::service::Service;
use crate::support::settings::number;
use crate::support::stage::Stage;

/// Connections that the service takes at once in this battery.
const CAP: usize = 200;
/// Connections that say nothing, held open for the length of the battery; the rest is for attacks and the good client.
const IDLE: usize = 120;
/// Memory that abuse may cost, in kibibytes.
const MEMORY_KIB: u64 = 100 * 1024;

/// One attack: what is sent, in parts with pauses between, and the statuses that may answer it (closing always may).
#[derive(Clone)]
struct Attack {
    name: &'static str,
    parts: Vec<Vec<u8>>,
    pause: Duration,
    allowed: &'static [u16],
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abuse_of_http_is_refused_and_costs_others_little() {
    let _turn = turn().await;
    let rounds = number("DOCKET_CRASH_ROUNDS", 3);
    let findings = Findings::default();
    let stage = Stage::start(1).await;
    let cap = CAP.to_string();
    let settings = [
        ("DOCKET_SERVER__HEADER_READ_TIMEOUT_MS", "1000"),
        ("DOCKET_SERVER__REQUEST_TIMEOUT_MS", "2000"),
        ("DOCKET_SERVER__MAX_CONNECTIONS", cap.as_str()),
        // Some attacks carry no key, all come from one address: what S7 wants, that it is refused for a minute, would end this.
        ("DOCKET_LIMITS__FAILED_LOGINS_PER_MINUTE", "10000"),
    ];
    let mut service = Service::start_with(&stage, &settings).await;
    let client = Client::new(&service.url, &findings);
    let key = stage.tenants[0].keys[&Role::Caseworker].clone();
    let calm = latencies(&client, &key, Instant::now() + Duration::from_secs(2)).await;
    let memory = service.resident_kib();
    let (mut sent, mut peak) = (0, memory);
    let storm = Instant::now();
    let good = tokio::spawn({
        let (client, key) = (client.clone(), key.clone());
        let until = storm + Duration::from_secs(4 * rounds);
        async move { latencies(&client, &key, until).await }
    });
    for _ in 0..rounds {
        let idle = hold_idle(service.port).await;
        let mut tasks = JoinSet::new();
        for attack in attacks(&key) {
            for _ in 0..3 {
                let (port, attack) = (service.port, attack.clone());
                tasks.spawn(async move { (attack.name, attack.allowed, Box::pin(carry_out(port, &attack)).await) });
            }
        }
        while let Some(done) = tasks.join_next().await {
            let (name, allowed, statuses) = done.unwrap();
            sent += 1;
            peak = peak.max(service.resident_kib());
            match statuses {
                Ok(statuses) => findings.expect(statuses.iter().all(|status| allowed.contains(status)), || {
                    format!("{name} was answered {statuses:?}, allowed is {allowed:?} or closing")
                }),
                Err(()) => findings.add(format!("{name} was neither answered nor closed in time")),
            }
        }
        drop(idle);
    }
    let stormy = good.await.unwrap();
    findings.expect(service.is_alive(), || "the service died of abuse".to_owned());
    findings.expect(peak < memory + MEMORY_KIB, || format!("memory grew from {memory} KiB to {peak} KiB"));
    println!(
        "S6: {}; memory {} MiB before, {} MiB at most (bound +100 MiB); a good client: p99 {:.0?} of {} before, {:.0?} of {} \
         during (goal <= 2x)",
        bounded(findings.count(), "wrong answers", sent),
        memory / 1024,
        peak / 1024,
        p99(&calm),
        calm.len(),
        p99(&stormy),
        stormy.len(),
    );
    findings.assert_none();
}

/// What a client that behaves waits for its answers.
async fn latencies(client: &Client, key: &str, until: Instant) -> Vec<Duration> {
    let request = Request {
        method: Method::GET,
        path: "/v1/cases?limit=1".to_owned(),
        api_key: key.to_owned(),
        key: None,
        if_match: None,
        body: None,
    };
    let mut times = Vec::new();
    while Instant::now() < until {
        let started = Instant::now();
        let answer = client.send(&request).await;
        times.push(started.elapsed());
        client.findings.expect(answer.as_ref().is_some_and(|answer| answer.status == 200), || {
            format!("a good client was answered {answer:?}")
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort_unstable();
    times
}

fn p99(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() * 99 / 100).copied().unwrap_or_default()
}

async fn hold_idle(port: u16) -> Vec<TcpStream> {
    let mut idle = Vec::new();
    for _ in 0..IDLE {
        idle.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
    }
    idle
}

/// Sends the attack and reads until the service closes; the statuses it answered with, or an error when it hangs.
async fn carry_out(port: u16, attack: &Attack) -> Result<Vec<u16>, ()> {
    let exchange = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (mut reader, mut writer) = stream.into_split();
        let sending = async {
            for part in &attack.parts {
                if writer.write_all(part).await.is_err() {
                    return;
                }
                tokio::time::sleep(attack.pause).await;
            }
            // Says nothing more and keeps the connection: closing is the service's business.
            std::future::pending::<()>().await;
        };
        let mut answer = Vec::new();
        let reading = async {
            let mut buffer = vec![0; 16 * 1024];
            let mut patience = Duration::from_mins(1);
            while let Ok(Ok(read @ 1..)) = tokio::time::timeout(patience, reader.read(&mut buffer)).await {
                answer.extend_from_slice(&buffer[..read]);
                // A refusal that keeps the connection is fine, too; a second answer after it would still be read.
                if statuses(&String::from_utf8_lossy(&answer)).iter().any(|status| (400..500).contains(status)) {
                    patience = Duration::from_millis(300);
                }
            }
        };
        tokio::select! { () = sending => {}, () = reading => {} }
        statuses(&String::from_utf8_lossy(&answer))
    };
    tokio::time::timeout(Duration::from_secs(20), exchange).await.map_err(|_| ())
}

fn statuses(text: &str) -> Vec<u16> {
    text.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok()).collect()
}

fn attacks(key: &str) -> Vec<Attack> {
    let head = |extra: &str| {
        format!(
            "POST /v1/cases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
             Idempotency-Key: abuse\r\n{extra}\r\n"
        )
        .into_bytes()
    };
    let at_once = |name, parts: Vec<Vec<u8>>, allowed| Attack { name, parts, pause: Duration::ZERO, allowed };
    let slow = |name, first: Vec<u8>, drop: &[u8], allowed| {
        let parts = std::iter::once(first).chain(std::iter::repeat_n(drop.to_vec(), 60)).collect();
        Attack { name, parts, pause: Duration::from_millis(150), allowed }
    };
    let get = |extra: &str| format!("GET /v1/cases HTTP/1.1\r\nHost: x\r\n{extra}\r\n").into_bytes();
    let bomb = gzip_bomb(20_000_000);
    let megabyte = [b"100000\r\n".to_vec(), vec![b' '; 0x10_0000], b"\r\n".to_vec()].concat();
    vec![
        at_once("a connection that never sends", Vec::new(), &[]),
        slow("a head in drops", b"GET /healthz HTTP/1.1\r\nHost: x\r\n".to_vec(), b"X-A: b\r\n", &[408]),
        slow("a body in drops", head("Content-Length: 5000\r\n"), b" ", &[408]),
        at_once("a head of 100,000 bytes", vec![get(&format!("X-Long: {}\r\n", "a".repeat(100_000)))], &[431]),
        at_once("a thousand headers", vec![get(&"X-A: b\r\n".repeat(1_000))], &[400, 431]),
        at_once(
            "a URI of 20,000 bytes",
            vec![format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(20_000)).into_bytes()],
            &[414],
        ),
        at_once(
            "an endless chunked body",
            vec![head("Transfer-Encoding: chunked\r\n"), megabyte.repeat(3)],
            &[400, 413],
        ),
        at_once(
            "a chunk of impossible size",
            vec![head("Transfer-Encoding: chunked\r\n"), b"FFFFFFFFFFFFFFFFF\r\n".to_vec()],
            &[400],
        ),
        at_once(
            "a gzip bomb",
            vec![head(&format!("Content-Encoding: gzip\r\nContent-Length: {}\r\n", bomb.len())), bomb],
            &[400, 413],
        ),
        at_once("an announced body of 4 GB", vec![head("Content-Length: 4294967296\r\n")], &[413]),
        at_once(
            // Taken as chunked, answered, and the connection closed (RFC 9112, section 6.3): what follows is never read.
            "length and chunks at once, and a hidden request",
            vec![
                head("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
                [b"0\r\n\r\n".to_vec(), b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()].concat(),
            ],
            &[400, 422],
        ),
        at_once("two lengths", vec![head("Content-Length: 4\r\nContent-Length: 5\r\n"), b"{}  ".to_vec()], &[400]),
        at_once(
            "a transfer coding that is not chunked",
            vec![head("Transfer-Encoding: chunked, identity\r\n")],
            &[400, 501],
        ),
        at_once(
            "garbage after a request",
            vec![get("Content-Length: 0\r\n"), b"\x00\xff\xfegarbage\r\n\r\n".to_vec()],
            &[400, 401],
        ),
        at_once("a header with a NUL", vec![get("X-A: a\x00b\r\n")], &[400]),
        at_once("a version of the future", vec![b"GET / HTTP/9.9\r\nHost: x\r\n\r\n".to_vec()], &[400]),
        at_once(
            "arrays nested 200,000 deep",
            vec![head("Content-Length: 200000\r\n"), vec![b'['; 200_000]],
            &[400, 422],
        ),
        at_once("a TLS greeting", vec![b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), vec![0; 600]], &[400]),
    ]
}

/// A gzip stream that unpacks to about `size` zeros, in a hundred-and-sixtieth of the bytes (RFC 1951, fixed Huffman codes).
fn gzip_bomb(size: usize) -> Vec<u8> {
    let mut bits: Vec<u8> = vec![1, 1, 0];
    let push = |bits: &mut Vec<u8>, code: u16, length: u16| {
        bits.extend((0..length).rev().map(|at| u8::from(code >> at & 1 == 1)));
    };
    push(&mut bits, 0b0011_0000, 8);
    for _ in 0..size / 258 {
        // Length 258 (code 285), distance 1 (code 0).
        push(&mut bits, 0b1100_0101, 8);
        push(&mut bits, 0, 5);
    }
    push(&mut bits, 0, 7);
    let mut bytes = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bytes.extend(bits.chunks(8).map(|chunk| chunk.iter().rev().fold(0, |byte, bit| byte << 1 | bit)));
    // The last byte of a partial chunk is shorter, which only shifts padding; the sums at the end are never reached.
    bytes.extend([0; 8]);
    bytes
}
