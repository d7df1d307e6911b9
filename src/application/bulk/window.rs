//! A window of bounded size over a file: knows where it stands, reads on when asked, can look ahead without moving.

use std::io::{self, Read};

/// How much is read from the file at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Where in the file something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Bytes before it.
    pub offset: u64,
    /// Its line, counted from 1.
    pub line: u64,
}

/// The unread part of a file, of which only as much is held in memory as somebody asked to see.
#[derive(Debug)]
pub struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    at_end: bool,
    place: Place,
}

impl<R: Read> Window<R> {
    /// A window at the beginning of the file; a UTF-8 byte order mark is passed over.
    pub fn new(source: R) -> io::Result<Self> {
        let place = Place { offset: 0, line: 1 };
        let mut window = Self { source, buffer: Vec::new(), start: 0, at_end: false, place };
        if window.look(3)?.starts_with(b"\xef\xbb\xbf") {
            window.advance(3);
        }
        Ok(window)
    }

    /// Where the window begins.
    pub fn place(&self) -> Place {
        self.place
    }

    /// At least `wanted` bytes from here on, or all that are left.
    pub fn look(&mut self, wanted: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.start < wanted && !self.at_end {
            if self.start > 0 && self.start >= self.buffer.len() / 2 {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            let filled = self.buffer.len();
            self.buffer.resize(filled + CHUNK, 0);
            let count = loop {
                match self.source.read(&mut self.buffer[filled..]) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            self.buffer.truncate(filled + *count.as_ref().unwrap_or(&0));
            self.at_end = count? == 0;
        }
        Ok(&self.buffer[self.start..])
    }

    /// What is in memory already.
    pub fn seen(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Whether nothing stands behind what is in memory.
    pub fn at_end(&self) -> bool {
        self.at_end
    }

    /// Moves on by `count` bytes that were looked at.
    pub fn advance(&mut self, count: usize) {
        let passed = &self.buffer[self.start..self.start + count];
        self.place.line += line_ends(passed);
        self.place.offset += count as u64;
        self.start += count;
        // A single giant record must not keep its memory for the rest of the file.
        if self.start == self.buffer.len() && self.buffer.capacity() > 4 * CHUNK {
            self.buffer = Vec::new();
            self.start = 0;
        }
    }

    /// Moves to the beginning of the next line, however far it is, holding no more than a chunk in memory.
    pub fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let seen = self.look(1)?;
            if seen.is_empty() {
                return Ok(());
            }
            match seen.iter().position(|byte| *byte == b'\n') {
                Some(position) => {
                    self.advance(position + 1);
                    return Ok(());
                }
                None => self.advance(self.seen().len()),
            }
        }
    }
}

/// The number of line feeds.
pub fn line_ends(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_kept_across_marks_lines_and_chunks() {
        let text = format!("\u{feff}a\n{}\nlast", "x".repeat(200_000));
        let mut window = Window::new(text.as_bytes()).expect("reads");
        assert_eq!(window.look(2).expect("reads")[..2], *b"a\n");
        window.skip_line().expect("reads");
        assert_eq!(window.place(), Place { offset: 5, line: 2 });
        window.skip_line().expect("reads");
        assert_eq!(window.place().line, 3);
        assert_eq!(window.look(100).expect("reads"), b"last");
        window.skip_line().expect("reads");
        assert!(window.look(1).expect("reads").is_empty() && window.at_end());
    }

    #[test]
    fn skipping_a_giant_line_does_not_hold_it() {
        let text = vec![b'x'; 5_000_000];
        let mut window = Window::new(&text[..]).expect("reads");
        window.skip_line().expect("reads");
        assert!(window.buffer.capacity() < 1_000_000);
    }
}
