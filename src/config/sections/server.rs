//! The section `server`: where the HTTP server listens and how long it waits.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::config::network::Network;
use crate::config::setting::{Rule, section};

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProcessRole {
    /// Everything.
    All,
    /// Answers requests.
    Api,
    /// Background work: jobs, delivery of events. Over HTTP only health and metrics.
    Worker,
}

impl ProcessRole {
    /// Whether the process answers requests.
    pub const fn serves_api(self) -> bool {
        matches!(self, Self::All | Self::Api)
    }

    /// Whether the process does background work.
    pub const fn works(self) -> bool {
        matches!(self, Self::All | Self::Worker)
    }
}

section! {
    /// The HTTP server: where it listens, how long it waits, how much it takes at once.
    Server = "server" {
        /// What this process does: `api` answers requests, `worker` does background work (and answers only health and
        /// metrics), `all` both. Many of each may run on one database.
        role: ProcessRole = "\"all\"", Rule::OneOf(&["all", "api", "worker"]);
        /// Address and port to listen on; port 0 takes any free one.
        bind: SocketAddr = "\"127.0.0.1:8080\"", Rule::Address;
        /// Base URL that clients see, used in links and problem types. Empty: derived from `bind`.
        public_url: String = "\"\"", Rule::Url(&["http", "https"]);
        /// Time for one request until the head of its answer, in milliseconds. An answer from documents has its own
        /// (`answers.timeout_seconds`) and five seconds more, if that is longer.
        request_timeout_ms: u64 = "30000", Rule::Integer { min: 100, max: 600_000 };
        /// The same for an upload of evidence, in milliseconds.
        upload_timeout_ms: u64 = "120000", Rule::Integer { min: 100, max: 3_600_000 };
        /// Time for a connection to send the complete head of a request, also its first byte, in milliseconds.
        header_read_timeout_ms: u64 = "10000", Rule::Integer { min: 100, max: 120_000 };
        /// Time that a connection may stay open without a request in flight, in milliseconds.
        keep_alive_timeout_ms: u64 = "75000", Rule::Integer { min: 1_000, max: 3_600_000 };
        /// Time in which a client must take something of an answer that waits to be sent, in milliseconds; who takes nothing loses
        /// the connection.
        write_timeout_ms: u64 = "60000", Rule::Integer { min: 1_000, max: 3_600_000 };
        /// Connections served at once; more wait in the listen queue and take turns with idle and long-lived ones.
        max_connections: usize = "1024", Rule::Integer { min: 1, max: 100_000 };
        /// Requests worked on at once; more are answered 503 with Retry-After at once.
        max_in_flight: usize = "512", Rule::Integer { min: 1, max: 100_000 };
        /// Largest request body before and after decompression, in bytes.
        max_body_bytes: usize = "1048576", Rule::Integer { min: 1_024, max: 1_073_741_824 };
        /// Largest request body of an evidence upload, in bytes.
        max_upload_bytes: usize = "52428800", Rule::Integer { min: 1_024, max: 10_737_418_240 };
        /// Time after SIGTERM or Ctrl-C during which /readyz answers 503 and requests are still served, in milliseconds; longer
        /// than a load balancer needs to notice. No job and no delivery begins meanwhile. 0: new connections are refused at once.
        drain_delay_ms: u64 = "0", Rule::Integer { min: 0, max: 60_000 };
        /// Time for requests and jobs in flight to finish, in milliseconds: for jobs after SIGTERM or Ctrl-C, for requests after
        /// `drain_delay_ms`.
        shutdown_grace_ms: u64 = "10000", Rule::Integer { min: 0, max: 600_000 };
        /// Proxies whose X-Forwarded-For is believed, as addresses or CIDR networks.
        trusted_proxies: Vec<Network> = "[]", Rule::Networks;
    }
}
