//! The connection to the broker and the stream behind it: made on first use, checked once a connection, kept.

use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{self, Context};
use async_nats::{ConnectErrorKind, ConnectOptions};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a failure is repeated without asking again: callers that waited for the same attempt get its answer.
const FAILURE_STANDS: Duration = Duration::from_secs(1);

/// How to reach the broker and what to keep there.
#[derive(Debug, Clone)]
pub struct NatsSettings {
    /// Where: `nats://` or `tls://`, a host and a port.
    pub url: String,
    /// Who we are there.
    pub credentials: Credentials,
    /// The stream.
    pub stream: String,
    /// What every subject begins with.
    pub subject_prefix: String,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for an acknowledgement.
    pub ack_timeout: Duration,
    /// How long the stream remembers ids of messages.
    pub duplicate_window: Duration,
    /// How long the stream keeps messages; zero keeps them for ever.
    pub keep: Duration,
    /// Copies of the stream in a cluster.
    pub replicas: usize,
}

/// How to log in. Its debug form shows no secret.
#[derive(Clone, Default)]
pub enum Credentials {
    /// With what the URL carries, if anything.
    #[default]
    OfUrl,
    /// With a token.
    Token(String),
    /// With name and password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::OfUrl => "OfUrl",
            Self::Token(_) => "Token(..)",
            Self::Password { .. } => "Password { .. }",
        })
    }
}

/// Why nothing can be published. The words show no address and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no connection; the client looks for one.
    #[error("no connection to the broker")]
    Disconnected,
    /// The first connection failed.
    #[error("cannot connect to the broker: {0}")]
    Connect(&'static str),
    /// The broker refused the stream.
    #[error("cannot use the stream `{stream}`: {cause}")]
    Stream {
        /// Which.
        stream: String,
        /// Why.
        cause: String,
    },
    /// The stream is there and takes something else.
    #[error("the stream `{stream}` does not take the subjects `{wanted}`; add them to it or name another stream")]
    OtherSubjects {
        /// Which.
        stream: String,
        /// What is published.
        wanted: String,
    },
}

/// The connection, once there is one, and whether the stream was looked at since.
pub struct Link {
    settings: NatsSettings,
    state: Mutex<Known>,
}

/// What is known of the broker.
enum Known {
    Nothing,
    Usable(Context),
    Failed(Instant, LinkError),
}

impl Link {
    /// A link that nobody has used yet.
    pub fn new(settings: NatsSettings) -> Self {
        Self { settings, state: Mutex::new(Known::Nothing) }
    }

    /// The settings.
    pub fn settings(&self) -> &NatsSettings {
        &self.settings
    }

    /// The way to publish: connects and makes or checks the stream when that has not been done.
    pub async fn context(&self) -> Result<Context, LinkError> {
        let mut state = self.state.lock().await;
        match &*state {
            Known::Usable(context) => {
                return match context.client().connection_state() {
                    State::Connected => Ok(context.clone()),
                    State::Pending | State::Disconnected => Err(LinkError::Disconnected),
                };
            }
            Known::Failed(at, error) if at.elapsed() < FAILURE_STANDS => return Err(error.clone()),
            Known::Failed(..) | Known::Nothing => {}
        }
        let opened = self.open().await;
        *state = match &opened {
            Ok(context) => Known::Usable(context.clone()),
            Err(error) => Known::Failed(Instant::now(), error.clone()),
        };
        opened
    }

    /// Looks at the stream again before the next message: somebody may have deleted it.
    pub async fn doubt(&self) {
        *self.state.lock().await = Known::Nothing;
    }

    async fn open(&self) -> Result<Context, LinkError> {
        let context = self.connect().await?;
        self.prepare(&context).await?;
        Ok(context)
    }

