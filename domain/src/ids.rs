//! Identifiers: one newtype each over a UUID, so that the compiler tells them apart.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )*};
}

id_types! {
    /// A tenant: one regulator, isolated from all others.
    TenantId;
    /// A person, a service or the system itself, inside one tenant.
    PrincipalId;
    /// A case.
    CaseId;
    /// A note on a case.
    NoteId;
    /// One attachment of evidence to a case (many may point at the same stored bytes).
    EvidenceId;
    /// A link from one case to another.
    LinkId;
    /// An answer of the company register on a case.
    RegisterEntryId;
    /// A committed event; also the CloudEvents `id`.
    EventId;
    /// An API key.
    ApiKeyId;
    /// A job.
    JobId;
    /// One life of a worker process; a restart is another worker.
    WorkerId;
    /// A webhook endpoint.
    EndpointId;
    /// Somebody that events are handed to: a webhook endpoint (with its id) or a sink.
    DestinationId;
    /// A collection of documents that are cut into passages alike.
    CollectionId;
    /// A document.
    DocumentId;
    /// A passage of one generation of a document.
    ChunkId;
}

impl From<EndpointId> for DestinationId {
    fn from(endpoint: EndpointId) -> Self {
        Self(endpoint.0)
    }
}

impl DestinationId {
    /// The destination that a sink of this name is: a UUID (version 8) made from the name, the same in every process.
    pub fn of_sink(name: &str) -> Self {
        use sha2::{Digest, Sha256};
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(name)[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl TenantId {
    /// The platform itself: the tenant that operators belong to and that owns no cases.
    pub const PLATFORM: Self = Self(Uuid::nil());
}

impl PrincipalId {
    /// The system actor, present in every tenant: it escalates overdue cases and imports historical ones.
    pub const SYSTEM: Self = Self(Uuid::nil());
}
