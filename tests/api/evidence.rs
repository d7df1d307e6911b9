//! Evidence: stored once, handed out as it came, refused when it is not what it says, and swept when nobody uses it.

use docket::application::evidence::sweep_orphans::{Swept, sweep_orphans};
use docket_domain::principal::Role;
use http::Method;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{Answer, TestApp, complete_case};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n%%EOF\n";

/// A form of `multipart/form-data`, written out by hand with a boundary of its own each time.
struct Form {
    boundary: String,
    body: Vec<u8>,
}

impl Form {
    fn new() -> Self {
        Self { boundary: uuid::Uuid::now_v7().simple().to_string(), body: Vec::new() }
    }

    fn part(mut self, disposition: &str, content: &[u8]) -> Self {
        let head = format!("--{}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n", self.boundary);
        self.body.extend([head.as_bytes(), content, b"\r\n"].concat());
        self
    }

    fn text(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), value.as_bytes())
    }
}

fn file(name: &str, bytes: &[u8]) -> Form {
    Form::new().part(&format!("name=\"file\"; filename=\"{name}\""), bytes)
}

struct Upload<'a> {
    id: &'a str,
    role: Role,
    etag: &'a str,
    key: &'a str,
}

async fn send(app: &TestApp, upload: Upload<'_>, form: Form) -> Answer {
    let path = format!("/v1/cases/{}/evidence", upload.id);
    let mut request = app.request(Method::POST, &path, app.key(upload.role));
    if !upload.etag.is_empty() {
        request = request.header("if-match", upload.etag);
    }
    if !upload.key.is_empty() {
        request = request.header("idempotency-key", upload.key);
    }
    let content_type = format!("multipart/form-data; boundary={}", form.boundary);
    let body = [form.body, format!("--{}--\r\n", form.boundary).into_bytes()].concat();
    Answer::of(request.header("content-type", content_type).body(body)).await
}

async fn attach(app: &TestApp, id: &str, name: &str, bytes: &[u8]) -> Answer {
    let version = app.get(&format!("/v1/cases/{id}"), Role::Supervisor).await.json()["version"].clone();
    let key = uuid::Uuid::now_v7().to_string();
    let upload = Upload { id, role: Role::Reporter, etag: &format!("\"v{version}\""), key: &key };
    send(app, upload, file(name, bytes)).await
}

async fn draft(app: &TestApp) -> String {
    app.draft().await["id"].as_str().unwrap().to_owned()
}

async fn contents(app: &TestApp) -> i64 {
    let sql = "SELECT count(*) FROM docket.evidence_blobs";
    sqlx::query_scalar(sql).fetch_one(&app.superuser().await).await.unwrap()
}

#[tokio::test]
async fn a_file_is_attached_listed_and_downloaded_as_it_came() {
    let app = TestApp::start().await;
    let id = draft(&app).await;
    let form = file("../../Prüf \u{202e}bericht.pdf", PDF).text("description", "the report");
    let upload = Upload { id: &id, role: Role::Reporter, etag: "\"v1\"", key: "k" };
    let answer = send(&app, upload, form).await;
    assert_eq!((answer.status, answer.header("etag")), (201, "\"v2\""), "{}", answer.text);
    let location = answer.header("location").to_owned();
    let item = app.get(&location, Role::Caseworker).await.json();
    assert_eq!((&item["file_name"], &item["description"]), (&json!("Prüf bericht.pdf"), &json!("the report")));
    assert_eq!((&item["media_type"], &item["size_bytes"]), (&json!("application/pdf"), &json!(PDF.len())));
    assert_eq!(item["sha256"], hex::encode(Sha256::digest(PDF)));
    let list = app.get(&format!("/v1/cases/{id}/evidence"), Role::Auditor).await.json();
    assert_eq!(list["items"], json!([item]));
    let path = format!("{location}/content");
    let content = app.get(&path, Role::Auditor).await;
    assert_eq!((content.status, content.text.as_bytes()), (200, PDF));
    assert_eq!(
        content.header("content-disposition"),
        "attachment; filename=\"Pr_f bericht.pdf\"; filename*=UTF-8''Pr%C3%BCf%20bericht.pdf"
    );
    assert_eq!(
        (content.header("x-content-type-options"), content.header("content-type")),
        ("nosniff", "application/pdf")
    );
    assert!(content.header("repr-digest").starts_with("sha-256=:"));
    let again = app.request(Method::GET, &path, app.key(Role::Auditor)).header("if-none-match", content.header("etag"));
    assert_eq!(Answer::of(again).await.status, 304);
    let part = Answer::of(app.request(Method::GET, &path, app.key(Role::Auditor)).header("range", "bytes=1-3")).await;
    assert_eq!((part.status, part.text.as_str()), (206, "PDF"));
    assert_eq!(part.header("content-range"), format!("bytes 1-3/{}", PDF.len()));
    let behind =
        Answer::of(app.request(Method::GET, &path, app.key(Role::Auditor)).header("range", "bytes=999-")).await;
    behind.assert_problem(416, "range-not-satisfiable");
    let trail = app.get(&format!("/v1/cases/{id}/audit"), Role::Auditor).await.json();
    assert_eq!(trail["items"][1]["action"], "case.add_evidence");
}