    async fn connect(&self) -> Result<Context, LinkError> {
        let settings = &self.settings;
        let options = ConnectOptions::new()
            .name("docket")
            .connection_timeout(settings.connect_timeout)
            .request_timeout(Some(settings.ack_timeout))
            // A connection that died without a word is noticed after two of these.
            .ping_interval(Duration::from_secs(10));
        let options = match &settings.credentials {
            Credentials::OfUrl => options,
            Credentials::Token(token) => options.token(token.clone()),
            Credentials::Password { user, password } => options.user_and_password(user.clone(), password.clone()),
        };
        let client =
            options.connect(&settings.url).await.map_err(|error| LinkError::Connect(connect_words(error.kind())))?;
        Ok(ContextBuilder::new().timeout(settings.ack_timeout).build(client))
    }

    /// Makes the stream, or checks that the one there takes our subjects. What its operator changed stays as it is.
    async fn prepare(&self, context: &Context) -> Result<(), LinkError> {
        let settings = &self.settings;
        let wanted = format!("{}.>", settings.subject_prefix);
        let failed = |cause: String| LinkError::Stream { stream: settings.stream.clone(), cause };
        let made = context.get_or_create_stream(Config {
            name: settings.stream.clone(),
            description: Some("Events of docket: CloudEvents 1.0, in the order of each case".to_owned()),
            subjects: vec![wanted.clone()],
            retention: RetentionPolicy::Limits,
            // When it is full, new messages are refused, and docket keeps them: nothing is thrown away unread.
            discard: DiscardPolicy::New,
            storage: StorageType::File,
            max_bytes: -1,
            max_messages: -1,
            max_messages_per_subject: -1,
            max_consumers: -1,
            max_age: settings.keep,
            duplicate_window: match settings.keep {
                Duration::ZERO => settings.duplicate_window,
                keep => settings.duplicate_window.min(keep),
            },
            num_replicas: settings.replicas,
            ..Config::default()
        });
        let stream = made.await.map_err(|error| failed(error.to_string()))?;
        let taken = &stream.cached_info().config.subjects;
        if taken.iter().any(|subject| covers(subject, &wanted)) {
            return Ok(());
        }
        Err(LinkError::OtherSubjects { stream: settings.stream.clone(), wanted })
    }
}

/// Whether everything that `wanted` matches is matched by `pattern`, too: equal, or a prefix that ends in `>`.
fn covers(pattern: &str, wanted: &str) -> bool {
    pattern == wanted || pattern.strip_suffix('>').is_some_and(|prefix| wanted.starts_with(prefix))
}

fn connect_words(kind: ConnectErrorKind) -> &'static str {
    match kind {
        ConnectErrorKind::ServerParse => "the address cannot be read",
        ConnectErrorKind::Dns => "the name cannot be resolved",
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => "it refuses our credentials",
        ConnectErrorKind::TimedOut => "no answer in time",
        ConnectErrorKind::Tls => "no secure connection",
        _ => "no connection",
    }
}

/// Whether the broker refused the message itself, rather than being unable to store any.
pub(super) fn refuses_the_message(error: &jetstream::context::PublishError) -> bool {
    use jetstream::ErrorCode;
    use jetstream::context::PublishErrorKind;
    let too_large = [ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM];
    let said = std::error::Error::source(error).and_then(|source| source.downcast_ref::<jetstream::Error>());
    error.kind() == PublishErrorKind::MaxPayloadExceeded
        || said.is_some_and(|said| too_large.contains(&said.error_code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_may_take_more_than_what_is_published() {
        assert!(covers("docket.events.>", "docket.events.>") && covers("docket.>", "docket.events.>"));
        assert!(covers(">", "docket.events.>") && !covers("docket.*", "docket.events.>"));
        assert!(!covers("other.>", "docket.events.>") && !covers("docket.events.x.>", "docket.events.>"));
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!("{:?}", Credentials::Password { user: "u".to_owned(), password: "hunter2".to_owned() });
        assert!(!shown.contains("hunter2") && !format!("{:?}", Credentials::Token("abc".to_owned())).contains("abc"));
    }
}
