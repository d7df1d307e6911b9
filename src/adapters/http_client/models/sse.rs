//! Cuts bytes into the events of a stream, whatever the size of the pieces in which they arrive.
//!
//! The format is `text/event-stream` of the WHATWG HTML standard, section 9.2: lines end with LF, CR or CRLF, a byte order
//! mark may come first, an event ends with an empty line, and an event that the end of the stream cuts is no event.

use std::collections::VecDeque;
use std::time::Duration;

/// The longest line, in bytes.
pub const LONGEST_LINE: usize = 256 * 1024;
/// The most data of one event, in bytes.
pub const LARGEST_EVENT: usize = 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// Its type; `message` where the stream does not say.
    pub kind: String,
    /// Its data, lines joined by LF.
    pub data: String,
    /// The last id that the stream named, empty before the first.
    pub last_id: String,
}

/// The stream goes beyond a bound; what follows cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line does not end.
    #[error("a line of the event stream is longer than {LONGEST_LINE} bytes")]
    LineTooLong,
    /// An event does not end.
    #[error("an event of the stream holds more than {LARGEST_EVENT} bytes")]
    EventTooLarge,
}

/// The parser of one stream. It holds one line and one event at most.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    /// The last byte ended a line with CR: a LF right after it belongs to the same end.
    after_cr: bool,
    /// A line was seen: a byte order mark is one before the first line only.
    begun: bool,
    kind: String,
    data: String,
    last_id: String,
    retry: Option<Duration>,
}

impl SseParser {
    /// A parser at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the server asks clients to wait before they come back, if it said so.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Takes the next bytes and adds the events that they complete.
    pub fn feed(&mut self, mut bytes: &[u8], events: &mut VecDeque<SseEvent>) -> Result<(), SseError> {
        while let Some(&first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + part.len() > LONGEST_LINE {
                return Err(SseError::LineTooLong);
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { return Ok(()) };
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            self.end_line(events)?;
        }
        Ok(())
    }

    fn end_line(&mut self, events: &mut VecDeque<SseEvent>) -> Result<(), SseError> {
        let line = std::mem::take(&mut self.line);
        let first = !std::mem::replace(&mut self.begun, true);
        let bytes = if first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) } else { &line };
        // A line is decoded whole, so that a character cut by the network is whole again; what is no UTF-8 becomes U+FFFD.
        let text = String::from_utf8_lossy(bytes);
        let outcome = if text.is_empty() {
            self.dispatch(events);
            Ok(())
        } else {
            self.field(&text)
        };
        // The buffer is kept: a stream is many short lines.
        self.line = line;
        self.line.clear();
        outcome
    }

    fn field(&mut self, line: &str) -> Result<(), SseError> {
        // A line that begins with a colon is a comment: its name is empty and known to nobody.
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                if self.data.len() + value.len() >= LARGEST_EVENT {
                    return Err(SseError::EventTooLarge);
                }
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.last_id),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = value.parse().ok().map(Duration::from_millis).or(self.retry);
            }
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, events: &mut VecDeque<SseEvent>) {
        let (kind, mut data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
        if data.pop().is_some() {
            let kind = if kind.is_empty() { "message".to_owned() } else { kind };
            events.push_back(SseEvent { kind, data, last_id: self.last_id.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let (mut parser, mut events) = (SseParser::new(), VecDeque::new());
        for piece in pieces {
            assert_eq!(parser.feed(piece, &mut events), Ok(()));
        }
        events.into()
    }

    fn data(text: &str) -> Vec<String> {
        parse(&[text.as_bytes()]).into_iter().map(|event| event.data).collect()
    }

    #[test]
    fn the_examples_of_the_standard_are_read_as_it_says() {
        assert_eq!(data("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        let stream = ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        let events = parse(&[stream.as_bytes()]);
        let read: Vec<_> = events.iter().map(|event| (event.data.as_str(), event.last_id.as_str())).collect();
        assert_eq!(read, [("first event", "1"), ("second event", ""), (" third event", "")]);
        assert_eq!(data("data\n\ndata\ndata\n\ndata:"), ["", "\n"], "the last event is not finished");
        assert_eq!(data("data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn lines_end_with_lf_cr_or_crlf_and_an_event_is_out_with_the_byte_that_ends_it() {
        for stream in ["data: a\n\ndata: b\n\n", "data: a\r\rdata: b\r\r", "data: a\r\n\r\ndata: b\r\n\r\n"] {
            assert_eq!(data(stream), ["a", "b"], "{stream:?}");
        }
        assert_eq!(parse(&[b"data: a\r\r"]).len(), 1, "not held back for the LF that might follow");
        assert_eq!(parse(&[b"data: a\r", b"\ndata: b\r\n", b"\r", b"\n"])[0].data, "a\nb");
    }

    #[test]
    fn types_ids_retries_comments_and_unknown_fields_are_told_apart() {
        let (mut parser, mut events) = (SseParser::new(), VecDeque::new());
        let stream = "\u{feff}event: ping\ndata: {}\nid: 7\nretry: 1500\n\nevent: lost\n\nretry: soon\nid: a\0b\n:\nwhat: ever\ndata: x\n\n";
        assert_eq!(parser.feed(stream.as_bytes(), &mut events), Ok(()));
        let read: Vec<_> =
            events.iter().map(|event| (event.kind.as_str(), event.data.as_str(), event.last_id.as_str())).collect();
        assert_eq!(read, [("ping", "{}", "7"), ("message", "x", "7")]);
        assert_eq!(parser.retry(), Some(Duration::from_millis(1_500)));
        assert_eq!(data("data: x\n\n\u{feff}data: y\n\n"), ["x"], "a mark further down is part of a name");
    }

    #[test]
    fn what_does_not_end_is_refused_before_it_fills_the_memory() {
        let (mut parser, mut events) = (SseParser::new(), VecDeque::new());
        let block = vec![b'x'; 64 * 1024];
        let fed = (0..8).map(|_| parser.feed(&block, &mut events)).find(Result::is_err);
        assert_eq!(fed, Some(Err(SseError::LineTooLong)));
        let mut parser = SseParser::new();
        let line = format!("data: {}\n", "y".repeat(200_000));
        let fed = (0..8).map(|_| parser.feed(line.as_bytes(), &mut events)).find(Result::is_err);
        assert_eq!((fed, events.len()), (Some(Err(SseError::EventTooLarge)), 0));
    }

    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("data: ".as_bytes().to_vec()),
            Just("data".as_bytes().to_vec()),
            Just("event: é\n".as_bytes().to_vec()),
            Just("id: 1\n".as_bytes().to_vec()),
            Just(":".as_bytes().to_vec()),
            Just("\n".as_bytes().to_vec()),
            Just("\r".as_bytes().to_vec()),
            Just("\r\n".as_bytes().to_vec()),
            Just("\n\n".as_bytes().to_vec()),
            Just("日本 🦀 \u{feff}".as_bytes().to_vec()),
            proptest::collection::vec(any::<u8>(), 0..4),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_events_do_not_depend_on_how_the_bytes_were_cut(bytes in stream(), cuts in proptest::collection::vec(0_usize..200, 0..12)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            let whole = parse(&[&bytes]);
            prop_assert_eq!(&parse(&pieces), &whole);
            prop_assert_eq!(&parse(&single), &whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            parse(&[&bytes]);
        }
    }
}
