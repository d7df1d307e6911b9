//! An OpenID Connect issuer for tests: publishes keys, signs tokens, and misbehaves when told to.
//!
//! Tokens are put together by hand, so that a test can make any token at all, also those that no library would.
#![allow(dead_code)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::StreamExt;
use http::{StatusCode, Uri};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// The audience of the service under test.
pub const AUDIENCE: &str = "docket-api";

/// Base64url without padding.
pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// How the issuer answers.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    Well,
    Failing,
    Slow(Duration),
    Giant,
    OtherIssuer,
    Redirecting,
}

struct Shared {
    url: String,
    keys: Mutex<Vec<Value>>,
    behaviour: Mutex<Behaviour>,
    asked: AtomicUsize,
    canary: AtomicUsize,
}

/// A running issuer.
pub struct Issuer {
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Issuer {
    /// Starts on a free port with these keys published.
    pub async fn start(keys: &[&SigningKey]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            url: url.clone(),
            keys: Mutex::default(),
            behaviour: Mutex::new(Behaviour::Well),
            asked: AtomicUsize::new(0),
            canary: AtomicUsize::new(0),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let issuer = Self { url, shared, task };
        issuer.publish(keys.iter().map(|key| key.jwk()).collect());
        issuer
    }

    /// Replaces the published keys.
    pub fn publish(&self, keys: Vec<Value>) {
        *self.shared.keys.lock().unwrap() = keys;
    }

    /// Changes how it answers.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.lock().unwrap() = behaviour;
    }

    /// How often the keys were asked for.
    pub fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    /// How often an address was asked that only a token named.
    pub fn canary(&self) -> usize {
        self.shared.canary.load(Ordering::SeqCst)
    }

    /// Stops listening.
    pub fn stop(&self) {
        self.task.abort();
    }

    /// Claims of a good token.
    pub fn claims(&self, subject: &str, tenant: &str, roles: &[&str]) -> Value {
        json!({
            "iss": self.url, "aud": AUDIENCE, "sub": subject, "tenant": tenant, "roles": roles,
            "iat": now(), "nbf": now(), "exp": now() + 300, "name": "Grace Visitor",
        })
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let behaviour = *shared.behaviour.lock().unwrap();
    let keys = match uri.path() {
        "/.well-known/openid-configuration" => false,
        "/jwks" => true,
        _ => {
            shared.canary.fetch_add(1, Ordering::SeqCst);
            return StatusCode::NOT_FOUND.into_response();
        }
    };
    if keys {
        shared.asked.fetch_add(1, Ordering::SeqCst);
    }
    match behaviour {
        Behaviour::Well => {}
        Behaviour::OtherIssuer if keys => {}
        Behaviour::OtherIssuer => {
            let document = json!({"issuer": "https://other.example", "jwks_uri": format!("{}/jwks", shared.url)});
            return axum::Json(document).into_response();
        }
        Behaviour::Failing => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Behaviour::Slow(pause) => tokio::time::sleep(pause).await,
        Behaviour::Redirecting => {
            return (StatusCode::FOUND, [("location", format!("{}/canary", shared.url))]).into_response();
        }
        Behaviour::Giant => {
            // Without a length, as an attacker would: the reader must count.
            let spaces = bytes::Bytes::from(vec![b' '; 64 * 1024]);
            let parts = futures::stream::iter(0..1_000).map(move |_| Ok::<_, std::io::Error>(spaces.clone()));
            return Body::from_stream(parts).into_response();
        }
    }
    let document = if keys {
        json!({"keys": *shared.keys.lock().unwrap()})
    } else {
        json!({"issuer": shared.url, "jwks_uri": format!("{}/jwks", shared.url)})
    };
    axum::Json(document).into_response()
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
    Ed(Box<Ed25519KeyPair>),
}

/// A key of the issuer.
pub struct SigningKey {
    pub id: String,
    pair: Pair,
}

impl SigningKey {
    /// An RSA key of 2048 bits.
    pub fn rsa(id: &str) -> Self {
        let pair = RsaKeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        Self { id: id.to_owned(), pair: Pair::Rsa(Box::new(pair)) }
    }

    /// A key on P-256.
    pub fn ec(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { id: id.to_owned(), pair: Pair::Ec(Box::new(pair)) }
    }

    /// An Ed25519 key.
    pub fn ed(id: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        Self { id: id.to_owned(), pair: Pair::Ed(Box::new(pair)) }
    }

    /// The algorithm that it signs with unless told otherwise.
    pub fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
            Pair::Ed(_) => "EdDSA",
        }
    }

    /// What the issuer publishes.
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                let number = |bytes: &[u8]| b64(bytes);
                json!({"kty": "RSA", "n": number(public.modulus().big_endian_without_leading_zero()),
                    "e": number(public.exponent().big_endian_without_leading_zero())})
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": b64(&point[1..33]), "y": b64(&point[33..])})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())}),
        };
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// The public key in DER as the library writes it: PKCS #1 for RSA, the point itself otherwise.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed(pair) => pair.public_key().as_ref().to_vec(),
        }
    }

    /// The signature over a message; RSA by the algorithm's name.
    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding =
                    if algorithm == "PS256" { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                pair.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A signed token with an ordinary header.
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm(), "typ": "at+jwt", "kid": self.id});
        self.signed(&header.to_string(), &claims.to_string())
    }

    /// A signed token with any header and any claims, to the letter.
    pub fn signed(&self, header: &str, claims: &str) -> String {
        let algorithm = serde_json::from_str::<Value>(header).ok();
        let algorithm = algorithm.and_then(|header| header["alg"].as_str().map(str::to_owned)).unwrap_or_default();
        let message = format!("{}.{}", b64(header), b64(claims));
        let signature = self.sign(&algorithm, message.as_bytes());
        format!("{message}.{}", b64(signature))
    }
}

/// An RSA key for all tests of a process, because making one takes a while.
pub fn rsa_key() -> &'static SigningKey {
    static KEY: OnceLock<SigningKey> = OnceLock::new();
    KEY.get_or_init(|| SigningKey::rsa("rsa-1"))
}
