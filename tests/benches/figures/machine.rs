//! The machine: which core runs what, and what a process has used so far. From `/proc`, and by
//! `taskset`, so that no unsafe code is needed.

use std::{fs, process::Command, time::Duration};

use crate::Failure;

/// What `/proc` counts CPU time in, on every Linux that Rust runs on.
const TICKS_PER_SEC: u32 = 100;

/// Which core is whose.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// The servers'.
    pub server: usize,
    /// The load generator's.
    pub generator: usize,
}

impl Cores {
    /// The servers' core, as `taskset` wants it.
    #[must_use]
    pub fn one(self) -> String {
        self.server.to_string()
    }

    /// Both cores, as `taskset` wants them.
    #[must_use]
    pub fn both(self) -> String {
        format!("{},{}", self.server, self.generator)
    }

    /// The first two cores that this process may use, and the generator tied to its own; `None` where
    /// there is no second one or no `taskset`.
    #[must_use]
    pub fn part() -> Option<Self> {
        let allowed = allowed()?;
        let cores = Self { server: *allowed.first()?, generator: *allowed.get(1)? };
        let own = std::process::id().to_string();
        let core = cores.generator.to_string();
        let tied = Command::new("taskset").args(["-acp", &core, &own]).output().ok()?;
        tied.status.success().then_some(cores)
    }
}

/// The cores of `Cpus_allowed_list`, such as `0-1,4`.
fn allowed() -> Option<Vec<usize>> {
    let list = field(&fs::read_to_string("/proc/self/status").ok()?, "Cpus_allowed_list:")?;
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cores.extend(first.parse().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(cores)
}

fn field(status: &str, name: &str) -> Option<String> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}

/// CPU time of a process with all its threads, user and system.
pub fn cpu_time(pid: u32) -> Result<Duration, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may contain anything. utime and stime are fields 14 and 15.
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace());
    let ticks = fields.map(|fields| {
        fields.skip(11).take(2).filter_map(|text| text.parse::<u32>().ok()).sum::<u32>()
    });
    let ticks = ticks.ok_or_else(|| Failure::new("/proc/PID/stat cannot be read"))?;
    Ok(Duration::from_secs(1) * ticks / TICKS_PER_SEC)
}

/// The same of a process and all its children, also of those that have ended: what a Postgres costs.
pub fn family_cpu_time(parent: u32) -> Result<Duration, Failure> {
    let mut ticks = 0;
    for entry in fs::read_dir("/proc")?.flatten() {
        // Whoever ends meanwhile is counted by the parent.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((before, after)) = stat.rsplit_once(')') else { continue };
        // From field 3 on: the parent is field 4, times are 14 and 15, those of ended children 16, 17.
        let fields: Vec<i64> =
            after.split_whitespace().map(|text| text.parse().unwrap_or_default()).collect();
        if before.split(' ').next() == Some(&parent.to_string()) {
            ticks += fields[11..15].iter().sum::<i64>();
        } else if fields[1] == i64::from(parent) {
            ticks += fields[11..13].iter().sum::<i64>();
        }
    }
    let ticks = u32::try_from(ticks).map_err(|_| Failure::new("/proc/PID/stat cannot be read"))?;
    Ok(Duration::from_secs(1) * ticks / TICKS_PER_SEC)
}

/// Memory of a process in MB: resident now, and at most so far.
pub fn memory(pid: u32) -> Result<(f64, f64), Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let megabytes = |name| {
        let text = field(&status, name)?;
        let kib: u32 = text.split(' ').next()?.parse().ok()?;
        Some(f64::from(kib) * 1024.0 / 1e6)
    };
    let both = megabytes("VmRSS:").zip(megabytes("VmHWM:"));
    both.ok_or_else(|| Failure::new("/proc/PID/status cannot be read"))
}

/// The kernel's and the processor's names.
#[must_use]
pub fn describe() -> String {
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("unknown processor", |(_, name)| name.trim()).to_owned();
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!("{model}, Linux {}, load {load}", read("/proc/sys/kernel/osrelease").trim())
}
