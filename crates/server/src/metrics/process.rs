//! What the system says of this process, where it says it (Linux).

use std::fs;

/// One look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// Bytes of memory in use.
    pub resident_bytes: i64,
    /// Open file descriptors.
    pub open_fds: i64,
    /// As many may be open.
    pub max_fds: i64,
}

impl Process {
    /// Looks. What cannot be read is 0.
    #[must_use]
    pub fn look() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let resident = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = resident.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self {
            resident_bytes: kilobytes.map_or(0, |kb: i64| kb.saturating_mul(1024)),
            open_fds: to_i64(open),
            max_fds: max_open_files().map_or(0, to_i64),
        }
    }
}

/// The process's limit of open files.
#[must_use]
pub fn max_open_files() -> Option<usize> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

fn to_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
