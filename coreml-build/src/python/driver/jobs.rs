//! How many models are converted at the same time.
//!
//! Owns: the bounds by processors and memory.
//! Flow: `build/convert.rs` asks once for each run of the driver.

/// Memory that one conversion may need, in bytes: torch and coremltools themselves 1 GB, a model's
/// weights a few times over.
const MEMORY_PER_JOB: u64 = 3 << 30;

/// Returns how many models to convert at the same time.
///
/// Parameters: `wanted` — what the user asked for (`COREML_JOBS`), which only the number of models
/// bounds.
/// Returns: at least 1, at most `models`.
pub(crate) fn parallel_jobs(wanted: Option<usize>, models: usize) -> usize {
    let by_machine = || {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        available_memory().map_or(processors, |bytes| processors.min(bounded_by_memory(bytes)))
    };
    wanted.unwrap_or_else(by_machine).clamp(1, models.max(1))
}

/// Returns how many conversions fit into `bytes` of memory; at least 1.
fn bounded_by_memory(bytes: u64) -> usize {
    usize::try_from(bytes / MEMORY_PER_JOB).unwrap_or(usize::MAX).max(1)
}

/// Returns the available memory, in bytes; `None` where the system has no file with it.
fn available_memory() -> Option<u64> {
    memory_available_in(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// Returns the available memory, in bytes, from the text of `/proc/meminfo`.
fn memory_available_in(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_then_the_machine_then_the_work_bound_it() {
        assert_eq!(parallel_jobs(Some(7), 3), 3);
        assert_eq!(parallel_jobs(Some(0), 3), 1);
        assert_eq!(parallel_jobs(Some(2), 3), 2);
        assert!((1..=5).contains(&parallel_jobs(None, 5)));
        assert_eq!(
            memory_available_in("MemTotal: 9 kB\nMemAvailable:    7340032 kB\n"),
            Some(7 << 30)
        );
        assert_eq!((bounded_by_memory(7 << 30), bounded_by_memory(1 << 30)), (2, 1));
    }
}
