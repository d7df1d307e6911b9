//! What goes over the socket between the service and a plugin worker.
//!
//! A frame is the length of what follows (`u32`, big endian), the length of the header (`u32`, big endian), the header (a
//! JSON object in UTF-8) and the payload (any bytes). Whoever reads trusts neither length.

use std::io::{self, Read, Write};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The largest frame, in bytes without the first length.
pub const FRAME_MAX: usize = 256 * 1024 * 1024;
/// The largest header.
pub const HEADER_MAX: usize = 64 * 1024 * 1024;
/// How much is taken in at once: a length that lies costs no more memory than was sent.
const STEP: usize = 1024 * 1024;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// A JSON object as text.
    pub header: String,
    /// Bytes.
    pub payload: Bytes,
}

/// Bytes that are no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side went away, between frames or within one.
    #[error("the connection ended")]
    Ended,
    /// A length is impossible, or the header is no text.
    #[error("not a frame: {0}")]
    Malformed(&'static str),
    /// The connection failed.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Ended,
            _ => Self::Io(error),
        }
    }
}

/// Judges the two lengths that begin a frame; what remains to be read as header and payload.
fn lengths(start: [u8; 8]) -> Result<(usize, usize), FrameError> {
    let number = |at: usize| u32::from_be_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]) as usize;
    let (total, header) = (number(0), number(4));
    if !(4..=FRAME_MAX).contains(&total) {
        return Err(FrameError::Malformed("its length is out of range"));
    }
    if header > HEADER_MAX || header > total - 4 {
        return Err(FrameError::Malformed("its header is longer than it"));
    }
    Ok((header, total - 4 - header))
}

fn text(header: Vec<u8>) -> Result<String, FrameError> {
    String::from_utf8(header).map_err(|_| FrameError::Malformed("its header is no text"))
}

impl Frame {
    /// The lengths that come before header and payload; none when the frame would be too large.
    fn start(&self) -> Option<[u8; 8]> {
        let total = 4 + self.header.len() + self.payload.len();
        if total > FRAME_MAX || self.header.len() > HEADER_MAX {
            return None;
        }
        let mut start = [0; 8];
        start[..4].copy_from_slice(&u32::try_from(total).ok()?.to_be_bytes());
        start[4..].copy_from_slice(&u32::try_from(self.header.len()).ok()?.to_be_bytes());
        Some(start)
    }

    /// Whether it can be sent.
    pub fn fits(&self) -> bool {
        self.start().is_some()
    }

    /// Sends it; small ones in one write.
    pub fn write(&self, to: &mut impl Write) -> Result<(), FrameError> {
        let start = self.start().ok_or(FrameError::Malformed("it is too large"))?;
        let mut head = Vec::with_capacity(8 + self.header.len() + self.payload.len().min(STEP));
        head.extend_from_slice(&start);
        head.extend_from_slice(self.header.as_bytes());
        if self.payload.len() <= STEP {
            head.extend_from_slice(&self.payload);
            return Ok(to.write_all(&head)?);
        }
        to.write_all(&head)?;
        Ok(to.write_all(&self.payload)?)
    }

    /// Waits for the next one.
    pub fn read(from: &mut impl Read) -> Result<Self, FrameError> {
        let mut start = [0; 8];
        from.read_exact(&mut start)?;
        let (header, payload) = lengths(start)?;
        let mut part = |length: usize| -> Result<Vec<u8>, FrameError> {
            let mut bytes = Vec::with_capacity(length.min(STEP));
            if from.take(length as u64).read_to_end(&mut bytes)? < length { Err(FrameError::Ended) } else { Ok(bytes) }
        };
        Ok(Self { header: text(part(header)?)?, payload: part(payload)?.into() })
    }

    /// [`Self::write`] without blocking.
    pub async fn send(&self, to: &mut (impl AsyncWrite + Unpin)) -> Result<(), FrameError> {
        let start = self.start().ok_or(FrameError::Malformed("it is too large"))?;
        let mut head = Vec::with_capacity(8 + self.header.len() + self.payload.len().min(STEP));
        head.extend_from_slice(&start);
        head.extend_from_slice(self.header.as_bytes());
        if self.payload.len() <= STEP {
            head.extend_from_slice(&self.payload);
            return Ok(to.write_all(&head).await?);
        }
        to.write_all(&head).await?;
        Ok(to.write_all(&self.payload).await?)
    }

