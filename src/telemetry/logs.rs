//! How log lines look: for people on a terminal, one JSON object a line otherwise; both name request and trace.

use std::fmt::{self, Write as _};
use std::io::IsTerminal;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::context::with_current;
use crate::config::LogFormat;

/// Writes one event a line, in one of the two forms.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line {
    Pretty,
    Json,
}

impl Line {
    /// The form for `format`; `auto` looks whether standard error is a terminal.
    pub(super) fn of(format: LogFormat) -> Self {
        match format {
            LogFormat::Pretty => Self::Pretty,
            LogFormat::Auto if std::io::stderr().is_terminal() => Self::Pretty,
            LogFormat::Auto | LogFormat::Json => Self::Json,
        }
    }
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match self {
            Self::Pretty => pretty(&mut writer, event),
            Self::Json => json(&mut writer, event),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a log line tells when it was really written, also under a test clock")]
fn now() -> OffsetDateTime {
    std::time::SystemTime::now().into()
}

fn json(writer: &mut Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    let now = now().format(&Rfc3339).map_err(|_| fmt::Error)?;
    write!(writer, "{{\"timestamp\":\"{now}\",\"level\":\"{}\",\"target\":", metadata.level())?;
    quote(writer, metadata.target())?;
    let mut message = Message::default();
    event.record(&mut message);
    writer.write_str(",\"message\":")?;
    quote(writer, &message.0)?;
    writer.write_str(",\"fields\":{")?;
    let mut fields = JsonFields { writer, first: true, result: Ok(()) };
    event.record(&mut fields);
    fields.result?;
    writer.write_char('}')?;
    let ids = with_current(|context| {
        write!(writer, ",\"trace_id\":\"{}\",\"span_id\":\"{}\",\"request_id\":", context.trace_id, context.span_id())?;
        quote(writer, &context.request_id)
    });
    ids.unwrap_or(Ok(()))?;
    writer.write_str("}\n")
}

fn pretty(writer: &mut Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    let now = now();
    let (hour, minute, second, millisecond) = (now.hour(), now.minute(), now.second(), now.millisecond());
    let (colour, dim, plain) = match (writer.has_ansi_escapes(), *metadata.level()) {
        (false, _) => ("", "", ""),
        (true, Level::ERROR) => ("\x1b[31m", "\x1b[2m", "\x1b[0m"),
        (true, Level::WARN) => ("\x1b[33m", "\x1b[2m", "\x1b[0m"),
        (true, Level::INFO) => ("\x1b[32m", "\x1b[2m", "\x1b[0m"),
        (true, _) => ("\x1b[34m", "\x1b[2m", "\x1b[0m"),
    };
    write!(
        writer,
        "{dim}{hour:02}:{minute:02}:{second:02}.{millisecond:03}{plain} {colour}{:>5}{plain} ",
        metadata.level()
    )?;
    write!(writer, "{dim}{}{plain} ", metadata.target())?;
    let mut message = Message::default();
    event.record(&mut message);
    // Control characters in foreign text must not steer the terminal.
    message.0.chars().try_for_each(|letter| write_visible(writer, letter))?;
    let mut fields = PrettyFields { writer, dim, plain, result: Ok(()) };
    event.record(&mut fields);
    fields.result?;
    let ids = with_current(|context| {
        write!(writer, " {dim}request_id={} trace_id={}{plain}", context.request_id, context.trace_id)
    });
    ids.unwrap_or(Ok(()))?;
    writer.write_char('\n')
}

fn write_visible(writer: &mut Writer<'_>, letter: char) -> fmt::Result {
    if letter.is_control() && letter != '\n' {
        write!(writer, "{}", letter.escape_default())
    } else {
        writer.write_char(letter)
    }
}

/// Writes `text` as a JSON string (RFC 8259, section 7).
fn quote(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    writer.write_char('"')?;
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        writer.write_str(&text[plain..at])?;
        plain = at + 1;
        match byte {
            b'"' | b'\\' => write!(writer, "\\{}", char::from(byte))?,
            b'\n' => writer.write_str("\\n")?,
            _ => write!(writer, "\\u{byte:04x}")?,
        }
    }
    writer.write_str(&text[plain..])?;
    writer.write_char('"')
}

/// Picks the message out of an event.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

struct JsonFields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    first: bool,
    result: fmt::Result,
}

impl JsonFields<'_, '_> {
    fn member(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if field.name() == "message" || self.result.is_err() {
            return;
        }
        let comma = if std::mem::take(&mut self.first) { "" } else { "," };
        self.result = write!(self.writer, "{comma}\"{}\":", field.name()).and_then(|()| value(self.writer));
    }
}

impl Visit for JsonFields<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.member(field, |writer| quote(writer, &format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field, |writer| quote(writer, value));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, |writer| write!(writer, "{value}"));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, |writer| write!(writer, "{value}"));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no NaN and no infinity.
        self.member(
            field,
            |writer| if value.is_finite() { write!(writer, "{value}") } else { writer.write_str("null") },
        );
    }
}

struct PrettyFields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    dim: &'static str,
    plain: &'static str,
    result: fmt::Result,
}

impl Visit for PrettyFields<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" || self.result.is_err() {
            return;
        }
        self.result = write!(self.writer, " {}{}={}", self.dim, field.name(), self.plain).and_then(|()| {
            let text = format!("{value:?}");
            text.chars().try_for_each(|letter| write_visible(self.writer, letter))
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::{RequestContext, SpanId, scope};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Sink {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    async fn logged(line: Line) -> String {
        let sink = Sink::default();
        let layer = tracing_subscriber::fmt::layer().event_format(line).with_ansi(false).with_writer(sink.clone());
        let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
        let context = Arc::new(RequestContext::new("req\"1".to_owned(), SpanId::random(true)));
        scope(context, async {
            tracing::info!(count = 3, ratio = 0.5, name = "a\"b\\c\nd\u{1b}e", missing = ?None::<u8>, "hello \"you\"");
        })
        .await;
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[tokio::test]
    async fn a_json_line_is_one_object_that_names_request_and_trace() {
        let text = logged(Line::Json).await;
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "hello \"you\"");
        assert_eq!(line["request_id"], "req\"1");
        assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
        assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
        assert_eq!(line["fields"]["count"], 3);
        assert_eq!(line["fields"]["name"], "a\"b\\c\nd\u{1b}e");
    }

    #[tokio::test]
    async fn a_pretty_line_lets_no_escape_sequence_through() {
        let text = logged(Line::Pretty).await;
        assert!(text.contains("hello \"you\"") && text.contains("trace_id="), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
