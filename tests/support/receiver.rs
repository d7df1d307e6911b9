//! A webhook receiver that keeps its own log and can be told to behave badly.
#![allow(dead_code, reason = "not every test binary misbehaves in every way")]

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How it answers.
#[derive(Debug, Clone)]
pub enum Manner {
    /// With this status, these header lines and this body.
    Says(u16, &'static str, &'static str),
    /// Never.
    Hangs,
    /// 204, after this time.
    Takes(Duration),
    /// 200 at once, then one byte a second.
    Drips,
    /// 200 and a gigabyte.
    Floods,
    /// 200 and chunks without end.
    Pours,
    /// A head whose lines have no end.
    PoursHeaders,
    /// The head itself at one byte a second.
    Crawls,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: BTreeMap<String, String>,
    pub body: String,
    pub at: time::OffsetDateTime,
}

impl Received {
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// The receiver; gone with the last clone of its log when the test ends.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<Received>>>,
    manner: Arc<Mutex<Manner>>,
    /// Cases whose events are answered in a way of their own.
    poison: Arc<Mutex<Vec<(String, Manner)>>>,
    connections: Arc<Mutex<u32>>,
    /// Connections that are flooded at this moment, and the bytes that these and earlier ones took.
    floods: Arc<Mutex<(u32, u64)>>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0").await
    }

    pub async fn start_on(address: &str) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            log: Arc::default(),
            manner: Arc::new(Mutex::new(Manner::Says(204, "", ""))),
            poison: Arc::default(),
            connections: Arc::default(),
            floods: Arc::default(),
        };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *serving.connections.lock() += 1;
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        receiver
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub fn behave(&self, manner: Manner) {
        *self.manner.lock() = manner;
    }

    /// Answers 500 to the events of this case.
    pub fn poison(&self, case: &str) {
        self.poison_with(case, Manner::Says(500, "", "poison"));
    }

    /// Answers the events of this case in this way, whatever the others get.
    pub fn poison_with(&self, case: &str, manner: Manner) {
        self.poison.lock().push((case.to_owned(), manner));
    }

    pub fn cure(&self) {
        self.poison.lock().clear();
    }

    pub fn received(&self) -> Vec<Received> {
        self.log.lock().clone()
    }

    /// How many requests arrived.
    pub fn count(&self) -> usize {
        self.log.lock().len()
    }

    pub fn connections(&self) -> u32 {
        *self.connections.lock()
    }

    /// Connections that are flooded at this moment, and the bytes that these and earlier ones took, those included that no
    /// program read.
    pub fn floods(&self) -> (u32, u64) {
        *self.floods.lock()
    }

    /// Sends `start`, and `block` so many times, or until the other side closes.
    async fn pour(&self, stream: &mut TcpStream, start: &[u8], block: &[u8], times: u64) -> io::Result<()> {
        self.floods.lock().0 += 1;
        let mut sent = stream.write_all(start).await;
        let mut blocks = 0;
        while sent.is_ok() && blocks < times {
            let mut rest = block;
            while !rest.is_empty() && sent.is_ok() {
                sent = stream.write(rest).await.map(|count| {
                    rest = &rest[count..];
                    self.floods.lock().1 += count as u64;
                });
            }
            blocks += 1;
        }
        self.floods.lock().0 -= 1;
        sent
    }

    /// Waits for so many requests.
    pub async fn wait_for(&self, number: usize) -> Vec<Received> {
        for _ in 0..1_500 {
            if self.log.lock().len() >= number {
                return self.received();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {number} requests within fifteen seconds", self.log.lock().len());
    }

    async fn serve(self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut buffer = Vec::new();
        loop {
            let Some(request) = read_request(&mut stream, &mut buffer).await else { return };
            let manner = {
                let poison = self.poison.lock();
                let own = poison.iter().find(|(case, _)| request.body.contains(case.as_str()));
                own.map_or_else(|| self.manner.lock().clone(), |(_, manner)| manner.clone())
            };
            self.log.lock().push(request);
            let sent = match manner {
                Manner::Says(status, headers, body) => {
                    let length = body.len();
                    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
                    stream.write_all(head.as_bytes()).await
                }
                Manner::Hangs => std::future::pending().await,
                Manner::Takes(time) => {
                    tokio::time::sleep(time).await;
                    stream.write_all(b"HTTP/1.1 204 X\r\ncontent-length: 0\r\n\r\n").await
                }
                Manner::Drips | Manner::Crawls => {
                    let head: &[u8] = b"HTTP/1.1 200 X\r\ncontent-length: 1000\r\n\r\n";
                    if matches!(manner, Manner::Drips) && stream.write_all(head).await.is_err() {
                        return;
                    }
                    for byte in head.iter().cycle() {
                        if stream.write_all(&[*byte]).await.is_err() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                    Ok(())
                }
                Manner::Floods => {
                    let head = b"HTTP/1.1 200 X\r\ncontent-length: 1073741824\r\n\r\n";
                    self.pour(&mut stream, head, &vec![b'x'; 1 << 20], 1_024).await
                }
                Manner::Pours => {
                    let head = b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n";
                    let chunk = [b"2000\r\n".as_slice(), &[b'x'; 0x2000], b"\r\n"].concat();
                    self.pour(&mut stream, head, &chunk, u64::MAX).await
                }
                Manner::PoursHeaders => {
                    let line = [b"x-more: ".as_slice(), &[b'x'; 1_000], b"\r\n"].concat();
                    self.pour(&mut stream, b"HTTP/1.1 200 X\r\n", &line, u64::MAX).await
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Received> {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        if let Some(end) = buffer.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
            let headers: BTreeMap<String, String> =
                lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
            let length: usize = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                let body = String::from_utf8_lossy(&buffer[end + 4..end + 4 + length]).into_owned();
                buffer.drain(..end + 4 + length);
                return Some(Received { headers, body, at: time::OffsetDateTime::now_utc() });
            }
        }
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        buffer.extend_from_slice(&chunk[..read]);
    }
}
