//! The sections `relay`, `webhooks`, `nats` and `events`: handing events on.

use secrecy::SecretString;

use crate::config::network::Network;
use crate::config::sections::optional_secret;
use crate::config::setting::{Rule, section};

section! {
    /// The relay, which hands committed events to webhooks and sinks.
    Relay = "relay" {
        /// How often to look for events without a hint, in milliseconds. Bounds how late an event is when every hint is lost.
        poll_interval_ms: u64 = "1000", Rule::Integer { min: 10, max: 60_000 };
        /// Whether processes hint at new events. Without hints everything still works, at the pace of polling.
        hints: bool = "true", Rule::Flag;
        /// How long a claim lasts, in seconds; a relay that died is replaced after it. Must exceed `webhooks.timeout_ms` by at least a second.
        lease_seconds: u64 = "60", Rule::Integer { min: 2, max: 3_600 };
        /// Sends at once.
        concurrency: u32 = "64", Rule::Integer { min: 1, max: 1_000 };
        /// Sends at once to one destination.
        per_destination: u32 = "8", Rule::Integer { min: 1, max: 1_000 };
    }
}

section! {
    /// Webhooks: which addresses may be called, and for how long.
    Webhooks = "webhooks" {
        /// Networks that may be called although they are not of the public internet: for demonstrations on one machine.
        allowed_networks: Vec<Network> = "[]", Rule::Networks;
        /// Whether endpoints may be `http://`.
        allow_http: bool = "false", Rule::Flag;
        /// Time for a connection, in milliseconds.
        connect_timeout_ms: u64 = "5000", Rule::Integer { min: 100, max: 60_000 };
        /// Time until the answer, in milliseconds.
        timeout_ms: u64 = "15000", Rule::Integer { min: 100, max: 120_000 };
        /// Key that seals signing secrets. Empty: generated under `data_dir` on the first start; set the same on all replicas.
        #[serde(deserialize_with = "optional_secret")]
        secret_key: Option<SecretString> = "\"\"", Rule::SecretKey;
        /// Days that the log of what was tried for an endpoint is kept.
        log_days: u32 = "30", Rule::Integer { min: 1, max: 3_650 };
    }
}

section! {
    /// NATS JetStream: where events are published besides webhooks. See docs/events.md.
    Nats = "nats" {
        /// The broker, for instance `nats://localhost:4222`. Empty: nothing is published.
        #[serde(deserialize_with = "optional_secret")]
        url: Option<SecretString> = "\"\"", Rule::SecretUrl(&["nats", "tls"]);
        /// Name to log in with; needs `nats.password`.
        user: String = "\"\"", Rule::OptionalText;
        /// Password to log in with.
        #[serde(deserialize_with = "optional_secret")]
        password: Option<SecretString> = "\"\"", Rule::Secret;
        /// Token to log in with instead of name and password.
        #[serde(deserialize_with = "optional_secret")]
        token: Option<SecretString> = "\"\"", Rule::Secret;
        /// The stream; made on the first start if it is missing, left as it is if it is there.
        stream: String = "\"DOCKET_EVENTS\"", Rule::Text;
        /// What every subject begins with; the tenant's id and the event's type follow.
        subject_prefix: String = "\"docket.events\"", Rule::Text;
        /// Time for a connection, in milliseconds.
        connect_timeout_ms: u64 = "5000", Rule::Integer { min: 100, max: 60_000 };
        /// Time until the stream acknowledges a message, in milliseconds.
        ack_timeout_ms: u64 = "5000", Rule::Integer { min: 100, max: 60_000 };
        /// How long a stream made by docket remembers ids and so drops repetitions, in seconds.
        duplicate_window_seconds: u64 = "600", Rule::Integer { min: 1, max: 86_400 };
        /// How long a stream made by docket keeps messages, in days; 0 keeps them for ever.
        keep_days: u64 = "30", Rule::Integer { min: 0, max: 3_650 };
        /// Copies that a stream made by docket has in a cluster.
        replicas: usize = "1", Rule::Integer { min: 1, max: 5 };
    }
}

section! {
    /// The change feed as a stream (`GET /v1/events` with `Accept: text/event-stream`).
    Events = "events" {
        /// Streams at once in this process.
        max_streams: usize = "256", Rule::Integer { min: 0, max: 100_000 };
        /// Streams at once of one tenant in this process.
        max_streams_per_tenant: usize = "32", Rule::Integer { min: 0, max: 100_000 };
        /// Time between two signs of life on a quiet stream, in seconds.
        heartbeat_seconds: u64 = "15", Rule::Integer { min: 1, max: 300 };
        /// Time after which a stream ends and the client comes back with its credential, in seconds.
        max_stream_seconds: u64 = "600", Rule::Integer { min: 1, max: 86_400 };
    }
}
