//! What the kernel says of a process: processor time, resident memory, and its peak.
//!
//! Processor time is `schedstat`'s count of nanoseconds on a processor, summed over the threads; unlike
//! `stat` it is not rounded to clock ticks. A thread that ends takes its count along, so a row must not
//! measure across the end of one.

use std::fs;

use crate::Outcome;

/// Nanoseconds that the threads of a process have spent on a processor.
pub(super) fn cpu_ns(pid: u32) -> Outcome<u64> {
    let folder = format!("/proc/{pid}/task");
    let mut total = 0;
    for task in fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))? {
        let Ok(task) = task else { continue };
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task.path().join("schedstat")) else { continue };
        let first = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        total += first.ok_or_else(|| format!("{folder}: this kernel keeps no schedstat"))?;
    }
    Ok(total)
}

/// Bytes of a process that are in memory.
pub(super) fn resident_bytes(pid: u32) -> Outcome<u64> {
    status_bytes(pid, "VmRSS:")
}

/// The most bytes that were in memory since the start or the last [`reset_peak`].
pub(super) fn peak_resident_bytes(pid: u32) -> Outcome<u64> {
    status_bytes(pid, "VmHWM:")
}

/// Lets the peak begin anew from what is resident now.
pub(super) fn reset_peak(pid: u32) -> Outcome {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").map_err(|error| format!("{path}: {error}"))
}

fn status_bytes(pid: u32, field: &str) -> Outcome<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.split_whitespace().next()?.parse::<u64>().ok())
        .map(|kibibytes| kibibytes * 1024)
        .ok_or_else(|| format!("{path} has no {field}"))
}
