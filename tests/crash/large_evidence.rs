//! A file far larger than the memory it may cost streams into the service and out again.

use std::time::{Duration, Instant};

use docket_domain::principal::Role;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::client::{Client, Request};
use crate::support::commands::new_case;
use crate::support::report::{Findings, turn};
use crate::support::service::Service;
use crate::support::stage::Stage;

/// The size of the file in bytes: 200 MiB, four times what the configuration allows unless it is told otherwise.
const SIZE: usize = 200 * 1024 * 1024;
/// What the service is told to allow: the file and the form around it.
const LIMIT: &str = "210763776";
/// Memory that the upload, and then the download, may cost, in kibibytes: a sixth of the file.
const MEMORY_KIB: u64 = 32 * 1024;
const BOUNDARY: &str = "the-end-of-a-part";
/// How long the answer may take after the last byte was sent.
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_200_mib_streams_in_and_out_without_being_held_in_memory() {
    let _turn = turn().await;
    let findings = Findings::default();
    let stage = Stage::start(1).await;
    let settings = [
        ("DOCKET_SERVER__MAX_UPLOAD_BYTES", LIMIT),
        ("DOCKET_STORAGE__MAX_EVIDENCE_BYTES", LIMIT),
        ("DOCKET_SERVER__UPLOAD_TIMEOUT_MS", "600000"),
        // Loading it would cost more memory than is measured here.
        ("DOCKET_EMBEDDING__WARM_UP", "false"),
    ];
    let mut service = Service::start_with(&stage, &settings).await;
    service.wait_for("/readyz").await.unwrap();
    let client = Client::new(&service.url, &findings);
    let api_key = stage.tenants[0].keys[&Role::Reporter].clone();
    let case = client.create(&api_key, "large", new_case("large", "public")).await;
    let pattern = pattern();

    let (calm, began) = (service.forget_peak(), Instant::now());
    let answer = upload(service.port, &api_key, &case, &pattern).await;
    let (sending, took_in) = (service.peak_kib().saturating_sub(calm), began.elapsed());
    findings.expect(answer.starts_with("HTTP/1.1 201 "), || format!("the upload was answered {answer}"));

    let list = client.send(&Request::get(&api_key, &format!("/v1/cases/{case}/evidence"))).await.unwrap().json();
    findings.expect(list["items"][0]["size_bytes"] == SIZE, || format!("the evidence is listed as {list}"));
    let id = list["items"][0]["id"].as_str().unwrap_or_default();
    let (calm, began) = (service.forget_peak(), Instant::now());
    let url = format!("{}/v1/cases/{case}/evidence/{id}/content", service.url);
    let (received, same) = download(&url, &api_key, &pattern).await;
    let (receiving, took_out) = (service.peak_kib().saturating_sub(calm), began.elapsed());
    findings.expect(received == SIZE && same, || format!("{received} of {SIZE} bytes came back, the same: {same}"));

    println!(
        "200 MiB of evidence: in within {took_in:.1?} at {} MiB more memory, out within {took_out:.1?} at {} MiB more (bound {} MiB)",
        sending / 1024,
        receiving / 1024,
        MEMORY_KIB / 1024
    );
    for (what, cost) in [("upload", sending), ("download", receiving)] {
        findings.expect(cost <= MEMORY_KIB, || format!("the {what} cost {cost} KiB of memory, bound {MEMORY_KIB}"));
    }
    findings.assert_none();
}

/// A mebibyte of text; the file is this again and again.
fn pattern() -> Vec<u8> {
    let line = b"2026-11-22T05:00:00Z buoy 7 is dark; the keeper of the lights was told\n";
    line.iter().copied().cycle().take(1024 * 1024).collect()
}

/// Sends the file in a form, as fast as the service takes it; the beginning of the answer.
async fn upload(port: u16, api_key: &str, case: &str, chunk: &[u8]) -> String {
    let form = "Content-Disposition: form-data; name=\"file\"; filename=\"log.txt\"\r\nContent-Type: text/plain";
    let (before, after) = (format!("--{BOUNDARY}\r\n{form}\r\n\r\n"), format!("\r\n--{BOUNDARY}--\r\n"));
    let headers = format!(
        "POST /v1/cases/{case}/evidence HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {api_key}\r\n\
         Idempotency-Key: large-file\r\nIf-Match: \"v1\"\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
         Content-Length: {}\r\n\r\n",
        before.len() + SIZE + after.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // A refusal may close the connection before the end: what it says is read below.
    let mut going = stream.write_all([headers, before].concat().as_bytes()).await.is_ok();
    for _ in 0..SIZE / chunk.len() {
        going = going && stream.write_all(chunk).await.is_ok();
    }
    if going {
        let _ = stream.write_all(after.as_bytes()).await;
    }
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).chars().take(600).collect()
}

/// Reads the file as it comes; how many bytes that were, and whether they are those of the pattern.
async fn download(url: &str, api_key: &str, pattern: &[u8]) -> (usize, bool) {
    let response = reqwest::Client::new().get(url).bearer_auth(api_key).send().await.unwrap();
    let mut same = response.status() == 200;
    let (mut received, mut chunks) = (0, response.bytes_stream());
    while let Some(Ok(chunk)) = chunks.next().await {
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            let expected = &pattern[received % pattern.len()..];
            let (now, later) = rest.split_at(rest.len().min(expected.len()));
            same &= now == &expected[..now.len()];
            received += now.len();
            rest = later;
        }
    }
    (received, same)
}
