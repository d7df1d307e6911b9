//! Evidence in S3-compatible storage: the service's own code against a local server of that protocol (`moto`, from the
//! development requirements). Without it the tests say so and end.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::print_stderr)]

#[path = "support/s3_server.rs"]
mod s3_server;

use bytes::Bytes;
use docket::adapters::object_store::{ObjectBlobStore, S3Settings, open};
use docket::application::ports::StoreError;
use docket::application::ports::blob_store::{BlobStore, ContentAddress, StoredObject};
use docket_domain::ids::TenantId;
use futures::{StreamExt, TryStreamExt};
use s3_server::S3Server;
use uuid::Uuid;

fn settings(endpoint: &str) -> S3Settings {
    S3Settings {
        endpoint: Some(endpoint.to_owned()),
        region: "us-east-1".to_owned(),
        access_key_id: Some("key".to_owned()),
        secret_access_key: Some("secret".to_owned()),
    }
}

fn bucket(server: &S3Server, prefix: &str) -> ObjectBlobStore {
    open(&format!("s3://evidence/{prefix}"), &settings(&server.endpoint)).unwrap()
}

fn address(byte: u8) -> ContentAddress {
    ContentAddress { tenant_id: TenantId(Uuid::from_u128(7)), sha256: [byte; 32] }
}

async fn stage(store: &ObjectBlobStore, bytes: &[u8]) -> Uuid {
    let staged = Uuid::now_v7();
    let mut upload = store.stage(staged).await.unwrap();
    for chunk in bytes.chunks(1 << 20) {
        upload.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    upload.finish().await.unwrap();
    staged
}

async fn read(store: &ObjectBlobStore, content: ContentAddress, from: u64, to: u64) -> Option<Vec<u8>> {
    let stream = store.read(content, from..to).await.unwrap()?;
    Some(stream.try_collect::<Vec<_>>().await.unwrap().concat())
}

async fn listed(store: &ObjectBlobStore) -> Vec<StoredObject> {
    store.list().map(|found| found.unwrap().object).collect().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_are_uploaded_in_parts_promoted_and_read_in_ranges() {
    let Some(server) = S3Server::start() else { return };
    for prefix in ["", "of/docket"] {
        let store = bucket(&server, prefix);
        // More than the 5 MiB of one part.
        let bytes: Vec<u8> =
            (0..12_000_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
        let staged = stage(&store, &bytes).await;
        assert_eq!(store.read_staged(staged, 0..16).await.unwrap(), bytes[..16]);
        assert_eq!(store.read_staged(staged, 3..3).await.unwrap(), "");
        assert_eq!(store.size(address(1)).await.unwrap(), None);
        store.promote(staged, address(1)).await.unwrap();
        assert_eq!(store.size(address(1)).await.unwrap(), Some(bytes.len() as u64));
        let end = bytes.len() as u64;
        assert!(read(&store, address(1), 0, end).await.unwrap() == bytes, "the whole");
        assert_eq!(read(&store, address(1), 6_000_000, 6_000_010).await.unwrap(), bytes[6_000_000..6_000_010]);
        assert_eq!(read(&store, address(2), 0, 1).await, None);
        store.discard(staged).await.unwrap();
        store.discard(staged).await.unwrap();
        assert_eq!(listed(&store).await.iter().filter(|object| **object == StoredObject::Staged(staged)).count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_broken_off_leaves_no_parts_in_the_bucket() {
    let Some(server) = S3Server::start() else { return };
    let store = bucket(&server, "broken");
    let under_way = async || {
        let url = format!("{}/evidence?uploads", server.endpoint);
        reqwest::get(url).await.unwrap().text().await.unwrap().contains("<UploadId>")
    };
    let mut upload = store.stage(Uuid::now_v7()).await.unwrap();
    for _ in 0..8 {
        upload.write(Bytes::from(vec![7; 1 << 20])).await.unwrap();
    }
    assert!(under_way().await);
    drop(upload);
    let began = std::time::Instant::now();
    while under_way().await {
        assert!(began.elapsed().as_secs() < 20, "the bucket still keeps the parts");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_content_is_one_object_and_what_is_deleted_is_gone() {
    let Some(server) = S3Server::start() else { return };
    let store = bucket(&server, "once");
    for _ in 0..3 {
        let staged = stage(&store, b"the same").await;
        store.promote(staged, address(1)).await.unwrap();
        store.discard(staged).await.unwrap();
    }
    assert_eq!(listed(&store).await, [StoredObject::Content(address(1))]);
    store.delete(address(1)).await.unwrap();
    store.delete(address(1)).await.unwrap();
    assert_eq!(store.size(address(1)).await.unwrap(), None);
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_unavailable_and_a_missing_bucket_is_an_error() {
    // A port that was free a moment ago: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let store = open("s3://evidence", &settings(&format!("http://127.0.0.1:{port}"))).unwrap();
    let error = store.size(address(1)).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}
