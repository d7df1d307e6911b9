//! R1, uploads: the service is killed while a file is on its way. No case has evidence without its bytes, and whoever
//! repeats the upload under the same key gets it in once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use docket_domain::principal::Role;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::support::client::Client;
use crate::support::commands::new_case;
use crate::support::random::Random;
use crate::support::report::{Figures, Findings, bounded, turn};
use crate::support::service::Service;
use crate::support::settings::{random, rounds, seed};
use crate::support::stage::Stage;

/// The size of a file, in bytes: many reads and writes.
const SIZE: usize = 3_000_000;
const BOUNDARY: &str = "the-end-of-a-part";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_evidence_is_without_its_bytes_when_the_service_is_killed_during_uploads() {
    let _turn = turn().await;
    let seed = seed("R1 uploads");
    let mut random = random(seed);
    let findings = Findings::default();
    let stage = Stage::start(1).await;
    let mut service = Service::start(&stage).await;
    let client = Client::new(&service.url, &findings);
    let tenant = &stage.tenants[0];
    let (mut kills, mut sent) = (0, BTreeMap::new());
    for number in rounds("DOCKET_CRASH_UPLOADS", 4) {
        let marker = format!("upload-{number}");
        let case = client.create(&tenant.keys[&Role::Reporter], &marker, new_case(&marker, "public")).await;
        let file = file(&mut random);
        let upload = Upload { port: service.port, api_key: tenant.keys[&Role::Reporter].clone(), case: case.clone() };
        // The last bytes are the moment of interest, so the kill comes before, at or after the end of the upload.
        let waits = random.millis(0, 250);
        let under_way = tokio::spawn(upload.clone().send(file.clone()));
        tokio::time::sleep(waits).await;
        service.kill();
        kills += 1;
        let told = under_way.await.unwrap();
        if service.restart().await.is_none() {
            findings.add("the service was not ready after a kill");
            break;
        }
        let again = upload.send(file.clone()).await;
        findings
            .expect(again.contains(" 201 "), || format!("told {told:?}, the repeated upload was answered {again:?}"));
        sent.insert(case, Sha256::digest(&file).to_vec());
    }
    let owner = stage.owner().await;
    let rows: Vec<(Uuid, Vec<u8>)> =
        sqlx::query_as("SELECT case_id, sha256 FROM docket.case_evidence").fetch_all(&owner).await.unwrap();
    let kept: BTreeMap<String, Vec<u8>> = rows.iter().map(|(case, hash)| (case.to_string(), hash.clone())).collect();
    findings.expect(rows.len() == kept.len(), || format!("{} rows for {} cases", rows.len(), kept.len()));
    findings.expect(kept == sent, || format!("{} of {} uploads are there", kept.len(), sent.len()));
    let whole = digests(&stage.directory.path().join("service/evidence"));
    let lost = kept.values().filter(|hash| !whole.contains(*hash)).count();
    findings.expect(lost == 0, || format!("{lost} rows have no bytes"));
    println!("R1 uploads, seed {seed}: {kills} kills during uploads; {}", bounded(lost, "without bytes", sent.len()));
    Figures { kills, writes: sent.len() as u64, lost: lost as u64, ..Figures::default() }.note("R1 uploads");
    findings.assert_none();
}

/// A text that no other round has, so that every content is stored anew.
fn file(random: &mut Random) -> Vec<u8> {
    let line = format!("{}\n", random.key());
    line.repeat(SIZE / line.len()).into_bytes()
}

#[derive(Debug, Clone)]
struct Upload {
    port: u16,
    api_key: String,
    case: String,
}

impl Upload {
    /// Sends the file in pieces with little pauses; the head of the answer, empty when the connection broke.
    async fn send(self, file: Vec<u8>) -> String {
        let part = "Content-Disposition: form-data; name=\"file\"; filename=\"log.txt\"\r\nContent-Type: text/plain";
        let body =
            [format!("--{BOUNDARY}\r\n{part}\r\n\r\n").as_bytes(), &file, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()]
                .concat();
        let Self { port, api_key, case } = self;
        let head = format!(
            "POST /v1/cases/{case}/evidence HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {api_key}\r\n\
             Idempotency-Key: upload-{case}\r\nIf-Match: \"v1\"\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        let mut answer = Vec::new();
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
            let _ = stream.write_all(head.as_bytes()).await;
            for piece in body.chunks(SIZE / 16) {
                let _ = stream.write_all(piece).await;
                tokio::time::sleep(Duration::from_millis(8)).await;
            }
            let _ = stream.read_to_end(&mut answer).await;
        }
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }
}

/// The digests of all files below a directory.
fn digests(directory: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let (directories, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let below = directories.iter().flat_map(|directory| digests(directory));
    below.chain(files.iter().map(|file| Sha256::digest(std::fs::read(file).unwrap()).to_vec())).collect()
}
