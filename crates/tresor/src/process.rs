//! What the operating system counts for this process: memory and CPU time.
//!
//! Read from `/proc` (format: proc(5)), through the seam to files. Where that cannot be read, figures are 0.

use std::path::Path;

use crate::files::{Files, Open, SystemFiles};

/// Clock ticks a second in `/proc/self/stat`: 100 on every Linux that user programs see.
const TICKS_PER_SECOND: f64 = 100.0;

/// More than `/proc/self/status` ever is.
const LONGEST_BYTES: usize = 16 * 1024;

/// The figures.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessFigures {
    /// Bytes of memory in use.
    pub resident_bytes: u64,
    /// The most that it ever was.
    pub peak_resident_bytes: u64,
    /// Seconds of CPU time spent in the program.
    pub user_seconds: f64,
    /// Seconds of CPU time spent in the system for it.
    pub system_seconds: f64,
}

impl ProcessFigures {
    /// The figures now.
    pub fn now() -> Self {
        let status = read("/proc/self/status");
        let stat = read("/proc/self/stat");
        // The second field is a name in parentheses that may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let seconds = |field: usize| {
            let ticks = fields.get(field).and_then(|ticks| ticks.parse::<f64>().ok());
            ticks.unwrap_or(0.0) / TICKS_PER_SECOND
        };
        Self {
            resident_bytes: kibibytes(&status, "VmRSS:") * 1024,
            peak_resident_bytes: kibibytes(&status, "VmHWM:") * 1024,
            user_seconds: seconds(11),
            system_seconds: seconds(12),
        }
    }
}

/// Bytes of memory that the machine has.
pub fn total_memory_bytes() -> u64 {
    kibibytes(&read("/proc/meminfo"), "MemTotal:") * 1024
}

fn read(path: &str) -> String {
    let mut buffer = vec![0; LONGEST_BYTES];
    let bytes = SystemFiles.open(Path::new(path), Open::Read).and_then(|file| file.read_at(&mut buffer, 0));
    String::from_utf8_lossy(&buffer[..bytes.unwrap_or(0)]).into_owned()
}

fn kibibytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{ProcessFigures, total_memory_bytes};

    #[test]
    fn this_process_uses_memory() {
        let figures = ProcessFigures::now();
        assert!(figures.resident_bytes > 100_000);
        assert!(figures.peak_resident_bytes >= figures.resident_bytes / 2);
        assert!(total_memory_bytes() > figures.resident_bytes);
    }
}
