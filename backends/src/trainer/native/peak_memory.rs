use std::fs;

/// Returns the most memory this process has had, in bytes; `None` where the system does not tell.
pub(super) fn process_peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Forgets what this process had before, so that [`process_peak`] tells of what comes; where the system
/// does not offer that, it tells of both.
pub(super) fn forget_process_peak() {
    // Linux' word for the peak alone.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Returns the machine's memory in bytes; `None` where the system does not tell.
pub(super) fn machine() -> Option<u64> {
    field("/proc/meminfo", "MemTotal:")
}

/// Reads a line `NAME  N kB`.
fn field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn linux_tells_both() {
        let (process, machine) = (process_peak().unwrap(), machine().unwrap());
        assert!(
            process > 1 << 20 && machine > process,
            "{process} of {machine}"
        );
        drop(std::hint::black_box(vec![1_u8; 256 << 20]));
        let with_more = process_peak().unwrap();
        forget_process_peak();
        let forgotten = process_peak().unwrap();
        assert!(
            forgotten + (200 << 20) < with_more,
            "{forgotten} of {with_more}"
        );
    }
}
