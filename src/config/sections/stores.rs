//! The sections `storage`, `audit` and `demo`: files that the service reads and writes.

use std::path::PathBuf;

use secrecy::SecretString;

use crate::config::sections::{optional_secret, optional_text};
use crate::config::setting::{Rule, section};

section! {
    /// Where the bytes of evidence live.
    Storage = "storage" {
        /// A local directory or an S3-compatible bucket.
        url: String = "\"\"", Rule::Storage;
        /// Largest evidence file, in bytes.
        max_evidence_bytes: u64 = "52428800", Rule::Integer { min: 1_024, max: 10_737_418_240 };
        /// Endpoint of an S3-compatible service. Empty: that of AWS.
        #[serde(deserialize_with = "optional_text")]
        s3_endpoint: Option<String> = "\"\"", Rule::Url(&["https", "http"]);
        /// Region of the bucket.
        s3_region: String = "\"us-east-1\"", Rule::Text;
        /// Access key of the bucket.
        #[serde(deserialize_with = "optional_secret")]
        s3_access_key_id: Option<SecretString> = "\"\"", Rule::Secret;
        /// Secret key of the bucket.
        #[serde(deserialize_with = "optional_secret")]
        s3_secret_access_key: Option<SecretString> = "\"\"", Rule::Secret;
    }
}

section! {
    /// The tamper-evident audit trail.
    Audit = "audit" {
        /// File with the Ed25519 key that signs checkpoints; generated on the first start. Keep a copy outside the database.
        signing_key_file: PathBuf = "\"\"", Rule::PathUnderDataDir("audit_signing.key");
        /// Public keys that signed checkpoints before (`docket audit public-key`). They count only up to the first checkpoint of the key in use.
        retired_keys: Vec<String> = "[]", Rule::PublicKeys;
    }
}

section! {
    /// What `docket demo` leaves for scripts.
    Demo = "demo" {
        /// File that receives the URL and the demo keys, readable by its owner only.
        file: PathBuf = "\"\"", Rule::PathUnderDataDir("demo.json");
    }
}
