//! Memory does not grow with the file.

use std::fs::File;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use crate::harness::{Said, World, append_generated, generated};

/// Rows of the file that is validated; enough for anything kept per row to show.
const VALIDATED: u64 = 200_000;

/// Rows of the file that is imported: many batches, few enough for a test.
const IMPORTED: u64 = 10_000;

/// The bound for the peak, in KiB.
const PEAK_KIB: u64 = 100 * 1024;

#[tokio::test]
async fn two_hundred_thousand_rows_need_less_than_100_mib() {
    let world = World::new().await;
    let (said, peak) = peak_of(&world, VALIDATED, &["--dry-run"]).await;
    assert_eq!((said.count("imported"), said.count("rejected")), (VALIDATED, 0), "{said:?}");
    println!("peak {peak} KiB");
    assert!(peak > 0 && peak < PEAK_KIB, "peak {peak} KiB");
}

#[tokio::test]
async fn writing_needs_no_more_memory_than_a_few_batches() {
    let world = World::new().await;
    let (said, peak) = peak_of(&world, IMPORTED, &["--batch", "1000"]).await;
    assert_eq!((said.count("imported"), said.count("rejected")), (IMPORTED, 0), "{said:?}");
    println!("peak {peak} KiB");
    assert!(peak > 0 && peak < PEAK_KIB, "peak {peak} KiB");
    world.assert_sound().await;
}

/// Imports so many rows and watches the memory of the process that is no file's (its code is, and a debug build has much of
/// it): the largest of many looks, in KiB.
async fn peak_of(world: &World, rows: u64, more: &[&str]) -> (Said, u64) {
    let path = world.path("many.csv");
    let mut file = File::create(&path).unwrap();
    file.write_all(generated(0, 1).as_bytes()).unwrap();
    let mut text = String::new();
    for start in (1..rows).step_by(10_000) {
        text.clear();
        append_generated(&mut text, start, 10_000.min(rows - start));
        file.write_all(text.as_bytes()).unwrap();
    }
    let arguments = [&["import", "cases", path.to_str().unwrap(), "--tenant", "one"], more].concat();
    let mut process = world.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", process.id());
    let mut peak = 0;
    while process.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        peak = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0).max(peak);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (process.wait_with_output().unwrap().into(), peak)
}
