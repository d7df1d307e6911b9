//! Endpoints that cannot be trusted: a certificate that nobody vouches for, a name that leads somewhere else each time.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use docket_domain::principal::Role;
use parking_lot::Mutex;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::receiver::{Manner, Receiver};
use crate::support::TestApp;
use crate::webhooks::{attempts, local, register, settled_lane};

/// A server whose certificate it signed itself; how many handshakes were tried, and every byte that came after one.
struct SelfSigned {
    url: String,
    handshakes: Arc<AtomicUsize>,
    received: Arc<Mutex<Vec<u8>>>,
}

impl SelfSigned {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/hook", listener.local_addr().unwrap());
        let (handshakes, received) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (tried, log) = (handshakes.clone(), received.clone());
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::new(config));
            while let Ok((stream, _)) = listener.accept().await {
                tried.fetch_add(1, Ordering::SeqCst);
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut bytes = Vec::new();
                    let _ = stream.read_to_end(&mut bytes).await;
                    log.lock().extend(bytes);
                }
            }
        });
        Self { url, handshakes, received }
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_named_in_the_log_and_tried_again_and_gets_no_byte() {
    let (app, server) = (TestApp::start_with(local).await, SelfSigned::start().await);
    let endpoint = register(&app, &server.url).await;
    let case = app.draft().await;
    attempts(&app, &endpoint, 1).await;
    let lane = settled_lane(&app, &case["id"]).await;
    assert_eq!(lane["state"], "ready", "it waits for its next attempt: {lane}");
    assert!(lane["last_error"].as_str().unwrap().contains("certificate"), "{lane}");
    let owner = app.superuser().await;
    sqlx::query("UPDATE docket.delivery_lanes SET due_at = now()").execute(&owner).await.unwrap();
    let log = attempts(&app, &endpoint, 2).await;
    for line in &log {
        assert_eq!((&line["outcome"], &line["status"]), (&json!("outage"), &json!(null)), "{line}");
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.starts_with("the certificate was not accepted: invalid peer certificate"), "{detail}");
    }
    assert_eq!(log[0]["event_id"], log[1]["event_id"], "the same event again");
    assert!(server.handshakes.load(Ordering::SeqCst) >= 2);
    assert!(server.received.lock().is_empty(), "the message was sent before the certificate was judged");
}

#[tokio::test]
async fn a_name_that_leads_inside_after_it_was_checked_gets_nothing_and_is_tried_again() {
    let (receiver, lookups) = (Receiver::start().await, Arc::new(AtomicUsize::new(0)));
    let counted = lookups.clone();
    let port = receiver.address.port();
    // Public when it is registered, inside the house whenever it is called.
    let app = TestApp::start_looking_up(
        Arc::new(move |_| {
            let address: IpAddr = match counted.fetch_add(1, Ordering::SeqCst) {
                0 => Ipv4Addr::new(93, 184, 216, 34).into(),
                _ => Ipv4Addr::LOCALHOST.into(),
            };
            Box::pin(async move { Ok(vec![address]) })
        }),
        |config| {
            local(config);
            config.webhooks.allowed_networks.clear();
        },
    )
    .await;
    let endpoint = register(&app, &format!("http://hooks.example:{port}/")).await;
    let case = app.draft().await;
    attempts(&app, &endpoint, 1).await;
    settled_lane(&app, &case["id"]).await;
    let owner = app.superuser().await;
    sqlx::query("UPDATE docket.delivery_lanes SET due_at = now()").execute(&owner).await.unwrap();
    let log = attempts(&app, &endpoint, 2).await;
    for line in &log {
        assert_eq!((&line["outcome"], &line["status"]), (&json!("outage"), &json!(null)), "{line}");
        assert!(line["detail"].as_str().unwrap().contains("hooks.example leads to 127.0.0.1"), "{line}");
    }
    assert!(lookups.load(Ordering::SeqCst) >= 3, "it is looked up for every connection");
    assert_eq!(receiver.connections(), 0);
}

/// What a connection may take before it is closed: what the service reads, and what the kernel keeps for both sides.
const TAKEN_AT_MOST: u64 = 24 << 20;

#[tokio::test]
async fn an_endpoint_that_pours_a_gigabyte_or_without_end_is_read_for_four_kilobytes_and_its_connection_is_closed() {
    let (app, receiver) = (TestApp::start_with(local).await, Receiver::start().await);
    let endpoint = register(&app, &receiver.url()).await;
    let path = format!("/v1/webhooks/{}/test", endpoint["id"].as_str().unwrap());
    for (manner, outcome) in
        [(Manner::Floods, "delivered"), (Manner::Pours, "delivered"), (Manner::PoursHeaders, "outage")]
    {
        receiver.behave(manner.clone());
        for _ in 0..3 {
            let (_, before) = receiver.floods();
            let line = app.post(&path, Role::Admin, &json!({})).await.json();
            assert_eq!(line["outcome"], outcome, "{manner:?}: {line}");
            assert!(line["detail"].as_str().unwrap().len() <= 1_000, "{manner:?}: {line}");
            let began = std::time::Instant::now();
            while receiver.floods().0 > 0 {
                assert!(began.elapsed() < std::time::Duration::from_secs(20), "{manner:?}: the connection stays open");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let taken = receiver.floods().1 - before;
            assert!(taken < TAKEN_AT_MOST, "{manner:?}: {taken} bytes were taken");
        }
    }
}