#[tokio::test]
async fn the_same_bytes_are_stored_once_and_can_be_attached_by_their_hash() {
    let app = TestApp::start().await;
    let (first, second) = (draft(&app).await, draft(&app).await);
    assert_eq!(attach(&app, &first, "a.png", PNG).await.status, 201);
    assert_eq!(attach(&app, &second, "b.png", PNG).await.status, 201);
    assert_eq!(contents(&app).await, 1);
    let sha256 = hex::encode(Sha256::digest(PNG));
    let third = draft(&app).await;
    let body = json!({"command": "add_evidence", "sha256": sha256, "file_name": "c.png"});
    let answer = app.command(&third, Role::Reporter, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let items = app.get(&format!("/v1/cases/{third}/evidence"), Role::Reporter).await.json();
    assert_eq!((&items["items"][0]["file_name"], &items["items"][0]["sha256"]), (&json!("c.png"), &json!(sha256)));
    for (member, value) in [("sha256", json!("00".repeat(32))), ("sha256", json!("xyz")), ("file_name", json!("c.pdf"))]
    {
        let mut wrong = body.clone();
        wrong[member] = value;
        let problem = app.command(&third, Role::Reporter, &wrong).await.assert_problem(422, "validation-failed");
        assert_eq!(problem["errors"][0]["pointer"], format!("/{member}"));
    }
}

#[tokio::test]
async fn to_know_a_hash_is_not_to_have_the_file() {
    let app = TestApp::start().await;
    let mut case = complete_case();
    case["confidentiality"] = json!("restricted");
    let secret = app.post("/v1/cases", Role::Reporter, &case).await.json()["id"].as_str().unwrap().to_owned();
    let answer = attach(&app, &secret, "secret.pdf", PDF).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let location = answer.header("location").to_owned();
    for path in [location.clone(), format!("{location}/content"), format!("/v1/cases/{secret}/evidence")] {
        app.get(&path, Role::Caseworker).await.assert_problem(404, "not-found");
        let foreign = app.request(Method::GET, &path, &app.tenants[1].keys[&Role::Auditor]);
        Answer::of(foreign).await.assert_problem(404, "not-found");
    }
    let own = draft(&app).await;
    let body = json!({"command": "add_evidence", "sha256": hex::encode(Sha256::digest(PDF))});
    app.command(&own, Role::Caseworker, &body).await.assert_problem(422, "validation-failed");
    assert_eq!(app.get(&format!("{location}/content"), Role::Auditor).await.status, 200);
    let trail = app.get(&format!("/v1/cases/{secret}/audit?limit=50"), Role::Auditor).await.json();
    let seen: Vec<_> = trail["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap()).collect();
    assert!(seen.contains(&"case.evidence.read"), "{seen:?}");
}

#[tokio::test]
async fn an_upload_is_replayed_by_its_key_whatever_its_boundary_and_needs_key_and_version() {
    let app = TestApp::start().await;
    let id = draft(&app).await;
    let upload = |key, etag| Upload { id: &id, role: Role::Reporter, etag, key };
    let first = send(&app, upload("k", "\"v1\""), file("a.pdf", PDF)).await;
    let again = send(&app, upload("k", "\"v1\""), file("a.pdf", PDF)).await;
    assert_eq!((again.status, again.header("idempotent-replayed"), &again.text), (201, "true", &first.text));
    let other = send(&app, upload("k", "\"v1\""), file("b.pdf", PDF)).await;
    other.assert_problem(422, "idempotency-key-reused");
    send(&app, upload("", "\"v2\""), file("a.pdf", PDF)).await.assert_problem(400, "idempotency-key-missing");
    send(&app, upload("l", ""), file("a.pdf", PDF)).await.assert_problem(428, "precondition-required");
    send(&app, upload("m", "\"v1\""), file("a.pdf", PDF)).await.assert_problem(412, "precondition-failed");
    let auditor = Upload { id: &id, role: Role::Auditor, etag: "\"v2\"", key: "n" };
    send(&app, auditor, file("a.pdf", PDF)).await.assert_problem(403, "forbidden");
    let items = app.get(&format!("/v1/cases/{id}/evidence"), Role::Reporter).await.json();
    assert_eq!(items["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn files_that_are_not_what_they_say_are_refused_and_leave_nothing() {
    let app = TestApp::start().await;
    let id = draft(&app).await;
    let zip_end: Vec<u8> = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    for (name, bytes) in [
        ("tool.exe", b"MZ\x90".to_vec()),
        ("picture.png", PDF.to_vec()),
        ("late.pdf", [b"junk\n", PDF].concat()),
        ("picture.png", [PNG, &zip_end].concat()),
        ("picture.png", [PNG, b"<script>alert(1)</script>"].concat()),
        ("letter.docx", [b"PK\x03\x04 no directory".to_vec(), zip_end.clone()].concat()),
    ] {
        attach(&app, &id, name, &bytes).await.assert_problem(415, "unsupported-media-type");
    }
    for (name, bytes) in [("empty.pdf", &b""[..]), ("..", PDF), ("NUL.pdf", PDF)] {
        attach(&app, &id, name, bytes).await.assert_problem(422, "validation-failed");
    }
    let forms: [fn() -> Form; 3] = [
        || Form::new().text("description", "no file"),
        || file("a.pdf", PDF).text("odd", "x"),
        || file("a.pdf", PDF).part("name=\"file\"; filename=\"b.pdf\"", PDF),
    ];
    for (number, form) in forms.iter().enumerate() {
        let upload = Upload { id: &id, role: Role::Reporter, etag: "\"v1\"", key: &format!("f{number}") };
        send(&app, upload, form()).await.assert_problem(422, "validation-failed");
    }
    let request = app.request(Method::POST, &format!("/v1/cases/{id}/evidence"), app.key(Role::Reporter));
    let request = request.header("idempotency-key", "x").header("if-match", "\"v1\"");
    Answer::of(request.json(&json!({}))).await.assert_problem(415, "unsupported-media-type");
    assert_eq!(contents(&app).await, 0);
    assert_eq!(stored_files(&app), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_above_the_limit_is_413_and_leaves_nothing() {
    let app = TestApp::start_with(|config| config.storage.max_evidence_bytes = 10_000).await;
    let id = draft(&app).await;
    let large = [PDF, &vec![b'x'; 10_000]].concat();
    attach(&app, &id, "large.pdf", &large).await.assert_problem(413, "payload-too-large");
    assert_eq!(stored_files(&app), Vec::<String>::new());
    assert_eq!(attach(&app, &id, "small.pdf", &large[..10_000]).await.status, 201);
}

#[tokio::test]
async fn text_that_a_browser_would_run_is_only_handed_out_as_bytes() {
    let app = TestApp::start().await;
    let id = draft(&app).await;
    let answer = attach(&app, &id, "page.html", b"<!DOCTYPE html><html><script>alert(1)</script></html>").await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let content = app.get(&format!("{}/content", answer.header("location")), Role::Reporter).await;
    assert_eq!(content.header("content-type"), "application/octet-stream");
    assert!(content.header("content-security-policy").contains("sandbox"));
}

#[tokio::test]
async fn changed_bytes_break_the_download_off_instead_of_passing_for_the_original() {
    let app = TestApp::start().await;
    let id = draft(&app).await;
    let answer = attach(&app, &id, "a.pdf", PDF).await;
    let stored = stored_files(&app);
    assert_eq!(stored.len(), 1);
    let mut changed = PDF.to_vec();
    changed[9] ^= 1;
    std::fs::write(&stored[0], changed).unwrap();
    let path = format!("{}/content", answer.header("location"));
    // The connection breaks off before the last byte; for so short a file that may be before the first.
    let whole = match app.request(Method::GET, &path, app.key(Role::Reporter)).send().await {
        Ok(response) => response.bytes().await.is_ok(),
        Err(_) => false,
    };
    assert!(!whole);
}

/// Every file below the service's evidence directory.
fn stored_files(app: &TestApp) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![app.evidence_directory.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// The store and the index as the command line sees them.
fn keeping(
    app: &TestApp,
) -> (docket::adapters::object_store::ObjectBlobStore, docket::adapters::postgres::PgEvidenceIndex) {
    let url = format!("file:{}", app.evidence_directory.display());
    let blobs =
        docket::adapters::object_store::open(&url, &docket::adapters::object_store::S3Settings::default()).unwrap();
    (blobs, docket::adapters::postgres::PgEvidenceIndex::new(app.pool.clone()))
}

/// Sweeps as if `hours` had gone by.
async fn sweep_after(app: &TestApp, hours: i64) -> Swept {
    let (blobs, index) = keeping(app);
    let now = time::OffsetDateTime::now_utc() + time::Duration::hours(hours);
    sweep_orphans(&blobs, &index, now, time::Duration::hours(24), false).await.unwrap()
}

#[tokio::test]
async fn the_sweeper_removes_what_nobody_uses_and_nothing_else() {
    let app = TestApp::start().await;
    let (kept, gone) = (draft(&app).await, draft(&app).await);
    assert_eq!(attach(&app, &kept, "kept.png", PNG).await.status, 201);
    assert_eq!(attach(&app, &gone, "kept.png", PNG).await.status, 201);
    assert_eq!(attach(&app, &gone, "gone.pdf", PDF).await.status, 201);
    // A refused transition leaves its bytes behind, and a process that died leaves staged ones.
    let stale = Upload { id: &kept, role: Role::Reporter, etag: "\"v1\"", key: "stale" };
    let orphan = [PDF, b"orphan"].concat();
    send(&app, stale, file("orphan.pdf", &orphan)).await.assert_problem(412, "precondition-failed");
    let staged = app.evidence_directory.join("staged");
    std::fs::write(staged.join(uuid::Uuid::now_v7().to_string()), b"half").unwrap();
    // So does one that died while bytes came in, under the name that they have until they are complete.
    std::fs::write(staged.join(format!("{}#1", uuid::Uuid::now_v7())), b"ha").unwrap();
    assert_eq!(stored_files(&app).len(), 5);
    assert_eq!(sweep_after(&app, 1).await, Swept { seen: 5, contents_removed: 0, uploads_removed: 0 }, "too young");
    assert_eq!(sweep_after(&app, 25).await, Swept { seen: 5, contents_removed: 1, uploads_removed: 2 });
    let request = app.request(Method::DELETE, &format!("/v1/cases/{gone}"), app.key(Role::Supervisor));
    let version = app.get(&format!("/v1/cases/{gone}"), Role::Supervisor).await.header("etag").to_owned();
    assert_eq!(Answer::of(request.header("if-match", version)).await.status, 200);
    assert_eq!(contents(&app).await, 2);
    assert_eq!(sweep_after(&app, 25).await, Swept { seen: 2, contents_removed: 1, uploads_removed: 0 });
    assert_eq!((contents(&app).await, stored_files(&app).len()), (1, 1));
    let list = app.get(&format!("/v1/cases/{kept}/evidence"), Role::Reporter).await.json();
    let content = format!("/v1/cases/{kept}/evidence/{}/content", list["items"][0]["id"].as_str().unwrap());
    assert_eq!(app.get(&content, Role::Reporter).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_beside_a_sweeper_that_takes_everything_unused_never_lose_their_bytes() {
    let app = TestApp::start().await;
    let done = std::sync::atomic::AtomicBool::new(false);
    let sweeping = async {
        let mut removed = 0;
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            removed += sweep_contents_only(&app).await;
            tokio::task::yield_now().await;
        }
        removed
    };
    let uploading = async {
        let mut held = Vec::new();
        for number in 0..12 {
            let id = draft(&app).await;
            // Few different contents, so that many uploads bring what a sweeper is about to take.
            let bytes = [PDF, &[b'0' + number % 3]].concat();
            let answer = attach(&app, &id, "a.pdf", &bytes).await;
            assert_eq!(answer.status, 201, "{}", answer.text);
            held.push((answer.header("location").to_owned(), bytes));
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        held
    };
    let (_, held) = tokio::join!(sweeping, uploading);
    for (location, bytes) in held {
        let content = app.get(&format!("{location}/content"), Role::Reporter).await;
        assert_eq!((content.status, content.text.as_bytes()), (200, &bytes[..]));
    }
}

/// What a sweep does to content, with no regard to its age: the worst moment, all the time.
async fn sweep_contents_only(app: &TestApp) -> u64 {
    use docket::application::ports::blob_store::StoredObject;
    use docket::application::ports::{BlobStore, EvidenceIndex};
    use futures::StreamExt;
    let (blobs, index) = keeping(app);
    let listed: Vec<_> = blobs.list().collect().await;
    let mut removed = 0;
    for object in listed.into_iter().flatten().map(|listed| listed.object) {
        let StoredObject::Content(content) = object else { continue };
        if let Some(hold) = index.hold_unused(content).await.unwrap() {
            blobs.delete(content).await.unwrap();
            hold.forget().await.unwrap();
            removed += 1;
        }
    }
    removed
}
