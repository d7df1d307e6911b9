//! What the process and its runtime use, read from /proc when somebody asks, in Prometheus' text format.

use std::fmt::Write as _;

/// Kernel clock ticks a second as user space sees them: always 100 on Linux (`USER_HZ`).
const TICKS_PER_SECOND: f64 = 100.0;

/// The lines about this process; what cannot be read is left out.
pub(super) fn text() -> String {
    let mut text = String::new();
    let mut put = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
    };
    put("process_resident_memory_bytes", "gauge", "Resident memory in bytes.", resident_bytes());
    put("process_cpu_seconds_total", "counter", "User and system CPU time in seconds.", cpu_seconds());
    put("process_open_fds", "gauge", "Open file descriptors.", open_descriptors());
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let metrics = runtime.metrics();
        put("tokio_workers", "gauge", "Worker threads of the runtime.", Some(small(metrics.num_workers())));
        put("tokio_alive_tasks", "gauge", "Tasks that have not finished.", Some(small(metrics.num_alive_tasks())));
        let waiting = Some(small(metrics.global_queue_depth()));
        put("tokio_global_queue_depth", "gauge", "Tasks that wait for a worker.", waiting);
    }
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(text, "# HELP docket_build_info Which build this is.\n# TYPE docket_build_info gauge");
    let _ = writeln!(text, "docket_build_info{{version=\"{version}\"}} 1");
    text
}

fn small(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kilobytes| kilobytes * 1024.0)
}

fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The process name stands in parentheses and may hold spaces; the fields are counted from behind it.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

fn open_descriptors() -> Option<f64> {
    // The listing itself holds one more open.
    Some(small(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_process_knows_what_it_uses() {
        assert!(resident_bytes() > Some(1e6), "{:?}", resident_bytes());
        assert!(cpu_seconds().is_some());
        assert!(open_descriptors() >= Some(3.0));
        assert!(text().contains("docket_build_info{version="));
    }
}
