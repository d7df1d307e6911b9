//! What plugins print: a line of the log each, under the trace of the call, and no more than anybody would read.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::process::CurrentCall;

/// Lines that are logged for one call; the rest is counted only.
const LINES: u32 = 50;
/// Bytes of a line that are logged.
const LINE: usize = 2_000;
/// What is read at once.
const BLOCK: usize = 16 * 1024;

/// Reads until the worker ends.
pub(super) async fn log_lines(mut from: impl AsyncRead + Unpin, stream: &'static str, current: CurrentCall) {
    let mut block = vec![0; BLOCK];
    let mut line: Vec<u8> = Vec::new();
    let mut budget = Budget { call: 0, left: LINES };
    while let Ok(read @ 1..) = from.read(&mut block).await {
        for part in block[..read].split_inclusive(|byte| *byte == b'\n') {
            let room = LINE.saturating_sub(line.len()).min(part.len());
            line.extend_from_slice(&part[..room]);
            if part.ends_with(b"\n") {
                log(&line, stream, &current, &mut budget);
                line.clear();
            }
        }
    }
    log(&line, stream, &current, &mut budget);
}

struct Budget {
    call: u64,
    left: u32,
}

fn log(line: &[u8], stream: &'static str, current: &CurrentCall, budget: &mut Budget) {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    if text.is_empty() {
        return;
    }
    current.enter(|number| {
        if budget.call != number {
            *budget = Budget { call: number, left: LINES };
        }
        match budget.left {
            0 => return,
            1 => tracing::info!(stream, "the plugin prints more than is logged"),
            _ => tracing::info!(stream, "{text}"),
        }
        budget.left -= 1;
    });
}
