//! Clients invent paths, ids, methods and words without end; what is measured of them stays bounded.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::exposition::samples;
use crate::process::Service;

/// Requests that differ from each other in what clients choose.
const REQUESTS: usize = 10_000;
/// Requests on one connection, sent before the first answer is read.
const PIPELINE: usize = 100;
/// Series that may appear meanwhile: those of jobs and other work of the service's own.
const OWN: usize = 40;
/// Stands in everything that the clients choose, and so may not stand in a label.
const MARK: &str = "beefbeef";

/// The request of that number: each shape has its own place for what a client may choose.
fn request(number: usize, key: &str) -> String {
    let word = format!("{MARK}{number}");
    let id = format!("{MARK}-0000-7000-8000-{number:012x}");
    let (method, path, body) = match number % 12 {
        0 => ("GET", format!("/{word}"), None),
        1 => ("GET", format!("/v1/{word}/{id}"), None),
        2 => ("GET", format!("/v1/cases/{id}"), None),
        3 => ("DELETE", format!("/v1/cases/{word}"), None),
        4 => ("POST", format!("/v1/cases/{id}/transitions"), Some(r#"{"command": "submit"}"#.to_owned())),
        5 => ("GET", format!("/v1/cases?q={word}&state={word}"), None),
        6 => ("GET", format!("/v1/documents/{id}/passages"), None),
        7 => ("POST", "/v1/jobs".to_owned(), Some(format!(r#"{{"kind": "{word}"}}"#))),
        8 => ("GET", format!("/problems/{word}"), None),
        9 => ("POST", "/v1/webhooks".to_owned(), Some(format!(r#"{{"name": "{word}", "url": "http://{word}"}}"#))),
        10 => ("GET", format!("/v1/events?after={word}&type={word}"), None),
        _ => ("", format!("/v1/cases/{id}"), None),
    };
    let method = if method.is_empty() { word.to_uppercase() } else { method.to_owned() };
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {word}\r\nAuthorization: Bearer {key}\r\n");
    write!(text, "User-Agent: {word}\r\nX-Request-Id: {word}\r\nIdempotency-Key: {word}\r\nIf-Match: \"v1\"\r\n")
        .unwrap();
    if let Some(body) = &body {
        write!(text, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()).unwrap();
    }
    text + "\r\n" + &body.unwrap_or_default()
}

/// Sends the requests of these numbers over one connection and reads all answers; their statuses.
async fn send(address: String, key: String, numbers: Vec<usize>) -> Vec<u16> {
    let mut text: String = numbers.iter().map(|number| request(*number, &key)).collect();
    write!(text, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
    let writer = tokio::spawn(async move { writing.write_all(text.as_bytes()).await.map(|()| writing) });
    let mut answers = Vec::new();
    reading.read_to_end(&mut answers).await.unwrap();
    writer.await.unwrap().unwrap();
    let answers = String::from_utf8_lossy(&answers);
    let statuses =
        answers.match_indices("HTTP/1.1 ").filter_map(|(place, _)| answers[place + 9..].get(..3)?.parse().ok());
    statuses.collect()
}

/// Sends the requests of these numbers over several connections; the statuses of all answers.
async fn send_all(service: &Service, key: &str, numbers: std::ops::Range<usize>) -> Vec<u16> {
    let address = service.url.trim_start_matches("http://").to_owned();
    let (mut tasks, mut statuses) = (JoinSet::new(), Vec::new());
    for part in numbers.collect::<Vec<_>>().chunks(PIPELINE) {
        tasks.spawn(send(address.clone(), key.to_owned(), part.to_vec()));
        if tasks.len() == 8 {
            statuses.extend(tasks.join_next().await.unwrap().unwrap());
        }
    }
    while let Some(done) = tasks.join_next().await {
        statuses.extend(done.unwrap());
    }
    statuses
}

/// The series at /metrics; the samples of a histogram are one.
async fn series(service: &Service) -> BTreeSet<String> {
    let page = reqwest::get(format!("{}/metrics", service.url)).await.unwrap().text().await.unwrap();
    let lower = page.to_lowercase();
    if let Some(place) = lower.find(MARK) {
        panic!("a client's word stands at /metrics: {}", &lower[place.saturating_sub(200)..place + 40]);
    }
    let one = |mut sample: crate::exposition::Sample| {
        sample.labels.remove("le");
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| sample.name.strip_suffix(suffix));
        format!("{} {:?}", name.unwrap_or(&sample.name), sample.labels)
    };
    samples(&page).into_iter().map(one).collect()
}

#[tokio::test]
async fn ten_thousand_hostile_requests_add_no_series_of_their_own() {
    let data = tempfile::tempdir().unwrap();
    let settings = [
        ("DOCKET_LIMITS__PRINCIPAL_REQUESTS_PER_SECOND", "1000000"),
        ("DOCKET_LIMITS__PRINCIPAL_BURST", "1000000"),
        ("DOCKET_LIMITS__TENANT_REQUESTS_PER_SECOND", "1000000"),
        ("DOCKET_LIMITS__TENANT_BURST", "1000000"),
        ("DOCKET_EMBEDDING__WARM_UP", "false"),
    ];
    let mut service = Service::start(data.path(), &settings).await;
    let key = service.seed_key(&["supervisor", "admin"]).await;
    // Each shape of request has been seen before the count begins.
    send_all(&service, &key, 0..2 * PIPELINE).await;
    let before = series(&service).await;
    let statuses = send_all(&service, &key, 2 * PIPELINE..2 * PIPELINE + REQUESTS).await;
    assert_eq!(statuses.len(), REQUESTS + REQUESTS / PIPELINE, "each request was answered");
    let refused = statuses.iter().filter(|status| (400..500).contains(*status)).count();
    assert!(refused > REQUESTS / 2, "{refused} refused");
    let after = series(&service).await;
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.len() <= OWN, "{} series before, {} new ones: {:?}", before.len(), new.len(), &new[..OWN]);
    println!("{REQUESTS} hostile requests: {} series before, {} after", before.len(), after.len());
    assert_eq!(service.interrupt(), Some(0));
}