    /// [`Self::read`] without blocking.
    pub async fn receive(from: &mut (impl AsyncRead + Unpin)) -> Result<Self, FrameError> {
        let mut start = [0; 8];
        from.read_exact(&mut start).await?;
        let (header, payload) = lengths(start)?;
        let header = text(receive_part(from, header).await?)?;
        Ok(Self { header, payload: receive_part(from, payload).await?.into() })
    }
}

async fn receive_part(from: &mut (impl AsyncRead + Unpin), length: usize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::with_capacity(length.min(STEP));
    let read = from.take(length as u64).read_to_end(&mut bytes).await?;
    if read < length { Err(FrameError::Ended) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// Notes the largest piece of memory that is offered to it.
    struct Measured<'a> {
        bytes: &'a [u8],
        largest: usize,
    }

    impl Read for Measured<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.largest = self.largest.max(into.len());
            Read::read(&mut self.bytes, into)
        }
    }

    fn length() -> impl Strategy<Value = u32> {
        let wide = |length: usize| u32::try_from(length).unwrap();
        prop_oneof![6 => 0_u32..700, 1 => any::<u32>(), 1 => Just(FRAME_MAX).prop_map(wide), 1 => Just(HEADER_MAX).prop_map(wide)]
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_alike_with_and_without_blocking_and_cost_no_more_than_was_sent(
            total in length(), header in length(), rest in prop::collection::vec(any::<u8>(), 0..700)
        ) {
            let bytes = [&total.to_be_bytes()[..], &header.to_be_bytes(), &rest].concat();
            let mut measured = Measured { bytes: &bytes, largest: 0 };
            let read = Frame::read(&mut measured);
            prop_assert!(measured.largest <= STEP, "{} bytes at once for {} that were sent", measured.largest, bytes.len());
            let mut left = bytes.as_slice();
            let received = futures::executor::block_on(Frame::receive(&mut left));
            prop_assert_eq!(format!("{read:?}"), format!("{received:?}"));
            if let Ok(frame) = read {
                prop_assert_eq!(measured.bytes, left);
                let mut again = Vec::new();
                frame.write(&mut again).unwrap();
                prop_assert_eq!(&again[..], &bytes[..again.len()]);
            }
        }

        #[test]
        fn frames_survive_the_way_and_any_bytes_are_judged_without_panic(
            header in "\\PC{0,200}", payload in prop::collection::vec(any::<u8>(), 0..500),
            noise in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            let frame = Frame { header, payload: payload.into() };
            let mut bytes = Vec::new();
            frame.write(&mut bytes).unwrap();
            let whole = bytes.len();
            bytes.extend_from_slice(&noise);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(Frame::read(&mut rest).unwrap(), frame);
            prop_assert_eq!(rest, &noise[..]);
            let _ = Frame::read(&mut rest);
            let cut = whole.saturating_sub(1);
            prop_assert!(matches!(Frame::read(&mut &bytes[..cut]), Err(FrameError::Ended)));
        }
    }

    #[tokio::test]
    async fn a_length_that_lies_is_found_out_without_taking_memory_for_it() {
        let lie = [&(u32::try_from(FRAME_MAX).unwrap()).to_be_bytes()[..], &0_u32.to_be_bytes(), b"few"].concat();
        assert!(matches!(Frame::receive(&mut lie.as_slice()).await, Err(FrameError::Ended)));
        assert!(matches!(Frame::read(&mut lie.as_slice()), Err(FrameError::Ended)));
        for (total, header) in [(0_u32, 0_u32), (3, 0), (u32::MAX, 0), (10, 7), (10, u32::MAX)] {
            let bytes = [total.to_be_bytes(), header.to_be_bytes()].concat();
            assert!(matches!(Frame::read(&mut bytes.as_slice()), Err(FrameError::Malformed(_))), "{total} {header}");
        }
    }
}
