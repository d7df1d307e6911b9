//! A server on a free port with a tiny router inside the real wrapper, and a client that hides nothing.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Router};
use docket::adapters::system::SystemClock;
use docket::entrypoints::http::health::HealthBoard;
use docket::entrypoints::http::middleware::{RequestContext, Shell, ShellSettings, wrap};
use docket::entrypoints::http::problem::{Problem, ProblemKind};
use docket::entrypoints::http::server::{ServerSettings, serve};
use docket::entrypoints::http::{metrics, problem_pages};
use docket::telemetry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The example of the W3C specification.
pub const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// Requests at once in these tests.
pub const MAX_IN_FLIGHT: usize = 4;

/// Connections at once in these tests.
pub const MAX_CONNECTIONS: usize = 64;

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    task: JoinHandle<io::Result<()>>,
}

fn router(shutdown: &CancellationToken) -> Router {
    let health = HealthBoard::new(Vec::new(), shutdown.clone());
    let slow = async |milliseconds| tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    let length = async |body: Bytes| body.len().to_string();
    Router::new()
        .route("/v1/hello", get(async |Extension(context): Extension<RequestContext>| context.traceparent.unwrap()))
        .route("/v1/echo", post(length))
        .route("/v1/cases/{id}/evidence", post(length))
        .route("/v1/slow", get(move || slow(60_000)))
        .route("/v1/short", get(move || slow(300)))
        .route("/v1/panic", get(panicking))
        .route("/v1/problem", get(async || Problem::new(ProblemKind::Conflict, "No.").into_response()))
        .route("/v1/stream", get(async || Body::from_stream(two_chunks())))
        .route("/v1/endless", get(async || Body::from_stream(futures::stream::pending::<io::Result<Bytes>>())))
        .route("/v1/flood", get(async || Body::from_stream(flood())))
        .route("/v1/ticks", get(async || Body::from_stream(ticks())))
        .merge(health.routes())
        .merge(metrics::routes())
        .merge(problem_pages::routes())
}

async fn panicking() -> &'static str {
    panic!("on purpose")
}

fn two_chunks() -> impl futures::Stream<Item = io::Result<Bytes>> {
    futures::stream::unfold(0, async |at| {
        let word = *["first", "second"].get(at)?;
        tokio::time::sleep(Duration::from_millis(2)).await;
        Some((Ok(Bytes::from_static(word.as_bytes())), at + 1))
    })
}

/// Data without end, as fast as they are taken.
fn flood() -> impl futures::Stream<Item = io::Result<Bytes>> {
    futures::stream::repeat_with(|| Ok(Bytes::from(vec![b'x'; 64 * 1024])))
}

/// A sign of life now and then, without end.
fn ticks() -> impl futures::Stream<Item = io::Result<Bytes>> {
    futures::stream::unfold((), async |()| {
        tokio::time::sleep(Duration::from_millis(400)).await;
        Some((Ok(Bytes::from_static(b"tick")), ()))
    })
}

impl Server {
    pub async fn start() -> Self {
        telemetry::metrics::install().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let shell = ShellSettings {
            public_url: format!("http://{address}"),
            request_timeout: Duration::from_millis(700),
            upload_timeout: Duration::from_secs(2),
            answer_timeout: Duration::from_secs(2),
            max_in_flight: MAX_IN_FLIGHT,
            max_body_bytes: 4_000,
            max_upload_bytes: 50_000,
            trusted_proxies: Vec::new(),
        };
        let server = ServerSettings {
            max_connections: MAX_CONNECTIONS,
            head_timeout: Duration::from_millis(500),
            keep_alive_timeout: Duration::from_millis(1_500),
            write_timeout: Duration::from_secs(1),
            shutdown_grace: Duration::from_secs(1),
        };
        let router = wrap(router(&shutdown), Shell::new(shell, Arc::new(SystemClock::new())));
        let task = tokio::spawn(serve(listener, router, server, shutdown.clone()));
        Self { address, shutdown, task }
    }

    pub async fn stopped(self) {
        self.task.await.unwrap().unwrap();
    }

    pub async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// So many connections on which this was asked and the beginning of the answer was read; they stay open.
    pub async fn guests(&self, count: usize, path: &str) -> Vec<TcpStream> {
        let mut guests = Vec::new();
        for _ in 0..count {
            let mut guest = self.connect().await;
            guest.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
            guest.read_exact(&mut [0; 20]).await.unwrap();
            guests.push(guest);
        }
        guests
    }

    /// Sends these bytes and reads until the server closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may refuse before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        if !body.is_empty() {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        Answer::parse(&self.raw(&[head.as_bytes(), b"\r\n", body].concat()).await)
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request("GET", path, headers, b"").await
    }
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).unwrap();
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Self { status, headers: lines.filter_map(header).collect(), body: body.to_owned() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|header| header.0 == name).map_or("", |header| header.1.as_str())
    }

    #[track_caller]
    pub fn assert_problem(&self, status: u16, slug: &str) {
        assert_eq!((self.status, self.header("content-type")), (status, "application/problem+json"), "{self:?}");
        let members: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        assert!(members["type"].as_str().unwrap().ends_with(&format!("/problems/{slug}")), "{members}");
        assert_eq!(members["status"], status);
        assert!(members["instance"].as_str().unwrap().ends_with(self.header("x-request-id")), "{members}");
    }
}

/// `1 + 258 * repeats` zero bytes as gzip, a twentieth of a bit each: one literal, then repetitions of it by the fixed
/// Huffman code (RFC 1951, section 3.2.6), written by hand because no encoder is a dependency.
pub fn gzip_bomb(repeats: usize) -> Vec<u8> {
    let mut bits = String::from("110") + "00110000";
    (0..repeats).for_each(|_| bits.push_str("1100010100000"));
    bits.push_str("0000000");
    let byte = |bits: &[u8]| bits.iter().rev().fold(0, |byte, bit| (byte << 1) | (bit - b'0'));
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gzip.extend(bits.as_bytes().chunks(8).map(byte));
    let size = 1 + 258 * repeats;
    let round = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    let crc = (0..size * 8).fold(u32::MAX, round);
    gzip.extend_from_slice(&(!crc).to_le_bytes());
    gzip.extend_from_slice(&u32::try_from(size).unwrap().to_le_bytes());
    gzip
}
