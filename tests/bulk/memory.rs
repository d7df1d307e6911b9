//! Memory does not grow with the file.

use std::fs::File;
use std::io::Write as _;

use crate::harness::{World, append_generated, generated};

/// Rows in the file; large enough for anything kept per row to show.
const ROWS: u64 = 200_000;

/// The bound for the peak, in KiB.
const PEAK_KIB: u64 = 120 * 1024;

#[tokio::test]
async fn two_hundred_thousand_rows_need_less_than_120_mib() {
    let world = World::new().await;
    let path = world.path("many.csv");
    let mut file = File::create(&path).unwrap();
    file.write_all(generated(0, 1).as_bytes()).unwrap();
    let mut text = String::new();
    for start in (1..ROWS).step_by(10_000) {
        text.clear();
        append_generated(&mut text, start, 10_000.min(ROWS - start));
        file.write_all(text.as_bytes()).unwrap();
    }
    let arguments = ["import", "cases", path.to_str().unwrap(), "--tenant", "one", "--batch", "1000"];
    let mut process = world.command(&arguments).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", process.id());
    let mut peak = 0;
    while process.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0).max(peak);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let said = crate::harness::Said::from(process.wait_with_output().unwrap());
    assert_eq!(said.count("imported"), ROWS, "{said:?}");
    assert!(peak > 0 && peak < PEAK_KIB, "peak {peak} KiB");
    eprintln!("peak {peak} KiB for {ROWS} rows");
    eprintln!("{}", said.out);
}
