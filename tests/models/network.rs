//! A bad network between docket and a provider: every question ends in time, and nothing of it stays in the pool of connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use docket::adapters::http_client::models::{OpenAiModel, Timeouts};
use docket::application::ports::language_model::{ModelError, StopReason};
use futures::future::join_all;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::model_server::{ModelServer, stream};
use crate::world::{PATIENT, Read, ask, openai};

const TEXT: &str = r#"{"choices":[{"delta":{"content":"Ten"}}]}"#;
const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
/// Questions at once.
const CLIENTS: usize = 4;
const FIRST_TOKEN: Duration = Duration::from_secs(2);
/// What counts as in time, on a machine that does other things as well.
const IN_TIME: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq)]
enum Weather {
    Fine,
    /// Every chunk late.
    Late(Duration),
    /// The connection ends in the middle of the first chunk of an answer.
    Cut,
    /// Every connection ends at once.
    Closed,
    /// Whatever is sent never arrives, also not later: nobody says so.
    Swallows,
}

/// A network with its weather; `lost` counts the connections that hang because of it.
#[derive(Clone)]
struct Network {
    address: SocketAddr,
    weather: Arc<Mutex<Weather>>,
    /// Connections made before the last time that idle ones were forgotten hang.
    forgotten: Arc<AtomicUsize>,
    made: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    lost: Arc<AtomicUsize>,
}

impl Network {
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Self {
            address: listener.local_addr().unwrap(),
            weather: Arc::new(Mutex::new(Weather::Fine)),
            forgotten: Arc::default(),
            made: Arc::default(),
            open: Arc::default(),
            lost: Arc::default(),
        };
        let serving = network.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *serving.weather.lock() != Weather::Closed {
                    let number = serving.made.fetch_add(1, Ordering::SeqCst);
                    serving.open.fetch_add(1, Ordering::SeqCst);
                    let network = serving.clone();
                    tokio::spawn(async move {
                        network.carry(number, client, server).await;
                        network.open.fetch_sub(1, Ordering::SeqCst);
                    });
                }
            }
        });
        network
    }

    fn becomes(&self, weather: Weather) {
        *self.weather.lock() = weather;
    }

    /// What a firewall does to connections that are idle: the next byte finds nobody. How many there were.
    fn forgets(&self) -> usize {
        self.forgotten.store(self.made.load(Ordering::SeqCst), Ordering::SeqCst);
        self.open.load(Ordering::SeqCst)
    }

    fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }

    async fn carry(&self, number: usize, mut client: TcpStream, server: SocketAddr) {
        let mut server = TcpStream::connect(server).await.unwrap();
        let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
        loop {
            let (sent, answer) = tokio::select! {
                sent = client.read(&mut up) => (sent, false),
                sent = server.read(&mut down) => (sent, true),
            };
            let Ok(length @ 1..) = sent else { return };
            let weather = *self.weather.lock();
            if weather == Weather::Closed {
                return;
            }
            if weather == Weather::Swallows || number < self.forgotten.load(Ordering::SeqCst) {
                self.lost.fetch_add(1, Ordering::SeqCst);
                while client.read(&mut up).await.is_ok_and(|length| length > 0) {}
                self.lost.fetch_sub(1, Ordering::SeqCst);
                return;
            }
            if let Weather::Late(time) = weather {
                tokio::time::sleep(time).await;
            }
            let cut = answer && weather == Weather::Cut;
            let (to, bytes) = if answer { (&mut client, &down[..length]) } else { (&mut server, &up[..length]) };
            let bytes = if cut { &bytes[..length / 2] } else { bytes };
            if to.write_all(bytes).await.is_err() || cut {
                return;
            }
        }
    }
}

/// Asks at the same time; each ends in time, whatever comes of it.
async fn questions(model: &OpenAiModel) -> Vec<Read> {
    let asked = join_all((0..CLIENTS).map(|_| async {
        let began = Instant::now();
        let read = ask(model).await;
        assert!(began.elapsed() < IN_TIME, "{read:?} after {:?}", began.elapsed());
        read
    }));
    asked.await
}

/// Asks until as many in a row are answered as would meet every connection of the pool several times; how many failed before.
async fn recovers(model: &OpenAiModel) -> usize {
    let (mut failed, mut in_a_row) = (0, 0);
    while in_a_row < 5 * CLIENTS {
        for read in questions(model).await {
            if read.end == Ok(StopReason::Complete) && read.text == "TenTen" {
                in_a_row += 1;
            } else {
                (failed, in_a_row) = (failed + 1, 0);
            }
        }
        assert!(failed <= 4 * CLIENTS, "{failed} questions failed on a network that is fine");
    }
    failed
}

#[tokio::test]
async fn a_bad_network_to_a_provider_costs_the_questions_of_its_time_and_no_other() {
    let server = ModelServer::playing(stream(&[TEXT, TEXT, STOP, "[DONE]"])).await;
    let network = Network::before(server.address).await;
    let model = openai(
        &server.reached_at(network.address),
        Timeouts { first_token: FIRST_TOKEN, idle: FIRST_TOKEN, ..PATIENT },
    );
    recovers(&model).await;

    network.becomes(Weather::Late(Duration::from_millis(20)));
    recovers(&model).await;

    network.becomes(Weather::Cut);
    for read in questions(&model).await {
        assert!(matches!(read.end, Err(ModelError::Unavailable(_) | ModelError::Malformed(_))), "{read:?}");
    }
    network.becomes(Weather::Closed);
    for read in questions(&model).await {
        assert!(matches!(read.end, Err(ModelError::Unavailable(_))), "{read:?}");
    }
    network.becomes(Weather::Fine);
    recovers(&model).await;

    // Nobody says that nothing arrives: only the clock does.
    network.becomes(Weather::Swallows);
    for read in questions(&model).await {
        assert_eq!(read.end, Err(ModelError::TimedOut("no first token")));
    }
    network.becomes(Weather::Fine);
    recovers(&model).await;

    // Idle connections die unnoticed; each may cost one question, and none a second.
    let idle = network.forgets();
    let failed = recovers(&model).await;
    assert!((1..=idle).contains(&failed), "{failed} questions were lost to {idle} connections");
    let began = Instant::now();
    while network.lost() > 0 {
        assert!(began.elapsed() < IN_TIME, "{} connections that hang are still held", network.lost());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let made = network.made.load(Ordering::SeqCst);
    recovers(&model).await;
    let more = network.made.load(Ordering::SeqCst) - made;
    assert!(more <= 5 * CLIENTS / 2, "{more} new connections for {} questions: none is used again", 5 * CLIENTS);
}
