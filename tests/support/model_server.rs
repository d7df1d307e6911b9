//! A stand-in for a model provider: a raw TCP server that plays scripts, so that it can break every rule of HTTP and of events.
#![allow(dead_code, reason = "not every test binary plays every script")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One step of a script.
#[derive(Debug, Clone)]
pub enum Act {
    /// These bytes, at once.
    Send(Vec<u8>),
    /// These bytes, one at a time.
    Drip(Vec<u8>),
    /// A pause.
    Pause(Duration),
    /// The connection ends here.
    Cut,
    /// Nothing more until the client goes.
    Hang,
}

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

type Chooser = dyn Fn(usize, &Asked) -> Vec<Act> + Send + Sync;

/// The server; it lives as long as the runtime of the test.
#[derive(Clone)]
pub struct ModelServer {
    pub address: SocketAddr,
    script: Arc<Chooser>,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<Mutex<u32>>,
    left: Arc<Mutex<u32>>,
}

impl ModelServer {
    /// A server that plays the same script for every request.
    pub async fn playing(script: Vec<Act>) -> Self {
        Self::choosing(move |_| script.clone()).await
    }

    /// A server that chooses the script by the number of the request, from 0.
    pub async fn choosing(script: impl Fn(usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::hearing(move |number, _| script(number)).await
    }

    /// A server that chooses the script by the number of the request, from 0, and by what it says.
    pub async fn hearing(script: impl Fn(usize, &Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            script: Arc::new(script),
            asked: Arc::default(),
            connections: Arc::default(),
            left: Arc::default(),
        };
        let serving = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *serving.connections.lock() += 1;
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        server
    }

    /// The same server, reached at another address.
    pub fn reached_at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    pub fn connections(&self) -> u32 {
        *self.connections.lock()
    }

    /// Clients that went away in the middle of a script.
    pub fn left(&self) -> u32 {
        *self.left.lock()
    }

    /// Waits until so many clients have gone away in the middle of a script.
    pub async fn wait_for_left(&self, number: u32) {
        for _ in 0..3_000 {
            if self.left() >= number {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} of {number} clients went away within thirty seconds", self.left());
    }

    async fn serve(self, mut stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut buffer = Vec::new();
        while let Some(asked) = read_request(&mut stream, &mut buffer).await {
            let number = {
                let mut log = self.asked.lock();
                log.push(asked.clone());
                log.len() - 1
            };
            for act in (self.script)(number, &asked) {
                let goes_on = match act {
                    Act::Send(bytes) => stream.write_all(&bytes).await.is_ok(),
                    Act::Drip(bytes) => drip(&mut stream, &bytes).await,
                    Act::Pause(time) => stays(&mut stream, &mut buffer, time).await,
                    Act::Hang => stays(&mut stream, &mut buffer, Duration::from_mins(10)).await,
                    Act::Cut => return,
                };
                if !goes_on {
                    *self.left.lock() += 1;
                    return;
                }
            }
        }
    }
}

async fn drip(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    for byte in bytes {
        if stream.write_all(&[*byte]).await.is_err() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

/// Waits; false when the client goes away meanwhile.
async fn stays(stream: &mut TcpStream, buffer: &mut Vec<u8>, time: Duration) -> bool {
    let mut more = [0; 1_024];
    let leaving = async {
        loop {
            match stream.read(&mut more).await {
                Ok(0) | Err(_) => return,
                Ok(read) => buffer.extend_from_slice(&more[..read]),
            }
        }
    };
    tokio::time::timeout(time, leaving).await.is_err()
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        if let Some(end) = buffer.windows(4).position(|part| part == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
            let headers: BTreeMap<String, String> =
                lines.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
            let length: usize = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                let body = serde_json::from_slice(&buffer[end + 4..end + 4 + length]).unwrap_or(Value::Null);
                buffer.drain(..end + 4 + length);
                return Some(Asked { path, headers, body });
            }
        }
        let read = stream.read(&mut chunk).await.ok().filter(|read| *read > 0)?;
        buffer.extend_from_slice(&chunk[..read]);
    }
}

/// The head of a stream of events whose body comes in chunks.
pub fn head() -> Act {
    Act::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    )
}

/// A piece of the body.
pub fn piece(bytes: impl AsRef<[u8]>) -> Act {
    Act::Send(framed(bytes.as_ref()))
}

/// Every byte of the body in a chunk of its own.
pub fn crumbs(bytes: impl AsRef<[u8]>) -> Act {
    Act::Drip(bytes.as_ref().iter().flat_map(|byte| framed(&[*byte])).collect())
}

/// The proper end of the body.
pub fn end() -> Act {
    Act::Send(b"0\r\n\r\n".to_vec())
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// An answer that is no stream.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    vec![Act::Send(
        format!(
            "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\ncontent-type: application/json\r\n{headers}\r\n{body}"
        )
        .into_bytes(),
    )]
}

/// A whole stream, one piece an event, with its proper end.
pub fn stream(events: &[&str]) -> Vec<Act> {
    let pieces = events.iter().map(|data| piece(format!("data: {data}\n\n")));
    [head()].into_iter().chain(pieces).chain([end()]).collect()
}
